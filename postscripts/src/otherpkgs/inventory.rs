//! The packages of this node: which are installed, and which an earlier run left half done.
//!
//! Reference: dpkg-query(1), `db:Status-Abbrev`; rpm has no such states, but where an upgrade is interrupted it
//! knows two versions of one package.

use std::collections::{BTreeMap, BTreeSet};

/// The packages of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    /// Name and version.
    pub(super) installed: BTreeMap<String, String>,
    /// Name, and how far it is.
    pub(super) unfinished: BTreeMap<String, &'static str>,
    /// Those of them whose files have to be unpacked once more.
    pub(super) reinstall: Vec<String>,
    /// Those whose removal an earlier run began.
    pub(super) removing: Vec<String>,
    /// Names that are installed in more than one version.
    pub(super) duplicates: BTreeSet<String>,
}

impl Inventory {
    /// Reads a state, a name, a version and an architecture a line, separated by tabs.
    pub(super) fn parse(text: &str) -> Self {
        let mut all = Self::default();
        let mut view = BTreeSet::new();
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let [state, name, version, architecture] = fields[..] else {
                continue;
            };
            if name == "gpg-pubkey" {
                continue;
            }
            match package_state(state) {
                None => continue,
                Some("installed") => {
                    all.installed.insert(name.to_owned(), version.to_owned());
                }
                Some(far) => {
                    all.unfinished.insert(name.to_owned(), far);
                    if is_being_removed(state) {
                        all.removing.push(name.to_owned());
                    } else if ["half-installed", REINSTALL].contains(&far) {
                        all.reinstall.push(name.to_owned());
                    }
                }
            }
            if !view.insert((name, architecture)) {
                all.duplicates.insert(name.to_owned());
            }
        }
        all
    }

    /// Says whether there is anything of a package.
    pub(super) fn has(&self, name: &str) -> bool {
        self.installed.contains_key(name) || self.unfinished.contains_key(name)
    }

    /// Names what is half done: `a (half-configured), b (unpacked)`.
    pub(super) fn half_done(&self) -> Option<String> {
        let each = self.unfinished.iter();
        let each: Vec<_> = each
            .map(|(name, state)| format!("{name} ({state})"))
            .collect();
        (!each.is_empty()).then(|| each.join(", "))
    }
}

/// What is said of a package whose files are not whole.
const REINSTALL: &str = "to be installed again";

/// Says whether a package is to be removed.
fn is_being_removed(abbreviation: &str) -> bool {
    abbreviation.starts_with(['r', 'p'])
}

/// Reads the state of a package; `None`: there is nothing of it but configuration.
fn package_state(abbreviation: &str) -> Option<&'static str> {
    let mut letters = abbreviation.chars().skip(1);
    let state = match letters.next()? {
        'i' => "installed",
        'H' => "half-installed",
        'U' => "unpacked",
        'F' => "half-configured",
        'W' => "awaiting triggers",
        't' => "triggers pending",
        _ => return None,
    };
    match letters.next() {
        Some('R') => Some(REINSTALL),
        _ => Some(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_that_are_installed_now() {
        let text = "ii \tbash\t5.2\tamd64\nrc \tgone\t1\tall\nun \tnever\t\t\nii \tgpg-pubkey\t1-2\t(none)\n\
                    hi \theld\t2\tall\nbad line\n";
        let all = Inventory::parse(text);
        let packages: Vec<_> = all.installed.into_iter().collect();
        let expected = [("bash", "5.2"), ("held", "2")];
        assert_eq!(
            packages,
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert_eq!(all.unfinished, BTreeMap::new());
    }

    #[test]
    fn what_is_half_done_is_named_with_how_far_it_is() {
        let text = "iF \tengine\t1\tall\niU \tlib\t1\tall\niHR\tbroken\t1\tall\niW \tman\t1\tall\nit \tdb\t1\tall\n\
                    rF \tleaving\t1\tall\nrHR\tgoing\t1\tall\niiR\tagain\t1\tall\n";
        let all = Inventory::parse(text);
        assert_eq!(
            all.half_done().as_deref(),
            Some(
                "again (to be installed again), broken (to be installed again), db (triggers pending), engine \
                 (half-configured), going (to be installed again), leaving (half-configured), lib (unpacked), man (awaiting triggers)"
            )
        );
        assert_eq!(all.reinstall, ["broken", "again"]);
        assert_eq!(all.removing, ["leaving", "going"]);
        assert!(all.has("engine") && !all.installed.contains_key("engine") && !all.has("none"));
        assert_eq!(Inventory::parse("ii \ta\t1\tall\n").half_done(), None);
    }

    #[test]
    fn one_package_in_two_versions_is_not_one_for_two_architectures() {
        let text = "ii \tlibc\t1\tx86_64\nii \tlibc\t1\ti686\nii \tslip\t1-1\tnoarch\nii \tslip\t2-1\tnoarch\n";
        let duplicates: Vec<_> = Inventory::parse(text).duplicates.into_iter().collect();
        assert_eq!(duplicates, ["slip"]);
    }
}
