//! What a node prints, as lines.
//!
//! Bytes come in as they arrive; complete lines go out. Bounded: a line longer than [`MAX_LINE`] is handed out in parts
//! unless it contains the session's marker, and only the last lines of a node are kept. The content of a line comes from
//! the node: it is escaped where it is printed ([`definitions::terminal`]).

use std::collections::VecDeque;

/// The longest line that is handed out in one piece.
const MAX_LINE: usize = 8 << 10;
/// The longest line with a marker in it: as long as a list may be.
const MAX_MARKED_LINE: usize = 1 << 20;
/// How many lines of one node are kept.
const MAX_TAIL_LINES: usize = 40;
/// How many bytes of one node are kept.
const MAX_TAIL_BYTES: usize = 16 << 10;

/// Splits a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    unfinished: Vec<u8>,
    /// The marker of a line that must not be split.
    mark: Option<String>,
}

impl LineReader {
    /// Returns a reader that hands out a line with this marker in one piece.
    pub(crate) fn with_mark(mark: String) -> Self {
        Self {
            unfinished: Vec::new(),
            mark: Some(mark),
        }
    }

    /// Adds received bytes and hands out every line that they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.grow(&bytes[..end], &mut each);
            each(&text(&self.unfinished));
            self.unfinished.clear();
            bytes = &bytes[end + 1..];
        }
        self.grow(bytes, &mut each);
    }

    /// Hands out the last line if it has no end.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.unfinished.is_empty() {
            each(&text(&std::mem::take(&mut self.unfinished)));
        }
    }

    /// Adds to the unfinished line, and hands out the parts of one that is too long.
    fn grow(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&str)) {
        while self.unfinished.len() + bytes.len() > MAX_LINE {
            let (now, later) = bytes.split_at(
                MAX_LINE
                    .saturating_sub(self.unfinished.len())
                    .min(bytes.len()),
            );
            self.unfinished.extend_from_slice(now);
            bytes = later;
            if self.is_marked() && self.unfinished.len() + bytes.len() <= MAX_MARKED_LINE {
                break;
            }
            each(&text(&self.unfinished));
            self.unfinished.clear();
        }
        self.unfinished.extend_from_slice(bytes);
    }

    /// Returns whether the unfinished line contains the marker.
    fn is_marked(&self) -> bool {
        let mark = self.mark.as_deref().unwrap_or_default().as_bytes();
        !mark.is_empty() && self.unfinished.windows(mark.len()).any(|part| part == mark)
    }
}

/// Makes text of a line.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

/// The last lines that a node printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutputTail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl OutputTail {
    /// Keeps a line, and drops the oldest beyond the limits.
    pub(crate) fn keep(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > MAX_TAIL_LINES
            || (self.bytes > MAX_TAIL_BYTES && self.lines.len() > 1)
        {
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

    fn read_all(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut shown) = (LineReader::default(), Vec::new());
        for part in parts {
            lines.feed(part, |line| shown.push(line.to_owned()));
        }
        lines.finish(|line| shown.push(line.to_owned()));
        shown
    }

    #[test]
    fn a_line_is_whole_however_it_arrives() {
        assert_eq!(
            read_all(&[b"a", b"b\nc", b"\r\n\n", b"d"]),
            ["ab", "c", "", "d"]
        );
        assert_eq!(read_all(&[b"ended\n"]), ["ended"]);
        assert_eq!(read_all(&[]), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts() {
        let long = vec![b'x'; 2 * MAX_LINE + 1];
        let lengths: Vec<_> = read_all(&[&long]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE, MAX_LINE, 1]);
        let exact = vec![b'x'; MAX_LINE];
        assert_eq!(read_all(&[&exact, b"\n"]).len(), 1, "nothing is left over");
    }

    #[test]
    fn a_line_with_a_mark_comes_in_one_piece() {
        let marked = [b"MARK".to_vec(), vec![b'x'; 3 * MAX_LINE]].concat();
        for (chunk, line, parts) in [
            (5000, &marked, 1),
            (marked.len(), &marked, 1),
            (5000, &vec![b'x'; 3 * MAX_LINE], 3),
            (
                1 << 16,
                &[b"MARK".to_vec(), vec![b'x'; 2 * MAX_MARKED_LINE]].concat(),
                128,
            ),
        ] {
            let (mut lines, mut count) = (LineReader::with_mark("MARK".to_owned()), 0);
            for chunk in line.chunks(chunk).chain([&b"\n"[..]]) {
                lines.feed(chunk, |_| count += 1);
            }
            assert!(
                count == parts || (parts > 3 && count > 1),
                "{count} and not {parts}"
            );
        }
    }

    #[test]
    fn the_last_lines_are_kept_within_bounds() {
        let mut tail = OutputTail::default();
        (0..1000).for_each(|i| tail.keep(&format!("line {i}")));
        assert_eq!(tail.iter().count(), MAX_TAIL_LINES);
        assert_eq!(tail.iter().next_back(), Some("line 999"));
        (0..10).for_each(|_| tail.keep(&"x".repeat(MAX_LINE)));
        assert_eq!(tail.iter().count(), 2, "{} bytes", tail.bytes);
    }
}
