//! Where a diskless node keeps what must not be in its overlay: a file system with the label of the definition, which is made
//! at the first boot if that says so, or memory.
//!
//! It is mounted once the image is the root, by the drivers of the image: the initrd has none for disks.
//!
//! Docker's layers cannot be on an overlay (the kernel refuses one as `upperdir`, and dockerd falls back to vfs without a
//! word), so that they have a file system of their own either way.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{NetbootParameters, StateFallback, StateLabel, StateOnDisk, StatePaths};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::statvfs::statvfs;

use super::console::Console;
use super::drivers::{devices, names_in};
use super::kept_path::keep_path;
use super::mounts::{bind, mount_at};
use super::state_disk::Disks;
use super::superblock::{HEAD_BYTES, StateFs, identify};
use crate::program;

/// How long a disk may take to appear.
const DISK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the drivers of a machine may take to load.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long no further disk may have appeared before the file system is made: the one that has it already may be slow.
const SETTLE_TIME: Duration = Duration::from_secs(10);
/// The most memory that state may take, where it is in memory and the definition says nothing.
const MEMORY_SHARE: &str = "50%";
/// Below this much free space a disk is reported as full.
const MIN_FREE: u64 = 64 << 20;
/// With more free space than this a file system has room for a small file.
const FULL: u64 = 1 << 20;

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

/// Mounts the state, and at the places where programs expect parts of it. Returns whether it is kept over a boot.
///
/// # Errors
/// When it cannot be had as the definition says, and the node is not to be started without it.
pub(super) fn mount_state(parameters: &NetbootParameters, console: &Console) -> Result<bool> {
    let state = Path::new(STATE);
    let is_kept = match &parameters.state {
        None => false,
        Some(wanted) => or_memory(wanted.fallback, mount_disk(wanted, state, console), console)?,
    };
    if !is_kept {
        let memory = parameters.state_memory.as_deref().unwrap_or(MEMORY_SHARE);
        let options = format!("size={memory},mode=0755");
        mount_at("tmpfs", state, "tmpfs", MsFlags::empty(), &options)?;
    }
    for (name, path) in places(is_kept) {
        bind(&state.join(name), Path::new(path))?;
    }
    if let Some(wanted) = parameters.state.as_ref().filter(|_| is_kept) {
        for path in parameters.state_paths.iter().flat_map(StatePaths::iter) {
            let kept = keep_path(Path::new("/"), state, path)
                .and_then(|kept| bind(&kept, Path::new(path)))
                .with_context(|| format!("keeping {path}"));
            or_memory(wanted.fallback, kept, console)?;
        }
    }
    Ok(is_kept)
}

/// What is at other places than the state's own.
fn places(is_kept: bool) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    LAYERS.iter().chain(KEPT.iter().filter(move |_| is_kept))
}

/// Decides what becomes of a node whose state on a disk cannot be had.
fn or_memory(fallback: StateFallback, mounted: Result<()>, console: &Console) -> Result<bool> {
    match (fallback, mounted) {
        (_, Ok(())) => Ok(true),
        (StateFallback::Refuse, Err(error)) => Err(error),
        (StateFallback::Memory, Err(error)) => {
            console.say(format!(
                "{error:#}; this node's state is in memory, and lost when it stops"
            ));
            Ok(false)
        }
    }
}

/// Mounts the file system that keeps state.
fn mount_disk(wanted: &StateOnDisk, state: &Path, console: &Console) -> Result<()> {
    let (device, fs_type) = wait_for(wanted, console)?;
    // the kernel would look for a helper in the initrd, which is gone
    modprobe([fs_type]);
    let label = &wanted.label;
    let free = mount_device(&device, fs_type, state)
        .with_context(|| format!("the state's file system '{label}'"))?;
    console.say(format!(
        "state is kept on {device} ({fs_type}, label {label})"
    ));
    if free < MIN_FREE {
        console.say(format!(
            "{device} is full: containers will not start until something is removed from it"
        ));
    }
    Ok(())
}

