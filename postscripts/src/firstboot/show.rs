//! `--status`: what came of every script, in words or as it is kept.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::paths::NodePaths;
use super::record::{InstallStatus, ScriptRecord, ScriptState, Status};
use crate::owner::load_state;

/// How many last lines of a script that failed are shown.
const TAIL_SHOWN: usize = 5;

/// Prints the status; exits with 1 unless everything has ended well.
pub(super) fn show(paths: &NodePaths, json: bool) -> Result<ExitCode> {
    let path = paths.status();
    let reading = || format!("reading {}", path.display());
    let mut out = io::stdout().lock();
    let Some(bytes) = load_state(&path)? else {
        if json {
            writeln!(out, "null")?
        } else {
            writeln!(out, "nothing has run yet: there is no {}", path.display())?
        }
        return Ok(ExitCode::FAILURE);
    };
    let status: Status = serde_json::from_slice(&bytes).with_context(reading)?;
    if json {
        out.write_all(&bytes)?
    } else {
        out.write_all(render(&status).as_bytes())?
    }
    let well = status.complete && status.state == InstallStatus::Booted;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn render(status: &Status) -> String {
    let mut text = format!("{} ({}): {}", status.node, status.osimage, status.state);
    if !status.complete {
        text += ", not everything has ended";
    }
    text += &format!(", {}\n", status.time);
    for record in &status.scripts {
        text += &line(record);
    }
    text
}

fn line(record: &ScriptRecord) -> String {
    let state = match (record.state, record.code) {
        (ScriptState::Failed, Some(code)) => format!("failed {code}"),
        (ScriptState::Failed, None) => "failed".to_owned(),
        (ScriptState::Pending, _) => "to come".to_owned(),
        (ScriptState::Running, _) => "runs".to_owned(),
        (ScriptState::Waiting, _) => "waits".to_owned(),
        (ScriptState::Done, _) => "done".to_owned(),
    };
    let seconds = record.milliseconds.map_or_else(String::new, |ms| {
        let (seconds, tenths) = (ms / 1000, ms % 1000 / 100);
        format!("{seconds}.{tenths} s")
    });
    let mut text = format!(
        "  {:14}  {state:10}  {seconds:>8}  {}\n",
        record.phase, record.line
    );
    if record.is_failed() {
        let reason = record.reason.iter().map(String::as_str);
        let first = record.tail.len().saturating_sub(TAIL_SHOWN);
        let tail = record.tail[first..].iter().map(String::as_str);
        for said in reason.chain(tail) {
            text += &format!("      {said}\n");
        }
    }
    text
}
