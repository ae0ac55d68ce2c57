//! What befalls `firstboot` itself: killed by its script, a loss of power, half a status, a full disk.

use std::fs;
use std::process::{Command, Stdio};

use crate::node::{Node, Ran, eventually, lives, text};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_script_that_kills_its_parent_has_failed_and_the_rest_runs",
        Need::Nothing,
        parricide,
    ),
    (
        "a_script_that_asks_its_parent_to_end_is_ended_itself",
        Need::Nothing,
        asks_parent,
    ),
    (
        "a_script_that_asks_its_parent_to_end_at_once_has_failed_too",
        Need::Nothing,
        asks_parent_at_once,
    ),
    (
        "after_a_loss_of_power_only_what_was_cut_short_runs_again",
        Need::Nothing,
        power,
    ),
    (
        "a_script_that_always_takes_the_machine_down_is_not_run_for_ever",
        Need::Nothing,
        always_down,
    ),
    (
        "being_asked_to_end_ends_the_script_and_the_next_run_begins_it_anew",
        Need::Nothing,
        stopped,
    ),
    (
        "half_a_status_is_kept_aside_and_the_list_runs_again",
        Need::Nothing,
        half_a_status,
    ),
    ("two_runs_do_not_overlap", Need::Nothing, overlap),
    (
        "a_run_whose_reader_is_gone_goes_on",
        Need::Nothing,
        reader_gone,
    ),
    ("a_full_disk_stops_no_script", Need::Namespaces, full_disk),
];

fn parricide() {
    let mut node = Node::new();
    node.script("before", "echo before >> trace");
    node.script(
        "parricide",
        "echo parricide >> trace; sleep 0.5; kill -9 $PPID; sleep 600",
    );
    node.script("after", "echo after >> trace");
    node.install();

    let ran = node.run(&[]);
    assert_eq!(ran.code, None, "{}", ran.err);
    let pid = node.status()["scripts"][1]["process"]["pid"].to_string();
    assert!(lives(&pid));
    // The unit starts it again on the same boot.
    let ran = node.run(&[]).expect(1);
    assert_eq!(
        ran.err,
        "firstboot: postbootscript parricide: firstboot was killed while it ran\n"
    );
    eventually("what it left is ended", || !lives(&pid));
    assert_eq!(node.trace(), ["before", "parricide", "after"]);
    assert_eq!(
        node.results(),
        [
            "before done 0",
            "parricide failed 1: firstboot was killed while it ran",
            "after done 0"
        ]
    );
    node.run(&[]).expect(0);
    assert_eq!(node.trace().len(), 3);
}

fn asks_parent() {
    let mut node = Node::new();
    node.script("asks", "kill -TERM $PPID; sleep 600");
    node.script("after", "echo after >> trace");
    node.install();
    node.run(&[]).expect(143);
    let reason = "it sent SIGTERM to firstboot, which runs it, and was killed";
    assert_eq!(
        node.results(),
        [&format!("asks failed 143: {reason}"), "after done 0"]
    );
}

/// As its first instruction, as often as it takes for one of them to be early.
fn asks_parent_at_once() {
    const TIMES: usize = 40;
    let mut node = Node::new();
    for number in 0..TIMES {
        let end = if number % 2 == 0 { "; sleep 600" } else { "" };
        node.script(&format!("asks{number}"), &format!("kill -TERM $PPID{end}"));
    }
    node.script("mask", "grep ^SigBlk: /proc/self/status >> trace");
    node.install();
    node.run(&[]).expect(143);
    let reason = "it sent SIGTERM to firstboot, which runs it, and was killed";
    let mut expected: Vec<_> = (0..TIMES)
        .map(|number| format!("asks{number} failed 143: {reason}"))
        .collect();
    expected.push("mask done 0".to_owned());
    assert_eq!(node.results(), expected);
    assert_eq!(node.trace(), ["SigBlk:\t0000000000000000"]);
}

