//! Gathers the entries of a medium, whatever its format, within bounds.
//!
//! Names as they are in some directory come in; a sorted list of entries with safe, distinct paths
//! goes out. A disc that exceeds a bound is refused, because no install medium comes near one and
//! memory and time must not be the disc's to decide.

use std::collections::HashSet;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::entry::{DataLocation, EntryKind, MediumEntry, MediumPath};

/// Entries of one medium; the largest known install discs hold about 100,000.
const MAX_ENTRIES: usize = 500_000;
/// Directories within each other.
const MAX_DEPTH: usize = 128;
/// Bytes in one name, `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;
/// Bytes in one path, `PATH_MAX` of Linux without its NUL; link targets have the same bound.
pub(super) const MAX_PATH: usize = 4095;
/// Bytes in one directory, as it is on the medium.
const MAX_DIRECTORY: u64 = 64 << 20;

/// Bytes that all paths, link targets and lists of extents may take; the largest known discs take 10 MiB.
const MAX_TEXT: usize = 64 << 20;

/// The entries found so far.
#[derive(Debug)]
pub(super) struct EntryList {
    entries: Vec<MediumEntry>,
    dropped: HashSet<MediumPath>,
    text: usize,
    unread: u64,
}

/// Says which directory is meant; no path is the root.
pub(super) fn directory_name(path: Option<&MediumPath>) -> String {
    path.map_or("the root directory".to_owned(), |path| {
        format!("the directory {path}")
    })
}

/// Returns the path of `name` in `parent`.
pub(super) fn join(parent: Option<&MediumPath>, name: &[u8]) -> Result<MediumPath> {
    ensure!(
        name.len() <= MAX_NAME,
        "a name of {} bytes is longer than {MAX_NAME}",
        name.len()
    );
    let path = MediumPath::join(parent, name).map_err(|reason| anyhow!(reason))?;
    let parts = path.as_bytes().split(|&byte| byte == b'/');
    ensure!(
        parts.count() <= MAX_DEPTH,
        "directories are nested more than {MAX_DEPTH} deep"
    );
    let len = path.as_bytes().len();
    ensure!(
        len <= MAX_PATH,
        "a path of {len} bytes is longer than {MAX_PATH}"
    );
    Ok(path)
}

impl EntryList {
    /// Begins the tree of an image of `len` bytes.
    pub(super) fn new(len: u64) -> Self {
        Self {
            entries: Vec::new(),
            dropped: HashSet::new(),
            text: 0,
            unread: len,
        }
    }

    /// Accounts for a directory of `len` bytes. Directories do not overlap, so that all of them
    /// together are never longer than their image.
    pub(super) fn enter(&mut self, path: Option<&MediumPath>, len: u64) -> Result<()> {
        ensure!(
            len <= MAX_DIRECTORY,
            "{} claims {len} bytes, more than {MAX_DIRECTORY}",
            directory_name(path)
        );
        self.unread = self
            .unread
            .checked_sub(len)
            .context("its directories claim more bytes than the image has")?;
        Ok(())
    }

    /// Takes an entry.
    pub(super) fn push(&mut self, entry: MediumEntry) -> Result<()> {
        self.text = self.text.saturating_add(entry.path.as_bytes().len());
        self.text = self.text.saturating_add(match &entry.kind {
            EntryKind::Directory => 0,
            EntryKind::Symlink { target } => target.len(),
            EntryKind::File { content, .. } => match content {
                DataLocation::Extents(extents) | DataLocation::Zisofs(extents) => {
                    size_of_val(&extents[..])
                }
                DataLocation::InPlace => 0,
            },
        });
        ensure!(
            self.text <= MAX_TEXT,
            "the names and extents on the medium take more than {MAX_TEXT} bytes"
        );
        ensure!(
            self.entries.len() < MAX_ENTRIES,
            "the medium holds more than {MAX_ENTRIES} files"
        );
        self.entries.push(entry);
        Ok(())
    }

    /// Drops the entry at `path`.
    pub(super) fn remove(&mut self, path: MediumPath) {
        self.dropped.insert(path);
    }

    /// Sorts by path, which puts parents before their children, and refuses a name that is twice
    /// in one directory: which of the two is meant, nothing says.
    pub(super) fn finish(mut self) -> Result<Vec<MediumEntry>> {
        let dropped = self.dropped;
        self.entries.retain(|entry| !dropped.contains(&entry.path));
        self.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let twice = |pair: &[MediumEntry]| pair[0].path == pair[1].path;
        if let Some(pair) = self.entries.windows(2).find(|pair| twice(pair)) {
            bail!("the medium holds two entries named {}", pair[0].path);
        }
        self.entries.shrink_to_fit();
        Ok(self.entries)
    }
}
