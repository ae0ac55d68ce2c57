//! Walks the directories of a volume and turns their records into entries.
//!
//! Every directory may be read once: one at the place of another is refused, as a loop or
//! as a shared one, so the walk ends. A directory that Rock Ridge moved away for depth (`CL` … `RE`) is
//! read where it belongs.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::NamingScheme;
use super::joliet::{joliet_name, plain_name};
use super::record::{DirectoryRecord, Records};
use super::rockridge::RockRidgeAttributes;
use super::volume::IsoVolume;
use crate::media::bytes::SECTOR;
use crate::media::entry::{DataLocation, EntryKind, Extent, MediumEntry, MediumPath, Timestamp};
use crate::media::entry_list::{EntryList, directory_name, join};
use crate::media::image::ImageFile;

/// A directory that is still to be read.
struct PendingDirectory {
    path: Option<MediumPath>,
    extent: Extent,
}

/// What the records of one file, joined, say.
struct FileRecords {
    path: MediumPath,
    attributes: RockRidgeAttributes,
    mtime: Option<Timestamp>,
    directory: bool,
    extents: Vec<Extent>,
    continued: bool,
}

/// The walk so far.
pub(super) struct VolumeWalk<'a> {
    image: &'a ImageFile,
    volume: &'a IsoVolume,
    names: NamingScheme,
    tree: EntryList,
    todo: Vec<PendingDirectory>,
    seen: HashMap<u64, Option<MediumPath>>,
}

impl<'a> VolumeWalk<'a> {
    pub(super) fn new(image: &'a ImageFile, volume: &'a IsoVolume, names: NamingScheme) -> Self {
        let root = PendingDirectory {
            path: None,
            extent: volume.root,
        };
        Self {
            image,
            volume,
            names,
            tree: EntryList::new(image.len()),
            todo: vec![root],
            seen: HashMap::new(),
        }
    }

    /// Reads every directory and returns all entries, sorted.
    pub(super) fn run(mut self) -> Result<Vec<MediumEntry>> {
        while let Some(directory) = self.todo.pop() {
            self.directory(&directory)?;
        }
        self.tree.finish()
    }

    /// Reads one directory.
    fn directory(&mut self, PendingDirectory { path, extent }: &PendingDirectory) -> Result<()> {
        self.enter(path.as_ref(), *extent)?;
        let reading = || format!("reading {}", directory_name(path.as_ref()));
        let bytes = self.image.read(*extent).with_context(reading)?;
        let mut pending: Option<FileRecords> = None;
        let mut relocated = 0_usize;
        let mut kept = 0_usize;
        for record in Records::new(&bytes) {
            let record = record.with_context(reading)?;
            if record.is_dot() || record.is_associated() {
                continue;
            }
            let item = self.item(path.as_ref(), &record).with_context(reading)?;
            if item.attributes.relocated {
                relocated += 1;
                continue;
            }
            kept += 1;
            let item = match pending.take() {
                Some(first) => first.joined(item).with_context(reading)?,
                None => item,
            };
            if item.continued {
                pending = Some(item);
            } else {
                self.finish(item)?;
            }
        }
        if let Some(item) = pending {
            bail!("reading {}: its last extent is missing", item.path);
        }
        match path {
            // `rr_moved` is where the writer keeps moved directories; the author did not make it.
            Some(path) if relocated > 0 && kept == 0 => self.tree.remove(path.clone()),
            _ => {}
        }
        Ok(())
    }

    /// Checks that a directory may be read: bounded, inside the image, and not read before.
    fn enter(&mut self, path: Option<&MediumPath>, extent: Extent) -> Result<()> {
        self.tree.enter(path, extent.len)?;
        let name = || directory_name(path);
        ensure_inside(self.image, &name(), extent)?;
        if extent.len == 0 {
            return Ok(());
        }
        match self.seen.insert(extent.offset, path.cloned()) {
            None => Ok(()),
            Some(other) => {
                let above = other
                    .as_ref()
                    .is_none_or(|other| path.is_some_and(|path| path.is_inside(other)));
                let how = if above {
                    "a loop: it is"
                } else {
                    "the same as"
                };
                bail!("{} is {how} {}", name(), directory_name(other.as_ref()))
            }
        }
    }

    /// Reads what one record says.
    fn item(
        &self,
        parent: Option<&MediumPath>,
        record: &DirectoryRecord<'_>,
    ) -> Result<FileRecords> {
        let shown = || format!("'{}'", plain_name(record.identifier).escape_ascii());
        let mut attributes = match self.names {
            NamingScheme::RockRidge { skip } => {
                RockRidgeAttributes::read(self.image, self.volume, skip, record.system_use)
                    .with_context(shown)?
            }
            NamingScheme::Joliet | NamingScheme::Plain => RockRidgeAttributes::default(),
        };
        let name = match (self.names, attributes.name.take()) {
            (_, Some(name)) => name,
            (NamingScheme::Joliet, None) => joliet_name(record.identifier)?,
            (_, None) => plain_name(record.identifier),
        };
        let path = join(parent, &name)?;
        ensure!(
            !record.is_interleaved(),
            "{path} is recorded interleaved, which is not read"
        );
        let block = u64::from(record.block) + u64::from(record.attribute_blocks);
        let extent = Extent {
            offset: self.volume.offset(block),
            len: record.len.into(),
        };
        Ok(FileRecords {
            path,
            mtime: attributes.mtime.or(record.mtime),
            attributes,
            directory: record.is_directory(),
            extents: vec![extent],
            continued: record.is_continued(),
        })
    }

