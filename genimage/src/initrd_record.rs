//! `<tree>/.slipway/initrd.json`: which initrd of a tree was read through and can install over a network.
//!
//! An initrd of 40 MB takes a third of a second to unpack, and is the same in every run. The record names the file as it
//! was: its path, and the device, inode, length and time of change that the kernel keeps, so that a file which was
//! replaced or written to is read again. Only a good answer is kept. A record that cannot be read or written is none: who
//! may not write to the tree reads the initrd each time.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use definitions::{InstallDir, write_atomic};
use serde::{Deserialize, Serialize};

/// No record is longer.
const MAX_BYTES: u64 = 4096;

/// An initrd that can install over a network, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitrdRecord {
    /// The path below the tree.
    initrd: String,
    device: u64,
    inode: u64,
    bytes: u64,
    /// When the file or its metadata was last changed: seconds and nanoseconds. No program can set this time.
    changed: (i64, i64),
}

impl InitrdRecord {
    /// Describes the initrd of a tree as it is now.
    pub(crate) fn of(tree: &Path, initrd: &str) -> io::Result<Self> {
        let metadata = fs::metadata(tree.join(initrd))?;
        Ok(Self {
            initrd: initrd.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether the tree's record is of this initrd, unchanged.
    pub(crate) fn is_kept_in(&self, tree: &Path) -> bool {
        let path = tree.join(InstallDir::INITRD_RECORD);
        let is_small = |path: &Path| {
            let metadata = fs::symlink_metadata(path).ok()?;
            (metadata.is_file() && metadata.len() <= MAX_BYTES).then_some(())
        };
        let kept = is_small(&path).and_then(|()| fs::read(&path).ok());
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        kept.as_ref() == Some(self)
    }

    /// Keeps it with the tree, if this user may.
    pub(crate) fn keep_in(&self, tree: &Path) {
        let path = tree.join(InstallDir::INITRD_RECORD);
        let is_imported = path.parent().is_some_and(Path::is_dir);
        if let Ok(bytes) = serde_json::to_vec(self)
            && is_imported
        {
            // without it the next run reads the initrd again
            let _ = write_atomic(&path, &bytes, 0o644);
        }
    }
}
