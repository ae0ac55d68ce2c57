//! Every way in which a script does not run or does not end well; the rest of the list runs all the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use definitions::{ProgramDigest, ScriptOrigin};

use crate::node::{Node, entry, eventually, lives, sha256};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_failure_does_not_stop_the_list_and_the_last_ones_code_is_ours",
        Need::Nothing,
        failures,
    ),
    (
        "nothing_that_does_not_match_is_run",
        Need::Nothing,
        mismatches,
    ),
    (
        "a_program_that_was_changed_on_the_node_is_replaced_before_it_runs",
        Need::Nothing,
        changed,
    ),
    (
        "what_cannot_be_executed_says_why",
        Need::Nothing,
        unexecutable,
    ),
    (
        "a_script_that_hangs_is_killed_with_all_its_children",
        Need::Nothing,
        hangs,
    ),
    (
        "a_script_that_floods_its_output_fills_no_disk",
        Need::Nothing,
        floods,
    ),
    (
        "a_daemon_that_a_script_leaves_lives_on_and_holds_nothing_up",
        Need::Nothing,
        daemon,
    ),
];

fn failures() {
    let mut node = Node::new();
    node.script("three", "exit 3");
    node.script("killed", "kill -9 $$");
    node.list
        .postbootscripts
        .push(entry(ScriptOrigin::Node, "nowhere x"));
    node.script("fine", "echo fine >> trace");
    node.script("five", "exit 5");
    node.script("last", "echo last >> trace");
    node.install();

    let ran = node.run(&["--patience", "0"]).expect(5);
    assert_eq!(node.trace(), ["fine", "last"]);
    assert_eq!(
        node.results(),
        [
            "three failed 3",
            "killed failed 137: SIGKILL ended it",
            "nowhere x failed 127: the list has no such program",
            "fine done 0",
            "five failed 5",
            "last done 0",
        ]
    );
    let line =
        "postbootscript end....: nowhere x exited with code 127: the list has no such program\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    assert!(
        ran.out.ends_with("host01: failed: 4 of 6 scripts failed\n"),
        "{}",
        ran.out
    );
    // All have ended, if badly: a later boot does nothing.
    node.run(&[]).expect(0);
    node.run(&["--status"]).expect(1);
}

