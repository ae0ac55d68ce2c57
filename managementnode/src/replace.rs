//! Files that are replaced whole.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file by one rename; it has its mode before its first byte, and survives a loss of power.
///
/// # Errors
/// When the directory cannot be written to; what was there stays.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let directory = match path.parent() {
        Some(parent) if parent == Path::new("") => Path::new("."),
        parent => parent.unwrap_or(Path::new("/")),
    };
    // Hidden: dnsmasq reads every other file of a directory.
    let mut new = tempfile::Builder::new()
        .prefix(".slipway-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)
        .with_context(writing)?;
    let written = new
        .as_file()
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| new.write_all(bytes))
        .and_then(|()| new.as_file().sync_all());
    written.with_context(writing)?;
    new.persist(path)
        .map_err(|error| error.error)
        .with_context(writing)?;
    sync(directory).with_context(writing)
}

/// Removes a file; that there is none is fine.
///
/// # Errors
/// When the file stays.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Reads a text; `None` where there is no file.
///
/// # Errors
/// When it is there and cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