/// Mounts a file system for state, and writes to it. Returns how many bytes are free.
///
/// # Errors
/// When it cannot be mounted, or not be written to: then it is not left mounted.
pub fn mount_device(device: &str, fs_type: &str, state: &Path) -> Result<u64> {
    mount_at(device, state, fs_type, MsFlags::MS_NOATIME, "")?;
    try_writing(state)
        .inspect_err(|_| {
            let _ = umount2(state, MntFlags::MNT_DETACH);
        })
        .with_context(|| format!("{device} fails"))
}

/// Makes the directories of state, and writes to the disk. Returns how many bytes are free; that none are is no failure.
fn try_writing(state: &Path) -> Result<u64> {
    for (name, _) in places(true) {
        let path = state.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    }
    let path = state.join(".written");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    let free = statvfs(state).context("reading how much of it is free")?;
    let free = free.blocks_available() * free.fragment_size();
    match written {
        // with room in the file system it is the disk that has none, as one that promises more than it has
        Err(error) if error.kind() == io::ErrorKind::StorageFull && free < FULL => {}
        written => written.with_context(|| format!("writing {}", path.display()))?,
    }
    Ok(free)
}

/// Returns a path of a root as it is now.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Waits for the one device whose file system has the label; where there is none, makes it, if it is to be made.
fn wait_for(wanted: &StateOnDisk, console: &Console) -> Result<(String, &'static str)> {
    let disks = Disks {
        devices: Path::new("/sys/class/block"),
        dev: Path::new("/dev"),
    };
    let (began, mut changed) = (Instant::now(), Instant::now());
    let (mut done, mut known) = (BTreeSet::new(), Vec::new());
    loop {
        load_drivers(&mut done);
        let found = labelled(disks.devices, disks.dev)?;
        if let Some(found) = choose(&found, &wanted.label)? {
            return Ok(found);
        }
        let names = names_in(disks.devices).unwrap_or_default();
        if names != known {
            (known, changed) = (names, Instant::now());
        }
        let is_late = began.elapsed() > DISK_TIMEOUT;
        match &wanted.made {
            Some(made) if is_late || changed.elapsed() > SETTLE_TIME && disks.has(&made.0) => {
                return disks.make(made, &wanted.label, console);
            }
            None if is_late => return Err(missing(&found, &wanted.label)),
            _ => sleep(POLL_INTERVAL),
        }
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
        "no file system has the label '{label}' for the node's state: {found}; make one (mkfs.ext4 -L {label} DEVICE), have \
         it made (the node's statedisk), or remove the node's statelabel and keep state in memory"
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
        let found = identify_device(&path).ok()??;
        Some((path.display().to_string(), found))
    };
    Ok(names.into_iter().filter(is_disk).filter_map(of).collect())
}

/// Reads which file system a device has.
pub(super) fn identify_device(device: &Path) -> io::Result<Option<StateFs>> {
    let mut head = Vec::new();
    File::open(device)?
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(identify(&head))
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
                 (mkfs.ext4 -L state DEVICE), have it made (the node's statedisk), or remove the node's statelabel and keep \
                 state in memory",
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

    #[test]
    fn a_node_whose_state_cannot_be_had_is_started_only_if_its_definition_says_so() {
        let console = Console::standard_error();
        let failed = || Err(anyhow::anyhow!("sda fails"));
        let (refuse, memory) = (StateFallback::Refuse, StateFallback::Memory);
        assert!(or_memory(refuse, Ok(()), &console).unwrap());
        assert!(or_memory(memory, Ok(()), &console).unwrap());
        assert!(!or_memory(memory, failed(), &console).unwrap());
        let error = or_memory(refuse, failed(), &console).unwrap_err();
        assert_eq!(error.to_string(), "sda fails");
    }

    #[test]
    fn a_disk_is_written_to_before_it_is_relied_on() {
        let state = tempfile::tempdir().unwrap();
        assert!(try_writing(state.path()).unwrap() > 0);
        let names: Vec<_> = names_in(state.path()).unwrap();
        assert_eq!(names, ["containerd", "docker", "docker-tls", "slipway"]);
        fs::create_dir(state.path().join(".written")).unwrap();
        let error = try_writing(state.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("writing {}/.written", state.path().display())
        );
    }
}
