//! UDF as genisoimage and mkudffs make it, sound and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use copycds::media::Medium;
use tempfile::TempDir;

use crate::Case;
use crate::built::{odd_tree, place};
use crate::cases;
use crate::listing::{Detail, assert_same, open};
use crate::needs::Need::Tool;
use crate::tools::{genisoimage, run, unpack};

pub(crate) const CASES: &[Case] = cases! {
    &[Tool("genisoimage")] =>
        udf_gives_whole_names_where_there_is_no_rock_ridge
        rock_ridge_goes_before_udf
        damage_is_found_by_checksums
        a_directory_loop_is_refused
        an_image_without_iso_9660_is_read;
    &[Tool("genisoimage"), Tool("7z")] => seven_zip_sees_the_same_tree;
    &[Tool("mkudffs")] =>
        an_empty_disc_of_mkudffs_is_an_empty_tree
        a_disc_with_other_blocks_is_refused;
};

fn tree(place: &TempDir) -> PathBuf {
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("sources/Directory with a long name/sub")).unwrap();
    fs::write(tree.join("sources/install.wim"), vec![5; 70_000]).unwrap();
    fs::write(tree.join("sources/Directory with a long name/π.txt"), "pi").unwrap();
    fs::write(tree.join("setup.exe"), "setup").unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    for number in 0..200 {
        let name = format!("sources/Directory with a long name/sub/Datei-{number}.cab");
        fs::write(tree.join(name), number.to_string()).unwrap();
    }
    tree
}

fn bridge(place: &TempDir) -> (PathBuf, PathBuf) {
    let tree = tree(place);
    let image = genisoimage(&tree, "-udf -J -V BRIDGE -input-charset utf-8");
    (tree, image)
}

fn udf_gives_whole_names_where_there_is_no_rock_ridge() {
    let place = place();
    let (tree, image) = bridge(&place);
    assert_same(&tree, &image, Detail::Content);
    assert_eq!(open(&image).ids().volume, "BRIDGE");
}

fn seven_zip_sees_the_same_tree() {
    let place = place();
    let (_, image) = bridge(&place);
    assert_same(&image, &unpack("7z", &image, place.path()), Detail::Content);
}

fn rock_ridge_goes_before_udf() {
    let place = place();
    let tree = odd_tree(&place, 100);
    fs::remove_file(tree.join(std::ffi::OsStr::new("long".repeat(60).as_str()))).unwrap();
    let image = genisoimage(&tree, "-udf -R -input-charset utf-8");
    assert_same(&tree, &image, Detail::All);
}

fn an_image_without_iso_9660_is_read() {
    let place = place();
    let (tree, image) = bridge(&place);
    let mut bytes = fs::read(&image).unwrap();
    // What is left are the descriptors that announce UDF.
    let announced = find(&bytes, b"BEA01") - 1;
    bytes.copy_within(announced..announced + 3 * 2048, 16 * 2048);
    bytes[19 * 2048..announced + 3 * 2048].fill(0);
    fs::write(&image, bytes).unwrap();
    assert_same(&tree, &image, Detail::Content);
    assert_eq!(open(&image).ids().volume, "BRIDGE");
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    let at = bytes
        .windows(needle.len())
        .position(|found| found == needle);
    at.unwrap_or_else(|| panic!("no {}", needle.escape_ascii()))
}

/// Opens changed bytes, which must be refused; returns what is said.
fn refused(image: &Path, bytes: &[u8]) -> String {
    fs::write(image, bytes).unwrap();
    let error = format!("{:#}", Medium::open(image).unwrap_err());
    error.replace(image.to_str().unwrap(), "IMAGE")
}

/// Finds the file identifier of a name in one byte a character.
fn identifier(bytes: &[u8], name: &str) -> usize {
    find(bytes, &[b"\x08", name.as_bytes()].concat()) - 38
}

