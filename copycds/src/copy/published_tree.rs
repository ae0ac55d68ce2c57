//! A tree that is published, as it is on the disk.
//!
//! The path of a tree comes in; a [`PublishedTree`] goes out, loaded once: its record, and when a further
//! disc joins it, its manifest and the names of all that is in it. Whoever plans with these checks with
//! [`PublishedTree::is_current`] under the lock that they still hold, instead of reading them again.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::manifest::Manifest;
use super::record::{MANIFEST, RECORD, TreeRecord};
use super::tree_dir::{TreeDir, is_at};
use super::walk::walk;
use crate::media::MediumPath;

/// A published tree.
#[derive(Debug)]
pub struct PublishedTree {
    /// What it is, and of which discs.
    pub record: TreeRecord,
    dir: TreeDir,
    stamps: [FileStamp; 2],
    /// Read when they are needed first: a tree that has the disc already is only asked for its record.
    contents: OnceCell<TreeContents>,
}

/// What a published tree holds.
#[derive(Debug)]
pub struct TreeContents {
    /// What was published.
    pub manifest: Manifest,
    /// Its directories, parents before children.
    pub dirs: Vec<MediumPath>,
    /// Everything else in it.
    pub others: BTreeSet<MediumPath>,
}

/// What changes when a file is replaced or written to: device, inode, length, and the time of its last
/// change; none when there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp(Option<(u64, u64, u64, i64, i64)>);

impl FileStamp {
    fn of(path: &Path) -> Self {
        let meta = fs::symlink_metadata(path).ok();
        Self(meta.map(|meta| {
            let (seconds, nanoseconds) = (meta.ctime(), meta.ctime_nsec());
            (meta.dev(), meta.ino(), meta.len(), seconds, nanoseconds)
        }))
    }
}

impl PublishedTree {
    /// Loads the tree at `path`; `None` when nothing there was made by copycds.
    ///
    /// # Errors
    /// When its record cannot be read.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let stamps = stamps(path);
        let Some(record) = TreeRecord::load(path)? else {
            return Ok(None);
        };
        #[cfg(test)]
        count_read(0);
        Ok(Some(Self {
            record,
            dir: TreeDir::open(path)?,
            stamps,
            contents: OnceCell::new(),
        }))
    }

    /// Loads the tree at the target of an import; `None` when there is nothing, or an empty directory.
    ///
    /// # Errors
    /// When something else is there, or its record cannot be read.
    pub fn load_target(target: &Path) -> Result<Option<Self>> {
        if !is_occupied(target)? {
            return Ok(None);
        }
        match Self::load(target)? {
            Some(tree) => Ok(Some(tree)),
            None => bail!(
                "{} exists and was not made by copycds (it has no {RECORD}): move it away and run again",
                target.display()
            ),
        }
    }

    /// Returns its manifest and the names of all that is in it, which are read the first time only.
    ///
    /// # Errors
    /// When they cannot be read, or record and manifest do not name the same discs.
    pub fn contents(&self) -> Result<&TreeContents> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents);
        }
        #[cfg(test)]
        count_read(1);
        let manifest = self.load_manifest()?;
        let (dirs, others) = walk(&self.dir)?;
        Ok(self.contents.get_or_init(|| TreeContents {
            manifest,
            dirs,
            others,
        }))
    }

    fn load_manifest(&self) -> Result<Manifest> {
        let tree = self.dir.path();
        let path = tree.join(MANIFEST);
        let reading = || format!("reading {}", path.display());
        let manifest = Manifest::parse(&fs::read(&path).with_context(reading)?);
        let manifest = manifest.with_context(reading)?;
        let labels = self.record.discs.iter().map(|disc| &disc.label);
        ensure!(
            labels.eq(manifest.discs.iter().map(|disc| &disc.label)),
            "{RECORD} and {MANIFEST} in {} do not name the same discs: one of them was changed; \
             move the tree away and import its discs again",
            tree.display()
        );
        Ok(manifest)
    }

    /// Returns whether the same tree is still published at its path, with the same record and manifest.
    pub fn is_published(&self) -> bool {
        let path = self.dir.path();
        is_at(self.dir.fd(), path) && stamps(path) == self.stamps
    }

    /// Returns whether all that was loaded of it still holds: somebody may have put a file into it.
    ///
    /// # Errors
    /// When a directory of it cannot be read.
    pub fn is_current(&self) -> Result<bool> {
        if !self.is_published() {
            return Ok(false);
        }
        let Some(contents) = self.contents.get() else {
            return Ok(true);
        };
        let (dirs, others) = walk(&self.dir)?;
        Ok(dirs == contents.dirs && others == contents.others)
    }

    /// Returns its directory.
    pub(super) fn dir(&self) -> &TreeDir {
        &self.dir
    }
}

#[cfg(test)]
thread_local! {
    static READS: std::cell::Cell<[usize; 2]> = const { std::cell::Cell::new([0; 2]) };
}

/// How many records, and how many contents of trees, this thread has read.
#[cfg(test)]
pub(super) fn reads() -> [usize; 2] {
    READS.get()
}

#[cfg(test)]
fn count_read(what: usize) {
    let mut reads = READS.get();
    reads[what] += 1;
    READS.set(reads);
}

fn stamps(tree: &Path) -> [FileStamp; 2] {
    [RECORD, MANIFEST].map(|name| FileStamp::of(&tree.join(name)))
}

/// Returns whether a directory with something in it is at `target`.
///
/// # Errors
/// When something is there that is no directory.
pub(super) fn is_occupied(target: &Path) -> Result<bool> {
    let reading = || format!("reading {}", target.display());
    let meta = match fs::symlink_metadata(target) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(reading),
    };
    let is = match meta.file_type() {
        kind if kind.is_dir() => {
            return Ok(fs::read_dir(target).with_context(reading)?.next().is_some());
        }
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_file() => "a file",
        _ => "not a directory",
    };
    bail!(
        "{} is {is}, where the tree would be published: move it away and run again",
        target.display()
    );
}