    /// Turns a whole item into an entry; a directory is put on the list.
    fn finish(&mut self, item: FileRecords) -> Result<()> {
        if let Some(block) = item.attributes.child {
            return self.moved_directory(&item.path, block);
        }
        let kind = if item.directory {
            self.todo.push(PendingDirectory {
                path: Some(item.path.clone()),
                extent: item.extents[0],
            });
            EntryKind::Directory
        } else {
            self.leaf(&item)?
        };
        self.push(item.path, kind, item.attributes.mode, item.mtime)
    }

    /// Takes a file or a link.
    fn leaf(&self, item: &FileRecords) -> Result<EntryKind> {
        const TYPE: u32 = 0o170_000;
        let path = &item.path;
        match item.attributes.mode.map(|mode| mode & TYPE) {
            Some(0o120_000) => {
                let target = item.attributes.target.clone().unwrap_or_default();
                ensure!(!target.is_empty(), "the link {path} has no target");
                return Ok(EntryKind::Symlink { target });
            }
            None | Some(0o100_000) => {}
            Some(0o040_000) => {
                bail!("{path} is a directory by its mode and a file by its record")
            }
            Some(other) => bail!("{path} is {}, which no install medium has", special(other)),
        }
        for &extent in &item.extents {
            ensure_inside(self.image, &path.to_string(), extent)?;
        }
        let extents = merged(&item.extents);
        Ok(match item.attributes.inflated {
            Some(size) => EntryKind::File {
                size,
                content: DataLocation::Zisofs(extents),
            },
            None => EntryKind::File {
                size: extents.iter().map(|extent| extent.len).sum(),
                content: DataLocation::Extents(extents),
            },
        })
    }

    /// Adds a directory that was moved elsewhere (RRIP §4.1.5.1): its own `.` record says the rest.
    fn moved_directory(&mut self, path: &MediumPath, block: u32) -> Result<()> {
        let reading = || format!("reading the directory {path}, moved to block {block}");
        let start = Extent {
            offset: self.volume.offset(block.into()),
            len: SECTOR,
        };
        let sector = self.image.read(start).with_context(reading)?;
        let record = Records::new(&sector)
            .next()
            .transpose()
            .with_context(reading)?;
        let record = record
            .filter(|record| record.is_dot() && record.is_directory())
            .with_context(|| format!("{}: there is none", reading()))?;
        let skip = match self.names {
            NamingScheme::RockRidge { skip } => skip,
            NamingScheme::Joliet | NamingScheme::Plain => 0,
        };
        let attributes =
            RockRidgeAttributes::read(self.image, self.volume, skip, record.system_use)
                .with_context(reading)?;
        self.todo.push(PendingDirectory {
            path: Some(path.clone()),
            extent: Extent {
                len: record.len.into(),
                ..start
            },
        });
        let mtime = attributes.mtime.or(record.mtime);
        self.push(path.clone(), EntryKind::Directory, attributes.mode, mtime)
    }

    fn push(
        &mut self,
        path: MediumPath,
        kind: EntryKind,
        mode: Option<u32>,
        mtime: Option<Timestamp>,
    ) -> Result<()> {
        let default = if kind == EntryKind::Directory {
            0o755
        } else {
            0o644
        };
        self.tree.push(MediumEntry {
            path,
            kind,
            mode: mode.unwrap_or(default) & 0o7777,
            mtime,
        })
    }
}

impl FileRecords {
    /// Adds the extent of the next record, which must be of the same file.
    fn joined(mut self, next: Self) -> Result<Self> {
        ensure!(
            next.path == self.path && next.directory == self.directory,
            "{} goes on in another extent, but {} follows",
            self.path,
            next.path
        );
        self.extents.extend(next.extents);
        self.continued = next.continued;
        Ok(self)
    }
}

/// Joins extents that touch, and drops empty ones, which may point anywhere.
fn merged(extents: &[Extent]) -> Vec<Extent> {
    let mut merged: Vec<Extent> = Vec::with_capacity(1);
    for &extent in extents.iter().filter(|extent| extent.len > 0) {
        match merged.last_mut() {
            Some(last) if last.offset + last.len == extent.offset => last.len += extent.len,
            _ => merged.push(extent),
        }
    }
    merged
}

fn ensure_inside(image: &ImageFile, what: &str, extent: Extent) -> Result<()> {
    ensure!(
        extent.len == 0 || image.holds(extent),
        "{what} is at bytes {} to {}, but the image ends at {}",
        extent.offset,
        extent.offset.saturating_add(extent.len),
        image.len()
    );
    Ok(())
}

/// Names a file type that is refused.
fn special(file_type: u32) -> &'static str {
    match file_type {
        0o010_000 => "a named pipe",
        0o020_000 => "a character device",
        0o060_000 => "a block device",
        0o140_000 => "a socket",
        _ => "of an unknown type",
    }
}
