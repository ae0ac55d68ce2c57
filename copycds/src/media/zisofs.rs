//! zisofs, version 1: files that `mkzftree` compressed before the image was made.
//!
//! The compressed bytes of a file come in as a stream; its real bytes go out. The form (zisofs-tools
//! `mkzftree.h`, Linux `fs/isofs/compress.c`): a header of 16 bytes, one pointer of four bytes to the
//! start of every block and one to the end of the last, then the blocks, each zlib data, or nothing at
//! all for a block of zeros. Every block but the last inflates to the same length; anything else is an
//! error, so that the stream is as long as the medium says or ends in one.

use std::io::{self, Read};

use anyhow::{Context, Result, ensure};
use flate2::{Decompress, FlushDecompress, Status};

use super::bytes::ByteFields;

const MAGIC: [u8; 8] = [0x37, 0xE4, 0x53, 0x96, 0xC9, 0xDB, 0xD6, 0x07];
const HEADER: usize = 16;
/// Bytes in one pointer.
const POINTER: u64 = 4;
/// Logarithms of the block lengths that Linux reads.
const BLOCK_LOG: std::ops::RangeInclusive<u8> = 15..=17;

/// Inflates a stream block by block.
pub(super) struct Inflated<R> {
    packed: R,
    /// Where each block ends in the stream, the next one last, and where the one before ended.
    ends: std::vec::IntoIter<u32>,
    position: u32,
    block_len: usize,
    /// Bytes that are still to come out, and the block that they come out of now.
    left: u64,
    block: Vec<u8>,
    taken: usize,
}

impl<R: Read> Inflated<R> {
    /// Reads the header and the pointers of a file that is to be `size` bytes long.
    pub(super) fn new(mut packed: R, size: u64) -> Result<Self> {
        let mut header = [0; HEADER];
        packed
            .read_exact(&mut header)
            .context("reading its header")?;
        let fields = ByteFields(&header);
        ensure!(
            header.starts_with(&MAGIC),
            "its header is not that of zisofs"
        );
        let header_size = u64::from(fields.le32(8)?);
        ensure!(
            header_size == size,
            "its header says {header_size} bytes, its directory record {size}"
        );
        let (header_len, block_log) = (usize::from(header[12]) * 4, header[13]);
        ensure!(
            header_len == HEADER && BLOCK_LOG.contains(&block_log),
            "its header of {header_len} bytes with blocks of 2^{block_log} is of no known version"
        );
        let block_len = 1_usize << block_log;
        let pointers = (size.div_ceil(block_len as u64) + 1) * POINTER;
        let mut table = Vec::new();
        packed
            .by_ref()
            .take(pointers)
            .read_to_end(&mut table)
            .context("reading its block pointers")?;
        ensure!(table.len() as u64 == pointers, "its block pointers are cut");
        let ends: Vec<u32> = table
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let position = u32::try_from(HEADER as u64 + pointers)?;
        ensure!(
            ends[0] == position && ends.is_sorted(),
            "its block pointers are out of order"
        );
        let mut ends = ends.into_iter();
        ends.next();
        Ok(Self {
            packed,
            ends,
            position,
            block_len,
            left: size,
            block: Vec::new(),
            taken: 0,
        })
    }

    /// Inflates the next block.
    fn next_block(&mut self) -> io::Result<()> {
        let bad = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text);
        let end = self
            .ends
            .next()
            .ok_or_else(|| bad("its blocks are too few"))?;
        let packed_len = u64::from(end - self.position);
        self.position = end;
        let want =
            usize::try_from(self.left).map_or(self.block_len, |left| left.min(self.block_len));
        self.block.clear();
        self.taken = 0;
        if packed_len == 0 {
            self.block.resize(want, 0);
            return Ok(());
        }
        // zlib data of a block never grows by more than this (zlib.h, compressBound).
        if packed_len > self.block_len as u64 * 2 {
            return Err(bad("a block of it is too long"));
        }
        let mut packed = Vec::new();
        self.packed
            .by_ref()
            .take(packed_len)
            .read_to_end(&mut packed)?;
        self.block.reserve_exact(want + 1);
        let status = Decompress::new(true)
            .decompress_vec(&packed, &mut self.block, FlushDecompress::Finish)
            .map_err(|_| bad("a block of it does not inflate"))?;
        if status != Status::StreamEnd || self.block.len() != want {
            return Err(bad("a block of it inflates to another length"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() && self.left > 0 && !buf.is_empty() {
            self.next_block()?;
        }
        let ready = &self.block[self.taken..];
        let len = ready.len().min(buf.len());
        buf[..len].copy_from_slice(&ready[..len]);
        self.taken += len;
        self.left -= len as u64;
        Ok(len)
    }
}
