//! The reasons for which a medium is not identified. Their text is one clause; [`Rejection`] adds what was read
//! and what to do.
//!
//! [`Rejection`]: super::Rejection

use std::fmt;

use definitions::{Arch, Distro};

use super::finding::{ReleaseFinding, Version};

/// Why a medium is not identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectionReason {
    /// Nothing on the medium names a release that a rule knows.
    Unknown,
    /// It is built from a distribution we know and is not that distribution.
    Derivative {
        /// What it calls itself.
        product: String,
        /// The rule that knows it, if one does.
        rule: Option<String>,
    },
    /// It is an operating system that `copycds` does not import.
    OtherSystem {
        /// Which one.
        system: String,
    },
    /// Two things on the medium contradict each other.
    Conflict {
        /// What they disagree about.
        about: ConflictSubject,
        /// One side.
        left: Box<ReleaseFinding>,
        /// The other.
        right: Box<ReleaseFinding>,
    },
    /// It calls itself a release that the rules do not know, and no archive on it confirms that.
    Unconfirmed {
        /// The distribution that it names.
        product: String,
        /// The version that it gives.
        version: Version,
        /// The codename, if it gives one.
        codename: Option<String>,
    },
    /// It is a medium of a known family, and nothing says which release.
    VersionUnknown {
        /// The product of the family.
        product: String,
        /// The name of the family.
        family: String,
    },
    /// The release is known and the architecture is not.
    ArchUnknown {
        /// The release.
        distro: Distro,
    },
    /// The medium names an architecture that has no [`Arch`]: what is built for `x86_64_v2` is not what
    /// is built for `x86_64`.
    OtherArch {
        /// The word it gives.
        word: String,
    },
    /// `-a` asks for another architecture than the medium has.
    WrongArch {
        /// What was asked for.
        requested: Arch,
        /// What the medium holds.
        found: Vec<Arch>,
    },
    /// It calls itself a release and holds nothing that could be installed.
    NotAnInstallMedium {
        /// What it calls itself.
        product: String,
        /// How many files it holds.
        files: usize,
        /// Whether there are packages among them, in no repository.
        packages: bool,
    },
    /// The name that the evidence makes is no name of a release.
    Unnameable {
        /// Why not.
        reason: definitions::Error,
    },
}

/// What findings can disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictSubject {
    /// Whose it is.
    Distribution,
    /// Which release.
    Version,
    /// For which machines.
    Architecture,
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "no rule knows this medium"),
            Self::Derivative { product, rule } => {
                write!(f, "this calls itself '{product}', ")?;
                match rule {
                    Some(rule) => write!(f, "{rule}, which copycds does not import by itself"),
                    None => write!(
                        f,
                        "which is built like a distribution that copycds knows and is not that distribution"
                    ),
                }
            }
            Self::OtherSystem { system } => {
                write!(f, "this is {system}, which copycds does not import")
            }
            Self::Conflict { about, left, right } => write!(
                f,
                "the medium contradicts itself about {about}: {left}, but {right}"
            ),
            Self::Unconfirmed {
                product,
                version,
                codename,
            } => {
                write!(f, "this calls itself {product} {version}")?;
                if let Some(codename) = codename {
                    write!(f, " \"{codename}\"")?;
                }
                write!(
                    f,
                    ", which is not a release that the rules know, and no dists/*/Release of {product} \
                     on it confirms that"
                )
            }
            Self::VersionUnknown { product, .. } => write!(
                f,
                "this is a medium of {product}, but nothing on it says which release"
            ),
            Self::ArchUnknown { distro } => write!(
                f,
                "this is {distro}, but nothing on it says for which architecture"
            ),
            Self::OtherArch { word } => write!(
                f,
                "this is built for '{word}', which is not an architecture that copycds knows"
            ),
            Self::WrongArch { requested, found } => {
                let found: Vec<_> = found.iter().map(|arch| arch.name()).collect();
                write!(
                    f,
                    "requested distribution architecture {requested}, but media is {}",
                    found.join(", ")
                )
            }
            Self::NotAnInstallMedium { product, files, .. } => write!(
                f,
                "this calls itself {product} and holds nothing to install: no installer and no \
                 repository of packages among its {files} names"
            ),
            Self::Unnameable { reason } => write!(f, "{reason}"),
        }
    }
}

impl fmt::Display for ConflictSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Distribution => "the distribution",
            Self::Version => "the version",
            Self::Architecture => "the architecture",
        })
    }
}
