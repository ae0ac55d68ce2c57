//! What the boot archive's writer makes, read by the programs that others read such archives with.
//!
//! Each case says which program it needs; where that is lacking it is ignored, and its kind says why.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use genimage::boot_archive::BootArchive;
use libtest_mimic::{Arguments, Failed, Trial};

/// The entries of every kind, with lengths on both sides of each padding.
fn archive() -> BootArchive {
    let mut archive = BootArchive::new();
    archive.file("slipway/token", 0o600, "secret\n").unwrap();
    archive.file("preseed.cfg", 0o644, "d-i a b\n").unwrap();
    archive.directory("slipway", 0o700).unwrap();
    archive.link("slipway/current", "token").unwrap();
    for length in 0..9 {
        let path = format!(
            "slipway/{}/{}",
            "p".repeat(length + 1),
            "n".repeat(length + 1)
        );
        archive.file(&path, 0o755, vec![b'x'; length]).unwrap();
    }
    archive
}

fn main() {
    let arguments = Arguments::from_args();
    let trials = [
        trial("cpio_lists_every_entry_with_its_mode", "cpio", cpio_lists),
        trial("cpio_unpacks_what_was_added", "cpio", cpio_unpacks),
        trial("bsdtar_reads_the_same", "bsdtar", bsdtar_lists),
        trial("archives_after_one_another_are_all_read", "bsdtar", joined),
    ];
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn trial(name: &str, tool: &'static str, run: fn()) -> Trial {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_tool = std::env::split_paths(&path).any(|place| place.join(tool).is_file());
    let kind = if has_tool {
        String::new()
    } else {
        format!("needs {tool}")
    };
    let run = move || {
        run();
        Ok::<(), Failed>(())
    };
    Trial::test(name, run)
        .with_kind(kind)
        .with_ignored_flag(!has_tool)
}

/// Runs a program on an archive, in a directory, and returns what it prints.
fn read(program: &str, arguments: &[&str], directory: &Path, bytes: &[u8]) -> String {
    let file = directory.join("archive");
    fs::write(&file, bytes).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .stdin(fs::File::open(&file).unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    fs::remove_file(&file).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

/// The paths and modes of a listing, as `ls -l` writes it.
fn modes_and_paths(listing: &str) -> Vec<String> {
    let entry = |line: &str| {
        let (mode, rest) = line.split_once(' ').unwrap();
        // the last field of the time is the year of 1970
        format!("{mode} {}", rest.split_once("  1970 ").unwrap().1)
    };
    listing.lines().map(entry).collect()
}

fn expected() -> Vec<String> {
    let mut expected = vec![
        "-rw-r--r-- preseed.cfg".to_owned(),
        "drwx------ slipway".to_owned(),
        "lrwxrwxrwx slipway/current -> token".to_owned(),
    ];
    for length in 0..9 {
        let parent = format!("slipway/{}", "p".repeat(length + 1));
        expected.push(format!("drwxr-xr-x {parent}"));
        expected.push(format!("-rwxr-xr-x {parent}/{}", "n".repeat(length + 1)));
    }
    expected.push("-rw------- slipway/token".to_owned());
    expected
}

fn cpio_lists() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive().render();
    let listing = read("cpio", &["-itv", "--quiet", "-n"], dir.path(), &bytes);
    assert_eq!(modes_and_paths(&listing), expected());
    for line in listing.lines() {
        let owner: Vec<_> = line.split_whitespace().skip(2).take(2).collect();
        assert_eq!(owner, ["0", "0"], "{line}");
    }
}

fn bsdtar_lists() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive().render();
    let listing = read("bsdtar", &["-tvf", "-"], dir.path(), &bytes);
    assert_eq!(modes_and_paths(&listing), expected());
}

fn cpio_unpacks() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = archive();
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        archive
            .character_device("dev/console", 0o600, 5, 1)
            .unwrap();
    }
    read("cpio", &["-idm", "--quiet"], dir.path(), &archive.render());
    assert_eq!(
        fs::read_to_string(dir.path().join("slipway/token")).unwrap(),
        "secret\n"
    );
    assert_eq!(
        fs::read_link(dir.path().join("slipway/current")).unwrap(),
        Path::new("token")
    );
    for length in 0..9 {
        let path = format!(
            "slipway/{}/{}",
            "p".repeat(length + 1),
            "n".repeat(length + 1)
        );
        let path = dir.path().join(path);
        assert_eq!(fs::read(&path).unwrap(), vec![b'x'; length]);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.mtime(), metadata.nlink()),
            (0o755, 0, 1)
        );
    }
    if is_root {
        let console = fs::metadata(dir.path().join("dev/console")).unwrap();
        assert!(console.file_type().is_char_device());
        assert_eq!(console.rdev(), nix::sys::stat::makedev(5, 1));
    }
}

fn joined() {
    let dir = tempfile::tempdir().unwrap();
    let mut second = BootArchive::new();
    second.file("slipway/second", 0o644, "2").unwrap();
    // the kernel goes on after the end of an archive; bsdtar is asked for each of them
    let (one, two) = (archive().render(), second.render());
    assert_eq!((one.len() % 512, two.len() % 512), (0, 0));
    let both = [one.clone(), two].concat();
    let listing = read("bsdtar", &["-tf", "-"], dir.path(), &both[one.len()..]);
    assert_eq!(listing, "slipway\nslipway/second\n");
}
