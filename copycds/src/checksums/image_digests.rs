//! What a publisher says of an image as a whole: a digest, or a signed list that names the image.
//!
//! The path of an image and what the user gave (`--sha256`, `--sums`) come in; a [`ImageDigests`] goes out, which
//! the image is compared with while it is copied. Without a list that is given, the usual ones are looked for
//! beside the image: `SHA256SUMS` with `.sign` or `.gpg` beside it (Debian, Ubuntu), `CHECKSUM` with the
//! signature in it (Fedora, AlmaLinux, Oracle), `IMAGE.sha256` (SUSE). A list that nobody signed finds
//! damage and vouches for nothing. The forms of lines are those of [`sums`](super::sums).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::fcntl::OFlag;

use super::keyrings::{Keys, Signature};
use super::{UnverifiedPolicy, release, sums};
use crate::digest::{Algorithm, Digest, Hasher};

/// A list of images has some kilobytes.
const MAX_BYTES: u64 = 4 << 20;
/// Names of lists, in lower case and without `.txt` and `.asc` at their end.
const LISTS: [&str; 6] = [
    "sha256sums",
    "sha512sums",
    "sha256sum",
    "sha512sum",
    "checksum",
    "checksums",
];
/// Endings of lists that are named after their image or their release, likewise.
const ENDINGS: [&str; 7] = [
    ".sha256",
    ".sha512",
    ".sha256sum",
    ".sha512sum",
    ".checksum",
    "-checksum",
    "_checksum",
];
/// Endings of a signature beside its list.
const SIGNATURES: [&str; 4] = [".sign", ".gpg", ".asc", ".sig"];

/// What is said of an image as a whole. Prints as a source: `SHA256SUMS (signed by …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDigests {
    known: Vec<ImageDigest>,
    /// What the user should know of how these were found.
    pub notes: Vec<String>,
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
    /// Finds what is said of the image at `path`; nothing when nothing is.
    ///
    /// # Errors
    /// When a list that was given says nothing of the image, or when a signature is not of its list, or does
    /// not count and is not to be accepted.
    pub fn find(
        path: &Path,
        options: DigestOptions<'_>,
        keys: &Keys,
        unverified: UnverifiedPolicy,
    ) -> Result<Option<Self>> {
        let mut digests = Self {
            known: Vec::new(),
            notes: Vec::new(),
        };
        if let Some(&digest) = options.sha256 {
            let by = DigestOrigin::User;
            digests.known.push(ImageDigest { digest, by });
        }
        let names = names(path);
        match options.sums {
            Some(list) => {
                let list = without_signature(list);
                let found = digests.read_list(&list, &names, keys, unverified)?;
                ensure!(
                    found,
                    "{} has no SHA-256 and no SHA-512 of {}: give the list that its publisher made of it",
                    list.display(),
                    names.join(" or ")
                );
            }
            None if options.sha256.is_none() => {
                for list in lists_beside(path, &names) {
                    if !digests.read_list(&list, &names, keys, unverified)? && is_list(&list) {
                        digests.notes.push(format!(
                            "{} is beside it and does not name {}",
                            list.display(),
                            names.join(" or ")
                        ));
                    }
                }
            }
            None => {}
        }
        Ok((!digests.known.is_empty()).then_some(digests))
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
        let text = read(list).with_context(reading)?;
        let bare = is_of_image(list, names)
            .then(|| bare_digest(&text))
            .flatten();
        if bare.is_none() && listed_digests(&text, names).next().is_none() {
            return Ok(false);
        }
        let signature = signature(list).map(|path| {
            let bytes = read(&path).with_context(|| format!("reading {}", path.display()));
            Ok::<_, anyhow::Error>((path, bytes?))
        });
        let signature = signature.transpose()?;
        let (text, signed_by) = match &signature {
            None if !release::is_signed(&text) => (text, None),
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
                        (release::signed_text(text), None)
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

/// Returns the names that a list may have the image under: as it was given, and where that link leads.
fn names(path: &Path) -> Vec<String> {
    let real = fs::canonicalize(path).ok();
    let paths = [Some(path.to_owned()), real];
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let mut names: Vec<_> = paths.into_iter().flatten().filter_map(name).collect();
    names.dedup();
    names
}

/// Whether a file lists any digests of images.
fn is_list(path: &Path) -> bool {
    let strong = [Algorithm::Sha256, Algorithm::Sha512];
    let text = read(path).unwrap_or_default();
    let mut listed = sums::parse(&text).flatten();
    listed
        .any(|listed| strong.contains(&listed.digest.algorithm()) && listed.path.ends_with(b".iso"))
}

/// Returns the strong digests that a text lists for one of these names.
fn listed_digests<'a>(
    text: &'a [u8],
    names: &'a [String],
) -> impl Iterator<Item = Digest> + use<'a> {
    let strong = |algorithm| [Algorithm::Sha256, Algorithm::Sha512].contains(&algorithm);
    let listed = sums::parse(text).flatten().filter(move |listed| {
        let name = listed.path.rsplit(|byte| *byte == b'/').next();
        let named = name.is_some_and(|name| names.iter().any(|wanted| wanted.as_bytes() == name));
        named && strong(listed.digest.algorithm())
    });
    listed.map(|listed| listed.digest)
}