/// Starts a run, waits until a script has made its mark, and takes the power away.
fn cut_short(node: &Node, mark: &str) {
    let mut child = node
        .command(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mark = node.path(mark);
    eventually("the script begins", || mark.exists());
    let pid = node.status()["scripts"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|r| r["process"]["pid"].as_i64());
    child.kill().unwrap();
    child.wait().unwrap();
    if let Some(pid) = pid {
        Command::new("kill")
            .args(["-9", "--", &format!("-{pid}")])
            .status()
            .unwrap();
    }
    fs::remove_file(mark).unwrap();
}

fn power() {
    let mut node = Node::new();
    node.script("before", "echo before >> trace");
    node.script(
        "long",
        "echo long >> trace; touch mark; [ -e go ] || sleep 600",
    );
    node.script("after", "echo after >> trace");
    node.install();
    cut_short(&node, "opt/slipway/postscripts/mark");
    node.boots("2");
    fs::write(node.path("opt/slipway/postscripts/go"), "").unwrap();
    let ran = node.run(&[]).expect(0);
    assert_eq!(
        ran.err,
        "firstboot: postbootscript long: it was interrupted and runs again\n"
    );
    assert_eq!(node.trace(), ["before", "long", "long", "after"]);
    let record = &node.status()["scripts"][1];
    assert_eq!(
        (
            record["attempts"].as_u64(),
            record["interruptions"].as_u64()
        ),
        (Some(2), Some(1))
    );
}

fn always_down() {
    let mut node = Node::new();
    node.script("reboots", "echo reboots >> trace; touch mark; sleep 600");
    node.script("after", "echo after >> trace");
    node.install();
    for boot in 1..=3 {
        node.boots(&boot.to_string());
        cut_short(&node, "opt/slipway/postscripts/mark");
    }
    node.boots("4");
    node.run(&[]).expect(1);
    assert_eq!(node.trace(), ["reboots", "reboots", "reboots", "after"]);
    assert_eq!(
        node.results(),
        [
            "reboots failed 1: the machine went down 3 times while it ran",
            "after done 0"
        ]
    );
}

fn stopped() {
    let mut node = Node::new();
    node.script(
        "long",
        "echo long >> trace; [ -e go ] || { touch mark; sleep 600; }",
    );
    node.install();
    let mut child = node
        .command(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the script begins", || {
        node.path("opt/slipway/postscripts/mark").exists()
    });
    eventually("its process is known", || {
        node.status()["scripts"][0]["process"]["pid"].is_i64()
    });
    let pid = node.status()["scripts"][0]["process"]["pid"].to_string();
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let ran = Ran::of(child.wait_with_output().unwrap());
    let line = "postbootscript end....: long exited with code 143: firstboot got SIGTERM\n";
    assert!(ran.out.ends_with(line), "{}", ran.out);
    eventually("the script is ended", || !lives(&pid));
    assert_eq!(node.status()["scripts"][0]["state"], "pending");
    fs::write(node.path("opt/slipway/postscripts/go"), "").unwrap();
    node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["long", "long"]);
}

fn half_a_status() {
    let mut node = Node::new();
    node.script("mine", "echo mine >> trace");
    node.script("broken", "exit 75");
    node.install();
    node.run(&["--patience", "0"]).expect(75);
    let path = node.path("var/lib/slipway/status.json");
    let whole = fs::read(&path).unwrap();
    for half in [
        &whole[..whole.len() / 2],
        b"",
        b"\xff\xff",
        b"{\"scripts\": 3}",
    ] {
        fs::write(&path, half).unwrap();
        let before = node.trace().len();
        let ran = node.run(&["--patience", "0"]).expect(75);
        let said = ran.err.lines().next().unwrap();
        let kept = node.path("var/lib/slipway/status.json.damaged");
        assert!(
            said.starts_with(&format!("firstboot: {} cannot be read (", path.display())),
            "{said}"
        );
        let end = format!(
            "it is kept as {}, and the scripts run again",
            kept.display()
        );
        assert!(said.ends_with(&end), "{said}");
        assert_eq!(fs::read(kept).unwrap(), half);
        assert_eq!(node.trace().len(), before + 1);
        assert_eq!(node.results(), ["mine done 0", "broken waiting 75"]);
    }
    fs::write(&path, &whole[..9]).unwrap();
    let said = node.run(&["--status"]).expect(1).err;
    assert!(
        said.starts_with(&format!("firstboot: reading {}: EOF", path.display())),
        "{said}"
    );
}

fn overlap() {
    let mut node = Node::new();
    node.script("long", "touch mark; sleep 600");
    node.install();
    let mut child = node.command(&[]).stdout(Stdio::null()).spawn().unwrap();
    eventually("the script begins", || {
        node.path("opt/slipway/postscripts/mark").exists()
    });
    let message = format!(
        "firstboot: another firstboot is at work: {} is held by process {} (firstboot): \
         wait for it to end, then run again\n",
        node.path("var/lib/slipway/firstboot.lock").display(),
        child.id()
    );
    assert_eq!(node.run(&[]).expect(1).err, message);
    assert_eq!(node.run(&["--update"]).expect(1).err, message);
    // To look is always allowed.
    assert!(node.run(&["--status"]).expect(1).out.contains("runs"));
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();
}

fn reader_gone() {
    let mut node = Node::new();
    node.script("loud", "sleep 0.3; seq 10000; echo loud >> trace");
    node.script("after", "echo after; echo after >> trace");
    node.install();
    let mut child = node
        .command(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(node.trace(), ["loud", "after"]);
    assert!(node.read("var/log/slipway/loud.log").contains("\n10000\n"));
}

fn full_disk() {
    let mut node = Node::new();
    node.script("fills", "cat /dev/zero > filler; echo filled >> trace");
    node.script("after", "rm filler; echo after >> trace");
    node.install();
    let root = node.path("").display().to_string();
    let root = root.trim_end_matches('/');
    // A small disk that holds all that the node has.
    let inside = format!(
        "set -e; cp -a {root} {root}.copy; mount -t tmpfs -o size=2m tmpfs {root}; \
         cp -a {root}.copy/. {root}; rm -r {root}.copy; mkdir -p {root}/opt/slipway/postscripts; \
         set +e; {} --root {root}; code=$?; cat {root}/opt/slipway/postscripts/trace; exit $code",
        env!("CARGO_BIN_EXE_firstboot")
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &inside])
        .output()
        .unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // The script's own failure: its echo had no room either.
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("No space left on device"), "{out}");
    assert!(
        err.contains("status.json: No space left on device"),
        "{err}"
    );
    assert!(out.contains("after exited with code 0\n"), "{out}");
    assert!(out.ends_with("after\n"), "{out}");
}
