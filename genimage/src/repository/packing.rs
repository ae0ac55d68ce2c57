//! How an index may be packed, and which release's package manager reads which. Pure.
//!
//! References: apt's changelog (lz4 since 1.3, zstd since 1.6); yum of EL 7 and libzypp of SLE 12 read gzip, bzip2
//! and xz; dnf since EL 8 and zypper since SLE 15 read zstd too.

use std::path::Path;

use definitions::Distro;
use repodata::Compression;

/// Tells how a file is compressed by its name, if it is a way that is known.
pub(crate) fn compression_of(path: &Path) -> Option<Compression> {
    let name = path.file_name()?.to_str()?;
    match (Compression::of(name), path.extension()) {
        (Compression::None, Some(ending)) if ending != "xml" => None,
        (compression, _) => Some(compression),
    }
}

/// Which packings a package manager reads, beside none at all, gzip, bzip2 and xz, which all of them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Packings {
    zstd: bool,
    lz4: bool,
}

impl Packings {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        zstd: true,
        lz4: true,
    };
    /// What older ones read.
    #[cfg(test)]
    pub(crate) const WITHOUT_ZSTD: Self = Self {
        zstd: false,
        lz4: false,
    };

    /// Tells what the package manager of a release reads.
    pub(crate) fn of(distro: &Distro) -> Self {
        // a release that is a word is newer than any number
        let major = distro.major().parse().unwrap_or(u32::MAX);
        let (zstd, lz4) = match distro.family() {
            "debian" => (major >= 10, major >= 9),
            "ubuntu" => (major >= 18, major >= 17),
            "sles" | "sle" | "leap" | "opensuse" => ((15..).contains(&major), false),
            "fedora" => (major >= 28, false),
            _ => (major >= 8, false),
        };
        Self { zstd, lz4 }
    }

    /// Whether it reads one.
    pub(crate) fn has(self, compression: Compression) -> bool {
        match compression {
            Compression::Zstd => self.zstd,
            Compression::Lz4 => self.lz4,
            Compression::None | Compression::Gzip | Compression::Xz | Compression::Bzip2 => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_package_managers_read_less() {
        for (distro, zstd, lz4) in [
            ("centos7.9", false, false),
            ("rocky8.10", true, false),
            ("fedora43", true, false),
            ("sles12.5", false, false),
            ("sle15.7", true, false),
            ("leap42.3", true, false),
            ("debian9.13", false, true),
            ("debian12.9.0", true, true),
            ("debiantesting", true, true),
            ("ubuntu16.04.7", false, false),
            ("ubuntu24.04.3", true, true),
        ] {
            let packings = Packings::of(&distro.parse().unwrap());
            assert_eq!(packings, Packings { zstd, lz4 }, "{distro}");
        }
    }
}
