//! Where the bytes of files are, and readers of them: nothing is read before it is asked for.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Stored {
        archive: Arc<File>,
        offset: u64,
        size: u64,
    },
    Bytes(Vec<u8>),
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Stored { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Reads a stored content.
pub(super) struct ContentReader<'a> {
    pub(super) content: &'a Content,
    pub(super) at: u64,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.content.size() - self.at;
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = match self.content {
            Content::Stored {
                archive, offset, ..
            } => archive.read_at(&mut buffer[..wanted], offset + self.at)?,
            Content::Bytes(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                buffer[..wanted].copy_from_slice(&bytes[at..at + wanted]);
                wanted
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads a file that others read too.
pub(super) struct ReadAt {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Hashes what is read.
pub(super) struct HashingReader<R> {
    pub(super) inner: R,
    pub(super) hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
