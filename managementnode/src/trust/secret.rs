//! Random numbers and digests.

use std::fs::File;
use std::io::Read as _;

use anyhow::{Context, Result};
use definitions::hex;
use sha2::{Digest as _, Sha256};

/// Returns random bytes of the kernel.
///
/// # Errors
/// When it hands out none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .with_context(|| format!("reading {source}"))?;
    Ok(bytes)
}

/// Returns the first half of the SHA-256 of bytes.
pub(crate) fn short_digest(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// Returns the SHA-256 of bytes, in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_other_ones_each_time() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
