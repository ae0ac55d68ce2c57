//! What a medium says of its own files.
//!
//! A [`Medium`](crate::media) comes in; [`Claims`] go out: for every path that any metadata on the
//! medium speaks of, every digest that it states, the size where it states one, and the [`Source`]
//! that said so. Nothing here hashes the files themselves: the copy does, while their bytes are warm,
//! and holds the result against all of these claims.
//!
//! The chains that are followed, each in its own file: `Release` → `Packages` (Debian, Ubuntu),
//! `repomd.xml` → `primary.xml` (rpm media), `CHECKSUMS` and `content` (SUSE), `.treeinfo`,
//! `SHA256SUMS`, `md5sum.txt`, and the MD5 implanted in the image. Signatures on them are checked with
//! the keys that are bound to the distribution on this machine; one that does not fit, or that does
//! not count here, refuses the medium. What a publisher says of the image as a whole is [`Whole`].

mod boot;
mod coverage;
mod debian;
mod gathering;
mod implanted;
mod keyrings;
mod lists;
mod openpgp;
mod rpmmd;
mod shelf;
mod sums;
mod treeinfo;
mod trust;
mod whole;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use crate::digest::Digest;
use crate::media::{Medium, MediumPath};

pub use coverage::{Bytes, Cover, Coverage};
pub use implanted::Implanted;
pub use keyrings::{Keyrings, Keys};
pub use trust::Trust;
pub use whole::{Told, Whole};

/// Everything that a medium says of its own files, one [`Claim`] a path and algorithm.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// What is said of each file, best first.
    files: BTreeMap<MediumPath, Vec<Claim>>,
    /// What the metadata was when it was read, so that the copy cannot be of something else.
    read: BTreeMap<MediumPath, Digest>,
    sources: Vec<Source>,
    implanted: Option<Implanted>,
    notes: Vec<String>,
}

/// What becomes of a signature that nobody here can vouch for: an unknown key, a weak algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// It refuses the medium.
    Refuse,
    /// It is said, and the medium counts as unsigned.
    Accept,
}

/// What a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, where the source states one.
    pub size: Option<u64>,
    /// Who says so.
    pub source: SourceId,
}

/// The place of a [`Source`] in its [`Claims`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// Metadata on the medium that states digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file that states them: `dists/bookworm/main/binary-amd64/Packages.gz`, `md5sum.txt`.
    pub path: String,
    /// How it is believed, as the summary shows it: `Release → Packages`, `md5sum.txt`.
    pub chain: String,
    /// Who signed it, where that could be checked.
    pub signed_by: Option<String>,
}

/// Reads what the medium says of its own files.
///
/// # Errors
/// When its metadata is damaged, contradicts itself, lists what is not there, or carries a signature
/// that is of something else, or, unless `unverified` accepts that, that does not count here.
pub fn gather(medium: &Medium, keys: &Keys, unverified: Unverified) -> Result<Claims> {
    let mut work = gathering::Gathering::new(medium, keys, unverified);
    debian::gather(&mut work)?;
    rpmmd::gather(&mut work)?;
    lists::checksums(&mut work)?;
    lists::content(&mut work)?;
    lists::treeinfo(&mut work)?;
    lists::sums(&mut work)?;
    let mut claims = work.finish()?;
    if let Some(image) = medium.image() {
        claims.implanted = Implanted::load(image, medium.ids().blocks)?;
    }
    Ok(claims)
}

impl Source {
    /// Names metadata that nobody signed.
    pub fn new(path: impl Into<String>, chain: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            chain: chain.into(),
            signed_by: None,
        }
    }
}

impl Claims {
    /// Returns all that is said of the file at `path`: what is signed first, then by the strength of
    /// the algorithm.
    pub fn of(&self, path: &MediumPath) -> &[Claim] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Returns the SHA-256 of what was read at `path` while these were gathered, if it was read.
    pub fn as_read(&self, path: &MediumPath) -> Option<&Digest> {
        self.read.get(path)
    }

    /// Returns the files that somebody's signature vouches for.
    pub fn signed(&self) -> impl Iterator<Item = &MediumPath> {
        let signed = |claims: &[Claim]| claims.first().is_some_and(|best| self.is_signed(best));
        let files = self.files.iter();
        files.filter_map(move |(path, claims)| signed(claims).then_some(path))
    }

    /// Returns whether somebody's signature vouches for a claim of these.
    pub fn is_signed(&self, claim: &Claim) -> bool {
        self.source(claim).signed_by.is_some()
    }

    /// Returns the source of a claim of these.
    pub fn source(&self, claim: &Claim) -> &Source {
        &self.sources[claim.source.0]
    }

    /// Returns every source, in the order they were added.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Returns what the image claims of itself as a whole.
    pub fn implanted(&self) -> Option<&Implanted> {
        self.implanted.as_ref()
    }

    /// Returns what the user should know of how these were gathered, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds a source, for claims to name.
    pub fn add_source(&mut self, source: Source) -> SourceId {
        self.sources.push(source);
        SourceId(self.sources.len() - 1)
    }

