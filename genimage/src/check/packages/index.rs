//! What one repository holds, as far as a list can ask for it.

use anyhow::Result;
use definitions::glob;

use super::names::{NameTable, NameTableBuilder};

/// What one repository holds.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Packages, each with every version of it: `5.2-1` of apt's, `5.2-1.el9.x86_64`, with the architecture, of
    /// rpm's.
    pub(super) packages: NameTable,
    /// What packages provide beside their names, each with every package that does.
    pub(super) provides: NameTable,
    /// Groups, tasks and patterns, each with what people call it.
    pub(super) groups: NameTable,
    /// Environments: groups of groups, chosen by `@^`.
    pub(super) environments: NameTable,
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
    pub(super) packages: NameTableBuilder,
    pub(super) provides: NameTableBuilder,
    pub(super) groups: NameTableBuilder,
    pub(super) environments: NameTableBuilder,
}

impl Gathered {
    fn tables(&mut self) -> [&mut NameTableBuilder; 4] {
        let Self {
            packages,
            provides,
            groups,
            environments,
        } = self;
        [packages, provides, groups, environments]
    }

    /// Adds what another index holds.
    pub(super) fn append(&mut self, mut other: Self) -> Result<()> {
        let mut pairs = self.tables().into_iter().zip(other.tables());
        pairs.try_for_each(|(all, other)| all.append(std::mem::take(other)))
    }

    /// Puts everything in order in its place.
    pub(super) fn sort(&mut self) {
        self.tables().into_iter().for_each(NameTableBuilder::sort);
    }

    /// Writes everything in the form that [`Self::load`] reads.
    pub(super) fn render(&self, bytes: &mut Vec<u8>) {
        let Self {
            packages,
            provides,
            groups,
            environments,
        } = self;
        for table in [packages, provides, groups, environments] {
            table.render(bytes);
        }
    }

    /// Reads everything; `None` where it is not in that form.
    pub(super) fn load(mut bytes: &[u8]) -> Option<Self> {
        let mut gathered = Self::default();
        for table in gathered.tables() {
            *table = NameTableBuilder::load(&mut bytes)?;
        }
        bytes.is_empty().then_some(gathered)
    }

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
