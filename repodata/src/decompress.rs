//! Opens metadata in the compressions that repositories use, and never lets it grow without bound.
//!
//! A stream comes in with its compression; a stream of at most [`MAX_BYTES`] bytes goes out. Debian and Ubuntu
//! compress with gzip and xz (bzip2 until 2016), repositories that others make for apt with bzip2 and lz4 too, rpm-md
//! with gzip, bzip2 and xz (EL 7) and zstd (EL 10, Fedora).

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use crate::MAX_BYTES;
use crate::lz4::Lz4Frames;

/// No decoder's window is larger: `xz -9` needs 64 MiB, `zstd --ultra` is not used for metadata.
const MAX_WINDOW: u32 = 96 << 20;

const BUFFER: usize = 256 << 10;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.gz`.
    Gzip,
    /// `.zst`.
    Zstd,
    /// `.xz`.
    Xz,
    /// `.bz2`.
    Bzip2,
    /// `.lz4`.
    Lz4,
}

impl Compression {
    /// Every one, the cheapest to read first.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Gzip,
        Self::Zstd,
        Self::Xz,
        Self::Bzip2,
        Self::Lz4,
    ];

    /// Every one, the cheapest to read from a slow medium first.
    pub const FOR_SLOW_MEDIA: [Self; 6] = [
        Self::Gzip,
        Self::Zstd,
        Self::Xz,
        Self::Bzip2,
        Self::Lz4,
        Self::None,
    ];

    /// Returns what a file's name ends in: `.gz`.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Lz4 => ".lz4",
        }
    }

    /// Returns the compression that a file's name tells.
    pub fn of(name: &str) -> Self {
        let compressed = Self::ALL.into_iter().skip(1);
        let mut named = compressed.filter(|one| name.ends_with(one.suffix()));
        named.next().unwrap_or(Self::None)
    }
}

/// A stream of decompressed bytes; more than its bound is an error, where `Take` would silently end.
pub struct Decompressor<'a> {
    inner: Box<dyn BufRead + 'a>,
    left: u64,
    limit: u64,
}

impl<'a> Decompressor<'a> {
    /// Opens a stream.
    ///
    /// # Errors
    /// A stream that does not begin as its compression does.
    pub fn new(compression: Compression, packed: impl Read + 'a) -> io::Result<Self> {
        let packed = BufReader::with_capacity(BUFFER, packed);
        let buffered =
            |plain: Box<dyn Read + 'a>| Box::new(BufReader::with_capacity(BUFFER, plain));
        let inner: Box<dyn BufRead + 'a> = match compression {
            Compression::None => Box::new(packed),
            Compression::Gzip => buffered(Box::new(MultiGzDecoder::new(packed))),
            Compression::Xz => {
                let decoder = XzReader::new_mem_limit(packed, true, MAX_WINDOW >> 10);
                buffered(Box::new(decoder))
            }
            Compression::Zstd => {
                let limit = u64::from(MAX_WINDOW);
                let decoder = StreamingDecoder::new_with_max_window_size(packed, limit);
                buffered(Box::new(decoder.map_err(io::Error::other)?))
            }
            Compression::Lz4 => buffered(Box::new(Lz4Frames::new(packed))),
            Compression::Bzip2 => buffered(Box::new(MultiBzDecoder::new(packed))),
        };
        Ok(Self {
            inner,
            left: MAX_BYTES,
            limit: MAX_BYTES,
        })
    }

    /// Lowers the bound for what is kept in memory as a whole.
    pub(crate) fn limit(self, limit: u64) -> Self {
        Self {
            left: limit,
            limit,
            ..self
        }
    }
}

impl BufRead for Decompressor<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let limit = self.limit;
        let buffer = self.inner.fill_buf()?;
        if self.left == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!(
                "it inflates to more than {limit} bytes"
            )));
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(&buffer[..buffer.len().min(left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}

impl Read for Decompressor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn inflated(compression: Compression, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Decompressor::new(compression, packed)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    /// Packs with the tool that makes such files; every development machine has all of them.
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
    fn what_each_tool_packs_is_read_back_and_half_a_file_is_an_error() {
        let plain: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(inflated(Compression::None, &plain).unwrap(), plain);
        for (tool, name) in [
            ("gzip", "a.gz"),
            ("xz", "a.xz"),
            ("zstd", "a.xml.zst"),
            ("bzip2", "Packages.bz2"),
            ("lz4", "Packages.lz4"),
        ] {
            let compression = Compression::of(name);
            let packed = packed(tool, &plain);
            assert_eq!(inflated(compression, &packed).unwrap(), plain, "{tool}");
            let half = &packed[..packed.len() / 2];
            assert!(inflated(compression, half).is_err(), "{tool}: half a file");
        }
    }

    #[test]
    fn a_name_tells_the_compression() {
        for (name, expected) in [
            ("Packages", Compression::None),
            ("a-primary.xml", Compression::None),
            ("a-primary.xml.gz", Compression::Gzip),
            ("Packages.bz2", Compression::Bzip2),
            ("dists/x.gz/Packages", Compression::None),
        ] {
            assert_eq!(Compression::of(name), expected, "{name}");
        }
    }

    #[test]
    fn what_grows_without_bound_is_an_error() {
        let endless = Decompressor::new(Compression::None, io::repeat(0)).unwrap();
        let mut read = Vec::new();
        let error = endless.limit(3).read_to_end(&mut read).unwrap_err();
        assert_eq!(error.to_string(), "it inflates to more than 3 bytes");
        assert_eq!(read, [0; 3]);
    }
}
