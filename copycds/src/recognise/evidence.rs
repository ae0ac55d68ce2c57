//! What recognition reads of a medium: its identifiers, the names of its files, and the bytes of a
//! few small ones. A plain value, so that a test can build it from any part of a medium.

use std::collections::BTreeMap;

use anyhow::Context;

use super::release_files::ReleaseFile;
use crate::media::{EntryKind, Medium, VolumeIds};

/// Everything that recognition may look at. What is absent was not there or is not known, and counts
/// neither for nor against anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The identifiers of the volume descriptor; empty when there is none.
    pub ids: VolumeIds,
    /// The paths of the files, links and directories, as far as they are UTF-8; empty when unknown. A
    /// medium that was read has at least its root directory, [`ROOT`].
    pub names: Vec<String>,
    /// Path and bytes of the small files that describe the release.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The root directory of a medium, as one of its names.
pub const ROOT: &str = ".";

/// No file of interest is longer; a longer one is an error, not a reason to read on.
const LIMIT: u64 = 4 << 20;

impl Evidence {
    /// Builds evidence of a volume descriptor alone.
    pub fn of_volume(ids: VolumeIds) -> Self {
        Self {
            ids,
            ..Self::default()
        }
    }

    /// Builds evidence of one file alone.
    pub fn of_file(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            files: BTreeMap::from([(path.to_owned(), bytes.into())]),
            ..Self::default()
        }
    }

    /// Returns whether the file at a path is one that recognition reads.
    pub fn wants(path: &str) -> bool {
        ReleaseFile::at(path).is_some()
    }

    /// Returns the `.treeinfo` of each tree in a directory of the medium: `BaseOS/.treeinfo`. Recognition reads none
    /// of them, because a medium of several trees is none of the trees.
    pub(super) fn trees_in_directories(&self) -> Vec<String> {
        let names = self.names.iter();
        names
            .filter(|path| ReleaseFile::is_of_tree_in_directory(path))
            .cloned()
            .collect()
    }

    /// Returns the text of a file without its padding, NULs at its end, and without a byte order mark. One of UTF-16
    /// tells that encoding; any other is taken for UTF-8, so that a NUL within it stays.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = match self.files.get(path)?.as_slice() {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            bytes => String::from_utf8_lossy(bytes).into_owned(),
        };
        let text = text.trim_end_matches('\0');
        Some(text.trim_start_matches('\u{feff}').to_owned())
    }
}

/// Decodes a text of UTF-16 without its byte order mark.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks();
    let odd = (!rest.is_empty()).then_some(0); // half a character: a NUL, which no text has
    let units: Vec<u16> = pairs.iter().copied().map(unit).chain(odd).collect();
    String::from_utf16_lossy(&units)
}

/// Reads a medium's evidence: all its names, and at most 4 MiB of each file that matters.
///
/// # Errors
/// When a file cannot be read, or is longer than such a file can be.
pub fn gather(medium: &Medium) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence::of_volume(medium.ids().clone());
    evidence.names.push(ROOT.to_owned());
    for entry in medium.entries() {
        let Some(path) = entry.path.as_str() else {
            continue;
        };
        evidence.names.push(path.to_owned());
        if matches!(entry.kind, EntryKind::File { .. }) && Evidence::wants(path) {
            let bytes = medium
                .read(entry, LIMIT)
                .with_context(|| format!("reading {path}"))?;
            evidence.files.insert(path.to_owned(), bytes);
        }
    }
    Ok(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_no_part_of_a_text() {
        let evidence = Evidence::of_file(".disk/info", b"Ubuntu\0\0".to_vec());
        assert_eq!(evidence.text(".disk/info").unwrap(), "Ubuntu");
    }

    #[test]
    fn a_mark_tells_the_encoding_and_no_nul_within_a_text_is_lost() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbfa"[..], "a"),
            (b"\xff\xfea\0\xe9\0", "a\u{e9}"),
            (b"\xfe\xff\0a\0\xe9", "a\u{e9}"),
            (b"a\0b\0\0", "a\0b"),
            (b"\0a\0b", "\0a\0b"),
            (b"\xff\xfe\0\0a\0\0\0b\0\0\0", "\0a\0b"), // of UTF-32
        ] {
            let evidence = Evidence::of_file("content", bytes.to_vec());
            assert_eq!(evidence.text("content").unwrap(), text);
        }
    }
}
