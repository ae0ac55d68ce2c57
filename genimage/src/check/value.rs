//! A file of keys and values, as a tree that knows its lines.

use std::borrow::Cow;

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
