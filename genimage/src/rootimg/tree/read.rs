//! An archive into a tree: who owns an entry, what it is, and where its bytes are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tar::{Archive, EntryType};

use super::content::{Content, HeaderReader};
use super::{Entry, Kind, MAX_PATH, Metadata, RootTree, XATTR, shown};

/// The most entries that a root has.
const MAX_COUNT: usize = 4_000_000;
/// The most bytes of extended attributes that an entry has.
const MAX_XATTRS: usize = 1 << 20;
/// The most bytes of headers that an entry has, with its path and its attributes: tar reads them at once.
const MAX_HEADERS: u64 = 2 << 20;

impl RootTree {
    /// Puts an archive over what is there.
    ///
    /// # Errors
    /// When it is damaged, leads out of the root, or grows without a bound.
    pub(crate) fn read(&mut self, archive: &Arc<File>) -> Result<()> {
        each(archive, |path, entry| self.add(archive, path, entry))
    }

    pub(super) fn add<R: Read>(
        &mut self,
        archive: &Arc<File>,
        path: &[u8],
        entry: &mut tar::Entry<'_, R>,
    ) -> Result<()> {
        let path = self.resolve(path)?;
        ensure!(
            self.entries.len() < MAX_COUNT,
            "it has more than {MAX_COUNT} entries"
        );
        let kind = entry.header().entry_type();
        let target = entry.link_name_bytes().map(|name| name.into_owned());
        let metadata = metadata(entry)?;
        let header = entry.header();
        let device = || -> Result<(u32, u32)> {
            let major = header.device_major()?.context("a device has no number")?;
            let minor = header.device_minor()?.context("a device has no number")?;
            Ok((major, minor))
        };
        let kind = match kind {
            EntryType::Regular | EntryType::Continuous => {
                let end = entry.raw_file_position().checked_add(entry.size());
                let whole = archive.metadata()?.len();
                ensure!(
                    end.is_some_and(|end| end <= whole),
                    "the archive is cut short"
                );
                self.contents.push(Content::Stored {
                    archive: Arc::clone(archive),
                    offset: entry.raw_file_position(),
                    size: entry.size(),
                });
                Kind::File(self.contents.len() - 1)
            }
            EntryType::Link => {
                let target = self.resolve(&target.context("a hard link has no target")?)?;
                match self.entries.get(&target) {
                    Some(found) if found.kind != Kind::Directory => {
                        let found = found.clone();
                        self.insert(path, found);
                        return Ok(());
                    }
                    _ => bail!(
                        "it is a hard link to '{}', which is no file before it",
                        shown(&target)
                    ),
                }
            }
            EntryType::Symlink => {
                let target = target.context("a link has no target")?;
                ensure!(
                    !target.is_empty() && target.len() < MAX_PATH && !target.contains(&0),
                    "its target is not a path"
                );
                Kind::Link(target)
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Char => device().map(|(major, minor)| Kind::Character(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| Kind::Block(major, minor))?,
            EntryType::Fifo => Kind::Fifo,
            EntryType::XGlobalHeader => return Ok(()),
            other => bail!(
                "it is of a kind ('{}') that no root file system has",
                char::from(other.as_byte()).escape_debug()
            ),
        };
        self.insert(path, Entry { metadata, kind });
        Ok(())
    }
}

/// Does something with each entry of an archive and its path. Contents are not read.
pub(super) fn each(
    archive: &File,
    mut take: impl FnMut(&[u8], &mut tar::Entry<'_, HeaderReader<'_>>) -> Result<()>,
) -> Result<()> {
    let left = Cell::new(MAX_HEADERS);
    let mut reader = Archive::new(HeaderReader {
        archive,
        at: 0,
        left: &left,
    });
    let entries = reader.entries_with_seek().context("reading an archive")?;
    for entry in entries {
        let mut entry = entry.context("reading an archive")?;
        let path = entry.path_bytes().into_owned();
        take(&path, &mut entry)
            .with_context(|| format!("reading '{}' of an archive", shown(&path)))?;
        left.set(MAX_HEADERS);
    }
    Ok(())
}

/// Reads owner, mode and attributes.
fn metadata<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Metadata> {
    let mut xattrs = BTreeMap::new();
    let mut total = 0;
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
            ensure!(
                !key.starts_with("GNU.sparse"),
                "it is a sparse file: pack it without holes"
            );
            if let Some(name) = key.strip_prefix(XATTR) {
                total += name.len() + extension.value_bytes().len();
                ensure!(
                    total <= MAX_XATTRS,
                    "it has more than {MAX_XATTRS} bytes of attributes"
                );
                xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
            }
        }
    }
    let header = entry.header();
    Ok(Metadata {
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        mtime: header.mtime()?,
        xattrs,
    })
}
