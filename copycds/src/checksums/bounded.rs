//! A stream of XML whose elements may be endless, read with a bound on each.
//!
//! `quick-xml` keeps one event in memory at a time, however long: a text of a gigabyte is one event. What
//! is read through [`Bounded`] is an error once more than [`LONGEST`] bytes were taken without anybody
//! saying that a new event begins.

use std::io::{self, BufRead, Read};

/// No event of any metadata is longer; the longest real ones (descriptions) have some ten thousand bytes.
const LONGEST: usize = 1 << 20;

/// Counts what one event takes.
pub(super) struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R) -> Self {
        let left = LONGEST;
        Self { inner, left }
    }

    /// Says that a new event begins.
    pub(super) fn begin(&mut self) {
        self.left = LONGEST;
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.inner.fill_buf()?;
        if self.left == 0 && !buffer.is_empty() {
            let message = format!("one of its elements is longer than {LONGEST} bytes");
            return Err(io::Error::other(message));
        }
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_may_be_long_and_none_endless() {
        let mut bounded = Bounded::new(io::BufReader::new(io::repeat(b'x')));
        for _ in 0..3 {
            bounded.begin();
            let mut event = vec![0; LONGEST];
            bounded.read_exact(&mut event).unwrap();
        }
        let error = bounded.read(&mut [0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "one of its elements is longer than 1048576 bytes"
        );
    }
}
