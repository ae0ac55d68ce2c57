//! Lists of images as publishers make them: what they are called, where they are, what they say of an image.
//!
//! The path of an image comes in; its names, the lists beside it and the digests in them go out. Whether a
//! list counts is not decided here. Digests that vouch for nothing, MD5 and SHA-1, and digests that are not computed
//! here are told apart from those that count, so that a list that has no others is named as what it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use definitions::read_bounded;
use definitions::terminal::escaped;
use repodata::signed_text;

use super::sums;
use crate::digest::Digest;

/// A list of images has some kilobytes.
const MAX_BYTES: u64 = 4 << 20;
/// Algorithms that name a list: `sha256sums`, `a.iso.sha256sum`, `a.iso.sha256`.
const NAMED: [&str; 5] = ["md5", "sha1", "sha256", "sha384", "sha512"];
/// Algorithms of other families, which are not computed here. Nothing but the list's name tells their digests from
/// those of SHA-2 of the same length.
const UNREAD: [(&str, &str); 6] = [
    ("b2", "BLAKE2"),
    ("blake2b", "BLAKE2"),
    ("b3", "BLAKE3"),
    ("blake3", "BLAKE3"),
    ("sm3", "SM3"),
    ("sha3", "SHA-3"),
];
/// Endings of lists of any algorithm, which are named after their image or their release.
const ENDINGS: [&str; 3] = [".checksum", "-checksum", "_checksum"];
/// Returns the names that a list may have the image under: as it was given, and where that link leads.
pub(super) fn names_of(path: &Path) -> Vec<String> {
    let real = fs::canonicalize(path).ok();
    let paths = [Some(path.to_owned()), real];
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let mut names: Vec<_> = paths.into_iter().flatten().filter_map(name).collect();
    names.dedup();
    names
}

/// Whether a path in a list names the image.
fn is_named(path: &[u8], names: &[String]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| names.iter().any(|wanted| wanted.as_bytes() == name))
}

/// Returns the strong digests that a text lists for one of these names.
pub(super) fn listed_digests<'a>(
    text: &'a [u8],
    names: &'a [String],
) -> impl Iterator<Item = Digest> + use<'a> {
    let listed = sums::parse(text).flatten().filter(move |listed| {
        is_named(&listed.path, names) && listed.digest.algorithm().is_strong()
    });
    listed.map(|listed| listed.digest)
}

/// Says of a list that has no digest of the image that counts which one it has, and why that does not count.
pub(super) fn why_none_counts(list: &Path, names: &[String]) -> Option<String> {
    let not_computed =
        |algorithm: &str| format!("has {algorithm} digests, which copycds does not compute");
    if let Some(algorithm) = unread_algorithm(list) {
        return Some(not_computed(algorithm));
    }
    let text = signed_text(read(list).ok()?);
    let mut listed = sums::parse(&text).flatten();
    let listed = listed.find(|listed| is_named(&listed.path, names));
    let bare = || bare_digest(&text).filter(|_| is_of_image(list, names));
    if let Some(weak) = listed.map(|listed| listed.digest).or_else(bare) {
        let algorithm = weak.algorithm();
        return Some(format!(
            "has only the {algorithm} of {}, which can be forged",
            names.join(" or ")
        ));
    }
    let mut lines = text.split(|&byte| byte == b'\n');
    lines.find_map(|line| {
        let (algorithm, path, _) = sums::tag(line.trim_ascii())?;
        let shown = escaped(algorithm, '\n');
        let is_unknown = sums::algorithm(algorithm).is_none();
        (is_unknown && is_named(path, names)).then(|| not_computed(&shown))
    })
}

/// Says of a list that has no digest of the image where it names the image all the same: a digest that is cut off, or a
/// form of line that is not read.
pub(super) fn why_unread(list: &Path, names: &[String]) -> Option<String> {
    let text = signed_text(read(list).ok()?);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(byte);
    let has_name = |line: &[u8]| {
        let mut words = line.split(|byte| !is_part(byte));
        words.any(|word| is_named(word, names))
    };
    let mut lines = (1..).zip(text.split(|&byte| byte == b'\n'));
    let (number, _) = lines.find(|(_, line)| !line.starts_with(b"#") && has_name(line))?;
    Some(format!(
        "names {} in line {number}, and no digest can be read there",
        names.join(" or ")
    ))
}

/// Returns the algorithm of another family that a list's name names.
pub(super) fn unread_algorithm(list: &Path) -> Option<&'static str> {
    let stem = stem(&list.file_name()?.to_string_lossy());
    let algorithm = split(&stem).1;
    let known = UNREAD.iter().find(|(name, _)| *name == algorithm)?;
    Some(known.1)
}

/// Returns the name of a list in lower case, without `.txt` and `.asc` at its end.
fn stem(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".asc").unwrap_or(&name);
    name.strip_suffix(".txt").unwrap_or(name).to_owned()
}

/// Splits the stem of a list into the name of an image and an algorithm: `a.iso` and `sha256` of `a.iso.sha256sums`.
fn split(stem: &str) -> (&str, &str) {
    let (image, algorithm) = stem.rsplit_once('.').unwrap_or(("", stem));
    let algorithm = algorithm.strip_suffix('s').unwrap_or(algorithm);
    (image, algorithm.strip_suffix("sum").unwrap_or(algorithm))
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
    let stem = stem(name);
    let is_image = |image: &str| {
        names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            name == image || name.strip_suffix(".iso") == Some(image)
        })
    };
    let (image, algorithm) = split(&stem);
    if NAMED.contains(&algorithm) || UNREAD.iter().any(|(name, _)| *name == algorithm) {
        return match image {
            "" => Some(ListScope::Release),
            image => is_image(image).then_some(ListScope::Image),
        };
    }
    let ending = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending));
    match ending {
        Some(image) if is_image(image) => Some(ListScope::Image),
        Some(_) => Some(ListScope::Release),
        None => ["checksum", "checksums"]
            .contains(&stem.as_str())
            .then_some(ListScope::Release),
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
    Digest::parse_by_length(text.trim()).ok()
}

/// Returns the lists beside an image, or beside what it links to.
pub(super) fn lists_beside(path: &Path, names: &[String]) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).ok();
    let dirs = [Some(path), real.as_deref()];
    let parent = |path: &Path| path.parent().map(|parent| Path::new(".").join(parent));
    let mut dirs: Vec<_> = dirs.into_iter().flatten().filter_map(parent).collect();
    dirs.dedup_by_key(|dir| fs::canonicalize(&*dir).ok());
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

/// Reads a regular file of bounded length.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(read_bounded(path, MAX_BYTES)?)
}
