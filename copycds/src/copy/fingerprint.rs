//! What distinguishes one disc from every other without reading all of it.
//!
//! A medium comes in; the SHA-256 of its volume identifiers, of every entry (path, kind, size, mode,
//! time, extents) and of its small index files goes out. It takes milliseconds, and makes a second
//! import of the same disc a no-op. A byte that was changed inside a file, in place, does not show.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::disc_metadata::is_disc_metadata;
use crate::digest::{Algorithm, Hasher};
use crate::media::{DataLocation, EntryKind, Medium, MediumEntry};

/// The fingerprint of a disc: `sha256:` and 64 hex digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

/// Metadata about the disc up to this size is read whole; larger index files are distinguished by size and time.
const SMALL: u64 = 64 << 10;

impl Fingerprint {
    /// Takes the fingerprint of a medium.
    ///
    /// # Errors
    /// When a small index file cannot be read.
    pub fn of(medium: &Medium) -> Result<Self> {
        let mut hash = FieldHasher(Hasher::new(Algorithm::Sha256));
        let ids = medium.ids();
        for id in [&ids.volume, &ids.system, &ids.publisher, &ids.application] {
            hash.bytes(id.as_bytes());
        }
        hash.number(ids.blocks);
        for entry in medium.entries() {
            hash.entry(entry);
            if let EntryKind::File { size, .. } = entry.kind
                && size <= SMALL
                && is_disc_metadata(&entry.path)
            {
                hash.bytes(&medium.read(entry, SMALL)?);
            }
        }
        Ok(Self(format!("sha256:{}", hash.0.finish())))
    }

    /// Takes text for a fingerprint, as records have it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Hashes values one after the other, each with its length, so that no two lists hash alike.
struct FieldHasher(Hasher);

impl FieldHasher {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn entry(&mut self, entry: &MediumEntry) {
        self.bytes(entry.path.as_bytes());
        self.number(u64::from(entry.mode));
        self.bytes(&entry.mtime.map_or(0, |time| time.0).to_le_bytes());
        match &entry.kind {
            EntryKind::Directory => self.bytes(b"d"),
            EntryKind::Symlink { target } => {
                self.bytes(b"l");
                self.bytes(target);
            }
            EntryKind::File { size, content } => {
                self.bytes(b"f");
                self.number(*size);
                let extents = match content {
                    DataLocation::Extents(extents) | DataLocation::Zisofs(extents) => {
                        extents.as_slice()
                    }
                    DataLocation::InPlace => &[],
                };
                self.number(extents.len() as u64);
                for extent in extents {
                    self.number(extent.offset);
                    self.number(extent.len);
                }
            }
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
