//! Says what a file is that is no image, so that the user sees the mistake at once.

use anyhow::Result;
use definitions::hex;

use super::entry::Extent;
use super::image::ImageFile;

/// What begins with which bytes, at which offset.
const KINDS: &[(usize, &[u8], &str)] = &[
    (0, b"\x1f\x8b", "gzip data; decompress it first"),
    (0, b"\xfd7zXZ\0", "xz data; decompress it first"),
    (0, b"BZh", "bzip2 data; decompress it first"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data; decompress it first"),
    (0, b"PK\x03\x04", "a zip archive; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (0, b"Rar!", "a rar archive; unpack it first"),
    (
        257,
        b"ustar",
        "a tar archive; unpack it and give the directory",
    ),
    (0, b"hsqs", "a squashfs image"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"KDMV", "a VMware disk image"),
    (0, b"\xed\xab\xee\xdb", "an rpm package"),
    (0, b"!<arch>\n", "a Debian package or an ar archive"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<!DOCTYPE", "a web page; the download went wrong"),
    (0, b"<!doctype", "a web page; the download went wrong"),
    (0, b"<html", "a web page; the download went wrong"),
    (0, b"<?xml", "an XML document"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (0, b"XFSB", "an XFS file system"),
    (510, b"\x55\xaa", "a disk image"),
];

/// Describes the content of `image` in a few words.
pub(super) fn describe(image: &ImageFile) -> Result<String> {
    if image.len() == 0 {
        return Ok("it is empty".to_owned());
    }
    let start = image.read(Extent {
        offset: 0,
        len: image.len().min(4096),
    })?;
    let known = KINDS
        .iter()
        .find(|(at, magic, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    Ok(match known {
        Some((_, _, name)) => format!("it is {name}"),
        None if image.len() <= 16 * 2048 => format!("it has only {} bytes", image.len()),
        None if start.iter().all(|&byte| byte == 0) => "it begins with zeros".to_owned(),
        None => {
            let bytes: Vec<_> = start.iter().take(8).map(|byte| hex(&[*byte])).collect();
            format!("it begins with {}", bytes.join(" "))
        }
    })
}
