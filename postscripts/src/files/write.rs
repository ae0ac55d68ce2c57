//! Files written whole: everything is set and flushed before the name counts.
//!
//! Nothing is followed: what is at a path is replaced or removed itself, be it a link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Where the file that shall be at `place` waits for its turn.
pub(super) fn staged(place: &Path) -> PathBuf {
    hidden(place, "new")
}

/// Where the file that was at `place` waits in case it has to come back.
pub(super) fn kept(place: &Path) -> PathBuf {
    hidden(place, "old")
}

/// A name that nobody reads configuration from: hidden, and with another ending.
fn hidden(place: &Path, what: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.slipway-{what}"))
}

/// Writes a new file and flushes it; its mode is the final one before its first byte is there.
pub(super) fn create(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = (|| {
        if let Some((uid, gid)) = owner {
            let meta = file.metadata()?;
            if (meta.uid(), meta.gid()) != (uid, gid) {
                fchown(&file, Some(uid), Some(gid))?;
            }
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Puts a file in place in one moment, so that it survives a loss of power.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = staged(path);
    create(&new, bytes, mode, None)?;
    fs::rename(&new, path)?;
    sync_parent(path)
}

/// Removes a file; that there is none is fine, and on a read-only disk too.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path).and_then(|_| fs::remove_file(path)) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// Makes the names in a file's directory survive a loss of power; an absent directory has none.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().map(File::open) {
        Some(Err(err)) if err.kind() != ErrorKind::NotFound => Err(err),
        Some(Ok(dir)) => dir.sync_all(),
        _ => Ok(()),
    }
}
