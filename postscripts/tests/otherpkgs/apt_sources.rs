//! With the real apt: which repositories it is given, by which keys, and which it keeps.

use crate::Test;
use crate::apt::{KEY, KEY_HERE, NEEDS, SOURCES, ask_with_key, entry, signed};
use crate::machine::{Machine, System};

pub(crate) const TESTS: &[Test] = &[
    (
        "apt_repositories_without_their_key_are_refused_unless_trusted_in_words",
        NEEDS,
        keys,
    ),
    (
        "apt_directories_of_the_management_node_come_over_http",
        NEEDS,
        directories,
    ),
    (
        "apt_repositories_that_are_no_longer_named_go",
        NEEDS,
        dropped,
    ),
    (
        "apt_takes_over_what_the_installer_wrote_and_leaves_what_others_did",
        NEEDS,
        standing,
    ),
    (
        "apt_repositories_alone_are_written_on_demand",
        NEEDS,
        repoonly,
    ),
    (
        "apt_packages_of_the_tree_are_those_of_ospkgs",
        NEEDS,
        ospkgs,
    ),
];

fn keys() {
    let mut machine = Machine::new(System::Debian);
    let before = machine.snapshot();
    for (options, end) in [
        (
            "",
            ": name its key with [signed-by=PATH] in otherpkgdir, or set [trusted=yes] there",
        ),
        (
            "[signed-by=/var/tmp/repositories/foreign.asc]",
            ": another key than the one of otherpkgdir signs it, or none does: name the right one there, or \
             set [trusted=yes]",
        ),
    ] {
        machine.ask(&entry(&machine, options), "slip-one");
        let ran = machine.run(&[]).expect(1);
        let start = "otherpkgs: nothing was changed: reading the indices of the repositories: ";
        assert!(
            ran.last().starts_with(start) && ran.last().ends_with(end),
            "{}",
            ran.err
        );
        assert!(ran.last().contains("is not signed"), "{}", ran.err);
        assert_eq!(machine.snapshot(), before);
    }
    // The management node's web server has it, and is not asked: anyone could answer.
    machine.ask(&entry(&machine, &format!("[signed-by={KEY}]")), "slip-one");
    let message = format!(
        "otherpkgs: the key {KEY} is not a file of this node and is not in OTHERPKGKEY1; it is not downloaded, \
         because anyone could answer: run nodeset for this node, which puts it into the node's list, or \
         copy it to that path here\n"
    );
    assert_eq!(machine.run(&[]).expect(1).err, message);
    machine.set(&[("OTHERPKGKEY1", "Package: slip-one")]);
    assert_eq!(
        machine.run(&[]).expect(1).err,
        "otherpkgs: reading the key in OTHERPKGKEY1: it is not an armored OpenPGP public key: make one with 'gpg \
         --armor --export'\n"
    );
    machine.environment.remove("OTHERPKGKEY1");
    assert_eq!(machine.snapshot(), before);
    // A key of this node, one in the environment, and none in words.
    machine.ask(
        &entry(&machine, "[signed-by=/var/tmp/repositories/key.asc]"),
        "slip-one",
    );
    machine.run(&[]).expect(0);
    assert!(
        machine
            .read(SOURCES)
            .ends_with("Signed-By: /var/tmp/repositories/key.asc\n")
    );
    let key = machine.read("/var/tmp/repositories/key.asc");
    machine.ask(&entry(&machine, ""), "slip-two");
    machine.set(&[("OTHERPKGKEY1", &key)]);
    machine.run(&[]).expect(0);
    assert!(
        machine
            .read(SOURCES)
            .ends_with("Signed-By: /etc/apt/keyrings/slipway-otherpkgs1.asc\n")
    );
    machine.environment.remove("OTHERPKGKEY1");
    machine.ask(&entry(&machine, "[trusted=yes]"), "slip-base");
    machine.run(&[]).expect(0);
    assert!(
        machine
            .read(SOURCES)
            .ends_with("Components: main\nTrusted: yes\n")
    );
    assert!(
        !machine
            .path("/etc/apt/keyrings/slipway-otherpkgs1.asc")
            .exists()
    );
    assert_eq!(
        machine.installed(),
        ["slip-base 2", "slip-one 1", "slip-two 1"]
    );
}

