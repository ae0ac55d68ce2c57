//! What a user sees while nodes are at work, and in the end.
//!
//! A node's lines come in and go out behind its name: its standard output to ours, its standard error to
//! ours, or both to standard error where standard output is for JSON. On a terminal a bar below them says
//! how many nodes are done and, when few are left, which. What nobody reads any more is dropped: a
//! pager that was left does not leave nodes half done.

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr, stdout};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::dialogue::Stream;
use crate::outcome::{Outcome, Verdict};
use crate::session::Line;

/// As long as no more nodes than these are left, the bar names them.
const NAMED: usize = 4;
/// How many bytes are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// What is shown, and where.
#[derive(Debug)]
pub(crate) struct Show {
    /// Whether standard output is for JSON.
    json: bool,
    /// Whether what comes before the scripts is shown.
    verbose: bool,
    bar: Option<ProgressBar>,
    /// What is to be written to standard output, and to standard error.
    out: Vec<u8>,
    err: Vec<u8>,
    /// How many nodes ended otherwise than well.
    amiss: usize,
}

impl Show {
    /// Begins, with so many nodes to come.
    pub(crate) fn new(nodes: usize, json: bool, verbose: bool) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(nodes as u64), ProgressDrawTarget::stderr());
            if let Ok(style) =
                ProgressStyle::with_template("{bar:30} {pos}/{len} nodes, {wide_msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        Self {
            json,
            verbose,
            bar,
            out: Vec::new(),
            err: Vec::new(),
            amiss: 0,
        }
    }

    /// Says how a node is reached.
    pub(crate) fn started(&mut self, node: &str, arguments: &[OsString]) {
        if self.verbose {
            // The last argument is the script, the same for every node.
            let words = arguments.iter().rev().skip(1).rev();
            let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
            write_line(&mut self.err, node, &format!("ssh {}", words.join(" ")));
        }
    }

    /// Shows a line.
    pub(crate) fn line(&mut self, line: Line<'_>) {
        if line.held && !self.verbose {
            return;
        }
        let to_out = line.stream == Stream::Out && !line.held && !self.json;
        let side = if to_out { &mut self.out } else { &mut self.err };
        write_line(side, line.node, line.text);
        if side.len() >= GATHERED {
            self.write();
        }
    }

    /// Shows what became of a node.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        if outcome.verdict != Verdict::Ok {
            self.amiss += 1;
        }
        let side = if self.json {
            &mut self.err
        } else {
            &mut self.out
        };
        side.extend_from_slice(outcome.line().as_bytes());
        side.push(b'\n');
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Writes what was gathered, and draws the bar when that is due.
    pub(crate) fn flush<'a>(&mut self, running: Option<impl ExactSizeIterator<Item = &'a str>>) {
        self.write();
        let (Some(bar), Some(running)) = (&self.bar, running) else {
            return;
        };
        let mut message = match running.len() {
            few if few <= NAMED => {
                format!("waiting for {}", running.collect::<Vec<_>>().join(", "))
            }
            many => format!("{many} at work"),
        };
        if self.amiss > 0 {
            message += &format!(", {} not ok", self.amiss);
        }
        bar.set_message(message);
        bar.tick();
    }

    fn write(&mut self) {
        if self.out.is_empty() && self.err.is_empty() {
            return;
        }
        let (out, err) = (&mut self.out, &mut self.err);
        let mut write = || {
            // A reader that is gone is no reason to leave nodes half done.
            let _ = stdout()
                .lock()
                .write_all(out)
                .and_then(|()| stdout().flush());
            let _ = stderr().lock().write_all(err);
            out.clear();
            err.clear();
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Ends with a summary.
    pub(crate) fn finish(&mut self, summary: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let side = if self.json {
            &mut self.err
        } else {
            &mut self.out
        };
        side.extend_from_slice(summary.as_bytes());
        self.write();
    }
}

/// Adds a line behind a node's name.
fn write_line(side: &mut Vec<u8>, node: &str, text: &str) {
    for part in [node, ": ", text, "\n"] {
        side.extend_from_slice(part.as_bytes());
    }
}
