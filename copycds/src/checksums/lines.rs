//! Lines of metadata that may be large and may be hostile: one at a time, none longer than a limit.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail};

/// No line of any metadata is longer; the longest real ones (`Depends:`) have some ten thousand bytes.
const LONGEST: u64 = 1 << 20;

/// Reads lines and counts them.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            number: 0,
        }
    }

    /// Returns the next line without its end, or nothing after the last one.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        self.number += 1;
        let number = self.number;
        let read = self
            .reader
            .by_ref()
            .take(LONGEST)
            .read_until(b'\n', &mut self.line);
        if read.with_context(|| format!("reading line {number}"))? == 0 {
            return Ok(None);
        }
        match self.line.pop_if(|byte| *byte == b'\n') {
            Some(_) => drop(self.line.pop_if(|byte| *byte == b'\r')),
            None if self.line.len() as u64 == LONGEST => {
                bail!("line {number} is longer than {LONGEST} bytes")
            }
            None => {}
        }
        Ok(Some(&self.line))
    }

    /// Returns the number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_a_last_one_needs_none() {
        let mut lines = Lines::new(&b"a\r\n\nb"[..]);
        assert_eq!(lines.next().unwrap(), Some(&b"a"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().unwrap(), Some(&b"b"[..]));
        assert_eq!(lines.number(), 3);
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::new(std::io::BufReader::new(std::io::repeat(b'x')));
        let message = lines.next().unwrap_err().to_string();
        assert_eq!(message, "line 1 is longer than 1048576 bytes");
    }
}
