//! One line of any metadata: a file, and what it should be.

use crate::digest::{Algorithm, Digest};

/// A file as metadata lists it; the path is what the metadata says, not yet looked for on the medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) size: Option<u64>,
}

/// Orders digests of one file by what they are worth. SHA-256 is hashed anyway and leaves no doubt, so that
/// nothing comes before it.
pub(super) fn rank(digest: Digest) -> u8 {
    match digest.algorithm() {
        Algorithm::Md5 => 0,
        Algorithm::Sha1 => 1,
        Algorithm::Sha512 => 2,
        Algorithm::Sha256 => 3,
    }
}
