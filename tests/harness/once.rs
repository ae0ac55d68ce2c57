//! A directory that many tests need, and that takes long to make.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use crate::bin::workspace;

/// A directory below `target`, made by the first test of a process that needs it; others wait meanwhile.
#[derive(Debug)]
pub struct MadeOnce {
    name: &'static str,
    is_made: Mutex<bool>,
}

impl MadeOnce {
    /// Names it.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_made: Mutex::new(false),
        }
    }

    /// Returns it; what an earlier process made is removed before it is made.
    pub fn get(&self, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let dir = workspace().join("target").join(self.name);
        let mut is_made = self.is_made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_made {
            if dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            make(&dir)?;
            *is_made = true;
        }
        Ok(dir)
    }
}
