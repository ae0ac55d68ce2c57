//! Volume descriptors: what an image says about itself from sector 16 on.
//!
//! Follows ECMA-119 §8 (volume descriptors), §8.4 (primary), §8.5 (supplementary, which Joliet uses),
//! §8.2 (boot record, whose El Torito form points to the boot catalog) and, for what is between
//! them on a bridge disc, ECMA-167 part 2 §9 (`BEA01`, `NSR02`, `NSR03`, `TEA01`).

use anyhow::{Context, Result, ensure};

use super::record::DirectoryRecord;
use crate::media::bytes::{ByteFields, FieldError, Sector, text};
use crate::media::entry::{Extent, VolumeIds};
use crate::media::image::ImageFile;

/// Where the descriptors begin (ECMA-119 §6.2.1: the system area takes sectors 0 to 15).
const FIRST: u64 = 16;
/// Descriptors looked at; discs have two to six.
const MAX_DESCRIPTORS: u64 = 64;

/// What the descriptors announce.
#[derive(Debug, Default)]
pub(in crate::media) struct Descriptors {
    /// The volume of ISO 9660 proper, which Rock Ridge extends.
    pub(in crate::media) primary: Option<IsoVolume>,
    /// The same files under Unicode names (Joliet).
    pub(in crate::media) joliet: Option<IsoVolume>,
    /// Where the El Torito boot catalog is.
    pub(in crate::media) boot_catalog: Option<Sector>,
    /// Whether a UDF file system is announced.
    pub(in crate::media) udf: bool,
}

/// One directory tree and how to find things in it.
#[derive(Debug)]
pub(in crate::media) struct IsoVolume {
    pub(in crate::media) ids: VolumeIds,
    /// Bytes that the volume takes of the image.
    pub(in crate::media) space: u64,
    block: u64,
    pub(super) root: Extent,
}

impl IsoVolume {
    /// Parses a primary or supplementary descriptor.
    fn parse(descriptor: &[u8]) -> Result<Self> {
        let fields = ByteFields(descriptor);
        let block = u64::from(fields.both16(128)?);
        ensure!(
            [512, 1024, 2048].contains(&block),
            "logical blocks of {block} bytes are neither 512, 1024 nor 2048"
        );
        let space = u64::from(fields.both32(80)?) * block;
        let root = DirectoryRecord::parse(fields.slice(156, 34)?)
            .context("the root directory's record")?;
        Ok(Self {
            ids: ids(fields, space)?,
            space,
            block,
            root: Extent {
                offset: (u64::from(root.block) + u64::from(root.attribute_blocks)) * block,
                len: root.len.into(),
            },
        })
    }

    /// Returns where a logical block begins, in bytes.
    pub(super) fn offset(&self, block: u64) -> u64 {
        block * self.block
    }
}

/// Reads the identifiers of §8.4.5, .6, .12 and .14.
fn ids(fields: ByteFields<'_>, space: u64) -> Result<VolumeIds, FieldError> {
    Ok(VolumeIds {
        volume: text(fields.slice(40, 32)?),
        system: text(fields.slice(8, 32)?),
        publisher: text(fields.slice(318, 128)?),
        application: text(fields.slice(574, 128)?),
        blocks: space / 2048,
    })
}

/// Reads the descriptors up to their terminator or the first sector that is not one.
pub(in crate::media) fn descriptors(image: &ImageFile) -> Result<Descriptors> {
    let mut found = Descriptors::default();
    for number in FIRST..FIRST + MAX_DESCRIPTORS {
        let sector = Sector(number);
        if sector.offset() + 2048 > image.len() {
            break;
        }
        let descriptor = image.sector(sector)?;
        match (&descriptor[1..6], descriptor[0]) {
            (b"CD001", 1) if found.primary.is_none() => {
                let volume = IsoVolume::parse(&descriptor);
                found.primary = Some(volume.with_context(|| {
                    format!("reading the primary volume descriptor in sector {number}")
                })?);
            }
            (b"CD001", 2) if found.joliet.is_none() && is_joliet(&descriptor) => {
                let volume = IsoVolume::parse(&descriptor);
                found.joliet = Some(volume.with_context(|| {
                    format!("reading the Joliet volume descriptor in sector {number}")
                })?);
            }
            (b"CD001", 0) if descriptor[7..39].starts_with(b"EL TORITO SPECIFICATION") => {
                found.boot_catalog = Some(Sector(ByteFields(&descriptor).le32(71)?.into()));
            }
            (b"NSR02" | b"NSR03", _) => found.udf = true,
            (b"CD001" | b"BEA01" | b"TEA01" | b"BOOT2", _) => {}
            _ => break,
        }
    }
    Ok(found)
}

/// Whether a supplementary descriptor's escape sequences announce UCS-2 level 1, 2 or 3 (Joliet 1,
/// "SVD Escape Sequences Field").
fn is_joliet(descriptor: &[u8]) -> bool {
    [b"%/@", b"%/C", b"%/E"]
        .iter()
        .any(|level| descriptor[88..120].starts_with(&level[..]))
}
