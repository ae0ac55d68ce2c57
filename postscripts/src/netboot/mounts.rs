//! Mounts, with what they are for when one fails.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// Mounts a file system, at a directory that is made where it is missing.
pub(super) fn mount_at(
    source: &str,
    target: &Path,
    fs_type: &str,
    flags: MsFlags,
    options: &str,
) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("making {}", target.display()))?;
    let options = Some(options).filter(|options| !options.is_empty());
    mount(Some(source), target, Some(fs_type), flags, options)
        .map_err(io::Error::from)
        .with_context(|| format!("mounting {source} ({fs_type}) at {}", target.display()))
}

/// Mounts one of the kernel's file systems, unless it is there already.
pub(super) fn mount_kernel(fs_type: &str, target: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID;
    let flags = match fs_type {
        "devtmpfs" => flags,
        _ => flags | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV,
    };
    match mount_at(fs_type, Path::new(target), fs_type, flags, "") {
        Err(error) if is_mounted(&error) => Ok(()),
        result => result,
    }
}

fn is_mounted(error: &anyhow::Error) -> bool {
    let busy = |cause: &io::Error| cause.kind() == io::ErrorKind::ResourceBusy;
    error.downcast_ref().is_some_and(busy)
}

/// Moves a mount.
pub(super) fn move_mount(from: &Path, to: &Path) -> Result<()> {
    change(from, to, MsFlags::MS_MOVE)
        .with_context(|| format!("moving {} to {}", from.display(), to.display()))
}

/// Makes a directory appear at another place too; both are made where they are missing.
pub(super) fn bind(from: &Path, to: &Path) -> Result<()> {
    for directory in [from, to] {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    change(from, to, MsFlags::MS_BIND)
        .with_context(|| format!("mounting {} at {}", from.display(), to.display()))
}

fn change(from: &Path, to: &Path, flags: MsFlags) -> io::Result<()> {
    let none = None::<&str>;
    Ok(mount(Some(from), to, none, flags, none)?)
}
