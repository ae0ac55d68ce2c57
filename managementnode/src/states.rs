//! How nodes are: what they reported last, kept through restarts.
//!
//! Reports come in and are appended to `states.jsonl`, one JSON object a line; the newest of a node counts. When the file
//! has grown to several times what is in it, it is written anew. A line that a loss of power tore is passed over. Bounded:
//! nodes that are not defined have no state, a report has at most 20 lines.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::replace;

/// The file's name.
const FILE: &str = "states.jsonl";

/// More than this is not read.
const MAX_BYTES: u64 = 256 << 20;

/// How much is appended before the file is written anew, at least.
const COMPACTED: u64 = 1 << 20;

/// How many lines of output a report keeps, the last, and how long each may be.
const MAX_LINES: usize = 20;
const MAX_LINE: usize = 400;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReportedState {
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

    fn name(self) -> &'static str {
        match self {
            Self::Installing => "installing",
            Self::Booting => "booting",
            Self::Postbooting => "postbooting",
            Self::Booted => "booted",
            Self::Failed => "failed",
        }
    }

    /// Reads the word for a state.
    pub(crate) fn parse(word: &str) -> Option<Self> {
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
pub(crate) enum ReportEvidence {
    /// It came from the node's address, which others on its network can forge.
    Address,
    /// It came with the certificate of the node.
    Certificate,
}

/// What a node reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateReport {
    pub(crate) node: String,
    pub(crate) state: ReportedState,
    #[serde(with = "rfc3339")]
    pub(crate) time: OffsetDateTime,
    pub(crate) by: ReportEvidence,
    /// The last lines of what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<String>,
}

impl StateReport {
    /// Cuts the report to what is kept.
    pub(crate) fn bounded(mut self) -> Self {
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
pub(crate) fn load(directory: &Path) -> Result<BTreeMap<String, StateReport>> {
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

/// The states, kept by the one process that writes them.
#[derive(Debug)]
pub(crate) struct States {
    path: PathBuf,
    file: File,
    newest: BTreeMap<String, StateReport>,
    appended: u64,
    /// How large the file was when it was last written anew.
    compact: u64,
}

impl States {
    /// Reads what is kept, and writes it anew.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let newest = load(directory)?;
        let path = directory.join(FILE);
        let (file, compact) = rewritten(&path, &newest)?;
        Ok(Self {
            path,
            file,
            newest,
            appended: 0,
            compact,
        })
    }

    /// Keeps a report.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub(crate) fn record(&mut self, report: StateReport) -> Result<()> {
        let line = serde_json::to_string(&report).context("writing a report")? + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.with_context(|| format!("writing {}", self.path.display()))?;
        self.appended += line.len() as u64;
        self.newest.insert(report.node.clone(), report);
        if self.appended > COMPACTED.max(2 * self.compact) {
            (self.file, self.compact) = rewritten(&self.path, &self.newest)?;
            self.appended = 0;
        }
        Ok(())
    }
}

/// Writes the newest reports alone, and opens the file to append to it.
fn rewritten(path: &Path, newest: &BTreeMap<String, StateReport>) -> Result<(File, u64)> {
    let mut text = String::new();
    for report in newest.values() {
        text += &serde_json::to_string(report).context("writing a report")?;
        text.push('\n');
    }
    replace::write(path, text.as_bytes(), 0o644)?;
    let file = OpenOptions::new().append(true).mode(0o644).open(path);
    Ok((
        file.with_context(|| format!("opening {}", path.display()))?,
        text.len() as u64,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(node: &str, state: ReportedState, lines: &[&str]) -> StateReport {
        StateReport {
            node: node.to_owned(),
            state,
            time: OffsetDateTime::UNIX_EPOCH,
            by: ReportEvidence::Address,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn the_newest_report_counts_and_a_torn_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut states = States::open(dir.path()).unwrap();
        states
            .record(report("n1", ReportedState::Installing, &[]))
            .unwrap();
        states
            .record(report("n2", ReportedState::Booting, &[]))
            .unwrap();
        states
            .record(report("n1", ReportedState::Failed, &["x"]))
            .unwrap();
        drop(states);
        let path = dir.path().join(FILE);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"node\":\"n2\",\"sta").unwrap();
        let kept = load(dir.path()).unwrap();
        assert_eq!(kept["n1"], report("n1", ReportedState::Failed, &["x"]));
        assert_eq!(kept["n2"].state, ReportedState::Booting);
        // The torn line does not swallow the next one.
        let mut states = States::open(dir.path()).unwrap();
        states
            .record(report("n2", ReportedState::Booted, &[]))
            .unwrap();
        assert_eq!(load(dir.path()).unwrap()["n2"].state, ReportedState::Booted);
    }

    #[test]
    fn the_file_stays_small_however_often_nodes_report() {
        let dir = tempfile::tempdir().unwrap();
        let mut states = States::open(dir.path()).unwrap();
        let line = "x".repeat(300);
        for _ in 0..10_000 {
            states
                .record(report("n1", ReportedState::Booting, &[&line]))
                .unwrap();
        }
        let size = dir.path().join(FILE).metadata().unwrap().len();
        assert!(size < 2 * COMPACTED, "{size}");
    }

    #[test]
    fn a_report_is_cut_to_its_last_lines() {
        let many: Vec<_> = (0..30).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let cut = report("n1", ReportedState::Failed, &many).bounded();
        assert_eq!((cut.lines.len(), cut.lines[0].as_str()), (MAX_LINES, "10"));
        let long = "é".repeat(MAX_LINE + 1);
        let cut = report("n1", ReportedState::Failed, &[&long]).bounded();
        assert_eq!(cut.lines[0].chars().count(), MAX_LINE);
    }
}
