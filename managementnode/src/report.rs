//! What a run of `makedhcp` or `makedns` did: lines for people, a document for programs.
//!
//! The JSON is stable: `docs/makedhcp.md` says what each key means, keys may be added and none changes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use serde_json::{Value, json};

use crate::dnsmasq::{Change, NodeEntries, ReloadOutcome};

/// What a run did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) command: &'static str,
    pub(crate) dry_run: bool,
    /// Settings that are new or changed, with their text.
    pub(crate) settings: Option<SettingsChange>,
    pub(crate) changes: BTreeMap<String, Change>,
    /// What is listed now.
    pub(crate) listing: NodeEntries,
    /// Nodes that are not meant, and why.
    pub(crate) left_out: Vec<(String, String)>,
    /// Nodes that could not be listed, and why; they keep what they had.
    pub(crate) problems: Vec<(String, String)>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
    pub(crate) dnsmasq: ReloadOutcome,
}

/// What became of a file of settings.
#[derive(Debug)]
pub(crate) struct SettingsChange {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) is_changed: bool,
}

impl Report {
    /// Prints it; the exit code says whether every node is as asked.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(crate) fn print(&self, as_json: bool) -> Result<ExitCode> {
        let text = if as_json {
            serde_json::to_string_pretty(&self.document())? + "\n"
        } else {
            self.lines()
        };
        if !as_json {
            self.tell();
        }
        write(&escaped(&text, '\n'))?;
        Ok(if self.problems.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Says on standard error what did not go as asked.
    fn tell(&self) {
        for note in &self.notes {
            eprintln!("{}: note: {}", self.command, escaped(note, '\t'));
        }
        for (node, reason) in &self.problems {
            eprintln!("{}: {node}: {}", self.command, escaped(reason, '\t'));
        }
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        if let Some(settings) = &self.settings {
            match (self.dry_run, settings.is_changed) {
                (true, true) => text += &settings.text,
                (_, true) => text += &format!("{}: written\n", settings.path),
                (_, false) => text += &format!("{}: unchanged\n", settings.path),
            }
        }
        let changed = self
            .changes
            .iter()
            .filter(|(_, change)| **change != Change::Unchanged);
        for (node, change) in changed {
            let would = if self.dry_run { "would be " } else { "" };
            let entries = self.listing.of(node).join("; ");
            let after = if entries.is_empty() { "" } else { ": " };
            text += &format!("{node}: {would}{}{after}{entries}\n", change.word());
        }
        text + &self.summary()
    }

    fn summary(&self) -> String {
        if self.settings.is_some() && self.changes.is_empty() {
            return format!("dnsmasq: {}\n", self.dnsmasq);
        }
        let nodes = if self.changes.len() == 1 {
            "node"
        } else {
            "nodes"
        };
        let words = [
            Change::Added,
            Change::Changed,
            Change::Removed,
            Change::Unchanged,
        ];
        let counts = words.into_iter().filter_map(|word| {
            let count = self
                .changes
                .values()
                .filter(|change| **change == word)
                .count();
            (count > 0).then(|| format!("{count} {}", word.word()))
        });
        let mut counts: Vec<_> = counts.collect();
        if !self.left_out.is_empty() {
            counts.push(format!("{} left out", self.left_out.len()));
        }
        if !self.problems.is_empty() {
            counts.push(format!("{} wrong", self.problems.len()));
        }
        let counts = if counts.is_empty() {
            String::new()
        } else {
            format!(" {}", counts.join(", "))
        };
        format!(
            "{} {nodes}:{counts}; dnsmasq: {}\n",
            self.changes.len(),
            self.dnsmasq
        )
    }

    fn document(&self) -> Value {
        let nodes = self.changes.iter().map(|(node, change)| {
            json!({ "node": node, "change": change.word(), "entries": self.listing.of(node) })
        });
        let reasons = |list: &[(String, String)]| {
            let list = list
                .iter()
                .map(|(node, reason)| json!({ "node": node, "reason": reason }));
            list.collect::<Vec<_>>()
        };
        let settings = self.settings.as_ref().map(
            |settings| json!({ "path": settings.path, "changed": settings.is_changed, "text": settings.text }),
        );
        json!({
            "dry_run": self.dry_run,
            "settings": settings,
            "nodes": nodes.collect::<Vec<_>>(),
            "left_out": reasons(&self.left_out),
            "problems": reasons(&self.problems),
            "notes": self.notes,
            "dnsmasq": self.dnsmasq,
        })
    }
}

/// Prints to stdout; a reader that has gone is an error, not a panic.
///
/// # Errors
/// When nothing can be printed.
pub(crate) fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing the results")
}
