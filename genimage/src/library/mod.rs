//! Which file is used: the one search for lists and templates, on disk and built in.
//!
//! A profile, a release and an architecture come in, or a name that an osimage gives; the text that holds
//! goes out, with where it came from and why it won. The administrator's own directory goes before what is
//! built in; within a directory the most specific name wins ([`search_order`]). Nothing here is ever written,
//! except by [`Library::export`], which overwrites nothing.

mod disk;
mod embedded;
mod export;
mod name;
pub mod search_order;

use std::fmt;
use std::path::{Path, PathBuf};

use definitions::{Arch, Distro};

use crate::installer::{DistroFamily, InstallerKind};
use crate::problem::Problem;

pub(crate) use disk::load;
pub use export::Exported;
pub use search_order::CandidateName;

/// Where an asset came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetOrigin {
    /// The administrator's own file.
    Custom(PathBuf),
    /// What is built into the program, by its name: `pkglists/debian/dockerhost.pkglist`.
    Embedded(&'static str),
}

impl fmt::Display for AssetOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(path) => path.display().fmt(f),
            Self::Embedded(name) => write!(f, "{name} (built in)"),
        }
    }
}

impl AssetOrigin {
    /// Returns the name that problems carry: the path, or the name of what is built in.
    pub fn name(&self) -> String {
        match self {
            Self::Custom(path) => path.display().to_string(),
            Self::Embedded(name) => (*name).to_owned(),
        }
    }
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Where it came from.
    pub origin: AssetOrigin,
    /// What it says.
    pub text: String,
    /// Says what was left out of the file, if anything was.
    pub note: Option<Problem>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// The installer's template; its ending is the installer's: `compute.preseed`.
    Template,
    /// The packages of the tree: `compute.pkglist`.
    PkgList,
    /// The packages of other repositories: `compute.otherpkgs.pkglist`, as xCAT names them.
    OtherPkgList,
}

impl AssetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Template, Self::PkgList, Self::OtherPkgList];

    /// Returns the directory that holds files of this kind: `templates`.
    pub fn section(self) -> &'static str {
        match self {
            Self::Template => "templates",
            Self::PkgList | Self::OtherPkgList => "pkglists",
        }
    }

    /// Returns the ending of the files: `pkglist`.
    pub fn ending(self, installer: InstallerKind) -> &'static str {
        match self {
            Self::Template => installer.ending(),
            Self::PkgList => "pkglist",
            Self::OtherPkgList => "otherpkgs.pkglist",
        }
    }
}

/// For whom a file is looked for.
#[derive(Debug, Clone, Copy)]
pub struct SearchTarget<'a> {
    /// What the node is for: `dockerhost`.
    pub profile: &'a str,
    /// The release.
    pub distro: &'a Distro,
    /// The architecture.
    pub arch: Arch,
    /// What installs it.
    pub installer: InstallerKind,
}

/// One file that fits, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub origin: AssetOrigin,
    /// The name that it was found by.
    pub name_found: CandidateName,
}

/// The administrator's own directory, and after it what is built in.
#[derive(Debug, Clone)]
pub struct Library {
    custom: PathBuf,
}

impl Library {
    /// Takes `<installdir>/custom`, or another directory.
    pub fn new(custom: impl Into<PathBuf>) -> Self {
        Self {
            custom: custom.into(),
        }
    }

    /// Finds the file of a kind that wins.
    ///
    /// # Errors
    /// A profile that is no file name, a release of no family, a file that cannot be read as text.
    pub fn find(
        &self,
        kind: AssetKind,
        target: &SearchTarget<'_>,
    ) -> Result<Option<Asset>, Problem> {
        match self.found(kind, target)?.into_iter().next() {
            Some(found) => self.load(&found.origin).map(Some),
            None => Ok(None),
        }
    }

    /// Lists every file of a kind that fits, the winner first; the others are shadowed by it.
    ///
    /// # Errors
    /// A profile that is no file name, a release of no family.
    pub fn found(
        &self,
        kind: AssetKind,
        target: &SearchTarget<'_>,
    ) -> Result<Vec<Candidate>, Problem> {
        name::check_profile(target.profile)?;
        let family = DistroFamily::of(target.distro)?;
        let candidate_names = search_order::candidate_names(target, kind.ending(target.installer));
        let mut found = Vec::new();
        for directory in self.directories(kind, family, target.distro) {
            for name_found in &candidate_names {
                let path = directory.join(&name_found.name);
                if path.is_file() {
                    found.push(Candidate {
                        origin: AssetOrigin::Custom(path),
                        name_found: name_found.clone(),
                    });
                }
            }
        }
        for name_found in candidate_names {
            let name = format!("{}/{}/{}", kind.section(), family.name(), name_found.name);
            if let Some((name, _)) = embedded::find(&name) {
                found.push(Candidate {
                    origin: AssetOrigin::Embedded(name),
                    name_found,
                });
            }
        }
        Ok(found)
    }

