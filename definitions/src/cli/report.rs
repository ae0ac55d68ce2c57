//! What the commands that change definitions say of it; the sentences are xCAT's.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::request::Request;

/// Says how many objects were made or changed.
pub(super) fn changed(requests: &[Request], verbose: bool) -> Result<ExitCode> {
    let count = requests.len();
    let mut lines = vec![format!(
        "{count} object definitions have been created or modified."
    )];
    if verbose {
        lines.extend(
            requests
                .iter()
                .map(|request| format!("{}  ({})", request.name, request.kind)),
        );
    }
    lines_out(&lines)
}

/// Writes lines to standard output.
pub(super) fn lines_out(lines: &[String]) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").context("writing the summary")?;
    }
    out.flush().context("writing the summary")?;
    Ok(ExitCode::SUCCESS)
}
