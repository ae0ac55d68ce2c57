//! `--update`: new lists, and scripts that run again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use definitions::{Runlist, ScriptOrigin};

use crate::node::{Node, entry};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "an_update_runs_everything_again_and_says_that_it_is_one",
        Need::Nothing,
        everything,
    ),
    (
        "an_update_runs_what_is_asked_for_alone",
        Need::Nothing,
        chosen,
    ),
    (
        "an_update_takes_a_new_list_and_fetches_only_what_differs",
        Need::Nothing,
        new_list,
    ),
    (
        "an_update_says_last_what_became_of_each_script",
        Need::Nothing,
        results,
    ),
    ("an_update_shows_output_as_it_comes", Need::Nothing, streams),
    (
        "a_script_that_nobody_knows_is_127_and_the_rest_runs",
        Need::Nothing,
        unknown,
    ),
    (
        "a_list_that_cannot_be_taken_changes_nothing",
        Need::Nothing,
        refused,
    ),
    (
        "a_list_that_is_missing_or_broken_is_said_in_a_sentence",
        Need::Nothing,
        broken,
    ),
    (
        "a_new_firstboot_takes_the_place_of_the_old_one",
        Need::Nothing,
        itself,
    ),
];

fn node() -> Node {
    let mut node = Node::new();
    let body = "echo \"$(basename $0) $* $UPDATENODE $NODESETSTATE\" >> trace";
    node.program("early", format!("#!/bin/sh\n{body}\n"));
    node.list
        .postscripts
        .push(entry(ScriptOrigin::Site, "early"));
    node.script("mine x", body);
    node.script("mine y", body);
    node.install();
    node
}

fn everything() {
    let node = node();
    node.run(&["--phase", "installer"]).expect(0);
    node.run(&[]).expect(0);
    let ran = node.run(&["--update"]).expect(0);
    assert_eq!(
        node.trace(),
        [
            "early  0 install",
            "mine x 0 install",
            "mine y 0 install",
            "early  1 boot",
            "mine x 1 boot",
            "mine y 1 boot",
        ]
    );
    assert_eq!(
        ran.out,
        "postscript start..: early
postscript end....: early exited with code 0
postbootscript start..: mine x
postbootscript end....: mine x exited with code 0
postbootscript start..: mine y
postbootscript end....: mine y exited with code 0
"
    );
    assert_eq!(node.status()["state"], "booted");
}

fn chosen() {
    let mut node = node();
    node.script("broken", "exit 9");
    node.install();
    node.run(&[]).expect(9);
    let before = node.trace().len();
    node.run(&["--update", "-P", "mine y"]).expect(0);
    node.run(&["--update", "--scripts", "mine,early"]).expect(0);
    assert_eq!(
        node.trace()[before..],
        [
            "mine y 1 boot",
            "mine x 1 boot",
            "mine y 1 boot",
            "early  1 boot"
        ]
    );
    node.run(&["--update", "-P", "broken"]).expect(9);
    // Once it is mended, the node is well.
    assert_eq!(node.status()["state"], "failed");
    node.program("broken", "#!/bin/sh\nexit 0\n");
    let list = serde_json::to_vec(&node.list).unwrap();
    node.update(&["-P", "broken"], &list).expect(0);
    assert_eq!(node.status()["state"], "booted");
    node.run(&["--status"]).expect(0);
}

fn results() {
    let mut node = node();
    node.script("broken", "echo oops; exit 9");
    node.install();
    let asked = ["--update", "--results", "-P", "mine x,broken,nowhere 'a,b'"];
    let ran = node.run(&asked).expect(127);
    let last = ran.out.lines().last().unwrap();
    let json = last.strip_prefix("slipway-results: ").unwrap();
    let mut results: serde_json::Value = serde_json::from_str(json).unwrap();
    for script in results["scripts"].as_array_mut().unwrap() {
        assert!(script["seconds"].take().as_f64().unwrap() < 10.0);
    }
    assert_eq!(
        results,
        serde_json::json!({ "scripts": [
            { "line": "mine x", "code": 0, "seconds": null },
            { "line": "broken", "code": 9, "seconds": null },
            {
                "line": "nowhere 'a,b'", "code": 127, "seconds": null,
                "error": "the list has no such program",
            },
        ], "code": 127 })
    );
    node.run(&["--results"]).expect(2);
    // Results that are asked for with a nonce are told from what a script prints.
    let mut list = b"0123456789abcdef\n".to_vec();
    list.extend(serde_json::to_vec(&node.list).unwrap());
    let ran = node.update(&["--results", "-P", "mine x"], &list).expect(0);
    let last = ran.out.lines().last().unwrap();
    assert!(
        last.starts_with("slipway-results 0123456789abcdef: {\"scripts\":["),
        "{last}"
    );
    assert!(
        !fs::read_to_string(node.path("var/lib/slipway/postscripts.json"))
            .unwrap()
            .contains("0123456789abcdef")
    );
}

