//! The root of the node: the image, which nobody writes to, and memory over it for what is written.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use definitions::NetbootParameters;
use nix::mount::MsFlags;
use nix::unistd::{chdir, chroot};

use super::console::Console;
use super::drivers::Drivers;
use super::mounts::{mount_at, move_mount};
use super::overlay;

/// Where the root is until it is the root.
pub(super) const ROOT: &str = "/newroot";
const IMAGE: &str = "/image";
const OVERLAY: &str = "/overlay";
/// What systems call their init.
const INITS: [&str; 3] = [
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
];
/// What of the initrd nobody needs any more, some of it secret.
const LEFT_OVERS: [&str; 3] = ["/lib", "/slipway", "/sbin"];

/// Mounts the image that is on a device, and an overlay over it.
pub(super) fn mount_root(
    device: &Path,
    parameters: &NetbootParameters,
    drivers: &Drivers,
    console: &Console,
) -> Result<()> {
    let fs_type = parameters.image.fs_type;
    for module in [fs_type.name(), "overlay"] {
        drivers.insert(module, "")?;
    }
    let read_only = MsFlags::MS_RDONLY;
    mount_at(
        &device.display().to_string(),
        Path::new(IMAGE),
        fs_type.name(),
        read_only,
        "",
    )?;
    let (image, overlay) = (Path::new(IMAGE), Path::new(OVERLAY));
    overlay::mount_memory(parameters, drivers, (image, overlay), console)?;
    for name in ["upper", "work"] {
        let path = overlay.join(name);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
    }
    let options = format!("lowerdir={IMAGE},upperdir={OVERLAY}/upper,workdir={OVERLAY}/work");
    mount_at(
        "overlay",
        Path::new(ROOT),
        "overlay",
        MsFlags::empty(),
        &options,
    )
}

/// Makes the root the root of this process, and frees what the initrd takes.
pub(super) fn switch() -> Result<()> {
    let root = Path::new(ROOT);
    for directory in ["dev", "proc", "sys"] {
        let target = root.join(directory);
        fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
        move_mount(&Path::new("/").join(directory), &target)?;
    }
    for left in LEFT_OVERS {
        // memory only: a file that stays is hidden by the root
        let _ = fs::remove_dir_all(left);
    }
    chdir(root).context("entering the root")?;
    move_mount(Path::new("."), Path::new("/"))?;
    chroot(".")
        .and_then(|()| chdir("/"))
        .context("changing the root")
}

/// Becomes the system's init; returns only when there is none.
pub(super) fn start_init() -> Result<()> {
    for init in INITS {
        if !Path::new(init).exists() {
            continue;
        }
        let arguments = std::env::args_os().skip(1);
        let error = Command::new(init).args(arguments).env_clear().exec();
        return Err(error).with_context(|| format!("starting {init}"));
    }
    bail!(
        "the root image has no init: neither {}",
        INITS.join(" nor ")
    )
}
