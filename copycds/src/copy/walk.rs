//! What is in a published tree: its directories and everything else, by name.
//!
//! No link is followed. Names are bytes, as on media.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::tree_dir::TreeDir;
use crate::media::MediumPath;

/// Lists the directories in `dir` at any depth, sorted, and everything else in it.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn walk(dir: &TreeDir) -> Result<(Vec<MediumPath>, BTreeSet<MediumPath>)> {
    let root = dir.path();
    let (mut dirs, mut others) = (Vec::new(), BTreeSet::new());
    // Links are listed and not followed, which is what WalkDir does unless it is asked to.
    for entry in WalkDir::new(root).min_depth(1).follow_root_links(false) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).display().to_string();
            anyhow::Error::from(io::Error::from(error)).context(format!("reading {path}"))
        })?;
        let path = entry.path().strip_prefix(root).context("reading names")?;
        let path = MediumPath::new(path.as_os_str().as_bytes()).map_err(anyhow::Error::msg)?;
        if entry.file_type().is_dir() {
            dirs.push(path);
        } else {
            others.insert(path);
        }
    }
    dirs.sort();
    Ok((dirs, others))
}
