//! An image file or an optical device as a run of bytes with an end.
//!
//! Reads by position (`pread`), so that any number of readers share one descriptor, and never maps:
//! a mapping of a file that shrinks, or of a disc with a scratch, kills the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};

use anyhow::{Context, Result, ensure};

use super::bytes::{SECTOR, Sector};
use super::entry::Extent;

/// An opened image or device and its length.
#[derive(Debug)]
pub(super) struct ImageFile {
    file: File,
    len: u64,
    /// When it was last changed, as far as it was when it was opened.
    changed: (i64, i64),
}

impl ImageFile {
    /// Takes an opened file or device; its length is where its end is, which works for both.
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        let changed = changed(&file)?;
        Ok(Self { file, len, changed })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether nobody has written to it since it was opened, as far as its file system shows.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(changed(&self.file)? == self.changed)
    }

    /// Whether every byte of `extent` exists.
    pub(super) fn holds(&self, extent: Extent) -> bool {
        extent
            .offset
            .checked_add(extent.len)
            .is_some_and(|end| end <= self.len)
    }

    /// Reads all of `extent`; the caller has bounded its length.
    pub(super) fn read(&self, extent: Extent) -> Result<Vec<u8>> {
        let Extent { offset, len } = extent;
        ensure!(
            self.holds(extent),
            "reading {len} bytes at offset {offset}: the image ends at {}",
            self.len
        );
        let mut bytes = vec![0; usize::try_from(len)?];
        self.file
            .read_exact_at(&mut bytes, offset)
            .with_context(|| format!("reading {len} bytes at offset {offset}"))?;
        Ok(bytes)
    }

    /// Reads one sector.
    pub(super) fn sector(&self, sector: Sector) -> Result<Vec<u8>> {
        self.read(Extent {
            offset: sector.offset(),
            len: SECTOR,
        })
    }
}

/// Tells when a file was last changed; a device has no such time of its own.
fn changed(file: &File) -> io::Result<(i64, i64)> {
    let meta = file.metadata()?;
    Ok(if meta.is_file() {
        (meta.ctime(), meta.ctime_nsec())
    } else {
        (0, 0)
    })
}

/// Reads the bytes of several extents one after the other.
#[derive(Debug)]
pub(super) struct Extents<'a> {
    image: &'a ImageFile,
    extents: std::slice::Iter<'a, Extent>,
    now: Extent,
}

impl<'a> Extents<'a> {
    pub(super) fn new(image: &'a ImageFile, extents: &'a [Extent]) -> Self {
        Self {
            image,
            extents: extents.iter(),
            now: Extent { offset: 0, len: 0 },
        }
    }
}

impl Read for Extents<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.now.len == 0 {
            let Some(&next) = self.extents.next() else {
                return Ok(0);
            };
            self.now = next;
        }
        let wanted = buf
            .len()
            .min(usize::try_from(self.now.len).unwrap_or(usize::MAX));
        let offset = self.now.offset;
        let got = self
            .image
            .file
            .read_at(&mut buf[..wanted], offset)
            .map_err(|err| io::Error::new(err.kind(), format!("at offset {offset}: {err}")))?;
        if got == 0 && wanted > 0 {
            let end = format!("the image ends at offset {offset}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, end));
        }
        self.now.offset += got as u64;
        self.now.len -= got as u64;
        Ok(got)
    }
}
