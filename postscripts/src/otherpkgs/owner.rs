//! Whether root alone can have written a file: it, and every directory above it, belongs to root, and nobody
//! else may write there.
//!
//! A path comes in, the one without links that it leads to goes out: what is read later is what was looked at.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Returns the path without links, if root alone can have written what it leads to.
///
/// # Errors
/// Who else could have, or that it cannot be looked at.
pub(super) fn of_root_alone(path: &Path) -> Result<PathBuf> {
    let file = path
        .canonicalize()
        .with_context(|| format!("looking at {}", path.display()))?;
    for part in file.ancestors() {
        let looked = part
            .symlink_metadata()
            .with_context(|| format!("looking at {}", part.display()))?;
        if looked.uid() != 0 {
            bail!(
                "{} belongs to user {}, and only what is root's counts: have it belong to root",
                part.display(),
                looked.uid()
            );
        }
        // In a sticky directory nobody replaces what is root's; and root's group is root.
        let sticky = looked.is_dir() && looked.mode() & 0o1000 != 0;
        let group = looked.mode() & 0o020 != 0 && looked.gid() != 0;
        if !sticky && (group || looked.mode() & 0o002 != 0) {
            bail!(
                "others than root may write to {}, and only what is root's counts: chmod go-w {}",
                part.display(),
                part.display()
            );
        }
    }
    Ok(file)
}
