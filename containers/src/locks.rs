//! One writer at a time for a container: whoever comes second waits, and then finds it done.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;

/// How long another run may be at work on the same container.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Takes the lock of a node's container on this machine.
pub(crate) fn of(node: &str) -> Result<Lock> {
    let directory = if nix::unistd::geteuid().is_root() {
        PathBuf::from("/run/slipway")
    } else {
        PathBuf::from(
            std::env::var_os("XDG_RUNTIME_DIR")
                .context("finding a place for locks: XDG_RUNTIME_DIR is not set")?,
        )
    };
    let path = directory.join("containers").join(format!("{node}.lock"));
    Lock::acquire_private(&path, TIMEOUT, &mut |_| {})
}
