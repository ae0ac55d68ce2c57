//! Selections: `attr==value`, `!=`, `=~`, `!~`, as they are in node ranges and after `-w`.

use std::fmt;
use std::str::FromStr;

use regex_lite::{Regex, RegexBuilder};

use crate::{AttributeValue, Error, ObjectKind};

/// A regular expression, bounded in size; it matches in linear time.
#[derive(Debug, Clone)]
pub(crate) struct TextPattern(Regex);

impl TextPattern {
    /// Parses a regular expression.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).size_limit(1 << 20).build();
        let built = built.map_err(|error| format!("'{text}' is not a regular expression: {error}"));
        Ok(Self(built?))
    }

    /// Parses a regular expression that is to match the whole of a text.
    pub(crate) fn parse_whole(text: &str) -> Result<Self, String> {
        // By itself first: the error is about what was typed, and nothing of it ends the group.
        Self::parse(text)?;
        Self::parse(&format!("^(?:{text})$"))
    }

    /// Says whether it matches anywhere in a text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What an attribute must be for its object to be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    attribute: String,
    test: Test,
}

/// How the value is compared; an attribute that is not set compares as an empty text.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(String),
    IsNot(String),
    Matches(TextPattern),
    MatchesNot(TextPattern),
}

const OPERATORS: [&str; 4] = ["==", "!=", "=~", "!~"];

impl Selection {
    /// Says whether a text is meant as a selection.
    pub(crate) fn is_one(text: &str) -> bool {
        OPERATORS.iter().any(|operator| text.contains(operator))
    }

    /// Returns the attribute's name.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// Checks that objects of a kind have the attribute.
    ///
    /// # Errors
    /// [`Error::UnknownAttribute`].
    pub fn check(&self, kind: ObjectKind) -> Result<(), Error> {
        kind.attribute(&self.attribute).map(drop)
    }

    /// Says whether a value is what is asked for.
    pub fn selects(&self, value: Option<&AttributeValue>) -> bool {
        let joined;
        let text = match value {
            None => "",
            Some(AttributeValue::Text(text)) => text,
            Some(list @ AttributeValue::List(_)) => {
                joined = list.to_string();
                &joined
            }
        };
        match &self.test {
            Test::Is(wanted) => text == wanted,
            Test::IsNot(unwanted) => text != unwanted,
            Test::Matches(pattern) => pattern.matches(text),
            Test::MatchesNot(pattern) => !pattern.matches(text),
        }
    }
}

impl FromStr for Selection {
    type Err = Error;

    /// Parses `attr==value`. A table before the attribute, as in `nodetype.os==rhels9`, is left out.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |expected: String| Error::invalid("a selection", text, expected);
        let found = OPERATORS
            .iter()
            .filter_map(|operator| Some((text.find(operator)?, *operator)))
            .min_by_key(|(at, _)| *at);
        let Some((at, operator)) = found else {
            let form = "attr==value, attr!=value, attr=~pattern or attr!~pattern";
            return Err(invalid(form.to_owned()));
        };
        let attribute = text[..at].trim();
        let attribute = attribute.rsplit('.').next().unwrap_or(attribute);
        let wanted = text[at + operator.len()..].trim();
        // A pattern may be between slashes, as in a node range.
        let bare = wanted
            .strip_prefix('/')
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let pattern = || TextPattern::parse(bare.unwrap_or(wanted)).map_err(invalid);
        let test = match operator {
            "==" => Test::Is(stored(attribute, wanted)),
            "!=" => Test::IsNot(stored(attribute, wanted)),
            "=~" => Test::Matches(pattern()?),
            _ => Test::MatchesNot(pattern()?),
        };
        Ok(Self {
            attribute: attribute.to_owned(),
            test,
        })
    }
}

/// Returns a value in the spelling that is stored: an address may be written in several.
fn stored(attribute: &str, value: &str) -> String {
    let known = ObjectKind::ALL
        .iter()
        .filter_map(|kind| kind.attribute(attribute).ok());
    let accepted = known.filter_map(|known| known.parse(value).ok()).flatten();
    accepted
        .map(|value| value.to_string())
        .next()
        .unwrap_or_else(|| value.to_owned())
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = &self.attribute;
        match &self.test {
            Test::Is(text) => write!(f, "{attribute}=={text}"),
            Test::IsNot(text) => write!(f, "{attribute}!={text}"),
            Test::Matches(pattern) => write!(f, "{attribute}=~{}", pattern.0.as_str()),
            Test::MatchesNot(pattern) => write!(f, "{attribute}!~{}", pattern.0.as_str()),
        }
    }
}
