//! What one repository holds, as far as a list can ask for it.

use definitions::glob;

use super::names::{Gathering, Names};

/// What one repository holds.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Packages, each with every version of it: `5.2-1` of apt's, `5.2-1.el9.x86_64`, with the architecture, of
    /// rpm's.
    pub(super) packages: Names,
    /// What packages provide beside their names, each with every package that does.
    pub(super) provides: Names,
    /// Groups, tasks and patterns, each with what people call it.
    pub(super) groups: Names,
    /// Environments: groups of groups, chosen by `@^`.
    pub(super) environments: Names,
}

/// Whether a list names a group, by what it is called in files (`core`) or to people (`Core`); anaconda
/// and dnf take both in any case, with wildcards.
pub(super) fn is_group(wanted: &str, id: &str, name: &str) -> bool {
    [id, name].into_iter().any(|known| {
        known.eq_ignore_ascii_case(wanted)
            || glob::is_pattern(wanted)
                && glob::matches(&wanted.to_ascii_lowercase(), &known.to_ascii_lowercase())
    })
}

/// An index that is being read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) packages: Gathering,
    pub(super) provides: Gathering,
    pub(super) groups: Gathering,
    pub(super) environments: Gathering,
}

impl Gathered {
    /// Puts everything in order.
    pub(super) fn finish(self) -> Index {
        Index {
            packages: self.packages.finish(),
            provides: self.provides.finish(),
            groups: self.groups.finish(),
            environments: self.environments.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_known_by_id_and_by_name_in_any_case_and_by_wildcards() {
        for (wanted, expected) in [
            ("core", true),
            ("CORE", true),
            ("the core", true),
            ("c*", true),
            ("*Core", true),
            ("cor", false),
            ("", false),
        ] {
            assert_eq!(is_group(wanted, "core", "The Core"), expected, "{wanted}");
        }
    }
}