fn directories() {
    let mut machine = Machine::new(System::Debian);
    machine.ask("/install/repositories/flat", "slip-flat,sub/slip-sub");
    let ran = machine.run(&[]).expect(1);
    assert!(
        ran.last().contains("does not have a Release file"),
        "{}",
        ran.err
    );
    machine.ask(
        "[trusted=yes] /install/repositories/flat",
        "slip-flat,sub/slip-sub",
    );
    let ran = machine.run(&[]).expect(0);
    assert_eq!(
        ran.out,
        "installed slip-flat 1\ninstalled slip-sub 1\ndone\n"
    );
    let base = format!(
        "URIs: http://{}/install/repositories/flat",
        machine.web.address
    );
    let text = machine.read(SOURCES);
    assert!(
        text.contains(&format!("\nTypes: deb\n{base}\nSuites: ./\nTrusted: yes\n")),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "\nTypes: deb\n{base}/sub\nSuites: ./\nTrusted: yes\n"
        )),
        "{text}"
    );
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");

    // One that is mounted here is read here; one that is empty is left out, beside another.
    let both = format!(
        "[trusted=yes] /var/tmp/repositories/flat,{},/install/post/otherpkgs/none",
        signed(&machine)
    );
    machine.ask(&both, "slip-one");
    let ran = machine.run(&[]).expect(0);
    let note =
        "otherpkgs: /install/post/otherpkgs/none has no Packages or the like: it is left out\n";
    assert!(ran.err.starts_with(note), "{}", ran.err);
    assert!(
        machine
            .read(SOURCES)
            .contains("URIs: file:///var/tmp/repositories/flat\n")
    );
    assert_eq!(
        machine.installed(),
        ["slip-flat 1", "slip-one 1", "slip-sub 1"]
    );
}

fn dropped() {
    let mut machine = Machine::new(System::Debian);
    ask_with_key(&mut machine, "slip-one");
    machine.run(&[]).expect(0);
    machine.environment.remove("OTHERPKGKEY1");
    machine.ask("", "");
    let ran = machine.run(&[]).expect(0);
    assert_eq!(ran.out, "done; no package changed\n");
    assert!(!machine.path(SOURCES).exists());
    assert!(
        !machine
            .path("/etc/apt/keyrings/slipway-otherpkgs1.asc")
            .exists()
    );
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
    assert_eq!(machine.installed(), ["slip-one 1"]);
}

fn standing() {
    let mut machine = Machine::new(System::Debian);
    // As an installer writes it: the same repository, its key within.
    let key = machine
        .read("/var/tmp/repositories/key.asc")
        .replace('\n', "\n ")
        .replace("\n \n", "\n .\n");
    let uri = format!("http://{}/install/repositories/deb", machine.web.address);
    let written = format!(
        "Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\nSigned-By:\n {}\n",
        key.trim_end()
    );
    machine.write("/etc/apt/sources.list.d/extra1.sources", &written);
    machine.ask(&signed(&machine), "slip-one");
    let ran = machine.run(&[]).expect(0);
    assert_eq!(ran.out, "installed slip-one 1\ndone\n");
    let step = "otherpkgs: remove /etc/apt/sources.list.d/extra1.sources\n";
    assert!(ran.err.contains(step), "{}", ran.err);
    assert!(
        !machine
            .path("/etc/apt/sources.list.d/extra1.sources")
            .exists()
    );
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");

    // As an administrator wrote it: with that one standing, apt would refuse ours.
    machine.write("/etc/apt/sources.list.d/mine.sources", &written);
    machine.set(&[("OTHERPKGS1", "slip-two")]);
    let ran = machine.run(&[]).expect(0);
    let note = format!(
        "otherpkgs: {uri} is already in /etc/apt/sources.list.d/mine.sources: that file is left as it is\n"
    );
    assert!(ran.err.starts_with(&note), "{}", ran.err);
    assert_eq!(ran.out, "installed slip-two 1\ndone\n");
    assert!(!machine.path(SOURCES).exists());
    assert_eq!(
        machine.read("/etc/apt/sources.list.d/mine.sources"),
        written
    );
    assert_eq!(machine.run(&[]).expect(0).out, "nothing to do\n");
}

fn repoonly() {
    let mut machine = Machine::new(System::Debian);
    machine.ask(&signed(&machine), "slip-one");
    machine.run(&["--repoonly"]).expect(0);
    assert!(machine.path(SOURCES).exists());
    assert_eq!(machine.installed(), [""; 0]);
}

fn ospkgs() {
    let mut machine = Machine::new(System::Debian);
    // The key of the first mirror behind the tree; that of the first other repository is none of it.
    let mirror = entry(&machine, &format!("[signed-by={KEY}]"));
    let key = machine.read(KEY_HERE);
    machine.set(&[
        ("OSPKGDIR", &format!("/install/debian12/x86_64,{mirror}")),
        ("OTHERPKGKEY1", &key),
        ("OSPKGS", "slip-one"),
        ("OTHERPKGS_INDEX", "1"),
        ("OTHERPKGS1", "slip-two"),
    ]);
    let ran = machine.run_as("ospkgs", &[]).expect(1);
    let start =
        format!("otherpkgs: the key {KEY} is not a file of this node and is not in OSPKGKEY1;");
    assert!(ran.err.starts_with(&start), "{}", ran.err);
    machine.set(&[("OSPKGKEY1", &key)]);
    machine.run_as("ospkgs", &[]).expect(0);
    assert_eq!(machine.installed(), ["slip-one 1"]);
    assert!(
        machine
            .read("/etc/apt/sources.list.d/slipway-ospkgs.sources")
            .ends_with("Signed-By: /etc/apt/keyrings/slipway-ospkgs1.asc\n")
    );
}