/// What a list's name says it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListScope {
    /// The image: `a.iso.sha256`, `a.sha256`.
    Image,
    /// Every image of a release: `SHA256SUMS`, `Server-42-CHECKSUM`.
    Release,
}

/// Tells a list by its name; publishers write it in capitals or not, and with more endings.
fn scope(name: &str, names: &[String]) -> Option<ListScope> {
    let mut name = name.to_ascii_lowercase();
    for ending in [".asc", ".txt"] {
        name.truncate(name.strip_suffix(ending).unwrap_or(&name).len());
    }
    let image = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    let is_named = |image: &str| {
        names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            name == image || name.strip_suffix(".iso") == Some(image)
        })
    };
    match image {
        Some(image) if is_named(image) => Some(ListScope::Image),
        Some(_) if name.ends_with("checksum") => Some(ListScope::Release),
        None if LISTS.contains(&name.as_str()) => Some(ListScope::Release),
        _ => None,
    }
}

/// Whether a list is named after the image.
fn is_of_image(list: &Path, names: &[String]) -> bool {
    let list = list.file_name().unwrap_or_default().to_string_lossy();
    scope(&list, names) == Some(ListScope::Image)
}

/// Reads a text that is a digest and nothing else, which is of the image that its file is named after.
fn bare_digest(text: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(text).ok()?;
    let digest = Digest::parse_by_length(text.trim()).ok()?;
    let strong = [Algorithm::Sha256, Algorithm::Sha512];
    strong.contains(&digest.algorithm()).then_some(digest)
}

/// Returns the lists beside an image, or beside what it links to.
fn lists_beside(path: &Path, names: &[String]) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).ok();
    let dirs = [Some(path), real.as_deref()];
    let parent = |path: &Path| path.parent().map(|parent| Path::new(".").join(parent));
    let mut dirs: Vec<_> = dirs.into_iter().flatten().filter_map(parent).collect();
    dirs.dedup();
    let is_list = |name: &str| scope(name, names).is_some();
    let mut lists = Vec::new();
    for place in dirs {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_list));
        lists.extend(
            files
                .map(|entry| entry.path())
                .filter(|path| path.is_file()),
        );
    }
    lists.sort();
    lists
}

/// Returns the list of a signature beside it, when it is the signature that was named.
fn without_signature(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let list = SIGNATURES
        .iter()
        .find_map(|ending| text.strip_suffix(ending));
    let list = list.map(PathBuf::from).filter(|list| list.is_file());
    list.unwrap_or_else(|| path.to_owned())
}

fn signature(list: &Path) -> Option<PathBuf> {
    let with = |ending| {
        let mut name = list.as_os_str().to_owned();
        name.push::<&str>(ending);
        PathBuf::from(name)
    };
    let mut paths = SIGNATURES.into_iter().map(with);
    paths.find(|path| path.is_file())
}

/// Reads a regular file of bounded length.
fn read(path: &Path) -> Result<Vec<u8>> {
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    ensure!(file.metadata()?.is_file(), "it is not a regular file");
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(anyhow!("it has more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn the_usual_lists_beside_an_image_are_found_and_others_are_not() {
        let hex = Digest::of(Algorithm::Sha256, b"image");
        let md5 = Digest::of(Algorithm::Md5, b"image");
        for (name, text, found) in [
            ("a.iso.sha256", format!("{hex}\n"), true),
            ("a.sha256", format!("{hex}\n"), true),
            ("A.iso.SHA512SUM", format!("{hex}  a.iso\n"), true),
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
            let digests = ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse)
                .unwrap()
                .unwrap();
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
                "{} has no SHA-256 and no SHA-512 of a.iso: give the list that its publisher made of it",
                list.display()
            )
        );
    }
}
