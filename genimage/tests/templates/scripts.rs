//! The scripts within installers' files: taken out as the installer would, they are read by shells, and
//! those that choose a disk and fetch programs are run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use genimage::context::{Firstboot, TemplateContext};
use genimage::template::{RenderValues, Templates};
use sha2::{Digest, Sha256};

use crate::Case;
use crate::needs::{Need, python, workspace};
use crate::releases::{RELEASES, sources};
use crate::validators::{of, silent};

/// One case for what shells say of each release, and those that run a script.
pub(crate) fn cases() -> Vec<Case> {
    let needs = [
        Need::Python("python3"),
        Need::Tool("shellcheck"),
        Need::Tool("busybox"),
    ];
    let mut cases: Vec<_> = RELEASES
        .iter()
        .map(|release| {
            let name = format!("shells_take_those_of_{}", release.osvers);
            Case::new(name, &needs, move || {
                let main = release.installer.files()[0].name;
                of(release, main, shells);
            })
        })
        .collect();
    let busybox = &[Need::Tool("busybox")];
    cases.push(Case::new(
        "the_smallest_safe_disk_is_chosen",
        busybox,
        disks,
    ));
    cases.push(Case::new("a_named_disk_must_exist", busybox, named_disk));
    let curl = &[Need::Tool("curl"), Need::Tool("busybox")];
    cases.push(Case::new(
        "firstboot_is_fetched_checked_and_enabled",
        curl,
        firstboot,
    ));
    cases.push(Case::new(
        "keys_let_root_in_with_the_right_modes",
        busybox,
        keys,
    ));
    cases
}

/// The scripts that shells have read.
static READ: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Holds the scripts of a file against three shells and shellcheck.
fn shells(what: &str, file: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let mut extract = Command::new(python("python3"));
    extract.arg(workspace("genimage/tests/templates/extract.py"));
    silent(what, extract.arg(file).arg(directory.path()));
    for entry in fs::read_dir(directory.path()).unwrap() {
        let script = entry.unwrap().path();
        // Releases have many scripts in common.
        if !READ
            .lock()
            .unwrap()
            .insert(fs::read_to_string(&script).unwrap())
        {
            continue;
        }
        let what = format!("{what}, {}", script.display());
        for shell in [
            &["dash", "-n"][..],
            &["bash", "-n"],
            &["busybox", "sh", "-n"],
        ] {
            silent(&what, Command::new(shell[0]).args(&shell[1..]).arg(&script));
        }
        // Values stand in single quotes on purpose; not every release uses all that is there.
        let excluded = "--exclude=SC2016,SC2034,SC2043,SC2317,SC2329";
        let mut check = Command::new("shellcheck");
        silent(
            &what,
            check
                .args(["--shell=dash", "--severity=style", excluded])
                .arg(&script),
        );
    }
}

/// A disk as the kernel shows it below `/sys/block`.
struct Disk {
    name: &'static str,
    mebibytes: u64,
    odd: &'static str,
}

const fn disk(name: &'static str, mebibytes: u64, odd: &'static str) -> Disk {
    Disk {
        name,
        mebibytes,
        odd,
    }
}

fn disks() {
    let small = 8192;
    let cases: [(&[Disk], Result<&str, &str>); 8] = [
        (
            &[disk("sdb", 20_000, ""), disk("sda", 30_000, "")],
            Ok("/dev/sdb"),
        ),
        (
            &[disk("sdb", 20_000, ""), disk("sda", 20_000, "")],
            Ok("/dev/sda"),
        ),
        (
            &[disk("sda", small - 1, ""), disk("vda", small, "")],
            Ok("/dev/vda"),
        ),
        (
            &[
                disk("sda", 10_000, "usb"),
                disk("sdb", 10_000, "removable"),
                disk("sdc", 10_000, "ro"),
                disk("sdd", 90_000, ""),
            ],
            Ok("/dev/sdd"),
        ),
        (
            &[disk("sda", 10_000, "mounted"), disk("sdaa", 20_000, "")],
            Ok("/dev/sdaa"),
        ),
        (
            &[
                disk("nvme0c0n1", 10_000, "hidden"),
                disk("nvme0n1", 10_000, ""),
            ],
            Ok("/dev/nvme0n1"),
        ),
        (
            &[
                disk("cciss!c0d0", 10_000, ""),
                disk("sr0", 9_000, ""),
                disk("loop0", 9_000, "virtual"),
            ],
            Ok("/dev/cciss/c0d0"),
        ),
        (
            &[disk("sda", 4_000, ""), disk("sdb", 90_000, "usb")],
            Err(
                "slipway: no disk to install to: none is built in, writable and at least 8192 MiB large; found: sda=4000MiB sdb=90000MiB\n",
            ),
        ),
    ];
    for (disks, expected) in cases {
        let mut context = TemplateContext::example();
        context.disk.device = None;
        let scene = Scene::new(disks);
        for shell in SHELLS {
            let output = scene.run(shell, &rendered("disk.sh", &context));
            let chosen = String::from_utf8(output.stdout).unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            match expected {
                Ok(name) => assert_eq!(
                    (chosen.trim(), output.status.code()),
                    (name, Some(0)),
                    "{said}"
                ),
                Err(message) => {
                    assert_eq!((said.as_str(), output.status.code()), (message, Some(1)))
                }
            }
        }
    }
}

