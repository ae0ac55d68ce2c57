//! Nodes that cannot be reached, that hang, that are lost: each holds up itself alone.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Case;
use crate::lab::{Lab, numbered, until};

pub(crate) const CASES: &[Case] = &[
    (
        "a_node_that_refuses_or_never_answers_holds_up_nobody",
        &[],
        unreachable,
    ),
    (
        "a_changed_host_key_is_told_and_how_to_forget_the_old_one",
        &[],
        changed_key,
    ),
    (
        "an_unknown_host_key_is_not_taken_on_trust",
        &[],
        unknown_key,
    ),
    (
        "a_node_that_the_site_signed_is_known_and_no_other_is_taken_on_trust",
        &[],
        signed_key,
    ),
    ("a_node_that_takes_no_key_asks_for_no_password", &[], no_key),
    ("an_account_without_a_shell_says_so", &[], no_shell),
    ("a_node_that_hangs_is_given_up_in_its_time", &[], hanging),
    ("a_slow_node_keeps_its_own_place_alone", &[], slow),
    ("a_connection_that_is_lost_is_no_scripts_failure", &[], lost),
    (
        "what_a_script_leaves_running_does_not_keep_the_node",
        &[],
        left_running,
    ),
    (
        "a_jump_that_outlives_ssh_does_not_keep_the_node",
        &[],
        orphan,
    ),
    (
        "an_interrupt_ends_every_session_and_names_what_is_not_done",
        &[],
        interrupted,
    ),
    ("connections_are_kept_when_that_is_asked_for", &[], kept),
];

fn unreachable() {
    let lab = Lab::new(&[
        ("n1", "127.0.1.1"),
        ("n2", "127.0.1.2"),
        ("n3", "127.0.1.3"),
    ]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    lab.write_ssh_config(&format!(
        "Host 127.0.1.1\n HostName 127.0.0.1\n Port {port}\nHost 127.0.1.2\n Port 1\n"
    ));
    let start = Instant::now();
    // One place: the node that never answers gives it up in the end.
    let outcome = lab.run(&["n1-n3", "-P", "--fanout", "2"]);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(255), ""));
    let (refused, rest) = outcome.out.split_once('\n').unwrap();
    assert_eq!(
        refused,
        "n2: unreachable: connect to host 127.0.1.2 port 1: Connection refused (T s)"
    );
    let (well, rest) = rest.split_once("n1: ").unwrap();
    assert_eq!(well, "n3: --update --results --list -\nn3: ok (T s)\n");
    // Versions of ssh have other words for it.
    let (silent, rest) = rest.split_once('\n').unwrap();
    assert!(silent.starts_with("unreachable: Connection "), "{silent}");
    assert!(silent.contains("timed out"), "{silent}");
    assert_eq!(
        rest,
        "3 nodes in T s: 1 ok, 2 unreachable\nunreachable: n1,n2\n"
    );
}

fn changed_key() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    let known = fs::read_to_string(lab.path("known")).unwrap();
    let other = fs::read_to_string(lab.path("other.pub")).unwrap();
    let changed = format!(
        "[127.0.1.1]:{} {other}[127.0.1.2]{}",
        lab.port(),
        known.split_once(']').unwrap().1
    );
    fs::write(lab.path("known"), changed).unwrap();
    let outcome = lab.run(&["n1,n2", "-P"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(255), ""));
    let line = outcome
        .out
        .lines()
        .find(|line| line.starts_with("n1"))
        .unwrap();
    // Where ssh is Debian's it says itself how the key is forgotten.
    let debian = "ssh-keygen -f \"known\" -R \"[127.0.1.1]:PORT\"";
    let forget = if line.contains("-f") {
        debian
    } else {
        "ssh-keygen -R ADDRESS"
    };
    assert_eq!(
        line,
        format!(
            "n1: unreachable: its host key has changed (known:1): if the node was installed again, run {forget}; \
             if not, another machine answers at its address (T s)"
        )
    );
    assert!(outcome.out.contains("n2: ok (T s)\n"), "{}", outcome.out);
}

fn unknown_key() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    fs::write(lab.path("known"), "").unwrap();
    assert_eq!(
        lab.run(&["n1", "-P"]).out,
        "n1: unreachable: its host key is not known here, and ssh is configured to be strict: let the node enrol, so \
         that the site signs it (nodeset --arm), or compare the key and add it to known_hosts (T s)\n1 node in T s: 1 unreachable\nunreachable: n1\n"
    );
    assert_eq!(fs::read_to_string(lab.path("known")).unwrap(), "");
}

fn signed_key() {
    // 127.0.1.2 shows the certificate of another, as whoever answers in its place would.
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    lab.write_ssh_config("StrictHostKeyChecking accept-new\n");
    // a key of before the node was installed again is in nobody's way
    let other = fs::read_to_string(lab.path("other.pub")).unwrap();
    let stale = format!("[127.0.1.1]:{} {other}", lab.port());
    fs::write(lab.path("known"), &stale).unwrap();
    let authority = fs::read_to_string(lab.path("authority.pub")).unwrap();
    let line = format!("@cert-authority [127.0.1.*]:{} {authority}", lab.port());
    fs::write(lab.path("config/ssh_known_hosts"), line).unwrap();
    let outcome = lab.run(&["n1,n2", "-P"]);
    assert!(outcome.out.contains("n1: ok (T s)\n"), "{}", outcome.out);
    assert!(
        outcome.out.contains("n2: unreachable: ") && outcome.code == Some(255),
        "{}",
        outcome.out
    );
    assert_eq!(fs::read_to_string(lab.path("known")).unwrap(), stale);
}

