//! What a user sees while `copycds` works, all of it on stderr.
//!
//! On a terminal, a bar by bytes with rate and time left; elsewhere a line every ten percent or ten
//! seconds, whichever comes first, so that a log stays readable. The drawing has a thread of its own
//! and only reads counters.

use std::borrow::Cow;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::checksums::HumanBytes;
use crate::copy::ByteProgress;

/// How often a bar is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How long a log may be silent.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Says what is done next.
pub(crate) fn step(text: &str) {
    eprintln!("{}", printable(text));
}

/// Makes a text that can be shown: names on media may hold what acts on a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, '\n')
}

/// Lets SIGINT, SIGTERM and SIGHUP stop an import, which then takes away what it wrote.
pub(crate) fn stop_on_signals(progress: &Arc<ByteProgress>) -> Result<()> {
    let progress = Arc::clone(progress);
    ctrlc::set_handler(move || progress.stop()).context("setting a handler for signals")
}

/// Runs `work` and shows how far it is.
pub(crate) fn while_running<T>(progress: &ByteProgress, work: impl FnOnce() -> T) -> T {
    // The counters go on from one disc to the next.
    let before = (progress.total(), progress.done());
    let (done, stop) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut shown = ProgressDisplay::new();
            while stop.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
                shown.draw(progress.total() - before.0, progress.done() - before.1);
            }
            shown.end();
        });
        let result = work();
        drop(done);
        result
    })
}

/// The bar or the lines.
enum ProgressDisplay {
    Bar(ProgressBar),
    Lines(LogLines),
}

/// Lines for a log.
struct LogLines {
    started: Instant,
    /// When the last line was written, and how many tenths it reported.
    last: (Instant, u64),
}

impl ProgressDisplay {
    fn new() -> Self {
        if !stderr().is_terminal() {
            let now = Instant::now();
            return Self::Lines(LogLines {
                started: now,
                last: (now, 0),
            });
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let form = "{bar:30} {percent:>3}% {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn draw(&mut self, total: u64, done: u64) {
        match self {
            _ if total == 0 => {}
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Self::Lines(lines) => {
                if let Some(line) = lines.next(total, done, Instant::now()) {
                    eprintln!("{line}");
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl LogLines {
    /// Returns the line that is due.
    fn next(&mut self, total: u64, done: u64, now: Instant) -> Option<String> {
        let tenths = u64::try_from(u128::from(done) * 10 / u128::from(total)).unwrap_or(10);
        if tenths <= self.last.1 && now.duration_since(self.last.0) < LOG_INTERVAL {
            return None;
        }
        self.last = (now, tenths.max(self.last.1));
        let elapsed = now.duration_since(self.started).as_secs_f64().max(0.001);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rate = (done as f64 / elapsed) as u64;
        let percent = u128::from(done) * 100 / u128::from(total);
        let left = total
            .saturating_sub(done)
            .checked_div(rate)
            .unwrap_or_default();
        Some(format!(
            "{percent}% of {}, {}/s, {left} s left",
            HumanBytes(total),
            HumanBytes(rate)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_a_line_every_ten_percent_or_ten_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lines = LogLines {
            started: start,
            last: (start, 0),
        };
        assert_eq!(lines.next(1000, 50, at(1)), None, "neither yet");
        assert_eq!(
            lines.next(1000, 100, at(2)).unwrap(),
            "10% of 1.0 kB, 50 B/s, 18 s left"
        );
        assert_eq!(lines.next(1000, 199, at(3)), None, "neither again");
        assert_eq!(
            lines.next(1000, 199, at(12)).unwrap(),
            "19% of 1.0 kB, 16 B/s, 50 s left"
        );
        assert_eq!(
            lines.next(1000, 1000, at(13)).unwrap(),
            "100% of 1.0 kB, 76 B/s, 0 s left"
        );
    }
}