fn damage_is_found_by_checksums() {
    let place = place();
    let (_, image) = bridge(&place);
    let good = fs::read(&image).unwrap();
    let at = identifier(&good, "setup.exe");
    let mut bytes = good.clone();
    bytes[at + 39] ^= 0x20;
    let said = refused(&image, &bytes);
    let start = "reading IMAGE: reading its UDF tree: reading the root directory: the file identifier at \
                 byte ";
    let reason = said.split_once(": its checksum is 0x");
    assert!(said.starts_with(start), "{said}");
    assert!(
        reason.is_some_and(|(_, sums)| sums.contains(", but it records 0x")),
        "{said}"
    );
    // The length in the file entry of setup.exe.
    let icb = u32::from_le_bytes(good[at + 24..at + 28].try_into().unwrap());
    let partition = 257;
    let entry = (icb as usize + partition) * 2048;
    assert_eq!(good[entry..entry + 2], 261_u16.to_le_bytes());
    let mut bytes = good.clone();
    bytes[entry + 56] ^= 1;
    let said = refused(&image, &bytes);
    let start = "reading IMAGE: reading its UDF tree: reading setup.exe: its checksum is 0x";
    assert!(said.starts_with(start), "{said}");
    // The anchor: there is one more at the end, which serves as well.
    let mut bytes = good.clone();
    bytes[256 * 2048..257 * 2048].fill(0);
    fs::write(&image, &bytes).unwrap();
    assert_eq!(open(&image).ids().volume, "BRIDGE");
    let end = bytes.len() - 2048;
    let last = (0..600)
        .map(|back| end - back * 2048)
        .find(|&at| bytes[at..at + 2] == [2, 0]);
    bytes[last.unwrap()..][..2048].fill(0);
    assert_eq!(
        refused(&image, &bytes),
        format!(
            "reading IMAGE: reading its UDF volume: the image announces UDF, but no UDF anchor is in sector 256 or at its end; it is damaged or truncated at {} bytes",
            bytes.len()
        )
    );
    assert_eq!(
        refused(&image, &good[..good.len() - 4096]),
        format!(
            "reading IMAGE: the image is truncated: it holds {} of {} bytes",
            good.len() - 4096,
            good.len()
        )
    );
}

fn a_directory_loop_is_refused() {
    let place = place();
    let (_, image) = bridge(&place);
    let mut bytes = fs::read(&image).unwrap();
    let (inner, outer) = (identifier(&bytes, "sub"), identifier(&bytes, "sources"));
    let icb: [u8; 16] = bytes[outer + 20..outer + 36].try_into().unwrap();
    bytes[inner + 20..inner + 36].copy_from_slice(&icb);
    retag(&mut bytes[inner..]);
    assert_eq!(
        refused(&image, &bytes),
        "reading IMAGE: reading its UDF tree: the directory sources/Directory with a long name/sub \
         is also the directory sources: a loop"
    );
}

/// Writes the checksum and the sum of a changed descriptor.
fn retag(descriptor: &mut [u8]) {
    let len = usize::from(u16::from_le_bytes([descriptor[10], descriptor[11]]));
    let crc = descriptor[16..16 + len].iter().fold(0_u16, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    descriptor[8..10].copy_from_slice(&crc.to_le_bytes());
    descriptor[4] = 0;
    descriptor[4] = descriptor[..16]
        .iter()
        .fold(0, |sum, &byte| sum.wrapping_add(byte));
}

fn mkudffs(place: &TempDir, options: &[&str]) -> PathBuf {
    let image = place.path().join("blank.udf");
    fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    run(
        place.path(),
        "mkudffs",
        options.iter().copied().chain(["blank.udf"]),
    );
    image
}

fn an_empty_disc_of_mkudffs_is_an_empty_tree() {
    let place = place();
    for revision in ["0x0102", "0x0201"] {
        let options = [
            "-b",
            "2048",
            "--label=Blank ☺",
            "--media-type=hd",
            "-r",
            revision,
        ];
        let medium = open(&mkudffs(&place, &options));
        assert_eq!(medium.ids().volume, "Blank ☺");
        let names = medium.entries().iter().map(|entry| entry.path.to_string());
        let names: Vec<_> = names.filter(|name| name != "lost+found").collect();
        assert!(names.is_empty(), "{names:?}");
    }
}

fn a_disc_with_other_blocks_is_refused() {
    let place = place();
    let image = mkudffs(&place, &["-b", "512", "--media-type=hd"]);
    let bytes = fs::read(&image).unwrap();
    assert_eq!(
        refused(&image, &bytes),
        "reading IMAGE: reading its UDF volume: the image announces UDF, but no UDF anchor is in sector 256 or at its end; it is damaged or truncated at 4194304 bytes"
    );
}
