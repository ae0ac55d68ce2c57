//! Edits to a YAML file, whole lines at a time, so that everything else keeps its bytes.
//!
//! In: the text, and the [`yaml`](super::yaml) nodes that say where things are in it. Out: the
//! text with entries removed, moved or added. It does not know what the keys mean.

use std::ops::Range;

use anyhow::{Result, bail};

use super::yaml::{YamlEntry, YamlNode, YamlValue};

/// A text with edits to its bytes, made all at once.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    text: &'a str,
    /// Where each line begins, and the end of the text.
    starts: Vec<usize>,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        if text.ends_with('\n') || text.is_empty() {
            starts.pop();
        }
        starts.push(text.len());
        Self {
            text,
            starts,
            edits: Vec::new(),
        }
    }

    fn line(&self, line: usize) -> &'a str {
        self.text[self.starts[line]..self.starts[line + 1]].trim_end_matches(['\n', '\r'])
    }

    /// The lines of an entry with the comments right above it.
    fn span(&self, entry: &YamlEntry) -> Range<usize> {
        let mut first = entry.line;
        while first > 0 {
            let above = self.line(first - 1);
            let column = above.len() - above.trim_start().len();
            if column != entry.column || !above[column..].starts_with('#') {
                break;
            }
            first -= 1;
        }
        first..entry.value.lines.1 + 1
    }

    /// The lines of an entry, its key in column 0.
    pub(super) fn lines_of(&self, entry: &YamlEntry, flow: bool) -> Result<Vec<String>> {
        if flow {
            let value = &self.text[entry.value.bytes.clone()];
            if value.contains('\n') {
                bail!(
                    "{} stretches over several lines in braces: write it as a block",
                    entry.key
                );
            }
            return Ok(vec![format!(
                "{}: {value}",
                &self.text[entry.key_bytes.clone()]
            )]);
        }
        let dedent = |line: &str| {
            let blank = line.len() - line.trim_start_matches(' ').len();
            line[blank.min(entry.column)..].to_owned()
        };
        Ok(self
            .span(entry)
            .map(|line| dedent(self.line(line)))
            .collect())
    }

    /// Removes an entry from its mapping.
    pub(super) fn remove(&mut self, entry: &YamlEntry, from: &YamlNode) -> Result<()> {
        if !from.is_flow() {
            let lines = self.span(entry);
            self.edits.push((
                self.starts[lines.start]..self.starts[lines.end],
                String::new(),
            ));
            return Ok(());
        }
        let entries = from.entries();
        let at = entries
            .iter()
            .position(|other| other == entry)
            .unwrap_or_default();
        // With the comma that follows; the last one takes all that stood before the brace.
        let end = match entries.get(at + 1) {
            Some(next) => next.key_bytes.start,
            None => from.bytes.end.saturating_sub(1),
        };
        self.edits.push((entry.key_bytes.start..end, String::new()));
        Ok(())
    }

    /// Gives a key whose whole block goes away the value `{}`.
    pub(super) fn close_empty(&mut self, entry: &YamlEntry) {
        let after_key = entry.key_bytes.end;
        if let Some(colon) = self.text[after_key..].find(':') {
            let at = after_key + colon + 1;
            self.edits.push((at..at, " {}".to_owned()));
        }
    }

    /// Adds lines as the last entry of a block mapping, at the column of its entries.
    pub(super) fn append_entry(&mut self, map: &YamlNode, lines: &[String]) {
        let column = map.entries().first().map_or(0, |entry| entry.column);
        self.insert_below(map.lines.1, column, lines);
    }

    /// Adds lines to the mapping that is an entry's value.
    pub(super) fn append_to(&mut self, entry: &YamlEntry, lines: &[String]) -> Result<()> {
        match &entry.value.kind {
            YamlValue::Map {
                entries,
                flow: false,
            } if !entries.is_empty() => {
                self.append_entry(&entry.value, lines);
            }
            YamlValue::Scalar(text) if text.is_empty() => {
                self.insert_below(entry.line, entry.column + 2, lines);
            }
            _ => bail!(
                "{} is written in braces, which cannot be edited line by line: write it as a block",
                entry.key
            ),
        }
        Ok(())
    }

    fn insert_below(&mut self, line: usize, column: usize, lines: &[String]) {
        let at = self.starts[line + 1];
        let mut block = String::new();
        if !self.text[..at].ends_with('\n') {
            block.push('\n');
        }
        for line in lines {
            if !line.is_empty() {
                block.push_str(&" ".repeat(column));
            }
            block.push_str(line);
            block.push('\n');
        }
        self.edits.push((at..at, block));
    }

    /// Adds an item to a list, however it is written.
    pub(super) fn append_item(&mut self, list: &YamlNode, item: &str) -> Result<()> {
        match &list.kind {
            YamlValue::List { items, flow: true } => {
                let at = list.bytes.end - 1;
                let comma = if items.is_empty() { "" } else { ", " };
                self.edits.push((at..at, format!("{comma}{item}")));
            }
            YamlValue::List { items, flow: false } if !items.is_empty() => {
                let first = self.line(items[0].lines.0);
                let column = first.find('-').unwrap_or_default();
                self.insert_below(list.lines.1, column, &[format!("- {item}")]);
            }
            _ => bail!("interfaces is not a list"),
        }
        Ok(())
    }

    /// The text with all edits made. Insertions at one place keep the order they came in.
    pub(super) fn apply(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut text = String::with_capacity(self.text.len() + 512);
        let mut at = 0;
        for (range, new) in self.edits {
            text.push_str(&self.text[at..range.start.max(at)]);
            text.push_str(&new);
            at = range.end.max(at);
        }
        text.push_str(&self.text[at..]);
        text
    }
}
