//! What a medium says of its own files.
//!
//! A [`Medium`](crate::media) comes in; [`ExpectedDigests`] go out: for every path that any metadata on the
//! medium names, every digest that it states, the size where it states one, and the [`DigestSource`]
//! that said so. Nothing here hashes the files themselves: the copy does, while their bytes are warm,
//! and compares the result with all of these.
//!
//! The chains that are followed, each in its own file: `Release` → `Packages` (Debian, Ubuntu),
//! `repomd.xml` → `primary.xml` (rpm media), `CHECKSUMS` and `content` (SUSE), `.treeinfo`,
//! `SHA256SUMS`, `md5sum.txt`, and the MD5 implanted in the image. Signatures on them are checked with
//! the keys that are bound to the distribution on this machine; one that does not fit, or that does
//! not count here, refuses the medium. What a publisher says of the image as a whole is [`ImageDigests`].

mod boot;
mod collector;
mod coverage;
mod debian;
mod gpgv;
mod image_digests;
mod image_lists;
mod implanted;
mod keyrings;
mod list_signatures;
mod lists;
mod locate;
mod openpgp;
mod rpmmd;
mod sums;
mod treeinfo;
mod trust;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use crate::digest::{Algorithm, Digest};
use crate::media::{Medium, MediumPath};

pub use coverage::{Cover, Coverage, HumanBytes};
pub use image_digests::{DigestOptions, ImageDigests};
pub use implanted::ImplantedMd5;
pub use keyrings::{Keyrings, Keys};
pub use trust::MediumTrust;

/// Everything that a medium says of its own files, one [`ExpectedDigest`] a path and algorithm.
#[derive(Debug, Clone, Default)]
pub struct ExpectedDigests {
    /// What is said of each file, best first.
    files: BTreeMap<MediumPath, Vec<ExpectedDigest>>,
    /// What the metadata was when it was read, so that the copy cannot be of something else.
    read: BTreeMap<MediumPath, Digest>,
    sources: Vec<DigestSource>,
    implanted: Option<ImplantedMd5>,
    notes: Vec<String>,
}

/// What becomes of a signature that nobody here can vouch for: an unknown key, a weak algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnverifiedPolicy {
    /// It refuses the medium.
    Refuse,
    /// It is said, and the medium counts as unsigned.
    Accept,
}

/// What a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedDigest {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, where the source states one.
    pub size: Option<u64>,
    /// Who says so.
    pub source: SourceId,
    /// The MD5 that the same entry of the same source states beside a stronger digest.
    pub md5: Option<[u8; 16]>,
}

/// The place of a [`DigestSource`] in its [`ExpectedDigests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// Metadata on the medium that states digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestSource {
    /// The file that states them: `dists/bookworm/main/binary-amd64/Packages.gz`, `md5sum.txt`.
    pub path: String,
    /// What vouches for it, as the summary shows it: `Release → Packages`, `md5sum.txt`.
    pub chain: String,
    /// Who signed it, where that could be checked.
    pub signed_by: Option<String>,
}

/// Reads what the medium says of its own files.
///
/// # Errors
/// When its metadata is damaged, contradicts itself, lists what is not there, or carries a signature
/// that is of something else, or, unless `unverified` accepts that, that does not count here.
pub fn gather(
    medium: &Medium,
    keys: &Keys,
    unverified: UnverifiedPolicy,
) -> Result<ExpectedDigests> {
    let mut collector = collector::Collector::new(medium, keys, unverified);
    debian::gather(&mut collector)?;
    rpmmd::gather(&mut collector)?;
    lists::checksums(&mut collector)?;
    lists::content(&mut collector)?;
    lists::treeinfo(&mut collector)?;
    lists::sums(&mut collector)?;
    let mut checksums = collector.finish()?;
    if let Some(image) = medium.image() {
        checksums.implanted = ImplantedMd5::load(image, medium.ids().blocks)?;
    }
    Ok(checksums)
}

impl DigestSource {
    /// Names metadata that nobody signed.
    pub fn new(path: impl Into<String>, chain: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            chain: chain.into(),
            signed_by: None,
        }
    }
}

impl ExpectedDigests {
    /// Returns all that is said of the file at `path`: what is signed first, then by the strength of
    /// the algorithm.
    pub fn of(&self, path: &MediumPath) -> &[ExpectedDigest] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Returns the digests that the file at `path` is to be hashed for: all that is said of it, but for an MD5
    /// that follows from another one of these.
    pub fn to_compare(&self, path: &MediumPath) -> impl Iterator<Item = &ExpectedDigest> {
        let all = self.of(path);
        all.iter()
            .filter(|expected| !all.iter().any(|other| self.implies(other, expected)))
    }

