//! Beside another package manager that is at work.

use std::time::{Duration, Instant};

use crate::Test;
use crate::machine::{Machine, Ran, System};

const DEB: &[&str] = &["apt-get", "dpkg-deb", "apt-ftparchive", "gpg", "perl"];
const RPM: &[&str] = &[
    "dnf",
    "zypper",
    "rpm",
    "rpmbuild",
    "rpmsign",
    "createrepo_c",
    "gpg",
    "perl",
];

pub(crate) const TESTS: &[Test] = &[
    ("apt_is_at_work_elsewhere_and_is_waited_for", DEB, || {
        waited_for(System::Debian, APT)
    }),
    ("apt_is_at_work_for_too_long_and_it_is_75", DEB, || {
        too_long(System::Debian, APT)
    }),
    (
        "apt_is_waited_for_before_what_was_cut_short_is_ended",
        DEB,
        journal,
    ),
    (
        "apt_locks_of_somebody_else_than_root_are_refused",
        DEB,
        hostile,
    ),
    (
        "apt_locks_of_another_container_are_waited_for",
        DEB,
        elsewhere,
    ),
    ("dnf_and_rpm_are_at_work_and_are_waited_for", RPM, || {
        waited_for(System::Rocky, DNF)
    }),
    (
        "dnf_and_rpm_are_at_work_for_too_long_and_it_is_75",
        RPM,
        || too_long(System::Rocky, DNF),
    ),
    ("zypper_is_at_work_and_is_waited_for", RPM, || {
        waited_for(System::Leap, ZYPPER)
    }),
    ("zypper_is_at_work_for_too_long_and_it_is_75", RPM, || {
        too_long(System::Leap, ZYPPER)
    }),
    (
        "rpm_numbers_of_processes_that_ended_or_are_not_roots_hold_nothing_up",
        RPM,
        stale,
    ),
];

const APT: &[&str] = &[
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
];
const DNF: &[&str] = &[
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/run/dnf/rpmtransaction.lock",
    "/var/lib/dnf/system-repo.lock",
    "/run/dnf-rpmdb.lock",
    "/var/lib/dnf/rpmdb_lock.pid",
];
const ZYPPER: &[&str] = &[
    "/var/lib/rpm/.rpm.lock",
    "/run/yum.pid",
    "/run/zypp.pid",
    "/run/zypp-rpm.pid",
    "/var/cache/dnf/metadata_lock.pid",
];

/// Holds a lock, as root or as the user of the third argument, for the seconds of the second: a record lock, or
/// a file that holds its number.
const HOLDER: &str = r#"#!/usr/bin/perl
use Fcntl;
my ($path, $seconds, $user) = @ARGV;
$path =~ m{^(.*)/} and system("mkdir", "-p", $1);
open(my $file, "+>", $path) or die "$path: $!";
if ($user) { chmod 0644, $path; $( = $user; $) = "$user $user"; $< = $user; $> = $user; }
my $by_number = $path =~ /pid$|dnf-/;
if ($by_number) { syswrite($file, $$); }
else {
    my $kind = $user ? F_RDLCK : F_WRLCK;
    fcntl($file, F_SETLK, pack("s s x4 q q i x4", $kind, 0, 0, 0, 0)) or die "$path: $!";
}
$| = 1;
open(my $held, ">", "/tmp/held");
sleep($seconds);
unlink($path) if $by_number;
"#;

fn machine(system: System) -> Machine {
    let mut machine = Machine::new(system);
    let holder = format!("/usr/local/bin/{}", holder(system));
    machine.write(&holder, HOLDER);
    machine.sh(&format!("chmod 755 {holder}"));
    let entry = match system {
        System::Debian => "[trusted=yes] /var/tmp/repositories/flat".to_owned(),
        _ => format!(
            "[trusted=yes] http://{}/install/repositories/rpm",
            machine.web.address
        ),
    };
    let name = if system == System::Debian {
        "slip-flat"
    } else {
        "slip-one"
    };
    machine.ask(&entry, name);
    machine
}

/// Who is at work there without being asked.
fn holder(system: System) -> &'static str {
    match system {
        System::Debian => "unattended-upgrade",
        System::Rocky | System::Leap => "packagekitd",
    }
}

