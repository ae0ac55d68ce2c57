//! Walks the directories of a UDF volume (ECMA-167 4/8.6 and 14.4).

use std::collections::HashMap;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use super::file::{FileKind, UdfFile};
use super::tag::{self, TagId};
use super::text::{link_target, unicode};
use super::volume::{AllocationDescriptor, LogicalBlock, UdfVolume};
use crate::media::bytes::ByteFields;
use crate::media::entry::{DataLocation, EntryKind, MediumEntry, MediumPath};
use crate::media::entry_list::{EntryList, MAX_PATH, directory_name, join};
use crate::media::image::{Extents, ImageFile};

/// File characteristics (14.4.3).
const DELETED: u8 = 1 << 2;
const PARENT: u8 = 1 << 3;

/// A name in a directory.
struct FileIdentifier {
    bytes: Vec<u8>,
    file: LogicalBlock,
}

/// Reads the whole tree of a volume; a directory that is met twice is refused, so this ends.
pub(in crate::media) fn entries(image: &ImageFile, volume: &UdfVolume) -> Result<Vec<MediumEntry>> {
    let root = UdfFile::read(image, volume, volume.root).context("reading the root directory")?;
    ensure!(
        root.kind == FileKind::Directory,
        "the root directory is not a directory"
    );
    let mut tree = EntryList::new(image.len());
    let mut seen = HashMap::from([(volume.root, None)]);
    let mut todo = vec![(None, root)];
    while let Some((path, directory)) = todo.pop() {
        let path: Option<MediumPath> = path;
        let reading = || format!("reading {}", directory_name(path.as_ref()));
        tree.enter(path.as_ref(), directory.size)?;
        let bytes = content(image, &directory).with_context(reading)?;
        for name in names(&bytes).with_context(reading)? {
            let child = join(path.as_ref(), &name.bytes).with_context(reading)?;
            let file = UdfFile::read(image, volume, name.file)
                .with_context(|| format!("reading {child}"))?;
            tree.push(entry(image, &child, &file)?)?;
            if file.kind == FileKind::Directory {
                if let Some(other) = seen.insert(name.file, Some(child.clone())) {
                    let other = directory_name(other.as_ref());
                    bail!("the directory {child} is also {other}: a loop");
                }
                todo.push((Some(child), file));
            }
        }
    }
    tree.finish()
}

/// Reads the names in a directory.
fn names(bytes: &[u8]) -> Result<Vec<FileIdentifier>> {
    let (mut names, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let record = ByteFields(&bytes[at..]);
        let mut parse = || {
            ensure!(
                tag::check(record.0, None)? == TagId::FileIdentifier,
                "it is of another kind"
            );
            let (name_len, use_len) = (usize::from(record.byte(19)?), record.le16(36)?.into());
            if record.byte(18)? & (DELETED | PARENT) == 0 {
                let name = record.slice(38_usize.saturating_add(use_len), name_len)?;
                names.push(FileIdentifier {
                    bytes: unicode(name)?.into(),
                    file: AllocationDescriptor::parse(record.slice(20, 16)?)?.at,
                });
            }
            // 14.4.9: padded to a multiple of four.
            Ok((38 + use_len + name_len).next_multiple_of(4))
        };
        at += parse().with_context(|| format!("the file identifier at byte {at}"))?;
    }
    Ok(names)
}

/// Reads all of a file whose length was checked.
fn content(image: &ImageFile, file: &UdfFile) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Extents::new(image, &file.extents).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the target of a link.
fn target(image: &ImageFile, file: &UdfFile) -> Result<Vec<u8>> {
    const MAX_DATA: u64 = 4 * MAX_PATH as u64;
    ensure!(
        file.size <= MAX_DATA,
        "its components take {} bytes, more than {MAX_DATA}",
        file.size
    );
    let target = link_target(&content(image, file)?)?;
    ensure!(!target.is_empty(), "it has no target");
    Ok(target)
}

/// Turns a file entry into an entry of the tree.
fn entry(image: &ImageFile, path: &MediumPath, file: &UdfFile) -> Result<MediumEntry> {
    let kind = match file.kind {
        FileKind::Directory => EntryKind::Directory,
        FileKind::Regular => EntryKind::File {
            size: file.size,
            content: DataLocation::Extents(file.extents.clone()),
        },
        FileKind::Symlink => EntryKind::Symlink {
            target: target(image, file).with_context(|| format!("reading the link {path}"))?,
        },
        FileKind::Special(what) => bail!("{path} is {what}, which no install medium has"),
    };
    Ok(MediumEntry {
        path: path.clone(),
        kind,
        mode: file.mode,
        mtime: file.mtime,
    })
}
