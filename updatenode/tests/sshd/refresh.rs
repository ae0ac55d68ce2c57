//! What a node is brought before anything is run there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use definitions::Runlist;
use serde_json::Value;

use crate::Case;
use crate::lab::{Lab, list, write_program};

pub(crate) const CASES: &[Case] = &[
    ("a_node_without_the_program_gets_it", &[], without),
    (
        "another_program_is_replaced_and_the_same_is_left_alone",
        &[],
        another,
    ),
    ("a_large_program_arrives_whole", &[], large),
    (
        "the_list_arrives_with_the_programs_as_they_are_now",
        &[],
        with_list,
    ),
    (
        "a_full_disk_leaves_the_old_program_in_place",
        &[],
        full_disk,
    ),
    ("what_arrives_damaged_is_not_put_in_place", &[], damaged),
    ("a_node_of_busybox_alone_is_enough", &["busybox"], busybox),
    ("dash_hands_the_command_on", &["dash"], || {
        login_shell("dash")
    }),
    ("zsh_hands_the_command_on", &["zsh"], || login_shell("zsh")),
    ("fish_hands_the_command_on", &["fish"], || {
        login_shell("fish")
    }),
    ("tcsh_hands_the_command_on", &["tcsh"], || {
        login_shell("tcsh")
    }),
    (
        "a_user_who_is_not_root_becomes_root_by_sudo",
        &["setpriv"],
        by_sudo,
    ),
];

const ADDRESS: &str = "127.0.1.1";

/// A lab with one node, which has no program.
fn bare_node() -> Lab {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    fs::remove_dir_all(lab.on(ADDRESS, "slipway")).unwrap();
    lab
}

/// Runs one script and says whether the program was brought.
#[track_caller]
fn refreshed(lab: &Lab) -> bool {
    let output = lab
        .command(&["n1", "-P", "otherpkgs,setupdockerhost 'it is'", "--json"])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let node = &document["nodes"][0];
    assert_eq!(
        node["status"],
        "ok",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        node["output"][0],
        "--update --results --list - -P otherpkgs -P setupdockerhost 'it is'"
    );
    node["refreshed"].as_bool().unwrap()
}

/// Expects the program of the install directory on the node, and nothing beside it.
#[track_caller]
fn in_place(lab: &Lab) {
    let bin = lab.on(ADDRESS, "slipway/bin");
    let names: Vec<_> = fs::read_dir(&bin)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["firstboot"]);
    let (here, there) = (
        lab.path("install/postscripts/firstboot"),
        bin.join("firstboot"),
    );
    assert!(fs::read(here).unwrap() == fs::read(&there).unwrap());
    let metadata = fs::metadata(there).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
}

fn without() {
    let lab = bare_node();
    assert!(refreshed(&lab));
    in_place(&lab);
    assert!(!refreshed(&lab));
}

fn another() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    let inode = || {
        fs::metadata(lab.on(ADDRESS, "slipway/bin/firstboot"))
            .unwrap()
            .ino()
    };
    let before = inode();
    assert!(!refreshed(&lab));
    assert_eq!(inode(), before);
    write_program(
        &lab.on(ADDRESS, "slipway/bin/firstboot"),
        "#!/bin/sh\necho the old one\n",
    );
    assert!(refreshed(&lab));
    assert_ne!(inode(), before, "it was renamed into place");
    in_place(&lab);
}

fn large() {
    let lab = bare_node();
    // More than any pipe or window holds, and as little to be compressed as a program.
    let mut text = include_str!("firstboot").to_owned();
    (0..400_000).for_each(|i: u32| text += &format!("#{:08x}\n", i.wrapping_mul(2_654_435_761)));
    write_program(&lab.path("install/postscripts/firstboot"), &text);
    assert!(refreshed(&lab));
    in_place(&lab);
}

fn with_list() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    let postscripts = lab.path("install/postscripts");
    fs::remove_file(postscripts.join("xHRM")).unwrap();
    symlink("bridgeprereq", postscripts.join("xHRM")).unwrap();
    fs::create_dir(postscripts.join("site")).unwrap();
    fs::write(postscripts.join("site/mine"), "abc").unwrap();
    fs::remove_file(postscripts.join("setupdockerhost")).unwrap();
    assert_eq!(lab.run(&["n1", "-P", "site/mine"]).code, Some(0));
    let sent: Runlist =
        serde_json::from_slice(&fs::read(lab.on(ADDRESS, "list")).unwrap()).unwrap();
    let (old, now) = (list("n1"), |name: &str| sent.programs[name].clone());
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        (now("site/mine").sha256.as_str(), now("site/mine").size),
        (abc, 3)
    );
    assert_eq!(
        now("xHRM"),
        now("bridgeprereq"),
        "a link is the program that it leads to"
    );
    assert_ne!(now("otherpkgs"), old.programs["otherpkgs"]);
    assert_eq!(
        now("setupdockerhost"),
        old.programs["setupdockerhost"],
        "what is gone and not requested stays"
    );
    let expected = Runlist {
        programs: sent.programs.clone(),
        ..old
    };
    assert_eq!(sent, expected, "all else is as nodeset wrote it");
    let mut bare = list("n1");
    bare.programs.clear();
    let path = lab.path("install/autoinst/n1/postscripts.json");
    fs::write(path, serde_json::to_vec(&bare).unwrap()).unwrap();
    fs::write(postscripts.join("setupdockerhost"), "new").unwrap();
    assert_eq!(lab.run(&["n1", "-P", "setupdockerhost b1"]).code, Some(0));
    let sent: Runlist =
        serde_json::from_slice(&fs::read(lab.on(ADDRESS, "list")).unwrap()).unwrap();
    let names: Vec<_> = sent.programs.keys().collect();
    assert_eq!(
        names,
        ["bridgeprereq", "setupdockerhost"],
        "with what it starts beside it"
    );
}

