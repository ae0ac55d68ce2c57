//! What surrounds a run: its environment, its umask, who reads what it prints, and how the node's apt is configured.

use std::process::Stdio;

use crate::Test;
use crate::machine::{Machine, System, text};

const DEB: &[&str] = &["apt-get", "dpkg-deb", "apt-ftparchive", "gpg"];

pub(crate) const TESTS: &[Test] = &[
    (
        "apt_that_is_configured_to_do_nothing_is_no_success",
        DEB,
        configured_to_do_nothing,
    ),
    (
        "apt_packages_are_verified_whatever_the_node_allows",
        DEB,
        verified,
    ),
    (
        "apt_goes_on_when_nobody_reads_what_is_printed",
        DEB,
        nobody_reads,
    ),
    (
        "apt_is_the_hosts_own_whatever_the_environment_says",
        DEB,
        hostile_environment,
    ),
    ("apt_passes_over_odd_files_and_names_them", DEB, odd_files),
];

const ENTRY: &str = "[trusted=yes] /var/tmp/repositories/flat";
const INSTALLED: [&str; 1] = ["slip-flat 1"];

fn machine() -> Machine {
    let mut machine = Machine::new(System::Debian);
    machine.ask(ENTRY, "slip-flat");
    machine
}

fn configured_to_do_nothing() {
    let machine = machine();
    for option in ["APT::Get::Download-Only", "APT::Get::Simulate"] {
        machine.write("etc/apt/apt.conf.d/site", &format!("{option} \"true\";\n"));
        let ran = machine.run(&[]).expect(1);
        assert_eq!(
            ran.last(),
            "otherpkgs: apt-get ended without an error, and not everything was done: does its configuration say to \
             download, to test or to simulate only?",
            "{option}"
        );
        assert!(machine.installed().is_empty());
    }
    machine.write("etc/apt/apt.conf.d/site", "");
    machine.run(&[]).expect(0);
    assert_eq!(machine.installed(), INSTALLED);
}

fn verified() {
    let mut machine = machine();
    machine.write(
        "etc/apt/apt.conf.d/site",
        "APT::Get::AllowUnauthenticated \"true\";\nAcquire::AllowInsecureRepositories \"true\";\n",
    );
    machine.sh("rm -f /var/tmp/repositories/flat/*Release*");
    machine.ask("/var/tmp/repositories/flat", "slip-flat");
    let ran = machine.run(&[]).expect(1);
    assert!(ran.last().contains("nothing was changed"), "{}", ran.err);
    machine.ask(ENTRY, "slip-flat");
    machine.run(&[]).expect(0);
    assert_eq!(machine.installed(), INSTALLED);
}

fn nobody_reads() {
    for (output, code) in [("/dev/full", 1), ("a closed pipe", 0)] {
        let machine = machine();
        let mut command = machine.command("otherpkgs", &[]);
        let full = || {
            std::fs::OpenOptions::new()
                .write(true)
                .open(output)
                .unwrap()
        };
        if output == "/dev/full" {
            command.stdout(full()).stderr(full());
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{output}");
        assert_eq!(machine.installed(), INSTALLED, "{output}");
    }
}

fn hostile_environment() {
    let mut machine = machine();
    machine.sh(
        "mkdir /var/tmp/mine; for name in apt-get dpkg dpkg-query; do \
         printf '#!/bin/sh\\ntouch /var/tmp/mine/ran\\n' >/var/tmp/mine/$name; chmod +x /var/tmp/mine/$name; done; \
         echo 'APT::Update::Pre-Invoke {\"touch /var/tmp/mine/configured\";};' >/var/tmp/mine/apt.conf; \
         chown -R nobody /var/tmp/mine",
    );
    machine.set(&[
        (
            "PATH",
            "/var/tmp/mine:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("APT_CONFIG", "/var/tmp/mine/apt.conf"),
        ("TMPDIR", "/var/tmp/mine"),
    ]);
    // root's files are for the one who reads repositories too, whatever root's umask is
    let line = "umask 077; rm -rf /etc/apt/keyrings; exec otherpkgs";
    machine.ask(
        &format!(
            "[signed-by=/var/tmp/repositories/key.asc] http://{}/install/repositories/deb stable main",
            machine.web.address
        ),
        "slip-one",
    );
    let key = machine.read("var/tmp/repositories/key.asc");
    machine.set(&[("OTHERPKGKEY1", &key)]);
    let output = machine.command("sh", &["-c", line]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    machine.set(&[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]);
    assert_eq!(machine.installed(), ["slip-one 1"]);
    let left = machine.sh("cd /var/tmp/mine && ls; stat -c %a /etc/apt/keyrings");
    assert_eq!(left, "apt-get\napt.conf\ndpkg\ndpkg-query\n755\n");
}

fn odd_files() {
    let machine = machine();
    machine.sh(
        "cd /etc/apt/sources.list.d; mkfifo pipe.list; truncate -s 1T huge.sources; ln -s /dev/zero zero.list; \
         mkdir directory.list; ln -s /nowhere nothing.list",
    );
    // as apt itself reads a file of any size
    let ran = machine.run(&["--dry-run", "--json"]).expect(0);
    for name in ["pipe.list", "huge.sources", "zero.list"] {
        let note = format!(
            "otherpkgs: /etc/apt/sources.list.d/{name} is not a regular file, or larger than any configuration: it is not read\n"
        );
        assert!(ran.err.contains(&note), "{}", ran.err);
    }
    for name in ["nothing.list", "directory.list"] {
        assert!(!ran.err.contains(name), "{}", ran.err);
    }
}
