//! After a run that was interrupted or failed half way.

use crate::Test;
use crate::machine::{Machine, System};

const DEB: &[&str] = &["apt-get", "dpkg-deb", "apt-ftparchive", "gpg"];
const RPM: &[&str] = &["dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"];

pub(crate) const TESTS: &[Test] = &[
    (
        "apt_packages_that_cannot_be_configured_fail_until_they_can",
        DEB,
        || cannot("slip-fails"),
    ),
    (
        "apt_packages_that_no_list_names_fail_until_they_can_be_configured",
        DEB,
        || cannot("slip-one"),
    ),
    (
        "apt_packages_that_are_unpacked_get_what_they_lack",
        DEB,
        unpacked,
    ),
    (
        "apt_packages_that_are_half_installed_are_installed_again",
        DEB,
        half_installed,
    ),
    (
        "apt_packages_that_are_held_half_way_are_no_success",
        DEB,
        held,
    ),
    ("apt_removals_that_failed_are_done", DEB, half_removed),
    (
        "apt_packages_that_only_a_missing_one_could_end_are_told",
        DEB,
        lacking,
    ),
    (
        "rpm_packages_in_two_versions_are_no_success",
        RPM,
        two_versions,
    ),
];

const KEY: &str = "[signed-by=/var/tmp/repositories/key.asc]";

fn machine(list: &str) -> Machine {
    let mut machine = Machine::new(System::Debian);
    let entry = format!(
        "{KEY} http://{}/install/repositories/deb stable main",
        machine.web.address
    );
    machine.ask(&entry, list);
    machine
}

fn state(machine: &Machine, name: &str) -> String {
    machine
        .sh(&format!(
            "dpkg-query -W -f '${{db:Status-Abbrev}}' {name} 2>/dev/null || true"
        ))
        .trim()
        .to_owned()
}

/// A package that starts what does not start, as the list's or beside it.
fn cannot(list: &str) {
    let mut machine = machine("slip-fails");
    let half = "slip-fails (half-configured)";
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.last(),
        format!(
            "otherpkgs: installing packages: apt-get ended with code 100: earlier steps stay in effect; unfinished: {half}"
        )
    );
    machine.set(&[("OTHERPKGS1", list)]);
    for _ in 0..2 {
        let ran = machine.run(&[]).expect(1);
        let first = format!(
            "otherpkgs: complete what an interrupted run left: {half}: dpkg --force-confdef --force-confold --configure -a\n"
        );
        assert!(ran.err.starts_with(&first), "{}", ran.err);
        assert!(ran.last().contains(half), "{}", ran.err);
        assert_eq!(state(&machine, "slip-fails"), "iF");
    }
    assert_eq!(
        machine.run(&[]).expect(1).last(),
        format!(
            "otherpkgs: still unfinished: {half}: fix what the messages above name, then run this again"
        )
    );
    let ran = machine.run(&["--dry-run"]).expect(0);
    assert!(
        ran.out
            .starts_with("complete what an interrupted run left: slip-fails"),
        "{}",
        ran.out
    );
    machine.write("/var/tmp/slip-works", "");
    let ran = machine.run(&[]).expect(0);
    assert!(ran.out.contains("installed slip-fails 1\n"), "{}", ran.out);
    assert_eq!(state(&machine, "slip-fails"), "ii");
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
}

/// dpkg unpacks in any order: what it needs may not have come yet.
fn unpacked() {
    for list in ["slip-two", "slip-base", ""] {
        let machine = machine(list);
        machine.sh("dpkg --unpack /var/tmp/repositories/deb/pool/slip-two_1.deb");
        assert_eq!(state(&machine, "slip-two"), "iU");
        machine.run(&[]).expect(0);
        assert_eq!(
            (
                state(&machine, "slip-two").as_str(),
                state(&machine, "slip-one").as_str()
            ),
            ("ii", "ii"),
            "{list}"
        );
        assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
    }
}

