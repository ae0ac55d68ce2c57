//! Processor architectures, under the names that RPM, the kernel and xCAT give them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The architecture of a medium, an osimage or a node.
///
/// Prints as the kernel and RPM name it (`x86_64`, `ppc64le`); 32-bit x86 prints as xCAT's `x86`.
/// Parses those names and Debian's (`amd64`, `arm64`, `ppc64el`, `i386` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Arch {
    /// 64-bit x86: `x86_64`, Debian's `amd64`.
    X86_64,
    /// 32-bit x86: `x86`, `i386` … `i686`.
    X86,
    /// 64-bit Arm: `aarch64`, Debian's `arm64`.
    Aarch64,
    /// 32-bit hard-float Arm: `armv7l`, Debian's `armhf`, Fedora's `armhfp`.
    Armv7l,
    /// Soft-float Arm: Debian's `armel`.
    Armel,
    /// 64-bit little-endian POWER: `ppc64le`, Debian's `ppc64el`.
    Ppc64le,
    /// 64-bit big-endian POWER: `ppc64`.
    Ppc64,
    /// 32-bit PowerPC: `ppc`, Debian's `powerpc`.
    Ppc,
    /// 64-bit IBM Z: `s390x`.
    S390x,
    /// 64-bit RISC-V: `riscv64`.
    Riscv64,
    /// 64-bit LoongArch: `loongarch64`, Debian's `loong64`.
    Loongarch64,
    /// Itanium: `ia64`.
    Ia64,
    /// 31-bit IBM ESA/390: `s390`.
    S390,
    /// Arm before the EABI: Debian's `arm`.
    Arm,
    /// 32-bit SPARC, and what Debian and Ubuntu call so on 64-bit machines: `sparc`.
    Sparc,
    /// 64-bit SPARC: `sparc64`.
    Sparc64,
    /// PA-RISC: `hppa`.
    Hppa,
    /// DEC Alpha: `alpha`.
    Alpha,
    /// Big-endian MIPS: `mips`.
    Mips,
    /// Little-endian MIPS: `mipsel`.
    Mipsel,
    /// 64-bit little-endian MIPS: `mips64el`.
    Mips64el,
    /// Motorola 68000: `m68k`.
    M68k,
}

/// Every architecture with its own name first and every other name after it.
const NAMES: &[(Arch, &[&str])] = &[
    (Arch::X86_64, &["x86_64", "amd64"]),
    (Arch::X86, &["x86", "i386", "i486", "i586", "i686"]),
    (Arch::Aarch64, &["aarch64", "arm64"]),
    (Arch::Armv7l, &["armv7l", "armhf", "armhfp", "armv7hl"]),
    (Arch::Armel, &["armel"]),
    (Arch::Ppc64le, &["ppc64le", "ppc64el"]),
    (Arch::Ppc64, &["ppc64"]),
    (Arch::Ppc, &["ppc", "powerpc"]),
    (Arch::S390x, &["s390x"]),
    (Arch::Riscv64, &["riscv64"]),
    (Arch::Loongarch64, &["loongarch64", "loong64"]),
    (Arch::Ia64, &["ia64"]),
    (Arch::S390, &["s390"]),
    (Arch::Arm, &["arm"]),
    (Arch::Sparc, &["sparc"]),
    (Arch::Sparc64, &["sparc64"]),
    (Arch::Hppa, &["hppa"]),
    (Arch::Alpha, &["alpha"]),
    (Arch::Mips, &["mips"]),
    (Arch::Mipsel, &["mipsel"]),
    (Arch::Mips64el, &["mips64el"]),
    (Arch::M68k, &["m68k"]),
];

impl Arch {
    /// Returns every architecture.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(arch, _)| *arch)
    }

    /// Returns the name that paths and osimage names carry.
    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    /// Returns the name that Debian and Ubuntu give it: `amd64`.
    pub fn debian_name(self) -> &'static str {
        self.names().get(1).copied().unwrap_or(self.name())
    }

    /// Returns every name of this architecture, its own first, then Debian's.
    pub fn names(self) -> &'static [&'static str] {
        NAMES
            .iter()
            .find(|(arch, _)| *arch == self)
            .map_or(&["unknown"], |(_, names)| names)
    }
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        NAMES
            .iter()
            .find(|(_, names)| names.contains(&text))
            .map(|(arch, _)| *arch)
            .ok_or_else(|| {
                let known: Vec<_> = NAMES.iter().map(|(_, names)| names[0]).collect();
                Error::invalid(
                    "an architecture",
                    text,
                    format!("one of {}", known.join(", ")),
                )
            })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<String> for Arch {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Arch> for String {
    fn from(arch: Arch) -> Self {
        arch.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_architecture_and_prints_as_the_first() {
        for (arch, names) in NAMES {
            for name in *names {
                assert_eq!(name.parse::<Arch>().unwrap(), *arch);
            }
            assert_eq!(arch.to_string(), names[0]);
        }
    }

    #[test]
    fn debian_has_names_of_its_own() {
        for (arch, name) in [
            (Arch::X86_64, "amd64"),
            (Arch::X86, "i386"),
            (Arch::Aarch64, "arm64"),
            (Arch::Armv7l, "armhf"),
            (Arch::Ppc64le, "ppc64el"),
            (Arch::S390x, "s390x"),
        ] {
            assert_eq!(arch.debian_name(), name);
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let message = "amd46".parse::<Arch>().unwrap_err().to_string();
        assert!(
            message.starts_with("'amd46' is not an architecture: expected one of x86_64, x86, ")
        );
    }
}
