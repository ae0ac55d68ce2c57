//! What every kind of metadata needs while it is read: the medium, the keys, and the claims so far.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use anyhow::{Context, Result, bail};

use super::keyrings::{Keyrings, Signature};
use super::listed::Listed;
use super::shelf::locate;
use super::{Claim, Claims, Source, SourceId, boot, inflate};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{Entry, Kind, Medium};

/// No list that is read whole is larger; `md5sum.txt` of a full DVD has some megabytes.
const LARGEST: u64 = 64 << 20;

/// Whether a file that is listed has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// The list is of this medium and nothing else: what it lists is there, or something is lost.
    Whole,
    /// The list is of more than this medium.
    Wider,
}

/// The reading of one medium's metadata.
pub(super) struct Gathering<'a> {
    pub(super) medium: &'a Medium,
    pub(super) claims: Claims,
    keyrings: &'a Keyrings,
    /// What whole lists list and what is not there, with who lists it first.
    missing: BTreeMap<Vec<u8>, SourceId>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(medium: &'a Medium, keyrings: &'a Keyrings) -> Self {
        Self {
            medium,
            claims: Claims::default(),
            keyrings,
            missing: BTreeMap::new(),
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

    /// Reads a list whole.
    pub(super) fn read(&self, entry: &Entry) -> Result<Vec<u8>> {
        self.medium.read(entry, LARGEST)
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
    /// When the signature is of something else.
    pub(super) fn signed(
        &mut self,
        entry: &Entry,
        text: Vec<u8>,
        chain: &'static str,
        signature: Option<&Entry>,
    ) -> Result<(SourceId, Vec<u8>)> {
        let source = self.unsigned(entry, chain);
        let clear = text.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----");
        if signature.is_none() && !clear {
            return Ok((source, text));
        }
        let detached = signature
            .map(|signature| self.read(signature))
            .transpose()?;
        let name = &signature.unwrap_or(entry).path;
        match self.keyrings.check(&text, detached.as_deref())? {
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
            Signature::Unchecked { why } => {
                self.claims
                    .notes
                    .push(format!("the signature {name} was not checked: {why}"));
                Ok((source, text))
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
        listed: Listed,
        listing: Listing,
    ) -> Result<Option<&'a Entry>> {
        let Some(entry) = locate(self.medium, base, &listed.path)? else {
            if listing == Listing::Whole {
                let path = listed.path.strip_prefix(b"./").unwrap_or(&listed.path);
                self.missing.entry(path.to_vec()).or_insert(source);
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

    /// Streams a packed index through `parse`, and holds the index itself against what is said of it.
    ///
    /// # Errors
    /// That the index is damaged, rather than what it says; else what `parse` finds wrong.
    pub(super) fn index(
        &mut self,
        entry: &'a Entry,
        parse: impl FnOnce(&mut Self, Box<dyn BufRead + '_>) -> Result<()>,
    ) -> Result<()> {
        let reading = || format!("reading {}", entry.path);
        let claim = self.claims.of(&entry.path).copied();
        let algorithm = claim.map_or(Algorithm::Sha256, |claim| claim.digest.algorithm());
        let mut packed = Hashed {
            inner: self.medium.reader(entry)?,
            hasher: Hasher::new(algorithm),
        };
        let name = entry.path.to_string();
        let parsed = inflate::open(&name, &mut packed)
            .map_err(anyhow::Error::from)
            .and_then(|plain| parse(self, plain));
        io::copy(&mut packed, &mut io::sink()).with_context(reading)?;
        let found = packed.hasher.finish();
        if let Some(claim) = claim.filter(|claim| claim.digest != found) {
            bail!(
                "{name} does not have the {algorithm} that {} gives it: the medium is damaged; fetch it \
                 again",
                self.claims.source(&claim)
            );
        }
        parsed.with_context(reading)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a list of the whole medium lists what is not there.
    pub(super) fn finish(self) -> Result<Claims> {
        let Some((path, source)) = self.missing.first_key_value() else {
            return Ok(self.claims);
        };
        let more = match self.missing.len() - 1 {
            0 => String::new(),
            1 => " (and one more file)".to_owned(),
            more => format!(" (and {more} more files)"),
        };
        bail!(
            "{}, which {} lists, is not on the medium{more}: it is damaged or incomplete; fetch it again",
            String::from_utf8_lossy(path),
            self.claims.sources()[source.0]
        );
    }
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
