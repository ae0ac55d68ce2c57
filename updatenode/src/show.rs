//! What a user sees while nodes are at work, and in the end.
//!
//! A node's lines come in and go out behind its name: its standard output to ours, its standard error to
//! ours, or both to standard error where standard output is for JSON. On a terminal a bar below them says
//! how many nodes are done and, when few are left, which; and when nothing was printed for long, a line says who is
//! waited for. What nobody reads any more is dropped: a
//! pager that was left does not leave nodes half done.

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use definitions::terminal::escaped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::dialogue::Stream;
use crate::outcome::{Outcome, Verdict};
use crate::session::Line;

/// As long as no more nodes than these are left, the bar names them.
const NAMED: usize = 4;
/// How long nothing is printed before it is said who is waited for; from then on twice as long each time.
const QUIET: Duration = Duration::from_secs(30);
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
    quiet: Quiet,
}

/// How long nothing was printed.
#[derive(Debug)]
struct Quiet {
    since: Instant,
    /// When it is said next.
    after: Duration,
}

impl Quiet {
    fn from(now: Instant) -> Self {
        Self {
            since: now,
            after: QUIET,
        }
    }

    /// Returns how long, when it is to be said.
    fn due(&mut self, now: Instant) -> Option<Duration> {
        let quiet = now - self.since;
        (quiet >= self.after).then(|| {
            self.after *= 2;
            quiet
        })
    }
}

/// Names nodes, the first few by their names.
fn named(nodes: &[&str]) -> String {
    let mut names = nodes[..nodes.len().min(NAMED)].join(", ");
    if nodes.len() > NAMED {
        names += &format!(" and {} more", nodes.len() - NAMED);
    }
    names
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
            quiet: Quiet::from(Instant::now()),
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
        if line.held && (!self.verbose || line.text.is_empty()) {
            return;
        }
        self.quiet = Quiet::from(Instant::now());
        let to_out = line.stream == Stream::Out && !line.held && !self.json;
        let side = if to_out { &mut self.out } else { &mut self.err };
        write_line(side, line.node, line.text);
        if side.len() >= GATHERED {
            self.write();
        }
    }

    /// Shows what became of a node.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        self.quiet = Quiet::from(Instant::now());
        if outcome.verdict != Verdict::Ok {
            self.amiss += 1;
        }
        let side = if self.json {
            &mut self.err
        } else {
            &mut self.out
        };
        write(side, &[&outcome.line()]);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Writes what was gathered; with the nodes that are at work, draws the bar and says if nothing came for long.
    pub(crate) fn flush(&mut self, running: Option<Vec<&str>>) {
        let quiet = running
            .as_ref()
            .and_then(|_| self.quiet.due(Instant::now()));
        if let (Some(running), Some(quiet)) = (&running, quiet) {
            let text = format!(
                "nothing printed for {} s by {}",
                quiet.as_secs(),
                named(running)
            );
            write(&mut self.err, &["updatenode: ", &text]);
        }
        self.write();
        let (Some(bar), Some(running)) = (&self.bar, running) else {
            return;
        };
        let mut message = match running.len() {
            few if few <= NAMED => format!("waiting for {}", named(&running)),
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
    write(side, &[node, ": ", text]);
}

/// Adds a line. All that a node says comes through here on its way to a terminal.
fn write(side: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        side.extend_from_slice(escaped(part, '\t').as_bytes());
    }
    side.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_said_after_half_a_minute_and_then_ever_more_seldom() {
        let begun = Instant::now();
        let mut quiet = Quiet::from(begun);
        let said: Vec<_> = (0..300)
            .filter_map(|second| quiet.due(begun + Duration::from_secs(second)))
            .map(|quiet| quiet.as_secs())
            .collect();
        assert_eq!(said, [30, 60, 120, 240]);
        assert_eq!(named(&["n1", "n2"]), "n1, n2");
        assert_eq!(
            named(&["a", "b", "c", "d", "e", "f"]),
            "a, b, c, d and 2 more"
        );
    }
}
