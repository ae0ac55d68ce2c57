//! A file as metadata lists it.

use crate::digest::Digest;

/// A file and what it should be; the path is what the metadata says, and nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its path.
    pub path: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, where the metadata states one.
    pub size: Option<u64>,
}
