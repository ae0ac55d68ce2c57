//! A file of the catalog: TOML text in, checked objects out, every error with its line.

use std::path::Path;

use anyhow::{Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Layout;
use crate::error::or_did_you_mean;
use crate::nearest::best_match;
use crate::{AttributeShape, AttributeSpec, AttributeValue, Error, Object, ObjectKind};

/// Parses one file.
pub(super) fn parse(layout: &Layout, file: &Path, text: &str) -> Result<Vec<Object>> {
    let source = TomlSource {
        file,
        text,
        secrets: *layout == Layout::Secrets,
    };
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error(at, error.message())
    })?;
    let document = document.into_inner();
    let mut objects = Vec::new();
    match layout {
        Layout::Whole(kind, name) => objects.push(source.object(*kind, (name, 0), &document)?),
        Layout::Tables(kind) => source.tables(*kind, &document, &mut objects)?,
        Layout::Sections | Layout::Secrets => {
            let known: &[ObjectKind] = match layout {
                Layout::Secrets => &[ObjectKind::Node, ObjectKind::Group, ObjectKind::Site],
                _ => &[ObjectKind::Node, ObjectKind::Group],
            };
            for (key, value) in &document {
                let kind = source.section(key, known)?;
                source.tables(kind, source.table(key, value)?, &mut objects)?;
            }
        }
    }
    Ok(objects)
}

/// The text that an error points into.
struct TomlSource<'a> {
    file: &'a Path,
    text: &'a str,
    /// Whether it may hold secrets alone.
    secrets: bool,
}

type SpannedKey<'a> = Spanned<std::borrow::Cow<'a, str>>;

impl TomlSource<'_> {
    /// Makes an error that begins with file and line.
    fn error(&self, at: usize, message: impl std::fmt::Display) -> anyhow::Error {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        anyhow!("{}:{line}: {message}", self.file.display())
    }

    /// Reads the name of a section.
    fn section(&self, key: &SpannedKey<'_>, known: &[ObjectKind]) -> Result<ObjectKind> {
        let names = || known.iter().map(|kind| kind.name());
        let found = known.iter().find(|kind| kind.name() == key.get_ref());
        found.copied().ok_or_else(|| {
            let quoted: Vec<_> = names().map(|name| format!("'{name}'")).collect();
            self.error(
                key.span().start,
                format!(
                    "'{}' is neither {}, which begin the name of a table here{}",
                    key.get_ref(),
                    quoted.join(" nor "),
                    or_did_you_mean(best_match(key.get_ref(), names()))
                ),
            )
        })
    }

    /// Reads a table of objects.
    fn tables(
        &self,
        kind: ObjectKind,
        tables: &DeTable<'_>,
        objects: &mut Vec<Object>,
    ) -> Result<()> {
        for (key, value) in tables {
            let table = self.table(key, value)?;
            objects.push(self.object(kind, (key.get_ref(), key.span().start), table)?);
        }
        Ok(())
    }

    /// Reads one object; its name is at a place of the text.
    fn object(
        &self,
        kind: ObjectKind,
        (name, at): (&str, usize),
        table: &DeTable<'_>,
    ) -> Result<Object> {
        let mut object = Object::new(kind, name).map_err(|error| self.error(at, error))?;
        for (key, value) in table {
            let attribute = kind
                .attribute(key.get_ref())
                .map_err(|error| self.error(key.span().start, error))?;
            if self.secrets && !attribute.secret {
                let message = format!(
                    "'{}' is not a secret: it belongs to the {kind}'s own file",
                    attribute.name
                );
                return Err(self.error(key.span().start, message));
            }
            let value = read(attribute, value.get_ref())
                .map_err(|error| self.error(value.span().start, error))?;
            object.put(attribute, value);
        }
        Ok(object)
    }

    /// Takes a value for the table that it must be.
    fn table<'v, 'i>(
        &self,
        key: &SpannedKey<'_>,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<&'v DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.error(
                key.span().start,
                format!(
                    "'{}' must be a table with the attributes of an object",
                    key.get_ref()
                ),
            )),
        }
    }
}

/// Reads the value of an attribute: a text, a number or a boolean, or an array where it is a list.
fn read(attribute: &AttributeSpec, value: &DeValue<'_>) -> Result<Option<AttributeValue>, Error> {
    match (attribute.shape, value) {
        (AttributeShape::List, DeValue::Array(entries)) => {
            let texts: Option<Vec<_>> = entries.iter().map(|entry| text(entry.get_ref())).collect();
            let texts = texts.ok_or_else(|| wrong_shape(attribute))?;
            attribute.accept(AttributeValue::List(texts))
        }
        (AttributeShape::Text, value) => {
            let text = text(value).ok_or_else(|| wrong_shape(attribute))?;
            attribute.accept(AttributeValue::Text(text))
        }
        _ => Err(wrong_shape(attribute)),
    }
}

/// Reads one text; numbers and booleans are what they look like.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Says how the value of an attribute is written.
fn wrong_shape(attribute: &AttributeSpec) -> Error {
    let expected = match attribute.shape {
        AttributeShape::Text => "a text in quotes",
        AttributeShape::List => "an array of texts in quotes, such as [\"one\", \"two\"]",
    };
    Error::invalid("written as its value must be", attribute.name, expected)
}
