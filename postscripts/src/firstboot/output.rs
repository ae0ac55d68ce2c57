//! What a script prints: passed on as it comes, kept in its log up to a bound, the last lines remembered.
//!
//! Bytes come in; they go to standard output, which is the journal or the one who called, and to the log.
//! Beyond the bound they go nowhere and are counted: no script fills the disk.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::report::{self, step};
use super::status_file::now;
use crate::files;

/// The most bytes of one run of one script that are passed on.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// A log of this size is renamed before the next run.
const MAX_LOG_BYTES: u64 = 4 << 20;
/// How many last lines are remembered, and how many bytes of each.
const TAIL_LINES: usize = 20;
const MAX_LINE: usize = 300;

/// The output of one run of one script.
#[derive(Debug)]
pub(super) struct Output {
    log: Option<File>,
    passed: u64,
    dropped: u64,
    lines: VecDeque<String>,
    line: Vec<u8>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) bytes: u64,
    pub(super) dropped: u64,
    pub(super) tail: Vec<String>,
}

impl Output {
    /// Opens the log; a log that cannot be written is reported, and the script runs without.
    pub(super) fn open(log: &Path, line: &str) -> Self {
        let opened = open(log).and_then(|mut file| {
            writeln!(file, "{} start: {line}", now())?;
            Ok(file)
        });
        if let Err(error) = &opened {
            step(format!("writing {}: {error}", log.display()));
        }
        Self {
            log: opened.ok(),
            passed: 0,
            dropped: 0,
            lines: VecDeque::new(),
            line: Vec::new(),
        }
    }

    /// Appends what the script printed.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let room = usize::try_from(MAX_BYTES - self.passed).unwrap_or(usize::MAX);
        let (kept, rest) = bytes.split_at(bytes.len().min(room));
        self.pass(kept);
        self.passed += kept.len() as u64;
        if self.dropped == 0 && !rest.is_empty() {
            self.pass(format!("\n[more than {MAX_BYTES} bytes: the rest is dropped]\n").as_bytes());
        }
        self.dropped += rest.len() as u64;
        self.remember(bytes);
    }

    /// Passes bytes on. A reader that is gone or a full disk stops no script.
    fn pass(&mut self, bytes: &[u8]) {
        report::pass(bytes);
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.write_all(bytes)) {
            step(format!("writing the script's log: {error}"));
            self.log = None;
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                _ if self.line.len() < MAX_LINE => self.line.push(byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let plain = |c: &char| !c.is_control() || *c == '\t';
        self.lines.push_back(text.chars().filter(plain).collect());
        if self.lines.len() > TAIL_LINES {
            self.lines.pop_front();
        }
        self.line.clear();
    }

    /// Closes the log with how the script ended.
    pub(super) fn close(mut self, end: &str) -> Printed {
        if !self.line.is_empty() {
            self.end_line();
            self.pass(b"\n");
        }
        let dropped = match self.dropped {
            0 => String::new(),
            n => format!(" ({n} bytes of its output were dropped)"),
        };
        if let Some(mut log) = self.log {
            let _ = writeln!(log, "{} end: {end}{dropped}", now());
        }
        Printed {
            bytes: self.passed + self.dropped,
            dropped: self.dropped,
            tail: self.lines.into(),
        }
    }
}

/// Opens a log for more lines; a long one is renamed first, so that there are never more than two.
fn open(log: &Path) -> io::Result<File> {
    let directory = log.parent().unwrap_or(Path::new("/"));
    files::ensure_dir(directory, 0o750).map_err(io::Error::other)?;
    if fs::symlink_metadata(log).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    File::options()
        .create(true)
        .append(true)
        .mode(0o640)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_beyond_the_bound_is_counted_and_its_last_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log/mine.log");
        let mut output = Output::open(&log, "mine x");
        let block = [b'x'; 1000];
        for _ in 0..1100 {
            output.append(&block);
        }
        output.append(b"\nthe \x1b[1mlast\xff\nwords");
        let printed = output.close("exited with code 0");
        let bytes = 1_100_000 + 20;
        assert_eq!((printed.bytes, printed.dropped), (bytes, bytes - MAX_BYTES));
        assert_eq!(printed.tail[0].len(), MAX_LINE);
        assert_eq!(printed.tail[1..], ["the [1mlast\u{fffd}", "words"]);
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.len() < MAX_BYTES as usize + 300);
        let end = format!(
            "end: exited with code 0 ({} bytes of its output were dropped)\n",
            bytes - MAX_BYTES
        );
        assert!(text.ends_with(&end), "{}", &text[text.len() - 200..]);
    }

    #[test]
    fn a_long_log_is_put_aside_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("mine.log");
        fs::write(&log, vec![b'x'; MAX_LOG_BYTES as usize + 1]).unwrap();
        Output::open(&log, "mine").close("ended");
        assert!(fs::metadata(&log).unwrap().len() < 100);
        assert!(fs::metadata(dir.path().join("mine.log.1")).unwrap().len() > MAX_LOG_BYTES);
        let link = dir.path().join("link.log");
        std::os::unix::fs::symlink(&log, &link).unwrap();
        assert!(Output::open(&link, "mine").log.is_none());
    }
}
