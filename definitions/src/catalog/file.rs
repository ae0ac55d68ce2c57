//! Files that are replaced whole: a writer's lock, and writing by rename.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Lock;

/// How long another writer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the lock of a directory of definitions; it is held until the file is dropped, or its
/// process ends however it may.
pub(super) fn lock(directory: &Path) -> Result<Lock> {
    make_directory(directory)?;
    Lock::take(&directory.join(".lock"), PATIENCE, &mut |_| {})
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever may read the file that is replaced; everybody where there is none.
    All,
    /// Its owner alone, whoever could read it before.
    Owner,
}

/// Replaces a file: readers see the old content or the new, and so does the next boot.
///
/// The caller holds the lock, so that what an earlier writer left behind may be cleared.
pub(super) fn replace(path: &Path, text: &str, readers: Readers) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    make_directory(directory)?;
    let mode = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => bail!(
            "writing {}: it is a symbolic link, which would be lost; change the file that it names",
            path.display()
        ),
        _ if readers == Readers::Owner => 0o600,
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(_) => 0o644,
    };
    let staged = staged(path);
    let outcome = stage(&staged, text, mode).and_then(|()| fs::rename(&staged, path));
    if outcome.is_err() {
        // The first error is the one to report; what cannot be removed now is cleared next time.
        let _ = fs::remove_file(&staged);
    }
    outcome.with_context(|| format!("writing {}", path.display()))?;
    sync_directory(directory)
}

/// Removes a file for good.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => sync_directory(path.parent().unwrap_or(Path::new("."))),
    }
}

/// Names the hidden file beside `path` that the new content is written to.
fn staged(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Writes the new content beside the old one.
fn stage(staged: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    if let Err(error) = fs::remove_file(staged)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(staged)?;
    // The umask may have taken bits that the old file has.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes a directory and what leads to it.
fn make_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .with_context(|| format!("making the directory {}", directory.display()))
}

/// Makes renames and removals in a directory last.
fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("syncing {}", directory.display()))
}
