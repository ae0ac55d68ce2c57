//! What a file of keys and values may contain, and the problems of what it does.
//!
//! A tree of values and a table come in, problems go out. What a map that is not closed may also hold is
//! not known: a key there is a problem only when it looks misspelt.

mod table;

use std::fmt;

use definitions::{did_you_mean, nearest};

pub(super) use self::table::Schema;
use self::table::{SchemaNode, ValueType};
use crate::check::findings::FindingsBuilder;
use crate::check::value::{KeyValue, SpannedValue, ValueKind};

/// How a key that a closed map does not take is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Strictness {
    /// It is wrong.
    Exact,
    /// A newer program than the table's may take it: it is wrong when it looks misspelt.
    Newer,
}

/// The language of a file, which advice is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Language {
    Yaml,
    Json,
    /// AutoYaST's: an attribute tells the type of an element.
    Xml,
}

impl Schema {
    /// Tells what is wrong with a value.
    pub(in crate::check) fn check(
        &self,
        value: &SpannedValue<'_>,
        language: Language,
        strictness: Strictness,
        findings: &mut FindingsBuilder<'_>,
    ) {
        let mut validator = Validator {
            schema: self,
            language,
            strictness,
            findings,
        };
        validator.value(0, value, &ValuePath::ROOT);
    }

    /// Tells what is wrong with one entry of the outermost map.
    pub(in crate::check) fn check_entry(
        &self,
        entry: &KeyValue<'_>,
        strictness: Strictness,
        findings: &mut FindingsBuilder<'_>,
    ) {
        let mut validator = Validator {
            schema: self,
            language: Language::Yaml,
            strictness,
            findings,
        };
        validator.entry(&self.nodes[0], entry, &ValuePath::ROOT);
    }
}

/// The path of a value: `users[].name`.
#[derive(Debug)]
struct ValuePath<'a> {
    parent: Option<&'a ValuePath<'a>>,
    name: &'a str,
}

impl ValuePath<'_> {
    const ROOT: Self = Self {
        parent: None,
        name: "",
    };
}

impl fmt::Display for ValuePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return f.write_str(if self.name.is_empty() {
                "the file"
            } else {
                self.name
            });
        };
        if parent.parent.is_some() || !parent.name.is_empty() {
            parent.fmt(f)?;
            if self.name != "[]" {
                f.write_str(".")?;
            }
        }
        f.write_str(self.name)
    }
}

/// A check that is under way.
#[derive(Debug)]
struct Validator<'a, 'b> {
    schema: &'a Schema,
    language: Language,
    strictness: Strictness,
    findings: &'a mut FindingsBuilder<'b>,
}

