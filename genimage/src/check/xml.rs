//! XML of AutoYaST as a tree of values that know their lines. The only file of this room that knows the parser.
//!
//! Elements are keys. An attribute tells the type of a value (`config:type`, and since 15.3 `type` or
//! `t`): the elements in a list are its items, whatever they are called; without a type, an element with
//! others in it is a map and one without is a text. Nothing outside of the text is read: a DTD's external
//! entities are unknown. Reference: XML 1.0; AutoYaST guide, "The XML profile".

use std::borrow::Cow;

use definitions::{did_you_mean, nearest};
use roxmltree::{Document, Error, Node, ParsingOptions};

use super::findings::FindingsBuilder;
use super::value::{KeyValue, SpannedValue, ValueKind};

/// Deeper than any profile.
const MAX_DEPTH: usize = 64;

/// More nodes than any profile has.
const MAX_NODES: u32 = 1 << 20;

/// The prefix of AutoYaST's own attributes.
const CONFIG: &str = "config";

/// The types that an attribute can give an element, by their names.
const TYPES: [(&str, ElementType); 7] = [
    ("boolean", ElementType::Boolean),
    ("disksize", ElementType::Text),
    ("integer", ElementType::Integer),
    ("list", ElementType::List),
    ("map", ElementType::Map),
    ("string", ElementType::Text),
    ("symbol", ElementType::Text),
];

/// How the content of an element is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ElementType {
    Boolean,
    Integer,
    List,
    Map,
    Text,
}

/// The outermost element.
#[derive(Debug)]
pub(super) struct RootElement<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
    /// The name space of elements without a prefix.
    pub(super) namespace: Option<String>,
    /// The name space of `config:`.
    pub(super) config_namespace: Option<String>,
    pub(super) value: SpannedValue<'a>,
}

/// Reads a document. A text that is not well-formed is one problem, and nothing comes out; where only AutoYaST
/// cannot read an element, that is a problem and the rest is read.
pub(super) fn parse<'a>(
    text: &'a str,
    findings: &mut FindingsBuilder<'_>,
) -> Option<RootElement<'a>> {
    let options = ParsingOptions {
        allow_dtd: true, // profiles begin with <!DOCTYPE profile>
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            let line = match error {
                Error::UnclosedRootNode | Error::UnexpectedEndOfStream => text.lines().count(),
                _ => error.pos().row as usize,
            };
            findings.problem(line.max(1), format!("this is not XML: {}", reason(&error)));
            return None;
        }
    };
    let root = document.root_element();
    let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
    let mut reader = ElementReader { newlines, findings };
    let value = reader.element(root, 0)?;
    let namespace = |prefix| root.lookup_namespace_uri(prefix).map(str::to_owned);
    Some(RootElement {
        name: root.tag_name().name(),
        line: value.line,
        namespace: namespace(None),
        config_namespace: namespace(Some(CONFIG)),
        value,
    })
}

/// Describes what is not well-formed, without the position, which the problem has.
fn reason(error: &Error) -> String {
    match error {
        Error::UnexpectedCloseTag(expected, found, _) => {
            format!("expected '</{expected}>', found '</{found}>'")
        }
        Error::UnknownEntityReference(name, _) => {
            format!("the entity '&{name};' is unknown: write '&amp;' for '&'")
        }
        Error::MalformedEntityReference(_) => "'&' begins no entity: write '&amp;'".to_owned(),
        Error::UnknownNamespace(prefix, _) => {
            format!(
                "the prefix '{prefix}:' is not declared: write xmlns:{prefix}=\"…\" in 'profile'"
            )
        }
        Error::InvalidAttributeValue(_) => "an attribute contains '<': write '&lt;'".to_owned(),
        Error::InvalidCharacterData(_) => {
            "']]>' ends no CDATA section here: write ']]&gt;'".to_owned()
        }
        Error::NonXmlChar(..) => "it contains a control character".to_owned(),
        Error::NoRootNode => "there is no element".to_owned(),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => {
            "it ends inside an element: close it".to_owned()
        }
        Error::UnknownToken(_) => "this is neither an element nor text of one".to_owned(),
        other => {
            let message = other.to_string();
            let position = format!(" at {}", other.pos());
            message
                .strip_suffix(&position)
                .unwrap_or(&message)
                .to_owned()
        }
    }
}

