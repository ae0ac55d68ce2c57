//! Discs that have their files twice: in an ISO 9660 tree and in a UDF tree, of the same bytes.
//!
//! The entries of the one come in and are compared with the other. A record of ISO 9660 has 32 bits for a
//! length, so that writers who will not part a larger file write a wrong one (`-allow-limited-size` of
//! mkisofs(8)) and leave the right one to UDF: such a file is taken from there. Any other two lengths of one
//! file are an error, because nothing says which is right, and so is a file that UDF alone has. A UDF tree that cannot be
//! read says nothing.

use std::collections::HashSet;

use anyhow::{Result, bail};

use super::entry::{DataLocation, EntryKind, Extent, MediumEntry};
use super::image::ImageFile;
use super::udf;

/// Takes from UDF the files that ISO 9660 cannot say the length of, and refuses trees that differ otherwise.
pub(super) fn reconcile_trees(image: &ImageFile, entries: &mut [MediumEntry]) -> Result<()> {
    let volume = udf::UdfVolume::find(image);
    match volume.and_then(|volume| udf::entries(image, &volume)) {
        Ok(udf_entries) => {
            ensure_complete(entries, &udf_entries)?;
            reconcile(entries, &udf_entries)
        }
        Err(_) => Ok(()),
    }
}

/// Refuses a file that UDF alone has: one whose bytes are no file's of ISO 9660. Names tell nothing, as writers cut those in
/// UDF that they cannot decode.
fn ensure_complete(entries: &[MediumEntry], udf_entries: &[MediumEntry]) -> Result<()> {
    let places: HashSet<u64> = entries.iter().filter_map(place).collect();
    let is_missing = |file: &&MediumEntry| place(file).is_some_and(|at| !places.contains(&at));
    if let Some(missing) = udf_entries.iter().find(is_missing) {
        bail!(
            "{} is in its UDF tree and not in its ISO 9660 tree: the image was put together badly; get another one",
            missing.path
        );
    }
    Ok(())
}

/// Returns where the bytes of a file begin; an empty one has none.
fn place(entry: &MediumEntry) -> Option<u64> {
    match &entry.kind {
        EntryKind::File {
            size: 1..,
            content: DataLocation::Extents(extents) | DataLocation::Zisofs(extents),
        } => extents.first().map(|extent| extent.offset),
        _ => None,
    }
}

fn reconcile(entries: &mut [MediumEntry], udf_entries: &[MediumEntry]) -> Result<()> {
    for entry in entries {
        let (Some((size, extents)), Ok(at)) = (
            stored(entry),
            udf_entries.binary_search_by(|other| other.path.cmp(&entry.path)),
        ) else {
            continue;
        };
        let Some((right, udf_extents)) = stored(&udf_entries[at]) else {
            continue;
        };
        if right == size {
            continue;
        }
        let start = |extents: &[Extent]| extents.first().map(|extent| extent.offset);
        let same_place = size == 0 || start(extents) == start(udf_extents);
        if right <= u64::from(u32::MAX) || !same_place {
            bail!(
                "{} has {size} bytes in its ISO 9660 tree and {right} in its UDF tree: the image is \
                 damaged or was put together badly; get another one",
                entry.path
            );
        }
        entry.kind = udf_entries[at].kind.clone();
    }
    Ok(())
}

/// Returns the length and the place of a file that is stored as it is.
fn stored(entry: &MediumEntry) -> Option<(u64, &[Extent])> {
    match &entry.kind {
        EntryKind::File {
            size,
            content: DataLocation::Extents(extents),
        } => Some((*size, extents)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::entry::MediumPath;

    fn file(size: u64, offset: u64) -> Vec<MediumEntry> {
        let extent = Extent { offset, len: size };
        vec![MediumEntry {
            path: MediumPath::new("live/filesystem.squashfs").unwrap(),
            kind: EntryKind::File {
                size,
                content: DataLocation::Extents(vec![extent]),
            },
            mode: 0o644,
            mtime: None,
        }]
    }

    #[test]
    fn a_file_that_udf_alone_has_is_refused() {
        let all = |files: &[(u64, u64)]| -> Vec<MediumEntry> {
            files
                .iter()
                .flat_map(|(size, at)| file(*size, *at))
                .collect()
        };
        let complete = |iso: &[(u64, u64)], udf: &[(u64, u64)]| {
            let result = ensure_complete(&all(iso), &all(udf));
            result.map_err(|error| error.to_string())
        };
        let (one, other, empty) = ((7, 4096), (7, 8192), (0, 0));
        assert_eq!(complete(&[one, other], &[one, empty]), Ok(()));
        assert_eq!(
            complete(&[one], &[one, other]).unwrap_err(),
            "live/filesystem.squashfs is in its UDF tree and not in its ISO 9660 tree: the image was put together badly; \
             get another one"
        );
    }

    #[test]
    fn a_length_beyond_32_bits_is_taken_from_udf_and_no_other_may_differ() {
        const LARGE: u64 = (1 << 32) + 7;
        let settled = |iso: (u64, u64), udf: (u64, u64)| {
            let mut entries = file(iso.0, iso.1);
            reconcile(&mut entries, &file(udf.0, udf.1)).map(|()| entries)
        };
        assert_eq!(
            settled((7, 4096), (LARGE, 4096)).unwrap(),
            file(LARGE, 4096)
        );
        assert_eq!(settled((7, 4096), (7, 2048)).unwrap(), file(7, 4096));
        for (iso, udf) in [
            ((7, 4096), (8, 4096)),
            ((8, 4096), (7, 4096)),
            ((7, 4096), (LARGE, 2048)),
        ] {
            let error = settled(iso, udf).unwrap_err().to_string();
            let expected = format!(
                "live/filesystem.squashfs has {} bytes in its ISO 9660 tree and {} in its UDF tree: the \
                 image is damaged or was put together badly; get another one",
                iso.0, udf.0
            );
            assert_eq!(error, expected);
        }
    }
}
