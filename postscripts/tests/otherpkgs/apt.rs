//! With the real apt.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Test;
use crate::machine::{Machine, System};

/// What builds the repositories, and what installs from them.
pub(super) const NEEDS: &[&str] = &["apt-get", "dpkg-deb", "apt-ftparchive", "gpg"];

pub(crate) const TESTS: &[Test] = &[
    (
        "apt_packages_are_installed_from_a_signed_repository_and_again_is_nothing_to_do",
        NEEDS,
        installs,
    ),
    (
        "apt_names_that_do_not_exist_are_all_told_and_nothing_is_changed",
        NEEDS,
        unknown,
    ),
    (
        "apt_lists_remove_before_and_after_in_several_transactions",
        NEEDS,
        transactions,
    ),
    (
        "apt_upgrades_what_is_listed_and_nothing_else",
        NEEDS,
        upgrades,
    ),
    ("apt_removes_nothing_that_is_not_listed", NEEDS, removals),
    ("apt_dry_run_tells_and_changes_nothing", NEEDS, dry_run),
    (
        "apt_without_a_network_is_75_and_changes_nothing",
        NEEDS,
        offline,
    ),
    ("apt_ends_what_was_cut_short", NEEDS, cut_short),
    (
        "apt_packages_of_another_architecture_have_dpkg_learn_it_first",
        NEEDS,
        foreign,
    ),
    ("apt_is_not_asked_on_a_diskless_node", NEEDS, diskless),
    (
        "apt_packages_are_installed_from_a_mypostscript_of_xcat",
        NEEDS,
        mypostscript,
    ),
    (
        "apt_input_that_is_wrong_is_said_in_a_sentence",
        NEEDS,
        wrong,
    ),
];

pub(super) const SOURCES: &str = "/etc/apt/sources.list.d/slipway-otherpkgs.sources";
/// Where the management node has the key, and where this node has it.
pub(super) const KEY: &str = "/install/repositories/key.asc";
pub(super) const KEY_HERE: &str = "/var/tmp/repositories/key.asc";

/// Returns the entry of the signed repository.
pub(super) fn entry(machine: &Machine, options: &str) -> String {
    format!(
        "{options} http://{}/install/repositories/deb stable main",
        machine.web.address
    )
    .trim()
    .to_owned()
}

pub(super) fn signed(machine: &Machine) -> String {
    entry(machine, &format!("[signed-by={KEY_HERE}]"))
}

/// Asks for a list from the signed repository as nodeset has it asked for: the key is in the environment.
pub(super) fn ask_with_key(machine: &mut Machine, list: &str) {
    let entry = entry(machine, &format!("[signed-by={KEY}]"));
    machine.ask(&entry, list);
    let key = machine.read(KEY_HERE);
    machine.set(&[("OTHERPKGKEY1", &key)]);
}

/// Installs packages that were there before.
pub(super) fn old(machine: &Machine, names: &[&str]) {
    for name in names {
        machine.sh(&format!("dpkg -i /var/tmp/repositories/old/{name}_1.deb"));
    }
}

fn installs() {
    let mut machine = Machine::new(System::Debian);
    ask_with_key(&mut machine, "slip-two");
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-one 1\ninstalled slip-two 1\ndone\n"
    );
    assert_eq!(machine.installed(), ["slip-one 1", "slip-two 1"]);
    assert_eq!(
        machine.read(SOURCES),
        format!(
            "# Written by otherpkgs from the osimage's otherpkgdir; changes are lost.

Types: deb
URIs: http://{}/install/repositories/deb
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/slipway-otherpkgs1.asc
",
            machine.web.address
        )
    );
    let key = machine.path("/etc/apt/keyrings/slipway-otherpkgs1.asc");
    assert_eq!(
        fs::read_to_string(&key).unwrap(),
        machine.read("/var/tmp/repositories/key.asc")
    );

    let before = (machine.snapshot(), fs::metadata(&key).unwrap().ino());
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("nothing to do\n", "")
    );
    assert_eq!(
        (machine.snapshot(), fs::metadata(&key).unwrap().ino()),
        before
    );
    let json: Value = serde_json::from_str(&machine.run(&["--json"]).expect(0).out).unwrap();
    assert_eq!(
        (json["changed"].as_bool(), json["manager"].as_str()),
        (Some(false), Some("apt-get"))
    );
}

