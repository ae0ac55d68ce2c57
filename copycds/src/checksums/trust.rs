//! How far a medium is trusted, and by what.
//!
//! What its own metadata says ([`ExpectedDigests`]) and what is said of the image as a whole ([`ImageDigests`]) come in; a
//! [`MediumTrust`] goes out. A signature on an index of packages vouches for those packages and not for the kernel
//! beside them: a medium counts as signed when the image as a whole is, or when signatures cover every file
//! of it that a machine runs or trusts. One that is signed in part is refused, because whoever changed the
//! rest could not have signed it.

use std::fmt;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{ExpectedDigests, ImageDigests, UnverifiedPolicy};
use crate::media::{EntryKind, MediumEntry, MediumPath};

/// How far a medium is trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediumTrust {
    /// Nobody vouches for it.
    #[default]
    Unsigned,
    /// The user gave the digest of its image.
    Digest,
    /// Signatures that count here vouch for all of it that matters.
    Signed,
}

/// Directories and names of what is for people and for telling discs apart, in lower case. What is not
/// here has to be signed: it may boot a machine, or decide what one installs.
const DOCUMENTATION_DIRS: [&str; 7] = [".disk", "doc", "docs", "docu", "pics", "css", "licenses"];
const TEXTS: [&str; 8] = [
    "readme",
    "license",
    "licence",
    "copying",
    "eula",
    "gpl",
    "release-notes",
    "changelog",
];
const ENDINGS: [&str; 9] = [
    ".txt",
    ".html",
    ".htm",
    ".css",
    ".md",
    ".pdf",
    ".png",
    ".jpg",
    ".diskdefines",
];
/// Lists of other files, which are compared with those or only name them; and El Torito's catalog, which is made
/// with the image, says where on the disc a BIOS finds what it starts, and means nothing in a tree.
const LISTS: [&str; 11] = [
    "boot.cat",
    "boot.catalog",
    ".discinfo",
    "md5sums",
    "sha1sums",
    "sha256sums",
    "sha512sums",
    "trans.tbl",
    "ls-lr.gz",
    "archives.gz",
    "media.repo",
];

impl MediumTrust {
    /// Decides how far a medium is trusted; it counts as unsigned where `unverified` accepts what is signed
    /// in part.
    ///
    /// # Errors
    /// When it is signed in part.
    pub fn of(
        checksums: &ExpectedDigests,
        whole: Option<&ImageDigests>,
        entries: &[MediumEntry],
        unverified: UnverifiedPolicy,
    ) -> Result<Self> {
        match whole.filter(|whole| whole.is_vouched()) {
            Some(whole) if whole.how().1.is_some() => return Ok(Self::Signed),
            Some(_) => return Ok(Self::Digest),
            None => {}
        }
        let Some(signer) = checksums
            .sources()
            .iter()
            .find_map(|source| source.signed_by.as_ref())
        else {
            return Ok(Self::Unsigned);
        };
        let unsigned: Vec<_> = entries
            .iter()
            .filter(|entry| {
                matches!(entry.kind, EntryKind::File { .. }) && !is_documentation(&entry.path)
            })
            .filter(|entry| {
                !checksums
                    .of(&entry.path)
                    .first()
                    .is_some_and(|best| checksums.is_signed(best))
            })
            .collect();
        match (unsigned.first(), unverified) {
            (None, _) => Ok(Self::Signed),
            (Some(_), UnverifiedPolicy::Accept) => Ok(Self::Unsigned),
            (Some(first), UnverifiedPolicy::Refuse) => {
                let boots = |entry: &&&MediumEntry| is_booted(&entry.path);
                let shown = unsigned
                    .iter()
                    .find(boots)
                    .map_or(&first.path, |entry| &entry.path);
                let more = match unsigned.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                bail!(
                    "{signer} has signed a part of the medium, and nobody has signed {shown}{more}, which \
                     a machine runs or trusts when it installs: give the publisher's signed list of images \
                     (--sums) or the image's digest (--sha256), or import it as unsigned (--accept-unsigned)"
                )
            }
        }
    }

    /// Returns whether anybody vouches for it.
    pub fn is_vouched(self) -> bool {
        self != Self::Unsigned
    }
}

impl fmt::Display for MediumTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unsigned => "unsigned",
            Self::Digest => "verified by the digest of its image",
            Self::Signed => "signed",
        })
    }
}

