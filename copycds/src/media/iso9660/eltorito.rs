//! The boot catalog (El Torito 1.0 §2): what firmware would boot from an image.

use anyhow::{Context, Result, ensure};

use crate::media::bytes::{ByteFields, FieldError, Sector};
use crate::media::entry::{BootImage, BootPlatform, Emulation, Extent};
use crate::media::image::ImageFile;

/// Bytes in one catalog entry.
const ENTRY: usize = 32;
/// Entries of one catalog: it is read up to one sector, and no known disc fills that.
const MAX_ENTRIES: usize = 2048 / ENTRY;

/// Reads the boot catalog in `sector`. It must open with a validation entry (§2.1) whose words add up
/// to zero.
pub(in crate::media) fn boot_images(image: &ImageFile, sector: Sector) -> Result<Vec<BootImage>> {
    let reading = || format!("reading the boot catalog in sector {}", sector.0);
    let catalog = image.sector(sector).with_context(reading)?;
    validate(&catalog).with_context(reading)?;
    let mut images = vec![
        boot_image(ByteFields(&catalog[ENTRY..]), platform(catalog[1])).with_context(reading)?,
    ];
    let mut at = 2;
    // §2.3: sections follow, each a header (0x90; the last one 0x91) with its entries. An entry may be
    // extended (§2.5, 0x44), which only matters to the firmware.
    while at < MAX_ENTRIES && matches!(catalog[at * ENTRY], 0x90 | 0x91) {
        let header = ByteFields(&catalog[at * ENTRY..]);
        let (section_platform, count) = (platform(header.byte(1)?), header.le16(2)?);
        let last_section = header.byte(0)? == 0x91;
        at += 1;
        let mut left = count;
        while left > 0 && at < MAX_ENTRIES {
            let entry = ByteFields(&catalog[at * ENTRY..]);
            at += 1;
            if entry.byte(0)? != 0x44 {
                images.push(boot_image(entry, section_platform).with_context(reading)?);
                left -= 1;
            }
        }
        if last_section {
            break;
        }
    }
    Ok(images)
}

/// Checks the validation entry.
fn validate(catalog: &[u8]) -> Result<()> {
    let entry = &catalog[..ENTRY];
    ensure!(
        entry[0] == 1 && entry[30..] == [0x55, 0xAA],
        "its validation entry has other key bytes than 01, 55 and aa"
    );
    let sum = entry.chunks_exact(2).fold(0_u16, |sum, word| {
        sum.wrapping_add(u16::from_le_bytes([word[0], word[1]]))
    });
    ensure!(
        sum == 0,
        "the words of its validation entry have the sum {sum:#06x}, not to zero"
    );
    Ok(())
}

/// Reads an initial (§2.2) or section entry (§2.4).
fn boot_image(entry: ByteFields<'_>, platform: BootPlatform) -> Result<BootImage, FieldError> {
    let media = entry.byte(1)? & 0x0f;
    let emulation = match media {
        0 => Emulation::None,
        1..=3 => Emulation::Diskette,
        _ => Emulation::HardDisk,
    };
    let len = match media {
        1 => 1_228_800,
        2 => 1_474_560,
        3 => 2_949_120,
        _ => u64::from(entry.le16(6)?) * 512,
    };
    Ok(BootImage {
        platform,
        bootable: entry.byte(0)? == 0x88,
        emulation,
        extent: Extent {
            offset: Sector(entry.le32(8)?.into()).offset(),
            len,
        },
    })
}

fn platform(number: u8) -> BootPlatform {
    match number {
        0 => BootPlatform::Bios,
        1 => BootPlatform::PowerPc,
        2 => BootPlatform::Mac,
        0xEF => BootPlatform::Efi,
        other => BootPlatform::Other(other),
    }
}
