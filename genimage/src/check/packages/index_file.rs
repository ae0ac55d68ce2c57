//! Where an index is on disk, compressed as it may be, and who can read it.
//!
//! A path comes in; what was found goes out: readable here and by the node's package manager, or by one of them
//! alone. Nothing is opened.

use std::path::{Path, PathBuf};

use anyhow::Result;
use repodata::{Compression, Input};

use super::index::Gathered;
use super::read;
use crate::repository::packing::{Packings, compression_of};

/// What an index is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    /// apt's `Packages`.
    Apt,
    /// rpm-md's `primary.xml`.
    Primary,
    /// rpm-md's `comps.xml`.
    Comps,
    /// SUSE's `packages`.
    Susetags,
}

impl IndexKind {
    /// Returns a word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Primary => "primary",
            Self::Comps => "comps",
            Self::Susetags => "susetags",
        }
    }

    /// Returns the file that lists its digest.
    pub(super) fn lists(self) -> &'static str {
        match self {
            Self::Apt => "Release",
            Self::Primary | Self::Comps => "repomd.xml",
            Self::Susetags => "content",
        }
    }

    /// Parses one.
    pub(super) fn read(self, input: Input<'_>, gathered: &mut Gathered) -> Result<()> {
        match self {
            Self::Apt => read::apt(input, gathered),
            Self::Primary => read::primary(input, gathered),
            Self::Comps => read::comps(input, gathered),
            Self::Susetags => read::susetags(input, gathered),
        }
    }
}

/// An index on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IndexFile {
    /// It can be read, here and by the node.
    Readable(PathBuf),
    /// The node can read it, and nothing here can.
    NotHere(PathBuf),
    /// The node's package manager cannot read it.
    NotByNode(PathBuf),
    /// It is nowhere.
    Missing,
}

/// Finds an index among the files that `counts` lets in, the cheapest form to read first.
pub(super) fn find(plain: &Path, packings: Packings, counts: impl Fn(&Path) -> bool) -> IndexFile {
    let all = Compression::ALL.into_iter().map(|compression| {
        let mut path = plain.as_os_str().to_owned();
        path.push(compression.suffix());
        (compression, PathBuf::from(path))
    });
    let mut first = IndexFile::Missing;
    for (compression, path) in all.filter(|(_, path)| path.is_file() && counts(path)) {
        if packings.has(compression) {
            return IndexFile::Readable(path);
        }
        if first == IndexFile::Missing {
            first = IndexFile::NotByNode(path);
        }
    }
    first
}

/// Says who can read a file, by its name alone.
pub(super) fn of_name(path: PathBuf, packings: Packings) -> IndexFile {
    match compression_of(&path) {
        _ if !path.is_file() => IndexFile::Missing,
        Some(compression) if !packings.has(compression) => IndexFile::NotByNode(path),
        Some(_) => IndexFile::Readable(path),
        None => IndexFile::NotHere(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_form_that_the_node_can_read_is_found_first() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("Packages");
        let all = Packings::ALL;
        let old = Packings::WITHOUT_ZSTD;
        let every = |_: &Path| true;
        let at = |ending: &str| directory.path().join(format!("Packages{ending}"));
        assert_eq!(find(&plain, all, every), IndexFile::Missing);
        std::fs::write(at(".zst"), "").unwrap();
        assert_eq!(find(&plain, all, every), IndexFile::Readable(at(".zst")));
        assert_eq!(find(&plain, old, every), IndexFile::NotByNode(at(".zst")));
        std::fs::write(at(".bz2"), "").unwrap();
        assert_eq!(find(&plain, old, every), IndexFile::Readable(at(".bz2")));
        for ending in [".xz", ".gz", ""] {
            std::fs::write(at(ending), "").unwrap();
            assert_eq!(find(&plain, old, every), IndexFile::Readable(at(ending)));
        }
        let packed = |path: &Path| path != plain;
        assert_eq!(find(&plain, old, packed), IndexFile::Readable(at(".gz")));
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let all = Packings::ALL;
        for (name, found) in [
            (
                "1-primary.xml.gz",
                IndexFile::Readable as fn(PathBuf) -> IndexFile,
            ),
            ("1-comps.xml", IndexFile::Readable),
            ("1-primary.xml.bz2", IndexFile::Readable),
            ("1-comps.xml.zck", IndexFile::NotHere),
        ] {
            let path = directory.path().join(name);
            assert_eq!(of_name(path.clone(), all), IndexFile::Missing, "{name}");
            std::fs::write(&path, "").unwrap();
            assert_eq!(of_name(path.clone(), all), found(path), "{name}");
        }
        let zst = directory.path().join("1-primary.xml.zst");
        std::fs::write(&zst, "").unwrap();
        let found = of_name(zst.clone(), Packings::WITHOUT_ZSTD);
        assert_eq!(found, IndexFile::NotByNode(zst));
    }
}
