//! Random numbers, digests, and the one-time secret of a node.
//!
//! The secret pins the authority, as Swarm's join token does: `SLIPWAY-1-<SHA-256 of the root's certificate>-<secret>`.
//! Whoever has it knows whom to speak to before it says anything.

use std::fs::File;
use std::io::Read as _;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// What a token begins with: its form.
const FORM: &str = "SLIPWAY-1";

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

/// Writes bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the SHA-256 of bytes, in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Makes the token of a secret.
pub(crate) fn token(root: &[u8], secret: &str) -> String {
    format!("{FORM}-{}-{secret}", digest(root))
}

/// Returns the secret of a token, if it is one for this root.
pub(crate) fn secret_of<'a>(token: &'a str, root: &[u8]) -> Option<&'a str> {
    let rest = token.strip_prefix(FORM)?.strip_prefix('-')?;
    rest.strip_prefix(&digest(root))?.strip_prefix('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_root() {
        let token = token(b"root", "5ec2e7");
        assert_eq!(secret_of(&token, b"root"), Some("5ec2e7"));
        assert_eq!(secret_of(&token, b"other"), None);
        for text in ["", "SLIPWAY-1", "SLIPWAY-1-x-5ec2e7", &token[1..]] {
            assert_eq!(secret_of(text, b"root"), None);
        }
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
