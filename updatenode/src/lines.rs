//! What a node prints, as lines.
//!
//! Bytes come in as they arrive; lines go out, whole. Bounded: a longer line than [`LONGEST`] comes in parts, unless a
//! mark of ours stands in it, and of a node's lines only the last are kept. What is in a line is the node's: it is
//! escaped where it is printed ([`definitions::terminal`]).

use std::collections::VecDeque;

/// The longest line that is shown in one piece.
const LONGEST: usize = 8 << 10;
/// The longest one with a mark in it: as long as a list may be.
const LONGEST_MARKED: usize = 1 << 20;
/// How many lines are kept of one node, and how many bytes.
const KEPT: (usize, usize) = (40, 16 << 10);

/// A stream that is parted into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    /// What stands in a line that is not to come in parts.
    mark: Option<String>,
}

impl Lines {
    /// Begins; a line with a mark in it comes in one piece.
    pub(crate) fn with_mark(mark: String) -> Self {
        Self {
            begun: Vec::new(),
            mark: Some(mark),
        }
    }

    /// Takes what arrived and hands out every line that it ends.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.grow(&bytes[..end], &mut each);
            each(&text(&self.begun));
            self.begun.clear();
            bytes = &bytes[end + 1..];
        }
        self.grow(bytes, &mut each);
    }

    /// Hands out what was begun and never ended.
    pub(crate) fn end(&mut self, mut each: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            each(&text(&std::mem::take(&mut self.begun)));
        }
    }

    /// Adds to the line that was begun; what is too long for one is shown so far.
    fn grow(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&str)) {
        while self.begun.len() + bytes.len() > LONGEST {
            let (now, later) =
                bytes.split_at(LONGEST.saturating_sub(self.begun.len()).min(bytes.len()));
            self.begun.extend_from_slice(now);
            bytes = later;
            if self.is_marked() && self.begun.len() + bytes.len() <= LONGEST_MARKED {
                break;
            }
            each(&text(&self.begun));
            self.begun.clear();
        }
        self.begun.extend_from_slice(bytes);
    }

    /// Says whether the line that was begun has the mark in it.
    fn is_marked(&self) -> bool {
        let mark = self.mark.as_deref().unwrap_or_default().as_bytes();
        !mark.is_empty() && self.begun.windows(mark.len()).any(|part| part == mark)
    }
}

/// Makes text of a line.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
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
    fn a_line_with_a_mark_comes_in_one_piece() {
        let marked = [b"MARK".to_vec(), vec![b'x'; 3 * LONGEST]].concat();
        for (chunk, line, parts) in [
            (5000, &marked, 1),
            (marked.len(), &marked, 1),
            (5000, &vec![b'x'; 3 * LONGEST], 3),
            (
                1 << 16,
                &[b"MARK".to_vec(), vec![b'x'; 2 * LONGEST_MARKED]].concat(),
                128,
            ),
        ] {
            let (mut lines, mut count) = (Lines::with_mark("MARK".to_owned()), 0);
            for chunk in line.chunks(chunk).chain([&b"\n"[..]]) {
                lines.take(chunk, |_| count += 1);
            }
            assert!(
                count == parts || (parts > 3 && count > 1),
                "{count} and not {parts}"
            );
        }
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
