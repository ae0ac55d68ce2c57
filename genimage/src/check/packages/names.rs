//! Names by the ten thousand, each with one value: packages with versions, provides with providers.
//!
//! One text holds all of them and a sorted list of places finds them, so that an index of a whole
//! archive is a few megabytes and is built in milliseconds.

use std::ops::Range;

use anyhow::{Result, bail};

/// More bytes than any archive's names have, and what a hostile one is refused at.
const MAX_BYTES: usize = 256 << 20;

/// More names than any archive has.
const MAX_COUNT: usize = 16 << 20;

/// Names and values, being gathered.
#[derive(Debug, Default)]
pub(super) struct NameTableBuilder {
    text: String,
    entries: Vec<NameSpan>,
}

/// Where a name and its value are in the text: one after the other.
#[derive(Debug, Clone, Copy)]
struct NameSpan {
    at: u32,
    name: u16,
    value: u16,
}

impl NameTableBuilder {
    /// Adds a name with its value.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<()> {
        let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u16::try_from(value.len()))
        else {
            bail!("a name of more than 65535 bytes");
        };
        let at = self.text.len();
        if at + name.len() + value.len() > MAX_BYTES || self.entries.len() == MAX_COUNT {
            bail!("more than {MAX_COUNT} names, or {MAX_BYTES} bytes of them");
        }
        self.text.push_str(name);
        self.text.push_str(value);
        self.entries.push(NameSpan {
            at: u32::try_from(at).unwrap_or(u32::MAX),
            name: name_len,
            value: value_len,
        });
        Ok(())
    }

    /// Sorts what was gathered. What is in order already, as most indices are, costs one comparison.
    pub(super) fn finish(mut self) -> NameTable {
        let text = self.text;
        self.entries
            .sort_by(|a, b| (a.name(&text), a.value(&text)).cmp(&(b.name(&text), b.value(&text))));
        self.entries
            .dedup_by(|a, b| (a.name(&text), a.value(&text)) == (b.name(&text), b.value(&text)));
        NameTable {
            text,
            entries: self.entries,
        }
    }
}

impl NameSpan {
    fn name(self, text: &str) -> &str {
        let at = self.at as usize;
        &text[at..at + usize::from(self.name)]
    }

    fn value(self, text: &str) -> &str {
        let at = self.at as usize + usize::from(self.name);
        &text[at..at + usize::from(self.value)]
    }
}

/// Names and values, sorted.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    text: String,
    entries: Vec<NameSpan>,
}

impl NameTable {
    /// Whether a name is there.
    pub(super) fn contains(&self, name: &str) -> bool {
        !self.range(name).is_empty()
    }

    /// Every value of a name, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.entries[self.range(name)]
            .iter()
            .map(|entry| entry.value(&self.text))
    }

    /// Every name, in order; one with several values comes several times.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name(&self.text))
    }

    /// Every name with each of its values, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pair = |entry: &NameSpan| (entry.name(&self.text), entry.value(&self.text));
        self.entries.iter().map(pair)
    }

    fn range(&self, name: &str) -> Range<usize> {
        let start = self
            .entries
            .partition_point(|entry| entry.name(&self.text) < name);
        let same = self.entries[start..]
            .iter()
            .take_while(|entry| entry.name(&self.text) == name);
        start..start + same.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_all_its_values() {
        let mut gathering = NameTableBuilder::default();
        for (name, value) in [("b", "2"), ("a", "1"), ("b", "1"), ("b", "2"), ("bc", "")] {
            gathering.add(name, value).unwrap();
        }
        let names = gathering.finish();
        assert_eq!(names.values("b").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b", "b", "bc"]);
        assert!(names.contains("bc") && !names.contains("c") && !names.contains(""));
    }

    #[test]
    fn what_no_archive_has_is_refused() {
        let mut gathering = NameTableBuilder::default();
        let error = gathering.add(&"x".repeat(1 << 16), "").unwrap_err();
        assert_eq!(error.to_string(), "a name of more than 65535 bytes");
    }
}
