//! Package lists: what a node gets installed, a name a line.
//!
//! Texts come in, in the order of the osimage's list, and one value goes out, with the place of every name;
//! or every problem there is, each with its file and line. What a list includes is asked of the caller, so
//! that parsing is pure. The syntax is xCAT's, and docs/packages.md tells it.
//!
//! Whether a package exists is not known here: that is looked up in the repositories it comes from.

mod directive;
mod display;
mod name;
mod parse;

use std::collections::BTreeMap;

use definitions::{PackageOrigin, foreign_architecture};

use crate::context::{ImageFacts, Packages};
use crate::installer::DistroFamily;
use crate::library::{Asset, AssetKind, AssetOrigin, Library, SearchTarget};
use crate::problem::{FileLine, Problem};

/// What the files of a list say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PkgList {
    /// What is installed together, in order; `#NEW_INSTALL_LIST#` begins the next. None is empty.
    pub transactions: Vec<PackageTransaction>,
    /// What a person should know of its files.
    pub notes: Vec<Problem>,
}

/// What is installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageTransaction {
    /// `#ENV:NAME=value#`, in order.
    pub environment: Vec<(String, String)>,
    /// Packages.
    pub install: Vec<ListItem>,
    /// `@group` and `@^environment`, without the `@`.
    pub groups: Vec<ListItem>,
    /// `-name`: kept out, or removed before.
    pub exclude: Vec<ListItem>,
    /// `-@group`.
    pub exclude_groups: Vec<ListItem>,
    /// `--name`: removed after.
    pub remove_after: Vec<ListItem>,
}

/// One name of a list, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// The name, as the package manager takes it; `dir/` and `=version` are part of other fields.
    pub name: String,
    /// The directory below `otherpkgdir`.
    pub directory: Option<String>,
    /// The version or the release that is demanded.
    pub version: Option<VersionPin>,
    /// Its file and line.
    pub place: FileLine,
}

/// What a list demands of a package beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionPin {
    /// `=version`.
    Exact(String),
    /// `/release`, apt's.
    Suite(String),
}

/// Returns the kind of file in the library that a list is.
fn asset_kind(origin: PackageOrigin) -> AssetKind {
    match origin {
        PackageOrigin::Tree => AssetKind::PkgList,
        PackageOrigin::Others => AssetKind::OtherPkgList,
    }
}

/// What a name in a list may be.
#[derive(Debug, Clone, Copy)]
pub struct ListRules<'a> {
    /// Whose package manager takes the names.
    pub family: DistroFamily,
    /// Which of the osimage's lists it is.
    pub origin: PackageOrigin,
    /// What `$NAME` stands for in the path of an include; the process's environment counts for nothing.
    pub variables: &'a BTreeMap<String, String>,
}

/// Finds what a file includes, or says that there is none.
pub type IncludeLoader<'a> = dyn Fn(&AssetOrigin, &str) -> Result<Option<Asset>, Problem> + 'a;

impl PkgList {
    /// Parses files in their order; the second goes on where the first ends.
    ///
    /// # Errors
    /// Everything that is wrong with them and with what they include.
    pub fn parse(
        files: &[Asset],
        rules: &ListRules<'_>,
        load: &IncludeLoader<'_>,
    ) -> Result<Self, Vec<Problem>> {
        parse::parse(files, rules, load)
    }