fn mismatches() {
    let mut node = Node::new();
    for name in ["digest", "size", "short", "chunked", "gone"] {
        node.script(name, &format!("echo {name} >> trace"));
    }
    node.script("fine", "echo fine >> trace");
    let evil = "#!/bin/sh\necho evil >> trace  \n"; // as long as what the list names
    let size = evil.len() as u64;
    let right = sha256(&vec![b'x'; evil.len()]);
    for name in ["digest", "size", "short", "chunked"] {
        node.list.programs.insert(
            name.to_owned(),
            ProgramDigest {
                sha256: right.clone(),
                size,
            },
        );
    }
    node.server.serve("digest", evil.as_bytes());
    node.server.serve("size", format!("{evil}\n").as_bytes());
    node.server.say(
        "short",
        format!("HTTP/1.0 200 OK\r\n\r\n{}", &evil[1..]).as_bytes(),
    );
    node.server.say(
        "chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    node.server.say("gone", b"HTTP/1.1 404 Not Found\r\n\r\n");
    node.install();

    node.run(&["--patience", "0"]).expect(127);
    assert_eq!(node.trace(), ["fine"]);
    let from = format!("fetching it from {}", node.list.source);
    assert_eq!(
        node.results(),
        [
            format!(
                "digest failed 126: {from}: its SHA-256 is {} and not {right}: it is not run",
                sha256(evil.as_bytes())
            ),
            format!(
                "size failed 126: {from}: it has {} bytes and not {size}",
                size + 1
            ),
            format!(
                "short failed 126: {from}: it has {} bytes and not {size}",
                size - 1
            ),
            format!(
                "chunked failed 126: {from}: its Transfer-Encoding is 'chunked', which was not requested"
            ),
            format!("gone failed 127: {from}: the server answered 404: it has no such file"),
            "fine done 0".to_owned(),
        ]
    );
    // Nothing of what did not match is left.
    let left = fs::read_dir(node.path("opt/slipway/postscripts")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["fine", "trace"]);
}

fn changed() {
    let mut node = Node::new();
    node.script("mine", "echo right >> trace");
    node.install();
    node.run(&["--fetch"]).expect(0);
    let path = node.path("opt/slipway/postscripts/mine");
    let changed = fs::read_to_string(&path).unwrap().replace("right", "wrong");
    fs::write(&path, changed).unwrap();
    node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["right"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
}

fn unexecutable() {
    let mut node = Node::new();
    for (name, content) in [
        ("unread", "#!/no/such/interpreter\n"),
        ("bare", "echo no\n"),
        ("dos", "#!/bin/sh\r\necho no\r\n"),
        ("found", "#!/usr/bin/env sh\r\necho no\r\n"),
        ("marked", "\u{feff}#!/bin/sh\necho no\n"),
    ] {
        node.program(name, content);
        node.list
            .postbootscripts
            .push(entry(ScriptOrigin::Node, name));
    }
    node.install();
    node.run(&[]).expect(126);
    let dos = "its lines end with a carriage return (\\r), as editors of Windows write them: convert it with \
               'sed -i s/\\r$//' where it is served";
    assert_eq!(
        node.results(),
        [
            "unread failed 126: it could not be run: the interpreter '/no/such/interpreter', which its first \
             line names, does not exist",
            "bare failed 126: it could not be run: it is not a program for this machine, and its first \
             line does not begin with #!",
            &format!("dos failed 126: it could not be run: {dos}"),
            &format!("found failed 127: {dos}"),
            "marked failed 126: it could not be run: it is written in UTF-8 with a byte order mark, and so its \
             first two characters are not #!: save it as plain UTF-8",
        ]
    );
}

fn hangs() {
    let mut node = Node::new();
    node.script("polite", "sleep 600 & echo $! > child; sleep 600");
    // Deaf to SIGTERM, and so are its children.
    node.script(
        "deaf",
        "trap '' TERM; echo $$ > deaf.pid; while :; do sleep 1; done",
    );
    node.script("fine", "echo fine >> trace");
    node.install();
    let begun = Instant::now();
    let ran = node.run(&["--timeout", "1"]).expect(124);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(node.trace(), ["fine"]);
    let reason = "it did not end within 1 s and was killed";
    assert_eq!(
        node.results(),
        [
            format!("polite failed 124: {reason}"),
            format!("deaf failed 124: {reason}"),
            "fine done 0".to_owned(),
        ]
    );
    assert!(
        ran.out
            .contains(&format!("end....: polite exited with code 124: {reason}\n"))
    );
    for file in ["child", "deaf.pid"] {
        let pid = node.read(&format!("opt/slipway/postscripts/{file}"));
        eventually("it is killed", || !lives(&pid));
    }
}

fn floods() {
    let mut node = Node::new();
    node.script(
        "flood",
        "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the last line",
    );
    node.script("fine", "echo fine >> trace");
    node.install();
    let ran = node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["fine"]);
    let limit = 1 << 20;
    let log = node.read("var/log/slipway/flood.log");
    assert!((limit..limit + 500).contains(&log.len()), "{}", log.len());
    assert!(
        (limit..limit + 800).contains(&ran.out.len()),
        "{}",
        ran.out.len()
    );
    let dropped = 50_000_015 - limit;
    assert!(
        ran.out
            .contains("\n[more than 1048576 bytes: the rest is dropped]\n")
    );
    let end = format!(" end: exited with code 0 ({dropped} bytes of its output were dropped)\n");
    assert!(log.ends_with(&end), "{}", &log[limit..]);
    let record = &node.status()["scripts"][0];
    assert_eq!(record["dropped"], dropped);
    assert_eq!(record["tail"][1], "the last line");
    assert!(node.read("var/lib/slipway/status.json").len() < 4000);
}

fn daemon() {
    let mut node = Node::new();
    // Without setsid(1): it is of the script's own group.
    node.script("starts", "sleep 600 & echo $! > daemon.pid");
    node.install();
    let begun = Instant::now();
    node.run(&[]).expect(0);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let pid = node.read("opt/slipway/postscripts/daemon.pid");
    assert!(lives(&pid));
    // It holds no signal back, so whoever shuts the machine down need not wait for it.
    std::process::Command::new("kill")
        .arg(pid.trim())
        .status()
        .unwrap();
    eventually("the daemon to end", || !lives(&pid));
}
