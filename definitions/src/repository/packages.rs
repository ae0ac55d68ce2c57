//! What is installed from repositories, in the variables that xCAT's postscripts read. Pure.
//!
//! `OSPKGS` and `ENVLIST` are of packages of the tree; `OTHERPKGS1`, `ENVLIST1`, … and `OTHERPKGS_INDEX`, how
//! many there are, of others. A list is `-before,-@group,@group,package,--after`. A name that a package
//! manager could take for an option or a pattern is refused.

use std::fmt;

/// The most lists of other packages.
const MAX_COUNT: usize = 1000;

/// Which of an osimage's two lists packages are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageOrigin {
    /// `pkglist`: packages of the tree, in `OSPKGDIR` and `OSPKGS`.
    Tree,
    /// `otherpkglist`: packages of other repositories, in `OTHERPKGDIR` and `OTHERPKGS1` …
    Others,
}

impl PackageOrigin {
    /// Returns the variable that holds the repositories.
    pub fn directories_variable(self) -> &'static str {
        match self {
            Self::Tree => "OSPKGDIR",
            Self::Others => "OTHERPKGDIR",
        }
    }

    /// Returns the variable that holds the key of a repository, counted from 1; those of the tree's list are
    /// counted after the tree.
    pub fn key_variable(self, number: usize) -> String {
        match self {
            Self::Tree => format!("OSPKGKEY{number}"),
            Self::Others => format!("OTHERPKGKEY{number}"),
        }
    }

    /// Returns what a repository without a name is called on a node, before its number.
    pub fn repository_stem(self) -> &'static str {
        match self {
            Self::Tree => "mirror",
            Self::Others => "extra",
        }
    }
}

/// What is removed and installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageChanges {
    /// The environment of the package manager.
    pub environment: Vec<(String, String)>,
    /// `-name`: removed before.
    pub remove_before: Vec<String>,
    /// `-@group`: kept out.
    pub exclude_groups: Vec<String>,
    /// `@group` and `@^environment`, without the `@`.
    pub groups: Vec<String>,
    /// What is installed.
    pub install: Vec<RequestedPackage>,
    /// `--name`: removed after.
    pub remove_after: Vec<String>,
}

/// A package that is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedPackage {
    /// The directory below `otherpkgdir` that it comes from.
    pub directory: Option<String>,
    /// Its name.
    pub name: String,
    /// `=version`, or apt's `/release`, with its sign.
    pub version: Option<String>,
}

impl PackageChanges {
    /// Whether nothing is removed and nothing installed.
    pub fn is_empty(&self) -> bool {
        self.remove_before.is_empty()
            && self.exclude_groups.is_empty()
            && self.groups.is_empty()
            && self.install.is_empty()
            && self.remove_after.is_empty()
    }

