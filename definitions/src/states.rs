//! How nodes are: the file in which slipwayd keeps what they reported last, for whoever lists them.
//!
//! `states.jsonl` comes in, one JSON object a line; the newest report of a node counts, and a line that a loss of power
//! tore is passed over. slipwayd alone writes it, and need not run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

/// The directory of the file, unless the user says otherwise.
pub const DIRECTORY: &str = "/var/lib/slipwayd";

/// The file's name.
pub const FILE: &str = "states.jsonl";

/// More than this is not read.
const MAX_BYTES: u64 = 256 << 20;

/// How many lines of output a report keeps, the last, and how long each may be.
pub const MAX_LINES: usize = 20;
/// How many characters of a line are kept.
pub const MAX_LINE: usize = 400;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportedState {
    /// The installer runs.
    Installing,
    /// The node starts from its disk.
    Booting,
    /// The postbootscripts run.
    Postbooting,
    /// Everything has ended well.
    Booted,
    /// Something has failed.
    Failed,
}

impl ReportedState {
    const ALL: [Self; 5] = [
        Self::Installing,
        Self::Booting,
        Self::Postbooting,
        Self::Booted,
        Self::Failed,
    ];

    /// Returns the word for the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installing => "installing",
            Self::Booting => "booting",
            Self::Postbooting => "postbooting",
            Self::Booted => "booted",
            Self::Failed => "failed",
        }
    }

    /// Reads the word for a state.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == word)
    }
}

impl fmt::Display for ReportedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How it is known that a report is the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportEvidence {
    /// It came from the node's address, which others on its network can forge.
    Address,
    /// It came with the certificate of the node.
    Certificate,
}

impl ReportEvidence {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Certificate => "certificate",
        }
    }
}

/// What a node reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReport {
    /// The node.
    pub node: String,
    /// What it does.
    pub state: ReportedState,
    /// When it came.
    #[serde(with = "rfc3339")]
    pub time: OffsetDateTime,
    /// How it is known to be the node's.
    pub by: ReportEvidence,
    /// The last lines of what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

impl StateReport {
    /// Cuts the report to what is kept.
    pub fn bounded(mut self) -> Self {
        let surplus = self.lines.len().saturating_sub(MAX_LINES);
        self.lines.drain(..surplus);
        for line in &mut self.lines {
            *line = line.chars().take(MAX_LINE).collect();
        }
        self
    }
}

/// Reads the newest report of each node.
///
/// # Errors
/// When the file cannot be read.
pub fn load(directory: &Path) -> Result<BTreeMap<String, StateReport>> {
    let path = directory.join(FILE);
    let reading = || format!("reading {}", path.display());
    let mut bytes = Vec::new();
    // Whoever the daemon's user is: a pipe or a link in the place of the file is neither waited for nor followed.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(&path);
    match opened {
        Ok(file) => file
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .with_context(reading)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error).with_context(reading),
    };
    let lines = bytes.split(|byte| *byte == b'\n');
    let reports = lines.filter_map(|line| serde_json::from_slice::<StateReport>(line).ok());
    Ok(reports
        .map(|report| (report.node.clone(), report))
        .collect())
}
