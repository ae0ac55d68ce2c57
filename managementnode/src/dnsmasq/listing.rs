//! The lists of nodes that dnsmasq reads again while it runs: each line is one entry and, as a comment, whose it is.
//!
//! A text comes in and goes out again; in between, entries are looked up and changed by node. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};

/// Who made a line.
const OWNER: &str = " # ";

/// The entries of each node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeEntries(BTreeMap<String, Vec<String>>);

/// What a run did with the entries of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Changed,
    Removed,
    Unchanged,
}

impl Change {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl NodeEntries {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// A line that no run of ours wrote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut listing = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (entry, node) = line.rsplit_once(OWNER).with_context(|| {
                format!(
                    "line {} names no node, so it is not ours: move it to another file",
                    number + 1
                )
            })?;
            listing.push(node, entry.to_owned());
        }
        Ok(listing)
    }

    /// Writes the text of the file.
    pub(crate) fn render(&self, command: &str) -> String {
        let mut text = format!("# Written by {command} from the definitions: changes are lost.\n");
        for (node, entry) in self.entries() {
            let _ = writeln!(text, "{entry}{OWNER}{node}");
        }
        text
    }

    /// Adds an entry of a node.
    pub(crate) fn push(&mut self, node: &str, entry: String) {
        self.0.entry(node.to_owned()).or_default().push(entry);
    }

    /// Replaces the entries of a node; none removes it.
    pub(crate) fn set(&mut self, node: &str, entries: Vec<String>) {
        if entries.is_empty() {
            self.0.remove(node);
        } else {
            self.0.insert(node.to_owned(), entries);
        }
    }

    /// Returns the entries of a node.
    pub(crate) fn of(&self, node: &str) -> &[String] {
        self.0.get(node).map_or(&[], Vec::as_slice)
    }

    /// Lists every entry with its node.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let nodes = self.0.iter();
        nodes
            .flat_map(|(node, entries)| entries.iter().map(|entry| (node.as_str(), entry.as_str())))
    }

    /// Returns what became of each node that was or is listed: of those that were asked for, or of all, but for those
    /// with a problem.
    pub(crate) fn changes(
        &self,
        before: &Self,
        requested: Option<&Vec<String>>,
        problems: &[(String, String)],
    ) -> BTreeMap<String, Change> {
        let requested = requested.map(|names| names.iter().collect::<BTreeSet<_>>());
        let wrong: BTreeSet<_> = problems.iter().map(|(name, _)| name).collect();
        let is_reported = |name: &&String| {
            requested.as_ref().is_none_or(|names| names.contains(name)) && !wrong.contains(name)
        };
        let names = self.0.keys().chain(before.0.keys()).filter(is_reported);
        let change = |name: &String| match (before.0.get(name), self.0.get(name)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (old, new) if old == new => Change::Unchanged,
            _ => Change::Changed,
        };
        names.map(|name| (name.clone(), change(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_foreign_lines_are_named() {
        let mut listing = NodeEntries::default();
        listing.set("n2", vec!["a,b".to_owned(), "c".to_owned()]);
        listing.set("n1", vec!["d".to_owned()]);
        let text = listing.render("makedhcp");
        assert_eq!(
            text,
            "# Written by makedhcp from the definitions: changes are lost.\nd # n1\na,b # n2\nc # n2\n"
        );
        assert_eq!(NodeEntries::parse(&text).unwrap(), listing);
        let mut after = listing.clone();
        after.set("n2", Vec::new());
        after.set("n1", vec!["e".to_owned()]);
        after.set("n3", vec!["f".to_owned()]);
        let changes = after.changes(&listing, None, &[]);
        let shown: Vec<_> = changes
            .iter()
            .map(|(node, change)| format!("{node} {}", change.word()))
            .collect();
        assert_eq!(shown, ["n1 changed", "n2 removed", "n3 added"]);
        // of those that were asked for, and without those with a problem
        let requested = vec!["n1".to_owned(), "n3".to_owned()];
        let problems = [("n3".to_owned(), "it has no address".to_owned())];
        let changes = after.changes(&listing, Some(&requested), &problems);
        assert_eq!(changes.into_keys().collect::<Vec<_>>(), ["n1"]);
        assert_eq!(
            NodeEntries::parse("# x\nlog-queries\n")
                .unwrap_err()
                .to_string(),
            "line 2 names no node, so it is not ours: move it to another file"
        );
    }
}
