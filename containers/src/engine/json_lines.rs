//! JSON values one after the other, as pulls send them: cut anywhere, with or without ends of lines.

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Deserializer, Value};

/// The longest single value.
const MAX_LENGTH: usize = 1 << 20;

/// Values that are not complete yet.
#[derive(Debug, Default)]
pub(crate) struct JsonLines {
    pending: Vec<u8>,
    read: usize,
}

impl JsonLines {
    /// Adds what came.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<()> {
        self.pending.drain(..self.read);
        self.read = 0;
        let length = self.pending.len() + chunk.len();
        ensure!(
            length <= MAX_LENGTH || self.pending.is_empty(),
            "one message of the engine's stream is longer than {MAX_LENGTH} bytes"
        );
        self.pending.extend_from_slice(chunk);
        Ok(())
    }

    /// Returns the next complete value.
    pub(crate) fn next(&mut self) -> Result<Option<Value>> {
        let rest = &self.pending[self.read..];
        let first = rest.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some_and(|first| *first != b'{') {
            // A number that is cut would be two.
            return Err(anyhow!("expected an object")).context("reading the engine's stream");
        }
        let mut values = Deserializer::from_slice(rest).into_iter::<Value>();
        match values.next() {
            None => Ok(None),
            Some(Ok(value)) => {
                self.read += values.byte_offset();
                Ok(Some(value))
            }
            Some(Err(error)) if error.is_eof() => Ok(None),
            Some(Err(error)) => Err(error).context("reading the engine's stream"),
        }
    }

    /// Refuses a stream that ends within a value.
    pub(crate) fn finish(self) -> Result<()> {
        let rest = &self.pending[self.read..];
        ensure!(
            rest.iter().all(u8::is_ascii_whitespace),
            "the engine's stream ended within a message"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Result<Vec<Value>> {
        let mut lines = JsonLines::default();
        let mut values = Vec::new();
        for chunk in chunks {
            lines.push(chunk)?;
            while let Some(value) = lines.next()? {
                values.push(value);
            }
        }
        lines.finish()?;
        Ok(values)
    }

    #[test]
    fn values_come_whole_wherever_they_are_cut() {
        let text = "{\"status\":\"Pulling \u{e9}\"}\r\n{\"id\":\"a\"}{\"n\":[1,2]}\n".as_bytes();
        let whole = read(&[text]).unwrap();
        assert_eq!(whole.len(), 3);
        for at in 0..text.len() {
            assert_eq!(
                read(&[&text[..at], &text[at..]]).unwrap(),
                whole,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_or_no_json_is_an_error() {
        assert_eq!(
            read(&[b"{\"a\":1}{\"b\""]).unwrap_err().to_string(),
            "the engine's stream ended within a message"
        );
        assert_eq!(
            read(&[b"<html>"]).unwrap_err().to_string(),
            "reading the engine's stream"
        );
        let long = vec![b'1'; MAX_LENGTH];
        assert!(read(&[b"[\"", &long, b"\"]"]).is_err());
    }
}