    /// Loads the files that an osimage names, or where it names none, the one that the library has for the
    /// profile. No list of other packages is an empty one. In the path of an include `$OSVER`, `$ARCH` and
    /// `$PROFILE` are the target's, unless the given variables say otherwise.
    ///
    /// # Errors
    /// Files that are not there, everything that is wrong with them, and no list of a tree's packages.
    pub fn load(
        library: &Library,
        origin: PackageOrigin,
        names: &[String],
        target: &SearchTarget<'_>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<Problem>> {
        let kind = asset_kind(origin);
        let family = DistroFamily::of(target.distro).map_err(|problem| vec![problem])?;
        let files = if names.is_empty() {
            let found = library
                .find(kind, target)
                .map_err(|problem| vec![problem])?;
            if found.is_none() && origin == PackageOrigin::Tree {
                return Err(vec![Problem::new(format!(
                    "no package list for the profile '{}' of {}: name one in the osimage's pkglist, or write \
                     pkglists/{}/{}.pkglist in the directory of your own files",
                    target.profile,
                    target.distro,
                    family.name(),
                    target.profile
                ))]);
            }
            found.into_iter().collect()
        } else {
            let (mut files, mut problems) = (Vec::new(), Vec::new());
            for name in names {
                match library.named(kind, family, name) {
                    Ok(file) => files.push(file),
                    Err(problem) => problems.push(problem),
                }
            }
            if !problems.is_empty() {
                return Err(problems);
            }
            files
        };
        let own = [
            ("OSVER", target.distro.to_string()),
            ("ARCH", target.arch.to_string()),
            ("PROFILE", target.profile.to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let given = variables.clone().into_iter();
        let rules = ListRules {
            family,
            origin,
            variables: &own.into_iter().chain(given).collect(),
        };
        Self::parse(&files, &rules, &|from, name| {
            library.include(kind, family, from, name)
        })
    }

    /// Returns every package that is installed, in order.
    pub fn install(&self) -> impl Iterator<Item = &ListItem> {
        self.transactions.iter().flat_map(|list| &list.install)
    }

    /// Returns every group that is installed, in order.
    pub fn groups(&self) -> impl Iterator<Item = &ListItem> {
        self.transactions.iter().flat_map(|list| &list.groups)
    }

    /// Returns the directories below `otherpkgdir` that packages come from, and where each is named first.
    pub fn directories(&self) -> Vec<(String, FileLine)> {
        let mut directories: Vec<(String, FileLine)> = Vec::new();
        for item in self.install() {
            if let Some(name) = &item.directory
                && !directories.iter().any(|(known, _)| known == name)
            {
                directories.push((name.clone(), item.place.clone()));
            }
        }
        directories
    }

    /// Tells an installer of a release what to install from several lists: it takes all of them at once.
    pub fn packages(lists: &[&Self], image: &ImageFacts) -> Packages {
        let mut packages = Packages::default();
        for list in lists.iter().flat_map(|list| &list.transactions) {
            extend(&mut packages.install, &list.install, "");
            extend(&mut packages.groups, &list.groups, "");
            extend(&mut packages.exclude, &list.exclude, "");
            extend(&mut packages.exclude, &list.exclude_groups, "@");
        }
        if matches!(image.family.as_str(), "debian" | "ubuntu") {
            packages.find_foreign(&image.debarch);
        }
        packages
    }
}

impl Packages {
    /// Finds the packages that are of another architecture than the node.
    fn find_foreign(&mut self, native: &str) {
        for name in &self.install {
            let Some(arch) = foreign_architecture(name, native) else {
                continue;
            };
            self.foreign.push(name.clone());
            if !self.architectures.iter().any(|known| known == arch) {
                self.architectures.push(arch.to_owned());
            }
        }
    }
}

/// Adds what is not there yet.
fn extend(names: &mut Vec<String>, items: &[ListItem], sign: &str) {
    for item in items {
        let name = format!("{sign}{}", item.wanted());
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

impl ListItem {
    /// Returns what the package manager is asked for: the name, and the version where one is demanded.
    pub fn wanted(&self) -> String {
        match &self.version {
            Some(pin) => format!("{}{pin}", self.name),
            None => self.name.clone(),
        }
    }
}

impl PackageTransaction {
    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        let lists = [
            &self.install,
            &self.groups,
            &self.exclude,
            &self.exclude_groups,
            &self.remove_after,
        ];
        lists.into_iter().all(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests;
