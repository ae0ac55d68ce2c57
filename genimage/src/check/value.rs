//! A file of keys and values, as a tree that knows its lines.

use std::borrow::Cow;
use std::collections::HashMap;

/// A value and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpannedValue<'a> {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) kind: ValueKind<'a>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueKind<'a> {
    Null,
    Boolean(bool),
    /// A whole number, as written.
    Integer(Cow<'a, str>),
    Number,
    String(Cow<'a, str>),
    List(Vec<SpannedValue<'a>>),
    Map(Vec<KeyValue<'a>>),
    /// Defined elsewhere: an alias of YAML, which is not checked.
    Unknown,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyValue<'a> {
    pub(super) line: usize,
    pub(super) key: Cow<'a, str>,
    pub(super) value: SpannedValue<'a>,
}

impl<'a> SpannedValue<'a> {
    /// The entries of a map; anything else has none.
    pub(super) fn entries(&self) -> &[KeyValue<'a>] {
        match &self.kind {
            ValueKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Lists the keys that a map here has twice, each with the lines of the first and of the other.
    pub(super) fn duplicate_keys(&self) -> Vec<(&str, usize, usize)> {
        let mut found = Vec::new();
        let mut lines = HashMap::new();
        for KeyValue { line, key, value } in self.entries() {
            if let Some(first) = lines.insert(key.as_ref(), *line) {
                found.push((key.as_ref(), first, *line));
            }
            found.extend(value.duplicate_keys());
        }
        if let ValueKind::List(items) = &self.kind {
            found.extend(items.iter().flat_map(Self::duplicate_keys));
        }
        found
    }

    /// The entry of a map with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&KeyValue<'a>> {
        self.entries().iter().find(|entry| entry.key == key)
    }
}

impl ValueKind<'_> {
    /// What a person calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Number => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Unknown => "an alias",
        }
    }
}
