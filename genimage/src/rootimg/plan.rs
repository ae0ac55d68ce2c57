//! What is done in the namespace: the whole of it, so that nothing else of the management node is read there but the
//! repositories.

use std::path::PathBuf;

use definitions::RepositoryFormat;
use serde::{Deserialize, Serialize};

/// What one root file system is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BuildPlan {
    /// Whose package manager installs it.
    pub(super) format: RootFormat,
    /// The architecture, as the package manager names it.
    pub(super) arch: String,
    /// The codename (Debian, Ubuntu), or the release that `$releasever` is.
    pub(super) release: String,
    /// Where packages come from.
    pub(super) sources: Vec<PackageSource>,
    /// What is installed, a transaction after another.
    pub(super) transactions: Vec<Transaction>,
    /// What runs in the root at the end.
    pub(super) scripts: Vec<Script>,
    /// The arguments and the environment of the scripts.
    pub(super) arguments: Vec<String>,
    /// See [`BuildPlan::arguments`].
    pub(super) environment: Vec<(String, String)>,
    /// The time that new files have, in seconds: `SOURCE_DATE_EPOCH`.
    pub(super) epoch: i64,
    /// How many bytes the root may take while it is built.
    pub(super) space: u64,
    /// Whether the packages are only looked up, with all that they need.
    pub(super) simulate: bool,
    /// How many bytes of an archive follow the plan: the root that the packages are installed into, if there is one.
    pub(super) base: Option<u64>,
}

/// A family of package managers that install into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RootFormat {
    Apt,
    Dnf,
    Zypper,
}

impl From<RepositoryFormat> for RootFormat {
    fn from(format: RepositoryFormat) -> Self {
        match format {
            RepositoryFormat::Apt => Self::Apt,
            RepositoryFormat::Dnf => Self::Dnf,
            RepositoryFormat::Zypper => Self::Zypper,
        }
    }
}

impl From<RootFormat> for RepositoryFormat {
    fn from(format: RootFormat) -> Self {
        match format {
            RootFormat::Apt => Self::Apt,
            RootFormat::Dnf => Self::Dnf,
            RootFormat::Zypper => Self::Zypper,
        }
    }
}

/// A repository, as it is reached from the management node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackageSource {
    pub(super) name: String,
    /// A directory, or a URL.
    pub(super) location: String,
    /// The suite and the components, of apt.
    pub(super) suite: Option<String>,
    pub(super) components: Vec<String>,
    pub(super) trust: SourceTrust,
}

/// Why packages of a repository are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SourceTrust {
    /// One of these keys signs them: an armoured block.
    Keys(String),
    /// The definition says that they need no signature.
    Explicit,
}

impl PackageSource {
    /// Returns the directory, if it is one.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        self.location
            .starts_with('/')
            .then(|| PathBuf::from(&self.location))
    }
}

/// What is installed at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) environment: Vec<(String, String)>,
    pub(super) install: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) remove_after: Vec<String>,
}

impl Transaction {
    /// Whether another one can be part of it, without a difference but in time.
    pub(super) fn can_be_joined(&self) -> bool {
        self.environment.is_empty() && self.exclude.is_empty() && self.remove_after.is_empty()
    }
}

/// A program that finishes the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// Its path on the management node.
    pub(super) path: String,
    /// Its bytes, in base64.
    pub(super) base64: String,
}
