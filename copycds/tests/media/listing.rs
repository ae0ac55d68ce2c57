//! A medium as lines of text, to compare one with another.

use std::io::Read;
use std::path::Path;

use copycds::media::{EntryKind, Medium, MediumEntry};
use sha2::{Digest, Sha256};

/// How much of each entry is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Path, type, content, link target, mode and time.
    All,
    /// Path, type, content and link target, for readers that restore no more.
    Content,
}

/// Opens a medium that must be good.
pub(crate) fn open(path: &Path) -> Medium {
    Medium::open(path).unwrap_or_else(|err| panic!("{err:#}"))
}

/// Lists a medium, every file read through, and the links that lead out of it among them.
pub(crate) fn list(medium: &Medium, detail: Detail) -> String {
    let mut entries: Vec<_> = medium.entries().iter().chain(medium.left_out()).collect();
    entries.sort_by(|one, two| one.path.cmp(&two.path));
    let line = |entry| format!("{}\n", line(medium, entry, detail));
    entries.into_iter().map(line).collect()
}

/// Asserts that two media say the same.
pub(crate) fn assert_same(left: &Path, right: &Path, detail: Detail) {
    let (left, right) = (list(&open(left), detail), list(&open(right), detail));
    let mut pairs = left.lines().zip(right.lines());
    if let Some((left, right)) = pairs.find(|(left, right)| left != right) {
        panic!("they differ:\n  {left}\n  {right}");
    }
    assert_eq!(left.lines().count(), right.lines().count());
}

fn line(medium: &Medium, entry: &MediumEntry, detail: Detail) -> String {
    let what = match &entry.kind {
        EntryKind::Directory => "dir".to_owned(),
        EntryKind::Symlink { target } => format!("-> {}", target.escape_ascii()),
        EntryKind::File { size, .. } => {
            let (read, hash) = digest(medium, entry);
            assert_eq!(read, *size, "{}", entry.path);
            format!("{size} {hash}")
        }
    };
    let path = entry.path.as_bytes().escape_ascii();
    match (detail, &entry.kind) {
        (Detail::Content, _) => format!("{path} {what}"),
        // Nothing restores the mode or, on every kernel, the time of a link.
        (Detail::All, EntryKind::Symlink { .. }) => format!("{path} {what}"),
        (Detail::All, _) => {
            let mtime = entry.mtime.map_or(0, |time| time.0);
            format!("{path} {:04o} {mtime} {what}", entry.mode)
        }
    }
}

/// Reads a file through; returns its length and the start of its SHA-256.
fn digest(medium: &Medium, entry: &MediumEntry) -> (u64, String) {
    let mut reader = medium.reader(entry).unwrap();
    let (mut hash, mut buffer, mut len) = (Sha256::new(), [0; 1 << 16], 0);
    loop {
        let read = reader
            .read(&mut buffer)
            .unwrap_or_else(|err| panic!("{}: {err}", entry.path));
        if read == 0 {
            let digest = hash.finalize();
            return (
                len,
                digest[..8]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            );
        }
        hash.update(&buffer[..read]);
        len += read as u64;
    }
}
