//! The System Use Sharing Protocol (IEEE P1281, SUSP 1.12): extensions in the tail of directory
//! records.
//!
//! A record's system use area comes in; its fields go out, one after the other, `CE` followed into
//! continuation areas. `SP` opens it in the root's own record and says how many bytes of every later
//! area belong to others; `ST` and a rest of fewer than four bytes end an area; `PD` is padding; `ER`
//! names the extensions in use.

use anyhow::{Context, Result, bail, ensure};

use super::volume::IsoVolume;
use crate::media::bytes::ByteFields;
use crate::media::entry::Extent;
use crate::media::image::ImageFile;

/// Continuation areas of one record: the longest name and link target need nine.
const MAX_HOPS: usize = 32;
/// Bytes in all continuation areas of one record.
const MAX_CONTINUED: u64 = 32 << 10;
/// Names under which Rock Ridge announces itself in `ER` (RRIP 1.09, 1.10 and 1.12 §4.3).
const ROCK_RIDGE: [&[u8]; 3] = [b"RRIP_1991A", b"IEEE_P1282", b"IEEE_1282"];

/// One system use field: its signature, and all that follows its four-byte head.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemUseEntry<'a> {
    pub(super) signature: [u8; 2],
    pub(super) data: ByteFields<'a>,
}

/// Calls `each` for every field in `area`, which is a record's system use area.
pub(super) fn fields(
    image: &ImageFile,
    volume: &IsoVolume,
    area: &[u8],
    each: &mut dyn FnMut(SystemUseEntry<'_>) -> Result<()>,
) -> Result<()> {
    let mut next = area_fields(area, each)?;
    let (mut hops, mut bytes) = (0, 0);
    while let Some(Continuation { block, offset, len }) = next {
        hops += 1;
        bytes += u64::from(len);
        ensure!(
            hops <= MAX_HOPS && bytes <= MAX_CONTINUED,
            "its system use field goes on for more than {MAX_HOPS} areas or {MAX_CONTINUED} bytes"
        );
        let extent = Extent {
            offset: volume.offset(block.into()) + u64::from(offset),
            len: len.into(),
        };
        let area = image
            .read(extent)
            .context("reading a continuation of its system use field")?;
        next = area_fields(&area, each)?;
    }
    Ok(())
}

/// Where the fields go on (SUSP §5.1).
struct Continuation {
    block: u32,
    offset: u32,
    len: u32,
}

/// Reads one area; returns where it goes on.
fn area_fields(
    area: &[u8],
    each: &mut dyn FnMut(SystemUseEntry<'_>) -> Result<()>,
) -> Result<Option<Continuation>> {
    let (mut rest, mut next) = (area, None);
    // §4: fields are at least four bytes; what is less, or zero, pads.
    while let [first, second, len, _version, ..] = *rest
        && first != 0
    {
        let Some((field, tail)) = rest.split_at_checked(len.into()).filter(|_| len >= 4) else {
            bail!(
                "its system use field '{}' is {len} bytes long where {} remain",
                [first, second].escape_ascii(),
                rest.len()
            );
        };
        rest = tail;
        let data = ByteFields(&field[4..]);
        match &[first, second] {
            b"ST" => break,
            b"PD" => {}
            b"CE" => {
                ensure!(next.is_none(), "one area of it goes on in two places");
                next = Some(Continuation {
                    block: data.both32(0)?,
                    offset: data.both32(8)?,
                    len: data.both32(16)?,
                });
            }
            &signature => each(SystemUseEntry { signature, data })?,
        }
    }
    Ok(next)
}

/// Returns, if the root directory's own record announces Rock Ridge, how many bytes to skip in every
/// other record's area (SUSP §5.3).
pub(super) fn rock_ridge(
    image: &ImageFile,
    volume: &IsoVolume,
    area: &[u8],
) -> Result<Option<usize>> {
    let [b'S', b'P', 7, _, 0xBE, 0xEF, skip, ..] = *area else {
        return Ok(None);
    };
    let mut announced = false;
    fields(image, volume, area, &mut |field| {
        announced |= match &field.signature {
            b"ER" => {
                let id_len = field.data.byte(0)?.into();
                ROCK_RIDGE.contains(&field.data.slice(4, id_len)?)
            }
            // Some writers leave the announcement out; nothing else has these fields.
            b"RR" | b"PX" => true,
            _ => false,
        };
        Ok(())
    })?;
    Ok(announced.then_some(skip.into()))
}
