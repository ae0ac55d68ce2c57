//! JSON as a tree of values that know their lines.
//!
//! serde_json says whether a text is JSON; then the tree is read again for its lines, which serde_json
//! does not keep. Reference: RFC 8259.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::value::{KeyValue, SpannedValue, ValueKind};

/// Where a text stops being JSON, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) line: usize,
    pub(super) why: String,
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<SpannedValue<'_>, JsonError> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        // Of a comma too many, only what keeps the values tells.
        let better = serde_json::from_str::<serde_json::Value>(text).err();
        let error = better.unwrap_or(error);
        let message = error.to_string();
        let why = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(why, _)| why);
        return Err(JsonError {
            line: error.line(),
            why: format!("{why}, in column {}", error.column()),
        });
    }
    let mut reader = JsonReader {
        rest: text,
        line: 1,
    };
    reader.value().ok_or(JsonError {
        line: reader.line,
        why: "a value that is not understood".to_owned(),
    })
}

/// Reads what is known to be JSON: nothing here reports a problem, and its depth is bounded.
struct JsonReader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> JsonReader<'a> {
    fn value(&mut self) -> Option<SpannedValue<'a>> {
        self.skip_blanks();
        let line = self.line;
        let kind = match self.rest.bytes().next()? {
            b'{' => self.map()?,
            b'[' => self.list()?,
            b'"' => ValueKind::String(self.string()?),
            _ => self.scalar(),
        };
        Some(SpannedValue { line, kind })
    }

    fn map(&mut self) -> Option<ValueKind<'a>> {
        let mut entries = Vec::new();
        self.skip(1);
        loop {
            self.skip_blanks();
            match self.rest.bytes().next()? {
                b'}' => {
                    self.skip(1);
                    return Some(ValueKind::Map(entries));
                }
                b',' => self.skip(1),
                _ => {
                    let line = self.line;
                    let key = self.string()?;
                    self.skip_blanks();
                    self.skip(1);
                    let value = self.value()?;
                    entries.push(KeyValue { line, key, value });
                }
            }
        }
    }

    fn list(&mut self) -> Option<ValueKind<'a>> {
        let mut items = Vec::new();
        self.skip(1);
        loop {
            self.skip_blanks();
            match self.rest.bytes().next()? {
                b']' => {
                    self.skip(1);
                    return Some(ValueKind::List(items));
                }
                b',' => self.skip(1),
                _ => items.push(self.value()?),
            }
        }
    }

    /// Reads a string; one without escapes is lent.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let mut escaped = false;
        let mut end = None;
        let mut bytes = self.rest.bytes().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' => {
                    escaped = true;
                    bytes.next();
                }
                b'"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let whole = self.rest.get(..=end?)?;
        self.skip(whole.len());
        if escaped {
            serde_json::from_str::<String>(whole).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&whole[1..whole.len() - 1]))
        }
    }

    /// Reads a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> ValueKind<'a> {
        let end = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let scalar = &self.rest[..length];
        self.skip(length);
        match scalar {
            "null" => ValueKind::Null,
            "true" | "false" => ValueKind::Boolean(scalar == "true"),
            number if number.contains(['.', 'e', 'E']) => ValueKind::Number,
            number => ValueKind::Integer(Cow::Borrowed(number)),
        }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let skip_blanks = &self.rest[..self.rest.len() - rest.len()];
        self.line += skip_blanks.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_know_their_lines() {
        let text = "{\n  \"a\" : [1, -2.5e3, true, null,\n \"x\\n\\u00e9\"],\n\"b\":{}\n}\n";
        let value = parse(text).unwrap();
        let lines: Vec<_> = value
            .entries()
            .iter()
            .map(|entry| (entry.line, entry.value.line))
            .collect();
        assert_eq!(lines, [(2, 2), (4, 4)]);
        let ValueKind::List(items) = &value.entries()[0].value.kind else {
            panic!("{value:?}");
        };
        let names: Vec<_> = items.iter().map(|item| item.kind.name()).collect();
        assert_eq!(
            names,
            [
                "a whole number",
                "a number",
                "true or false",
                "nothing",
                "a text"
            ]
        );
        assert_eq!((items[3].line, items[4].line), (2, 3));
        assert_eq!(items[4].kind, ValueKind::String("x\né".into()));
    }

    #[test]
    fn what_is_no_json_is_reported_with_its_line() {
        for (text, line, why) in [
            ("{\n\"a\": 1,\n}", 3, "trailing comma, in column 1"),
            ("", 1, "EOF while parsing a value, in column 0"),
            ("{} x", 1, "trailing characters, in column 4"),
        ] {
            let why = why.to_owned();
            assert_eq!(parse(text).unwrap_err(), JsonError { line, why });
        }
    }

    proptest! {
        #[test]
        fn whatever_serde_json_takes_is_read(text in "([\\[\\]{},: \n]|\"a\"|\"\\\\\"\"|1|-2|true|null|\"é\"){0,24}") {
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(parse(&text).is_ok(), is_json);
        }
    }
}
