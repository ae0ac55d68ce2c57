//! YAML as a tree of values that know their lines. The only file of this room that knows the parser.
//!
//! In: the text of one document. Out: [`SpannedValue`]s, scalars typed as PyYAML does, which is what
//! subiquity and cloud-init read with: YAML 1.1, so that `yes` is true and a MAC without quotation marks
//! may be a number. An alias is not followed: a few lines of them can expand to terabytes. Reference:
//! YAML 1.1 type repository.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::value::{KeyValue, SpannedValue, ValueKind};

/// Deeper than any file that people write.
const MAX_DEPTH: usize = 64;

/// What is wrong with a text as YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) why: String,
}

/// Reads one document; an empty one is `None`.
pub(super) fn parse(text: &str) -> Result<Option<SpannedValue<'_>>, YamlError> {
    let mut reader = YamlReader {
        events: Parser::new_from_str(text).map(|event| {
            event.map_err(|error| YamlError {
                line: error.marker().line(),
                why: error.info().to_owned(),
            })
        }),
        line: 1,
        broken: None,
    };
    let read = reader.document();
    read.map_err(|why| {
        reader.broken.unwrap_or(YamlError {
            line: reader.line,
            why: format!("{why:#}"),
        })
    })
}

struct YamlReader<I> {
    events: I,
    /// The line of the last event.
    line: usize,
    /// What the parser itself found.
    broken: Option<YamlError>,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), YamlError>>> YamlReader<I> {
    fn document(&mut self) -> Result<Option<SpannedValue<'a>>> {
        let mut value = None;
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(value),
                Event::DocumentStart(..) if value.is_none() => {}
                Event::DocumentStart(..) => bail!("a second document begins, and only one is read"),
                event => value = Some(self.value(event, 0)?),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<SpannedValue<'a>> {
        let line = self.line;
        if depth > MAX_DEPTH {
            bail!("nested more than {MAX_DEPTH} levels deep");
        }
        let kind = match event {
            Event::Scalar(text, style, _, tag) => match tag {
                None if style == ScalarStyle::Plain => plain(text),
                None => ValueKind::String(text),
                Some(tag) if tag.is_yaml_core_schema() && tag.suffix() == "str" => {
                    ValueKind::String(text)
                }
                Some(_) => ValueKind::Unknown,
            },
            Event::SequenceStart(..) => ValueKind::List(self.list(depth)?),
            Event::MappingStart(..) => ValueKind::Map(self.map(depth)?),
            Event::Alias(..) => ValueKind::Unknown,
            _ => bail!("a value is missing"),
        };
        Ok(SpannedValue { line, kind })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<SpannedValue<'a>>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(items),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<KeyValue<'a>>> {
        let mut entries: Vec<KeyValue<'a>> = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(key, ..) => key,
                _ => bail!("a key is not a scalar"),
            };
            let line = self.line;
            if let Some(before) = entries.iter().find(|entry| entry.key == key) {
                bail!("duplicate key '{key}', first in line {}", before.line);
            }
            let event = self.next()?;
            let mut value = self.value(event, depth + 1)?;
            if value.kind == ValueKind::Null {
                value.line = line; // noticed further down, where something else begins
            }
            entries.push(KeyValue { line, key, value });
        }
    }

    fn next(&mut self) -> Result<Event<'a>> {
        match self.events.next().context("the text ends in a value")? {
            Ok((event, span)) => {
                self.line = span.start.line();
                Ok(event)
            }
            Err(broken) => {
                self.broken = Some(broken);
                bail!("no YAML")
            }
        }
    }
}

/// Tells what a scalar without quotation marks is.
fn plain(text: Cow<'_, str>) -> ValueKind<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return ValueKind::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return ValueKind::Boolean(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return ValueKind::Boolean(false);
        }
        _ => {}
    }
    let bytes = text.as_bytes();
    if !matches!(bytes[0], b'0'..=b'9' | b'.' | b'+' | b'-') {
        return ValueKind::String(text);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if is_integer(digits) {
        ValueKind::Integer(text)
    } else if is_float(digits) {
        ValueKind::Number
    } else {
        ValueKind::String(text)
    }
}

