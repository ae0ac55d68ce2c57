//! What a publisher says of an image as a whole: a digest, or a signed list that names the image.
//!
//! The path of an image and what the user gave (`--sha256`, `--sums`) come in; a [`ImageDigests`] goes out, which
//! the image is compared with while it is copied. Without a list that is given, the usual ones are looked for
//! beside the image: `SHA256SUMS` with `.sign` or `.gpg` beside it (Debian, Ubuntu), `CHECKSUM` with the
//! signature in it (Fedora, AlmaLinux, Oracle), `IMAGE.sha256` (SUSE). A list that nobody signed finds
//! damage and vouches for nothing; MD5 and SHA-1 are not read, as they can be forged. The forms of lines are those of [`sums`](super::sums).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::UnverifiedPolicy;
use super::image_lists::{self, listed_digests, lists_beside};
use super::keyrings::Keys;
use super::list_signatures;
use crate::digest::{Digest, Hasher};

/// What is said of an image as a whole. Prints as a source: `SHA256SUMS (signed by …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDigests {
    known: Vec<ImageDigest>,
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ImageDigest {
    digest: Digest,
    by: DigestOrigin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DigestOrigin {
    /// The user, on the command line.
    User,
    /// A list, and who signed it.
    List {
        name: String,
        signed_by: Option<String>,
    },
}

/// What the user says of where a statement is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct DigestOptions<'a> {
    /// `--sha256`.
    pub sha256: Option<&'a Digest>,
    /// `--sums`.
    pub sums: Option<&'a Path>,
}

impl DigestOptions<'_> {
    /// Returns whether anything was said.
    pub fn is_given(&self) -> bool {
        self.sha256.is_some() || self.sums.is_some()
    }
}

impl ImageDigests {
    /// Finds what is said of the image at `path`, nothing when nothing is, and what the user should know of how it was
    /// found or why it was not.
    ///
    /// # Errors
    /// When a list that was given says nothing of the image, or when a signature is not of its list, or does
    /// not count and is not to be accepted.
    pub fn find(
        path: &Path,
        options: DigestOptions<'_>,
        keys: &Keys,
        unverified: UnverifiedPolicy,
    ) -> Result<(Option<Self>, Vec<String>)> {
        let mut digests = Self {
            known: Vec::new(),
            notes: Vec::new(),
        };
        if let Some(&digest) = options.sha256 {
            let by = DigestOrigin::User;
            digests.known.push(ImageDigest { digest, by });
        }
        let names = image_lists::names_of(path);
        match options.sums {
            Some(list) => {
                let list = list_signatures::list_of(list);
                let mut found = digests.read_list(&list, &names, keys, unverified)?;
                if let Some(copy) = list_signatures::signed_copy(&list) {
                    found |= digests.read_list(&copy, &names, keys, unverified)?;
                }
                let why = || {
                    image_lists::why_none_counts(&list, &names)
                        .or_else(|| image_lists::why_unread(&list, &names))
                        .unwrap_or_else(|| format!("has no digest of {}", names.join(" or ")))
                };
                ensure!(
                    found,
                    "{} {}: give its publisher's list of SHA-256, SHA-384 or SHA-512",
                    list.display(),
                    why()
                );
            }
            None if options.sha256.is_none() => {
                digests.read_beside(path, &names, keys, unverified)?;
            }
            None => {}
        }
        let notes = std::mem::take(&mut digests.notes);
        Ok(((!digests.known.is_empty()).then_some(digests), notes))
    }

    /// Takes what the lists beside the image say of it, and notes those that say nothing that counts.
    fn read_beside(
        &mut self,
        path: &Path,
        names: &[String],
        keys: &Keys,
        unverified: UnverifiedPolicy,
    ) -> Result<()> {
        let mut of_no_use = Vec::new();
        for list in lists_beside(path, names) {
            if self.read_list(&list, names, keys, unverified)? {
                continue;
            }
            let shown = list.display();
            if let Some(why) = image_lists::why_none_counts(&list, names) {
                of_no_use.push(format!("{shown}, beside it, {why}: it is not read"));
            } else if let Some(why) = image_lists::why_unread(&list, names) {
                bail!("{shown}, beside it, {why}: fetch the list again, or move it away");
            } else {
                let names = names.join(" or ");
                let note = format!("{shown} is beside it and does not name {names}");
                self.notes.push(note);
            }
        }
        if self.known.is_empty() {
            self.notes.append(&mut of_no_use);
        }
        Ok(())
    }

