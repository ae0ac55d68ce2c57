//! Descriptor tags: the 16 bytes that open every UDF structure (ECMA-167 3/7.2, UDF 2.60 §2.2.1).

use anyhow::{Result, bail, ensure};

use crate::media::bytes::ByteFields;

/// Bytes in a tag.
const TAG: usize = 16;

/// What a structure is (ECMA-167 3/7.2.1 and 4/7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagId {
    PrimaryVolume,
    Anchor,
    VolumePointer,
    Partition,
    LogicalVolume,
    Terminating,
    FileSet,
    FileIdentifier,
    AllocationExtent,
    FileEntry,
    ExtendedFileEntry,
    /// One that is not needed to read files.
    Other(u16),
}

/// Checks the tag that opens `bytes`, its own sum and the CRC of what it describes, and returns what
/// it is. `location` is the block that its tag must record, if that is known.
pub(super) fn check(bytes: &[u8], location: Option<u32>) -> Result<TagId> {
    let fields = ByteFields(bytes);
    let tag = fields.slice(0, TAG)?;
    let sum = tag[..4]
        .iter()
        .chain(&tag[5..])
        .fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    ensure!(
        sum == tag[4] && tag.iter().any(|&byte| byte != 0),
        "there is no UDF descriptor"
    );
    let (recorded, len) = (fields.le16(8)?, usize::from(fields.le16(10)?));
    let is = crc(fields.slice(TAG, len)?);
    ensure!(
        is == recorded,
        "its checksum is {is:#06x}, but it records {recorded:#06x}"
    );
    let recorded_location = fields.le32(12)?;
    match location {
        Some(location) if location != recorded_location => {
            bail!("it is in block {location} but its tag says {recorded_location}")
        }
        _ => {}
    }
    Ok(match fields.le16(0)? {
        1 => TagId::PrimaryVolume,
        2 => TagId::Anchor,
        3 => TagId::VolumePointer,
        5 => TagId::Partition,
        6 => TagId::LogicalVolume,
        8 => TagId::Terminating,
        256 => TagId::FileSet,
        257 => TagId::FileIdentifier,
        258 => TagId::AllocationExtent,
        261 => TagId::FileEntry,
        266 => TagId::ExtendedFileEntry,
        other => TagId::Other(other),
    })
}

/// CRC-16 with the polynomial x¹⁶ + x¹² + x⁵ + 1, high bit first, from zero (ECMA-167 3/7.2.6).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The example of UDF 2.60 §6.5.
        assert_eq!(crc(&[0x70, 0x6A, 0x77]), 0x3299);
    }

    #[test]
    fn a_tag_that_does_not_fit_is_refused() {
        let mut tag = [0_u8; 20];
        (tag[0], tag[4], tag[12]) = (6, 6 + 7, 7);
        assert_eq!(check(&tag, Some(7)).unwrap(), TagId::LogicalVolume);
        let error = |tag: &[u8], location| check(tag, location).unwrap_err().to_string();
        assert_eq!(error(&tag, Some(8)), "it is in block 8 but its tag says 7");
        assert_eq!(error(&[0; 16], None), "there is no UDF descriptor");
        (tag[4], tag[10], tag[16]) = (6 + 7 + 4, 4, 1);
        assert_eq!(
            error(&tag, None),
            "its checksum is 0x76b4, but it records 0x0000"
        );
    }
}
