//! Lists of images as publishers make them: what they are called, where they are, what they say of an image.
//!
//! The path of an image comes in; its names, the lists beside it and the digests in them go out. Whether a
//! list counts is not decided here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use definitions::read_bounded;

use super::sums;
use crate::digest::{Algorithm, Digest};

/// A list of images has some kilobytes.
const MAX_BYTES: u64 = 4 << 20;
/// Names of lists, in lower case and without `.txt` and `.asc` at their end.
const LISTS: [&str; 6] = [
    "sha256sums",
    "sha512sums",
    "sha256sum",
    "sha512sum",
    "checksum",
    "checksums",
];
/// Endings of lists that are named after their image or their release, likewise.
const ENDINGS: [&str; 7] = [
    ".sha256",
    ".sha512",
    ".sha256sum",
    ".sha512sum",
    ".checksum",
    "-checksum",
    "_checksum",
];
/// Endings of a signature beside its list.
const SIGNATURES: [&str; 4] = [".sign", ".gpg", ".asc", ".sig"];

/// Returns the names that a list may have the image under: as it was given, and where that link leads.
pub(super) fn names_of(path: &Path) -> Vec<String> {
    let real = fs::canonicalize(path).ok();
    let paths = [Some(path.to_owned()), real];
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let mut names: Vec<_> = paths.into_iter().flatten().filter_map(name).collect();
    names.dedup();
    names
}

/// Whether a file lists any digests of images.
pub(super) fn is_list(path: &Path) -> bool {
    let strong = [Algorithm::Sha256, Algorithm::Sha512];
    let text = read(path).unwrap_or_default();
    let mut listed = sums::parse(&text).flatten();
    listed
        .any(|listed| strong.contains(&listed.digest.algorithm()) && listed.path.ends_with(b".iso"))
}

/// Returns the strong digests that a text lists for one of these names.
pub(super) fn listed_digests<'a>(
    text: &'a [u8],
    names: &'a [String],
) -> impl Iterator<Item = Digest> + use<'a> {
    let strong = |algorithm| [Algorithm::Sha256, Algorithm::Sha512].contains(&algorithm);
    let listed = sums::parse(text).flatten().filter(move |listed| {
        let name = listed.path.rsplit(|byte| *byte == b'/').next();
        let named = name.is_some_and(|name| names.iter().any(|wanted| wanted.as_bytes() == name));
        named && strong(listed.digest.algorithm())
    });
    listed.map(|listed| listed.digest)
}

/// What a list's name says it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListScope {
    /// The image: `a.iso.sha256`, `a.sha256`.
    Image,
    /// Every image of a release: `SHA256SUMS`, `Server-42-CHECKSUM`.
    Release,
}

/// Tells a list by its name; publishers write it in capitals or not, and with more endings.
fn scope(name: &str, names: &[String]) -> Option<ListScope> {
    let mut name = name.to_ascii_lowercase();
    for ending in [".asc", ".txt"] {
        name.truncate(name.strip_suffix(ending).unwrap_or(&name).len());
    }
    let image = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    let is_named = |image: &str| {
        names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            name == image || name.strip_suffix(".iso") == Some(image)
        })
    };
    match image {
        Some(image) if is_named(image) => Some(ListScope::Image),
        Some(_) if name.ends_with("checksum") => Some(ListScope::Release),
        None if LISTS.contains(&name.as_str()) => Some(ListScope::Release),
        _ => None,
    }
}

/// Whether a list is named after the image.
pub(super) fn is_of_image(list: &Path, names: &[String]) -> bool {
    let list = list.file_name().unwrap_or_default().to_string_lossy();
    scope(&list, names) == Some(ListScope::Image)
}

/// Reads a text that is a digest and nothing else, which is of the image that its file is named after.
pub(super) fn bare_digest(text: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(text).ok()?;
    let digest = Digest::parse_by_length(text.trim()).ok()?;
    let strong = [Algorithm::Sha256, Algorithm::Sha512];
    strong.contains(&digest.algorithm()).then_some(digest)
}

/// Returns the lists beside an image, or beside what it links to.
pub(super) fn lists_beside(path: &Path, names: &[String]) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).ok();
    let dirs = [Some(path), real.as_deref()];
    let parent = |path: &Path| path.parent().map(|parent| Path::new(".").join(parent));
    let mut dirs: Vec<_> = dirs.into_iter().flatten().filter_map(parent).collect();
    dirs.dedup();
    let is_list = |name: &str| scope(name, names).is_some();
    let mut lists = Vec::new();
    for place in dirs {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_list));
        lists.extend(
            files
                .map(|entry| entry.path())
                .filter(|path| path.is_file()),
        );
    }
    lists.sort();
    lists
}

/// Returns the list of a signature beside it, when it is the signature that was named.
pub(super) fn without_signature(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let list = SIGNATURES
        .iter()
        .find_map(|ending| text.strip_suffix(ending));
    let list = list.map(PathBuf::from).filter(|list| list.is_file());
    list.unwrap_or_else(|| path.to_owned())
}

/// Returns the signature beside a list, if there is one.
pub(super) fn signature_of(list: &Path) -> Option<PathBuf> {
    let with = |ending| {
        let mut name = list.as_os_str().to_owned();
        name.push::<&str>(ending);
        PathBuf::from(name)
    };
    let mut paths = SIGNATURES.into_iter().map(with);
    paths.find(|path| path.is_file())
}

/// Reads a regular file of bounded length.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(read_bounded(path, MAX_BYTES)?)
}
