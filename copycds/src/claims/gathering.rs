//! What every kind of metadata needs while it is read: the medium, the keys, and the claims so far.

use std::collections::BTreeMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use repodata::{Input, ListedFile, is_clear_signed, signed_text};

use super::keyrings::{Keys, Signature};
use super::shelf::locate;
use super::{Claim, Claims, Source, SourceId, Unverified, boot};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{Entry, Kind, Medium};

/// No list that is read whole is larger; `md5sum.txt` of a full DVD has some megabytes.
const LARGEST: u64 = 32 << 20;

/// So many lost files are told apart; with more, reading goes no further.
const MOST_MISSING: usize = 10_000;

/// Whether a file that is listed has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// The list is of this medium and nothing else: what it lists is there, or something is lost.
    Whole,
    /// The list was made for a set or a tree that the medium was cut from: what is not there is counted.
    Wider,
    /// The list is of an archive, of which every medium holds but a part.
    Archive,
}

/// The reading of one medium's metadata.
pub(super) struct Gathering<'a> {
    pub(super) medium: &'a Medium,
    pub(super) claims: Claims,
    keys: &'a Keys,
    unverified: Unverified,
    /// What whole lists list and what is not there, with who lists it first.
    missing: BTreeMap<Vec<u8>, SourceId>,
    /// How much each wider list lists that is not there.
    elsewhere: BTreeMap<SourceId, u64>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(medium: &'a Medium, keys: &'a Keys, unverified: Unverified) -> Self {
        Self {
            medium,
            claims: Claims::default(),
            keys,
            unverified,
            missing: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
        }
    }

    /// Returns the files of the medium that have one of these names.
    pub(super) fn named(
        &self,
        names: &'static [&str],
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.medium.entries().iter().filter(|entry| {
            let name = super::shelf::split(entry.path.as_bytes()).1;
            names.iter().any(|wanted| wanted.as_bytes() == name)
                && matches!(entry.kind, Kind::File { .. })
        })
    }

    /// Reads a list whole, and remembers what it was.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let bytes = self.medium.read(entry, LARGEST)?;
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        self.claims.read.insert(entry.path.clone(), digest);
        Ok(bytes)
    }

    /// Returns the file beside `entry` whose name is the same with `ending`.
    pub(super) fn beside(&self, entry: &Entry, ending: &str) -> Option<&'a Entry> {
        let path = [entry.path.as_bytes(), ending.as_bytes()].concat();
        locate(self.medium, b"", &path).ok().flatten()
    }

    /// Adds a source that nothing vouches for.
    pub(super) fn unsigned(&mut self, entry: &Entry, chain: &'static str) -> SourceId {
        self.claims
            .add_source(Source::new(entry.path.to_string(), chain))
    }

    /// Adds a source that another one vouches for, and whose signature it therefore shares.
    pub(super) fn below(&mut self, source: SourceId, entry: &Entry) -> SourceId {
        let path = entry.path.to_string();
        let source = Source {
            path,
            ..self.claims.sources()[source.0].clone()
        };
        self.claims.add_source(source)
    }

    /// Adds a source after looking at its signature, if there is one: in the text itself, or in a
    /// file. Returns what the signature is of, which is what may be believed.
    ///
    /// # Errors
    /// When the signature is of something else, or does not count here and is not to be accepted.
    pub(super) fn signed(
        &mut self,
        entry: &Entry,
        text: Vec<u8>,
        chain: &'static str,
        signature: Option<&Entry>,
    ) -> Result<(SourceId, Vec<u8>)> {
        let source = self.unsigned(entry, chain);
        if signature.is_none() && !is_clear_signed(&text) {
            return Ok((source, text));
        }
        let detached = signature
            .map(|signature| self.read(signature))
            .transpose()?;
        let name = &signature.unwrap_or(entry).path;
        match self.keys.check(&text, detached.as_deref())? {
            Signature::Good { by, text: signed } => {
                self.claims.sources[source.0].signed_by = Some(by);
                // The signature vouches for the very bytes that were read.
                self.seal(entry, &text, source)?;
                if let Some((signature, bytes)) = signature.zip(detached) {
                    self.seal(signature, &bytes, source)?;
                }
                Ok((source, signed))
            }
            Signature::Bad { by } => bail!(
                "{name} is not a signature of what {} holds now (signed by {by}): the medium is \
                 damaged or was changed; fetch it again",
                entry.path
            ),
            Signature::Uncounted { why } if self.unverified == Unverified::Refuse => bail!(
                "the signature {name} does not count: {why}; put the distribution's key into \
                 <config>/keyrings, or say by what else the medium is believed (--sums, --sha256), or \
                 import it as one that nobody vouches for (--accept-unsigned)"
            ),
            Signature::Uncounted { why } => {
                let note = format!("the signature {name} does not count: {why}");
                self.claims.notes.push(note);
                Ok((source, signed_text(text)))
            }
        }
    }

    fn seal(&mut self, entry: &Entry, bytes: &[u8], source: SourceId) -> Result<()> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let size = Some(bytes.len() as u64);
        self.claims.add(
            entry.path.clone(),
            Claim {
                digest,
                size,
                source,
            },
        )
    }

    /// Adds what `source` says of a file, whose path counts from the directory `base`; returns the
    /// file when it is there.
    pub(super) fn add(
        &mut self,
        source: SourceId,
        base: &[u8],
        listed: ListedFile,
        listing: Listing,
    ) -> Result<Option<&'a Entry>> {
        let Some(entry) = locate(self.medium, base, &listed.path)? else {
            match listing {
                Listing::Whole => self.lost(source, &listed.path)?,
                Listing::Wider => *self.elsewhere.entry(source).or_default() += 1,
                Listing::Archive => {}
            }
            return Ok(None);
        };
        if entry.path.to_string() == self.claims.sources()[source.0].path {
            return Ok(Some(entry)); // no list can hold its own digest
        }
        if let Some(digest) = boot::as_on_medium(self.medium, entry, listed.digest)? {
            self.claims.add(
                entry.path.clone(),
                Claim {
                    digest,
                    size: listed.size,
                    source,
                },
            )?;
        }
        Ok(Some(entry))
    }

    /// Notes a file that has to be there and is not.
    ///
    /// # Errors
    /// When there are so many that no more are told apart.
    pub(super) fn lost(&mut self, source: SourceId, path: &[u8]) -> Result<()> {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        self.missing.entry(path.to_vec()).or_insert(source);
        if self.missing.len() < MOST_MISSING {
            return Ok(());
        }
        self.none_missing()
    }

    /// Streams a packed index through `parse`, and holds the index itself against what is said of it.
    ///
    /// # Errors
    /// That the index is damaged, rather than what it says; else what `parse` finds wrong.
    pub(super) fn index(
        &mut self,
        entry: &'a Entry,
        parse: impl FnOnce(&mut Self, Input<'_>) -> Result<()>,
    ) -> Result<()> {
        let reading = || format!("reading {}", entry.path);
        let claims = self.claims.of(&entry.path).to_vec();
        let mut algorithms: Vec<_> = claims
            .iter()
            .map(|claim| claim.digest.algorithm())
            .collect();
        algorithms.push(Algorithm::Sha256);
        let mut packed = Hashed {
            inner: self.medium.reader(entry)?,
            hashers: algorithms.into_iter().map(Hasher::new).collect(),
        };
        let name = entry.path.to_string();
        let parsed = Input::open(&name, &mut packed)
            .map_err(anyhow::Error::from)
            .and_then(|plain| parse(self, plain));
        io::copy(&mut packed, &mut io::sink()).with_context(reading)?;
        let found: Vec<_> = packed.hashers.into_iter().map(Hasher::finish).collect();
        if let Some(claim) = claims.iter().find(|claim| !found.contains(&claim.digest)) {
            bail!(
                "{name} does not have the {} that {} gives it: the medium is damaged; fetch it again",
                claim.digest.algorithm(),
                self.claims.source(claim)
            );
        }
        if let Some(digest) = found.last() {
            self.claims.read.insert(entry.path.clone(), *digest);
        }
        parsed.with_context(reading)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a list of the whole medium lists what is not there.
    pub(super) fn finish(mut self) -> Result<Claims> {
        self.none_missing()?;
        for (source, count) in self.elsewhere {
            let files = if count == 1 { "file" } else { "files" };
            let list = &self.claims.sources[source.0];
            let note = format!("{count} {files} that {list} lists are not on this medium");
            self.claims.notes.push(note);
        }
        Ok(self.claims)
    }

    fn none_missing(&self) -> Result<()> {
        let Some((path, source)) = self.missing.first_key_value() else {
            return Ok(());
        };
        let more = match self.missing.len() - 1 {
            0 => String::new(),
            1 => " (and one more file)".to_owned(),
            more if more + 1 == MOST_MISSING => format!(" (and {more} more files, or still more)"),
            more => format!(" (and {more} more files)"),
        };
        bail!(
            "{}, which {} lists, is not on the medium{more}: it is damaged or incomplete; fetch it again",
            String::from_utf8_lossy(path),
            self.claims.sources[source.0]
        );
    }
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hashers: Vec<Hasher>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let read_now = &buffer[..read];
        self.hashers
            .iter_mut()
            .for_each(|hasher| hasher.update(read_now));
        Ok(read)
    }
}
