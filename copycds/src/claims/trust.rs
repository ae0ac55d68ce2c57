//! How far a medium is believed, and by what.
//!
//! What its own metadata says ([`Claims`]) and what is said of the image as a whole ([`Whole`]) come in; a
//! [`Trust`] goes out. A signature on an index of packages vouches for those packages and not for the kernel
//! beside them: a medium counts as signed when the image as a whole is, or when signatures cover every file
//! of it that a machine runs or believes. One that is signed in part is refused, because whoever changed the
//! rest could not have signed it.

use std::fmt;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Claims, Unverified, Whole};
use crate::media::{Entry, Kind, MediumPath};

/// How far a medium is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Nobody vouches for it.
    #[default]
    Unsigned,
    /// The user gave the digest of its image.
    Digest,
    /// Signatures that count here vouch for all of it that matters.
    Signed,
}

/// Directories and names of what is for people and for telling discs apart, in lower case. What is not
/// here has to be signed: it may boot a machine, or tell one what to install.
const FOR_PEOPLE: [&str; 7] = [".disk", "doc", "docs", "docu", "pics", "css", "licenses"];
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
/// Lists of other files, which are held against those or only name them; and El Torito's catalog, which is made
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

impl Trust {
    /// Tells how far a medium is believed; it counts as unsigned where `unverified` accepts what is signed
    /// in part.
    ///
    /// # Errors
    /// When it is signed in part.
    pub fn of(
        claims: &Claims,
        whole: Option<&Whole>,
        entries: &[Entry],
        unverified: Unverified,
    ) -> Result<Self> {
        match whole.filter(|whole| whole.is_vouched()) {
            Some(whole) if whole.how().1.is_some() => return Ok(Self::Signed),
            Some(_) => return Ok(Self::Digest),
            None => {}
        }
        let Some(signer) = claims
            .sources()
            .iter()
            .find_map(|source| source.signed_by.as_ref())
        else {
            return Ok(Self::Unsigned);
        };
        let bare: Vec<_> = entries
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::File { .. }) && !is_for_people(&entry.path))
            .filter(|entry| {
                !claims
                    .of(&entry.path)
                    .first()
                    .is_some_and(|best| claims.is_signed(best))
            })
            .collect();
        match (bare.first(), unverified) {
            (None, _) => Ok(Self::Signed),
            (Some(_), Unverified::Accept) => Ok(Self::Unsigned),
            (Some(first), Unverified::Refuse) => {
                let boots = |entry: &&&Entry| is_run(&entry.path);
                let shown = bare
                    .iter()
                    .find(boots)
                    .map_or(&first.path, |entry| &entry.path);
                let more = match bare.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                bail!(
                    "{signer} has signed a part of the medium, and nobody has signed {shown}{more}, which \
                     a machine runs or believes when it installs: give the publisher's signed list of images \
                     (--sums) or the image's digest (--sha256), or import it as one that nobody vouches for \
                     (--accept-unsigned)"
                )
            }
        }
    }

    /// Returns whether anybody vouches for it.
    pub fn is_vouched(self) -> bool {
        self != Self::Unsigned
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unsigned => "unsigned",
            Self::Digest => "believed by the digest of its image",
            Self::Signed => "signed",
        })
    }
}

/// Whether a file is of no consequence for a machine.
fn is_for_people(path: &MediumPath) -> bool {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let top = path.split_once('/').map(|(top, _)| top);
    let list = name.strip_suffix(".txt").unwrap_or(name);
    top.is_some_and(|top| FOR_PEOPLE.contains(&top))
        || TEXTS.iter().any(|text| name.starts_with(text))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || LISTS.contains(&list)
}

/// Whether the name of a file says that it boots a machine: the one to name first.
fn is_run(path: &MediumPath) -> bool {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    ["initrd", "vmlinuz", "linux", "install.img", "squashfs"]
        .iter()
        .any(|word| path.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Claim, Source};
    use crate::digest::{Algorithm, Digest};
    use crate::media::Content;

    fn entries(paths: &[&str]) -> Vec<Entry> {
        let entry = |path: &&str| Entry {
            path: MediumPath::new(*path).unwrap(),
            kind: Kind::File {
                size: 0,
                content: Content::InPlace,
            },
            mode: 0o644,
            mtime: None,
        };
        paths.iter().map(entry).collect()
    }

    /// Claims of which those of `signed` have somebody's signature.
    fn claims(signed: &[&str], unsigned: &[&str]) -> Claims {
        let mut claims = Claims::default();
        let ann = Source {
            signed_by: Some("Ann".to_owned()),
            ..Source::new("Release", "Release")
        };
        for (source, paths) in [
            (ann, signed),
            (Source::new("md5sum.txt", "md5sum.txt"), unsigned),
        ] {
            let source = claims.add_source(source);
            for path in paths {
                let digest = Digest::of(Algorithm::Sha256, b"");
                let size = None;
                let claim = Claim {
                    digest,
                    size,
                    source,
                };
                claims.add(MediumPath::new(*path).unwrap(), claim).unwrap();
            }
        }
        claims
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
        let trust = |claims: &Claims| Trust::of(claims, None, &all, Unverified::Refuse);
        assert_eq!(
            trust(&claims(&[&rest[..], &pool].concat(), &[])).unwrap(),
            Trust::Signed
        );
        let unsigned = claims(&[], &[&rest[..], &pool].concat());
        let sources = Claims {
            sources: vec![Source::new("md5sum.txt", "md5sum.txt")],
            ..unsigned.clone()
        };
        assert_eq!(trust(&sources).unwrap(), Trust::Unsigned);
        let part = claims(&pool, &rest);
        assert_eq!(
            trust(&part).unwrap_err().to_string(),
            "Ann has signed a part of the medium, and nobody has signed install.amd/initrd.gz, which a \
             machine runs or believes when it installs: give the publisher's signed list of images (--sums) \
             or the image's digest (--sha256), or import it as one that nobody vouches for \
             (--accept-unsigned)"
        );
        let accepted = Trust::of(&part, None, &all, Unverified::Accept);
        assert_eq!(accepted.unwrap(), Trust::Unsigned);
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
            assert_eq!(is_for_people(&path), expected, "{path}");
        }
    }
}
