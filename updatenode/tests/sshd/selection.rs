//! Which scripts a request selects, and how the result is printed.

use std::fs;

use serde_json::{Value, json};

use crate::Case;
use crate::lab::{Lab, Outcome};

pub(crate) const CASES: &[Case] = &[
    (
        "what_is_asked_for_runs_and_lines_carry_the_nodes_name",
        &[],
        runs,
    ),
    (
        "without_options_everything_runs_software_first",
        &[],
        everything,
    ),
    ("everything_alone_is_left_to_the_node", &[], all_scripts),
    (
        "a_node_whose_list_has_nothing_of_it_is_left_alone",
        &[],
        nothing,
    ),
    (
        "the_exit_code_is_that_of_the_node_that_ended_worst",
        &[],
        worst,
    ),
    ("json_stands_alone_on_standard_output", &[], as_json),
    ("a_dry_run_starts_no_ssh", &[], dry_run),
    (
        "what_precedes_the_scripts_is_shown_when_asked_for",
        &[],
        verbose,
    ),
    (
        "a_node_without_an_address_is_reached_by_its_name_as_the_configuration_says",
        &[],
        by_name,
    ),
    (
        "on_a_terminal_a_bar_stands_below_whole_lines",
        SCRIPT,
        on_terminal,
    ),
];

/// A case that needs script(1), which gives a program a terminal.
const SCRIPT: &[&str] = &["script"];

const GIVEN: &str = "--update --results --list -";

fn runs() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    lab.behave(
        "127.0.1.2",
        "echo 'on standard error' >&2; printf 'without an end'",
    );
    assert_eq!(
        lab.run(&["n1", "-P", "setupdockerhost,site/other 'a,b' \"it's\""])
            .out,
        "n1: unprepared: there is no script 'site/other' in install/postscripts (T s)\n\
         1 node in T s: 1 unprepared\nunprepared: n1\n"
    );
    fs::create_dir(lab.path("install/postscripts/site")).unwrap();
    fs::write(lab.path("install/postscripts/site/other"), "x").unwrap();
    let Outcome { code, out, err } = lab.run(&["n1", "-P", "xHRM,site/other 'a,b' \"it's\""]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        format!(
            "n1: {GIVEN} -P xHRM bridgeprereq eth0:b0 -P site/other 'a,b' \"it's\"\n\
             n1: ok (T s)\n1 node in T s: 1 ok\n"
        )
    );
    let Outcome { code, out, err } = lab.run(&["n2", "-P", "otherpkgs"]);
    assert_eq!((code, err.as_str()), (Some(0), "n2: on standard error\n"));
    assert_eq!(
        out,
        format!(
            "n2: {GIVEN} -P otherpkgs\n\
             n2: without an end\n\
             n2: ok (T s)\n1 node in T s: 1 ok\n"
        )
    );
}

fn everything() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    let expected = format!(
        "n1: {GIVEN} -P ospkgs -P otherpkgs -P xHRM bridgeprereq eth0:b0 -P setupdockerhost\n\
         n1: ok (T s)\n1 node in T s: 1 ok\n"
    );
    assert_eq!(lab.run(&["n1"]).out, expected);
    assert_eq!(lab.run(&["n1", "-S", "-P"]).out, expected);
    let software =
        format!("n1: {GIVEN} -P ospkgs -P otherpkgs\nn1: ok (T s)\n1 node in T s: 1 ok\n");
    assert_eq!(lab.run(&["n1", "-S"]).out, software);
}

fn all_scripts() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    assert_eq!(
        lab.run(&["n1", "-P"]).out,
        format!("n1: {GIVEN}\nn1: ok (T s)\n1 node in T s: 1 ok\n")
    );
}