/// Runs it while somebody holds a lock.
fn beside(machine: &Machine, (system, lock): (System, &str), patience: u32) -> Ran {
    let line = format!(
        "{} {lock} >/dev/null 2>&1 & until [ -e /tmp/held ]; do sleep 0.05; done; \
         otherpkgs --patience {patience}",
        holder(system)
    );
    machine.run_as("sh", &["-c", &line])
}

fn waited_for(system: System, locks: &[&str]) {
    for lock in locks {
        let machine = machine(system);
        let ran = beside(&machine, (system, &format!("{lock} 2")), 300).expect(0);
        let first = ran.err.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("otherpkgs: {} (process ", holder(system)))
                && first.ends_with(&format!(
                    ") holds {lock}: waiting for it to end, 300 s at most"
                )),
            "{}",
            ran.err
        );
        assert_eq!(machine.installed().len(), 1, "{lock}");
    }
}

fn too_long(system: System, locks: &[&str]) {
    for lock in locks {
        let machine = machine(system);
        let before = machine.snapshot();
        let begun = Instant::now();
        let ran = beside(&machine, (system, &format!("{lock} 600")), 1).expect(75);
        assert!(begun.elapsed() < Duration::from_secs(300));
        let last = ran.last();
        let advice = if lock.ends_with(".pid") || lock.contains("/dnf-") {
            format!(", or remove {lock} if that is no package manager")
        } else {
            String::new()
        };
        assert!(
            last.starts_with(&format!("otherpkgs: {} (process ", holder(system)))
                && last.ends_with(&format!(
                    ") holds {lock}, and did not end within 1 s: run this again once it has ended{advice}"
                )),
            "{}",
            ran.err
        );
        assert_eq!(machine.snapshot(), before);
    }
}

/// A dpkg that runs has its journal too: it is not ended by another one.
fn journal() {
    let machine = machine(System::Debian);
    machine.sh("dpkg --unpack /var/tmp/repositories/old/slip-base_1.deb");
    let ran = beside(&machine, (System::Debian, "/var/lib/dpkg/lock 2"), 300).expect(0);
    let lines: Vec<_> = ran.err.lines().collect();
    assert!(
        lines[0].contains(" holds /var/lib/dpkg/lock: waiting "),
        "{}",
        ran.err
    );
    assert_eq!(
        lines[1],
        "otherpkgs: complete what an interrupted run left: slip-base (unpacked): dpkg --force-confdef --force-confold \
         --configure -a"
    );
    assert_eq!(machine.installed(), ["slip-base 1", "slip-flat 1"]);
}

fn hostile() {
    let machine = machine(System::Debian);
    let before = machine.snapshot();
    let ran = beside(
        &machine,
        (System::Debian, "/var/lib/apt/lists/lock 600 65534"),
        300,
    )
    .expect(1);
    let last = ran.last();
    assert!(
        last.starts_with("otherpkgs: waiting for other package managers: unattended-upgrade (process ")
            && last.ends_with(
                ") holds /var/lib/apt/lists/lock, and is not root's, whose alone that lock is: end it, and \
                 'chmod 640 /var/lib/apt/lists/lock'"
            ),
        "{last}"
    );
    assert_eq!(machine.snapshot(), before);
}

fn elsewhere() {
    let machine = machine(System::Debian);
    let line = "unattended-upgrade /var/lib/dpkg/lock 600 >/dev/null 2>&1 & until [ -e /tmp/held ]; do sleep \
                0.05; done; unshare --pid --fork --mount-proc otherpkgs --patience 1";
    let ran = machine.run_as("sh", &["-c", line]).expect(75);
    assert_eq!(
        ran.last(),
        "otherpkgs: a process of another container holds /var/lib/dpkg/lock, and did not end within 1 s: \
         run this again once it has ended"
    );
}

fn stale() {
    let machine = machine(System::Leap);
    let line = "mkdir -p /var/lib/dnf; echo 999999 >/var/lib/dnf/rpmdb_lock.pid; : >/run/zypp.pid; \
                mkfifo /var/lib/dnf/other.pid; setpriv --reuid 65534 --clear-groups sleep 600 & \
                echo $! >/var/lib/dnf/download_lock.pid; sleep 1; otherpkgs --patience 300";
    let begun = Instant::now();
    machine.run_as("sh", &["-c", line]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(290));
    assert_eq!(machine.installed(), ["slip-one 1"]);
}
