//! What was done, for people and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// What was done, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) changed: bool,
    pub(super) manager: &'static str,
    /// The files of repositories and keys that were written or removed.
    pub(super) files: Vec<String>,
    /// What was done or, with `--dry-run`, would be.
    pub(super) steps: Vec<String>,
    pub(super) installed: BTreeMap<String, String>,
    pub(super) upgraded: BTreeMap<String, String>,
    pub(super) removed: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

impl Report {
    /// Says a step and keeps it.
    pub(super) fn step(&mut self, what: String) {
        error_line!("otherpkgs: {what}");
        self.steps.push(what);
    }

    /// Says what an administrator should know, and keeps it.
    pub(super) fn note(&mut self, what: String) {
        error_line!("otherpkgs: {what}");
        self.notes.push(what);
    }

    /// Takes the difference of what was installed and what is.
    pub(super) fn compare(
        &mut self,
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) {
        for (name, version) in after {
            let entry = (name.clone(), version.clone());
            match before.get(name) {
                None => self.installed.extend([entry]),
                Some(old) if old != version => self.upgraded.extend([entry]),
                Some(_) => {}
            }
        }
        let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
        self.removed = gone
            .map(|(name, version)| (name.clone(), version.clone()))
            .collect();
    }

    /// Prints the result.
    pub(super) fn finish(&self, json: bool, dry_run: bool) -> Result<()> {
        let mut out = io::stdout().lock();
        if json {
            return Ok(writeln!(out, "{}", serde_json::to_string_pretty(self)?)?);
        }
        if !self.changed && self.steps.is_empty() {
            return Ok(writeln!(out, "nothing to do")?);
        }
        if dry_run {
            for step in &self.steps {
                writeln!(out, "{step}")?;
            }
            return Ok(());
        }
        for (verb, packages) in [
            ("installed", &self.installed),
            ("upgraded", &self.upgraded),
            ("removed", &self.removed),
        ] {
            for (name, version) in packages {
                writeln!(out, "{verb} {name} {version}")?;
            }
        }
        let count = self.installed.len() + self.upgraded.len() + self.removed.len();
        match count {
            0 => writeln!(out, "done; no package changed")?,
            _ => writeln!(out, "done")?,
        }
        Ok(())
    }
}