fn full_disk() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    let old = lab.on(ADDRESS, "slipway/bin/firstboot");
    write_program(&old, "#!/bin/sh\necho the old one\n");
    let text = include_str!("firstboot").to_owned() + &"#".repeat(1 << 20);
    write_program(&lab.path("install/postscripts/firstboot"), &text);
    // The node's own file system, small; a copy of what is there, since it covers it.
    let small = "cp -a /opt/slipway /tmp/.slipway.$$ && mount -t tmpfs -o size=64k none /opt && \
                 mv /tmp/.slipway.$$ /opt/slipway; trap 'ls -A /opt/slipway/bin >\"$node/left\"' EXIT\n\
                 bash -c \"$SSH_ORIGINAL_COMMAND\"; exit\n";
    fs::write(lab.path(&format!("nodes/{ADDRESS}/first")), small).unwrap();
    let outcome = lab.run(&["n1", "-P"]);
    assert_eq!(outcome.code, Some(1));
    let (first, rest) = outcome.out.split_once('\n').unwrap();
    assert!(
        first.starts_with("n1: failed: nothing was run: head: ")
            && first.ends_with("No space left on device (T s)"),
        "{first}"
    );
    assert_eq!(rest, "1 node in T s: 1 failed\nfailed: n1\n");
    let left = fs::read_to_string(lab.path(&format!("nodes/{ADDRESS}/left"))).unwrap();
    assert_eq!(left, "firstboot\n", "nothing stays beside it");
}

fn damaged() {
    let lab = bare_node();
    // A node that mangles what it reads.
    let first = format!("mkdir -p \"$node/bin\"; PATH=$node/bin:$PATH; export PATH # {ADDRESS}\n");
    fs::write(lab.path(&format!("nodes/{ADDRESS}/first")), first).unwrap();
    let bin = lab.path(&format!("nodes/{ADDRESS}/bin"));
    fs::create_dir(&bin).unwrap();
    write_program(
        &bin.join("head"),
        "#!/bin/sh\n/usr/bin/head \"$@\" | tr a b\n",
    );
    assert_eq!(
        lab.run(&["n1", "-P"]).out,
        "n1: failed: nothing was run: the program arrived damaged (T s)\n\
         1 node in T s: 1 failed\nfailed: n1\n"
    );
    assert_eq!(
        fs::read_dir(lab.on(ADDRESS, "slipway/bin"))
            .unwrap()
            .count(),
        0
    );
}

fn busybox() {
    let lab = bare_node();
    let bin = lab.path(&format!("nodes/{ADDRESS}/bin"));
    fs::create_dir(&bin).unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    for applet in [
        "sh",
        "id",
        "sha256sum",
        "head",
        "mktemp",
        "mv",
        "chmod",
        "mkdir",
        "rm",
        "cat",
        "ls",
    ] {
        symlink(busybox.unwrap(), bin.join(applet)).unwrap();
    }
    fs::write(
        lab.path(&format!("nodes/{ADDRESS}/first")),
        "PATH=$node/bin; export PATH\n",
    )
    .unwrap();
    fs::write(lab.path(&format!("nodes/{ADDRESS}/shell")), "sh").unwrap();
    assert!(refreshed(&lab));
    in_place(&lab);
    assert!(!refreshed(&lab));
}

fn login_shell(shell: &str) {
    let lab = bare_node();
    fs::write(lab.path(&format!("nodes/{ADDRESS}/shell")), shell).unwrap();
    assert!(refreshed(&lab));
    in_place(&lab);
    assert!(!refreshed(&lab));
}

fn by_sudo() {
    let lab = bare_node();
    let bin = lab.path(&format!("nodes/{ADDRESS}/bin"));
    fs::create_dir(&bin).unwrap();
    // Nobody does not become root here, but owns what takes the place of /opt.
    write_program(
        &bin.join("sudo"),
        "#!/bin/sh\necho \"$1 $2 $3 $4 as $(id -u)\" >/opt/sudo\nshift 4\nexec \"$@\"\n",
    );
    fs::write(
        lab.path(&format!("nodes/{ADDRESS}/first")),
        "PATH=$node/bin:$PATH; export PATH\n",
    )
    .unwrap();
    let shell = "setpriv --reuid 65534 --clear-groups bash";
    fs::write(lab.path(&format!("nodes/{ADDRESS}/shell")), shell).unwrap();
    std::os::unix::fs::chown(lab.on(ADDRESS, ""), Some(65534), None).unwrap();
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refreshed(&lab));
    assert_eq!(
        fs::read_to_string(lab.on(ADDRESS, "sudo")).unwrap(),
        "-n -u root -- as 65534\n"
    );
}
