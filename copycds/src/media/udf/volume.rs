//! The volume: from the anchor to the root directory (ECMA-167 part 3 §8.4, 10 and part 4 §14.1).

use anyhow::{Context, Result, bail, ensure};

use super::tag::{self, TagId};
use super::text::fixed;
use crate::media::bytes::{ByteFields, SECTOR, Sector, text};
use crate::media::entry::{Extent, VolumeIds};
use crate::media::image::ImageFile;

/// Descriptors looked at in one sequence; discs have six to twenty.
const MAX_DESCRIPTORS: u32 = 256;

/// Where a block of a file system is: a partition of the logical volume, and the block in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LogicalBlock {
    pub(super) partition: u16,
    pub(super) block: u32,
}

/// An extent of a partition, in bytes (ECMA-167 4/14.14.2, `long_ad`).
#[derive(Debug, Clone, Copy)]
pub(super) struct AllocationDescriptor {
    pub(super) at: LogicalBlock,
    pub(super) len: u32,
    pub(super) kind: ExtentKind,
}

/// What the upper two bits of a length say (4/14.14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtentKind {
    /// The extent is recorded.
    Recorded,
    /// It is not: a hole.
    Hole,
    /// It holds more allocation descriptors.
    Continuation,
}

impl AllocationDescriptor {
    /// Parses the length and type that open every allocation descriptor, at a given place.
    pub(super) fn new(at: LogicalBlock, len: u32) -> Self {
        let kind = match len >> 30 {
            0 => ExtentKind::Recorded,
            3 => ExtentKind::Continuation,
            _ => ExtentKind::Hole,
        };
        let len = len & 0x3fff_ffff;
        Self { at, len, kind }
    }

    /// Parses a `long_ad`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let fields = ByteFields(bytes);
        let at = LogicalBlock {
            block: fields.le32(4)?,
            partition: fields.le16(8)?,
        };
        Ok(Self::new(at, fields.le32(0)?))
    }
}

/// A logical volume, ready to find blocks in.
#[derive(Debug)]
pub(in crate::media) struct UdfVolume {
    pub(in crate::media) ids: VolumeIds,
    partitions: Vec<Extent>,
    pub(super) root: LogicalBlock,
}

/// What the volume descriptor sequence holds, each the prevailing one (3/8.4.3).
#[derive(Default)]
struct Sequence {
    primary: Option<Vec<u8>>,
    logical: Option<Vec<u8>>,
    partitions: Vec<Vec<u8>>,
}

impl UdfVolume {
    /// Finds the volume of an image that announces UDF.
    pub(in crate::media) fn find(image: &ImageFile) -> Result<Self> {
        let sequence = sequence(image)?;
        let logical = sequence.logical.context("no logical volume is described")?;
        let fields = ByteFields(&logical);
        let block = fields.le32(212)?;
        ensure!(
            u64::from(block) == SECTOR,
            "logical blocks of {block} bytes are not read, only those of {SECTOR}"
        );
        let partitions = partitions(fields, &sequence.partitions)?;
        let end = partitions.iter().map(|part| part.offset + part.len).max();
        let end = end.unwrap_or_default();
        ensure!(
            end <= image.len(),
            "the image is truncated: it holds {} of {end} bytes",
            image.len()
        );
        let application = match &sequence.primary {
            Some(primary) => text(ByteFields(primary).slice(345, 23)?),
            None => String::new(),
        };
        let ids = VolumeIds {
            volume: fixed(fields.slice(84, 128)?).context("the volume identifier")?,
            application,
            blocks: end / SECTOR,
            ..VolumeIds::default()
        };
        let file_set = AllocationDescriptor::parse(fields.slice(248, 16)?)?;
        let mut volume = Self {
            ids,
            partitions,
            root: file_set.at,
        };
        volume.root = volume.find_root(image).context("reading the file set")?;
        Ok(volume)
    }

    /// Reads the file set descriptor, which names the root directory.
    fn find_root(&self, image: &ImageFile) -> Result<LogicalBlock> {
        let set = self.block(image, self.root)?;
        let id = tag::check(&set, Some(self.root.block))?;
        ensure!(
            id == TagId::FileSet,
            "a descriptor of another kind is there"
        );
        Ok(AllocationDescriptor::parse(ByteFields(&set).slice(400, 16)?)?.at)
    }

    /// Returns the bytes of an image where `len` bytes from a block on are; they must be inside the
    /// partition.
    pub(super) fn extent(&self, at: LogicalBlock, len: u64) -> Result<Extent> {
        let partition = self.partitions.get(usize::from(at.partition));
        let partition =
            partition.with_context(|| format!("there is no partition {}", at.partition))?;
        let start = u64::from(at.block) * SECTOR;
        ensure!(
            start + len <= partition.len,
            "{len} bytes from block {} are beyond the end of the partition",
            at.block
        );
        Ok(Extent {
            offset: partition.offset + start,
            len,
        })
    }

