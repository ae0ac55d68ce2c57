//! Boot programs that the tool which made the image wrote into, after someone had listed their digest.
//!
//! `-boot-info-table` fills bytes 8 to 63 of the El Torito boot file with where it is
//! (mkisofs(8), "EL TORITO BOOT INFORMATION TABLE"). A list that was made before is of other bytes.
//! What was there is known for isolinux and GRUB, so that their digests can be computed again; for
//! others, the table's own checksum of all bytes after it has to do.

use anyhow::Result;

use crate::digest::Digest;
use crate::media::{DataLocation, EntryKind, Medium, MediumEntry};

/// Boot programs are small; what is larger has no table.
const MAX_BYTES: u64 = 8 << 20;
const TABLE: std::ops::Range<usize> = 8..64;

/// Returns the digest that `entry` should have, given the one that is listed; nothing when the list was
/// made before the file was written into and cannot be computed again.
pub(super) fn as_on_medium(
    medium: &Medium,
    entry: &MediumEntry,
    listed: Digest,
) -> Result<Option<Digest>> {
    let Some(sector) = boot_file(medium, entry) else {
        return Ok(Some(listed));
    };
    let bytes = medium.read(entry, MAX_BYTES)?;
    if !has_table(&bytes, sector) {
        return Ok(Some(listed));
    }
    let found = Digest::of(listed.algorithm(), &bytes);
    let before =
        [zeroed(&bytes), isolinux(&bytes)].map(|bytes| Digest::of(listed.algorithm(), &bytes));
    if before.contains(&listed) {
        return Ok(Some(found));
    }
    Ok((found == listed || !checksum_holds(&bytes)).then_some(listed))
}

/// Returns the first sector of a file that firmware boots.
fn boot_file(medium: &Medium, entry: &MediumEntry) -> Option<u32> {
    let EntryKind::File {
        size,
        content: DataLocation::Extents(extents),
    } = &entry.kind
    else {
        return None;
    };
    let start = extents.first()?.offset;
    let boots = medium.boot().iter().any(|boot| boot.extent.offset == start);
    (boots && (64..=MAX_BYTES).contains(size))
        .then(|| u32::try_from(start / 2048).ok())
        .flatten()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_le_bytes(word.unwrap_or_default())
}

fn has_table(bytes: &[u8], sector: u32) -> bool {
    word(bytes, 8) == 16 && word(bytes, 12) == sector && word(bytes, 16) as usize == bytes.len()
}

/// Whether the sum of all 32-bit words after the table is what the table says.
fn checksum_holds(bytes: &[u8]) -> bool {
    let words = bytes[TABLE.end..].chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    });
    words.fold(0, u32::wrapping_add) == word(bytes, 20)
}

/// GRUB leaves zeros for the table.
fn zeroed(bytes: &[u8]) -> Vec<u8> {
    let mut before = bytes.to_vec();
    before[TABLE].fill(0);
    before
}

/// isolinux leaves the sector of the volume descriptor, a zero, and 0xdeadbeef twelve times.
fn isolinux(bytes: &[u8]) -> Vec<u8> {
    let mut before = zeroed(bytes);
    before[8] = 16;
    let rest = &mut before[16..TABLE.end];
    rest.chunks_exact_mut(4)
        .for_each(|word| word.copy_from_slice(&0xdead_beef_u32.to_le_bytes()));
    before
}
