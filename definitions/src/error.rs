//! The one typed error that callers match on.

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
        kind: &'static str,
        /// The name that was asked for.
        name: String,
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
