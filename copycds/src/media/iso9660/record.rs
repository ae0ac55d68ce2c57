//! Directory records (ECMA-119 §9.1) and the directories that they fill (§6.8).

use anyhow::{Context, Result, ensure};

use crate::media::bytes::{ByteFields, SECTOR};
use crate::media::entry::Timestamp;

/// File flags (§9.1.6).
const DIRECTORY: u8 = 1 << 1;
const ASSOCIATED: u8 = 1 << 2;
const MULTI_EXTENT: u8 = 1 << 7;

/// One record, its identifier and system use area still raw.
#[derive(Debug)]
pub(super) struct DirectoryRecord<'a> {
    /// First logical block of the extent.
    pub(super) block: u32,
    /// Blocks of the extended attribute record before the data.
    pub(super) attribute_blocks: u8,
    /// Bytes of data in this extent.
    pub(super) len: u32,
    pub(super) mtime: Option<Timestamp>,
    flags: u8,
    interleave: [u8; 2],
    pub(super) identifier: &'a [u8],
    pub(super) system_use: &'a [u8],
}

impl<'a> DirectoryRecord<'a> {
    /// Parses a record that fills `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let fields = ByteFields(bytes);
        let name_len = usize::from(fields.byte(32)?);
        ensure!(name_len > 0, "it has no file identifier");
        let identifier = fields.slice(33, name_len)?;
        // §9.1.12: a padding byte makes the identifier end on an even offset.
        let system_use = 33 + name_len + (name_len + 1) % 2;
        Ok(Self {
            attribute_blocks: fields.byte(1)?,
            block: fields.both32(2)?,
            len: fields.both32(10)?,
            mtime: short_date(fields.slice(18, 7)?),
            flags: fields.byte(25)?,
            interleave: [fields.byte(26)?, fields.byte(27)?],
            identifier,
            system_use: bytes.get(system_use..).unwrap_or_default(),
        })
    }

    /// Whether it is the record of its own directory or of the parent (§6.8.2.2).
    pub(super) fn is_dot(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// Whether it holds a resource fork and the like, which Linux does not show either.
    pub(super) fn is_associated(&self) -> bool {
        self.flags & ASSOCIATED != 0
    }

    /// Whether the next record goes on with the same file (§6.5.1).
    pub(super) fn is_continued(&self) -> bool {
        self.flags & MULTI_EXTENT != 0
    }

    /// Whether its data is recorded with gaps (§6.4.3), which no install medium does.
    pub(super) fn is_interleaved(&self) -> bool {
        self.interleave != [0, 0]
    }
}

/// Iterates over the records of a directory. A record never crosses a sector, so a zero length byte
/// means that the next record begins in the next sector (§6.8.1.1).
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(directory: &'a [u8]) -> Self {
        Self {
            bytes: directory,
            at: 0,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<DirectoryRecord<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        const SECTOR_LEN: usize = SECTOR as usize;
        loop {
            let at = self.at;
            let len = usize::from(*self.bytes.get(at)?);
            let next_sector = (at / SECTOR_LEN + 1) * SECTOR_LEN;
            if len == 0 {
                self.at = next_sector;
                continue;
            }
            let inside = at + len <= next_sector.min(self.bytes.len());
            self.at = if inside { at + len } else { self.bytes.len() };
            let record = || {
                ensure!(inside, "its length of {len} bytes crosses the sector's end");
                DirectoryRecord::parse(&self.bytes[at..at + len])
            };
            return Some(record().with_context(|| format!("the record at byte {at}")));
        }
    }
}

/// Reads a date of seven bytes (§9.1.5): years since 1900, month, day, hour, minute, second, and the
/// offset from Greenwich in quarters of an hour. All zero, or no such date: absent.
pub(super) fn short_date(date: &[u8]) -> Option<Timestamp> {
    let &[year, month, day, hour, minute, second, zone] = date else {
        return None;
    };
    let offset = i64::from(zone.cast_signed()) * 900;
    Timestamp::from_civil(
        1900 + i64::from(year),
        [month, day, hour, minute, second],
        offset,
    )
}

/// Reads a date of seventeen bytes (§8.4.26.1): digits, with hundredths, and the same offset.
pub(super) fn long_date(date: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<u16> {
        std::str::from_utf8(date.get(from..to)?).ok()?.parse().ok()
    };
    let pair = |from: usize| number(from, from + 2).and_then(|value| u8::try_from(value).ok());
    let fields = [pair(4)?, pair(6)?, pair(8)?, pair(10)?, pair(12)?];
    let offset = i64::from(date.get(16)?.cast_signed()) * 900;
    Timestamp::from_civil(number(0, 4)?.into(), fields, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_date_say_the_same_moment() {
        let short = [124, 8, 27, 15, 30, 5, 8];
        let long = b"2024082715300500\x08";
        assert_eq!(short_date(&short), Some(Timestamp(1_724_765_405)));
        assert_eq!(long_date(long), Some(Timestamp(1_724_765_405)));
        assert_eq!(short_date(&[0; 7]), None);
        assert_eq!(long_date(b"0000000000000000\0"), None);
        assert_eq!(long_date(b"2024"), None);
    }
}
