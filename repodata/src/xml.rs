//! XML as rpm-md has it: streamed, an event at a time, each with a bound.
//!
//! `quick-xml` keeps one event in memory, however long: a text of a gigabyte is one event. What is read through
//! [`BoundedReader`] is an error once an event has taken more than [`MAX_ITEM`] bytes. Entities other than XML's own are
//! not expanded.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::{Location, ReadError};
use crate::{Decompressor, Input, MAX_ITEM};

/// Elements within each other; real ones are five deep.
const MAX_DEPTH: usize = 64;

/// What a document says, an event at a time.
pub(crate) struct XmlStream<'a> {
    name: String,
    reader: Reader<BoundedReader<'a>>,
    buffer: Vec<u8>,
    depth: usize,
}

/// What is in a document.
#[derive(Debug)]
pub(crate) enum XmlItem<'b> {
    /// An element begins, at its depth: 1 is the root's. An empty one ends at once.
    Start(usize, XmlTag<'b>),
    /// Text within the element that began last.
    Text(Cow<'b, str>),
    /// An element ends, at its depth.
    End(usize),
    /// A comment, a declaration, an entity that is not XML's own.
    Other,
}

/// The beginning of an element.
#[derive(Debug)]
pub(crate) struct XmlTag<'b> {
    start: BytesStart<'b>,
    empty: bool,
}

impl<'a> XmlStream<'a> {
    pub(crate) fn new(input: Input<'a>) -> Self {
        Self {
            name: input.name,
            reader: Reader::from_reader(BoundedReader {
                inner: input.stream,
                left: MAX_ITEM,
            }),
            buffer: Vec::new(),
            depth: 0,
        }
    }

    /// Returns what comes next, or nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<XmlItem<'_>>, ReadError> {
        self.buffer.clear();
        self.reader.get_mut().left = MAX_ITEM;
        let at = self.reader.buffer_position();
        let error = |problem: String| ReadError {
            file: self.name.clone(),
            location: Location::Byte(at),
            problem,
        };
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(cause)) => return Err(error(cause.to_string())),
            Err(cause) => return Err(error(format!("reading it as XML: {cause}"))),
        };
        Ok(Some(match event {
            Event::Start(_) if self.depth == MAX_DEPTH => {
                return Err(error(format!(
                    "its elements are nested more than {MAX_DEPTH} deep"
                )));
            }
            Event::Start(start) => {
                self.depth += 1;
                let empty = false;
                XmlItem::Start(self.depth, XmlTag { start, empty })
            }
            Event::Empty(start) => {
                let empty = true;
                XmlItem::Start(self.depth + 1, XmlTag { start, empty })
            }
            Event::Text(text) => XmlItem::Text(text.into_inner()),
            Event::GeneralRef(entity) => match resolved(&entity) {
                Some(text) => XmlItem::Text(Cow::Borrowed(text)),
                None => XmlItem::Other,
            },
            Event::End(_) => {
                let depth = self.depth;
                self.depth = depth.saturating_sub(1);
                XmlItem::End(depth)
            }
            Event::Eof if self.depth > 0 => {
                return Err(error("it ends inside an element".to_owned()));
            }
            Event::Eof => return Ok(None),
            _ => XmlItem::Other,
        }))
    }

    /// Makes an error of the place that was read last.
    pub(crate) fn error(&self, problem: String) -> ReadError {
        ReadError {
            file: self.name.clone(),
            location: Location::Byte(self.reader.buffer_position()),
            problem,
        }
    }
}

impl XmlTag<'_> {
    /// Its name without its name space.
    pub(crate) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Whether it ends at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Returns an attribute's value, with XML's own entities resolved.
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<String>, String> {
        let wrong = |cause: &dyn std::fmt::Display| format!("reading an attribute: {cause}");
        let found = self.start.try_get_attribute(name);
        let Some(attribute) = found.map_err(|cause| wrong(&cause))? else {
            return Ok(None);
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        value
            .map(|value| Some(value.into_owned()))
            .map_err(|cause| wrong(&cause))
    }
}

/// Resolves XML's own entities.
fn resolved(entity: &str) -> Option<&'static str> {
    Some(match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// Counts what one event takes.
struct BoundedReader<'a> {
    inner: Decompressor<'a>,
    left: usize,
}

impl BufRead for BoundedReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.inner.fill_buf()?;
        if self.left == 0 && !buffer.is_empty() {
            let message = format!("one of its elements is longer than {MAX_ITEM} bytes");
            return Err(io::Error::other(message));
        }
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl Read for BoundedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(xml: &str) -> ReadError {
        let mut document = XmlStream::new(Input::plain("a.xml", xml.as_bytes()).unwrap());
        loop {
            match document.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it reads to its end"),
                Err(error) => return error,
            }
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let long = "a".repeat(MAX_ITEM + 1);
        for (xml, place) in [
            (format!("<a>{long}"), 3),
            (format!("<a><b c=\"{long}"), 3),
            (format!("<!--{long}"), 0),
        ] {
            let error = error(&xml);
            assert_eq!(
                (error.file.as_str(), error.location),
                ("a.xml", Location::Byte(place))
            );
            assert_eq!(
                error.problem,
                "one of its elements is longer than 16777216 bytes"
            );
        }
    }

    #[test]
    fn elements_within_each_other_without_end_are_refused() {
        assert_eq!(
            error(&"<a>".repeat(100)).to_string(),
            "byte 192: its elements are nested more than 64 deep"
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert_eq!(
            error("<a><b></b>").to_string(),
            "byte 10: it ends inside an element"
        );
    }
}
