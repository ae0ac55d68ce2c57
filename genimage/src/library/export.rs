//! What is built in, written out to be edited. Never writes over a file.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::AtomicFile;

use super::{Library, embedded};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    /// It is new.
    Written(PathBuf),
    /// It stands there already, word for word.
    Same(PathBuf),
    /// Another text stands there, and stays.
    Kept(PathBuf),
}

impl Library {
    /// Writes what is built in beneath a directory, by name; what stands there stays.
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
    let mut file = AtomicFile::create(path, 0o644)?;
    file.write_all(text.as_bytes())?;
    match file.commit_new() {
        Ok(()) => Ok(Exported::Written(path.to_path_buf())),
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {
            let same = fs::read(path)? == text.as_bytes();
            let path = path.to_path_buf();
            Ok(if same {
                Exported::Same(path)
            } else {
                Exported::Kept(path)
            })
        }
        Err(err) => Err(err.into()),
    }
}
