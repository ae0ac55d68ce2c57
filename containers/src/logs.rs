//! What a container has printed: frames of two streams in, lines out.
//!
//! A container without a terminal has its two streams in frames of eight bytes and a payload (the attach protocol of the
//! Engine API); one with a terminal has a raw stream.

use anyhow::{Result, ensure};

/// The longest line that is kept together.
const MAX_LINE: usize = 64 << 10;

/// Parts what comes into lines.
#[derive(Debug)]
pub(crate) struct ContainerLog {
    /// Whether the stream has frames.
    framed: bool,
    head: Vec<u8>,
    /// What is left of the frame, and the stream that it is of.
    left: usize,
    stream: usize,
    /// The lines that have no end yet: of a terminal or standard input, of standard output, of standard error.
    pending: [Vec<u8>; 3],
}

impl ContainerLog {
    /// Begins.
    pub(crate) fn new(has_terminal: bool) -> Self {
        Self {
            framed: !has_terminal,
            head: Vec::new(),
            left: 0,
            stream: 0,
            pending: Default::default(),
        }
    }

    /// Takes what came, and hands on each line that is complete.
    ///
    /// # Errors
    /// When it is no frame, or what `each` returns.
    pub(crate) fn push(
        &mut self,
        mut chunk: &[u8],
        each: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        if !self.framed {
            return self.line(0, chunk, each);
        }
        while !chunk.is_empty() {
            if self.left == 0 {
                let missing = (8 - self.head.len()).min(chunk.len());
                self.head.extend_from_slice(&chunk[..missing]);
                chunk = &chunk[missing..];
                let Ok([stream, 0, 0, 0, length @ ..]) = <[u8; 8]>::try_from(self.head.as_slice())
                else {
                    ensure!(self.head.len() < 8, "the engine's log has no frames");
                    return Ok(());
                };
                ensure!(stream <= 2, "the engine's log has a stream {stream}");
                self.stream = usize::from(stream);
                self.left = u32::from_be_bytes(length).try_into()?;
                self.head.clear();
                continue;
            }
            let length = self.left.min(chunk.len());
            self.left -= length;
            self.line(self.stream, &chunk[..length], each)?;
            chunk = &chunk[length..];
        }
        Ok(())
    }

    fn line(
        &mut self,
        stream: usize,
        text: &[u8],
        each: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let pending = &mut self.pending[stream];
        for mut piece in text.split_inclusive(|byte| *byte == b'\n') {
            while !piece.is_empty() {
                let (fits, rest) = piece.split_at(piece.len().min(MAX_LINE - pending.len()));
                pending.extend_from_slice(fits);
                piece = rest;
                if pending.ends_with(b"\n") || pending.len() >= MAX_LINE {
                    each(&shown(pending))?;
                    pending.clear();
                }
            }
        }
        Ok(())
    }

    /// Hands on what has no end of line.
    ///
    /// # Errors
    /// What `each` returns.
    pub(crate) fn finish(self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        for pending in self.pending.iter().filter(|pending| !pending.is_empty()) {
            each(&shown(pending))?;
        }
        Ok(())
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(has_terminal: bool, bytes: &[u8], cut: usize) -> Result<Vec<String>> {
        let mut log = ContainerLog::new(has_terminal);
        let mut lines = Vec::new();
        let mut each = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        for chunk in bytes.chunks(cut) {
            log.push(chunk, &mut each)?;
        }
        log.finish(&mut each)?;
        Ok(lines)
    }

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    #[test]
    fn lines_come_whole_wherever_frames_are_cut() {
        let bytes = [
            frame(1, "one\ntw"),
            frame(2, "err\n"),
            frame(1, "o\nlast"),
            frame(1, ""),
        ]
        .concat();
        for cut in 1..bytes.len() {
            assert_eq!(
                lines(false, &bytes, cut).unwrap(),
                ["one", "err", "two", "last"]
            );
        }
        assert_eq!(lines(true, b"\x01a\r\nb", 3).unwrap(), ["\u{1}a", "b"]);
    }

    #[test]
    fn what_has_no_frames_is_refused() {
        for bytes in [&b"<html>page"[..], b"\x07\0\0\0\0\0\0\x01x"] {
            assert!(lines(false, bytes, 64).is_err());
        }
    }
}