/// Whether a file is of no consequence for a machine.
fn is_documentation(path: &MediumPath) -> bool {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let top = path.split_once('/').map(|(top, _)| top);
    let list = name.strip_suffix(".txt").unwrap_or(name);
    top.is_some_and(|top| DOCUMENTATION_DIRS.contains(&top))
        || TEXTS.iter().any(|text| name.starts_with(text))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || LISTS.contains(&list)
}

/// Whether the name of a file says that it boots a machine: the one to name first.
fn is_booted(path: &MediumPath) -> bool {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    ["initrd", "vmlinuz", "linux", "install.img", "squashfs"]
        .iter()
        .any(|word| path.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksums::{DigestSource, ExpectedDigest};
    use crate::digest::{Algorithm, Digest};
    use crate::media::DataLocation;

    fn entries(paths: &[&str]) -> Vec<MediumEntry> {
        let entry = |path: &&str| MediumEntry {
            path: MediumPath::new(*path).unwrap(),
            kind: EntryKind::File {
                size: 0,
                content: DataLocation::InPlace,
            },
            mode: 0o644,
            mtime: None,
        };
        paths.iter().map(entry).collect()
    }

    /// Expected digests of which those of `signed` have somebody's signature.
    fn checksums(signed: &[&str], unsigned: &[&str]) -> ExpectedDigests {
        let mut checksums = ExpectedDigests::default();
        let ann = DigestSource {
            signed_by: Some("Ann".to_owned()),
            ..DigestSource::new("Release", "Release")
        };
        for (source, paths) in [
            (ann, signed),
            (DigestSource::new("md5sum.txt", "md5sum.txt"), unsigned),
        ] {
            let source = checksums.add_source(source);
            for path in paths {
                let digest = Digest::of(Algorithm::Sha256, b"");
                let size = None;
                let expected = ExpectedDigest {
                    digest,
                    size,
                    source,
                    md5: None,
                };
                checksums
                    .add(MediumPath::new(*path).unwrap(), expected)
                    .unwrap();
            }
        }
        checksums
    }

    #[test]
    fn a_medium_is_signed_when_all_that_a_machine_runs_is() {
        let all = entries(&[
            ".disk/info",
            "README.txt",
            "Release",
            "install.amd/initrd.gz",
            "isolinux/boot.cat",
            "md5sum.txt",
            "pool/a.deb",
        ]);
        let (rest, pool) = (
            ["install.amd/initrd.gz", "README.txt"],
            ["Release", "pool/a.deb"],
        );
        let trust = |checksums: &ExpectedDigests| {
            MediumTrust::of(checksums, None, &all, UnverifiedPolicy::Refuse)
        };
        assert_eq!(
            trust(&checksums(&[&rest[..], &pool].concat(), &[])).unwrap(),
            MediumTrust::Signed
        );
        let unsigned = checksums(&[], &[&rest[..], &pool].concat());
        let sources = ExpectedDigests {
            sources: vec![DigestSource::new("md5sum.txt", "md5sum.txt")],
            ..unsigned.clone()
        };
        assert_eq!(trust(&sources).unwrap(), MediumTrust::Unsigned);
        let part = checksums(&pool, &rest);
        assert_eq!(
            trust(&part).unwrap_err().to_string(),
            "Ann has signed a part of the medium, and nobody has signed install.amd/initrd.gz, which a \
             machine runs or trusts when it installs: give the publisher's signed list of images (--sums) \
             or the image's digest (--sha256), or import it as unsigned (--accept-unsigned)"
        );
        let accepted = MediumTrust::of(&part, None, &all, UnverifiedPolicy::Accept);
        assert_eq!(accepted.unwrap(), MediumTrust::Unsigned);
    }

    #[test]
    fn what_may_boot_or_steer_a_machine_is_never_for_people_alone() {
        for (path, expected) in [
            ("README", true),
            ("doc/manual/index", true),
            ("sha256sum.txt", true),
            (".treeinfo", false),
            ("images/updates.img", false),
            ("EFI/BOOT/grub.cfg", false),
            ("ks.cfg", false),
            ("casper/vmlinuz", false),
            ("RPM-GPG-KEY-test", false),
        ] {
            let path = MediumPath::new(path).unwrap();
            assert_eq!(is_documentation(&path), expected, "{path}");
        }
    }
}
