//! A YAML file as a tree of values that know the lines they are on.
//!
//! In: the text of one document. Out: [`YamlNode`]s with line numbers and byte ranges, so that an
//! editor can move whole lines, comments and all, instead of printing the whole file again. It never
//! prints YAML. Anchors, aliases and merge keys are refused: what one line says there depends on
//! another, so that lines cannot be moved. Reference: YAML 1.2 chapters 6–8.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use granit_parser::{Event, Parser, Span, StructureStyle};

/// Deeper than any network configuration.
const MAX_DEPTH: usize = 32;

/// A value and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlNode {
    pub(super) kind: YamlValue,
    /// First and last line, counted from 0.
    pub(super) lines: (usize, usize),
    /// The bytes of the value itself.
    pub(super) bytes: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum YamlValue {
    Scalar(String),
    List { items: Vec<YamlNode>, flow: bool },
    Map { entries: Vec<YamlEntry>, flow: bool },
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlEntry {
    pub(super) key: String,
    /// The bytes of the key as written, quotes included.
    pub(super) key_bytes: Range<usize>,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: YamlNode,
}

impl YamlNode {
    /// The value of a plain or quoted scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            YamlValue::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; anything else has none.
    pub(super) fn entries(&self) -> &[YamlEntry] {
        match &self.kind {
            YamlValue::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items of a list; a scalar that stands for a list of one is that one.
    pub(super) fn items(&self) -> &[YamlNode] {
        match &self.kind {
            YamlValue::List { items, .. } => items,
            _ => &[],
        }
    }

    /// Whether this is a list or mapping in brackets.
    pub(super) fn is_flow(&self) -> bool {
        matches!(
            &self.kind,
            YamlValue::List { flow: true, .. } | YamlValue::Map { flow: true, .. }
        )
    }

    /// The entry of a mapping with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&YamlEntry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value below this key.
    pub(super) fn value(&self, key: &str) -> Option<&YamlNode> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The scalar below this key.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(YamlNode::text)
    }

    /// The YAML 1.1 truth value below this key, as libyaml's users read it.
    pub(super) fn truth(&self, key: &str) -> Option<bool> {
        match self.string(key)?.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "y" => Some(true),
            "false" | "off" | "no" | "n" => Some(false),
            _ => None,
        }
    }
}

/// Reads one document; an empty one is `None`.
pub(super) fn parse(text: &str) -> Result<Option<YamlNode>> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.context("reading YAML")?;
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(..) if events.is_empty() => {}
            Event::DocumentStart(..) => bail!("holds more than one YAML document"),
            event => events.push((event, span)),
        }
    }
    let mut events = events.into_iter();
    match events.next() {
        None => Ok(None),
        Some((event, span)) => YamlTreeBuilder { text, events }
            .node(event, span, 0)
            .map(Some),
    }
}

struct YamlTreeBuilder<'a, I> {
    text: &'a str,
    events: I,
}

