//! Opens metadata in the compressions that media really use, and never lets it grow without bound.
//!
//! A stream comes in with the name that says how it is packed; a stream of at most [`LARGEST`] bytes
//! goes out. Debian and Ubuntu pack with gzip (and xz), rpm media with gzip, xz (EL 7) and zstd (EL 10,
//! Fedora). bzip2 is met on SQLite files alone, which nobody here reads.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

/// No index inflates to more; the largest real ones have some hundred megabytes.
const LARGEST: u64 = 1 << 30;

/// No decoder's window is larger: `xz -9` needs 64 MiB, `zstd --ultra` is not used for metadata.
const WINDOW_KIB: u32 = 96 << 10;

/// Endings that can be opened, the cheapest to read first.
pub(super) const ENDINGS: [&str; 4] = [".gz", ".zst", ".xz", ""];

/// Opens a stream that is packed as its name says.
pub(super) fn open<'a>(name: &str, packed: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let packed = BufReader::with_capacity(64 << 10, packed);
    let plain: Box<dyn Read + 'a> = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("gz") => Box::new(MultiGzDecoder::new(packed)),
        Some("xz") => Box::new(XzReader::new_mem_limit(packed, true, WINDOW_KIB)),
        Some("zst") => {
            let limit = u64::from(WINDOW_KIB) << 10;
            let decoder = StreamingDecoder::new_with_max_window_size(packed, limit);
            Box::new(decoder.map_err(io::Error::other)?)
        }
        _ => Box::new(packed),
    };
    Ok(Box::new(BufReader::with_capacity(
        64 << 10,
        Limited {
            plain,
            left: LARGEST,
        },
    )))
}

/// Errors, where `Take` would silently end.
struct Limited<R> {
    plain: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("it inflates to more than {LARGEST} bytes")))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn inflated(name: &str, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        open(name, packed)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    /// Packs with the tool that makes such files; every development machine has all three.
    fn packed(tool: &str, plain: &[u8]) -> Vec<u8> {
        let mut child = Command::new(tool)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {tool}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let plain = plain.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&plain));
        let packed = child.wait_with_output().unwrap().stdout;
        writer.join().unwrap().unwrap();
        packed
    }

    #[test]
    fn what_each_tool_packs_is_read_back() {
        let plain: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        for (tool, name) in [
            ("gzip", "a.gz"),
            ("xz", "a.xz"),
            ("zstd", "a.xml.zst"),
            ("cat", "a"),
        ] {
            let packed = if tool == "cat" {
                plain.clone()
            } else {
                packed(tool, &plain)
            };
            assert_eq!(inflated(name, &packed).unwrap(), plain, "{tool}");
            if tool != "cat" {
                let mut twice = packed.clone();
                twice.truncate(packed.len() / 2);
                assert!(inflated(name, &twice).is_err(), "{tool}: half a file");
            }
        }
    }

    #[test]
    fn what_grows_without_bound_is_an_error() {
        let mut limited = Limited {
            plain: io::repeat(0),
            left: 3,
        };
        let error = limited.read(&mut [0; 8]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it inflates to more than 1073741824 bytes"
        );
    }
}
