//! What a file of keys and values may say, and what is said against it.
//!
//! A tree of values and a table come in, problems go out. What a map that is not closed may also hold is
//! not known: a key there is told only when it looks misspelt.

mod table;

use std::fmt;

use self::table::Shape;
pub(super) use self::table::Shapes;
use definitions::{did_you_mean, nearest};

use crate::check::telling::Telling;
use crate::check::value::{Entry, Kind, Value};

/// How a key that a closed map does not take is told.
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

impl Shapes {
    /// Tells what is wrong with a value.
    pub(in crate::check) fn check(
        &self,
        value: &Value<'_>,
        language: Language,
        strictness: Strictness,
        telling: &mut Telling<'_>,
    ) {
        let mut checking = Checking {
            shapes: self,
            language,
            strictness,
            telling,
        };
        checking.value(0, value, &Path::ROOT);
    }

    /// Tells what is wrong with one entry of the outermost map.
    pub(in crate::check) fn check_entry(
        &self,
        entry: &Entry<'_>,
        strictness: Strictness,
        telling: &mut Telling<'_>,
    ) {
        let mut checking = Checking {
            shapes: self,
            language: Language::Yaml,
            strictness,
            telling,
        };
        checking.entry(&self.nodes[0], entry, &Path::ROOT);
    }
}

/// Where a value stands: `users[].name`.
#[derive(Debug)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl Path<'_> {
    const ROOT: Self = Self {
        parent: None,
        name: "",
    };
}

impl fmt::Display for Path<'_> {
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
struct Checking<'a, 'b> {
    shapes: &'a Shapes,
    language: Language,
    strictness: Strictness,
    telling: &'a mut Telling<'b>,
}

impl<'a> Checking<'a, '_> {
    fn value(&mut self, at: usize, value: &Value<'_>, path: &Path<'_>) {
        let shape = &self.shapes.nodes[at];
        if value.kind == Kind::Unknown {
            return;
        }
        if !shape.types.is_empty() && !shape.types.iter().any(|one| is(one, &value.kind)) {
            let told = wrong_type(shape, &value.kind, self.language, path);
            return self.telling.problem(value.line, told);
        }
        match &value.kind {
            Kind::List(items) => {
                let Some(item) = shape.item else {
                    return;
                };
                let path = Path {
                    parent: Some(path),
                    name: "[]",
                };
                for value in items {
                    self.value(item, value, &path);
                }
            }
            Kind::Map(entries) => self.map(shape, value.line, entries, path),
            Kind::String(text) | Kind::Integer(text)
                if !shape.values.is_empty() && !shape.values.contains(&text.as_ref()) =>
            {
                let near = did_you_mean(&nearest(text, shape.values.iter().copied()));
                let near = near.unwrap_or_else(|| format!("write {}", or(&shape.values)));
                let told = format!("'{path}' does not take '{text}': {near}");
                self.telling.problem(value.line, told);
            }
            _ => {}
        }
    }

    fn map(&mut self, shape: &'a Shape, line: usize, entries: &[Entry<'_>], path: &Path<'_>) {
        for entry in entries {
            self.entry(shape, entry, path);
        }
        // What YAML merges in from elsewhere may have the key.
        let has = |key: &str| {
            entries
                .iter()
                .any(|entry| entry.key == key || entry.key == "<<")
        };
        for key in shape.required.iter().filter(|key| !has(key)) {
            self.telling
                .problem(line, format!("'{path}' needs a key '{key}'"));
        }
        if !shape.one.is_empty() && !shape.one.iter().any(|key| has(key)) {
            let told = format!("'{path}' needs a key {}", or(&shape.one));
            self.telling.problem(line, told);
        }
    }

    fn entry(&mut self, shape: &'a Shape, entry: &Entry<'_>, path: &Path<'_>) {
        let key = entry.key.as_ref();
        let found = shape.keys.binary_search_by_key(&key, |(name, _)| name);
        let known = found.ok().map(|place| shape.keys[place].1).or(shape.any);
        let Some(at) = known else {
            return self.unknown(shape, entry, path);
        };
        let path = Path {
            parent: Some(path),
            name: key,
        };
        if self.shapes.nodes[at].deprecated {
            self.telling
                .note(entry.line, format!("'{path}' is deprecated"));
        }
        self.value(at, &entry.value, &path);
    }

    fn unknown(&mut self, shape: &Shape, entry: &Entry<'_>, path: &Path<'_>) {
        let key = entry.key.as_ref();
        if key == "<<" || shape.keys.is_empty() && !shape.closed {
            return;
        }
        let current = shape
            .keys
            .iter()
            .filter(|(_, at)| !self.shapes.nodes[*at].deprecated);
        let near = did_you_mean(&nearest(key, current.map(|(name, _)| *name)));
        let exact = shape.closed && self.strictness == Strictness::Exact;
        match near {
            Some(near) => self
                .telling
                .problem(entry.line, format!("'{path}' knows no key '{key}': {near}")),
            None if exact => self.telling.problem(
                entry.line,
                format!("'{path}' knows no key '{key}': remove it"),
            ),
            None => self.telling.note(
                entry.line,
                format!("'{path}' is not known to have a key '{key}': it is not checked"),
            ),
        }
    }
}

/// Whether a value is of a type.
fn is(name: &str, kind: &Kind<'_>) -> bool {
    match kind {
        Kind::Null => name == "null",
        Kind::Boolean => name == "boolean",
        Kind::Integer(_) => matches!(name, "integer" | "number"),
        Kind::Number => name == "number",
        Kind::String(_) => name == "string",
        Kind::List(_) => name == "list",
        Kind::Map(_) => name == "map",
        Kind::Unknown => true,
    }
}

fn wrong_type(shape: &Shape, kind: &Kind<'_>, language: Language, path: &Path<'_>) -> String {
    let names: Vec<_> = shape.types.iter().map(|name| type_name(name)).collect();
    let (names, found) = (names.join(" or "), kind.name());
    let told = format!("'{path}' takes {names}, and this is {found}");
    let advice = match (language, kind) {
        (Language::Xml, _) => {
            return match shape.types.as_slice() {
                ["string"] => format!("{told}: remove its type"),
                [one] => format!("{told}: write config:type=\"{one}\""),
                _ => told,
            };
        }
        (_, Kind::Boolean | Kind::Integer(_) | Kind::Number) if shape.types.contains(&"string") => {
            ": write it in quotation marks"
        }
        (Language::Yaml, Kind::String(_)) if shape.types == ["list"] => {
            ": write an item in a line of its own, behind '- '"
        }
        (Language::Yaml, Kind::Null) => ": write it behind the colon, or remove the key",
        _ => "",
    };
    told + advice
}

fn type_name(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "list" => "a list",
        "map" => "a map",
        _ => "nothing",
    }
}

/// Quotes them: `'a', 'b' or 'c'`.
fn or(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