fn new_list() {
    let mut node = node();
    node.run(&[]).expect(0);
    node.server.asked();
    let before = node.trace().len();
    node.program("mine", "#!/bin/sh\necho new $* >> trace\n");
    node.list.postbootscripts.pop();
    node.script("added", "echo added >> trace");
    let list = serde_json::to_vec_pretty(&node.list).unwrap();
    node.update(&["-P", "node"], &list).expect(0);
    assert_eq!(node.trace()[before..], ["new x", "added"]);
    assert_eq!(node.server.asked(), ["added", "mine"]);
    let path = node.path("var/lib/slipway/postscripts.json");
    assert_eq!(fs::read(&path).unwrap(), list);
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o600);
    // What the list no longer names is no longer told of.
    assert_eq!(
        node.results(),
        ["early done 0", "mine x done 0", "added done 0"]
    );
    // The same list again is not written, and nothing is fetched.
    node.update(&["-P", "added"], &list).expect(0);
    assert_eq!(fs::metadata(&path).unwrap().ino(), meta.ino());
    assert_eq!(node.server.asked(), [""; 0]);
}

fn streams() {
    let mut node = Node::new();
    node.script(
        "slow",
        "echo begun; while [ ! -e go ]; do sleep 0.1; done; echo ended",
    );
    node.install();
    let mut child = node
        .command(&["--update"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "postbootscript start..: slow");
    assert_eq!(lines.next().unwrap(), "begun");
    fs::write(node.path("opt/slipway/postscripts/go"), "").unwrap();
    assert_eq!(lines.next().unwrap(), "ended");
    assert_eq!(
        lines.next().unwrap(),
        "postbootscript end....: slow exited with code 0"
    );
    assert!(child.wait().unwrap().success());
}

fn unknown() {
    let mut node = node();
    node.program("tool", "#!/bin/sh\necho tool $* >> trace\n");
    node.install();
    let ran = node
        .run(&["--update", "-P", "nowhere,tool 'a b',mine x"])
        .expect(127);
    assert_eq!(node.trace(), ["tool a b", "mine x 1 boot"]);
    let line = "postscript end....: nowhere exited with code 127: the list has no such program\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    // What no list names is no part of how the node is.
    assert_eq!(
        node.results()[3..],
        [
            "nowhere failed 127: the list has no such program",
            "tool 'a b' done 0"
        ]
    );
    node.run(&[]).expect(0);
    assert_eq!(node.status()["state"], "booted");
    let ran = node.run(&["--update", "-P", "../mine"]).expect(1);
    assert_eq!(
        ran.err,
        "firstboot: reading --scripts: '../mine' is not a script and its arguments: expected the name of \
         a script in the postscripts directory, of letters, digits, '.', '_', '+' and '-'\n"
    );
    node.run(&["-P", "mine"]).expect(2);
}

fn refused() {
    let node = node();
    let before = node.read("var/lib/slipway/postscripts.json");
    let other = Runlist {
        node: "host02".to_owned(),
        ..node.list.clone()
    };
    let mut digest = node.list.clone();
    digest.programs.get_mut("mine").unwrap().sha256 = "abc".to_owned();
    let huge = vec![b' '; (1 << 20) + 1];
    let json = |list: &Runlist| serde_json::to_vec(list).unwrap();
    for (list, message) in [
        (
            b"".to_vec(),
            "reading the new list from -: EOF while parsing a value at line 1 column 0",
        ),
        (
            b"{}".to_vec(),
            "reading the new list from -: missing field `node` at line 1 column 2",
        ),
        (
            json(&other),
            "the new list is for host02 and this node is host01",
        ),
        (
            json(&digest),
            "reading the new list from -: 'abc' is not a SHA-256: expected 64 lower-case hexadecimal \
             digits for mine",
        ),
        (
            huge,
            "reading the new list from -: it has more than 1048576 bytes",
        ),
    ] {
        let ran = node.update(&[], &list).expect(1);
        assert_eq!(ran.err, format!("firstboot: {message}\n"));
        assert_eq!(node.read("var/lib/slipway/postscripts.json"), before);
        assert!(node.trace().is_empty());
    }
}

fn broken() {
    let node = Node::new();
    let path = node
        .path("var/lib/slipway/postscripts.json")
        .display()
        .to_string();
    let ran = node.run(&[]).expect(1);
    assert_eq!(
        ran.err,
        format!(
            "firstboot: there is no {path}: it belongs to the node's assets; 'nodeset' writes them, and \
             the installer or 'updatenode' brings it here\n"
        )
    );
    node.install();
    fs::write(&path, "{\"node\": \"host01\", \"nodes\": 1}").unwrap();
    let ran = node.run(&[]).expect(1);
    let start = format!("firstboot: reading {path}: unknown field `nodes`, expected one of `node`");
    assert!(ran.err.starts_with(&start), "{}", ran.err);
}

fn itself() {
    let mut node = node();
    node.program("firstboot", "#!/bin/sh\necho a newer one\n");
    node.install();
    node.run(&["--fetch"]).expect(0);
    assert!(!node.path("opt/slipway/postscripts/firstboot").exists());
    let newer = std::process::Command::new(node.path("opt/slipway/bin/firstboot"))
        .output()
        .unwrap();
    assert_eq!(newer.stdout, b"a newer one\n");
}