    /// Adds a claim beside those that there are; of two that say the same, the signed one stays.
    ///
    /// # Errors
    /// When two sources say different things of one file, which no copy could satisfy.
    pub fn add(&mut self, path: MediumPath, claim: Claim) -> Result<()> {
        let sources = &self.sources;
        let signed = |claim: &Claim| sources[claim.source.0].signed_by.is_some();
        let claims = self.files.entry(path.clone()).or_default();
        if let Some(old) = claims.iter().find(|old| contradict(old, &claim)) {
            let [one, two] = [old, &claim].map(|claim| &sources[claim.source.0].path);
            bail!(
                "{one} and {two} on the medium say different things of {path} ({} and {}): the medium \
                 is damaged or was put together from two others",
                Said(old),
                Said(&claim),
            );
        }
        let size = claims.iter().find_map(|old| old.size).or(claim.size);
        match claims.iter_mut().find(|old| old.digest == claim.digest) {
            Some(old) if !signed(old) && signed(&claim) => *old = claim,
            Some(_) => {}
            None => {
                // Most files have one claim, and there may be half a million files.
                claims.reserve_exact(1);
                claims.push(claim);
            }
        }
        claims.iter_mut().for_each(|claim| claim.size = size);
        claims.sort_by_key(|claim| std::cmp::Reverse((signed(claim), claim.digest.rank())));
        Ok(())
    }
}

/// Whether no file can be what both say.
fn contradict(one: &Claim, two: &Claim) -> bool {
    let sizes = one.size.zip(two.size);
    let same_kind = one.digest.algorithm() == two.digest.algorithm();
    sizes.is_some_and(|(one, two)| one != two) || (same_kind && one.digest != two.digest)
}

/// Prints a claim for a message: `SHA-256 ba78…, 512 bytes`.
struct Said<'a>(&'a Claim);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.digest.algorithm(), self.0.digest)?;
        match self.0.size {
            Some(size) => write!(f, ", {size} bytes"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn two_sources() -> (Claims, SourceId, SourceId) {
        let mut claims = Claims::default();
        let [weak, strong] =
            ["md5sum.txt", "SHA256SUMS"].map(|name| claims.add_source(Source::new(name, name)));
        (claims, weak, strong)
    }

    fn claim(algorithm: Algorithm, content: &[u8], size: Option<u64>, source: SourceId) -> Claim {
        Claim {
            digest: Digest::of(algorithm, content),
            size,
            source,
        }
    }

    #[test]
    fn every_digest_stays_and_a_size_is_never_lost() {
        let (mut claims, weak, strong) = two_sources();
        let path = MediumPath::new("pool/a.deb").unwrap();
        for added in [
            claim(Algorithm::Md5, b"a", Some(1), weak),
            claim(Algorithm::Sha256, b"a", None, strong),
            claim(Algorithm::Sha256, b"a", None, weak),
        ] {
            claims.add(path.clone(), added).unwrap();
        }
        let expected = [
            claim(Algorithm::Sha256, b"a", Some(1), strong),
            claim(Algorithm::Md5, b"a", Some(1), weak),
        ];
        assert_eq!(claims.of(&path), expected);
        assert_eq!(claims.source(&expected[0]).path, "SHA256SUMS");
    }

    #[test]
    fn what_is_signed_comes_before_what_is_only_stronger() {
        let (mut claims, weak, strong) = two_sources();
        claims.sources[weak.0].signed_by = Some("Ann".to_owned());
        let path = MediumPath::new("a").unwrap();
        let [unsigned, signed] = [
            claim(Algorithm::Sha256, b"a", None, strong),
            claim(Algorithm::Md5, b"a", None, weak),
        ];
        claims.add(path.clone(), unsigned).unwrap();
        assert_eq!(claims.signed().count(), 0);
        claims.add(path.clone(), signed).unwrap();
        assert_eq!(claims.of(&path), [signed, unsigned]);
        assert_eq!(claims.signed().collect::<Vec<_>>(), [&path]);
        // The same digest from somebody who signs takes the place of one from nobody.
        let confirmed = Claim {
            source: weak,
            ..unsigned
        };
        claims.add(path.clone(), confirmed).unwrap();
        assert_eq!(claims.of(&path), [confirmed, signed]);
    }

    #[test]
    fn two_sources_that_contradict_each_other_are_an_error_that_names_both() {
        let (mut claims, one, two) = two_sources();
        let path = MediumPath::new("a").unwrap();
        claims
            .add(path.clone(), claim(Algorithm::Md5, b"a", None, one))
            .unwrap();
        let error = claims
            .add(path, claim(Algorithm::Md5, b"b", Some(7), two))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "md5sum.txt and SHA256SUMS on the medium say different things of a (MD5 \
             0cc175b9c0f1b6a831c399e269772661 and MD5 92eb5ffee6ae2fec3ad71c777531578f, 7 bytes): the \
             medium is damaged or was put together from two others"
        );
    }
}
