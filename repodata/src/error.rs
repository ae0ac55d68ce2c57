//! Why metadata could not be read, and where.

use std::fmt;

/// What is wrong with metadata, in which file, and where in it.
///
/// It prints the place and the problem: whoever reads a file says which one it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}{problem}")]
pub struct ReadError {
    /// The name that the input has.
    pub file: String,
    /// Where in it.
    pub location: Location,
    /// What is wrong.
    pub problem: String,
}

/// A place in metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// The file as a whole.
    File,
    /// A line, from 1.
    Line(u64),
    /// A byte of what it inflates to, from 0.
    Byte(u64),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, "line {line}: "),
            Self::Byte(byte) => write!(f, "byte {byte}: "),
        }
    }
}
