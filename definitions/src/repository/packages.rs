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
mod tests;
