//! JSON as dockerd reads it: after a byte order mark, which some editors write, and with each key once.
//!
//! Of a key that is there twice serde keeps the last value, and Go merges both where they are objects: one of them
//! would be lost when the file is written again.

use std::fmt;

use anyhow::{Context, Result};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Parses a text in which no key is twice; an empty one is an empty object.
pub(super) fn parse(text: &str) -> Result<Value> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let UniqueKeys(value) = serde_json::from_str(text).context("reading it as JSON")?;
    Ok(value)
}

/// A value in which no key is twice.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor).map(Self)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(UniqueKeys(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, UniqueKeys(value))) = entries.next_entry::<String, _>()? {
            if all.contains_key(&key) {
                let twice = format!("\"{key}\" is there twice: make one of the two");
                return Err(de::Error::custom(twice));
            }
            all.insert(key, value);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_is_and_no_key_twice() {
        for (text, expected) in [
            ("", Ok("{}")),
            ("\u{feff}", Ok("{}")),
            (
                "\u{feff}{\"b\": [1, -2, 2.5, null, true, \"x\\ny\"], \"a\": {\"c\": {}}}\r\n",
                Ok(r#"{"b":[1,-2,2.5,null,true,"x\ny"],"a":{"c":{}}}"#),
            ),
            (
                "{\"log-opts\": {\"a\": 1}, \"log-opts\": {\"b\": 2}}",
                Err(
                    "reading it as JSON: \"log-opts\" is there twice: make one of the two at line 1 column 44",
                ),
            ),
            (
                "{\"a\": [{\"b\": 1,\n\"b\": 1}]}",
                Err(
                    "reading it as JSON: \"b\" is there twice: make one of the two at line 2 column 7",
                ),
            ),
        ] {
            let parsed = parse(text).map(|value| value.to_string());
            let parsed = parsed.map_err(|error| format!("{error:#}"));
            let parsed = parsed.as_deref().map_err(String::as_str);
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