    /// The directories of the administrator's that may hold files of a kind, in the order of the search:
    /// our own layout, then xCAT's under the distribution's name, then under the family's.
    fn directories(&self, kind: AssetKind, family: DistroFamily, distro: &Distro) -> Vec<PathBuf> {
        let mut directories = vec![self.custom.join(kind.section()).join(family.name())];
        let xcat = match family {
            DistroFamily::Suse => &["sles", "suse"][..],
            _ => &[family.name()],
        };
        for name in std::iter::once(&distro.family()).chain(xcat) {
            let directory = self.custom.join("install").join(name);
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        directories
    }

    /// Finds a file by the name that an osimage gives: a path, or a name below the administrator's own
    /// directory, or the name of what is built in. The section and the family may be left out of it:
    /// `docker-ce.pkglist`. `builtin/…` asks for what is built in even where the administrator has a file
    /// of that name.
    ///
    /// # Errors
    /// A name that leaves the library, a file that is not there or cannot be read as text.
    pub fn named(
        &self,
        kind: AssetKind,
        family: DistroFamily,
        name: &str,
    ) -> Result<Asset, Problem> {
        self.look_up(kind, family, name)?.ok_or_else(|| {
            Problem::new(if Path::new(name).is_absolute() {
                format!("{name}: there is no such file: write it, or name another one")
            } else {
                format!(
                    "'{name}' is neither in {} nor built in: `genimage --list-assets` names what there is",
                    self.custom.display()
                )
            })
        })
    }

    /// Finds what a file includes: beside the including file, then by name.
    ///
    /// # Errors
    /// A name that leaves the library, a file that cannot be read as text.
    pub fn include(
        &self,
        kind: AssetKind,
        family: DistroFamily,
        from: &AssetOrigin,
        name: &str,
    ) -> Result<Option<Asset>, Problem> {
        let by_name = || self.look_up(kind, family, name);
        if Path::new(name).is_absolute() || name.starts_with(name::BUILTIN) {
            return by_name();
        }
        let beside = match from {
            AssetOrigin::Custom(path) => path
                .parent()
                .map(|directory| name::join(directory, name))
                .filter(|path| path.is_file())
                .map(|path| self.load(&AssetOrigin::Custom(path)))
                .transpose()?,
            // What is built in includes by name, so that the administrator's file of that name counts.
            AssetOrigin::Embedded(own) => match name::beside(own, name) {
                Some(name) => self.look_up(kind, family, &name)?,
                None => None,
            },
        };
        beside.map_or_else(by_name, |asset| Ok(Some(asset)))
    }

    /// Finds a file by a path or a name.
    fn look_up(
        &self,
        kind: AssetKind,
        family: DistroFamily,
        name: &str,
    ) -> Result<Option<Asset>, Problem> {
        if Path::new(name).is_absolute() {
            let path = PathBuf::from(name);
            let there = path.is_file();
            return there
                .then(|| self.load(&AssetOrigin::Custom(path)))
                .transpose();
        }
        name::check_inside(name)?;
        let builtin = name.strip_prefix(name::BUILTIN);
        let name = builtin.unwrap_or(name);
        let section = kind.section();
        let names = [
            name.to_owned(),
            format!("{section}/{name}"),
            format!("{section}/{}/{name}", family.name()),
        ];
        if builtin.is_none() {
            let paths = names.iter().map(|name| self.custom.join(name));
            if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
                return self.load(&AssetOrigin::Custom(path)).map(Some);
            }
        }
        let found = names.iter().find_map(|name| embedded::find(name));
        Ok(found.map(|(name, text)| Asset {
            origin: AssetOrigin::Embedded(name),
            text: text.to_owned(),
            note: None,
        }))
    }

    /// Returns what is built in of a kind's section, by name, in order.
    pub fn embedded(&self, kind: AssetKind) -> impl Iterator<Item = (&'static str, &'static str)> {
        embedded::section(kind.section())
    }

    /// Loads every file of the administrator's that lies in a kind's section, with the name that the one
    /// built in would have: `templates/debian/compute.preseed`. Of xCAT's layout, `install/<name>/`, the
    /// files with an ending of ours are among them, under the name of their path.
    ///
    /// # Errors
    /// Everything that cannot be read as text.
    pub fn custom(&self, kind: AssetKind) -> Result<Vec<(String, Asset)>, Vec<Problem>> {
        disk::scan(&self.custom, kind)
    }

    /// Loads what was found.
    fn load(&self, origin: &AssetOrigin) -> Result<Asset, Problem> {
        let (text, note) = match origin {
            AssetOrigin::Custom(path) => disk::load(path)?,
            AssetOrigin::Embedded(name) => {
                let text = embedded::find(name).map(|(_, text)| text.to_owned());
                (text.unwrap_or_default(), None)
            }
        };
        Ok(Asset {
            origin: origin.clone(),
            text,
            note,
        })
    }
}

#[cfg(test)]
mod tests;