fn unknown() {
    let mut machine = Machine::new(System::Debian);
    machine.ask(&signed(&machine), "slip-one,slip-tow");
    machine.set(&[
        ("OTHERPKGS_INDEX", "2"),
        ("OTHERPKGS2", "slip-two=9,slip-needs"),
    ]);
    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.err,
        "otherpkgs: nothing was changed: Unable to locate package slip-tow; Version '9' for 'slip-two' was \
         not found\n"
    );
    assert_eq!(machine.snapshot(), before);
    // apt takes a full stop for any letter, and a plus at the end for an order
    machine.set(&[
        ("OTHERPKGS1", "slip.one,slip-base"),
        ("OTHERPKGS2", "slip-one+"),
    ]);
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.err,
        "otherpkgs: nothing was changed: there is no package slip.one, and apt-get would take that for a pattern; there \
         is no package slip-one+, and apt-get would take that for a pattern\n"
    );
    assert_eq!(machine.snapshot(), before);
    machine.set(&[("OTHERPKGS1", "slip-one"), ("OTHERPKGS2", "slip-needs")]);
    let ran = machine.run(&[]).expect(1);
    assert_eq!(
        ran.err,
        "otherpkgs: nothing was changed: slip-needs : Depends: slip-nowhere but it is not installable; Unable \
         to correct problems, you have held broken packages.\n"
    );
    assert_eq!(machine.snapshot(), before);
}

fn foreign() {
    let mut machine = Machine::new(System::Debian);
    let known = |machine: &Machine| machine.sh("dpkg --print-foreign-architectures");
    let native = machine.sh("dpkg --print-architecture");
    let native = native.trim();
    let arch = if native == "i386" { "amd64" } else { "i386" };
    assert_eq!(known(&machine), "", "this test is about the first one");

    // One that no repository has: the architecture is not added.
    for (name, why) in [
        (
            format!("slip-none:{arch}"),
            format!("Unable to locate package slip-none:{arch}"),
        ),
        (
            "slip-foreign:sparc".to_owned(),
            "Unable to locate package slip-foreign:sparc".to_owned(),
        ),
    ] {
        machine.ask(&signed(&machine), &name);
        let before = machine.snapshot();
        let ran = machine.run(&[]).expect(1);
        assert_eq!(ran.err, format!("otherpkgs: nothing was changed: {why}\n"));
        assert_eq!(machine.snapshot(), before);
        assert_eq!(known(&machine), "");
    }

    machine.ask(&signed(&machine), &format!("slip-foreign:{arch},slip-one"));
    let step = format!("dpkg --add-architecture {arch}\n");
    let ran = machine.run(&["--dry-run"]).expect(0);
    assert!(ran.out.contains(&step), "{}", ran.out);
    assert_eq!(known(&machine), "");
    let ran = machine.run(&[]).expect(0);
    assert!(
        ran.err.contains(&format!("otherpkgs: {step}")),
        "{}",
        ran.err
    );
    assert_eq!(known(&machine), format!("{arch}\n"));
    assert_eq!(machine.installed(), ["slip-foreign 1", "slip-one 1"]);

    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("nothing to do\n", "")
    );
    assert_eq!(machine.snapshot(), before);

    // The node's own architecture, by its name, is no other one.
    machine.sh(&format!(
        "dpkg --force-all -P slip-foreign:{arch} && dpkg --remove-architecture {arch}"
    ));
    machine.ask(&signed(&machine), "slip-two:any");
    machine.run(&[]).expect(0);
    assert_eq!(known(&machine), "");
}

