//! What is built in, written out to be edited. Never writes over a file.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Library, embedded};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    /// It is new.
    Written(PathBuf),
    /// The same text is there already.
    Same(PathBuf),
    /// Another text is there, and is kept.
    Kept(PathBuf),
}

impl Library {
    /// Writes what is built in below a directory, by name; an existing file is kept.
    ///
    /// # Errors
    /// When a file can be neither written nor compared.
    pub fn export(&self, directory: &Path) -> Result<Vec<Exported>> {
        embedded::all()
            .map(|(name, text)| {
                let path = directory.join(name);
                write(&path, text).with_context(|| format!("writing {}", path.display()))
            })
            .collect()
    }
}

fn write(path: &Path, text: &str) -> Result<Exported> {
    let parent = path.parent().context("it has no directory")?;
    fs::create_dir_all(parent)?;
    let mut file = tempfile::Builder::new()
        .prefix(".export-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            File::open(parent)?.sync_all()?;
            Ok(Exported::Written(path.to_path_buf()))
        }
        Err(err) if err.error.kind() == std::io::ErrorKind::AlreadyExists => {
            let same = fs::read(path)? == text.as_bytes();
            let path = path.to_path_buf();
            Ok(if same {
                Exported::Same(path)
            } else {
                Exported::Kept(path)
            })
        }
        Err(err) => Err(err.error.into()),
    }
}
