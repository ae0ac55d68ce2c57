//! The output for the user, while sessions run and at the end.
//!
//! A node's lines come in and are printed after its name: its standard output to ours, its standard error to ours, or
//! both to standard error where standard output is for JSON. On a terminal a progress bar below them shows how many nodes
//! are done and, when few are left, which are not; after a time without output a line names the nodes that still run.
//! A closed output is ignored: quitting a pager does not stop the work on nodes.

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use definitions::terminal::escaped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::outcome::{NodeStatus, Outcome};
use crate::protocol::OutputStream;
use crate::session::NodeLine;

/// The most nodes that are named in the bar and in notices.
const MAX_NAMED_NODES: usize = 4;
/// How long nothing is printed before the first notice names the nodes that run; the interval doubles each time.
const FIRST_NOTICE: Duration = Duration::from_secs(30);
/// How many bytes are buffered before they are written.
const FLUSH_BYTES: usize = 64 << 10;

/// Prints lines, outcomes and the progress bar.
#[derive(Debug)]
pub(crate) struct OutputPrinter {
    /// Whether standard output is for JSON.
    json: bool,
    /// Whether lines that arrive before the scripts run are printed.
    verbose: bool,
    bar: Option<ProgressBar>,
    /// The buffer of standard output.
    out: Vec<u8>,
    /// The buffer of standard error.
    err: Vec<u8>,
    /// How many nodes ended with another status than ok.
    not_ok: usize,
    idle: IdleTimer,
}

/// Measures the time without output.
#[derive(Debug)]
struct IdleTimer {
    since: Instant,
    /// After which time the next notice is due.
    after: Duration,
}

impl IdleTimer {
    fn from(now: Instant) -> Self {
        Self {
            since: now,
            after: FIRST_NOTICE,
        }
    }

    /// Returns the time without output, if a notice is due.
    fn due(&mut self, now: Instant) -> Option<Duration> {
        let idle = now - self.since;
        (idle >= self.after).then(|| {
            self.after *= 2;
            idle
        })
    }
}

/// Lists nodes, the first few by name.
fn name_list(nodes: &[&str]) -> String {
    let mut names = nodes[..nodes.len().min(MAX_NAMED_NODES)].join(", ");
    if nodes.len() > MAX_NAMED_NODES {
        names += &format!(" and {} more", nodes.len() - MAX_NAMED_NODES);
    }
    names
}

impl OutputPrinter {
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
            not_ok: 0,
            idle: IdleTimer::from(Instant::now()),
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
    pub(crate) fn line(&mut self, line: NodeLine<'_>) {
        if line.held && (!self.verbose || line.text.is_empty()) {
            return;
        }
        self.idle = IdleTimer::from(Instant::now());
        let to_out = line.stream == OutputStream::Out && !line.held && !self.json;
        let side = if to_out { &mut self.out } else { &mut self.err };
        write_line(side, line.node, line.text);
        if side.len() >= FLUSH_BYTES {
            self.write();
        }
    }

    /// Shows what became of a node.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        self.idle = IdleTimer::from(Instant::now());
        if outcome.status != NodeStatus::Ok {
            self.not_ok += 1;
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

    /// Writes the buffers; with the running nodes given, prints a due notice and draws the bar.
    pub(crate) fn flush(&mut self, running: Option<Vec<&str>>) {
        let idle = running.as_ref().and_then(|_| self.idle.due(Instant::now()));
        if let (Some(running), Some(idle)) = (&running, idle) {
            let text = format!(
                "nothing printed for {} s by {}",
                idle.as_secs(),
                name_list(running)
            );
            write(&mut self.err, &["updatenode: ", &text]);
        }
        self.write();
        let (Some(bar), Some(running)) = (&self.bar, running) else {
            return;
        };
        let mut message = match running.len() {
            few if few <= MAX_NAMED_NODES => format!("waiting for {}", name_list(&running)),
            many => format!("{many} running"),
        };
        if self.not_ok > 0 {
            message += &format!(", {} not ok", self.not_ok);
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

/// Adds a line after a node's name.
fn write_line(side: &mut Vec<u8>, node: &str, text: &str) {
    write(side, &[node, ": ", text]);
}

/// Adds a line, escaped: all output of nodes passes through here on its way to a terminal.
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
    fn notices_come_after_30_s_without_output_and_then_at_doubled_intervals() {
        let begun = Instant::now();
        let mut idle = IdleTimer::from(begun);
        let notices: Vec<_> = (0..300)
            .filter_map(|second| idle.due(begun + Duration::from_secs(second)))
            .map(|idle| idle.as_secs())
            .collect();
        assert_eq!(notices, [30, 60, 120, 240]);
        assert_eq!(name_list(&["n1", "n2"]), "n1, n2");
        assert_eq!(
            name_list(&["a", "b", "c", "d", "e", "f"]),
            "a, b, c, d and 2 more"
        );
    }
}
