//! A file of keys and values, as a tree that knows its lines.

use std::borrow::Cow;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value<'a> {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind<'a>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'a> {
    Null,
    Boolean,
    /// A whole number, as written.
    Integer(Cow<'a, str>),
    Number,
    String(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Map(Vec<Entry<'a>>),
    /// What stands elsewhere: an alias of YAML. Nothing is said of it.
    Unknown,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    pub(super) key: Cow<'a, str>,
    pub(super) value: Value<'a>,
}

impl<'a> Value<'a> {
    /// The entries of a map; anything else has none.
    pub(super) fn entries(&self) -> &[Entry<'a>] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a map with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.entries().iter().find(|entry| entry.key == key)
    }
}

impl Kind<'_> {
    /// What a person calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Number => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Unknown => "an alias",
        }
    }
}
