//! XML of AutoYaST as a tree of values that know their lines.
//!
//! Elements are keys. An attribute tells the type of a value (`config:type`, and since 15.3 `type` or
//! `t`): the elements in a list are its items, whatever they are called; without a type, an element with
//! others in it is a map and one without is a text. Nothing of a DTD is read, so that no entity but
//! XML's own is known. Reference: XML 1.0; AutoYaST guide, "The XML profile".

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow, bail};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use definitions::{did_you_mean, nearest};

use super::telling::Telling;
use super::value::{Entry, Kind, Value};

/// Deeper than any profile.
const DEPTH_LIMIT: usize = 64;

const TYPES: [&str; 7] = [
    "boolean", "disksize", "integer", "list", "map", "string", "symbol",
];

/// The outermost element.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
    /// Its attributes, as written.
    pub(super) attributes: Vec<(&'a str, String)>,
    pub(super) value: Value<'a>,
}

/// Reads a document. What no parser could read is one problem, and nothing comes out; what AutoYaST
/// could not read is told, and the rest is.
pub(super) fn parse<'a>(text: &'a str, telling: &mut Telling<'_>) -> Option<Document<'a>> {
    // The parser counts bytes behind the mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    if let Some(at) = text.find(|c| !is_char(c)) {
        let line = 1 + text[..at].matches('\n').count();
        telling.problem(line, "this is no XML: it holds a control character");
        return None;
    }
    let mut reading = Reading {
        reader,
        text,
        line: 1,
        counted: 0,
        telling,
    };
    match reading.document() {
        Ok(document) => Some(document),
        Err(why) => {
            let line = reading.line;
            reading
                .telling
                .problem(line, format!("this is no XML: {why:#}"));
            None
        }
    }
}

struct Reading<'a, 'b, 'c> {
    reader: Reader<&'a [u8]>,
    text: &'a str,
    /// The line that the last event begins in.
    line: usize,
    /// The bytes before that.
    counted: usize,
    telling: &'b mut Telling<'c>,
}

/// An element that is open.
struct Open<'a> {
    name: &'a str,
    line: usize,
    kind: Option<&'static str>,
    text: String,
    entries: Vec<Entry<'a>>,
}

