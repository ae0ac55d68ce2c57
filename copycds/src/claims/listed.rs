//! One line of any metadata: a file, and what it should be.

use crate::digest::{Algorithm, Digest};

/// A file as metadata lists it; the path is what the metadata says, not yet held against the medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) size: Option<u64>,
}

/// Returns which of two digests of one file to hold it against. SHA-256 is hashed anyway and leaves
/// no doubt, so that nothing beats it; below it, the stronger algorithm wins, and the first of two.
pub(super) fn preferred(one: Digest, two: Digest) -> Digest {
    let rank = |digest: Digest| match digest.algorithm() {
        Algorithm::Md5 => 0,
        Algorithm::Sha1 => 1,
        Algorithm::Sha512 => 2,
        Algorithm::Sha256 => 3,
    };
    if rank(two) > rank(one) { two } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_preferred_to_all_and_md5_to_none() {
        let digest = |algorithm| Digest::of(algorithm, b"");
        for (one, two, best) in [
            (Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha1),
            (Algorithm::Sha512, Algorithm::Sha1, Algorithm::Sha512),
            (Algorithm::Sha512, Algorithm::Sha256, Algorithm::Sha256),
            (Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha256),
        ] {
            assert_eq!(preferred(digest(one), digest(two)).algorithm(), best);
        }
    }
}