fn nothing() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    // All of its scripts are the osimage's.
    let outcome = lab.run(&["n1", "-P", "node"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
    assert_eq!(outcome.out, "n1: ok (T s)\n1 node in T s: 1 ok\n");
    assert!(!lab.on("127.0.1.1", "list").exists(), "nothing was run");
    let out = lab.run(&["n1", "-P", "node", "--dry-run"]).out;
    assert!(
        out.starts_with("n1: ok: its list has none of these scripts\n"),
        "{out}"
    );
    let outcome = lab.run(&["n1", "-P", "osimage"]);
    let lines = " -P xHRM bridgeprereq eth0:b0 -P otherpkgs -P setupdockerhost";
    assert_eq!(
        outcome.out,
        format!("n1: {GIVEN}{lines}\nn1: ok (T s)\n1 node in T s: 1 ok\n")
    );
}

fn worst() {
    let lab = Lab::new(&[
        ("n1", "127.0.1.1"),
        ("n2", "127.0.1.2"),
        ("n3", "127.0.1.3"),
    ]);
    lab.behave("127.0.1.2", "did 'otherpkgs' 3; did setupdockerhost 7; end");
    lab.behave("127.0.1.3", "exit 5");
    let outcome = lab.run(&["n1-n3", "-P", "--fanout", "1"]);
    assert_eq!(outcome.code, Some(7));
    assert_eq!(
        outcome.out,
        format!(
            "n1: {GIVEN}\nn1: ok (T s)\n\
             n2: {GIVEN}\nn2: failed: otherpkgs ended with 3, setupdockerhost ended with 7 (T s)\n\
             n3: {GIVEN}\nn3: failed: firstboot ended with 5 (T s)\n\
             3 nodes in T s: 1 ok, 2 failed\nfailed: n2,n3\n"
        )
    );
    lab.behave("127.0.1.3", "did setupdockerhost 255; end");
    let outcome = lab.run(&["n3", "-P"]);
    assert_eq!(
        outcome.code,
        Some(255),
        "a script's own 255 is no lost connection"
    );
    assert_eq!(
        outcome.out,
        format!(
            "n3: {GIVEN}\nn3: failed: setupdockerhost ended with 255 (T s)\n\
             1 node in T s: 1 failed\nfailed: n3\n"
        )
    );
}

fn as_json() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    fs::remove_dir_all(lab.path("install/autoinst/n2")).unwrap();
    lab.behave("127.0.1.1", "did otherpkgs 3; echo oops >&2; end");
    let output = lab.command(&["n1,n2", "-P", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    for time in [
        document["nodes"][0]["seconds"].take(),
        document["seconds"].take(),
    ] {
        assert!(time.as_f64().unwrap() > 0.0, "{time}");
    }
    let assets = lab.path("install/autoinst/n2/postscripts.json");
    let reason = format!(
        "there is no {}: run nodeset n2 osimage=NAME first, which writes it",
        assets.display()
    );
    assert_eq!(
        document,
        json!({
            "nodes": [
                {
                    "node": "n1", "address": "127.0.1.1", "status": "failed", "code": 3,
                    "reason": "otherpkgs ended with 3", "seconds": null, "refreshed": false,
                    "scripts": [{ "line": "otherpkgs", "code": 3, "seconds": 0.25 }],
                    "output": [GIVEN, "oops"],
                },
                {
                    "node": "n2", "address": null, "status": "unprepared", "code": 1,
                    "reason": reason, "seconds": 0.0, "refreshed": false, "scripts": [], "output": [],
                },
            ],
            "seconds": null,
        })
    );
    let err = lab.outcome(None, b"", &output.stderr).err;
    for line in [
        &format!("n1: {GIVEN}\n"),
        "n1: oops\n",
        "2 nodes in T s: 1 failed, 1 unprepared\n",
    ] {
        assert!(err.contains(line), "{err}");
    }
}

fn dry_run() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    fs::remove_dir_all(lab.path("install/autoinst/n2")).unwrap();
    let mut command = lab.command(&["n1,n2", "--dry-run"]);
    let Outcome { code, out, err } = lab.finish(command.env("PATH", "/nowhere"));
    let (out, digest) = out.split_once("firstboot has SHA-256 ").unwrap();
    assert_eq!(
        (code, out, err.as_str()),
        (
            Some(1),
            "n1: would run at 127.0.1.1: ospkgs, otherpkgs, xHRM bridgeprereq eth0:b0, setupdockerhost\n\
             n2: unprepared: there is no install/autoinst/n2/postscripts.json: run nodeset n2 osimage=NAME \
             first, which writes it\n",
            ""
        )
    );
    assert_eq!(&digest[64..], "; it is sent to nodes that have another\n");
    let mut command = lab.command(&["n1", "--dry-run", "--json"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document,
        json!({
            "nodes": [{
                "node": "n1", "address": "127.0.1.1", "status": "would run", "code": 0,
                "scripts": ["ospkgs", "otherpkgs", "xHRM bridgeprereq eth0:b0", "setupdockerhost"],
            }],
            "firstboot": &digest[..64],
        })
    );
}

fn verbose() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    fs::write(
        lab.path("nodes/127.0.1.1/first"),
        // Standard error is another pipe: time for it to arrive before the scripts run.
        "echo welcome; echo careful >&2; sleep 1\n",
    )
    .unwrap();
    assert_eq!(lab.run(&["n1", "-P"]).err, "");
    let err = lab.run(&["n1", "-P", "-V"]).err;
    let (ssh, rest) = err.split_once('\n').unwrap();
    assert!(
        ssh.starts_with("n1: ssh -T -F ssh_config -o BatchMode=yes "),
        "{ssh}"
    );
    assert!(ssh.ends_with(" -- 127.0.1.1"), "{ssh}");
    let mut rest: Vec<_> = rest.lines().collect();
    rest.sort_unstable();
    assert_eq!(rest, ["n1: careful", "n1: welcome"]);
}

fn by_name() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    fs::write(
        lab.path("config/nodes/nodes.toml"),
        "[node.n1]\narch = \"x86_64\"\n",
    )
    .unwrap();
    lab.write_ssh_config("Host n1\n HostName 127.0.1.1\n");
    let outcome = lab.run(&["n1", "-P"]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (Some(0), ""),
        "{}",
        outcome.out
    );
    assert!(lab.on("127.0.1.1", "list").exists());
}

fn on_terminal() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    lab.behave("127.0.1.1", "sleep 1; exit 3");
    let ours = lab.command(&["n1,n2", "-P"]);
    let words: Vec<_> = ours.get_args().map(|word| word.to_str().unwrap()).collect();
    let line = format!(
        "stty cols 100; {} {}",
        ours.get_program().display(),
        words.join(" ")
    );
    let output = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let shown = lab.outcome(None, &output.stdout, b"").out;
    assert!(shown.contains(" 0/2 nodes, waiting for n1, n2"), "{shown}");
    assert!(shown.contains(" 1/2 nodes, waiting for n1"), "{shown}");
    // What remains is the text after the last time that its line was cleared.
    let lines = shown
        .lines()
        .map(|line| line.rsplit("\u{1b}[2K").next().unwrap().trim_end());
    let mut lines: Vec<_> = lines.filter(|line| !line.contains(" nodes, ")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "2 nodes in T s: 1 ok, 1 failed",
            "failed: n1",
            "n1: --update --results --list -",
            "n1: failed: firstboot ended with 3 (T s)",
            "n2: --update --results --list -",
            "n2: ok (T s)",
        ]
    );
}
