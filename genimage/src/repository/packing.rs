//! How an index may be packed, and which release's package manager reads which. Pure.
//!
//! References: apt's changelog (lz4 since 1.3, zstd since 1.6); yum of EL 7 and libzypp of SLE 12 read gzip, bzip2
//! and xz; dnf since EL 8 and zypper since SLE 15 read zstd too.

use std::path::Path;

use definitions::Distro;

/// How an index is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// `.gz`.
    Gzip,
    /// `.zst`.
    Zstd,
    /// `.xz`.
    Xz,
    /// `.bz2`.
    Bzip2,
    /// `.lz4`.
    Lz4,
}

impl Packing {
    /// Every form, the cheapest to read first.
    pub(crate) const ALL: [Self; 6] = [
        Self::Plain,
        Self::Gzip,
        Self::Zstd,
        Self::Xz,
        Self::Bzip2,
        Self::Lz4,
    ];

    /// Returns what a file's name ends in: `.gz`.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Lz4 => ".lz4",
        }
    }

    /// Tells a packing by a file's name, if it is one that is known.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Some(Self::Gzip),
            Some("zst") => Some(Self::Zstd),
            Some("xz") => Some(Self::Xz),
            Some("bz2") => Some(Self::Bzip2),
            Some("lz4") => Some(Self::Lz4),
            None | Some("xml") => Some(Self::Plain),
            Some(_) => None,
        }
    }

    /// Whether it is read here, too.
    pub(crate) fn is_read_here(self) -> bool {
        !matches!(self, Self::Bzip2 | Self::Lz4)
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
    pub(crate) fn has(self, packing: Packing) -> bool {
        match packing {
            Packing::Zstd => self.zstd,
            Packing::Lz4 => self.lz4,
            Packing::Plain | Packing::Gzip | Packing::Xz | Packing::Bzip2 => true,
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
