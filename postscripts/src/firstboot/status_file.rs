//! The status on the disk: written whole after every event, and readable in whatever state it is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;
use time::OffsetDateTime;

use super::paths::NodePaths;
use super::record::Status;
use super::report::step;
use crate::files;
use crate::owner::{check_state, load_state};

/// Loads the status; one that cannot be read is renamed and reported, and everything is as if nothing had run.
pub(super) fn load(paths: &NodePaths) -> Result<Status> {
    let path = paths.status();
    let problem = match load_state(&path) {
        Ok(None) => return Ok(Status::default()),
        Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
            Ok(status) => return Ok(status),
            Err(error) => error.to_string(),
        },
        Err(error) => format!("{error:#}"),
    };
    let kept = paths.damaged();
    fs::rename(&path, &kept)
        .with_context(|| format!("moving {} aside, which cannot be read", path.display()))?;
    step(format!(
        "{} cannot be read ({problem}): it is kept as {}, and the scripts run again",
        path.display(),
        kept.display()
    ));
    Ok(Status::default())
}

/// Puts the status on the disk.
pub(super) fn save(paths: &NodePaths, status: &mut Status) -> Result<()> {
    status.time = now();
    let mut bytes = serde_json::to_vec_pretty(status)?;
    bytes.push(b'\n');
    // What scripts print may be nobody else's business.
    let path = paths.status();
    files::replace(&path, &bytes, 0o600).with_context(|| format!("writing {}", path.display()))
}

/// Lets one run at a time work; the lock goes with the process.
pub(super) fn lock(paths: &NodePaths) -> Result<Lock> {
    let path = paths.lock();
    let parent = path.parent().context("a lock is in a directory")?;
    check_state(Path::new("/"), parent)?;
    files::ensure_dir(parent, 0o755)?;
    Lock::acquire(&path, Duration::ZERO, &mut |_| {}).context("another firstboot is at work")
}

/// Returns the kernel's name of this boot; an empty one where it has none.
pub(super) fn boot_id(paths: &NodePaths) -> String {
    definitions::boot_id(paths.root()).unwrap_or_default()
}

/// Returns the time in the form of RFC 3339.
pub(super) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (date, time) = (now.date(), now.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}
