//! The files that describe a release: their places on a medium, and their names in every spelling.
//!
//! A path on the medium comes in, and the format of the file goes out. Without Rock Ridge and Joliet a volume has names
//! of ECMA-119 §7.5 alone: letters without case, digits and `_`, one dot at most, and eight characters with three after
//! the dot at level 1. The programs that write images (libisofs, genisoimage, libarchive) replace what is not allowed by
//! `_` and cut the rest, so that `.treeinfo` is `_TREEINF`, and `media.repo` is `MEDIA.REP`.

/// The formats of files that describe a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReleaseFile {
    /// `.disk/info` (debian-cd, ubuntu-cdimage).
    DiskInfo,
    /// `README.diskdefines` (ubuntu-cdimage).
    DiskDefines,
    /// `.treeinfo` (productmd).
    Treeinfo,
    /// `.discinfo` (anaconda).
    Discinfo,
    /// `media.repo` (anaconda).
    MediaRepo,
    /// `content` (SUSE).
    SuseContent,
    /// `media.N/media` and `media.N/products` (SUSE).
    SuseMedia {
        /// The number of the disc in its set.
        disc: u8,
    },
    /// `media.N/build` (SUSE).
    SuseBuild,
    /// `dists/*/Release` and `InRelease` (apt).
    AptRelease,
}

/// The names of `.treeinfo`.
const TREEINFO: [&str; 2] = [".treeinfo", "treeinfo"];

/// Characters before and after the dot of a name at level 1.
const LEVEL_1: (usize, usize) = (8, 3);
/// At levels 2 and 3: more than any of our names has.
const LEVEL_2: (usize, usize) = (30, 30);

impl ReleaseFile {
    /// Tells the format by the path: from the root of the medium, or from `install/` on Agama media.
    pub(super) fn at(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let parts = match parts.as_slice() {
            [install, rest @ ..] if !rest.is_empty() && spells(install, "install") => rest,
            all => all,
        };
        match *parts {
            [name] => Self::at_root(name),
            [dir, name] if spells(dir, ".disk") => spells(name, "info").then_some(Self::DiskInfo),
            [dir, name] if spells(name, "media") || spells(name, "products") => {
                Some(Self::SuseMedia {
                    disc: suse_disc(dir)?,
                })
            }
            [dir, name] if spells(name, "build") => suse_disc(dir).map(|_| Self::SuseBuild),
            [dists, _, name] if spells(dists, "dists") => {
                let is = spells(name, "release") || spells(name, "inrelease");
                is.then_some(Self::AptRelease)
            }
            _ => None,
        }
    }

    fn at_root(name: &str) -> Option<Self> {
        Some(match name {
            _ if is_treeinfo(name) => Self::Treeinfo,
            _ if spells(name, "readme.diskdefines") => Self::DiskDefines,
            _ if spells(name, ".discinfo") => Self::Discinfo,
            _ if spells(name, "media.repo") => Self::MediaRepo,
            _ if spells(name, "content") => Self::SuseContent,
            _ => return None,
        })
    }

    /// Returns whether a path is the `.treeinfo` of a tree in a directory of the medium: `BaseOS/.treeinfo`.
    pub(super) fn is_of_tree_in_directory(path: &str) -> bool {
        let (dir, name) = path.split_once('/').unwrap_or_default();
        !spells(dir, "install") && is_treeinfo(name)
    }

    /// Whether only Debian and what is built from it has such files.
    pub(super) fn is_of_debian(self) -> bool {
        matches!(self, Self::DiskInfo | Self::DiskDefines | Self::AptRelease)
    }
}

/// Reads the number of the disc in the name of the directory `media.N`.
fn suse_disc(dir: &str) -> Option<u8> {
    let number = dir.trim_start_matches(|c: char| !c.is_ascii_digit());
    let disc = number.parse().ok()?;
    spells(dir, &format!("media.{number}")).then_some(disc)
}