    /// Whether a file that matches `one` need not be hashed for `two`: the entry that states `one` says the same
    /// as `two`, and is as well vouched for.
    fn implies(&self, one: &ExpectedDigest, two: &ExpectedDigest) -> bool {
        let is_said_beside = two.digest.algorithm() == Algorithm::Md5
            && one
                .md5
                .is_some_and(|md5| md5.as_slice() == two.digest.as_bytes());
        is_said_beside && (self.is_signed(one) || !self.is_signed(two))
    }

    /// Returns the SHA-256 of what was read at `path` while these were gathered, if it was read.
    pub fn as_read(&self, path: &MediumPath) -> Option<&Digest> {
        self.read.get(path)
    }

    /// Returns the files that somebody's signature vouches for.
    pub fn signed(&self) -> impl Iterator<Item = &MediumPath> {
        let signed = |checksums: &[ExpectedDigest]| {
            checksums.first().is_some_and(|best| self.is_signed(best))
        };
        let files = self.files.iter();
        files.filter_map(move |(path, checksums)| signed(checksums).then_some(path))
    }

    /// Returns whether somebody's signature vouches for one of these digests.
    pub fn is_signed(&self, expected: &ExpectedDigest) -> bool {
        self.source(expected).signed_by.is_some()
    }

    /// Returns the source of one of these digests.
    pub fn source(&self, expected: &ExpectedDigest) -> &DigestSource {
        &self.sources[expected.source.0]
    }

    /// Returns every source, in the order they were added.
    pub fn sources(&self) -> &[DigestSource] {
        &self.sources
    }

    /// Returns what the image says of itself as a whole.
    pub fn implanted(&self) -> Option<&ImplantedMd5> {
        self.implanted.as_ref()
    }

    /// Returns what the user should know of how these were gathered, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds a source, for digests to name.
    pub fn add_source(&mut self, source: DigestSource) -> SourceId {
        self.sources.push(source);
        SourceId(self.sources.len() - 1)
    }

    /// Adds an expected digest to those that there are; of two that say the same, the signed one stays.
    ///
    /// # Errors
    /// When two sources disagree about one file, which no copy could satisfy.
    pub fn add(&mut self, path: MediumPath, expected: ExpectedDigest) -> Result<()> {
        let sources = &self.sources;
        let signed = |expected: &ExpectedDigest| sources[expected.source.0].signed_by.is_some();
        let checksums = self.files.entry(path.clone()).or_default();
        if let Some(old) = checksums.iter().find(|old| contradict(old, &expected)) {
            let [one, two] = [old, &expected].map(|expected| &sources[expected.source.0].path);
            bail!(
                "{one} and {two} on the medium disagree about {path} ({} and {}): the medium \
                 is damaged or was put together from two others",
                ShownDigest(old),
                ShownDigest(&expected),
            );
        }
        let size = checksums.iter().find_map(|old| old.size).or(expected.size);
        match checksums
            .iter_mut()
            .find(|old| old.digest == expected.digest)
        {
            Some(old) if !signed(old) && signed(&expected) => *old = expected,
            Some(_) => {}
            None => {
                // Most files have one, and there may be half a million files.
                checksums.reserve_exact(1);
                checksums.push(expected);
            }
        }
        checksums
            .iter_mut()
            .for_each(|expected| expected.size = size);
        checksums
            .sort_by_key(|expected| std::cmp::Reverse((signed(expected), expected.digest.rank())));
        Ok(())
    }

    /// Adds the MD5 that the entry which states `digest` has beside it, if that is a stronger one.
    pub fn add_md5(&mut self, path: &MediumPath, source: SourceId, digest: Digest, md5: Digest) {
        let stated = self.files.get_mut(path).into_iter().flatten();
        let stated = stated.filter(|old| old.source == source && old.digest == digest);
        for old in stated.filter(|old| old.digest.algorithm() >= Algorithm::Sha256) {
            old.md5 = md5.as_bytes().try_into().ok();
        }
    }
}

/// Whether no file can be what both say.
fn contradict(one: &ExpectedDigest, two: &ExpectedDigest) -> bool {
    let sizes = one.size.zip(two.size);
    let same_kind = one.digest.algorithm() == two.digest.algorithm();
    sizes.is_some_and(|(one, two)| one != two) || (same_kind && one.digest != two.digest)
}

/// Prints an expected digest for a message: `SHA-256 ba78…, 512 bytes`.
struct ShownDigest<'a>(&'a ExpectedDigest);

