//! With the real dnf and zypper.

use crate::Test;
use crate::machine::{Machine, System};

/// What builds the repositories.
const DNF: &[&str] = &["dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"];
const ZYPPER: &[&str] = &[
    "zypper",
    "rpm",
    "rpmbuild",
    "rpmsign",
    "createrepo_c",
    "gpg",
];

pub(crate) const TESTS: &[Test] = &[
    (
        "dnf_packages_are_installed_from_a_signed_repository_and_again_is_nothing_to_do",
        DNF,
        || installs(System::Rocky),
    ),
    (
        "zypper_packages_are_installed_from_a_signed_repository_and_again_is_nothing_to_do",
        ZYPPER,
        || installs(System::Leap),
    ),
    (
        "dnf_names_that_do_not_exist_are_all_told_and_nothing_is_changed",
        DNF,
        || unknown(System::Rocky),
    ),
    (
        "zypper_names_that_do_not_exist_are_all_told_and_nothing_is_changed",
        ZYPPER,
        || unknown(System::Leap),
    ),
    (
        "dnf_packages_without_their_key_are_refused_unless_trusted_in_words",
        DNF,
        || keys(System::Rocky),
    ),
    (
        "zypper_packages_without_their_key_are_refused_unless_trusted_in_words",
        ZYPPER,
        || keys(System::Leap),
    ),
    (
        "dnf_lists_remove_before_and_after_and_upgrade_nothing_else",
        DNF,
        || lists(System::Rocky),
    ),
    (
        "zypper_lists_remove_before_and_after_and_upgrade_nothing_else",
        ZYPPER,
        || lists(System::Leap),
    ),
    ("dnf_dry_run_tells_and_changes_nothing", DNF, || {
        dry_run(System::Rocky)
    }),
    ("zypper_dry_run_tells_and_changes_nothing", ZYPPER, || {
        dry_run(System::Leap)
    }),
    ("dnf_refuses_a_suite", DNF, suite),
];

fn file(system: System) -> &'static str {
    match system {
        System::Leap => "/etc/zypp/repos.d/slipway-otherpkgs.repo",
        _ => "/etc/yum.repos.d/slipway-otherpkgs.repo",
    }
}

/// Returns the entry of the repository, with options.
fn entry(machine: &Machine, options: &str) -> String {
    format!(
        "{options} http://{}/install/repositories/rpm",
        machine.web.address
    )
    .trim()
    .to_owned()
}

const SIGNED: &str = "[gpgkey=/var/tmp/repositories/key.asc]";

fn installs(system: System) {
    let mut machine = Machine::new(system);
    let there = "[gpgkey=/install/repositories/key.asc]";
    machine.ask(&entry(&machine, there), "slip-two");
    let key = machine.read("/var/tmp/repositories/key.asc");
    machine.set(&[("OTHERPKGKEY1", &key)]);
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-one 1-1\ninstalled slip-two 1-1\ndone\n"
    );
    assert_eq!(machine.installed(), ["slip-one 1", "slip-two 1"]);
    let zypper = if system == System::Leap {
        "autorefresh=1\n"
    } else {
        ""
    };
    assert_eq!(
        machine.read(file(system)),
        format!(
            "# Written by otherpkgs from the osimage's otherpkgdir; changes are lost.

[slipway-otherpkgs1]
name=slipway-otherpkgs1
baseurl=http://{}/install/repositories/rpm
enabled=1
{zypper}gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/slipway-otherpkgs1.asc
",
            machine.web.address
        )
    );
    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("nothing to do\n", "")
    );
    assert_eq!(machine.snapshot(), before);
}

fn unknown(system: System) {
    let mut machine = Machine::new(system);
    machine.ask(&entry(&machine, SIGNED), "slip-one,slip-tow,slip-six");
    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(1);
    let last = ran.last();
    assert!(
        last.starts_with("otherpkgs: nothing was changed: No "),
        "{last}"
    );
    assert!(
        last.contains("slip-tow") && last.contains("slip-six") && !last.contains("slip-one"),
        "{last}"
    );
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.installed(), [""; 0]);
}

fn keys(system: System) {
    let mut machine = Machine::new(system);
    for options in ["", "[gpgkey=/var/tmp/repositories/foreign.asc]"] {
        machine.ask(&entry(&machine, options), "slip-one");
        let ran = machine.run(&[]).expect(1);
        assert_eq!(machine.installed(), [""; 0], "{}", ran.err);
    }
    machine.ask(&entry(&machine, "[trusted=yes]"), "slip-one");
    machine.run(&[]).expect(0);
    assert!(machine.read(file(system)).contains("gpgcheck=0\n"));
    assert_eq!(machine.installed(), ["slip-one 1"]);
}

fn lists(system: System) {
    let mut machine = Machine::new(system);
    machine
        .sh("rpm --import /var/tmp/repositories/key.asc; rpm -i /var/tmp/repositories/old/*.rpm");
    assert_eq!(machine.installed(), ["slip-base 1", "slip-old 1"]);
    machine.ask(&entry(&machine, SIGNED), "-slip-old,slip-new,-slip-never");
    machine.set(&[
        ("OTHERPKGS_INDEX", "2"),
        ("OTHERPKGS2", "slip-two,--slip-two"),
    ]);
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-new 1-1\ninstalled slip-one 1-1\nremoved slip-old 1-1\ndone\n"
    );
    // The old one beside them stays what it was.
    assert_eq!(
        machine.installed(),
        ["slip-base 1", "slip-new 1", "slip-one 1"]
    );
    machine.set(&[
        ("OTHERPKGS_INDEX", "1"),
        ("OTHERPKGS1", "slip-new,slip-two"),
    ]);
    machine.run(&[]).expect(0);
    machine.set(&[("OTHERPKGS1", "-slip-one")]);
    let before = machine.installed();
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.last(),
        "otherpkgs: nothing was changed: slip-two-1-1.noarch needs slip-one: if they are to be removed too, add \
         them to the list with a '-' in front"
    );
    assert_eq!(machine.installed(), before);
}

fn dry_run(system: System) {
    let mut machine = Machine::new(system);
    machine.ask(&entry(&machine, SIGNED), "slip-two");
    let before = machine.snapshot();
    let ran = machine.run(&["--dry-run"]).expect(0);
    assert_eq!(
        ran.out,
        format!("write {}\ninstall slip-two\n", file(system))
    );
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.sh("rpm -qa"), "");
}

fn suite() {
    let mut machine = Machine::new(System::Rocky);
    machine.ask("https://host/repo stable main", "slip-one");
    assert_eq!(
        machine.run(&[]).expect(1).err,
        "otherpkgs: reading OTHERPKGDIR: the entry 'https://host/repo stable main' has 'stable' after the URI: \
         suites and components are apt's, leave them out\n"
    );
}
