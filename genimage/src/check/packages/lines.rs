//! Lines of an index, lent one at a time, none longer than a limit.

use std::io::BufRead;

use anyhow::{Result, bail};

/// No line is longer; the longest real ones (`Depends:`) have some ten thousand bytes.
const MAX_LINE: usize = 1 << 20;

/// Lends every line without its end; only those that a buffer's end cuts in two are copied.
pub(super) fn each_line(
    mut reader: impl BufRead,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut cut: Vec<u8> = Vec::new();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return if cut.is_empty() { Ok(()) } else { visit(&cut) };
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', buffer) {
            let line = &buffer[start..end];
            if cut.is_empty() {
                visit(line)?;
            } else {
                cut.extend_from_slice(line);
                visit(&cut)?;
                cut.clear();
            }
            start = end + 1;
        }
        cut.extend_from_slice(&buffer[start..]);
        if cut.len() > MAX_LINE {
            bail!("a line of more than {MAX_LINE} bytes");
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader};

    use super::*;

    #[test]
    fn lines_are_lent_whole_wherever_the_buffer_ends() {
        for buffer in 1..8 {
            let mut lines = Vec::new();
            each_line(
                BufReader::with_capacity(buffer, &b"ab\r\n\ncde"[..]),
                |line| {
                    lines.push(line.to_vec());
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(lines, [&b"ab\r"[..], b"", b"cde"]);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let error = each_line(BufReader::new(io::repeat(b'x')), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "a line of more than 1048576 bytes");
    }
}
