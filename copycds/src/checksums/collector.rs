//! What every kind of metadata needs while it is read: the medium, the keys, and the expected digests so far.

use std::collections::BTreeMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use repodata::{Input, ListedFile, is_clear_signed, signed_text};

use super::keyrings::{Keys, Signature};
use super::locate::locate;
use super::{DigestSource, ExpectedDigest, ExpectedDigests, SourceId, UnverifiedPolicy, boot};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{EntryKind, Medium, MediumEntry};

/// No list that is read whole is larger; `md5sum.txt` of a full DVD has some megabytes.
const MAX_BYTES: u64 = 32 << 20;

/// So many missing files are counted; with more, reading ends.
const MAX_MISSING: usize = 10_000;

/// Whether a file that is listed has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// The list is of this medium and nothing else: what it lists is there, or something is lost.
    Medium,
    /// The list was made for a set or a tree that the medium was cut from: what is not there is counted.
    Set,
    /// The list is of an archive, of which every medium holds but a part.
    Archive,
}

/// The reading of one medium's metadata.
pub(super) struct Collector<'a> {
    pub(super) medium: &'a Medium,
    pub(super) checksums: ExpectedDigests,
    keys: &'a Keys,
    unverified: UnverifiedPolicy,
    /// What whole lists list and what is not there, with who lists it first.
    missing: BTreeMap<Vec<u8>, SourceId>,
    /// How much each wider list lists that is not there.
    absent: BTreeMap<SourceId, u64>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(medium: &'a Medium, keys: &'a Keys, unverified: UnverifiedPolicy) -> Self {
        Self {
            medium,
            checksums: ExpectedDigests::default(),
            keys,
            unverified,
            missing: BTreeMap::new(),
            absent: BTreeMap::new(),
        }
    }

    /// Returns the files of the medium that have one of these names.
    pub(super) fn named(
        &self,
        names: &'static [&str],
    ) -> impl Iterator<Item = &'a MediumEntry> + use<'a> {
        self.medium.entries().iter().filter(|entry| {
            let name = super::locate::split(entry.path.as_bytes()).1;
            names.iter().any(|wanted| wanted.as_bytes() == name)
                && matches!(entry.kind, EntryKind::File { .. })
        })
    }

    /// Reads a list whole, and remembers what it was.
    pub(super) fn read(&mut self, entry: &MediumEntry) -> Result<Vec<u8>> {
        let bytes = self.medium.read(entry, MAX_BYTES)?;
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        self.checksums.read.insert(entry.path.clone(), digest);
        Ok(bytes)
    }

    /// Returns the file beside `entry` whose name is the same with `ending`.
    pub(super) fn sibling(&self, entry: &MediumEntry, ending: &str) -> Option<&'a MediumEntry> {
        let path = [entry.path.as_bytes(), ending.as_bytes()].concat();
        locate(self.medium, b"", &path).ok().flatten()
    }

    /// Adds a source that nothing vouches for.
    pub(super) fn add_unsigned_source(
        &mut self,
        entry: &MediumEntry,
        chain: &'static str,
    ) -> SourceId {
        self.checksums
            .add_source(DigestSource::new(entry.path.to_string(), chain))
    }

    /// Adds a source that another one vouches for, and whose signature it therefore shares.
    pub(super) fn add_indirect_source(
        &mut self,
        source: SourceId,
        entry: &MediumEntry,
    ) -> SourceId {
        let path = entry.path.to_string();
        let source = DigestSource {
            path,
            ..self.checksums.sources()[source.0].clone()
        };
        self.checksums.add_source(source)
    }

    /// Adds a source after looking at its signature, if there is one: in the text itself, or in a
    /// file. Returns what the signature is of, which is what counts.
    ///
    /// # Errors
    /// When the signature is of something else, or does not count here and is not to be accepted.
    pub(super) fn add_signed_source(
        &mut self,
        entry: &MediumEntry,
        text: Vec<u8>,
        chain: &'static str,
        signature: Option<&MediumEntry>,
    ) -> Result<(SourceId, Vec<u8>)> {
        let source = self.add_unsigned_source(entry, chain);
        if signature.is_none() && !is_clear_signed(&text) {
            return Ok((source, text));
        }
        let detached = signature
            .map(|signature| self.read(signature))
            .transpose()?;
        let name = &signature.unwrap_or(entry).path;
        match self.keys.check(&text, detached.as_deref())? {
            Signature::Good { by, text: signed } => {
                self.checksums.sources[source.0].signed_by = Some(by);
                // The signature vouches for the very bytes that were read.
                self.add_signed_digest(entry, &text, source)?;
                if let Some((signature, bytes)) = signature.zip(detached) {
                    self.add_signed_digest(signature, &bytes, source)?;
                }
                Ok((source, signed))
            }
            Signature::Bad { by } => bail!(
                "{name} is not a signature of what {} holds now (signed by {by}): the medium is \
                 damaged or was changed; fetch it again",
                entry.path
            ),
            Signature::NotAccepted { reason } if self.unverified == UnverifiedPolicy::Refuse => {
                bail!(
                    "the signature {name} does not count: {reason}; put the distribution's key into \
                 <config>/keyrings, or verify the whole image (--sums, --sha256), or import it as \
                 unsigned (--accept-unsigned)"
                )
            }
            Signature::NotAccepted { reason } => {
                let note = format!("the signature {name} does not count: {reason}");
                self.checksums.notes.push(note);
                Ok((source, signed_text(text)))
            }
        }
    }

    fn add_signed_digest(
        &mut self,
        entry: &MediumEntry,
        bytes: &[u8],
        source: SourceId,
    ) -> Result<()> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let size = Some(bytes.len() as u64);
        self.checksums.add(
            entry.path.clone(),
            ExpectedDigest {
                digest,
                size,
                source,
                md5: None,
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
    ) -> Result<Option<&'a MediumEntry>> {
        let Some(entry) = locate(self.medium, base, &listed.path)? else {
            match listing {
                Listing::Medium => self.note_missing(source, &listed.path)?,
                Listing::Set => *self.absent.entry(source).or_default() += 1,
                Listing::Archive => {}
            }
            return Ok(None);
        };
        if entry.path.to_string() == self.checksums.sources()[source.0].path {
            return Ok(Some(entry)); // no list can hold its own digest
        }
        if let Some(digest) = boot::as_on_medium(self.medium, entry, listed.digest)? {
            self.checksums.add(
                entry.path.clone(),
                ExpectedDigest {
                    digest,
                    size: listed.size,
                    source,
                    md5: None,
                },
            )?;
        }
        Ok(Some(entry))
    }

    /// Notes a file that has to be there and is not.
    ///
    /// # Errors
    /// When there are so many that no more are counted.
    pub(super) fn note_missing(&mut self, source: SourceId, path: &[u8]) -> Result<()> {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        self.missing.entry(path.to_vec()).or_insert(source);
        if self.missing.len() < MAX_MISSING {
            return Ok(());
        }
        self.ensure_none_missing()
    }

    /// Streams a packed index through `parse`, and compares the index itself with what is said of it.
    ///
    /// # Errors
    /// That the index is damaged, rather than what it says; else what `parse` finds wrong.
    pub(super) fn index(
        &mut self,
        entry: &'a MediumEntry,
        parse: impl FnOnce(&mut Self, Input<'_>) -> Result<()>,
    ) -> Result<()> {
        let reading = || format!("reading {}", entry.path);
        let checksums = self.checksums.of(&entry.path).to_vec();
        let mut algorithms: Vec<_> = checksums
            .iter()
            .map(|expected| expected.digest.algorithm())
            .collect();
        algorithms.push(Algorithm::Sha256);
        let mut packed = HashingReader {
            inner: self.medium.reader(entry)?,
            hashers: algorithms.into_iter().map(Hasher::new).collect(),
        };
        let name = entry.path.to_string();
        let parsed = Input::open(&name, &mut packed)
            .map_err(anyhow::Error::from)
            .and_then(|plain| parse(self, plain));
        io::copy(&mut packed, &mut io::sink()).with_context(reading)?;
        let found: Vec<_> = packed.hashers.into_iter().map(Hasher::finish).collect();
        if let Some(expected) = checksums
            .iter()
            .find(|expected| !found.contains(&expected.digest))
        {
            bail!(
                "{name} does not have the {} that {} gives it: the medium is damaged; fetch it again",
                expected.digest.algorithm(),
                self.checksums.source(expected)
            );
        }
        if let Some(digest) = found.last() {
            self.checksums.read.insert(entry.path.clone(), *digest);
        }
        parsed.with_context(reading)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a list of the whole medium lists what is not there.
    pub(super) fn finish(mut self) -> Result<ExpectedDigests> {
        self.ensure_none_missing()?;
        for (source, count) in self.absent {
            let files = if count == 1 { "file" } else { "files" };
            let list = &self.checksums.sources[source.0];
            let note = format!("{count} {files} that {list} lists are not on this medium");
            self.checksums.notes.push(note);
        }
        Ok(self.checksums)
    }

    fn ensure_none_missing(&self) -> Result<()> {
        let Some((path, source)) = self.missing.first_key_value() else {
            return Ok(());
        };
        let more = match self.missing.len() - 1 {
            0 => String::new(),
            1 => " (and one more file)".to_owned(),
            more if more + 1 == MAX_MISSING => format!(" (and {more} more files, or still more)"),
            more => format!(" (and {more} more files)"),
        };
        let cause = if self.medium.has_cut_names() {
            "its files have other names, because it has neither Rock Ridge nor Joliet; use the publisher's image, or make \
             one with Rock Ridge (xorriso -as mkisofs -R)"
        } else {
            "it is damaged or incomplete; fetch it again"
        };
        bail!(
            "{}, which {} lists, is not on the medium{more}: {cause}",
            String::from_utf8_lossy(path),
            self.checksums.sources[source.0]
        );
    }
}

/// Hashes what is read through it.
struct HashingReader<R> {
    inner: R,
    hashers: Vec<Hasher>,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let read_now = &buffer[..read];
        self.hashers
            .iter_mut()
            .for_each(|hasher| hasher.update(read_now));
        Ok(read)
    }
}
