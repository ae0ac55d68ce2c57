//! What is wrong with the objects of one command, gathered so that a single run names all of it.

use std::fmt::Write as _;

use anyhow::{Error, Result, anyhow};

use super::request::Request;

/// The most errors that are shown.
const MAX_COUNT: usize = 20;

/// The errors so far.
#[derive(Debug, Default)]
pub(super) struct ObjectErrors {
    errors: Vec<ObjectError>,
}

/// One error: objects that share a mistake share it.
#[derive(Debug)]
struct ObjectError {
    error: Error,
    /// What it says.
    text: String,
    /// The first object.
    object: String,
    /// How many further ones.
    others: usize,
}

impl ObjectErrors {
    /// Keeps the error of a result; returns the value of one without.
    pub(super) fn check<T>(&mut self, request: &Request, result: Result<T>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let text = format!("{error:#}");
        match self.errors.iter_mut().find(|known| known.text == text) {
            Some(known) => known.others += 1,
            None => self.errors.push(ObjectError {
                error,
                text,
                object: format!("the {} '{}'", request.kind, request.name),
                others: 0,
            }),
        }
        None
    }

    /// Makes one error of them: the only one as it is, several a line each with the object.
    ///
    /// # Errors
    /// When there is one.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.errors.len() <= 1 {
            return self.errors.pop().map_or(Ok(()), |only| Err(only.error));
        }
        let mut lines = format!("{} errors, and nothing is changed:", self.errors.len());
        for error in self.errors.iter().take(MAX_COUNT) {
            let _ = write!(lines, "\n{}", error.object);
            if error.others > 0 {
                let _ = write!(lines, " and {} more", error.others);
            }
            let _ = write!(lines, ": {}", error.text);
        }
        if self.errors.len() > MAX_COUNT {
            let _ = write!(lines, "\nand {} more", self.errors.len() - MAX_COUNT);
        }
        Err(anyhow!(lines))
    }
}