impl<'a, I: Iterator<Item = (Event<'a>, Span)>> YamlTreeBuilder<'a, I> {
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<YamlNode> {
        if depth > MAX_DEPTH {
            bail!(
                "line {}: is nested more than {MAX_DEPTH} levels deep",
                span.start.line()
            );
        }
        let start = span
            .byte_range()
            .context("finding a YAML value in its file")?;
        let first = span.start.line().saturating_sub(1);
        match event {
            Event::Scalar(value, _, 0, None) => Ok(YamlNode {
                kind: YamlValue::Scalar(value.into_owned()),
                lines: (first, last(&span)),
                bytes: start,
            }),
            Event::SequenceStart(style, 0, None) => self.list(style, start.start, first, depth),
            Event::MappingStart(style, 0, None) => self.map(style, start.start, first, depth),
            _ => bail!(
                "line {}: uses a YAML anchor, alias or tag, and lines that depend on others are not moved",
                first + 1
            ),
        }
    }

    fn list(
        &mut self,
        style: StructureStyle,
        start: usize,
        first: usize,
        depth: usize,
    ) -> Result<YamlNode> {
        let flow = style == StructureStyle::Flow;
        let mut items: Vec<YamlNode> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if let Event::SequenceEnd = event {
                let end = items
                    .last()
                    .map_or((first, start), |item| (item.lines.1, item.bytes.end));
                let (line, end) = if flow { closing(&span)? } else { end };
                return Ok(YamlNode {
                    kind: YamlValue::List { items, flow },
                    lines: (first, line),
                    bytes: start..end,
                });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(
        &mut self,
        style: StructureStyle,
        start: usize,
        first: usize,
        depth: usize,
    ) -> Result<YamlNode> {
        let flow = style == StructureStyle::Flow;
        let mut entries: Vec<YamlEntry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if let Event::MappingEnd = event {
                let end = entries.last().map_or((first, start), |entry| {
                    (entry.value.lines.1, entry.value.bytes.end)
                });
                let (line, end) = if flow { closing(&span)? } else { end };
                return Ok(YamlNode {
                    kind: YamlValue::Map { entries, flow },
                    lines: (first, line),
                    bytes: start..end,
                });
            }
            entries.push(self.entry(event, span, &entries, depth)?);
        }
    }

    fn entry(
        &mut self,
        event: Event<'a>,
        span: Span,
        known: &[YamlEntry],
        depth: usize,
    ) -> Result<YamlEntry> {
        let (line, column) = (span.start.line().saturating_sub(1), span.start.col());
        let key = self.node(event, span, depth + 1)?;
        let YamlValue::Scalar(name) = key.kind else {
            bail!("line {}: has a key that is not a word", line + 1);
        };
        if name == "<<" || known.iter().any(|entry| entry.key == name) {
            bail!("line {}: duplicate key {name}", line + 1);
        }
        let (event, span) = self.next()?;
        let mut value = self.node(event, span, depth + 1)?;
        // An absent value is reported where the parser noticed it, often lines further down.
        if self.text[value.bytes.clone()].is_empty() {
            value.kind = YamlValue::Scalar(String::new());
            value.lines = key.lines;
            value.bytes = key.bytes.end..key.bytes.end;
        }
        Ok(YamlEntry {
            key: name,
            key_bytes: key.bytes,
            line,
            column,
            value,
        })
    }

    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        self.events
            .next()
            .context("reading YAML: the file ends in the middle of a value")
    }
}

/// The last line that holds a part of the scalar: a block scalar's span ends where the next starts.
fn last(span: &Span) -> usize {
    let (first, end) = (
        span.start.line().saturating_sub(1),
        span.end.line().saturating_sub(1),
    );
    if span.end.col() == 0 && end > first {
        end - 1
    } else {
        end
    }
}

fn closing(span: &Span) -> Result<(usize, usize)> {
    let bytes = span
        .byte_range()
        .context("finding a YAML value in its file")?;
    Ok((span.end.line().saturating_sub(1), bytes.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "network: # all\n  version: 2\n  ethernets:\n    eth0:\n      addresses: [10.0.0.5/24,\n        10.0.0.6/24]\n      dhcp4: no\n    eth1:\n  # end\n";

    #[test]
    fn values_know_their_lines() {
        let root = parse(TEXT).unwrap().unwrap();
        let ethernets = root.value("network").unwrap().value("ethernets").unwrap();
        assert_eq!(ethernets.lines, (3, 7));
        let eth0 = ethernets.entry("eth0").unwrap();
        assert_eq!((eth0.line, eth0.column, eth0.value.lines), (3, 4, (4, 6)));
        let addresses = eth0.value.value("addresses").unwrap();
        assert_eq!(addresses.lines, (4, 5));
        assert_eq!(
            &TEXT[addresses.bytes.clone()],
            "[10.0.0.5/24,\n        10.0.0.6/24]"
        );
        assert_eq!(eth0.value.truth("dhcp4"), Some(false));
        let eth1 = ethernets.entry("eth1").unwrap();
        assert_eq!((eth1.value.lines, eth1.value.text()), ((7, 7), Some("")));
    }

    #[test]
    fn what_cannot_be_moved_is_refused() {
        let cases = [
            (
                "a: &x {b: 1}\nc: *x\n",
                "line 1: uses a YAML anchor, alias or tag, and lines that depend on others are not moved",
            ),
            ("a: 1\na: 2\n", "line 2: duplicate key a"),
            ("a: 1\n---\nb: 2\n", "holds more than one YAML document"),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn an_empty_file_is_no_document() {
        assert_eq!(parse("# nothing\n").unwrap(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ a-z:\\[\\]{}#,\"'|>&*!\n-]{0,80}") {
            if let Ok(Some(node)) = parse(&text) {
                proptest::prop_assert!(text.get(node.bytes).is_some());
            }
        }
    }
}