/// Whole numbers: decimal, octal, hexadecimal, binary, and base-60 digits joined by colons.
fn is_integer(digits: &str) -> bool {
    let all = |text: &str, wanted: fn(&u8) -> bool| {
        !text.is_empty() && text.bytes().all(|byte| byte == b'_' || wanted(&byte))
    };
    if let Some(digits) = digits.strip_prefix("0b") {
        return all(digits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(digits) = digits.strip_prefix("0x") {
        return all(digits, u8::is_ascii_hexdigit);
    }
    if digits == "0" {
        return true;
    }
    if let Some(digits) = digits.strip_prefix('0') {
        return all(digits, |byte| matches!(byte, b'0'..=b'7'));
    }
    let (first, rest) = digits.split_once(':').unwrap_or((digits, ""));
    let begins = first.starts_with(|c: char| c.is_ascii_digit());
    let of_sixty =
        |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    begins
        && all(first, u8::is_ascii_digit)
        && (digits.len() == first.len() || rest.split(':').all(of_sixty))
}

/// Numbers with a point; the exponent needs a sign.
fn is_float(digits: &str) -> bool {
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = digits.split_once('.') else {
        return false;
    };
    let (part, exponent) = match rest.split_once(['e', 'E']) {
        Some((part, exponent)) => (part, Some(exponent)),
        None => (rest, None),
    };
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let exponent = exponent.is_none_or(|text| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits(whole) && digits(part) && exponent && (begins(whole) || whole.is_empty() && begins(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scalars_are_what_pyyaml_takes_them_for() {
        for (text, expected) in [
            ("us", "a text"),
            ("'1'", "a text"),
            ("!!str 1", "a text"),
            ("!other 1", "an alias"),
            ("yes", "true or false"),
            ("Off", "true or false"),
            ("y", "a text"),
            ("1", "a whole number"),
            ("-0x1f", "a whole number"),
            ("017", "a whole number"),
            ("089", "a text"),
            ("1_000", "a whole number"),
            ("52:54:00:12:34:56", "a whole number"),
            ("52:54:00:12:34:ab", "a text"),
            ("52:54:00:12:34:66", "a text"),
            ("1.5", "a number"),
            ("1.5e+3", "a number"),
            ("1.5e3", "a text"),
            (".5", "a number"),
            (".", "a text"),
            ("10.0.0.1", "a text"),
            ("-", "a text"),
            ("~", "nothing"),
            ("", "nothing"),
            ("[a]", "a list"),
            ("{a: b}", "a map"),
        ] {
            let text = format!("k: {text}\n");
            let Ok(Some(value)) = parse(&text) else {
                assert_eq!(text, "k: -\n", "no YAML");
                continue;
            };
            assert_eq!(value.entries()[0].value.kind.name(), expected, "{text}");
        }
    }

    #[test]
    fn values_know_their_lines() {
        let value = parse("# a\na: 1\nb:\n  - c\n  - d: |\n      x\n\ne:\n")
            .unwrap()
            .unwrap();
        let lines: Vec<_> = value
            .entries()
            .iter()
            .map(|entry| (entry.line, entry.value.line))
            .collect();
        assert_eq!(lines, [(2, 2), (3, 4), (8, 8)]);
    }

    #[test]
    fn what_is_no_document_is_reported_with_its_line() {
        for (text, line, why) in [
            ("a: 1\na: 2\n", 2, "duplicate key 'a', first in line 1"),
            (
                "a: 1\n---\nb: 1\n",
                2,
                "a second document begins, and only one is read",
            ),
            ("a: 1\n[a]: 1\n", 2, "a key is not a scalar"),
        ] {
            let why = why.to_owned();
            assert_eq!(parse(text).unwrap_err(), YamlError { line, why });
        }
        assert_eq!(parse("a: [1\nb: 'x\n").unwrap_err().line, 2);
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(
            parse(&deep).unwrap_err().why,
            "nested more than 64 levels deep"
        );
        assert_eq!(parse("# nothing\n").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ a-c0-9:\\[\\]{}#,\"'|>&*!\n.x-]{0,80}") {
            let _ = parse(&text);
        }
    }
}
