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
use repodata::{is_clear_signed, signed_text};

use super::UnverifiedPolicy;
use super::image_lists::{self, listed_digests, lists_beside};
use super::keyrings::{Keys, Signature};
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
                let list = image_lists::without_signature(list);
                let found = digests.read_list(&list, &names, keys, unverified)?;
                let why = || {
                    image_lists::why_none_counts(&list, &names)
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
            } else if image_lists::is_list(&list) {
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
        let signature = image_lists::signature_of(list).map(|path| {
            let bytes =
                image_lists::read(&path).with_context(|| format!("reading {}", path.display()));
            Ok::<_, anyhow::Error>((path, bytes?))
        });
        let signature = signature.transpose()?;
        let (text, signed_by) = match &signature {
            None if !is_clear_signed(&text) => (text, None),
            _ => {
                let shown = signature.as_ref().map_or(list, |(path, _)| path).display();
                let detached = signature.as_ref().map(|(_, bytes)| bytes.as_slice());
                match keys.check(&text, detached)? {
                    Signature::Good { by, text } => (text, Some(by)),
                    Signature::Bad { by } => bail!(
                        "{shown} is not a signature of what {} holds now (signed by {by}): fetch both again",
                        list.display()
                    ),
                    Signature::NotAccepted { reason } if unverified == UnverifiedPolicy::Refuse => {
                        bail!(
                            "the signature {shown} does not count: {reason}; put the publisher's key into \
                         <config>/keyrings, or give the image's digest (--sha256), or import it as unsigned (--accept-unsigned)"
                        )
                    }
                    Signature::NotAccepted { reason } => {
                        let note = format!("the signature {shown} does not count: {reason}");
                        self.notes.push(note);
                        (signed_text(text), None)
                    }
                }
            }
        };
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
mod tests {
    use std::fs;

    use super::*;
    use crate::digest::Algorithm;

    fn keys() -> Keys {
        Keys::default()
    }

    fn find(image: &Path) -> Option<ImageDigests> {
        ImageDigests::find(
            image,
            DigestOptions::default(),
            &keys(),
            UnverifiedPolicy::Refuse,
        )
        .unwrap()
        .0
    }

    #[test]
    fn the_usual_lists_beside_an_image_are_found_and_others_are_not() {
        let hex = Digest::of(Algorithm::Sha256, b"image");
        let md5 = Digest::of(Algorithm::Md5, b"image");
        for (name, text, found) in [
            ("a.iso.sha256", format!("{hex}\n"), true),
            ("a.sha256", format!("{hex}\n"), true),
            ("A.iso.SHA512SUM", format!("{hex}  a.iso\n"), true),
            (
                "SHA384SUMS",
                format!("{}  a.iso\n", Digest::of(Algorithm::Sha384, b"image")),
                true,
            ),
            ("sha256sums.txt", format!("{hex}\ta.iso\n"), true),
            ("SHA256SUM", format!("{hex}  a.iso\n"), true),
            ("b.sha256", format!("{hex}\n"), false),
            ("notes.txt", format!("{hex}  a.iso\n"), false),
            ("SHA256SUMS", format!("{hex}\n"), false),
            ("SHA256SUMS", format!("{hex}  a.iso\n"), true),
            (
                "SHA256SUMS",
                format!("{hex} *./a.iso\nno line of a list\n"),
                true,
            ),
            ("a.iso.sha256", format!("{hex}  a.iso\n"), true),
            (
                "Server-42-x86_64-CHECKSUM",
                format!("# a.iso: 5 bytes\nSHA256 (a.iso) = {hex}\n"),
                true,
            ),
            ("SHA256SUMS", format!("{hex}  b.iso\n"), false),
            ("b.iso.sha256", format!("{hex}  a.iso\n"), false),
            ("sha256sum.txt", format!("{md5}  a.iso\n"), false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let image = dir.path().join("a.iso");
            fs::write(&image, "image").unwrap();
            fs::write(dir.path().join(name), &text).unwrap();
            let link = dir.path().join("link");
            std::os::unix::fs::symlink("a.iso", &link).unwrap();
            for path in [&image, &link] {
                let digests = find(path);
                assert_eq!(digests.is_some(), found, "{name}: {text}");
                if let Some(digests) = digests {
                    assert!(!digests.is_vouched(), "nobody signed it");
                    digests
                        .check(&File::open(&image).unwrap(), || true)
                        .unwrap();
                }
            }
        }
    }

    #[test]
    fn an_image_that_differs_from_any_statement_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.iso");
        fs::write(&image, "image").unwrap();
        let [right, wrong] =
            [&b"image"[..], b"other"].map(|text| Digest::of(Algorithm::Sha256, text));
        let file = File::open(&image).unwrap();
        let check = |sha256| {
            let options = DigestOptions {
                sha256: Some(sha256),
                sums: None,
            };
            let digests = ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse);
            let digests = digests.unwrap().0.unwrap();
            assert!(digests.is_vouched(), "the user says so");
            digests.check(&file, || true)
        };
        check(&right).unwrap();
        assert_eq!(
            check(&wrong).unwrap_err().to_string(),
            format!(
                "the image's SHA-256 is {right}, but --sha256 says {wrong}: it is damaged, or another image; \
                 fetch it again"
            )
        );
        fs::write(
            dir.path().join("SHA256SUMS"),
            format!("{right}  a.iso\n{wrong}  a.iso\n"),
        )
        .unwrap();
        assert!(
            find(&image).unwrap().check(&file, || true).is_err(),
            "both lines count"
        );
    }

    #[test]
    fn a_list_that_is_given_has_to_name_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        fs::write(&list, "nothing\n").unwrap();
        let options = DigestOptions {
            sha256: None,
            sums: Some(&list),
        };
        let error = ImageDigests::find(
            Path::new("/x/a.iso"),
            options,
            &keys(),
            UnverifiedPolicy::Refuse,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} has no digest of a.iso: give its publisher's list of SHA-256, SHA-384 or SHA-512",
                list.display()
            )
        );
    }

    #[test]
    fn a_list_whose_digests_do_not_count_is_named_as_what_it_is() {
        let md5 = Digest::of(Algorithm::Md5, b"image");
        let sha1 = Digest::of(Algorithm::Sha1, b"image");
        // As long as a SHA-512 and a SHA-256.
        let (long, short) = ("0".repeat(128), "0".repeat(64));
        for (name, text, why) in [
            (
                "MD5SUMS",
                format!("{md5}  a.iso\n"),
                "has only the MD5 of a.iso, which can be forged",
            ),
            (
                "a.iso.sha1",
                format!("{sha1}\n"),
                "has only the SHA-1 of a.iso, which can be forged",
            ),
            (
                "b2sums.txt",
                format!("{long}  a.iso\n"),
                "has BLAKE2 digests, which copycds does not compute",
            ),
            (
                "a.iso.b2",
                format!("{long}\n"),
                "has BLAKE2 digests, which copycds does not compute",
            ),
            (
                "a.iso.sm3sum",
                format!("{short}  a.iso\n"),
                "has SM3 digests, which copycds does not compute",
            ),
            (
                "CHECKSUM",
                format!("BLAKE2b (a.iso) = {long}\n"),
                "has BLAKE2b digests, which copycds does not compute",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let image = dir.path().join("a.iso");
            let list = dir.path().join(name);
            fs::write(&image, "image").unwrap();
            fs::write(&list, text).unwrap();
            let find = |sums| {
                let options = DigestOptions { sha256: None, sums };
                ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse)
            };
            let shown = list.display();
            let note = format!("{shown}, beside it, {why}: it is not read");
            assert_eq!(find(None).unwrap(), (None, vec![note]));
            assert_eq!(
                find(Some(&list)).unwrap_err().to_string(),
                format!("{shown} {why}: give its publisher's list of SHA-256, SHA-384 or SHA-512")
            );
        }
    }
}
