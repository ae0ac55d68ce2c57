//! Why a medium was not recognised: what was seen, where, and what would settle it.

use std::fmt;

use definitions::{Arch, Distro};

use super::claim::Claim;

/// Why there is no verdict. Its text is whole: what was seen in which file, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing on the medium speaks of a release that a rule knows.
    Unknown {
        /// What was read, if anything.
        evidence: Vec<Claim>,
    },
    /// It is built from a distribution we know and is not that distribution.
    Derivative {
        /// What it calls itself.
        product: String,
        /// What was read.
        evidence: Vec<Claim>,
    },
    /// It is an operating system that `copycds` does not import.
    OtherSystem {
        /// Which one.
        system: String,
        /// What said so.
        evidence: Vec<Claim>,
    },
    /// Two things on the medium contradict each other.
    Conflict {
        /// What they disagree about: `the version`.
        about: &'static str,
        /// One side.
        left: Box<Claim>,
        /// The other.
        right: Box<Claim>,
    },
    /// It is a medium of a known family, and nothing says which release.
    VersionUnknown {
        /// The family.
        family: String,
        /// What was read.
        evidence: Vec<Claim>,
    },
    /// The release is known and the architecture is not.
    ArchUnknown {
        /// The release.
        distro: Distro,
        /// What was read.
        evidence: Vec<Claim>,
    },
    /// `-a` asks for another architecture than the medium has.
    WrongArch {
        /// What was asked for.
        wanted: Arch,
        /// What the medium holds.
        found: Vec<Arch>,
    },
    /// It calls itself a release and holds nothing that could be installed.
    NotAnInstallMedium {
        /// What it calls itself.
        product: String,
        /// How many files it holds.
        files: usize,
        /// What was read.
        evidence: Vec<Claim>,
    },
    /// The name that the evidence makes is no name of a release.
    Unnameable {
        /// Why not.
        reason: definitions::Error,
        /// What was read.
        evidence: Vec<Claim>,
    },
}

impl Refusal {
    /// Returns the evidence behind it, for whoever renders it in another form.
    pub fn evidence(&self) -> Vec<&Claim> {
        match self {
            Self::Unknown { evidence }
            | Self::Derivative { evidence, .. }
            | Self::OtherSystem { evidence, .. }
            | Self::VersionUnknown { evidence, .. }
            | Self::ArchUnknown { evidence, .. }
            | Self::NotAnInstallMedium { evidence, .. }
            | Self::Unnameable { evidence, .. } => evidence.iter().collect(),
            Self::Conflict { left, right, .. } => vec![left, right],
            Self::WrongArch { .. } => Vec::new(),
        }
    }

    /// Returns the kind in one word, stable for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Derivative { .. } => "derivative",
            Self::OtherSystem { .. } => "other-system",
            Self::Conflict { .. } => "conflict",
            Self::VersionUnknown { .. } => "version-unknown",
            Self::ArchUnknown { .. } => "arch-unknown",
            Self::WrongArch { .. } => "wrong-arch",
            Self::NotAnInstallMedium { .. } => "not-an-install-medium",
            Self::Unnameable { .. } => "unnameable",
        }
    }
}

/// What the user can do where a name settles it.
const NAME_IT: &str = "to import it all the same, name it with -n (and -a)";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = |evidence: &[Claim]| {
            let claims: Vec<_> = evidence.iter().map(Claim::to_string).collect();
            claims.join("; ")
        };
        match self {
            Self::Unknown { evidence } if evidence.is_empty() => write!(
                f,
                "nothing on this medium tells what it is (looked for .disk/info, dists/*/Release, \
                 .treeinfo, .discinfo, media.1/, content, release packages and a volume id); \
                 {NAME_IT}"
            ),
            Self::Unknown { evidence } => write!(
                f,
                "no rule knows this medium: {}; {NAME_IT}, or add a rule to media.d",
                seen(evidence)
            ),
            Self::Derivative { product, evidence } => write!(
                f,
                "this is '{product}', which is built like a distribution we know and is none: {}; \
                 {NAME_IT}",
                seen(evidence)
            ),
            Self::OtherSystem { system, evidence } => write!(
                f,
                "this is {system}, which copycds does not import: {}",
                seen(evidence)
            ),
            Self::Conflict { about, left, right } => write!(
                f,
                "the medium contradicts itself about {about}: {left}, but {right}; {NAME_IT}"
            ),
            Self::VersionUnknown { family, evidence } => write!(
                f,
                "this is a medium of {family}, but nothing tells which release: {}; name it with -n",
                seen(evidence)
            ),
            Self::ArchUnknown { distro, evidence } => write!(
                f,
                "this is {distro}, but nothing tells for which architecture: {}; give it with -a",
                seen(evidence)
            ),
            Self::WrongArch { wanted, found } => {
                let found: Vec<_> = found.iter().map(|arch| arch.name()).collect();
                write!(
                    f,
                    "requested distribution architecture {wanted}, but media is {}",
                    found.join(", ")
                )
            }
            Self::NotAnInstallMedium {
                product,
                files,
                evidence,
            } => write!(
                f,
                "this calls itself {product} and holds nothing to install: no package, kernel or \
                 image among its {files} names: {}",
                seen(evidence)
            ),
            Self::Unnameable { reason, evidence } => {
                write!(f, "{reason}: {}; name it with -n", seen(evidence))
            }
        }
    }
}

impl std::error::Error for Refusal {}
