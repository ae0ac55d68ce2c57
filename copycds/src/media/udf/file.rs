//! File entries: what a file is and where its bytes are (ECMA-167 4/14.6, 14.9, 14.12, 14.14, 14.17).

use anyhow::{Context, Result, bail, ensure};

use super::tag::{self, TagId};
use super::volume::{AllocationDescriptor, ExtentKind, LogicalBlock, UdfVolume};
use crate::media::bytes::{ByteFields, FieldError, SECTOR};
use crate::media::entry::{Extent, Timestamp};
use crate::media::image::ImageFile;

/// Blocks of further allocation descriptors that one file may have: each lists a hundred stretches.
const MAX_CONTINUED: usize = 64;

/// What a file entry says.
#[derive(Debug)]
pub(super) struct UdfFile {
    pub(super) kind: FileKind,
    pub(super) mode: u32,
    pub(super) mtime: Option<Timestamp>,
    /// Its length in bytes; the extents add up to it.
    pub(super) size: u64,
    pub(super) extents: Vec<Extent>,
}

/// What a file is (4/14.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Directory,
    Regular,
    Symlink,
    /// Refused, under this name.
    Special(&'static str),
}

/// Where the fields of the two forms of file entry are, from the modification time on.
struct FileEntryLayout {
    mtime: usize,
    /// Length of extended attributes, length of allocation descriptors, and then both.
    lengths: usize,
}

impl UdfFile {
    /// Reads the file entry at a block.
    pub(super) fn read(image: &ImageFile, volume: &UdfVolume, at: LogicalBlock) -> Result<Self> {
        let block = volume.block(image, at)?;
        let layout = match tag::check(&block, Some(at.block))? {
            TagId::FileEntry => FileEntryLayout {
                mtime: 84,
                lengths: 168,
            },
            TagId::ExtendedFileEntry => FileEntryLayout {
                mtime: 92,
                lengths: 208,
            },
            other => bail!("a descriptor of another kind is in its place: {other:?}"),
        };
        let fields = ByteFields(&block);
        let strategy = fields.le16(20)?;
        ensure!(
            strategy == 4,
            "it is recorded by strategy {strategy}, and only 4 is read"
        );
        let (kind, flags) = (file_kind(fields.byte(27)?), fields.le16(34)?);
        let size = fields.le64(56)?;
        let attributes_len = usize::try_from(fields.le32(layout.lengths)?)?;
        let descriptors_len = usize::try_from(fields.le32(layout.lengths + 4)?)?;
        let start = (layout.lengths + 8).saturating_add(attributes_len);
        let descriptors = fields.slice(start, descriptors_len)?;
        let extents = if let Some(form) = DescriptorForm::parse(flags)? {
            let list = Allocation {
                image,
                volume,
                partition: at.partition,
                form,
            };
            list.extents(descriptors, size)?
        } else {
            ensure!(
                descriptors_len as u64 >= size,
                "it has {size} bytes but room for {descriptors_len}"
            );
            let block = volume.extent(at, SECTOR)?;
            vec![Extent {
                offset: block.offset + start as u64,
                len: size,
            }]
        };
        Ok(Self {
            kind,
            mode: mode(fields.le32(44)?, flags),
            mtime: timestamp(ByteFields(fields.slice(layout.mtime, 12)?))?,
            size,
            extents: extents
                .into_iter()
                .filter(|extent| extent.len > 0)
                .collect(),
        })
    }
}

/// Reads lists of allocation descriptors.
struct Allocation<'a> {
    image: &'a ImageFile,
    volume: &'a UdfVolume,
    partition: u16,
    form: DescriptorForm,
}

/// The form of allocation descriptors (4/14.6.8, bits 0 to 2 of the flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DescriptorForm {
    /// A length and a block of the same partition (`short_ad`).
    Short,
    /// These, and the partition (`long_ad`).
    Long,
}

impl DescriptorForm {
    /// Reads the form from a file's flags; none when the data is in their place.
    fn parse(flags: u16) -> Result<Option<Self>> {
        Ok(match flags & 7 {
            0 => Some(Self::Short),
            1 => Some(Self::Long),
            3 => None,
            other => bail!("its allocation descriptors are of the unknown form {other}"),
        })
    }

    /// Returns how many bytes one descriptor has.
    fn len(self) -> usize {
        match self {
            Self::Short => 8,
            Self::Long => 16,
        }
    }
}