    /// Reads one block.
    pub(super) fn block(&self, image: &ImageFile, at: LogicalBlock) -> Result<Vec<u8>> {
        image.read(self.extent(at, SECTOR)?)
    }
}

/// Reads the main volume descriptor sequence, or the reserve if that is damaged.
fn sequence(image: &ImageFile) -> Result<Sequence> {
    let anchor = anchor(image)?;
    let fields = ByteFields(&anchor);
    let main = read_sequence(image, fields.le32(20)?, fields.le32(16)?);
    match read_sequence(image, fields.le32(28)?, fields.le32(24)?) {
        Ok(reserve) if main.is_err() => Ok(reserve),
        _ => main.context("reading the volume descriptors"),
    }
}

/// Reads the anchor: in sector 256, in the last, or 256 before the last (3/8.4.2.1, UDF §2.2.3).
fn anchor(image: &ImageFile) -> Result<Vec<u8>> {
    let sectors = image.len() / SECTOR;
    for number in [256, sectors.saturating_sub(1), sectors.saturating_sub(257)] {
        if number >= sectors {
            continue;
        }
        let sector = image.sector(Sector(number))?;
        let here = u32::try_from(number).ok();
        if tag::check(&sector, here).is_ok_and(|id| id == TagId::Anchor) {
            return Ok(sector);
        }
    }
    bail!(
        "the image announces UDF, but no UDF anchor is in sector 256 or at its end; \
         it is damaged or truncated at {} bytes",
        image.len()
    )
}

/// Reads one sequence of descriptors.
fn read_sequence(image: &ImageFile, first: u32, len: u32) -> Result<Sequence> {
    let mut found = Sequence::default();
    let count = (len / SECTOR as u32).min(MAX_DESCRIPTORS);
    for number in (0..count).map(|index| first.saturating_add(index)) {
        let descriptor = image.sector(Sector(number.into()))?;
        let id = tag::check(&descriptor, Some(number));
        match id.with_context(|| format!("reading the descriptor in sector {number}"))? {
            TagId::PrimaryVolume => prevail(&mut found.primary, descriptor)?,
            TagId::LogicalVolume => prevail(&mut found.logical, descriptor)?,
            TagId::Partition => found.partitions.push(descriptor),
            TagId::VolumePointer => bail!("a sequence in several places is not read"),
            TagId::Terminating => break,
            _ => {}
        }
    }
    ensure!(found.logical.is_some(), "no logical volume is described");
    Ok(found)
}

/// Keeps the descriptor with the higher sequence number.
fn prevail(kept: &mut Option<Vec<u8>>, new: Vec<u8>) -> Result<()> {
    let number = |descriptor: &[u8]| ByteFields(descriptor).le32(16);
    match kept {
        Some(old) if number(old)? > number(&new)? => {}
        _ => *kept = Some(new),
    }
    Ok(())
}

/// Resolves the partition maps of the logical volume (3/10.6.13) to stretches of the image.
fn partitions(logical: ByteFields<'_>, descriptors: &[Vec<u8>]) -> Result<Vec<Extent>> {
    let maps = ByteFields(logical.slice(440, usize::try_from(logical.le32(264)?)?)?);
    let (mut partitions, mut at) = (Vec::new(), 0);
    while at < maps.0.len() {
        let (kind, len) = (maps.byte(at)?, usize::from(maps.byte(at + 1)?));
        let map = ByteFields(maps.slice(at, len)?);
        match kind {
            1 => partitions.push(partition(map.le16(4)?, descriptors)?),
            // UDF §2.2.8-2.2.10: virtual, sparable and metadata partitions, for rewritable discs.
            2 => bail!(
                "a partition of the kind '{}' is not read",
                text(map.slice(5, 23)?)
            ),
            other => bail!("a partition map of the unknown kind {other}"),
        }
        at += len;
    }
    Ok(partitions)
}

/// Finds the partition of a number (3/10.5); the highest sequence number prevails.
fn partition(number: u16, descriptors: &[Vec<u8>]) -> Result<Extent> {
    let mut found = None;
    for descriptor in descriptors {
        if ByteFields(descriptor).le16(22)? == number {
            prevail(&mut found, descriptor.clone())?;
        }
    }
    let found = found.with_context(|| format!("no partition {number} is described"))?;
    let fields = ByteFields(&found);
    Ok(Extent {
        offset: Sector(fields.le32(188)?.into()).offset(),
        len: Sector(fields.le32(192)?.into()).offset(),
    })
}
