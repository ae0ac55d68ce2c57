//! `nodestat`: how nodes are, by what they reported last.
//!
//! The file of slipwayd's comes in, lines go out; the daemon need not run. Reference: xCAT's nodestat(1).

mod cli;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::states::{ReportEvidence, ReportedState, StateReport, load};
use definitions::terminal::escaped;
use serde_json::json;

use crate::report::write;
use crate::trust::stamp;
pub use cli::Args;

/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs `nodestat`.
///
/// # Errors
/// When the states cannot be read.
pub fn run(args: Args) -> Result<ExitCode> {
    let nodes = args.config.catalog().nodes()?;
    let names = args.nodes.select(&nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    let mut states = load(&args.state)?;
    if args.json && !args.watch {
        let listed: Vec<_> = names
            .iter()
            .map(|name| document(name, states.get(name)))
            .collect();
        let text =
            serde_json::to_string_pretty(&json!({ "nodes": listed })).context("writing JSON")?;
        write(&(escaped(&text, '\n') + "\n"))?;
    } else {
        show(&names, &states, None, &args)?;
    }
    if args.watch {
        loop {
            sleep(PAUSE);
            let now = load(&args.state)?;
            show(&names, &now, Some(&states), &args)?;
            states = now;
        }
    }
    let failed = names.iter().any(|name| {
        states
            .get(name)
            .is_some_and(|report| report.state == ReportedState::Failed)
    });
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Prints the nodes whose state is not what it was; all, the first time.
fn show(
    names: &[String],
    now: &BTreeMap<String, StateReport>,
    before: Option<&BTreeMap<String, StateReport>>,
    args: &Args,
) -> Result<()> {
    for name in names {
        if before.is_some_and(|before| now.get(name) == before.get(name)) {
            continue;
        }
        let text = if args.json {
            document(name, now.get(name)).to_string() + "\n"
        } else {
            lines(name, now.get(name))
        };
        write(&escaped(&text, '\n'))?;
    }
    Ok(())
}

fn lines(name: &str, report: Option<&StateReport>) -> String {
    let Some(report) = report else {
        return format!("{name}: unknown\n");
    };
    let doubt = match report.by {
        ReportEvidence::Certificate => "",
        ReportEvidence::Address => " (by its address)",
    };
    let mut text = format!(
        "{name}: {} since {}{doubt}\n",
        report.state,
        stamp(report.time)
    );
    for line in &report.lines {
        text += &format!("{name}:     {}\n", escaped(line, '\t'));
    }
    text
}

fn document(name: &str, report: Option<&StateReport>) -> serde_json::Value {
    match report {
        None => json!({ "node": name, "state": null }),
        Some(report) => json!({
            "node": name,
            "state": report.state,
            "since": stamp(report.time),
            "by": report.by,
            "lines": report.lines,
        }),
    }
}
