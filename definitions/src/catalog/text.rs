//! A file of the catalog: TOML text in, checked objects out, every error with its line.

use std::path::Path;

use anyhow::{Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Layout, direct};
use crate::error::or_did_you_mean;
use crate::nearest::best_match;
use crate::{AttributeShape, AttributeSpec, AttributeValue, Error, Object, ObjectKind};

/// Parses one file; the objects are sorted by kind and name.
pub(super) fn parse(layout: &Layout, file: &Path, text: &str) -> Result<Vec<Object>> {
    match direct::parse(layout, text) {
        Some(objects) => Ok(objects),
        None => parse_document(layout, file, text),
    }
}

/// Parses one file, whatever TOML it is.
fn parse_document(layout: &Layout, file: &Path, text: &str) -> Result<Vec<Object>> {
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
            for (key, value) in &document {
                let kind = source.section(key, layout.sections())?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines that make a document of each layout, and those that make it something else.
    #[rustfmt::skip]
    const LINES: &[&str] = &[
        "[node.n1]", "[node.n2]", "[group.g1]", "[group.\"g2\"]", "[site.clustersite]", "[node]", "[node.n1.x]",
        "[[node.n1]]", "[n1]", "[ 'n2' ]", "[node.-]", "[nod.n1]", "[node.n1", "ip = \"10.0.0.1\"", "ip = '10.0.0.2'",
        "ip = 'x'", "ip = \"\"", "serialport = 1", "serialport = \"1\"", "groups = [\"all\", 'rack1',]", "groups = []",
        "groups = [\n  \"all\", # why\n]", "groups = \"all\"", "groups = [[\"all\"]]", "groups = [1]",
        "groups = [\"a,b\"]", "\"mac\" = \"AA-bb-cc-dd-ee-ff\"", "usercomment = \"\"\"\none\\\n  line\"\"\"",
        "usercomment = '''two\nlines'''", "usercomment = \"\\u00e9 \\t\"", "usercomment = true", "nic.ip = \"1\"",
        "x = { ip = \"1\" }", "bmcpassword = \"secret\"", "rootpassword = \"$6$x$y\"", "osvers = \"debian12\"",
        "net = \"10.0.0.0/8\"", "unknown = \"x\"", "# a remark", "", "ip", "= \"x\"", "\u{1}", "# \u{1}", "\u{feff}",
    ];

    fn layouts() -> impl Strategy<Value = Layout> {
        prop::sample::select(vec![
            Layout::Whole(ObjectKind::OsImage, "image".to_owned()),
            Layout::Tables(ObjectKind::Network),
            Layout::Sections,
            Layout::Secrets,
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_events_make_is_what_the_document_says(
            lines in prop::collection::vec(prop::sample::select(LINES), 0..7),
            layout in layouts(),
            end in prop::sample::select(&["\n", "\r\n", " # x\n", "\r"][..]),
        ) {
            let text: String = lines.iter().flat_map(|line| [*line, end]).collect();
            let document = parse_document(&layout, Path::new("file"), &text);
            if let Some(objects) = direct::parse(&layout, &text) {
                prop_assert_eq!(Some(objects), document.ok());
            }
        }
    }

    #[test]
    fn what_commands_write_is_made_from_events() {
        let text = "# Racks.\n[node.n1]\ngroups = [\"all\"]\nip = \"10.0.0.1\" # its own\n\n[group.g1]\n\n[node.n0]\n";
        let objects = direct::parse(&Layout::Sections, text).unwrap();
        let names: Vec<_> = objects.iter().map(Object::name).collect();
        assert_eq!(names, ["g1", "n0", "n1"]);
        assert_eq!(objects[2].value("ip").unwrap().to_string(), "10.0.0.1");
    }
}
