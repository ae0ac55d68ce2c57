//! What our programs keep between their runs: it counts only where root alone can have put it.

use std::fs;
use std::path::{Path, absolute};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;

use super::own_user;
use super::program::check_ways;
use crate::files::{self, under_root};

/// Says that root alone can have made the file or directory at `path`, and filled what leads to it; of one that is not
/// there yet, what exists of the way to it is looked at.
///
/// # Errors
/// When somebody else may change it or what leads to it. Who is not root has nothing that others could get by it.
pub(crate) fn check_state(root: &Path, path: &Path) -> Result<()> {
    let there = path
        .ancestors()
        .find(|part| under_root(root, part).exists());
    let Some(there) = there.filter(|_| own_user() == 0) else {
        return Ok(());
    };
    let place = under_root(root, there);
    let base = fs::canonicalize(root).with_context(|| format!("looking at {}", root.display()))?;
    let real =
        fs::canonicalize(&place).with_context(|| format!("looking at {}", there.display()))?;
    let inside = real.strip_prefix(&base).unwrap_or(&real);
    check_ways(root, &base, there, inside)
}

/// Loads a file of ours, wherever it lies; `None` where there is none.
///
/// # Errors
/// As for [`check_state`], and when it is no regular file.
pub(crate) fn load_state(path: &Path) -> Result<Option<Vec<u8>>> {
    check_state(Path::new("/"), &absolute(path)?)?;
    Ok(files::load(path)?.map(|(bytes, _)| bytes))
}

/// The same, when it must be text.
///
/// # Errors
/// The same, and when it is not text.
pub(crate) fn load_state_text(path: &Path) -> Result<Option<String>> {
    let text = load_state(path)?.map(String::from_utf8).transpose().ok();
    text.with_context(|| format!("{} is not text", path.display()))
}

/// Takes a lock in a directory of ours, which is made for root alone if need be.
///
/// # Errors
/// As for [`check_state`], and when somebody else holds it all the while.
pub(crate) fn lock_state(
    path: &Path,
    timeout: Duration,
    waiting: &mut dyn FnMut(&str),
) -> Result<Lock> {
    check_state(Path::new("/"), &absolute(path)?)?;
    Lock::acquire_private(path, timeout, waiting)
}