fn transactions() {
    let mut machine = Machine::new(System::Debian);
    old(&machine, &["slip-old"]);
    machine.ask(&signed(&machine), "-slip-old,slip-new,-slip-never");
    machine.set(&[
        ("OTHERPKGS_INDEX", "2"),
        ("OTHERPKGS2", "slip-env,--slip-base,slip-base"),
        ("ENVLIST2", "SLIP=a=b OTHER=x"),
    ]);
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-env 1\ninstalled slip-new 1\nremoved slip-old 1\ndone\n"
    );
    assert_eq!(machine.read("/var/tmp/slip-env"), "a=b\n");
    assert_eq!(machine.installed(), ["slip-env 1", "slip-new 1"]);
    machine.set(&[("OTHERPKGS2", "slip-env,--slip-base")]);
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
}

fn upgrades() {
    let mut machine = Machine::new(System::Debian);
    old(&machine, &["slip-base", "slip-listed"]);
    machine.ask(&signed(&machine), "slip-listed,slip-one");
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-one 1\nupgraded slip-listed 2\ndone\n"
    );
    assert_eq!(
        machine.installed(),
        ["slip-base 1", "slip-listed 2", "slip-one 1"]
    );
}

fn removals() {
    let mut machine = Machine::new(System::Debian);
    old(&machine, &["slip-old", "slip-user"]);
    let before = machine.snapshot();
    for (list, extra) in [
        ("slip-new", "slip-user, slip-old"),
        ("-slip-old,slip-new", "slip-user"),
        ("-slip-old", "slip-user"),
    ] {
        machine.ask(&signed(&machine), list);
        let ran = machine.run(&[]).expect(1);
        let last = format!(
            "it would remove {extra}: if that is meant, put them into the list with a '-' in front"
        );
        assert!(
            ran.last().starts_with("otherpkgs: nothing was changed: "),
            "{}",
            ran.err
        );
        assert!(ran.last().contains(&last), "{}", ran.err);
        assert_eq!(machine.snapshot(), before);
    }
    machine.ask(&signed(&machine), "-slip-old,-slip-user,slip-new");
    machine.run(&[]).expect(0);
    assert_eq!(machine.installed(), ["slip-new 1"]);
}

fn dry_run() {
    let mut machine = Machine::new(System::Debian);
    old(&machine, &["slip-old"]);
    machine.ask(&signed(&machine), "-slip-old,slip-new,slip-two");
    let before = machine.snapshot();
    let ran = machine.run(&["--dry-run"]).expect(0);
    assert_eq!(
        ran.out,
        "write /etc/apt/sources.list.d/slipway-otherpkgs.sources
remove slip-old
install slip-new slip-two
"
    );
    assert_eq!(machine.snapshot(), before);
    let json: Value =
        serde_json::from_str(&machine.run(&["--dry-run", "--json"]).expect(0).out).unwrap();
    assert_eq!(json["changed"], false);
    assert_eq!(json["steps"][1], "remove slip-old");
    machine.set(&[("OTHERPKGS1", "slip-tow")]);
    machine.run(&["--dry-run"]).expect(1);
    assert_eq!(machine.snapshot(), before);
}

fn offline() {
    let mut machine = Machine::new(System::Debian);
    let before = machine.snapshot();
    let nobody = "[trusted=yes] http://127.0.0.1:9/repo stable main";
    machine.ask(nobody, "slip-one");
    let begun = Instant::now();
    let ran = machine.run(&[]).expect(75);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        ran.last()
            .starts_with("otherpkgs: nothing was changed: reading the indices"),
        "{}",
        ran.err
    );
    machine.ask("/install/repositories/flat", "slip-flat");
    machine.set(&[("HTTPPORT", "9")]);
    let ran = machine.run(&[]).expect(75);
    let message = "otherpkgs: looking for http://127.0.0.1:9/install/repositories/flat/Packages: connecting to \
                   127.0.0.1:9: Connection refused (os error 111)";
    assert_eq!(ran.last(), message);
    assert_eq!(machine.snapshot(), before);
}

