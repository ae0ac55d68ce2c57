//! Media whose names ISO 9660 has cut, made by the programs that make such media: what they say of themselves counts
//! as it does under its own name.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic
#![allow(dead_code)] // the workbench has more than these tests use

mod workbench;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Arguments;
use workbench::{Workbench, run, trial};

fn main() {
    let tools = &["xorriso", "genisoimage", "dpkg-deb", "apt-ftparchive"][..];
    let trials = vec![
        trial("every_file_that_describes_the_release_is_read", tools, read),
        trial(
            "a_foreign_product_is_refused_whatever_its_label",
            tools,
            foreign,
        ),
        trial(
            "what_its_lists_name_otherwise_is_said_to_be_cut",
            tools,
            import,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// What makes a medium without Rock Ridge and Joliet, at each level of ISO 9660 that cuts names.
const WRITERS: [&[&str]; 4] = [
    &["genisoimage", "-quiet", "-iso-level", "1"],
    &["genisoimage", "-quiet", "-iso-level", "2"],
    &[
        "xorriso",
        "-as",
        "mkisofs",
        "-quiet",
        "--norock",
        "-iso-level",
        "1",
    ],
    &[
        "xorriso",
        "-as",
        "mkisofs",
        "-quiet",
        "--norock",
        "-iso-level",
        "1",
        "-disallow_dir_id_ext",
    ],
];

fn write(writer: &[&str], label: &str, tree: &Path) -> PathBuf {
    let iso = tree.with_extension("iso");
    let _ = fs::remove_file(&iso);
    let paths = [iso.to_str().unwrap(), tree.to_str().unwrap()];
    run(
        writer[0],
        &[&writer[1..], &["-V", label, "-o"], &paths].concat(),
    );
    iso
}

fn copycds(bench: &Workbench, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copycds"));
    let config = bench.path().join("config");
    fs::create_dir_all(&config).unwrap();
    command.arg("--config").arg(config).args(arguments);
    command.output().unwrap()
}

/// Lays out a medium of one text and its family's installer, and looks at its images by every writer.
fn inspect(label: &str, path: &str, text: &str, installer: &str) -> Vec<Output> {
    let bench = Workbench::new();
    let tree = bench.path().join("medium");
    bench.lay(&tree, &[(path, text), (installer, "kernel")]);
    let look = |writer: &&[&str]| {
        let iso = write(writer, label, &tree);
        copycds(&bench, &["-i", iso.to_str().unwrap()])
    };
    WRITERS.iter().map(look).collect()
}

const RED_HAT: &str = "images/pxeboot/vmlinuz";
const DEBIAN: &str = "install.amd/vmlinuz";
const SUSE: &str = "boot/x86_64/loader/linux";

fn read() {
    let treeinfo = "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n";
    let disk = "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST 20250111-10:54";
    let defines = format!("#define DISKNAME  {disk}\n#define DISKNUM  1\n");
    let sles = "SUSE - SLE-15-SP4-Full-x86_64-Build1 - Media\n2022\n1\n";
    for (path, text, installer, release) in [
        (".treeinfo", treeinfo, RED_HAT, "rocky9.4"),
        ("install/.treeinfo", treeinfo, RED_HAT, "rocky9.4"),
        (
            ".discinfo",
            "1.5\nRocky Linux 9.4\nx86_64\nALL\n",
            RED_HAT,
            "rocky9.4",
        ),
        (
            "media.repo",
            "[media]\nname=Rocky Linux 9.4\n",
            RED_HAT,
            "rocky9.4",
        ),
        (".disk/info", disk, DEBIAN, "debian12.9.0"),
        ("README.diskdefines", &defines, DEBIAN, "debian12.9.0"),
        ("media.1/media", sles, SUSE, "sle15.4"),
        ("media.1/products", "/ SLE-15-SP4 15.4-0\n", SUSE, "sle15.4"),
        (
            "install/media.1/products",
            "/ SLE-15-SP4 15.4-0\n",
            SUSE,
            "sle15.4",
        ),
    ] {
        for ran in inspect("CDROM", path, text, installer) {
            let stdout = String::from_utf8(ran.stdout).unwrap();
            assert!(
                stdout.contains(&format!("DISTNAME:{release}\n")),
                "{path}: {stdout}{}",
                String::from_utf8_lossy(&ran.stderr)
            );
        }
    }
}

fn foreign() {
    let rhel = "RHEL-9-4-0-BaseOS-x86_64";
    for (label, path, text, installer) in [
        (
            rhel,
            ".treeinfo",
            "[general]\nfamily = Acme Linux\nversion = 9.4\narch = x86_64\n",
            RED_HAT,
        ),
        (
            rhel,
            ".discinfo",
            "1.5\nAcme Linux 9.4\nx86_64\nALL\n",
            RED_HAT,
        ),
        (
            rhel,
            "media.repo",
            "[media]\nname=Acme Linux 9.4\n",
            RED_HAT,
        ),
        (
            "Debian 12.9.0 amd64 n",
            ".disk/info",
            "Acme Linux 12.9.0 - amd64 NETINST",
            DEBIAN,
        ),
        (
            "Debian 12.9.0 amd64 n",
            "README.diskdefines",
            "#define DISKNAME  Acme Linux 12.9.0 - amd64\n",
            DEBIAN,
        ),
        (
            "SLE-15-SP4-Full-x86_64",
            "media.1/media",
            "ACME - Acme-Manager-4.1-x86_64 - Media\n1\n1\n",
            SUSE,
        ),
        (
            "SLE-15-SP4-Full-x86_64",
            "media.1/products",
            "/ Acme-Manager 4.1-0\n",
            SUSE,
        ),
    ] {
        for ran in inspect(label, path, text, installer) {
            let stderr = String::from_utf8(ran.stderr).unwrap();
            assert_eq!(ran.status.code(), Some(1), "{path}: {stderr}");
            assert!(stderr.to_lowercase().contains("acme"), "{path}: {stderr}");
        }
    }
}

fn import() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(false);
    let iso = write(WRITERS[0], "Debian 12.9.0 amd64 n", &tree);
    let target = bench.path().join("published");
    let ran = copycds(
        &bench,
        &["-p", target.to_str().unwrap(), iso.to_str().unwrap()],
    );
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.ends_with(
            "its files have other names, because it has neither Rock Ridge nor Joliet; use the publisher's image, or \
             make one with Rock Ridge (xorriso -as mkisofs -R)\n"
        ),
        "{stderr}"
    );
    assert!(!target.exists());
}
