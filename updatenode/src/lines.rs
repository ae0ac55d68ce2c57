//! What a node prints, as lines that can be shown.
//!
//! Bytes come in as they arrive; lines go out, whole, without what would move a terminal's cursor.
//! Bounded: a longer line than [`LONGEST`] is shown in parts, and of a node's lines only the last are kept.

use std::collections::VecDeque;

/// The longest line that is shown in one piece.
const LONGEST: usize = 8 << 10;
/// How many lines are kept of one node, and how many bytes.
const KEPT: (usize, usize) = (40, 16 << 10);

/// A stream that is parted into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what arrived and hands out every line that it ends.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.grow(&bytes[..end], &mut each);
            each(&printable(&self.begun));
            self.begun.clear();
            bytes = &bytes[end + 1..];
        }
        self.grow(bytes, &mut each);
    }

    /// Hands out what was begun and never ended.
    pub(crate) fn end(&mut self, mut each: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            each(&printable(&std::mem::take(&mut self.begun)));
        }
    }

    /// Adds to the line that was begun; what is too long for one is shown so far.
    fn grow(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&str)) {
        while self.begun.len() + bytes.len() > LONGEST {
            let (now, later) = bytes.split_at(LONGEST - self.begun.len());
            self.begun.extend_from_slice(now);
            each(&printable(&self.begun));
            self.begun.clear();
            bytes = later;
        }
        self.begun.extend_from_slice(bytes);
    }
}

/// Makes text of a line; a node does not get to move this terminal's cursor or to name its window.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::from_utf8_lossy(line).into_owned();
    if text.contains(|c: char| c.is_control() && c != '\t') {
        let harmless = |c: char| match c.is_control() && c != '\t' {
            true => char::REPLACEMENT_CHARACTER,
            false => c,
        };
        text = text.chars().map(harmless).collect();
    }
    text
}

/// The last lines of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Keeps a line, and lets go of the oldest that are too many.
    pub(crate) fn keep(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > KEPT.0 || (self.bytes > KEPT.1 && self.lines.len() > 1) {
            let gone = self.lines.pop_front();
            self.bytes -= gone.map_or(0, |line| line.len());
        }
    }

    /// Lists the lines, the last one last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut shown) = (Lines::default(), Vec::new());
        for part in parts {
            lines.take(part, |line| shown.push(line.to_owned()));
        }
        lines.end(|line| shown.push(line.to_owned()));
        shown
    }

    #[test]
    fn a_line_is_whole_however_it_arrives() {
        assert_eq!(
            parted(&[b"a", b"b\nc", b"\r\n\n", b"d"]),
            ["ab", "c", "", "d"]
        );
        assert_eq!(parted(&[b"ended\n"]), ["ended"]);
        assert_eq!(parted(&[]), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts() {
        let long = vec![b'x'; 2 * LONGEST + 1];
        let lengths: Vec<_> = parted(&[&long]).iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 1]);
        let exact = vec![b'x'; LONGEST];
        assert_eq!(parted(&[&exact, b"\n"]).len(), 1, "nothing is left over");
    }

    #[test]
    fn no_line_moves_the_cursor() {
        assert_eq!(
            parted(&[b"\x1b[2Jgone\x07\tkept \xff\n"]),
            ["\u{fffd}[2Jgone\u{fffd}\tkept \u{fffd}"]
        );
    }

    #[test]
    fn the_last_lines_are_kept_within_bounds() {
        let mut tail = Tail::default();
        (0..1000).for_each(|i| tail.keep(&format!("line {i}")));
        assert_eq!(tail.iter().count(), KEPT.0);
        assert_eq!(tail.iter().next_back(), Some("line 999"));
        (0..10).for_each(|_| tail.keep(&"x".repeat(LONGEST)));
        assert_eq!(tail.iter().count(), 2, "{} bytes", tail.bytes);
    }
}