    /// Takes what a list says of the image by one of its names; returns whether it says anything.
    fn read_list(
        &mut self,
        list: &Path,
        names: &[String],
        keys: &Keys,
        unverified: UnverifiedPolicy,
    ) -> Result<bool> {
        let reading = || format!("reading {}", list.display());
        let text = image_lists::read(list).with_context(reading)?;
        let bare = image_lists::is_of_image(list, names)
            .then(|| image_lists::bare_digest(&text))
            .flatten()
            .filter(|digest| digest.algorithm().is_strong());
        let has_none = bare.is_none() && listed_digests(&text, names).next().is_none();
        if has_none || image_lists::unread_algorithm(list).is_some() {
            return Ok(false);
        }
        let signed = list_signatures::check(list, text, keys, unverified)?;
        self.notes.extend(signed.note);
        let (text, signed_by) = (signed.text, signed.by);
        let name = list
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut found = false;
        for digest in bare.into_iter().chain(listed_digests(&text, names)) {
            let (name, signed_by) = (name.clone(), signed_by.clone());
            let by = DigestOrigin::List { name, signed_by };
            self.known.push(ImageDigest { digest, by });
            found = true;
        }
        Ok(found)
    }

    /// Returns whether somebody whom the user trusts says it: a signature that counts, or the user.
    pub fn is_vouched(&self) -> bool {
        self.known.iter().any(|statement| match &statement.by {
            DigestOrigin::User => true,
            DigestOrigin::List { signed_by, .. } => signed_by.is_some(),
        })
    }

    /// Returns how it is said, best first, and who signed that: `SHA-256 of the image in SHA256SUMS`.
    pub fn how(&self) -> (String, Option<String>) {
        let rank = |statement: &&ImageDigest| match &statement.by {
            DigestOrigin::List {
                signed_by: Some(_), ..
            } => 0,
            DigestOrigin::User => 1,
            DigestOrigin::List { .. } => 2,
        };
        let best = self.known.iter().min_by_key(rank);
        best.map_or_else(Default::default, |ImageDigest { digest, by }| {
            let algorithm = digest.algorithm();
            match by {
                DigestOrigin::User => {
                    (format!("the {algorithm} of the image that was given"), None)
                }
                DigestOrigin::List { name, signed_by } => (
                    format!("the {algorithm} of the image in {name}"),
                    signed_by.clone(),
                ),
            }
        })
    }

    /// Compares the image with all that is said of it; `go_on` is asked after every piece.
    ///
    /// # Errors
    /// When they differ, when the image cannot be read, or when `go_on` says no.
    pub fn check(&self, image: &File, mut go_on: impl FnMut() -> bool) -> Result<()> {
        let mut algorithms: Vec<_> = self
            .known
            .iter()
            .map(|known| known.digest.algorithm())
            .collect();
        algorithms.sort();
        algorithms.dedup();
        let mut hashers: Vec<_> = algorithms.into_iter().map(Hasher::new).collect();
        let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
        loop {
            ensure!(go_on(), "interrupted");
            let got = image
                .read_at(&mut buffer, at)
                .context("reading the image for its digest")?;
            if got == 0 {
                break;
            }
            hashers
                .iter_mut()
                .for_each(|hasher| hasher.update(&buffer[..got]));
            at += got as u64;
        }
        let found: Vec<_> = hashers.into_iter().map(Hasher::finish).collect();
        for ImageDigest { digest, by } in &self.known {
            let algorithm = digest.algorithm();
            if let Some(found) = found.iter().find(|found| found.algorithm() == algorithm)
                && found != digest
            {
                let known = match by {
                    DigestOrigin::User => "--sha256".to_owned(),
                    DigestOrigin::List { name, .. } => name.clone(),
                };
                bail!(
                    "the image's {algorithm} is {found}, but {known} says {digest}: it is damaged, or another \
                     image; fetch it again"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
