//! The one typed error that callers match on.

use crate::Kind;

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
    /// A definition that does not exist.
    #[error("could not find an object named '{name}' of type '{kind}'")]
    NotFound {
        /// The kind of object: `osimage`, `node`.
        kind: Kind,
        /// The name that was asked for.
        name: String,
    },
    /// An attribute that objects of a kind do not have.
    #[error(
        "'{name}' is not a valid attribute name for an object type of '{kind}'{}",
        did_you_mean(nearest.as_deref())
    )]
    UnknownAttribute {
        /// The kind of object: `osimage`, `node`.
        kind: Kind,
        /// The name as it was given.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
}

impl Error {
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
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}
