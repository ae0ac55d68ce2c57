//! The one typed error that callers match on.

use crate::ObjectKind;
use crate::nearest::best_match;

/// Why a value of ours could not be made or found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text that is not what it should be.
    #[error("'{value}' is not {what}: expected {expected}")]
    Invalid {
        /// What it should have been, with its article: `an architecture`.
        what: &'static str,
        /// The text as it was given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A definition that does not exist; the sentence is xCAT's, which scripts look for.
    #[error("Could not find an object named '{name}' of type '{kind}'.{}", or_rather(nearest.as_deref()))]
    NotFound {
        /// The kind of object: `osimage`, `node`.
        kind: ObjectKind,
        /// The name that was asked for.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// An object to be made that lacks what objects of its kind need.
    #[error("the attribute '{attribute}' must be set for the {kind} '{name}'")]
    Missing {
        /// The attribute.
        attribute: &'static str,
        /// The kind of object.
        kind: ObjectKind,
        /// The name of the object.
        name: String,
    },
    /// A node range that cannot be read.
    #[error("the node range '{range}': {message}")]
    Noderange {
        /// The range as it was given.
        range: String,
        /// What is wrong with it.
        message: String,
    },
    /// A stanza file that cannot be read.
    #[error("the stanza, line {line}: {message}")]
    Stanza {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// An attribute that objects of a kind do not have.
    #[error(
        "'{name}' is not a valid attribute name for an object type of '{kind}'{}",
        or_did_you_mean(nearest.as_deref())
    )]
    UnknownAttribute {
        /// The kind of object: `osimage`, `node`.
        kind: ObjectKind,
        /// The name as it was given.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
}

impl Error {
    /// Builds [`Error::NotFound`] with the nearest of the names that exist.
    pub fn not_found<'a>(
        kind: ObjectKind,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::NotFound {
            kind,
            name: name.to_owned(),
            nearest: best_match(name, known).map(str::to_owned),
        }
    }

    /// Builds [`Error::Invalid`]; the three texts make one sentence.
    pub fn invalid(
        what: &'static str,
        value: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            what,
            value: value.into(),
            expected: expected.into(),
        }
    }
}

/// Ends a message about an unknown name with the name that was probably meant.
pub(crate) fn or_did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// The same as a sentence of its own.
fn or_rather(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" Did you mean '{name}'?"))
}
