//! One rename makes a tree appear whole, or nothing.
//!
//! A complete tree in its staging directory comes in; it is at the target when this returns, and
//! what was there before is in the staging directory. Everything is on the disk before the rename, and the
//! rename itself is after it. Killed at any moment, the old tree or the new one is there. Where the file
//! system cannot exchange two directories (NFS), an existing tree is refused rather than taken away for
//! a moment.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat, renameat2};

use super::staging::StagingDir;
use super::write_back;

/// Publishes the tree of `stage` at `target`, exchanging it for what is there if `exchange`.
///
/// # Errors
/// When something cannot be written or renamed; then the target is as it was.
pub(super) fn publish(stage: &StagingDir, target: &Path, exchange: bool) -> Result<()> {
    write_back::sync(&stage.tree)?;
    rename(stage, target, exchange)?;
    let parent = target.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .with_context(|| format!("writing the directory {} to the disk", parent.display()))
}

/// Renames what is in the staging directory that is open, whatever is at its path by now.
fn rename(stage: &StagingDir, to: &Path, exchange: bool) -> Result<()> {
    let (dir, name) = stage.new_tree();
    let flags = if exchange {
        RenameFlags::RENAME_EXCHANGE
    } else {
        RenameFlags::RENAME_NOREPLACE
    };
    match renameat2(dir, name, AT_FDCWD, to, flags) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS) if exchange => Err(anyhow!(
            "the file system of {} cannot exchange two directories: move the existing tree away and \
             run again",
            to.display()
        )),
        // A plain rename takes the place of nothing or of an empty directory, never of a tree.
        Err(Errno::EINVAL | Errno::ENOSYS) => renameat(dir, name, AT_FDCWD, to).map_err(anyhow::Error::from),
        Err(error) => Err(io::Error::from(error).into()),
    }
    .with_context(|| format!("publishing {}", to.display()))
}
