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
        "a_server_that_lies_is_named_and_nothing_of_it_is_run",
        Need::Nothing,
        liars,
    ),
    (
        "what_is_in_the_place_of_a_program_is_replaced_or_named",
        Need::Nothing,
        in_its_place,
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

fn liars() {
    let mut node = Node::new();
    let right = "#!/bin/sh\necho evil >> trace\n";
    let size = right.len();
    let whole = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{right}");
    let not_followed = |place: &str| {
        format!(
            "126: {{from}}: the server answered 302 and leads to '{place}', which is not followed: have the server send the \
             file itself"
        )
    };
    let page =
        ", and is a page of HTML: does a proxy or a login page answer in the server's place?";
    let table = [
        (
            "longer",
            whole("Content-Length: 999\r\n"),
            format!("126: {{from}}: it has 999 bytes and not {size}"),
        ),
        (
            "shorter",
            whole("Content-Length: 5\r\n"),
            format!("126: {{from}}: it has 5 bytes and not {size}"),
        ),
        (
            "two-lengths",
            whole(&format!("Content-Length: {size}\r\nContent-Length: 5\r\n")),
            "126: {from}: its Content-Length is '5'".to_owned(),
        ),
        (
            "part",
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{}/{size}\r\n\r\n{right}",
                size - 1
            ),
            "126: {from}: it sends a part of the file, which was not asked for".to_owned(),
        ),
        (
            "trailer",
            format!(
                "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{right}\r\n0\r\nX: \
                 y\r\n\r\n"
            ),
            "126: {from}: its Transfer-Encoding is 'chunked', which was not requested".to_owned(),
        ),
        (
            "packed",
            whole("Content-Encoding: gzip\r\n"),
            "126: {from}: its Content-Encoding is 'gzip', which was not requested".to_owned(),
        ),
        (
            "elsewhere",
            "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/evil\r\n\r\n".to_owned(),
            not_followed("http://192.0.2.1/evil"),
        ),
        (
            "file",
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/shadow\r\n\r\n".to_owned(),
            not_followed("file:///etc/shadow"),
        ),
        (
            "endless",
            format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(10_000)),
            "126: {from}: its answer has an endless head".to_owned(),
        ),
        (
            "page",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>".to_owned(),
            format!("126: {{from}}: it has 6 bytes and not {size}{page}"),
        ),
        (
            "other-protocol",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
            "126: {from}: its answer is not HTTP".to_owned(),
        ),
        (
            "empty",
            String::new(),
            "75: {from}: the server closed the connection before it answered".to_owned(),
        ),
    ];
    for (name, answer, _) in &table {
        node.program(name, right);
        node.server.say(name, answer.as_bytes());
        node.list
            .postbootscripts
            .push(entry(ScriptOrigin::Node, name));
    }
    // it would have the same content, and be taken from there
    for (name, program) in &mut node.list.programs {
        program.sha256 = sha256(name.as_bytes());
    }
    node.script("fine", "echo fine >> trace");
    node.install();
    node.run(&["--patience", "0"]).expect(75);
    assert_eq!(node.trace(), ["fine"]);
    let from = format!("fetching it from {}", node.list.source);
    let mut expected: Vec<_> = table
        .iter()
        .map(|(name, _, reason)| {
            let state = if reason.starts_with("75") {
                "waiting"
            } else {
                "failed"
            };
            format!("{name} {state} {}", reason.replace("{from}", &from))
        })
        .collect();
    expected.push("fine done 0".to_owned());
    assert_eq!(node.results(), expected);
    let left = fs::read_dir(node.path("opt/slipway/postscripts")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["fine", "trace"]);
}

fn in_its_place() {
    let mut node = Node::new();
    for name in ["directory", "link", "pipe"] {
        node.script(name, &format!("echo {name} >> trace"));
    }
    node.install();
    let programs = node.path("opt/slipway/postscripts");
    fs::create_dir_all(programs.join("directory/kept")).unwrap();
    let elsewhere = node.path("elsewhere");
    fs::write(&elsewhere, "#!/bin/sh\necho evil >> trace\n").unwrap();
    std::os::unix::fs::symlink(&elsewhere, programs.join("link")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(programs.join("pipe"))
        .status();
    assert!(made.unwrap().success());
    node.run(&["--patience", "0"]).expect(126);
    assert_eq!(node.trace(), ["link", "pipe"]);
    let there = programs.join("directory");
    let reason = format!(
        "fetching it from {}: {} is a directory here: remove it first",
        node.list.source,
        there.display()
    );
    assert_eq!(
        node.results(),
        [
            format!("directory failed 126: {reason}"),
            "link done 0".to_owned(),
            "pipe done 0".to_owned()
        ]
    );
    // what the link led to is as it was
    assert!(fs::read_to_string(elsewhere).unwrap().contains("evil"));
    assert!(there.join("kept").exists());
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
    let elf = |machine: u8, rest: &[u8]| {
        let start = [b"\x7fELF\x02\x01\x01", &[0; 9][..], &[2, 0, machine, 0]].concat();
        [&start, rest].concat()
    };
    let own = std::env::consts::ARCH;
    let own_number = if own == "x86_64" { 62 } else { 183 };
    let (foreign, damaged) = (elf(22, &[0; 64]), elf(own_number, &[]));
    for (name, content) in [("foreign", &foreign), ("damaged", &damaged)] {
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
            "foreign failed 126: it could not be run: it is a program for s390x, which this machine is not",
            &format!("damaged failed 126: it could not be run: it is a damaged program for {own}"),
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
