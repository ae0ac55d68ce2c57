//! What one repository holds, as far as a list can ask for it.

use super::glob;
use super::names::{Gathering, Names};

/// What one repository holds.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Packages, each with every version of it.
    pub(super) packages: Names,
    /// What packages provide beside their names, each with every package that does.
    pub(super) provides: Names,
    /// Groups, tasks and patterns.
    pub(super) groups: Vec<Group>,
    /// Environments: groups of groups, chosen by `@^`.
    pub(super) environments: Vec<Group>,
}

/// A named set of packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Group {
    /// What it is called in files: `core`.
    pub(super) id: String,
    /// What it is called to people: `Core`; empty where it has no such name.
    pub(super) name: String,
}

impl Group {
    /// Whether a list names it; anaconda and dnf take id or name, in any case, with wildcards.
    pub(super) fn is(&self, wanted: &str) -> bool {
        [&self.id, &self.name].into_iter().any(|name| {
            name.eq_ignore_ascii_case(wanted)
                || glob::is_pattern(wanted)
                    && glob::matches(&wanted.to_ascii_lowercase(), &name.to_ascii_lowercase())
        })
    }
}

/// An index that is being read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) packages: Gathering,
    pub(super) provides: Gathering,
    pub(super) groups: Vec<Group>,
    pub(super) environments: Vec<Group>,
}

impl Gathered {
    /// Puts everything in order.
    pub(super) fn finish(mut self) -> Index {
        self.groups.sort();
        self.groups.dedup();
        self.environments.sort();
        self.environments.dedup();
        Index {
            packages: self.packages.finish(),
            provides: self.provides.finish(),
            groups: self.groups,
            environments: self.environments,
        }
    }
}