fn no_key() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    fs::copy(lab.path("other.pub"), lab.path("authorized")).unwrap();
    assert_eq!(
        lab.run(&["n1", "-P"]).out,
        "n1: unreachable: it accepts none of this user's ssh keys (root@127.0.1.1: Permission denied \
         (publickey).) (T s)\n1 node in T s: 1 unreachable\nunreachable: n1\n"
    );
}

fn no_shell() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    fs::write(lab.path("nodes/127.0.1.1/shell"), "/usr/sbin/nologin").unwrap();
    let outcome = lab.run(&["n1", "-P"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.out,
        "n1: failed: nothing was run: This account is currently not available. (T s)\n\
         1 node in T s: 1 failed\nfailed: n1\n"
    );
}

fn hanging() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    lab.behave("127.0.1.1", "sleep 600");
    let start = Instant::now();
    let outcome = lab.run(&["n1,n2", "-P", "--timeout", "2"]);
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(outcome.code, Some(124));
    assert!(
        outcome.out.ends_with(
            "n1: timed out: not done within 2 s; its script may still be running (T s)\n\
             2 nodes in T s: 1 ok, 1 timed out\ntimed out: n1\n"
        ),
        "{}",
        outcome.out
    );
    assert_eq!(lab.processes(), [""; 0]);
}

fn slow() {
    let nodes = numbered(6, "127.0.1");
    let lab = Lab::new(&nodes);
    lab.behave("127.0.1.1", "sleep 4");
    let outcome = lab.run(&["n1-n6", "-P", "--fanout", "2"]);
    let ended = outcome
        .out
        .lines()
        .filter(|line| line.ends_with(": ok (T s)"));
    let ended: Vec<_> = ended.map(|line| &line[..2]).collect();
    assert_eq!(ended, ["n2", "n3", "n4", "n5", "n6", "n1"]);
}

fn lost() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    // Its sessions end without a word, as when the power goes.
    lab.behave(
        "127.0.1.1",
        "echo 'kill -KILL -1' >\"$node/first\"; kill -KILL -1",
    );
    let outcome = lab.run(&["n1", "-P"]);
    assert_eq!(outcome.code, Some(255));
    let line = outcome
        .out
        .lines()
        .find(|line| line.starts_with("n1: unreachable"))
        .unwrap();
    assert_eq!(
        line,
        "n1: unreachable: the connection was lost (Connection to 127.0.1.1 closed by remote host.); its \
         script may still be running (T s)"
    );
}

fn left_running() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    lab.behave("127.0.1.1", "sleep 600 & did setupdockerhost 0; end");
    let start = Instant::now();
    let outcome = lab.run(&["n1", "-P"]);
    assert!(
        start.elapsed() < Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.out,
        "n1: --update --results --list -\nn1: ok (T s)\n1 node in T s: 1 ok\n"
    );
    assert_eq!(lab.processes(), [""; 0]);
}

fn orphan() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    // A proxy that keeps ssh's standard error and does not end with it.
    let proxy = lab.path("proxy");
    let script = "#!/bin/sh\n(trap '' HUP TERM; exec sleep 600 </dev/null >/dev/null) &\nexit 1\n";
    crate::lab::write_program(&proxy, script);
    lab.write_ssh_config(&format!(
        "Host 127.0.1.1\n ProxyCommand {}\n",
        proxy.display()
    ));
    let start = Instant::now();
    let outcome = lab.run(&["n1", "-P"]);
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(outcome.code, Some(255));
    assert!(
        outcome.out.starts_with("n1: unreachable: "),
        "{}",
        outcome.out
    );
}

fn interrupted() {
    let lab = Lab::new(&[
        ("n1", "127.0.1.1"),
        ("n2", "127.0.1.2"),
        ("n3", "127.0.1.3"),
    ]);
    lab.behave("127.0.1.2", "touch /opt/begun; sleep 600");
    let mut command = lab.command(&["n1-n3", "-P", "--fanout", "1"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    until("n2 begins", || lab.on("127.0.1.2", "begun").exists());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    let outcome = lab.outcome(output.status.code(), &output.stdout, &output.stderr);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(130), ""));
    let given = "--update --results --list -";
    assert_eq!(
        outcome.out,
        format!(
            "n1: {given}\nn1: ok (T s)\nn2: {given}\n\
             n2: interrupted: its script may still be running (T s)\nn3: not begun\n\
             3 nodes in T s: 1 ok, 1 interrupted, 1 not begun\ninterrupted: n2\nnot begun: n3\n"
        )
    );
    assert_eq!(lab.processes(), [""; 0]);
    assert!(!lab.on("127.0.1.3", "list").exists());
}

fn kept() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    let run = || {
        let mut command = lab.command(&["n1", "-P", "--persist", "20"]);
        let start = Instant::now();
        let outcome = lab.finish(&mut command);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(0), ""),
            "{}",
            outcome.out
        );
        start.elapsed()
    };
    run();
    assert_eq!(masters(), 1, "a connection stays");
    let first = lab.server_log().matches("Accepted publickey").count();
    run();
    assert_eq!(
        lab.server_log().matches("Accepted publickey").count(),
        first,
        "it is used"
    );
    let closed = std::process::Command::new("sh")
        .args([
            "-c",
            "for s in /run/slipway-ssh/*; do ssh -O exit -o ControlPath=\"$s\" x; done",
        ])
        .output()
        .unwrap();
    assert!(closed.status.success(), "{closed:?}");
    until("no connection stays", || masters() == 0);
    fs::remove_dir("/run/slipway-ssh").unwrap();
}

/// Counts the sockets of connections that are kept.
fn masters() -> usize {
    fs::read_dir("/run/slipway-ssh").map_or(0, Iterator::count)
}
