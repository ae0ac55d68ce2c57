//! One entry of an archive as it is written: a ustar header, and pax records for what does not fit into it.
//!
//! Reference: pax(1), "ustar Interchange Format" and "pax Extended Header".

use std::io::{Read, Write};

use anyhow::Result;
use tar::{Builder, EntryType, Header};

use super::{Entry, Kind, Metadata, XATTR};

/// An entry that is being written.
pub(super) struct Record {
    pub(super) header: Header,
    pax: Vec<(String, Vec<u8>)>,
}

impl Record {
    pub(super) fn new(path: &[u8], entry: &Entry) -> Self {
        let mut header = Header::new_ustar();
        let metadata = &entry.metadata;
        header.set_mode(metadata.mode);
        header.set_mtime(metadata.mtime);
        header.set_size(0);
        let mut record = Self {
            header,
            pax: Vec::new(),
        };
        record.owner(metadata);
        let (kind, device) = match &entry.kind {
            Kind::Directory => (EntryType::Directory, None),
            Kind::File(_) => (EntryType::Regular, None),
            Kind::Link(target) => {
                record.link(target);
                (EntryType::Symlink, None)
            }
            Kind::Character(major, minor) => (EntryType::Char, Some((major, minor))),
            Kind::Block(major, minor) => (EntryType::Block, Some((major, minor))),
            Kind::Fifo => (EntryType::Fifo, None),
        };
        record.header.set_entry_type(kind);
        if let Some((major, minor)) = device {
            // A header in this form has both fields.
            let _ = record.header.set_device_major(*major);
            let _ = record.header.set_device_minor(*minor);
        }
        let mut name = [b"./", path].concat();
        if entry.kind == Kind::Directory && !path.is_empty() {
            name.push(b'/');
        }
        record.name("path", &name, |header| &mut header.as_mut_bytes()[..100]);
        for (name, value) in &metadata.xattrs {
            record.pax.push((format!("{XATTR}{name}"), value.clone()));
        }
        record
    }

    fn owner(&mut self, metadata: &Metadata) {
        let fits = |id: u64| id <= 0o7_777_777;
        for (key, id) in [("uid", metadata.uid), ("gid", metadata.gid)] {
            if !fits(id) {
                self.pax.push((key.to_owned(), id.to_string().into_bytes()));
            }
        }
        self.header
            .set_uid(if fits(metadata.uid) { metadata.uid } else { 0 });
        self.header
            .set_gid(if fits(metadata.gid) { metadata.gid } else { 0 });
    }

    fn link(&mut self, target: &[u8]) {
        self.name("linkpath", target, |header| {
            &mut header.as_mut_bytes()[157..257]
        });
    }

    /// Makes it a hard link to what was written before.
    pub(super) fn hard_link(&mut self, target: &[u8]) {
        self.header.set_entry_type(EntryType::Link);
        self.pax.retain(|(key, _)| !key.starts_with(XATTR));
        self.link(&[b"./", target].concat());
    }

    /// Writes a name into its field of 100 bytes, and beside it where it is longer.
    fn name(&mut self, key: &str, name: &[u8], field: fn(&mut Header) -> &mut [u8]) {
        let field = field(&mut self.header);
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name[..length]);
        if name.len() > length {
            self.pax.push((key.to_owned(), name.to_vec()));
        }
    }

    pub(super) fn finish<W: Write>(
        mut self,
        builder: &mut Builder<W>,
        content: impl Read,
    ) -> Result<()> {
        self.header.set_cksum();
        if !self.pax.is_empty() {
            let pairs = self.pax.iter();
            builder.append_pax_extensions(
                pairs.map(|(key, value)| (key.as_str(), value.as_slice())),
            )?;
        }
        Ok(builder.append(&self.header, content)?)
    }
}
