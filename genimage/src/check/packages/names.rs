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

    /// Adds what another has gathered.
    pub(super) fn append(&mut self, other: Self) -> Result<()> {
        let at = self.text.len();
        if at + other.text.len() > MAX_BYTES || self.entries.len() + other.entries.len() > MAX_COUNT
        {
            bail!("more than {MAX_COUNT} names, or {MAX_BYTES} bytes of them");
        }
        if self.entries.is_empty() {
            *self = other;
            return Ok(());
        }
        self.text.push_str(&other.text);
        let at = u32::try_from(at)?;
        let moved = other.entries.into_iter();
        self.entries.extend(moved.map(|entry| NameSpan {
            at: entry.at + at,
            ..entry
        }));
        Ok(())
    }

    /// Sorts what was gathered in its place, so that sorting it again costs a comparison each.
    pub(super) fn sort(&mut self) {
        let Self { text, entries } = self;
        entries.sort_by(|a, b| (a.name(text), a.value(text)).cmp(&(b.name(text), b.value(text))));
        entries.dedup_by(|a, b| (a.name(text), a.value(text)) == (b.name(text), b.value(text)));
    }

    /// Writes what was gathered in the form that [`Self::load`] reads: two lengths, the places, the text.
    pub(super) fn render(&self, bytes: &mut Vec<u8>) {
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        bytes.extend((self.text.len() as u64).to_le_bytes());
        for NameSpan { at, name, value } in &self.entries {
            bytes.extend(at.to_le_bytes());
            bytes.extend(name.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend_from_slice(self.text.as_bytes());
    }

    /// Reads what was gathered from the beginning of bytes, and takes it off; `None` where it is not in that form.
    pub(super) fn load(bytes: &mut &[u8]) -> Option<Self> {
        let mut length = || {
            let (length, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            usize::try_from(u64::from_le_bytes(*length)).ok()
        };
        let (count, length) = (length()?, length()?);
        if count > MAX_COUNT || length > MAX_BYTES {
            return None;
        }
        let (spans, rest) = bytes.split_at_checked(count * NameSpan::BYTES)?;
        let (text, rest) = rest.split_at_checked(length)?;
        let text = std::str::from_utf8(text).ok()?;
        let spans = spans.chunks_exact(NameSpan::BYTES);
        let entries = spans.map(|span| NameSpan::load(span).filter(|span| span.is_in(text)));
        let entries = entries.collect::<Option<_>>()?;
        *bytes = rest;
        Some(Self {
            text: text.to_owned(),
            entries,
        })
    }

    /// Sorts what was gathered. What is in order already, as most indices are, costs one comparison.
    pub(super) fn finish(mut self) -> NameTable {
        self.sort();
        NameTable {
            text: self.text,
            entries: self.entries,
        }
    }
}

impl NameSpan {
    /// How many bytes one is written in.
    const BYTES: usize = 8;

    fn load(bytes: &[u8]) -> Option<Self> {
        let (at, lengths) = bytes.split_first_chunk()?;
        let (name, value) = lengths.split_first_chunk()?;
        Some(Self {
            at: u32::from_le_bytes(*at),
            name: u16::from_le_bytes(*name),
            value: u16::from_le_bytes(*value.first_chunk()?),
        })
    }

    /// Whether a text has it.
    fn is_in(self, text: &str) -> bool {
        let at = self.at as usize;
        let value = at + usize::from(self.name);
        text.get(at..value).is_some() && text.get(value..value + usize::from(self.value)).is_some()
    }

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
    fn what_was_gathered_is_the_same_when_it_was_written_and_joined() {
        let mut gathering = NameTableBuilder::default();
        for (name, value) in [("é", "2"), ("a", "ß"), ("", "")] {
            gathering.add(name, value).unwrap();
        }
        let mut bytes = Vec::new();
        gathering.render(&mut bytes);
        let load = |bytes: &[u8]| {
            let mut rest = bytes;
            NameTableBuilder::load(&mut rest).filter(|_| rest.is_empty())
        };
        let mut joined = load(&bytes).unwrap();
        joined.add("b", "1").unwrap();
        joined.append(load(&bytes).unwrap()).unwrap();
        let joined = joined.finish();
        let pairs: Vec<_> = joined.pairs().collect();
        assert_eq!(pairs, [("", ""), ("a", "ß"), ("b", "1"), ("é", "2")]);
        for length in 0..bytes.len() {
            assert!(load(&bytes[..length]).is_none(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            drop(load(&damaged).map(NameTableBuilder::finish)); // whatever it says, nothing is read outside
        }
    }

    #[test]
    fn what_no_archive_has_is_refused() {
        let mut gathering = NameTableBuilder::default();
        let error = gathering.add(&"x".repeat(1 << 16), "").unwrap_err();
        assert_eq!(error.to_string(), "a name of more than 65535 bytes");
    }
}
