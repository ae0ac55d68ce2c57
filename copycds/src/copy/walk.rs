//! What stands in a published tree: its directories and everything else, by name.
//!
//! No link is followed. Names are bytes, as on media.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};

use super::staging::TreeDir;
use crate::media::MediumPath;

/// Lists the directories beneath `dir`, sorted, and everything else beneath it.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn walk(dir: &TreeDir) -> Result<(Vec<MediumPath>, BTreeSet<MediumPath>)> {
    let mut dirs: Vec<MediumPath> = Vec::new();
    let mut others = BTreeSet::new();
    let mut todo = vec![None];
    while let Some(parent) = todo.pop() {
        let parent: Option<MediumPath> = parent;
        let path = match &parent {
            Some(parent) => dir.path().join(parent.as_path()),
            None => dir.path().to_path_buf(),
        };
        let context = || format!("reading the directory {}", path.display());
        for entry in fs::read_dir(&path).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name();
            let bytes = match &parent {
                Some(parent) => [parent.as_bytes(), name.as_bytes()].join(&b'/'),
                None => name.as_bytes().to_vec(),
            };
            let found = MediumPath::new(bytes).map_err(anyhow::Error::msg)?;
            if entry.file_type().with_context(context)?.is_dir() {
                todo.push(Some(found.clone()));
                dirs.push(found);
            } else {
                others.insert(found);
            }
        }
    }
    dirs.sort();
    Ok((dirs, others))
}
