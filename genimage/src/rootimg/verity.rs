//! The hash tree by which dm-verity checks each block of an image when it is read. Pure.
//!
//! An image comes in; the superblock and the tree go out, and the root hash that vouches for all blocks: what
//! `veritysetup format` writes of the same image, salt and UUID, and `veritysetup open` takes. The same image gives the
//! same bytes. Reference: Documentation/admin-guide/device-mapper/verity.rst; the superblock, "Verity superblock format"
//! of cryptsetup's wiki.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use definitions::hex;
use sha2::{Digest, Sha256};

/// The size of a block, of the image and of the tree.
const BLOCK: usize = 4096;
/// The size of a digest.
const DIGEST: usize = 32;

/// What dm-verity reads beside an image.
#[derive(Debug)]
pub(super) struct HashTree {
    /// The superblock, and the tree from its root to its leaves.
    pub(super) bytes: Vec<u8>,
    /// The digest that vouches for the image, hexadecimal.
    pub(super) root_hash: String,
    /// The salt, hexadecimal.
    pub(super) salt: String,
    /// How many blocks the image has.
    pub(super) data_blocks: u64,
}

impl HashTree {
    /// Makes the tree of an image; the UUID is made from the salt.
    ///
    /// # Errors
    /// When the image cannot be read, or does not end with a block.
    pub(super) fn of(image: &mut impl Read, salt: &[u8; DIGEST]) -> Result<Self> {
        let salted = Sha256::new_with_prefix(salt);
        let mut digests = leaves(image, &salted)?;
        let data_blocks = (digests.len() / DIGEST) as u64;
        ensure!(data_blocks > 0, "it is empty");
        let mut levels = Vec::new();
        while digests.len() > DIGEST {
            digests.resize(digests.len().next_multiple_of(BLOCK), 0);
            let blocks = digests.chunks(BLOCK);
            let above = blocks.flat_map(|block| digest(&salted, block)).collect();
            levels.push(std::mem::replace(&mut digests, above));
        }
        let mut bytes = superblock(data_blocks, salt);
        levels.reverse();
        bytes.extend(levels.into_iter().flatten());
        Ok(Self {
            bytes,
            root_hash: hex(&digests),
            salt: hex(salt),
            data_blocks,
        })
    }
}

/// Returns the digests of all blocks of an image.
fn leaves(image: &mut impl Read, salted: &Sha256) -> Result<Vec<u8>> {
    let mut digests = Vec::new();
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        let read = image.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        match read.context("reading it")? {
            0 => return Ok(digests),
            BLOCK => digests.extend(digest(salted, &block)),
            _ => anyhow::bail!("its last block has less than {BLOCK} bytes"),
        }
    }
}

fn digest(salted: &Sha256, block: &[u8]) -> [u8; DIGEST] {
    salted.clone().chain_update(block).finalize().into()
}

/// Returns the block that says what the tree is.
fn superblock(data_blocks: u64, salt: &[u8; DIGEST]) -> Vec<u8> {
    let (version, hash_type, block) = (1_u32, 1_u32, BLOCK as u32);
    let mut algorithm = [0; 32];
    algorithm[..6].copy_from_slice(b"sha256");
    let mut bytes = b"verity\0\0".to_vec();
    bytes.extend([version, hash_type].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(uuid(salt));
    bytes.extend(algorithm);
    bytes.extend([block, block].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(data_blocks.to_le_bytes());
    // the size of the salt, and six bytes that say nothing
    bytes.extend((DIGEST as u64).to_le_bytes());
    bytes.extend(salt);
    bytes.resize(BLOCK, 0);
    bytes
}

/// Makes a UUID of bytes that somebody chose (RFC 9562, version 8).
fn uuid(salt: &[u8; DIGEST]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&salt[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks, and what `veritysetup format --salt 5a5a… --uuid 5a5a5a5a-5a5a-8a5a-9a5a-5a5a5a5a5a5a` (2.6.1) makes of them:
    /// the root hash, and the SHA-256 of the file. The tree has no level, one, one that is full, two, and three.
    const GOLDEN: [(u32, &str, &str); 5] = [
        (
            1,
            "6e534483f9f6504bea9b92ff511007b44cfd103438e3bc634a66363ac307baf9",
            "9593b3b9ce4105e3a363fe21ee2b66d3642c07a750409c3f2f921e72fb009205",
        ),
        (
            2,
            "b7aa000c9b98b04804a3ec163951e97df3099219d470c5a9aa889e2ba610d072",
            "c8828350a1fc547709fc5af14ef16f2b97c3efd9734fad3d3da63c62096fdfcc",
        ),
        (
            128,
            "a637dbfa6cfedd59c975afe86c9da220e3c9139c4f53238d7609ee34e616a376",
            "f7a27f4bcb151134f7d67d171f3518f4f99674f1c0483d7d2cec479fafe5e9ef",
        ),
        (
            129,
            "9637256ee439ae8e21a1054966d89d28e357e78f5faa67d16835a47041171bc7",
            "88ccf17b2e5d3ae2d2aacbc4bdb8b8cf0a816c436d222b3d8d41bd44a0638c05",
        ),
        (
            16385,
            "9098ce1a759b3b96f6feaeafe9fa7f051f243372a981a8dfd7c03819d6af8a2c",
            "d9335a8f925276a0a5a1c2245e02cd0b7184f5f45f7e4b0b666ac589cb60a443",
        ),
    ];

    /// An image in which no block is like another.
    fn image(blocks: u32) -> Vec<u8> {
        let block = |n: u32| n.to_le_bytes().repeat(BLOCK / 4);
        (1..=blocks).flat_map(block).collect()
    }

    #[test]
    fn a_tree_is_what_veritysetup_makes() {
        for (blocks, root_hash, sha256) in GOLDEN {
            let tree = HashTree::of(&mut image(blocks).as_slice(), &[0x5a; DIGEST]).unwrap();
            assert_eq!(tree.root_hash, root_hash, "{blocks}");
            assert_eq!(hex(&Sha256::digest(&tree.bytes)), sha256, "{blocks}");
            assert_eq!(tree.data_blocks, u64::from(blocks));
            assert_eq!(tree.salt, "5a".repeat(DIGEST));
        }
    }

    #[test]
    fn one_bit_of_an_image_gives_another_root_hash() {
        let mut changed = image(129);
        changed[128 * BLOCK + 7] ^= 1;
        let root = |image: &[u8]| {
            let mut image = image;
            HashTree::of(&mut image, &[0; DIGEST]).unwrap().root_hash
        };
        assert_ne!(root(&changed), root(&image(129)));
    }

    #[test]
    fn what_does_not_end_with_a_block_has_no_tree() {
        for (bytes, message) in [
            (&b""[..], "it is empty"),
            (&[0; 5000][..], "its last block has less than 4096 bytes"),
        ] {
            let mut bytes = bytes;
            let error = HashTree::of(&mut bytes, &[0; DIGEST]).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
