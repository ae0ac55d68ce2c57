//! The real binary, killed, interrupted, and on disks that are full or may not be written: the old tree
//! or the new one stands, whole, and nothing lies beside it.
//!
//! What needs root and loop devices is ignored where they are lacking, with that reason in its name.
#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use copycds::copy::{self, ByteProgress};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

fn main() {
    let loops = Path::new("/dev/loop-control").exists()
        && quiet(Command::new("losetup").arg("--find"))
        && quiet(Command::new("mkfs.ext4").arg("-V"));
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    };
    let on_a_disk = |name: &str, test: fn()| {
        let lacking = if loops {
            ""
        } else {
            "needs root, loop devices and mkfs.ext4"
        };
        trial(name, test)
            .with_kind(lacking)
            .with_ignored_flag(!loops)
    };
    let trials = vec![
        trial(
            "killed_at_any_moment_the_old_tree_or_the_new_one_stands_whole",
            kills,
        ),
        trial(
            "an_interrupted_import_exits_1_and_leaves_nothing",
            interrupt,
        ),
        on_a_disk(
            "a_disk_without_room_is_found_before_anything_is_written",
            no_room,
        ),
        on_a_disk("a_disk_that_fills_up_midway_leaves_nothing", fills_up),
        on_a_disk(
            "a_disk_without_inodes_is_found_before_anything_is_written",
            no_inodes,
        ),
        on_a_disk("a_read_only_disk_is_said_in_one_sentence", read_only),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn quiet(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn scratch() -> TempDir {
    // In memory where there is some: publishing waits for the whole file system to be written.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory).unwrap()
    } else {
        TempDir::new().unwrap()
    }
}

/// Builds an image of `count` small files and one of `large` bytes; `seed` tells builds apart.
fn iso(dir: &Path, name: &str, count: usize, large: usize, seed: u8) -> PathBuf {
    let src = TempDir::new_in(dir).unwrap();
    for number in 0..count {
        let path = src.path().join(format!("pool/{}/{number}", number % 20));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![seed; 500 + number]).unwrap();
    }
    // Builds differ in a size: their fingerprints do not depend on when the files were written.
    fs::write(
        src.path().join("large"),
        vec![seed; large + usize::from(seed)],
    )
    .unwrap();
    let iso = dir.join(format!("{name}.iso"));
    let out = Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-R", "-V", "TESTDISC", "-o"])
        .args([&iso, src.path()])
        .output()
        .expect("xorriso is installed");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    iso
}

