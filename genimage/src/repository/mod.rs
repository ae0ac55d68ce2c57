//! Where packages come from: the tree, local directories and repositories of the internet.

use serde::Serialize;

use crate::installer::Family;

/// Whose form a repository has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Debian and Ubuntu.
    #[default]
    Apt,
    /// The RHEL family and Fedora.
    Dnf,
    /// SLE and openSUSE.
    Zypper,
}

impl Form {
    /// Returns the form of a family's repositories.
    pub fn of(family: Family) -> Self {
        match family {
            Family::Debian | Family::Ubuntu => Self::Apt,
            Family::Rh | Family::Fedora => Self::Dnf,
            Family::Suse => Self::Zypper,
        }
    }
}

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// A short name of letters, digits and `-`: `tree`, `extra1`.
    pub name: String,
    /// Whose form it has.
    pub form: Form,
    /// What a node reaches it by.
    pub uri: String,
    /// Where it lies on the management node, where it does: only then can its packages be looked up.
    pub directory: Option<String>,
    /// The suite of an apt repository: `bookworm`, or a path that ends in `/`.
    pub suite: Option<String>,
    /// The components of an apt repository: `main`.
    pub components: Vec<String>,
    /// The armoured OpenPGP key that signs it, where the definition names one.
    pub key: Option<String>,
    /// Where a node reaches the key as a file.
    pub key_url: Option<String>,
    /// Whether the definition says in words that it is trusted without a signature.
    pub trusted: bool,
    /// The architectures of an apt repository, where the definition limits them.
    pub architectures: Vec<String>,
}
