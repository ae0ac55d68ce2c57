//! Where a diskless node keeps what must not be in its overlay: a file system with the label of the definition, or memory.
//!
//! It is mounted once the image is the root, by the drivers of the image: the initrd has none for disks.
//!
//! Docker's layers cannot be on an overlay (the kernel refuses one as `upperdir`, and dockerd falls back to vfs without a
//! word), so that they have a file system of their own either way.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::StateLabel;
use nix::mount::MsFlags;
use nix::sys::statvfs::statvfs;

use super::console::Console;
use super::drivers::{devices, names_in};
use super::mounts::{bind, mount_at};
use super::superblock::{HEAD_BYTES, StateFs, identify};
use crate::program;

/// How long a disk may take to appear.
const DISK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the drivers of a machine may take to load.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The most memory that state may take, where it is in memory.
const MEMORY_SHARE: &str = "size=50%,mode=0755";
/// Below this much free space a disk is reported as full.
const MIN_FREE: u64 = 64 << 20;

/// Where state is in the running system.
pub(super) const STATE: &str = "/var/lib/slipway/state";

/// What is kept there, and where programs expect it: the engine's layers, and those of containerd.
const LAYERS: [(&str, &str); 2] = [
    ("docker", "/var/lib/docker"),
    ("containerd", "/var/lib/containerd"),
];
/// What is worth keeping over a boot only: the engine's key and certificate, and the authority that its clients trust.
const KEPT: [(&str, &str); 2] = [
    ("docker-tls", "/etc/docker/tls"),
    ("slipway", "/etc/slipway"),
];

/// Mounts the state, and at the places where programs expect parts of it.
///
/// # Errors
/// When no file system has the label, several have, or it cannot be mounted: the node is not started without its state.
pub(super) fn mount_state(label: Option<&StateLabel>, console: &Console) -> Result<()> {
    let state = Path::new(STATE);
    match label {
        None => mount_at("tmpfs", state, "tmpfs", MsFlags::empty(), MEMORY_SHARE)?,
        Some(label) => {
            let (device, fs_type) = wait_for(label)?;
            // the kernel would look for a helper in the initrd, which is gone
            modprobe([fs_type]);
            mount_at(&device, state, fs_type, MsFlags::MS_NOATIME, "")
                .with_context(|| format!("the state's file system '{label}'"))?;
            let free =
                statvfs(state).context("reading how much of the state's file system is free")?;
            console.say(format!(
                "state is kept on {device} ({fs_type}, label {label})"
            ));
            if free.blocks_available() * free.fragment_size() < MIN_FREE {
                console.say(format!(
                    "{device} is full: containers will not start until something is removed from it"
                ));
            }
        }
    }
    let kept = KEPT.iter().filter(|_| label.is_some());
    for (name, path) in LAYERS.iter().chain(kept) {
        bind(&state.join(name), Path::new(path))?;
    }
    Ok(())
}

/// Returns a path of a root as it is now.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Waits for the one device whose file system has the label.
fn wait_for(label: &StateLabel) -> Result<(String, &'static str)> {
    let began = Instant::now();
    let mut done = BTreeSet::new();
    loop {
        load_drivers(&mut done);
        let found = labelled(Path::new("/sys/class/block"), Path::new("/dev"))?;
        if let Some(found) = choose(&found, label)? {
            return Ok(found);
        }
        if began.elapsed() > DISK_TIMEOUT {
            return Err(missing(&found, label));
        }
        sleep(POLL_INTERVAL);
    }
}

/// Has the image's own modprobe(8) load its drivers for devices that were not there before. What the kernel has built in
/// needs none, so that a failure shows as a disk that is missing.
fn load_drivers(done: &mut BTreeSet<String>) {
    let mut new = devices(Path::new("/sys"));
    new.retain(|device| !done.contains(device));
    if !new.is_empty() {
        modprobe(&new);
        done.extend(new);
    }
}

/// Loads modules by their names, or those for devices.
fn modprobe<S: AsRef<OsStr>>(wanted: impl IntoIterator<Item = S>) {
    let Some(modprobe) = program::find("modprobe") else {
        return;
    };
    let mut command = Command::new(modprobe);
    command
        .args(["--all", "--quiet", "--use-blacklist", "--"])
        .args(wanted);
    let _ = program::run(&mut command, Stdio::null(), DRIVER_TIMEOUT);
}

