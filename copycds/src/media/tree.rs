//! Gathers the entries of a medium, whatever its format, within bounds.
//!
//! Names as they stand in some directory come in; a sorted list of entries with safe, distinct paths
//! goes out. A disc that exceeds a bound is refused, because no install medium comes near one and
//! memory and time must not be the disc's to decide.

use std::collections::HashSet;

use anyhow::{Result, anyhow, bail, ensure};

use super::entry::{Entry, MediumPath};

/// Entries of one medium; the largest known install discs hold about 100,000.
const MAX_ENTRIES: usize = 500_000;
/// Directories within each other.
const MAX_DEPTH: usize = 128;
/// Bytes in one name, `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;
/// Bytes in one path, `PATH_MAX` of Linux without its NUL; link targets have the same bound.
pub(super) const MAX_PATH: usize = 4095;
/// Bytes in one directory, as it stands on the medium.
pub(super) const MAX_DIRECTORY: u64 = 64 << 20;

/// The entries found so far.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: Vec<Entry>,
    dropped: HashSet<MediumPath>,
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
        "directories lie more than {MAX_DEPTH} deep"
    );
    let len = path.as_bytes().len();
    ensure!(
        len <= MAX_PATH,
        "a path of {len} bytes is longer than {MAX_PATH}"
    );
    Ok(path)
}

impl Tree {
    pub(super) fn push(&mut self, entry: Entry) -> Result<()> {
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

    /// Sorts by path, which puts parents before their children, and refuses a name that stands twice
    /// in one directory: which of the two is meant, nothing says.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>> {
        let dropped = self.dropped;
        self.entries.retain(|entry| !dropped.contains(&entry.path));
        self.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let twice = |pair: &[Entry]| pair[0].path == pair[1].path;
        if let Some(pair) = self.entries.windows(2).find(|pair| twice(pair)) {
            bail!("the medium holds two entries named {}", pair[0].path);
        }
        self.entries.shrink_to_fit();
        Ok(self.entries)
    }
}