fn cut_short() {
    let mut machine = Machine::new(System::Debian);
    machine.ask(&signed(&machine), "slip-slow");
    let mut child = machine
        .command("otherpkgs", &[])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !machine.path("/var/tmp/slip-begun").exists() {
        assert!(
            Instant::now() < deadline,
            "the package's script did not begin"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The power goes: all that runs there ends with the process that entered it.
    child.kill().unwrap();
    child.wait().unwrap();
    machine.write("/var/tmp/slip-go", "");
    let ran = machine.run(&[]).expect(0);
    assert!(
        ran.err.starts_with(
            "otherpkgs: complete what an interrupted run left: slip-slow (half-configured): dpkg "
        ),
        "{}",
        ran.err
    );
    assert_eq!(machine.installed(), ["slip-slow 1"]);
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
}

fn diskless() {
    let mut machine = Machine::new(System::Debian);
    machine.ask(&signed(&machine), "slip-one");
    machine.set(&[("NODESETSTATE", "netboot"), ("UPDATENODE", "0")]);
    let ran = machine.run(&[]).expect(0);
    assert_eq!(ran.out, "nothing to do\n");
    assert_eq!(
        ran.err,
        "otherpkgs: a diskless node has its packages in its image: nothing is installed\n"
    );
    machine.set(&[("UPDATENODE", "1")]);
    machine.run(&[]).expect(0);
    assert_eq!(machine.installed(), ["slip-one 1"]);
}

/// As xCAT runs it: from a script that exports single-quoted values, in a shell.
fn mypostscript() {
    let machine = Machine::new(System::Debian);
    let exports = [
        ("OTHERPKGDIR", signed(&machine)),
        ("OTHERPKGS1", "slip-env".to_owned()),
        ("ENVLIST1", "SLIP=$(id)'s".to_owned()),
        ("OTHERPKGS_INDEX", "1".to_owned()),
        ("UPDATENODE", "1".to_owned()),
        (
            "NICEXTRAPARAMS",
            "it's \"odd\"\nand $(touch /var/tmp/owned)".to_owned(),
        ),
    ];
    let export = |(name, value): &(&str, String)| {
        format!("{name}='{}'\nexport {name}\n", value.replace('\'', "'\\''"))
    };
    let script: String = exports.iter().map(export).collect();
    machine.write(
        "/var/tmp/mypostscript",
        &format!("{script}cd /usr/local/bin && ./otherpkgs\n"),
    );
    machine.sh("sh /var/tmp/mypostscript");
    assert_eq!(machine.read("/var/tmp/slip-env"), "$(id)'s\n");
    assert!(!machine.path("/var/tmp/owned").exists());
}

fn wrong() {
    let mut machine = Machine::new(System::Debian);
    let before = machine.snapshot();
    for (entry, list, message) in [
        (
            "ftp://host/repo stable main",
            "slip-one",
            "reading OTHERPKGDIR: the entry 'ftp://host/repo stable main' has 'ftp://host/repo', which is \
             neither an absolute directory nor an http or https URI",
        ),
        (
            "",
            "slip-one;reboot",
            "reading OTHERPKGS1: 'slip-one;reboot' is no package: write NAME or NAME=VERSION",
        ),
    ] {
        machine.ask(entry, list);
        assert_eq!(
            machine.run(&[]).expect(1).err,
            format!("otherpkgs: {message}\n")
        );
        assert_eq!(machine.snapshot(), before);
    }
    machine.environment.remove("NFSSERVER");
    machine.ask("/install/repositories/flat", "slip-flat");
    assert_eq!(
        machine.run(&[]).expect(1).err,
        "otherpkgs: looking for /install/repositories/flat, which is not here: none of NFSSERVER, MASTER_IP \
         and MASTER is the address of a management node\n"
    );
}
