//! Reports this host's state by its certificate, as `firstboot` asks for.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::terminal::escaped;
use serde_json::json;

use crate::http;
use crate::identity::HostIdentity;
use crate::slipwayd::ServerAddress;
use crate::timed_stream::TimeLimits;

/// The states that a node reports; the words are xCAT's.
pub(super) const STATES: [&str; 5] = ["installing", "booting", "postbooting", "booted", "failed"];

/// Whoever waits for this has other work to do.
const LIMITS: TimeLimits = TimeLimits {
    connect: Duration::from_secs(3),
    idle: Duration::from_secs(10),
    total: Duration::from_secs(20),
};
/// No answer is longer.
const MAX_ANSWER: u64 = 4 << 10;
/// No more of standard input is read.
const MAX_BYTES: u64 = 32 << 10;

/// Reports a state, with the lines of standard input.
pub(super) fn report(root: &Path, state: &str) -> Result<ExitCode> {
    let identity = HostIdentity::load(root)?.context("this host has no identity yet")?;
    let address = ServerAddress::load(root)?;
    let mut input = Vec::new();
    let mut stdin = std::io::stdin().lock().take(MAX_BYTES);
    stdin
        .read_to_end(&mut input)
        .context("reading standard input")?;
    let input = String::from_utf8_lossy(&input);
    let lines: Vec<_> = input.lines().collect();
    let text = json!({ "state": state, "lines": lines }).to_string();
    let own = (identity.certificate.as_str(), &identity.key);
    let mut stream = address.connect(&identity.root, Some(own), LIMITS)?;
    let host = address.server.to_string();
    let answered = http::post(&mut stream, &host, "/v1/report", &text, MAX_ANSWER);
    let (status, answer) = answered.with_context(|| format!("asking slipwayd on {host}"))?;
    if status != 200 {
        let answer = String::from_utf8_lossy(&answer);
        bail!(
            "slipwayd on {host} answered {status}: {}",
            escaped(answer.trim(), '\t')
        );
    }
    Ok(ExitCode::SUCCESS)
}