    /// Returns the entries of the list, each with its sign: `-name`, `@group`, `--name`.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let signed = |sign: &'static str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{sign}{name}")).collect()
        };
        let entries = [
            signed("-", &self.remove_before),
            signed("-@", &self.exclude_groups),
            signed("@", &self.groups),
            self.install
                .iter()
                .map(RequestedPackage::to_string)
                .collect(),
            signed("--", &self.remove_after),
        ];
        entries.into_iter().flatten()
    }

    /// Returns the variables of lists that are not empty. Those of the tree's packages are one list.
    pub fn to_variables(lists: &[Self], origin: PackageOrigin) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let size = match origin {
            PackageOrigin::Tree => lists.len().max(1),
            PackageOrigin::Others => 1,
        };
        for (at, lists) in lists.chunks(size).enumerate() {
            let (packages, environment) = names(origin, at + 1);
            let changes: Vec<_> = lists.iter().map(Self::to_string).collect();
            let pairs = lists.iter().flat_map(|list| &list.environment);
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            variables.push((packages, changes.join(",")));
            if !pairs.is_empty() {
                variables.push((environment, pairs.join(" ")));
            }
        }
        if origin == PackageOrigin::Others && !lists.is_empty() {
            variables.push(("OTHERPKGS_INDEX".to_owned(), lists.len().to_string()));
        }
        variables
    }

    /// Reads the lists that variables hold, but for empty ones.
    ///
    /// # Errors
    /// What is wrong with a variable, after its name.
    pub fn from_variables(
        origin: PackageOrigin,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Self>, String> {
        let value = |name: &str| variable(name).unwrap_or_default();
        let count = match origin {
            PackageOrigin::Tree => 1,
            PackageOrigin::Others => match value("OTHERPKGS_INDEX").trim() {
                "" => 0,
                number => match number.parse() {
                    Ok(count) if count <= MAX_COUNT => count,
                    _ => {
                        return Err(format!(
                            "OTHERPKGS_INDEX is '{}' and not a number of lists up to {MAX_COUNT}",
                            number.escape_debug()
                        ));
                    }
                },
            },
        };
        let mut lists = Vec::new();
        for number in 1..=count {
            let (packages, environment) = names(origin, number);
            let mut list = Self::parse(&value(&packages), origin)
                .map_err(|why| format!("reading {packages}: {why}"))?;
            list.environment = parse_environment(&value(&environment));
            if !list.is_empty() {
                lists.push(list);
            }
        }
        Ok(lists)
    }

    /// Parses one list; what is in it twice counts once.
    ///
    /// # Errors
    /// The first entry that is no package and no group.
    pub fn parse(text: &str, origin: PackageOrigin) -> Result<Self, String> {
        let mut list = Self::default();
        let entries = text.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            if let Some(name) = entry.strip_prefix("--") {
                push(&mut list.remove_after, checked_name(name)?);
            } else if let Some(group) = entry.strip_prefix("-@") {
                push(&mut list.exclude_groups, checked_group(group)?);
            } else if let Some(name) = entry.strip_prefix('-') {
                push(&mut list.remove_before, checked_name(name)?);
            } else if let Some(group) = entry.strip_prefix('@') {
                push(&mut list.groups, checked_group(group)?);
            } else {
                push(&mut list.install, RequestedPackage::parse(entry, origin)?);
            }
        }
        Ok(list)
    }
}

/// Prints a list without its environment.
impl fmt::Display for PackageChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().collect::<Vec<_>>().join(","))
    }
}

impl RequestedPackage {
    /// Parses `name`, `name=version`, `name/release` (packages of the tree) or `directory/name` (others).
    fn parse(text: &str, origin: PackageOrigin) -> Result<Self, String> {
        let (directory, package) = match (origin, text.rsplit_once('/')) {
            (PackageOrigin::Others, Some((directory, package))) => (Some(directory), package),
            _ => (None, text),
        };
        if let Some(directory) = directory {
            let plain = |part: &str| !part.starts_with('.') && part.chars().all(is_plain);
            if !directory
                .split('/')
                .all(|part| !part.is_empty() && plain(part))
            {
                return Err(format!(
                    "'{}' of '{}' is no directory below {}",
                    directory.escape_debug(),
                    text.escape_debug(),
                    origin.directories_variable()
                ));
            }
        }
        let (name, version) = package.split_at(package.find(['=', '/']).unwrap_or(package.len()));
        if !is_name(name) || version.len() == 1 || !version.chars().skip(1).all(is_plain) {
            return Err(no_package(package));
        }
        Ok(Self {
            directory: directory.map(str::to_owned),
            name: name.to_owned(),
            version: (!version.is_empty()).then(|| version.to_owned()),
        })
    }

    /// Returns what the package manager is asked for: the name, and the version where one is wanted.
    pub fn with_version(&self) -> String {
        format!(
            "{}{}",
            self.name,
            self.version.as_deref().unwrap_or_default()
        )
    }
}

impl fmt::Display for RequestedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.directory {
            write!(f, "{directory}/")?;
        }
        f.write_str(&self.with_version())
    }
}

/// Returns the architecture that the name of a package asks apt for, where it is another one than the node's own: `i386`
/// of `libc6:i386` on `amd64`. dpkg knows it once it was added (dpkg(1), `--add-architecture`).
pub fn foreign_architecture<'n>(name: &'n str, native: &str) -> Option<&'n str> {
    let (_, arch) = name.split_once(':')?;
    let arch = arch.split(['=', '/']).next().unwrap_or(arch);
    (arch != native && !matches!(arch, "all" | "any" | "native")).then_some(arch)
}

/// Names the variables of a list, from 1: its packages and their environment.
fn names(origin: PackageOrigin, number: usize) -> (String, String) {
    match origin {
        PackageOrigin::Tree => ("OSPKGS".to_owned(), "ENVLIST".to_owned()),
        PackageOrigin::Others => (format!("OTHERPKGS{number}"), format!("ENVLIST{number}")),
    }
}

