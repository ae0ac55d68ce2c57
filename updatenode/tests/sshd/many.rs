//! Much at a time: much output, many nodes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Case;
use crate::lab::{Lab, numbered};

pub(crate) const CASES: &[Case] = &[
    ("no_line_of_one_node_runs_into_anothers", &[], whole_lines),
    (
        "much_output_is_passed_on_in_little_memory",
        &["prlimit"],
        much_output,
    ),
    ("a_thousand_nodes_are_reached_by_default", &[], thousand),
];

fn whole_lines() {
    const LINES: usize = 3000;
    let nodes = numbered(8, "127.0.1");
    let lab = Lab::new(&nodes);
    for (node, address) in &nodes {
        let padding = "x".repeat(200);
        lab.behave(
            address,
            &format!(
                "i=0; while [ $i -lt {LINES} ]; do i=$((i + 1)); echo \"{node} $i {padding}\"; done"
            ),
        );
    }
    let output = lab.command(&["n1-n8", "-P"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mut seen = BTreeMap::<String, usize>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((node, text)) = line.split_once(": ") else {
            continue;
        };
        if !text.ends_with("xxx") {
            continue;
        }
        let next = seen.entry(node.to_owned()).or_default();
        *next += 1;
        assert_eq!(
            text,
            format!("{node} {next} {}", "x".repeat(200)),
            "in order, whole, its own"
        );
    }
    assert!(
        seen.len() == 8 && seen.values().all(|lines| *lines == LINES),
        "{seen:?}"
    );
}

fn much_output() {
    const MIB: usize = 200;
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    // Lines, and then one that does not end.
    lab.behave(
        "127.0.1.1",
        &format!(
            "yes 'a line that is said again and again' | head -c {MIB}M; head -c {MIB}M /dev/zero"
        ),
    );
    let mut command = Command::new("prlimit");
    let ours = lab.command(&["n1", "-P"]);
    let mut child = command
        .arg("--data=67108864")
        .arg(ours.get_program())
        .args(ours.get_args())
        .envs(
            ours.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut bytes, mut longest) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let line = line.unwrap();
        bytes += line.len();
        longest = longest.max(line.len());
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(bytes > (2 * MIB) << 20, "{bytes}");
    // A zero byte is escaped.
    assert_eq!(longest, "n1: ".len() + r"\u0000".len() * (8 << 10));
}

fn thousand() {
    const NODES: usize = 1000;
    let lab = Lab::bare();
    let mut text = String::new();
    for i in 0..NODES {
        let node = format!("n{i:04}");
        text += &format!(
            "[node.{node}]\nip = \"127.0.{}.{}\"\ngroups = [\"all\"]\n",
            1 + i / 200,
            1 + i % 200
        );
        lab.write_assets(&node);
    }
    fs::create_dir(lab.path("config/nodes")).unwrap();
    fs::write(lab.path("config/nodes/nodes.toml"), text).unwrap();
    lab.make_node("any");
    let start = Instant::now();
    let outcome = lab.run(&["all", "-P", "setupdockerhost"]);
    eprintln!("{NODES} nodes in {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
    let given = |line: &&str| line.ends_with(": --update --results --list - -P setupdockerhost");
    assert_eq!(outcome.out.lines().filter(given).count(), NODES);
    assert!(
        outcome.out.ends_with("\n1000 nodes in T s: 1000 ok\n"),
        "{}",
        outcome.out.lines().last().unwrap()
    );
}