impl Allocation<'_> {
    /// Follows the descriptors until `size` bytes are found.
    fn extents(&self, first: &[u8], size: u64) -> Result<Vec<Extent>> {
        let (mut extents, mut found) = (Vec::<Extent>::new(), 0);
        let mut list = first.to_vec();
        for _ in 0..MAX_CONTINUED {
            let mut next = None;
            for descriptor in self.descriptors(&list) {
                let descriptor = descriptor?;
                if descriptor.len == 0 || found == size {
                    break;
                }
                match descriptor.kind {
                    ExtentKind::Recorded => {
                        let len = u64::from(descriptor.len).min(size - found);
                        let extent = self.volume.extent(descriptor.at, len)?;
                        found += len;
                        match extents.last_mut() {
                            Some(last) if last.offset + last.len == extent.offset => {
                                last.len += len;
                            }
                            _ => extents.push(extent),
                        }
                    }
                    ExtentKind::Continuation => {
                        next = Some(descriptor.at);
                        break;
                    }
                    ExtentKind::Hole => bail!("it has holes, which are not read"),
                }
            }
            match next {
                Some(at) => list = self.continued(at)?,
                None => {
                    ensure!(found == size, "its extents hold {found} of {size} bytes");
                    return Ok(extents);
                }
            }
        }
        bail!("its extents are listed in more than {MAX_CONTINUED} blocks")
    }

    /// Parses the descriptors in a list.
    fn descriptors<'l>(
        &self,
        list: &'l [u8],
    ) -> impl Iterator<Item = Result<AllocationDescriptor>> + use<'l> {
        let (partition, form) = (self.partition, self.form);
        list.chunks_exact(form.len()).map(move |bytes| {
            if form == DescriptorForm::Long {
                return AllocationDescriptor::parse(bytes);
            }
            let fields = ByteFields(bytes);
            let at = LogicalBlock {
                partition,
                block: fields.le32(4)?,
            };
            Ok(AllocationDescriptor::new(at, fields.le32(0)?))
        })
    }

    /// Reads a block of further descriptors (4/14.5).
    fn continued(&self, at: LogicalBlock) -> Result<Vec<u8>> {
        let read = || {
            let block = self.volume.block(self.image, at)?;
            let id = tag::check(&block, Some(at.block))?;
            ensure!(
                id == TagId::AllocationExtent,
                "a descriptor of another kind is there"
            );
            let fields = ByteFields(&block);
            let len = usize::try_from(fields.le32(20)?)?;
            Ok(fields.slice(24, len)?.to_vec())
        };
        read().with_context(|| format!("reading more of its extents in block {}", at.block))
    }
}

fn file_kind(number: u8) -> FileKind {
    match number {
        4 => FileKind::Directory,
        // 249: a real-time file (UDF §2.3.5.2), whose bytes are like any other's.
        5 | 249 => FileKind::Regular,
        6 => FileKind::Special("a block device"),
        7 => FileKind::Special("a character device"),
        9 => FileKind::Special("a named pipe"),
        10 => FileKind::Special("a socket"),
        12 => FileKind::Symlink,
        _ => FileKind::Special("of an unknown type"),
    }
}

/// Turns permissions (4/14.9.5: five bits each for others, group and owner, from execute up) and flags
/// (4/14.6.8: set-user, set-group and sticky in bits 6 to 8) into a mode.
fn mode(permissions: u32, flags: u16) -> u32 {
    let class = |shift: u32| (permissions >> shift) & 7;
    let special = |bit: u16, value: u32| if flags & bit == 0 { 0 } else { value };
    class(10) << 6
        | class(5) << 3
        | class(0)
        | special(1 << 6, 0o4000)
        | special(1 << 7, 0o2000)
        | special(1 << 8, 0o1000)
}

/// Reads a moment (1/7.3): twelve bits of offset in minutes, or -2047 for none, then the fields.
fn timestamp(fields: ByteFields<'_>) -> Result<Option<Timestamp>, FieldError> {
    let zone = i64::from((fields.le16(0)? << 4).cast_signed() >> 4);
    let offset = if (-1440..=1440).contains(&zone) {
        zone * 60
    } else {
        0
    };
    let year = i64::from(fields.le16(2)?.cast_signed());
    let mut rest = [0; 5];
    rest.copy_from_slice(fields.slice(4, 5)?);
    Ok(Timestamp::from_civil(year, rest, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_become_a_mode() {
        for (permissions, flags, expected) in [
            (0b00101_00101_00101 | 0b01000 << 10, 0, 0o555),
            (0b00111_00101_00100, 0, 0o754),
            (0b00111_00101_00101, 1 << 6, 0o4755),
            (0, 1 << 8, 0o1000),
        ] {
            assert_eq!(mode(permissions, flags), expected);
        }
    }

    #[test]
    fn moments_honour_their_offset() {
        // 2024-08-27 15:30:05, 120 minutes east; then with no offset known.
        let with = |zone: u16| {
            let [low, high] = (0x1000 | zone).to_le_bytes();
            timestamp(ByteFields(&[low, high, 0xe8, 7, 8, 27, 15, 30, 5, 0, 0, 0])).unwrap()
        };
        assert_eq!(with(120), Some(Timestamp(1_724_765_405)));
        assert_eq!(with(0x801), Some(Timestamp(1_724_765_405 + 7200)));
    }
}
