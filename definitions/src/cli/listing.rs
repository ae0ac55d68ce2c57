//! The forms in which objects are listed.

use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};

use crate::{AttributeValue, Object, stanza};

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListingFormat {
    /// `name  (type)`
    Names,
    /// `Object name: name`, then a line for each attribute.
    Long {
        /// Whether the first line ends in the type.
        typed: bool,
    },
    /// `name: attr=value`
    Compact,
    /// xCAT's stanza.
    Stanza,
    /// An array of `{"type", "name", "attributes"}`.
    Json,
}

/// Writes objects; with `only`, these attributes alone, and all of them in the forms for people.
pub(super) fn write(
    out: &mut impl Write,
    form: ListingFormat,
    objects: &[Object],
    only: &[String],
) -> io::Result<()> {
    match form {
        ListingFormat::Names => objects
            .iter()
            .try_for_each(|object| writeln!(out, "{}  ({})", object.name(), object.kind())),
        ListingFormat::Long { typed } => objects.iter().try_for_each(|object| {
            write!(out, "Object name: {}", object.name())?;
            if typed {
                write!(out, "  ({})", object.kind())?;
            }
            writeln!(out)?;
            let mut lines = attributes(object, only).into_iter();
            lines.try_for_each(|(name, value)| writeln!(out, "    {name}={}", ListedObject(value)))
        }),
        ListingFormat::Compact => objects.iter().try_for_each(|object| {
            let mut lines = attributes(object, only).into_iter();
            lines.try_for_each(|(name, value)| {
                writeln!(out, "{}: {name}={}", object.name(), ListedObject(value))
            })
        }),
        ListingFormat::Stanza => {
            let objects = objects.iter().map(|object| narrowed(object, only));
            write!(out, "{}", stanza::render(&objects.collect::<Vec<_>>()))
        }
        ListingFormat::Json => {
            let objects: Vec<_> = objects.iter().map(|object| json(object, only)).collect();
            serde_json::to_writer_pretty(&mut *out, &objects)?;
            writeln!(out)
        }
    }
}

/// Prints a value, or nothing where none is set.
struct ListedObject<'a>(Option<&'a AttributeValue>);

impl std::fmt::Display for ListedObject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |value| write!(f, "{value}"))
    }
}

/// Lists what is written of an object, sorted by name.
fn attributes<'a>(
    object: &'a Object,
    only: &'a [String],
) -> Vec<(&'a str, Option<&'a AttributeValue>)> {
    if only.is_empty() {
        let set = object.attributes().iter();
        return set.map(|(name, value)| (*name, Some(value))).collect();
    }
    let asked = only.iter().map(|name| (name.as_str(), object.value(name)));
    asked.collect()
}

/// Leaves an object what is asked for.
fn narrowed(object: &Object, only: &[String]) -> Object {
    let mut object = object.clone();
    if !only.is_empty() {
        let attributes = object.attributes_mut();
        attributes.retain(|name, _| only.iter().any(|only| only == name));
    }
    object
}

/// Writes an object for programs: lists are arrays, and what is not set is left out.
fn json(object: &Object, only: &[String]) -> Json {
    let set = attributes(object, only).into_iter();
    let set = set.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let attributes: Map<_, _> = set.map(|(name, value)| (name, value.to_json())).collect();
    json!({
        "type": object.kind().name(),
        "name": object.name(),
        "attributes": attributes,
    })
}