fn named_disk() {
    let mut context = TemplateContext::example();
    let scene = Scene::new(&[disk("sda", 90_000, "")]);
    context.disk.device = Some("/dev/disk/by-id/it's".to_owned());
    for shell in SHELLS {
        let output = scene.run(shell, &rendered("disk.sh", &context));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said,
            "slipway: no disk to install to: there is no /dev/disk/by-id/it's\n"
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

/// A machine with disks, as far as the script looks at one.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new(disks: &[Disk]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let block = directory.path().join("block");
        fs::create_dir(&block).unwrap();
        let mut mounts = String::from("proc /proc proc rw 0 0\n");
        for disk in disks {
            let bus = if disk.odd == "usb" {
                "usb1/1-1"
            } else {
                "ata1"
            };
            let real = directory.path().join("devices").join(bus).join(disk.name);
            fs::create_dir_all(&real).unwrap();
            let flag = |name: &str| u8::from(disk.odd == name).to_string();
            for name in ["removable", "ro", "hidden"] {
                fs::write(real.join(name), flag(name)).unwrap();
            }
            fs::write(real.join("size"), (disk.mebibytes * 2048).to_string()).unwrap();
            if disk.odd != "virtual" {
                fs::create_dir(real.join("device")).unwrap();
            }
            if disk.odd == "mounted" {
                mounts += &format!("/dev/{}1 /run/live iso9660 ro 0 0\n", disk.name);
            }
            symlink(&real, block.join(disk.name)).unwrap();
        }
        fs::write(directory.path().join("mounts"), mounts).unwrap();
        Self { directory }
    }

    /// Runs a script that looks at this machine; it ends with the disk's name on stdout.
    fn run(&self, shell: &[&str], script: &str) -> Output {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let script = script
            .replace("/sys/block/", &format!("{}/", path("block")))
            .replace("/proc/mounts", &path("mounts"))
            .replace("/dev/console", &path("console"));
        let script = format!("set -eu\n{script}\necho \"$disk\"\n");
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &script])
            .output()
            .unwrap()
    }
}

fn firstboot() {
    let served = tempfile::tempdir().unwrap();
    let program = b"#!/bin/sh\n";
    let list = b"{}\n";
    fs::write(served.path().join("firstboot"), program).unwrap();
    fs::write(served.path().join("list"), list).unwrap();
    let url = |name: &str| format!("file://{}/{name}", served.path().display());
    let sum = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let given = Firstboot {
        url: url("firstboot"),
        sha256: sum(program),
        path: "/opt/slipway/bin/firstboot".to_owned(),
        list_url: url("list"),
        list_sha256: sum(list),
        list_path: "/etc/slipway/runlist.json".to_owned(),
        in_installer: true,
    };
    for shell in SHELLS {
        let (target, output) = installed(shell, given.clone());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let ran = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            ran,
            "/opt/slipway/bin/firstboot --enable\n/opt/slipway/bin/firstboot --phase installer\n"
        );
        assert_eq!(
            mode(&target.path().join("opt/slipway/bin/firstboot")),
            0o755
        );
        assert_eq!(mode(&target.path().join("etc/slipway/runlist.json")), 0o600);
        assert_eq!(mode(&target.path().join("opt/slipway")), 0o755);

        let wrong = Firstboot {
            list_sha256: sum(program),
            ..given.clone()
        };
        let (target, output) = installed(shell, wrong);
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        assert!(!target.path().join("etc/slipway/runlist.json").exists());
    }
}

/// Runs the script of the first boot; what it would run in the target is printed.
fn installed(shell: &[&str], firstboot: Firstboot) -> (tempfile::TempDir, Output) {
    let mut context = TemplateContext::example();
    context.firstboot = Some(firstboot);
    let target = tempfile::tempdir().unwrap();
    let script = format!(
        "set -eu\numask 022\ntarget={}\ninside() {{ echo \"$*\"; }}\n{}",
        target.path().display(),
        rendered("firstboot.sh", &context)
    );
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script])
        .output()
        .unwrap();
    (target, output)
}

fn keys() {
    let mut context = TemplateContext::example();
    context.root.keys = vec![
        "ssh-ed25519 AAAA it's $me".to_owned(),
        "ssh-rsa AAAA two".to_owned(),
    ];
    for shell in SHELLS {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir(target.path().join("root")).unwrap();
        let script = format!(
            "set -eu\ntarget={}\n{}",
            target.path().display(),
            rendered("keys.sh", &context)
        );
        silent(
            "keys",
            Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &script]),
        );
        let file = target.path().join("root/.ssh/authorized_keys");
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "ssh-ed25519 AAAA it's $me\nssh-rsa AAAA two\n"
        );
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Renders a script that templates include.
fn rendered(name: &str, context: &TemplateContext) -> String {
    let templates = Templates::compile(sources(), &[name]).unwrap();
    templates
        .render(name, &RenderValues::of(context).unwrap())
        .unwrap()
}