impl<'a> Validator<'a, '_> {
    fn value(&mut self, at: usize, value: &SpannedValue<'_>, path: &ValuePath<'_>) {
        let schema = &self.schema.nodes[at];
        if value.kind == ValueKind::Unknown {
            return;
        }
        if !schema.types.is_empty() && !schema.types.iter().any(|one| is_of_type(*one, &value.kind))
        {
            let message = wrong_type(schema, &value.kind, self.language, path);
            return self.findings.problem(value.line, message);
        }
        match &value.kind {
            ValueKind::List(items) => {
                let Some(item) = schema.item else {
                    return;
                };
                let path = ValuePath {
                    parent: Some(path),
                    name: "[]",
                };
                for value in items {
                    self.value(item, value, &path);
                }
            }
            ValueKind::Map(entries) => self.map(schema, value.line, entries, path),
            ValueKind::String(text) | ValueKind::Integer(text)
                if !schema.values.is_empty() && !schema.values.contains(&text.as_ref()) =>
            {
                let near = did_you_mean(&nearest(text, schema.values.iter().copied()));
                let near =
                    near.unwrap_or_else(|| format!("write {}", alternatives(&schema.values)));
                let message = format!("'{path}' does not take '{text}': {near}");
                self.findings.problem(value.line, message);
            }
            _ => {}
        }
    }

    fn map(
        &mut self,
        schema: &'a SchemaNode,
        line: usize,
        entries: &[KeyValue<'_>],
        path: &ValuePath<'_>,
    ) {
        for entry in entries {
            self.entry(schema, entry, path);
        }
        // What YAML merges in from elsewhere may have the key.
        let has = |key: &str| {
            entries
                .iter()
                .any(|entry| entry.key == key || entry.key == "<<")
        };
        for key in schema.required.iter().filter(|key| !has(key)) {
            self.findings
                .problem(line, format!("'{path}' needs a key '{key}'"));
        }
        if !schema.one.is_empty() && !schema.one.iter().any(|key| has(key)) {
            let message = format!("'{path}' needs a key {}", alternatives(&schema.one));
            self.findings.problem(line, message);
        }
    }

    fn entry(&mut self, schema: &'a SchemaNode, entry: &KeyValue<'_>, path: &ValuePath<'_>) {
        let key = entry.key.as_ref();
        let found = schema.keys.binary_search_by_key(&key, |(name, _)| name);
        let known = found.ok().map(|place| schema.keys[place].1).or(schema.any);
        let Some(at) = known else {
            return self.unknown(schema, entry, path);
        };
        let path = ValuePath {
            parent: Some(path),
            name: key,
        };
        if self.schema.nodes[at].deprecated {
            self.findings
                .note(entry.line, format!("'{path}' is deprecated"));
        }
        self.value(at, &entry.value, &path);
    }

    fn unknown(&mut self, schema: &SchemaNode, entry: &KeyValue<'_>, path: &ValuePath<'_>) {
        let key = entry.key.as_ref();
        if key == "<<" || schema.keys.is_empty() && !schema.closed {
            return;
        }
        let current = schema
            .keys
            .iter()
            .filter(|(_, at)| !self.schema.nodes[*at].deprecated);
        let near = did_you_mean(&nearest(key, current.map(|(name, _)| *name)));
        let exact = schema.closed && self.strictness == Strictness::Exact;
        match near {
            Some(near) => self
                .findings
                .problem(entry.line, format!("'{path}' has no key '{key}': {near}")),
            None if exact => self.findings.problem(
                entry.line,
                format!("'{path}' has no key '{key}': remove it"),
            ),
            None => self.findings.note(
                entry.line,
                format!("'{path}' is not known to have a key '{key}': it is not checked"),
            ),
        }
    }
}

/// Whether a value is of a type.
fn is_of_type(wanted: ValueType, kind: &ValueKind<'_>) -> bool {
    match kind {
        ValueKind::Null => wanted == ValueType::Null,
        ValueKind::Boolean(_) => wanted == ValueType::Boolean,
        ValueKind::Integer(_) => matches!(wanted, ValueType::Integer | ValueType::Number),
        ValueKind::Number => wanted == ValueType::Number,
        ValueKind::String(_) => wanted == ValueType::Text,
        ValueKind::List(_) => wanted == ValueType::List,
        ValueKind::Map(_) => wanted == ValueType::Map,
        ValueKind::Unknown => true,
    }
}

fn wrong_type(
    schema: &SchemaNode,
    kind: &ValueKind<'_>,
    language: Language,
    path: &ValuePath<'_>,
) -> String {
    let types: Vec<_> = schema.types.iter().map(|one| one.description()).collect();
    let (types, found) = (types.join(" or "), kind.name());
    let message = format!("'{path}' takes {types}, and this is {found}");
    let advice = match (language, kind) {
        (Language::Xml, _) => {
            return match schema.types.as_slice() {
                [ValueType::Text] => format!("{message}: remove its type"),
                [one] => format!("{message}: write config:type=\"{}\"", one.config_type()),
                _ => message,
            };
        }
        (_, ValueKind::Boolean(_) | ValueKind::Integer(_) | ValueKind::Number)
            if schema.types.contains(&ValueType::Text) =>
        {
            ": write it in quotation marks"
        }
        (Language::Yaml, ValueKind::String(_)) if schema.types == [ValueType::List] => {
            ": write each item on a line of its own, after '- '"
        }
        (Language::Yaml, ValueKind::Null) => ": write it after the colon, or remove the key",
        _ => "",
    };
    message + advice
}

/// Quotes them: `'a', 'b' or 'c'`.
fn alternatives(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
