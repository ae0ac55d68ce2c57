//! Package lists.

use crate::problem::Place;

/// What the files of a list say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PkgList {
    /// What is installed together, in order; `#NEW_INSTALL_LIST#` begins the next.
    pub transactions: Vec<Transaction>,
}

/// What is installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// `#ENV:NAME=value#`, in order.
    pub environment: Vec<(String, String)>,
    /// Packages.
    pub install: Vec<Item>,
    /// `@group` and `@^environment`, without the `@`.
    pub groups: Vec<Item>,
    /// `-name`: kept out, or removed before.
    pub exclude: Vec<Item>,
    /// `-@group`.
    pub exclude_groups: Vec<Item>,
    /// `--name`: removed after.
    pub remove_after: Vec<Item>,
}

/// One name of a list, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name, as the package manager takes it; `dir/` and `=version` are part of other fields.
    pub name: String,
    /// The directory beneath `otherpkgdir`.
    pub directory: Option<String>,
    /// `=version`, or apt's `/release`, with its sign.
    pub version: Option<String>,
    /// Where it stands.
    pub place: Place,
}
