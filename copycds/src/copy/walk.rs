//! What is in a published tree: its directories and everything else, by name.
//!
//! No link is followed. Names are bytes, as on media. The site's signatures are no part of what was published.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::InstallDir;
use walkdir::{DirEntry, WalkDir};

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
    let signed = root.join(InstallDir::SIGNED);
    let entries = WalkDir::new(root).min_depth(1).follow_root_links(false);
    let of_discs = |entry: &DirEntry| !is_signed_view(entry.path(), &signed);
    for entry in entries.into_iter().filter_entry(of_discs) {
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

/// Whether a directory is what slipway-trust makes beside the record, or was making when it was killed.
fn is_signed_view(path: &Path, signed: &Path) -> bool {
    let is_beside = path.parent() == signed.parent();
    let name = path.file_name().unwrap_or_default().as_bytes();
    path == signed || is_beside && name.starts_with(b".signed-")
}