/// Reads `NAME=value NAME2=value2`.
fn parse_environment(text: &str) -> Vec<(String, String)> {
    let pairs = text
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(name, _)| !name.is_empty());
    named
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Adds what is not there yet.
fn push<T: PartialEq>(to: &mut Vec<T>, item: T) {
    if !to.contains(&item) {
        to.push(item);
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+-~^:".contains(c)
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    // apt removes a package whose name ends in '-'.
    begins && name.chars().all(is_plain) && !name.ends_with('-')
}

/// Checks the name of a package that is removed.
fn checked_name(name: &str) -> Result<String, String> {
    match RequestedPackage::parse(name, PackageOrigin::Tree) {
        Ok(package) => Ok(package.with_version()),
        Err(message) => Err(message),
    }
}

fn no_package(text: &str) -> String {
    format!(
        "'{}' is no package: write NAME or NAME=VERSION",
        text.escape_debug()
    )
}

fn checked_group(name: &str) -> Result<String, String> {
    let bare = name.strip_prefix('^').unwrap_or(name);
    let begins = bare.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !bare.chars().all(|c| is_plain(c) || " ()&/".contains(c)) {
        return Err(format!("'@{}' is no group", name.escape_debug()));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PackageOrigin::{Others, Tree};
    use super::*;

    #[test]
    fn an_architecture_after_a_name_is_foreign_where_it_is_not_the_nodes_own() {
        for (name, arch) in [
            ("libc6:i386", Some("i386")),
            ("libc6:i386=2.36-9", Some("i386")),
            ("libc6:i386/bookworm", Some("i386")),
            ("libc6:amd64", None),
            ("libc6:any", None),
            ("libc6:all", None),
            ("libc6", None),
        ] {
            assert_eq!(foreign_architecture(name, "amd64"), arch, "{name}");
        }
    }

    fn read(
        origin: PackageOrigin,
        variables: &[(String, String)],
    ) -> Result<Vec<PackageChanges>, String> {
        PackageChanges::from_variables(origin, &|name| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    fn package(directory: Option<&str>, name: &str, version: Option<&str>) -> RequestedPackage {
        RequestedPackage {
            directory: directory.map(str::to_owned),
            name: name.to_owned(),
            version: version.map(str::to_owned),
        }
    }

    #[test]
    fn lists_are_removed_before_installed_and_removed_after() {
        let given = variables(&[
            ("OTHERPKGS_INDEX", "3"),
            (
                "OTHERPKGS1",
                "-docker.io, docker-ce=5:27.1-1~x,tools/mine,mine,mine,--git,@Development Tools,-@games",
            ),
            ("ENVLIST1", "LANG=de ACCEPT=yes= x =y"),
            ("OTHERPKGS2", " , "),
            ("OTHERPKGS3", "last"),
            ("OTHERPKGS4", "never"),
        ]);
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let first = PackageChanges {
            environment: variables(&[("LANG", "de"), ("ACCEPT", "yes=")]),
            remove_before: words(&["docker.io"]),
            exclude_groups: words(&["games"]),
            groups: words(&["Development Tools"]),
            install: vec![
                package(None, "docker-ce", Some("=5:27.1-1~x")),
                package(Some("tools"), "mine", None),
                package(None, "mine", None),
            ],
            remove_after: words(&["git"]),
        };
        let last = PackageChanges {
            install: vec![package(None, "last", None)],
            ..PackageChanges::default()
        };
        assert_eq!(read(Others, &given).unwrap(), [first, last]);
        assert_eq!(read(Others, &[]).unwrap(), []);
    }

    #[test]
    fn what_follows_a_slash_is_a_release_of_the_trees_packages_and_a_package_of_others() {
        let text = "vim/bookworm-backports";
        let of = |origin| PackageChanges::parse(text, origin).unwrap().install;
        assert_eq!(
            of(Tree),
            [package(None, "vim", Some("/bookworm-backports"))]
        );
        assert_eq!(
            of(Others),
            [package(Some("vim"), "bookworm-backports", None)]
        );
    }

    #[test]
    fn the_lists_of_the_tree_are_one() {
        let list = |name: &str| PackageChanges {
            environment: variables(&[(name, "1")]),
            install: vec![package(None, name, None)],
            ..PackageChanges::default()
        };
        assert_eq!(
            PackageChanges::to_variables(&[list("a"), list("b")], Tree),
            variables(&[("OSPKGS", "a,b"), ("ENVLIST", "a=1 b=1")])
        );
        assert_eq!(PackageChanges::to_variables(&[], Tree), variables(&[]));
    }

    #[test]
    fn what_a_package_manager_could_take_for_something_else_is_refused() {
        for (list, message) in [
            ("a;b", "'a;b' is no package: write NAME or NAME=VERSION"),
            ("foo-", "'foo-' is no package: write NAME or NAME=VERSION"),
            (
                "---force",
                "'-force' is no package: write NAME or NAME=VERSION",
            ),
            ("*", "'*' is no package: write NAME or NAME=VERSION"),
            ("a=", "'a=' is no package: write NAME or NAME=VERSION"),
            ("a=1=2", "'a=1=2' is no package: write NAME or NAME=VERSION"),
            ("a\nb", "'a\\nb' is no package: write NAME or NAME=VERSION"),
            ("../a", "'..' of '../a' is no directory below OTHERPKGDIR"),
            ("@", "'@' is no group"),
            ("-@a;b", "'@a;b' is no group"),
        ] {
            let given = variables(&[("OTHERPKGS_INDEX", "1"), ("OTHERPKGS1", list)]);
            assert_eq!(
                read(Others, &given).unwrap_err(),
                format!("reading OTHERPKGS1: {message}")
            );
        }
        let given = variables(&[("OTHERPKGS_INDEX", "many")]);
        assert_eq!(
            read(Others, &given).unwrap_err(),
            "OTHERPKGS_INDEX is 'many' and not a number of lists up to 1000"
        );
    }

    fn lists(origin: PackageOrigin) -> impl Strategy<Value = PackageChanges> {
        let name = || "[a-z0-9][a-z0-9.+]{0,5}";
        let names = move || {
            prop::collection::btree_set(name(), 0..3)
                .prop_map(|set| set.into_iter().collect::<Vec<_>>())
        };
        let groups = || {
            prop::collection::btree_set("\\^?[a-z]([a-z &]{0,5}[a-z])?", 0..3)
                .prop_map(|set| set.into_iter().collect::<Vec<_>>())
        };
        let version = match origin {
            Tree => "[=/][a-z0-9.:~-]{1,6}",
            Others => "=[a-z0-9.:~-]{1,6}",
        };
        let directory = prop::option::of("[a-z]{1,3}(/[a-z]{1,3})?");
        let install = (directory, name(), prop::option::of(version)).prop_map(
            move |(directory, name, version)| RequestedPackage {
                directory: directory.filter(|_| origin == Others),
                name,
                version,
            },
        );
        let environment = prop::collection::vec(("[A-Z]{1,4}", "[a-z=/]{0,5}"), 0..3);
        (
            environment,
            names(),
            groups(),
            groups(),
            prop::collection::vec(install, 1..4),
            names(),
        )
            .prop_map(
                |(
                    environment,
                    remove_before,
                    exclude_groups,
                    groups,
                    mut install,
                    remove_after,
                )| {
                    install.sort_by_key(RequestedPackage::to_string);
                    install.dedup();
                    PackageChanges {
                        environment,
                        remove_before,
                        exclude_groups,
                        groups,
                        install,
                        remove_after,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn variables_read_back_as_the_lists_that_made_them(others in prop::collection::vec(lists(Others), 0..4), tree in lists(Tree)) {
            prop_assert_eq!(read(Others, &PackageChanges::to_variables(&others, Others)).unwrap(), others);
            let tree = [tree];
            prop_assert_eq!(read(Tree, &PackageChanges::to_variables(&tree, Tree)).unwrap(), tree);
        }

        #[test]
        fn no_text_makes_it_panic_and_what_parses_prints_the_same(text in "[-@^a-z,=/. ]{0,20}") {
            for origin in [Tree, Others] {
                if let Ok(list) = PackageChanges::parse(&text, origin) {
                    prop_assert_eq!(PackageChanges::parse(&list.to_string(), origin).unwrap(), list);
                }
            }
        }
    }
}
