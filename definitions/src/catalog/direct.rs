//! A file of the catalog in the form that most have: tables of texts and arrays of texts, without an error.
//!
//! TOML text comes in; its objects go out, made from the events of the parser as these come. Whatever else TOML can say
//! (numbers, dotted keys, inline tables), and every error, is left to [`super::text`], which builds the whole document
//! first and knows the line of everything in it.

use std::borrow::Cow;

use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::{EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

use super::Layout;
use crate::{AttributeShape, AttributeSpec, AttributeValue, Object, ObjectKind};

/// Parses one file; the objects are sorted by kind and name. `None` where it has another form, or an error.
pub(super) fn parse(layout: &Layout, text: &str) -> Option<Vec<Object>> {
    let source = Source::new(text);
    let mut tables = TableReceiver::new(layout, source)?;
    let mut receiver = ValidateWhitespace::new(&mut tables, source);
    let mut error: Option<ParseError> = None;
    let mut tokens = Vec::with_capacity(text.len() / 2);
    tokens.extend(source.lex());
    parse_document(&tokens, &mut receiver, &mut error);
    let objects = tables.finish()?;
    error.is_none().then_some(objects)
}

/// What the events have led to so far.
struct TableReceiver<'a> {
    source: Source<'a>,
    layout: &'a Layout,
    objects: Vec<Object>,
    /// The keys of the header that is being read.
    header: Option<Vec<Cow<'a, str>>>,
    /// How many keys the table of the last object has so far.
    keys: usize,
    /// The attributes of the last tables, in the order of their keys.
    order: Vec<(ObjectKind, &'static AttributeSpec)>,
    /// The attribute whose value comes next.
    attribute: Option<&'static AttributeSpec>,
    /// The texts of the array that is being read.
    entries: Option<Vec<String>>,
    /// Whether something has come that is not of this form.
    other: bool,
}

impl<'a> TableReceiver<'a> {
    fn new(layout: &'a Layout, source: Source<'a>) -> Option<Self> {
        let mut objects = Vec::new();
        if let Layout::Whole(kind, name) = layout {
            objects.push(Object::new(*kind, name.as_str()).ok()?);
        }
        Some(Self {
            source,
            layout,
            objects,
            header: None,
            keys: 0,
            order: Vec::new(),
            attribute: None,
            entries: None,
            other: false,
        })
    }

    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Option<Raw<'a>> {
        let text = self.source.input().get(span.start()..span.end())?;
        Some(Raw::new_unchecked(text, encoding, span))
    }

    /// Begins the object that a header names.
    fn begin(&mut self) -> Option<()> {
        let keys = self.header.take()?;
        let (kind, name) = match (self.layout, keys.as_slice()) {
            (Layout::Tables(kind), [name]) => (*kind, name),
            (layout, [section, name]) => {
                let kinds = layout.sections().iter();
                (kinds.copied().find(|kind| kind.name() == section)?, name)
            }
            _ => return None,
        };
        self.end();
        self.objects.push(Object::new(kind, name.as_ref()).ok()?);
        Some(())
    }

    /// Ends a table: each of its keys set an attribute, or one was there twice.
    fn end(&mut self) {
        let set = self
            .objects
            .last()
            .map_or(0, |object| object.attributes().len());
        self.other |= self.keys != set;
        self.keys = 0;
    }

    /// Takes a key: a part of a header, or the name of an attribute.
    fn key(&mut self, raw: Raw<'a>, error: &mut dyn ErrorSink) -> Option<()> {
        let mut key = Cow::Borrowed("");
        raw.decode_key(&mut key, error);
        if let Some(header) = &mut self.header {
            header.push(key);
            return Some(());
        }
        let kind = self.objects.last()?.kind();
        // Most tables have the attributes of the one before, in the same order.
        let attribute = match self.order.get(self.keys) {
            Some((of, known)) if *of == kind && known.name == key => known,
            _ => {
                let attribute = kind.attribute(&key).ok()?;
                self.order.truncate(self.keys);
                self.order.push((kind, attribute));
                attribute
            }
        };
        self.keys += 1;
        self.attribute = Some(attribute);
        (attribute.secret || *self.layout != Layout::Secrets).then_some(())
    }

    /// Takes a text: an entry of an array, or the value of an attribute.
    fn text(&mut self, raw: Raw<'a>, error: &mut dyn ErrorSink) -> Option<()> {
        let mut text = String::new();
        if raw.decode_scalar(&mut text, error) != ScalarKind::String {
            return None;
        }
        match &mut self.entries {
            Some(entries) => entries.push(text),
            None => self.put(AttributeShape::Text, AttributeValue::Text(text))?,
        }
        Some(())
    }

    /// Sets the attribute that was named.
    fn put(&mut self, shape: AttributeShape, value: AttributeValue) -> Option<()> {
        let attribute = self.attribute.take()?;
        let value = attribute.accept(value).ok()??;
        self.objects.last_mut()?.put(attribute, Some(value));
        (attribute.shape == shape).then_some(())
    }

    fn finish(mut self) -> Option<Vec<Object>> {
        self.end();
        let by_name = |one: &Object, other: &Object| {
            (one.kind(), one.name()).cmp(&(other.kind(), other.name()))
        };
        self.objects.sort_by(by_name);
        let twice = |pair: &[Object]| by_name(&pair[0], &pair[1]).is_eq();
        let other = self.other || self.objects.windows(2).any(twice);
        (!other).then_some(self.objects)
    }
}

impl EventReceiver for TableReceiver<'_> {
    fn std_table_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.header = Some(Vec::with_capacity(2));
    }

    fn std_table_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.other |= self.begin().is_none();
    }

    fn array_table_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.other = true;
    }

    fn inline_table_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.other = true;
        false
    }

    fn array_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) -> bool {
        let nested = self.entries.replace(Vec::new()).is_some();
        self.other |= nested;
        !nested
    }

    fn array_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        let entries = self.entries.take().unwrap_or_default();
        let put = self.put(AttributeShape::List, AttributeValue::List(entries));
        self.other |= put.is_none();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let raw = self.raw(span, encoding);
        self.other |= raw.and_then(|raw| self.key(raw, error)).is_none();
    }

    fn key_sep(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.other |= self.header.is_none(); // a dotted key
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let raw = self.raw(span, encoding);
        self.other |= raw.and_then(|raw| self.text(raw, error)).is_none();
    }
}
