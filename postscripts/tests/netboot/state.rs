//! The file system that keeps state, on loop devices: in use, full, damaged and failing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use postscripts::netboot::mount_device;
use tempfile::TempDir;

/// Below this `netboot` says that a disk is full.
const MIN_FREE: u64 = 64 << 20;

/// Says what this machine lacks for a test.
pub(crate) fn lacking(name: &str) -> Option<String> {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !map.trim().ends_with("4294967295") {
        return Some("needs root: a user namespace has no loop devices".to_owned());
    }
    let mut programs = vec!["losetup", "mkfs.ext4"];
    programs.extend(name.contains("xfs").then_some("mkfs.xfs"));
    let missing = |program: &&str| Command::new(program).arg("-V").output().is_err();
    let missing = programs.into_iter().find(missing);
    missing.map(|program| format!("needs {program}"))
}

/// A disk in a file, in memory of its own.
struct Disk {
    dir: TempDir,
    device: String,
}

impl Disk {
    /// Makes one, which has less memory than its size says where that is asked for.
    fn new(bytes: u64, memory: u64, mkfs: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let size = format!("size={memory}");
        let place = dir.path().display().to_string();
        run(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &place]);
        let file = dir.path().join("disk");
        File::create(&file).unwrap().set_len(bytes).unwrap();
        let mut words = mkfs.to_vec();
        let path = file.display().to_string();
        words.push(&path);
        run(&words);
        let output = Command::new("losetup")
            .args(["--find", "--show", &path])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Self { dir, device }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Mounts it as a boot does.
    fn mount(&self, fs_type: &str, state: &Path) -> Result<u64, String> {
        mount_device(&self.device, fs_type, state).map_err(|error| format!("{error:#}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let place = self.dir.path().display().to_string();
        for words in [
            &["losetup", "--detach", &self.device][..],
            &["umount", "--lazy", &place],
        ] {
            let _ = Command::new(words[0]).args(&words[1..]).output();
        }
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn is_mounted(state: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(&format!(" {} ", state.display()))
}

/// A place to mount at, which is left as nothing.
struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let place = self.path().display().to_string();
        let _ = Command::new("umount").arg(place).output();
    }
}

const EXT4: [&str; 3] = ["mkfs.ext4", "-q", "-F"];

fn is_kept(bytes: u64, fs_type: &str, mkfs: &[&str]) {
    let (disk, state) = (Disk::new(bytes, bytes, mkfs), State::new());
    let free = disk.mount(fs_type, state.path()).unwrap();
    assert!(free > MIN_FREE, "{free}");
    let kept = state.path().join("docker/kept");
    fs::write(&kept, "kept").unwrap();
    run(&["umount", &state.path().display().to_string()]);
    assert!(!kept.exists());
    disk.mount(fs_type, state.path()).unwrap();
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
}

pub(crate) fn ext4() {
    is_kept(128 << 20, "ext4", &EXT4);
}

pub(crate) fn xfs() {
    is_kept(320 << 20, "xfs", &["mkfs.xfs", "-q", "-K"]);
}

pub(crate) fn full() {
    let (disk, state) = (Disk::new(8 << 20, 8 << 20, &EXT4), State::new());
    disk.mount("ext4", state.path()).unwrap();
    let filling = fs::write(state.path().join("docker/layers"), vec![1; 16 << 20]);
    assert!(filling.is_err());
    run(&["umount", &state.path().display().to_string()]);
    let free = disk.mount("ext4", state.path()).unwrap();
    assert!(free < MIN_FREE, "{free}");
    assert!(is_mounted(state.path()));
}

pub(crate) fn damaged() {
    let (disk, state) = (Disk::new(32 << 20, 32 << 20, &EXT4), State::new());
    // Its label is still there, and nothing that it keeps.
    let mut bytes = fs::read(disk.file()).unwrap();
    bytes[4096..].fill(0);
    fs::write(disk.file(), bytes).unwrap();
    run(&["blockdev", "--flushbufs", &disk.device]);
    let refused = disk.mount("ext4", state.path()).unwrap_err();
    let begin = format!(
        "mounting {} (ext4) at {}: ",
        disk.device,
        state.path().display()
    );
    assert!(refused.starts_with(&begin), "{refused}");
    assert!(!is_mounted(state.path()));
}

pub(crate) fn failing() {
    let (disk, state) = (Disk::new(64 << 20, 24 << 20, &EXT4), State::new());
    // From here on no write reaches it, as on a disk that promises more than it has.
    let _ = fs::write(disk.dir.path().join("other"), vec![1; 24 << 20]);
    let refused = disk.mount("ext4", state.path()).unwrap_err();
    let expected = format!(
        "{} fails: writing {}/.written: No space left on device (os error 28)",
        disk.device,
        state.path().display()
    );
    assert_eq!(refused, expected);
    assert!(!is_mounted(state.path()));
}