/// Chooses the device with the label, if there is one.
fn choose(
    found: &[(String, StateFs)],
    label: &StateLabel,
) -> Result<Option<(String, &'static str)>> {
    let mut matching = found.iter().filter(|(_, fs)| fs.label == **label);
    let Some((device, fs)) = matching.next() else {
        return Ok(None);
    };
    if let Some((other, _)) = matching.next() {
        bail!(
            "{device} and {other} both have the label '{label}': give one of them another (e2label, xfs_admin -L)"
        );
    }
    Ok(Some((device.clone(), fs.fs_type)))
}

fn missing(found: &[(String, StateFs)], label: &StateLabel) -> anyhow::Error {
    let found: Vec<_> = found
        .iter()
        .map(|(device, fs)| format!("{device} has '{}'", fs.label))
        .collect();
    let found = if found.is_empty() {
        "there is no disk with ext4 or XFS".to_owned()
    } else {
        found.join(", ")
    };
    anyhow::anyhow!(
        "no file system has the label '{label}' for the node's state: {found}; make one (mkfs.ext4 -L {label} DEVICE), or \
         remove the node's statelabel and keep state in memory"
    )
}

/// Lists the devices that have a file system for state. Those that cannot be read have none.
fn labelled(devices: &Path, dev: &Path) -> Result<Vec<(String, StateFs)>> {
    let names = names_in(devices).with_context(|| format!("reading {}", devices.display()))?;
    let is_disk = |name: &String| {
        !["ram", "loop", "zram"]
            .iter()
            .any(|kind| name.starts_with(kind))
    };
    let of = |name: String| {
        let path = dev.join(name);
        let head = read_head(&path).ok()?;
        Some((path.display().to_string(), identify(&head)?))
    };
    Ok(names.into_iter().filter(is_disk).filter_map(of).collect())
}

fn read_head(device: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(device)?
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// Makes the directory that only root may enter, where state keeps the keys of the host.
pub(super) fn private_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let making = || format!("making {}", path.display());
    fs::create_dir_all(path).with_context(making)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(making)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(dev: &Path, name: &str, label: &str) {
        let mut head = vec![0; 4096];
        head[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
        head[1024 + 0x78..][..label.len()].copy_from_slice(label.as_bytes());
        fs::write(dev.join(name), head).unwrap();
    }

    #[test]
    fn state_is_on_the_one_file_system_with_the_label_and_on_no_other() {
        let (devices, dev) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["loop0", "ram0", "sda", "sda1", "sdb", "sdc"] {
            fs::create_dir(devices.path().join(name)).unwrap();
        }
        fs::write(dev.path().join("sda"), "a partition table").unwrap();
        for (name, label) in [("ram0", "docker"), ("sda1", "docker"), ("sdb", "backup")] {
            disk(dev.path(), name, label);
        }
        let found = labelled(devices.path(), dev.path()).unwrap();
        let path = |name: &str| dev.path().join(name).display().to_string();
        let label = |text: &str| text.parse::<StateLabel>().unwrap();
        assert_eq!(
            choose(&found, &label("docker")).unwrap(),
            Some((path("sda1"), "ext4"))
        );
        assert_eq!(choose(&found, &label("state")).unwrap(), None);
        assert_eq!(
            missing(&found, &label("state")).to_string(),
            format!(
                "no file system has the label 'state' for the node's state: {} has 'docker', {} has 'backup'; make one \
                 (mkfs.ext4 -L state DEVICE), or remove the node's statelabel and keep state in memory",
                path("sda1"),
                path("sdb")
            )
        );
        disk(dev.path(), "sdc", "docker");
        let found = labelled(devices.path(), dev.path()).unwrap();
        assert_eq!(
            choose(&found, &label("docker")).unwrap_err().to_string(),
            format!(
                "{} and {} both have the label 'docker': give one of them another (e2label, xfs_admin -L)",
                path("sda1"),
                path("sdc")
            )
        );
    }
}
