//! ISO 9660 (ECMA-119) with Rock Ridge and Joliet, read only.
//!
//! The story: [`descriptors`] says which volumes an image announces; [`names`] finds out whether the
//! primary volume has Rock Ridge; [`entries`] walks a volume; [`boot_images`] reads what firmware would
//! boot. Path tables are not read: they repeat the directories, less well.

mod eltorito;
mod joliet;
mod record;
mod rockridge;
mod susp;
mod tree;
mod volume;

use anyhow::{Context, Result};

use super::entry::{Extent, MediumEntry};
use super::image::ImageFile;

pub(super) use eltorito::boot_images;
pub(super) use volume::{Descriptors, IsoVolume, descriptors};

/// Where the names of a volume come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamingScheme {
    /// System use fields, after `skip` bytes of each area.
    RockRidge {
        /// The bytes that belong to others.
        skip: usize,
    },
    /// Unicode identifiers of a supplementary volume.
    Joliet,
    /// Capital letters and `;1`.
    Plain,
}

/// Finds out how the files of the primary volume are named.
pub(super) fn names(image: &ImageFile, primary: &IsoVolume) -> Result<NamingScheme> {
    let reading = "reading the root directory";
    let first = Extent {
        len: primary.root.len.min(super::bytes::SECTOR),
        ..primary.root
    };
    let sector = image.read(first).context(reading)?;
    let dot = record::Records::new(&sector).next().transpose();
    let skip = match dot.context(reading)? {
        Some(dot) if dot.is_dot() => {
            susp::rock_ridge(image, primary, dot.system_use).context(reading)?
        }
        _ => None,
    };
    Ok(skip.map_or(NamingScheme::Plain, |skip| NamingScheme::RockRidge { skip }))
}

/// Reads the whole tree of a volume.
pub(super) fn entries(
    image: &ImageFile,
    volume: &IsoVolume,
    names: NamingScheme,
) -> Result<Vec<MediumEntry>> {
    tree::VolumeWalk::new(image, volume, names).run()
}