fn set_state(machine: &Machine, name: &str, state: &str) {
    machine.sh(&format!(
        "sed -i '/^Package: {name}$/,/^$/s/^Status: .*/Status: {state}/' /var/lib/dpkg/status"
    ));
}

fn half_installed() {
    for list in ["slip-one", "slip-base"] {
        let machine = machine(list);
        machine.sh("dpkg -i /var/tmp/repositories/deb/pool/slip-one_1.deb");
        set_state(&machine, "slip-one", "install reinstreq half-installed");
        machine.run(&[]).expect(0);
        assert_eq!(state(&machine, "slip-one"), "ii", "{list}");
        assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
    }
}

fn held() {
    let machine = machine("slip-base");
    machine.sh("dpkg -i /var/tmp/repositories/deb/pool/slip-one_1.deb");
    set_state(&machine, "slip-one", "hold ok half-configured");
    let ran = machine.run(&[]);
    let state = state(&machine, "slip-one");
    assert!(
        ran.code == Some(0) && state == "hi"
            || ran.code == Some(1) && ran.last().contains("slip-one (half-configured)"),
        "{state}: {}",
        ran.err
    );
}

fn half_removed() {
    for (list, status, end) in [
        ("-slip-one,slip-base", "deinstall ok half-configured", ""),
        ("-slip-one,slip-base", "deinstall ok half-installed", ""),
        ("slip-base", "deinstall ok half-installed", ""),
        ("slip-base", "purge ok half-installed", ""),
        ("slip-one", "deinstall ok half-installed", "ii"),
    ] {
        let machine = machine(list);
        machine.sh("dpkg -i /var/tmp/repositories/deb/pool/slip-one_1.deb");
        set_state(&machine, "slip-one", status);
        machine.run(&[]).expect(0);
        assert_eq!(state(&machine, "slip-one"), end, "{list}: {status}");
        assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
    }
    // What needs it stays, and is named.
    let machine = machine("slip-base");
    machine.sh("dpkg -i /var/tmp/repositories/deb/pool/slip-one_1.deb /var/tmp/repositories/deb/pool/slip-two_1.deb");
    set_state(&machine, "slip-one", "deinstall ok half-installed");
    let ran = machine.run(&[]).expect(1);
    assert!(
        ran.last().starts_with(
            "otherpkgs: nothing was changed: slip-one (half-installed) cannot be completed: slip-two : Depends: slip-one"
        ),
        "{}",
        ran.err
    );
    assert_eq!(state(&machine, "slip-two"), "ii");
}

fn lacking() {
    let machine = machine("slip-base");
    machine.sh("dpkg --unpack /var/tmp/repositories/deb/pool/slip-needs_1.deb");
    let ran = machine.run(&[]).expect(1);
    assert!(
        ran.last().starts_with("otherpkgs: nothing was changed: ")
            && ran.last().contains("slip-needs"),
        "{}",
        ran.err
    );
    assert_eq!(state(&machine, "slip-needs"), "iU");
}

fn two_versions() {
    let mut machine = Machine::new(System::Rocky);
    machine.sh("rpm --import /var/tmp/repositories/key.asc; rpm -i /var/tmp/repositories/old/slip-base*.rpm; \
                rpm -i --force /var/tmp/repositories/rpm/slip-base*.rpm");
    assert_eq!(machine.installed(), ["slip-base 1", "slip-base 2"]);
    let entry = format!(
        "[gpgkey=/var/tmp/repositories/key.asc] http://{}/install/repositories/rpm",
        machine.web.address
    );
    machine.ask(&entry, "slip-base");
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.last(),
        "otherpkgs: nothing was changed: slip-base is installed in two versions, as an interrupted upgrade \
         leaves it: see 'rpm -q slip-base', and remove the older one with 'rpm -e NAME-VERSION'"
    );
    machine.sh("rpm -e slip-base-1");
    assert_eq!(machine.run(&[]).expect(0).out, "done; no package changed\n");
}
