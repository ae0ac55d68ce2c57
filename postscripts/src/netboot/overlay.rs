//! Memory over the image for what is written to the root: a tmpfs, or a device that compresses it, with ext4 on it.
//!
//! Either has a bound, and what does not fit is refused by the file system: `No space left on device`. The device is as large
//! as that bound, so that it never takes more, however badly its content compresses.
//! Reference: Documentation/admin-guide/blockdev/zram.rst.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use definitions::{MemoryBound, NetbootParameters, OverlayDevice};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};

use super::console::Console;
use super::drivers::Drivers;
use super::memory;
use super::mounts::{bind, mount_at};
use crate::program;

/// The most memory that what is written to the root may take, where the definition says nothing.
const MEMORY_SHARE: &str = "25%";
/// The device that compresses.
const ZRAM: &str = "/dev/zram0";
const ZRAM_SIZE: &str = "/sys/block/zram0/disksize";
/// What makes ext4 on it: nothing of it outlives the machine, and whoever writes is root.
const MKFS: &str = "mkfs.ext4";
const MKFS_OPTIONS: [&str; 7] = ["-q", "-F", "-m", "0", "-O", "^has_journal", ZRAM];

/// What is mounted over the image.
#[derive(Debug, PartialEq, Eq)]
enum OverlayPlan {
    /// A tmpfs, by these options.
    Tmpfs(String),
    /// A device of so many bytes.
    Zram(u64),
}

impl OverlayPlan {
    fn of(device: OverlayDevice, bound: Option<&MemoryBound>, memory: u64) -> Result<Self> {
        let share = MEMORY_SHARE.parse()?;
        let bound = bound.unwrap_or(&share);
        Ok(match device {
            OverlayDevice::Tmpfs => Self::Tmpfs(format!("size={bound},mode=0755")),
            OverlayDevice::Zram => Self::Zram(bound.bytes(memory)),
        })
    }
}

/// Mounts memory at a directory. `image` is the root image, whose program makes ext4.
///
/// # Errors
/// When the kernel has no such device, or the image no such program.
pub(super) fn mount_memory(
    parameters: &NetbootParameters,
    drivers: &Drivers,
    (image, target): (&Path, &Path),
    console: &Console,
) -> Result<()> {
    let bound = parameters.overlay_memory.as_ref();
    match OverlayPlan::of(parameters.overlay, bound, memory::total()?)? {
        OverlayPlan::Tmpfs(options) => {
            mount_at("tmpfs", target, "tmpfs", MsFlags::empty(), &options)
        }
        OverlayPlan::Zram(bytes) => {
            for module in ["zram", "ext4"] {
                drivers.insert(module, "")?;
            }
            fs::write(ZRAM_SIZE, bytes.to_string())
                .with_context(|| format!("giving {ZRAM} {bytes} bytes"))?;
            make_file_system(image).with_context(|| format!("making ext4 on {ZRAM}"))?;
            // what is removed gives its memory back
            mount_at(ZRAM, target, "ext4", MsFlags::MS_NOATIME, "discard")?;
            console.say(format!(
                "what is written to the root is compressed in memory: {} MiB at most",
                bytes >> 20
            ));
            Ok(())
        }
    }
}

/// Has the image's own program make the file system, by which alone the image's libraries are found.
fn make_file_system(image: &Path) -> Result<()> {
    let devices = image.join("dev");
    bind(Path::new("/dev"), &devices)?;
    let made = run_inside(image, MKFS, &MKFS_OPTIONS);
    umount2(&devices, MntFlags::MNT_DETACH)
        .with_context(|| format!("unmounting {}", devices.display()))?;
    let made = made?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(
        made.status.success(),
        "{MKFS} ended with {}: {}",
        made.status,
        program::last_lines(&said)
    );
    Ok(())
}

/// Runs a program of a root that is not this process's own: a thread has that root, and so has what it starts.
fn run_inside(root: &Path, name: &'static str, arguments: &'static [&str]) -> Result<Output> {
    let inside = root.to_owned();
    let ran = thread::spawn(move || {
        unshare(CloneFlags::CLONE_FS).context("giving a thread a root of its own")?;
        chroot(&inside)
            .and_then(|()| chdir("/"))
            .with_context(|| format!("entering {}", inside.display()))?;
        let found = program::find(name).with_context(|| {
            format!(
                "the root image has no {name}: add e2fsprogs to the osimage's pkglist, then genimage, packimage and nodeset"
            )
        })?;
        let mut command = Command::new(&found);
        command.args(arguments).stdin(Stdio::null()).env_clear();
        let output = command.env("LC_ALL", "C").output();
        output.with_context(|| format!("starting {}", found.display()))
    });
    ran.join()
        .map_err(|_| anyhow!("running {name} in {}", root.display()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_has_a_bound_in_either_form() {
        let (tmpfs, zram) = (OverlayDevice::Tmpfs, OverlayDevice::Zram);
        let options = |size: &str| OverlayPlan::Tmpfs(format!("size={size},mode=0755"));
        for (device, bound, expected) in [
            (tmpfs, None, options("25%")),
            (tmpfs, Some("40%"), options("40%")),
            (tmpfs, Some("2G"), options("2G")),
            (zram, None, OverlayPlan::Zram(1 << 30)),
            (zram, Some("50%"), OverlayPlan::Zram(2 << 30)),
            (zram, Some("512M"), OverlayPlan::Zram(512 << 20)),
        ] {
            let bound = bound.map(|bound| bound.parse::<MemoryBound>().unwrap());
            let plan = OverlayPlan::of(device, bound.as_ref(), 4 << 30).unwrap();
            assert_eq!(plan, expected);
        }
    }
}
