//! Metadata with the name that it has, lent a line at a time.

use std::io::{BufRead, Read};

use crate::error::{Location, ReadError};
use crate::{Compression, Decompressor, MAX_ITEM};

/// What is kept in memory as a whole inflates to no more, in bytes.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Metadata to be read.
#[derive(Debug)]
pub struct Input<'a> {
    pub(crate) name: String,
    pub(crate) stream: Decompressor<'a>,
}

impl<'a> Input<'a> {
    /// Opens a stream that is compressed as its name says.
    ///
    /// # Errors
    /// A stream that does not begin as its compression does.
    pub fn open(name: &str, packed: impl Read + 'a) -> Result<Self, ReadError> {
        Self::with_compression(name, Compression::of(name), packed)
    }

    /// Takes bytes that are not compressed.
    ///
    /// # Errors
    /// None today.
    pub fn plain(name: &str, bytes: impl Read + 'a) -> Result<Self, ReadError> {
        Self::with_compression(name, Compression::None, bytes)
    }

    fn with_compression(
        name: &str,
        compression: Compression,
        packed: impl Read + 'a,
    ) -> Result<Self, ReadError> {
        let stream = Decompressor::new(compression, packed);
        let stream = stream.map_err(|error| ReadError {
            file: name.to_owned(),
            location: Location::File,
            problem: error.to_string(),
        })?;
        Ok(Self {
            name: name.to_owned(),
            stream,
        })
    }

    /// Bounds it further, for what is kept in memory as a whole.
    pub(crate) fn document(self) -> Self {
        Self {
            stream: self.stream.limit(MAX_DOCUMENT),
            ..self
        }
    }

    /// Lends every line without its end, with its number from 1.
    pub(crate) fn each_line<E: From<ReadError>>(
        mut self,
        mut visit: impl FnMut(&str, u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.name.as_str();
        let at = |number, problem| ReadError {
            file: name.to_owned(),
            location: Location::Line(number),
            problem,
        };
        let mut visit =
            |number, line: &[u8]| visit(name, number, line.strip_suffix(b"\r").unwrap_or(line));
        // Only a line that the end of a buffer cuts in two is copied.
        let mut cut: Vec<u8> = Vec::new();
        let mut number = 1;
        loop {
            let buffer = self.stream.fill_buf();
            let buffer = buffer.map_err(|error| at(number, error.to_string()))?;
            if buffer.is_empty() {
                return if cut.is_empty() {
                    Ok(())
                } else {
                    visit(number, &cut)
                };
            }
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', buffer) {
                let line = &buffer[start..end];
                if cut.is_empty() {
                    visit(number, line)?;
                } else {
                    cut.extend_from_slice(line);
                    visit(number, &cut)?;
                    cut.clear();
                }
                start = end + 1;
                number += 1;
            }
            cut.extend_from_slice(&buffer[start..]);
            if cut.len() > MAX_ITEM {
                let problem = format!("it is longer than {MAX_ITEM} bytes");
                return Err(at(number, problem).into());
            }
            let length = buffer.len();
            self.stream.consume(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Gives one byte more at each read, so that lines are cut at every place.
    struct Steps<'a>(&'a [u8], usize);

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            (&mut self.0).take(length as u64).read(buffer)
        }
    }

    #[test]
    fn lines_are_lent_whole_wherever_the_buffer_ends() {
        for step in 1..8 {
            let input = Input::open("a", Steps(b"ab\r\n\ncde", step)).unwrap();
            let mut lines = Vec::new();
            input
                .each_line(|name, number, line| {
                    lines.push((name.to_owned(), number, line.to_vec()));
                    Ok::<_, ReadError>(())
                })
                .unwrap();
            let line = |number, line: &[u8]| ("a".to_owned(), number, line.to_vec());
            assert_eq!(lines, [line(1, b"ab"), line(2, b""), line(3, b"cde")]);
        }
    }

    #[test]
    fn an_endless_line_is_refused_with_its_place() {
        let input = Input::open("a", (&b"x\n"[..]).chain(io::repeat(b'x'))).unwrap();
        let error = input
            .each_line(|_, _, _| Ok::<_, ReadError>(()))
            .unwrap_err();
        assert_eq!(error.file, "a");
        assert_eq!(
            error.to_string(),
            "line 2: it is longer than 16777216 bytes"
        );
    }
}
