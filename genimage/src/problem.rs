//! What is wrong, where, and what to do: one line each, gathered so that a run reports them all.

use std::fmt;
use std::sync::Arc;

/// A line of a file, as problems name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileLine {
    /// The file: a path, or `templates/debian/compute.preseed` of what is built in.
    pub file: Arc<str>,
    /// The line, from 1; 0 means the whole file.
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// One thing that is wrong: prints as `file:line: sentence`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// Where, if it is in a file.
    pub place: Option<FileLine>,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Problem {
    /// Describes a problem that is in no file.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
        }
    }

    /// Describes a problem at a place.
    pub fn at(place: FileLine, message: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Takes results, and keeps what went wrong.
#[derive(Debug)]
pub(crate) struct ProblemCollector<'a>(pub(crate) &'a mut Vec<Problem>);

impl ProblemCollector<'_> {
    pub(crate) fn one<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        self.all(result.map_err(|problem| vec![problem]))
    }

    pub(crate) fn all<T>(&mut self, result: Result<T, Vec<Problem>>) -> Option<T> {
        result.map_err(|problems| self.0.extend(problems)).ok()
    }
}