/// Turns elements into values.
struct ElementReader<'b, 'c> {
    /// Where the lines of the text end.
    newlines: Vec<usize>,
    findings: &'b mut FindingsBuilder<'c>,
}

impl ElementReader<'_, '_> {
    /// Reads an element with all that is in it; nothing comes out of one that is nested too deep.
    fn element<'a>(&mut self, element: Node<'_, 'a>, depth: usize) -> Option<SpannedValue<'a>> {
        let line = self.line(element);
        if depth > MAX_DEPTH {
            let message = format!("elements are nested more than {MAX_DEPTH} levels deep");
            self.findings.problem(line, message);
            return None;
        }
        let kind = self.kind_of(element, line);
        let mut text = String::new();
        let mut entries = Vec::new();
        for child in element.children() {
            if child.is_element() {
                entries.push(KeyValue {
                    line: self.line(child),
                    key: Cow::Borrowed(child.tag_name().name()),
                    value: self.element(child, depth + 1)?,
                });
            } else if child.is_text() {
                text.push_str(child.text().unwrap_or_default());
            }
        }
        let name = element.tag_name().name();
        if !entries.is_empty() && !text.trim().is_empty() {
            let message = format!("'{name}' has both text and elements: remove one of them");
            self.findings.problem(line, message);
        }
        let kind = match kind {
            Some(ElementType::Boolean) if matches!(text.trim(), "true" | "false") => {
                ValueKind::Boolean(text.trim() == "true")
            }
            Some(ElementType::Boolean) => {
                let text = text.trim();
                let message =
                    format!("'{name}' is not a boolean: write true or false, not '{text}'");
                self.findings.problem(line, message);
                ValueKind::Unknown
            }
            Some(ElementType::Integer) if text.trim().parse::<i64>().is_ok() => {
                ValueKind::Integer(Cow::Owned(text.trim().to_owned()))
            }
            Some(ElementType::Integer) => {
                let text = text.trim();
                let message =
                    format!("'{name}' is not an integer: write a whole number, not '{text}'");
                self.findings.problem(line, message);
                ValueKind::Unknown
            }
            Some(ElementType::List) => {
                ValueKind::List(entries.into_iter().map(|entry| entry.value).collect())
            }
            Some(ElementType::Map) => self.map(entries),
            Some(ElementType::Text) => ValueKind::String(Cow::Owned(text)),
            None if !entries.is_empty() => self.map(entries),
            None if text.trim().is_empty() => ValueKind::Unknown,
            None => ValueKind::String(Cow::Owned(text)),
        };
        Some(SpannedValue { line, kind })
    }

    /// Returns the type that an attribute gives an element.
    fn kind_of(&mut self, element: Node<'_, '_>, line: usize) -> Option<ElementType> {
        let config = element.lookup_namespace_uri(Some(CONFIG));
        let value = element.attributes().find_map(|attribute| {
            let own = match attribute.namespace() {
                None => matches!(attribute.name(), "type" | "t"),
                namespace => namespace == config && attribute.name() == "type",
            };
            own.then(|| attribute.value())
        })?;
        let known = TYPES.iter().find(|(name, _)| *name == value);
        if known.is_none() {
            let names = TYPES.map(|(name, _)| name);
            let near = did_you_mean(&nearest(value, names));
            let near = near.unwrap_or_else(|| format!("write one of {}", names.join(", ")));
            self.findings
                .problem(line, format!("there is no type '{value}': {near}"));
        }
        known.map(|(_, kind)| *kind)
    }

    fn map<'a>(&mut self, entries: Vec<KeyValue<'a>>) -> ValueKind<'a> {
        for (at, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..at].iter().find(|other| other.key == entry.key) {
                let message = format!(
                    "duplicate element '{}', first in line {}: join them",
                    entry.key, first.line
                );
                self.findings.problem(entry.line, message);
            }
        }
        ValueKind::Map(entries)
    }

    /// Returns the line that an element begins in.
    fn line(&self, element: Node<'_, '_>) -> usize {
        let start = element.range().start;
        1 + self.newlines.partition_point(|newline| *newline < start)
    }
}
