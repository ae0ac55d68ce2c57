//! Lines for whoever watches: results on standard output, steps on standard error.
//!
//! Nobody needs to: a run that `updatenode` began goes on when its connection is gone.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a result.
pub(super) fn result(text: impl Display) {
    pass(format!("{text}\n").as_bytes());
}

/// Passes on what a script printed.
pub(super) fn pass(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Says a step, or what is wrong.
pub(super) fn step(text: impl Display) {
    let _ = io::stderr().write_all(format!("firstboot: {text}\n").as_bytes());
}
