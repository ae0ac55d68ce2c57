//! Where the bytes of files are, and readers of them: nothing is read before it is asked for.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
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

/// Reads the headers of an archive that others read too: what is between them is passed over by seeking.
pub(super) struct HeaderReader<'a> {
    pub(super) archive: &'a File,
    pub(super) at: u64,
    /// How many bytes the headers of an entry may still have.
    pub(super) left: &'a Cell<u64>,
}

impl Read for HeaderReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.archive.read_at(buffer, self.at)?;
        let left = self.left.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("the headers of an entry are too long"))?;
        self.left.set(left);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for HeaderReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.archive.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
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