impl<'a> Reading<'a, '_, '_> {
    fn document(&mut self) -> Result<Document<'a>> {
        let mut document = None;
        loop {
            match self.next()? {
                Event::Start(tag) if document.is_none() => {
                    document = Some(self.root(&tag, false)?);
                }
                Event::Empty(tag) if document.is_none() => {
                    document = Some(self.root(&tag, true)?);
                }
                Event::Start(_) | Event::Empty(_) => {
                    bail!("a second element begins beside the first")
                }
                Event::Text(text) if !text.trim().is_empty() => {
                    bail!("text stands outside of the element")
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    bail!("text stands outside of the element")
                }
                Event::Eof => return document.context("there is no element"),
                _ => {}
            }
        }
    }

    fn root(&mut self, tag: &BytesStart<'a>, empty: bool) -> Result<Document<'a>> {
        let line = self.line;
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.context("reading an attribute")?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            attributes.push((self.lent(attribute.key.into_inner()), value.into_owned()));
        }
        let open = self.open(tag)?;
        let name = open.name;
        let value = match empty {
            true => self.close(open),
            false => self.element(open, 0)?,
        };
        Ok(Document {
            name,
            line,
            attributes,
            value,
        })
    }

    /// Reads what is in an element, up to its end.
    fn element(&mut self, mut open: Open<'a>, depth: usize) -> Result<Value<'a>> {
        if depth > DEPTH_LIMIT {
            bail!("elements are nested more than {DEPTH_LIMIT} levels deep");
        }
        loop {
            let event = self.next()?;
            let line = self.line;
            let (key, value) = match event {
                Event::Start(tag) => {
                    let inner = self.open(&tag)?;
                    (inner.name, self.element(inner, depth + 1)?)
                }
                Event::Empty(tag) => {
                    let inner = self.open(&tag)?;
                    (inner.name, self.close(inner))
                }
                Event::Text(text) => {
                    if text.contains("]]>") {
                        bail!("']]>' stands outside of a CDATA section: write ']]&gt;'");
                    }
                    open.text.push_str(&text);
                    continue;
                }
                Event::CData(text) => {
                    open.text.push_str(&text);
                    continue;
                }
                Event::GeneralRef(entity) => {
                    open.text.push_str(&resolved(&entity)?);
                    continue;
                }
                Event::End(_) => return Ok(self.close(open)),
                Event::Eof => bail!("'{}' of line {} is not closed", open.name, open.line),
                _ => continue,
            };
            let key = Cow::Borrowed(key);
            open.entries.push(Entry { line, key, value });
        }
    }

    fn open(&mut self, tag: &BytesStart<'a>) -> Result<Open<'a>> {
        let mut kind = None;
        if !tag
            .name()
            .into_inner()
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            bail!("'{}' is no name", tag.name().into_inner());
        }
        for (name, value) in attributes(tag)? {
            if !matches!(name, "config:type" | "type" | "t") {
                continue;
            }
            kind = TYPES.into_iter().find(|known| *known == value);
            if kind.is_none() {
                let near = did_you_mean(&nearest(&value, TYPES));
                let near = near.unwrap_or_else(|| format!("write one of {}", TYPES.join(", ")));
                self.telling
                    .problem(self.line, format!("there is no type '{value}': {near}"));
            }
        }
        Ok(Open {
            name: self.lent(tag.name().into_inner()),
            line: self.line,
            kind,
            text: String::new(),
            entries: Vec::new(),
        })
    }

    /// Makes the value of an element that has ended.
    fn close(&mut self, open: Open<'a>) -> Value<'a> {
        let Open {
            name,
            line,
            kind,
            text,
            entries,
        } = open;
        let trimmed = text.trim();
        let mut wrong = |told: String| self.telling.problem(line, told);
        if !entries.is_empty() && !trimmed.is_empty() {
            wrong(format!(
                "'{name}' has text beside its elements: remove one of them"
            ));
        }
        let kind = match kind {
            Some("boolean") if !matches!(trimmed, "true" | "false") => {
                wrong(format!(
                    "'{name}' is no boolean: write true or false, not '{trimmed}'"
                ));
                Kind::Unknown
            }
            Some("boolean") => Kind::Boolean,
            Some("integer") if trimmed.parse::<i64>().is_err() => {
                wrong(format!(
                    "'{name}' is no integer: write a whole number, not '{trimmed}'"
                ));
                Kind::Unknown
            }
            Some("integer") => Kind::Integer(Cow::Owned(trimmed.to_owned())),
            Some("list") => Kind::List(entries.into_iter().map(|entry| entry.value).collect()),
            Some("map") => self.map(entries),
            Some(_) => Kind::String(Cow::Owned(text)),
            None if !entries.is_empty() => self.map(entries),
            None if trimmed.is_empty() => Kind::Unknown,
            None => Kind::String(Cow::Owned(text)),
        };
        Value { line, kind }
    }

    fn map(&mut self, entries: Vec<Entry<'a>>) -> Kind<'a> {
        for (at, entry) in entries.iter().enumerate() {
            if let Some(before) = entries[..at].iter().find(|other| other.key == entry.key) {
                let told = format!(
                    "'{}' was said in line {} already: join them",
                    entry.key, before.line
                );
                self.telling.problem(entry.line, told);
            }
        }
        Kind::Map(entries)
    }

    fn next(&mut self) -> Result<Event<'a>> {
        let begins = usize::try_from(self.reader.buffer_position()).unwrap_or(self.text.len());
        let passed = self
            .text
            .as_bytes()
            .get(self.counted..begins)
            .unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', passed).count();
        self.counted = begins;
        // Its own words say the cause already.
        self.reader
            .read_event()
            .map_err(|why| anyhow!(why.to_string()))
    }

    /// Finds a part of the text that an event was lent, so that it outlives the event.
    fn lent(&self, part: &str) -> &'a str {
        let after = self.text.get(self.counted..).unwrap_or_default();
        let found = after.find(part).map(|at| &after[at..at + part.len()]);
        found.unwrap_or_default()
    }
}

/// Returns the attributes of an element, entities resolved.
fn attributes<'t>(tag: &'t BytesStart<'_>) -> Result<Vec<(&'t str, Cow<'t, str>)>> {
    let read = tag.attributes().map(|attribute| {
        let attribute = attribute.context("reading an attribute")?;
        let name = attribute.key.into_inner();
        if attribute.value.contains('<') {
            bail!("'<' stands in the attribute '{name}': write '&lt;'");
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .with_context(|| format!("reading the attribute '{name}'"))?;
        Ok((name, value))
    });
    read.collect()
}

/// Whether XML may hold a character.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Resolves XML's own entities.
fn resolved(entity: &str) -> Result<Cow<'static, str>> {
    let own = match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        other => {
            let code = match other.strip_prefix("#x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => other
                    .strip_prefix('#')
                    .and_then(|digits| digits.parse().ok()),
            };
            let Some(c) = code.and_then(char::from_u32).filter(|c| is_char(*c)) else {
                bail!("'&{other};' is no entity of XML's own: write '&amp;' for '&'");
            };
            return Ok(Cow::Owned(c.to_string()));
        }
    };
    Ok(Cow::Borrowed(own))
}
