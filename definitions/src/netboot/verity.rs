//! The hash tree by which a diskless node's kernel checks each block of its root image when it is read.
//!
//! Reference: Documentation/admin-guide/device-mapper/verity.rst; the tree is the file that `veritysetup format` writes,
//! with its superblock, SHA-256 and blocks of [`VeritySource::BLOCK`] bytes.

use std::fmt;

use super::parameters::{digest, number, one, required};
use crate::Error;

/// Where the hash tree of a root image is, and what dm-verity needs to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VeritySource {
    /// Its address: `http://10.1.0.1/install/netboot/…`.
    pub url: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The digest that vouches for the whole image: as many digits.
    pub root_hash: String,
    /// The salt of all its hashes: as many digits.
    pub salt: String,
}

impl VeritySource {
    /// The size of a block, of the image and of the tree, in bytes.
    pub const BLOCK: u64 = 4096;

    /// Parses the words of a command line, where any is there.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, Error> {
        if one(line, "slipway.verity")?.is_none() && one(line, "slipway.tree")?.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            root_hash: digest(line, "slipway.verity")?,
            salt: digest(line, "slipway.salt")?,
            url: required(line, "slipway.tree")?.to_owned(),
            bytes: number(line, "slipway.treebytes")?,
            sha256: digest(line, "slipway.treesha256")?,
        }))
    }
}

impl fmt::Display for VeritySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            bytes,
            sha256,
            root_hash,
            salt,
        } = self;
        write!(f, "slipway.verity={root_hash} slipway.salt={salt}")?;
        write!(
            f,
            " slipway.tree={url} slipway.treebytes={bytes} slipway.treesha256={sha256}"
        )
    }
}