fn is_treeinfo(name: &str) -> bool {
    TREEINFO.iter().any(|known| spells(name, known))
}

/// Returns whether a name on a medium is a known one, which is in small letters: as it is, or as ISO 9660 has it.
fn spells(name: &str, known: &str) -> bool {
    // No spelling is longer, nor begins with another letter: this rules out most of the names on a medium.
    if name.len() > known.len() || first_of(name) != first_of(known) {
        return false;
    }
    let is = |spelling: &str| name.eq_ignore_ascii_case(spelling);
    is(known)
        || is(&known.replace('.', "_"))
        || is(&iso_name(known, LEVEL_1))
        || is(&iso_name(known, LEVEL_2))
}

/// Returns the first letter of a name as every spelling has it, in small letters.
fn first_of(name: &str) -> Option<u8> {
    let first = name.bytes().next()?.to_ascii_lowercase();
    Some(if first.is_ascii_alphanumeric() {
        first
    } else {
        b'_'
    })
}

/// Returns what becomes of a name where one dot is allowed, not at the beginning, with so many characters before and
/// after it.
fn iso_name(name: &str, (before, after): (usize, usize)) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let cut = |part: &str, most| part.chars().map(allowed).take(most).collect::<String>();
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => {
            format!("{}.{}", cut(stem, before), cut(ending, after))
        }
        _ => cut(name, before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_describes_the_release_is_known_in_every_spelling() {
        use ReleaseFile::*;
        let disc = |disc| SuseMedia { disc };
        for (format, paths) in [
            (
                DiskInfo,
                &[
                    ".disk/info",
                    ".DISK/INFO",
                    "_disk/info",
                    "install/_disk/info",
                ][..],
            ),
            (
                DiskDefines,
                &["README.diskdefines", "readme.diskdefines", "readme.dis"],
            ),
            (
                Treeinfo,
                &[
                    ".treeinfo",
                    "treeinfo",
                    "_treeinfo",
                    "_treeinf",
                    "install/_treeinf",
                    "INSTALL/_TREEINF",
                ],
            ),
            (Discinfo, &[".discinfo", "_discinfo", "_discinf"]),
            (MediaRepo, &["media.repo", "media.rep", "media_repo"]),
            (SuseContent, &["content", "CONTENT"]),
            (
                disc(1),
                &[
                    "media.1/media",
                    "media_1/media",
                    "media.1/products",
                    "install/media_1/products",
                ],
            ),
            (disc(12), &["media.12/products"]),
            (SuseBuild, &["media.1/build", "install/MEDIA_1/BUILD"]),
            (
                AptRelease,
                &[
                    "dists/bookworm/Release",
                    "dists/trixie/release",
                    "dists/trixie/InRelease",
                ],
            ),
        ] {
            for path in paths {
                assert_eq!(ReleaseFile::at(path), Some(format), "{path}");
            }
        }
    }

    #[test]
    fn no_other_file_describes_the_release() {
        for path in [
            "pool/.disk/info",
            "dists/bookworm/main/Release",
            "media.x/media",
            "media.1000/media",
            "media.x/build",
            "boot/build",
            "mediax1/media",
            "install/netboot/content",
            "Module-Basesystem/media.1/products",
            "install",
            "_tree",
            "treeinf",
            "readme",
        ] {
            assert_eq!(ReleaseFile::at(path), None, "{path}");
        }
    }

    #[test]
    fn the_treeinfo_of_a_directory_is_told_from_that_of_the_medium() {
        for (path, in_directory) in [
            ("BaseOS/.treeinfo", true),
            ("baseos/_treeinf", true),
            (".treeinfo", false),
            ("install/.treeinfo", false),
            ("a/b/.treeinfo", false),
        ] {
            assert_eq!(
                ReleaseFile::is_of_tree_in_directory(path),
                in_directory,
                "{path}"
            );
        }
    }
}
