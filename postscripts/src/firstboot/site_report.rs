//! Reports the node's state to slipwayd over TLS, by `enrol`, which speaks for this node.
//!
//! A state and the last lines of what failed come in; whether slipwayd noted them goes out.

use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use definitions::IdentityFiles;

use super::paths::NodePaths;
use super::record::{InstallStatus, Status};
use crate::program;

/// The program that has the node's identity.
const PROGRAM: &str = "enrol";
/// How long it may take: longer than it gives slipwayd.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reports, where this node has an identity of the site; returns whether slipwayd noted it.
pub(super) fn report(paths: &NodePaths, status: &Status) -> bool {
    let identity = paths.at(IdentityFiles::DIRECTORY);
    identity.join(IdentityFiles::CERTIFICATE).exists() && send(paths, status).is_ok()
}

fn send(paths: &NodePaths, status: &Status) -> Result<()> {
    let mut lines = program::scratch()?;
    lines.write_all(last_lines(status).as_bytes())?;
    lines.seek(SeekFrom::Start(0))?;
    let mut command = Command::new(paths.program(PROGRAM));
    command.arg("--root").arg(paths.root());
    command.arg("--report").arg(status.state.to_string());
    program::run(&mut command, Stdio::from(lines), TIMEOUT).map(drop)
}

/// The last lines that the first script that failed printed, after its own line and why it failed.
fn last_lines(status: &Status) -> String {
    let failed = status.scripts.iter().find(|record| record.is_failed());
    let failed = failed.filter(|_| status.state == InstallStatus::Failed);
    let Some(record) = failed else {
        return String::new();
    };
    let code = record.code.map(|code| format!("ended with {code}"));
    let why = record.reason.clone().or(code).unwrap_or_default();
    let head = format!("{}: {why}", record.line);
    let tail = record.tail.iter().cloned();
    let lines: Vec<_> = std::iter::once(head).chain(tail).collect();
    lines.join("\n")
}
