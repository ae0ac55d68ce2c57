//! What a medium says of its own files.
//!
//! A [`Medium`](crate::media) comes in; [`Claims`] go out: for every path that any metadata on the
//! medium speaks of, the strongest digest that it states, the size where it states one, and the
//! [`Source`] that said so. Nothing here hashes the files themselves: the copy does, while their
//! bytes are warm, and holds the result against these claims.
//!
//! The chains that are followed, each in its own file: `Release` → `Packages` (Debian, Ubuntu),
//! `repomd.xml` → `primary.xml` (rpm media), `CHECKSUMS` and `content` (SUSE), `.treeinfo`,
//! `SHA256SUMS`, `md5sum.txt`, and the MD5 implanted in the image. Signatures on them are checked
//! against the keyrings that the distributions have installed on this machine; a signature that does
//! not fit refuses the medium, one that nobody here can check is said.

mod boot;
mod content;
mod coverage;
mod debian;
mod gathering;
mod implanted;
mod inflate;
mod keyrings;
mod lines;
mod listed;
mod lists;
mod packages;
mod primary;
mod release;
mod repomd;
mod rpmmd;
mod shelf;
mod sums;
mod treeinfo;
mod xml;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;

use anyhow::{Result, bail};

use crate::digest::Digest;
use crate::media::{Medium, MediumPath};

use listed::preferred;

pub use coverage::{Bytes, Cover, Coverage};
pub use implanted::Implanted;
pub use keyrings::Keyrings;

/// Everything that a medium says of its own files, one [`Claim`] a path.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    files: BTreeMap<MediumPath, Claim>,
    sources: Vec<Source>,
    implanted: Option<Implanted>,
    notes: Vec<String>,
}

/// What a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its digest, by the strongest algorithm that any source states.
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
/// of something else.
pub fn gather(medium: &Medium, keyrings: &Keyrings) -> Result<Claims> {
    let mut work = gathering::Gathering::new(medium, keyrings);
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
    /// Returns what is said of the file at `path`.
    pub fn of(&self, path: &MediumPath) -> Option<&Claim> {
        self.files.get(path)
    }

    /// Returns every claim, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&MediumPath, &Claim)> {
        self.files.iter()
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

    /// Adds a claim. The strongest algorithm stays, and the first of two equally strong sources.
    ///
    /// # Errors
    /// When two sources say different things of one file, which no copy could satisfy.
    pub fn add(&mut self, path: MediumPath, claim: Claim) -> Result<()> {
        let mut slot = match self.files.entry(path) {
            Slot::Vacant(slot) => {
                slot.insert(claim);
                return Ok(());
            }
            Slot::Occupied(slot) => slot,
        };
        let old = *slot.get();
        let same_kind = old.digest.algorithm() == claim.digest.algorithm();
        let sizes_differ = old
            .size
            .zip(claim.size)
            .is_some_and(|(one, two)| one != two);
        if sizes_differ || (same_kind && old.digest != claim.digest) {
            let path = slot.key();
            let [one, two] = [old, claim].map(|claim| self.sources[claim.source.0].path.clone());
            bail!(
                "{one} and {two} on the medium say different things of {path} ({} and {}): the medium \
                 is damaged or was put together from two others",
                Said(&old),
                Said(&claim),
            );
        }
        let size = old.size.or(claim.size);
        let best = if preferred(old.digest, claim.digest) == old.digest {
            old
        } else {
            claim
        };
        slot.insert(Claim { size, ..best });
        Ok(())
    }
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
    fn the_strongest_digest_stays_and_a_size_is_never_lost() {
        let (mut claims, weak, strong) = two_sources();
        let path = MediumPath::new("pool/a.deb").unwrap();
        claims
            .add(path.clone(), claim(Algorithm::Md5, b"a", Some(1), weak))
            .unwrap();
        claims
            .add(path.clone(), claim(Algorithm::Sha256, b"a", None, strong))
            .unwrap();
        claims
            .add(path.clone(), claim(Algorithm::Md5, b"b", None, weak))
            .unwrap();
        let kept = claims.of(&path).unwrap();
        assert_eq!(*kept, claim(Algorithm::Sha256, b"a", Some(1), strong));
        assert_eq!(claims.source(kept).path, "SHA256SUMS");
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
