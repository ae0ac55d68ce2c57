//! The result when all nodes have ended: a summary for people, a document for programs.
//!
//! The JSON is stable: `docs/updatenode.md` describes each key; keys may be added and none changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use serde_json::{Value, json};

use crate::assets::NodeJob;
use crate::outcome::{NodeStatus, Outcome};

/// Renders the counts in one line, then the nodes with another status than ok.
pub(crate) fn summary(outcomes: &[Outcome], took: Duration) -> String {
    let mut words = BTreeMap::<usize, (&str, Vec<&str>)>::new();
    for outcome in outcomes {
        let (at, word) = (rank(&outcome.status), outcome.status.word());
        words
            .entry(at)
            .or_insert((word, Vec::new()))
            .1
            .push(&outcome.node);
    }
    let counts: Vec<_> = words
        .values()
        .map(|(word, nodes)| format!("{} {word}", nodes.len()))
        .collect();
    let nodes = if outcomes.len() == 1 { "node" } else { "nodes" };
    let mut text = format!(
        "{} {nodes} in {:.1} s: {}\n",
        outcomes.len(),
        took.as_secs_f64(),
        counts.join(", ")
    );
    for (word, nodes) in words
        .values()
        .filter(|(word, _)| *word != NodeStatus::Ok.word())
    {
        let _ = writeln!(text, "{word}: {}", nodes.join(","));
    }
    text
}

/// Orders statuses, best first.
fn rank(status: &NodeStatus) -> usize {
    match status {
        NodeStatus::Ok => 0,
        NodeStatus::Failed { .. } => 1,
        NodeStatus::Unprepared(_) => 2,
        NodeStatus::TimedOut { .. } => 3,
        NodeStatus::Unreachable(_) | NodeStatus::Lost(_) => 4,
        NodeStatus::Interrupted => 5,
        NodeStatus::NotBegun => 6,
    }
}

/// Prints the outcome of every node.
pub(crate) fn print(outcomes: &[Outcome], took: Duration) -> Result<()> {
    let nodes: Vec<_> = outcomes.iter().map(document).collect();
    write(&json!({ "nodes": nodes, "seconds": seconds(took) }))
}

fn document(outcome: &Outcome) -> Value {
    json!({
        "node": outcome.node,
        "address": outcome.address,
        "status": outcome.status.word(),
        "code": outcome.status.code(),
        "reason": outcome.status.reason(),
        "seconds": seconds(outcome.took),
        "refreshed": outcome.refreshed,
        "scripts": outcome.scripts,
        "output": outcome.output.iter().collect::<Vec<_>>(),
    })
}

/// Prints what would be done.
pub(crate) fn preview(
    jobs: &[NodeJob],
    settled: &[Outcome],
    firstboot: &str,
    as_json: bool,
) -> Result<()> {
    if as_json {
        let would = jobs.iter().map(|job| {
            let lines: Vec<_> = job.lines.iter().map(ToString::to_string).collect();
            json!({ "node": job.node, "address": job.address, "status": "would run", "code": 0, "scripts": lines })
        });
        let nodes: Vec<_> = would.chain(settled.iter().map(document)).collect();
        return write(&json!({ "nodes": nodes, "firstboot": firstboot }));
    }
    let mut text = String::new();
    for job in jobs {
        let lines: Vec<_> = job.lines.iter().map(ToString::to_string).collect();
        let lines = if lines.is_empty() {
            "nothing".to_owned()
        } else {
            lines.join(", ")
        };
        let _ = writeln!(text, "{}: would run at {}: {lines}", job.node, job.address);
    }
    for outcome in settled {
        let reason = outcome.status.reason();
        let reason = reason.unwrap_or_else(|| "its list has none of these scripts".to_owned());
        let _ = writeln!(
            text,
            "{}: {}: {reason}",
            outcome.node,
            outcome.status.word()
        );
    }
    let _ = writeln!(
        text,
        "firstboot has SHA-256 {firstboot}; it is sent to nodes that have another"
    );
    out(&text)
}

fn write(document: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(document).context("writing JSON")?;
    out(&(escaped(&text, '\n') + "\n"))
}

/// Prints to stdout; a closed pipe is an error, not a panic.
fn out(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing the results")
}

/// Returns seconds with milliseconds.
fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_document_has_the_same_value() {
        let value = json!({ "output": ["\u{1b}[1m\u{9b}\u{7f}\u{202e}\n\tx"], "code": 1 });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = escaped(&text, '\n');
        assert_ne!(shown, text);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn the_summary_counts_and_names_what_did_not_end_well() {
        let outcome = |node: &str, status| Outcome {
            node: node.to_owned(),
            address: None,
            status,
            took: Duration::ZERO,
            refreshed: false,
            scripts: Vec::new(),
            output: Default::default(),
        };
        let failed = |code| NodeStatus::Failed {
            code,
            reason: "x".to_owned(),
        };
        let outcomes = [
            outcome("n1", NodeStatus::Ok),
            outcome("n2", NodeStatus::Unreachable("gone".to_owned())),
            outcome("n3", failed(3)),
            outcome("n4", failed(1)),
            outcome("n5", NodeStatus::Ok),
        ];
        assert_eq!(
            summary(&outcomes, Duration::from_millis(2340)),
            "5 nodes in 2.3 s: 2 ok, 2 failed, 1 unreachable\nfailed: n3,n4\nunreachable: n2\n"
        );
        assert_eq!(
            summary(&outcomes[..1], Duration::ZERO),
            "1 node in 0.0 s: 1 ok\n"
        );
    }
}