impl fmt::Display for ShownDigest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.digest.algorithm(), self.0.digest)?;
        match self.0.size {
            Some(size) => write!(f, ", {size} bytes"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DigestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn two_sources() -> (ExpectedDigests, SourceId, SourceId) {
        let mut checksums = ExpectedDigests::default();
        let [weak, strong] = ["md5sum.txt", "SHA256SUMS"]
            .map(|name| checksums.add_source(DigestSource::new(name, name)));
        (checksums, weak, strong)
    }

    fn expected(
        algorithm: Algorithm,
        content: &[u8],
        size: Option<u64>,
        source: SourceId,
    ) -> ExpectedDigest {
        ExpectedDigest {
            digest: Digest::of(algorithm, content),
            size,
            source,
            md5: None,
        }
    }

    #[test]
    fn every_digest_stays_and_a_size_is_never_lost() {
        let (mut checksums, weak, strong) = two_sources();
        let path = MediumPath::new("pool/a.deb").unwrap();
        for added in [
            expected(Algorithm::Md5, b"a", Some(1), weak),
            expected(Algorithm::Sha256, b"a", None, strong),
            expected(Algorithm::Sha256, b"a", None, weak),
        ] {
            checksums.add(path.clone(), added).unwrap();
        }
        let expected = [
            expected(Algorithm::Sha256, b"a", Some(1), strong),
            expected(Algorithm::Md5, b"a", Some(1), weak),
        ];
        assert_eq!(checksums.of(&path), expected);
        assert_eq!(checksums.source(&expected[0]).path, "SHA256SUMS");
    }

    #[test]
    fn what_is_signed_comes_before_what_is_only_stronger() {
        let (mut checksums, weak, strong) = two_sources();
        checksums.sources[weak.0].signed_by = Some("Ann".to_owned());
        let path = MediumPath::new("a").unwrap();
        let [unsigned, signed] = [
            expected(Algorithm::Sha256, b"a", None, strong),
            expected(Algorithm::Md5, b"a", None, weak),
        ];
        checksums.add(path.clone(), unsigned).unwrap();
        assert_eq!(checksums.signed().count(), 0);
        checksums.add(path.clone(), signed).unwrap();
        assert_eq!(checksums.of(&path), [signed, unsigned]);
        assert_eq!(checksums.signed().collect::<Vec<_>>(), [&path]);
        // The same digest from somebody who signs takes the place of one from nobody.
        let confirmed = ExpectedDigest {
            source: weak,
            ..unsigned
        };
        checksums.add(path.clone(), confirmed).unwrap();
        assert_eq!(checksums.of(&path), [confirmed, signed]);
    }

    #[test]
    fn an_md5_that_follows_from_a_stronger_digest_is_not_hashed_for() {
        let path = MediumPath::new("a").unwrap();
        let of = |content: &[u8]| Digest::of(Algorithm::Md5, content);
        // Whether each list is signed; the stronger digest of the first, the MD5 beside it, that of the second list.
        for (signed, strong, beside, listed, hashed) in [
            ([false, false], Algorithm::Sha256, b"a", b"a", false),
            ([true, false], Algorithm::Sha256, b"a", b"a", false),
            ([true, true], Algorithm::Sha512, b"a", b"a", false),
            ([false, true], Algorithm::Sha256, b"a", b"a", true),
            ([true, false], Algorithm::Sha256, b"a", b"b", true),
            ([false, false], Algorithm::Sha1, b"a", b"a", true),
        ] {
            let (mut checksums, list, index) = two_sources();
            for (source, signed) in [index, list].into_iter().zip(signed) {
                checksums.sources[source.0].signed_by = signed.then(|| "Ann".to_owned());
            }
            let stated = expected(strong, b"a", None, index);
            checksums.add(path.clone(), stated).unwrap();
            checksums.add_md5(&path, index, stated.digest, of(beside));
            let md5 = expected(Algorithm::Md5, listed, None, list);
            checksums.add(path.clone(), md5).unwrap();
            let wanted: Vec<_> = checksums
                .to_compare(&path)
                .map(|expected| expected.digest.algorithm())
                .filter(|algorithm| *algorithm == Algorithm::Md5)
                .collect();
            assert_eq!(!wanted.is_empty(), hashed, "{signed:?} {strong} {beside:?}");
            assert_eq!(checksums.of(&path).len(), 2, "both are still told of");
        }
        // It is the entry that has both, not any that states the same digest.
        let (mut checksums, list, index) = two_sources();
        let stated = expected(Algorithm::Sha256, b"a", None, index);
        checksums.add(path.clone(), stated).unwrap();
        checksums.add_md5(&path, list, stated.digest, of(b"a"));
        let md5 = expected(Algorithm::Md5, b"a", None, list);
        checksums.add(path.clone(), md5).unwrap();
        assert_eq!(checksums.to_compare(&path).count(), 2);
    }

    #[test]
    fn two_sources_that_contradict_each_other_are_an_error_that_names_both() {
        let (mut checksums, one, two) = two_sources();
        let path = MediumPath::new("a").unwrap();
        checksums
            .add(path.clone(), expected(Algorithm::Md5, b"a", None, one))
            .unwrap();
        let error = checksums
            .add(path, expected(Algorithm::Md5, b"b", Some(7), two))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "md5sum.txt and SHA256SUMS on the medium disagree about a (MD5 \
             0cc175b9c0f1b6a831c399e269772661 and MD5 92eb5ffee6ae2fec3ad71c777531578f, 7 bytes): the \
             medium is damaged or was put together from two others"
        );
    }
}
