//! Gathers what is found in one file.

use std::sync::Arc;

use super::Findings;
use crate::problem::{FileLine, Problem};

/// What is found in one file; nothing is allocated for a file in which all is well.
#[derive(Debug)]
pub(super) struct FindingsBuilder<'a> {
    name: &'a str,
    file: Option<Arc<str>>,
    findings: Findings,
}

impl<'a> FindingsBuilder<'a> {
    /// Begins with a file's name.
    pub(super) fn of(name: &'a str) -> Self {
        Self {
            name,
            file: None,
            findings: Findings::default(),
        }
    }

    /// Tells what is wrong in a line.
    pub(super) fn problem(&mut self, line: usize, message: impl Into<String>) {
        let problem = Problem::at(self.place(line), message);
        self.findings.problems.push(problem);
    }

    /// Tells what a person should know of a line.
    pub(super) fn note(&mut self, line: usize, message: impl Into<String>) {
        let note = Problem::at(self.place(line), message);
        self.findings.notes.push(note);
    }

    /// Returns everything that was found.
    pub(super) fn finish(self) -> Findings {
        self.findings
    }

    fn place(&mut self, line: usize) -> FileLine {
        let file = self.file.get_or_insert_with(|| Arc::from(self.name));
        FileLine {
            file: Arc::clone(file),
            line,
        }
    }
}
