//! What somebody else may have put where programs of a host keep what they believe.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use definitions::ScriptOrigin;

use crate::node::{Node, Ran, entry};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "no_program_believes_what_another_user_put_where_it_keeps_its_state",
        Need::Namespaces,
        refuse,
    ),
    (
        "a_program_that_another_user_can_write_again_is_fetched_anew_or_not_run",
        Need::Namespaces,
        fetch_again,
    ),
];

const NOBODY: u32 = 65534;

fn refuse() {
    const IDENTITY: &str = "etc/slipway/identity";
    const LIST: &str = "var/lib/slipway/dockerauthz";
    let firstboot = env!("CARGO_BIN_EXE_firstboot");
    let enrol = env!("CARGO_BIN_EXE_enrol");
    let dockerauthz = env!("CARGO_BIN_EXE_dockerauthz");
    let table: [(&str, &[&str], &str, &str); 10] = [
        // the program, its arguments, the file that there is, what another user has
        (
            firstboot,
            &[],
            "var/lib/slipway/postscripts.json",
            "var/lib/slipway",
        ),
        (
            firstboot,
            &[],
            "var/lib/slipway/postscripts.json",
            "var/lib/slipway/postscripts.json",
        ),
        (
            firstboot,
            &[],
            "var/lib/slipway/firstboot.done",
            "var/lib/slipway/firstboot.done",
        ),
        (
            firstboot,
            &["--status"],
            "var/lib/slipway/status.json",
            "var/lib/slipway/status.json",
        ),
        (
            enrol,
            &[],
            "var/lib/slipway/enrolment.json",
            "var/lib/slipway",
        ),
        (
            enrol,
            &[],
            "var/lib/slipway/enrolment.json",
            "var/lib/slipway/enrolment.json",
        ),
        (enrol, &[], "etc/slipway/identity/.lock", IDENTITY),
        (
            enrol,
            &["--report", "booted"],
            "etc/slipway/identity/cert.pem",
            "etc/slipway",
        ),
        (dockerauthz, &[], "etc/slipway/identity/cert.pem", IDENTITY),
        (
            dockerauthz,
            &["--status"],
            "var/lib/slipway/dockerauthz/revocations.pem",
            LIST,
        ),
    ];
    for (program, arguments, file, given) in table {
        let node = Node::new();
        let path = node.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{}").unwrap();
        chown(node.path(given), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new(program);
        command.arg("--root").arg(node.path("")).args(arguments);
        let ran = Ran::of(command.output().unwrap()).expect(1);
        let refusal = format!(
            "is not root's alone: it belongs to user {NOBODY} ({})",
            node.path(given).display()
        );
        let said = format!("{}{}", ran.out, ran.err);
        assert!(
            said.contains(&refusal),
            "{program} {arguments:?} {given}: {said}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"{}", "{file}");
    }
}

fn fetch_again() {
    let mut node = Node::new();
    node.program("hello", "#!/bin/sh\necho hello >trace\n");
    let line = entry(ScriptOrigin::Node, "hello");
    node.list.postbootscripts.push(line);
    node.install();
    node.run(&["--fetch"]).expect(0);
    assert_eq!(node.server.asked(), ["hello"]);
    let program = node.path("opt/slipway/postscripts/hello");
    chown(&program, Some(NOBODY), None).unwrap();
    node.run(&["--fetch"]).expect(0);
    assert_eq!(node.server.asked(), ["hello"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&program).unwrap());
    assert_eq!(owner, 0);

    chown(program.parent().unwrap(), Some(NOBODY), None).unwrap();
    let ran = node.run(&[]).expect(126);
    let refusal = format!("is not root's alone: it belongs to user {NOBODY}");
    assert!(ran.err.contains(&refusal), "{}", ran.err);
    assert!(node.trace().is_empty());
}
