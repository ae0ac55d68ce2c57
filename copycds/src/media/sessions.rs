//! Sessions after the one at the beginning of an image, which is the one that is read.
//!
//! Whoever appends to a disc writes a session: volume descriptors and a tree of their own, which may name files of those
//! before. What is at the beginning then is the oldest state of the disc, not what a drive shows of it. Writers that
//! replace the descriptors at the beginning (xorriso on files) leave one session to read. Reference: ECMA-119 §6.2.1;
//! isofs `get_session_start` in Linux fs/isofs/inode.c.

use anyhow::{Result, ensure};

use super::bytes::{ByteFields, SECTOR};
use super::entry::Extent;
use super::image::ImageFile;

/// Bytes after the first session in which a second one is looked for: 11,400 sectors are between the first two on a CD.
const MAX_GAP: u64 = 32 << 20;
/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;
/// Sectors of a session before its first volume descriptor.
const SYSTEM_AREA: u64 = 16;

/// Refuses an image with a session after the first, which ends at `end`.
///
/// # Errors
/// When there is one, or the image cannot be read.
pub(super) fn ensure_one(image: &ImageFile, end: u64) -> Result<()> {
    let mut offset = end.next_multiple_of(SECTOR);
    let last = image.len().min(offset.saturating_add(MAX_GAP));
    while offset + SECTOR <= last {
        let len = PIECE.min(last - offset) / SECTOR * SECTOR;
        let bytes = image.read(Extent { offset, len })?;
        let sectors = (offset / SECTOR..).zip(bytes.chunks_exact(2048));
        for (number, sector) in sectors {
            ensure!(
                !begins_tree(number, sector),
                "it has a second session, which begins in sector {start}, and only the first could be read: mount the \
                 second (mount -o ro,loop,sbsector={start}) and give the directory",
                start = number.saturating_sub(SYSTEM_AREA)
            );
        }
        offset += len;
    }
    Ok(())
}

/// Whether a sector is a primary volume descriptor of a session: addresses are those of the whole disc, so that its tree
/// is after it. Those of an image within the image are its own.
fn begins_tree(number: u64, sector: &[u8]) -> bool {
    let root = || ByteFields(sector).le32(158).map_or(0, u64::from);
    sector.starts_with(b"\x01CD001\x01") && root() > number
}
