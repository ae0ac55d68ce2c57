//! The files of the catalog: a writer's lock, and replacing one with the mode that it has.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{Lock, remove_staged, sync_directory, write_atomic};

/// How long another writer may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits for the lock of a directory of definitions; it is held until the file is dropped, or its
/// process ends however it may.
pub(super) fn lock(directory: &Path) -> Result<Lock> {
    make_directory(directory)?;
    Lock::acquire(&directory.join(".lock"), LOCK_TIMEOUT, &mut |_| {})
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
pub(super) fn replace(path: &Path, text: &str, readers: Readers) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    make_directory(directory)?;
    // The writers' lock is ours: whoever began one of these is dead.
    remove_staged(path).with_context(|| format!("clearing {}", directory.display()))?;
    let mode = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => bail!(
            "writing {}: it is a symbolic link, which would be lost; change the file that it names",
            path.display()
        ),
        _ if readers == Readers::Owner => 0o600,
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(_) => 0o644,
    };
    write_atomic(path, text.as_bytes(), mode).with_context(|| format!("writing {}", path.display()))
}

/// Removes a file for good.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => {
            let directory = path.parent().unwrap_or(Path::new("."));
            sync_directory(directory).with_context(|| format!("syncing {}", directory.display()))
        }
    }
}

/// Makes a directory and what leads to it, for everybody to read, whatever the umask.
fn make_directory(directory: &Path) -> Result<()> {
    let making = || format!("making the directory {}", directory.display());
    if directory.is_dir() || directory.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directory(parent)?;
    }
    match fs::create_dir(directory) {
        // Another writer was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made
            .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o755)))
            .with_context(making),
    }
}
