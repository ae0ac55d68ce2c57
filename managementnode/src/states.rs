//! How nodes are: what they reported last, kept through restarts.
//!
//! Reports come in and are appended to `states.jsonl`, one JSON object a line; the newest of a node counts. When the file
//! has grown to several times what is in it, it is written anew. A line that a loss of power tore is passed over. Bounded:
//! nodes that are not defined have no state, a report has at most 20 lines.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::states::{FILE, StateReport, load};

use crate::replace;

/// How much is appended before the file is written anew, at least.
const COMPACTED: u64 = 1 << 20;

/// The states, kept by the one process that writes them.
#[derive(Debug)]
pub(crate) struct States {
    path: PathBuf,
    file: File,
    newest: BTreeMap<String, StateReport>,
    appended: u64,
    /// How large the file was when it was last written anew.
    compact: u64,
    /// Whether the file may end in a part of a line.
    is_torn: bool,
}

impl States {
    /// Reads what is kept, and writes it anew.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let newest = load(directory)?;
        let path = directory.join(FILE);
        let (file, compact) = rewritten(&path, &newest).with_context(|| keeping(directory))?;
        Ok(Self {
            path,
            file,
            newest,
            appended: 0,
            compact,
            is_torn: false,
        })
    }

    /// Returns what a node reported last.
    pub(crate) fn of(&self, node: &str) -> Option<&StateReport> {
        self.newest.get(node)
    }

    /// Keeps a report.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub(crate) fn record(&mut self, report: StateReport) -> Result<()> {
        let mut line = serde_json::to_string(&report).context("writing a report")? + "\n";
        if !self.is_in_place() {
            (self.file, self.compact) = rewritten(&self.path, &self.newest)?;
            (self.appended, self.is_torn) = (0, false);
        }
        if self.is_torn {
            // What a full disk took in of the one before does not spoil this one.
            line.insert(0, '\n');
        }
        let written = self.file.write_all(line.as_bytes());
        self.is_torn = written.is_err();
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

impl States {
    /// Whether the file that is written is the one that others read: a backup may have been put in its place.
    fn is_in_place(&self) -> bool {
        let place = fs::symlink_metadata(&self.path);
        let own = self.file.metadata();
        matches!((place, own), (Ok(place), Ok(own)) if (place.dev(), place.ino()) == (own.dev(), own.ino()))
    }
}

/// Says where reports are kept, and whose the directory is where it is another's: it may be another machine's.
fn keeping(directory: &Path) -> String {
    let at = format!("keeping reports in {}", directory.display());
    match (fs::metadata(directory), fs::metadata("/proc/self")) {
        (Ok(kept), Ok(own)) if kept.uid() != own.uid() => {
            format!(
                "{at}, which is user {}'s, as user {}",
                kept.uid(),
                own.uid()
            )
        }
        _ => at,
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
    use definitions::states::{MAX_LINE, MAX_LINES, ReportEvidence, ReportedState};
    use time::OffsetDateTime;

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
    fn a_backup_that_is_put_in_the_files_place_takes_nothing_that_was_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut states = States::open(dir.path()).unwrap();
        states
            .record(report("n1", ReportedState::Installing, &[]))
            .unwrap();
        fs::copy(&path, dir.path().join("backup")).unwrap();
        states
            .record(report("n1", ReportedState::Booted, &[]))
            .unwrap();
        fs::rename(dir.path().join("backup"), &path).unwrap();
        states
            .record(report("n2", ReportedState::Booting, &[]))
            .unwrap();
        let kept = load(dir.path()).unwrap();
        assert_eq!(kept["n1"].state, ReportedState::Booted);
        assert_eq!(kept["n2"].state, ReportedState::Booting);
        fs::remove_file(&path).unwrap();
        states
            .record(report("n2", ReportedState::Booted, &[]))
            .unwrap();
        assert_eq!(load(dir.path()).unwrap().len(), 2);
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