/// The command that imports `iso` to `target`.
fn copycds(iso: &Path, target: &Path, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copycds"));
    command
        .args(["-n", "debian12.9.0", "-a", "x86_64", "-o", "-p"])
        .arg(target);
    command.arg("--config").arg(config).arg(iso);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn message(out: &Output) -> String {
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let last = text.lines().last().unwrap_or_default();
    last.to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let list = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = list
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits until the import has begun to copy.
fn wait_for_copying(target: &Path, child: &mut Child) {
    let stage = target.with_file_name(".tree.slipway/new");
    let since = Instant::now();
    while !stage.join("large").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the import ended before it was looked at"
        );
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the import does not begin"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn kills() {
    let dir = scratch();
    let builds = [1, 2].map(|seed| iso(dir.path(), &format!("{seed}"), 400, 8 << 20, seed));
    let target = dir.path().join("install/tree");
    let run = |build: &PathBuf| copycds(build, &target, &dir.path().join("config"));
    let since = Instant::now();
    assert!(run(&builds[0]).status().unwrap().success());
    let whole = since.elapsed();
    let mut random = 0x2545_f491_u32;
    let mut interrupted = 0;
    for round in 0..40 {
        let mut child = run(&builds[(round + 1) % 2]).spawn().unwrap();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // one kill comes while an import is staging, however long the others take on a busy machine
        match round {
            0 => wait_for_copying(&target, &mut child),
            _ => std::thread::sleep(whole.mul_f64(f64::from(random >> 8) / f64::from(1 << 24))),
        }
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += usize::from(target.with_file_name(".tree.slipway").exists());
        let report = copy::verify(&target, &ByteProgress::new()).unwrap();
        assert!(report.is_empty(), "after kill {round}: {report:?}");
        let first = fs::read(target.join("large")).unwrap()[0];
        let last = fs::read(target.join("pool/19/399")).unwrap()[0];
        assert_eq!(first, last, "after kill {round} the tree is of one build");
    }
    assert!(interrupted > 0, "no kill came while an import was staging");
    assert!(run(&builds[0]).status().unwrap().success());
    assert!(run(&builds[1]).status().unwrap().success());
    assert_eq!(names(target.parent().unwrap()), ["tree"]);
    assert_eq!(fs::read(target.join("large")).unwrap()[0], 2);
}

fn interrupt() {
    let dir = scratch();
    let iso = iso(dir.path(), "1", 10, 300 << 20, 1);
    let target = dir.path().join("install/tree");
    let mut child = copycds(&iso, &target, &dir.path().join("config"))
        .spawn()
        .unwrap();
    wait_for_copying(&target, &mut child);
    let id = child.id().to_string();
    assert!(quiet(Command::new("kill").args(["-INT", &id])));
    let out = child.wait_with_output().unwrap();
    assert!(
        message(&out).contains("it was interrupted before it was done"),
        "{}",
        message(&out)
    );
    assert!(!dir.path().join("install").exists());
}

/// A small ext4 file system, mounted until this is dropped.
struct Disk {
    dir: TempDir,
}

impl Disk {
    fn new(megabytes: u64, inodes: &str) -> Self {
        let dir = scratch();
        let image = dir.path().join("disk");
        fs::File::create(&image)
            .unwrap()
            .set_len(megabytes << 20)
            .unwrap();
        let mut mkfs = Command::new("mkfs.ext4");
        assert!(quiet(
            mkfs.args(["-q", "-F", "-m", "0", "-N", inodes]).arg(&image)
        ));
        fs::create_dir(dir.path().join("mnt")).unwrap();
        let disk = Self { dir };
        assert!(quiet(
            Command::new("mount")
                .args(["-o", "loop"])
                .args([&image, &disk.mount()])
        ));
        fs::remove_dir(disk.mount().join("lost+found")).unwrap();
        disk
    }

    fn mount(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn target(&self) -> PathBuf {
        self.mount().join("install/tree")
    }

    fn import(&self, iso: &Path) -> Command {
        copycds(iso, &self.target(), &self.dir.path().join("config"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.mount()).status();
    }
}

fn no_room() {
    let disk = Disk::new(32, "2048");
    let iso = iso(disk.dir.path(), "1", 10, 100 << 20, 1);
    let message = message(&disk.import(&iso).output().unwrap());
    let start = format!("{} has room for ", disk.mount().display());
    assert!(message.contains(&start), "{message}");
    assert!(
        message.ends_with(": free some or import elsewhere (-p)"),
        "{message}"
    );
    assert_eq!(names(&disk.mount()), [""; 0]);
}

fn no_inodes() {
    let disk = Disk::new(64, "128");
    let iso = iso(disk.dir.path(), "1", 400, 1, 1);
    let message = message(&disk.import(&iso).output().unwrap());
    assert!(
        message.contains(" more files, and the tree has 4"),
        "{message}"
    );
    assert_eq!(names(&disk.mount()), [""; 0]);
}

fn fills_up() {
    let disk = Disk::new(400, "2048");
    let iso = iso(disk.dir.path(), "1", 10, 300 << 20, 1);
    let mut child = disk.import(&iso).spawn().unwrap();
    wait_for_copying(&disk.target(), &mut child);
    // it stands still while somebody else takes all but a little of what is left, however far it has come
    let signal = |name: &str| {
        let pid = child.id().to_string();
        assert!(quiet(Command::new("kill").args([name, &pid])));
    };
    signal("-STOP");
    let left = Command::new("df")
        .args(["--output=avail", "-B1M"])
        .arg(disk.mount())
        .output()
        .unwrap();
    let left = String::from_utf8(left.stdout).unwrap();
    let left: u64 = left.lines().last().unwrap().trim().parse().unwrap();
    let size = format!("{}M", left.saturating_sub(4).max(1));
    let other = disk.mount().join("other");
    assert!(quiet(
        Command::new("fallocate").args(["-l", &size]).arg(&other)
    ));
    signal("-CONT");
    let out = child.wait_with_output().unwrap();
    let message = message(&out);
    assert!(
        message.contains("the disk filled up during the import; nothing was published"),
        "{message}"
    );
    assert!(
        message.ends_with("No space left on device (os error 28)"),
        "{message}"
    );
    assert_eq!(names(&disk.mount()), ["other"]);
    fs::remove_file(other).unwrap();
    assert!(disk.import(&iso).status().unwrap().success());
    assert_eq!(names(disk.target().parent().unwrap()), ["tree"]);
}

fn read_only() {
    let disk = Disk::new(64, "2048");
    let iso = iso(disk.dir.path(), "1", 10, 1, 1);
    assert!(quiet(
        Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(disk.mount())
    ));
    let message = message(&disk.import(&iso).output().unwrap());
    let install = disk.mount().join("install");
    let says = format!(
        "making the directory {}: Read-only file system (os error 30)",
        install.display()
    );
    assert!(message.ends_with(&says), "{message}");
}
