//! What the entries of `otherpkgdir` are: looked at on disk, with their keys.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use definitions::{
    OsImage, PackageOrigin, RepositoryEntry, RepositoryFormat, RepositoryLocation, RepositoryTrust,
};

use super::{Repository, Served, format_of, key, tree};
use crate::installer::DistroFamily;
use crate::problem::{FileLine, Problem};

/// The releases of Debian and Ubuntu by their codenames, which begin the names of their suites.
const CODENAMES: [&str; 20] = [
    "wheezy", "jessie", "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke",
    "sid", "trusty", "xenial", "bionic", "focal", "jammy", "noble", "oracular", "plucky",
    "questing", "resolute",
];

/// Names of suites that another release gets in time.
const MOVING: [&str; 6] = [
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
    "devel",
];

/// What the entries of one attribute are looked at with.
#[derive(Clone, Copy)]
pub struct ResolveContext<'a> {
    /// Which of the osimage's two lists of repositories they are in.
    pub origin: PackageOrigin,
    /// From where and for what they are served.
    pub served: Served<'a>,
    /// The codename of the release, where it is Debian's or Ubuntu's: `bookworm`.
    pub codename: Option<&'a str>,
    /// The directories below a local one that the list of other packages names, and where it does.
    pub directories: &'a [(String, FileLine)],
    /// Reads a key.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl std::fmt::Debug for ResolveContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra")
            .field("origin", &self.origin)
            .field("served", &self.served)
            .field("codename", &self.codename)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

/// All repositories of an osimage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsimageRepositories {
    /// The tree's, the one to install from first, then the mirrors that follow it in `pkgdir`.
    pub tree: Vec<Repository>,
    /// Those of `otherpkgdir`.
    pub extra: Vec<Repository>,
}

/// Finds all repositories of an osimage: those of its tree, what follows the tree in `pkgdir`, and what
/// `otherpkgdir` names. The tree comes with whether `pkgdir` calls it `trusted=yes`; `directories` are those
/// that its list of other packages names.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn of_image(
    image: &OsImage,
    (tree, trusted): (&Path, bool),
    served: Served<'_>,
    directories: &[(String, FileLine)],
) -> Result<OsimageRepositories, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut collect = |found: Result<Vec<Repository>, Vec<Problem>>| {
        found.unwrap_or_else(|more| {
            problems.extend(more);
            Vec::new()
        })
    };
    let codename = tree::codename(tree);
    let mirrors = image.pkgdir.get(1..).unwrap_or_default();
    let with = ResolveContext {
        origin: PackageOrigin::Tree,
        served,
        codename: codename.as_deref(),
        directories: &[],
        read: &key::load,
    };
    // A root image that came from another management node boots without.
    let has_tree = tree.is_dir();
    let mut found = OsimageRepositories::default();
    if has_tree {
        found.tree =
            collect(tree::of_tree(tree, &served, trusted).map_err(|problem| vec![problem]));
    }
    found.tree.extend(collect(extra(mirrors, &with)));
    let with = ResolveContext {
        origin: PackageOrigin::Others,
        directories,
        ..with
    };
    found.extra = collect(extra(&image.otherpkgdir, &with));
    if has_tree && found.tree.is_empty() && problems.is_empty() {
        problems.push(Problem::new(format!(
            "the osimage {}: its tree holds no packages for {}: import a medium that has them, or name a \
             mirror in pkgdir, after the tree",
            image.name, served.arch
        )));
    }
    problems.extend(duplicates(found.tree.iter().chain(&found.extra)));
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Returns the attribute of an osimage that names the repositories.
fn attribute(origin: PackageOrigin) -> &'static str {
    match origin {
        PackageOrigin::Tree => "pkgdir",
        PackageOrigin::Others => "otherpkgdir",
    }
}

/// Tells of names that two repositories have.
fn duplicates<'a>(repositories: impl Iterator<Item = &'a Repository>) -> Vec<Problem> {
    let mut names = BTreeSet::new();
    let duplicates = repositories.filter(|repository| !names.insert(repository.name.as_str()));
    let problem = |repository: &Repository| {
        Problem::new(format!(
            "there are two repositories named '{}': give one of them another name, as in '[name=…]'",
            repository.name
        ))
    };
    duplicates.map(problem).collect()
}

/// Turns entries into repositories, in their order.
///
/// The release's own directory for other packages, which every osimage names, may be missing or empty;
/// then it is no repository.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn extra(
    entries: &[String],
    with: &ResolveContext<'_>,
) -> Result<Vec<Repository>, Vec<Problem>> {
    let family = DistroFamily::of(with.served.distro).map_err(|problem| vec![problem])?;
    let mut work = EntryResolver {
        with,
        form: format_of(family),
        repositories: Vec::new(),
        problems: Vec::new(),
        missing: with.directories.iter().collect(),
    };
    for (at, text) in entries.iter().enumerate() {
        if let Err(message) = work.entry(text, at + 1) {
            let message = format!(
                "{} '{}': {message}",
                attribute(with.origin),
                text.escape_debug()
            );
            work.problems.push(Problem::new(message));
        }
    }
    work.finish()
}

pub(super) struct EntryResolver<'a> {
    pub(super) with: &'a ResolveContext<'a>,
    pub(super) form: RepositoryFormat,
    pub(super) repositories: Vec<Repository>,
    problems: Vec<Problem>,
    /// Directories that the list names and no entry has had yet.
    pub(super) missing: Vec<&'a (String, FileLine)>,
}

impl EntryResolver<'_> {
    fn entry(&mut self, text: &str, number: usize) -> Result<(), String> {
        let entry = RepositoryEntry::parse(text, self.form)?;
        if let (RepositoryLocation::Uri(_), RepositoryTrust::Unspecified) =
            (&entry.location, &entry.trust)
        {
            return Err(self.form.trust_advice());
        }
        let served = &self.with.served;
        self.check_release(&entry)?;
        let base = Repository {
            name: match &entry.name {
                Some(name) => name.clone(),
                None => format!("{}{number}", self.with.origin.repository_stem()),
            },
            form: self.form,
            suite: entry.suite.clone(),
            components: entry.components.clone(),
            architectures: entry
                .architectures
                .iter()
                .map(|arch| arch.debian_name().to_owned())
                .collect(),
            trusted: entry.trust == RepositoryTrust::Explicit,
            ..Repository::default()
        };
        match &entry.location {
            RepositoryLocation::Uri(uri) => {
                let base = self.with_key(base, &entry.trust)?;
                let version = match self.form {
                    RepositoryFormat::Zypper => served.distro.version(),
                    RepositoryFormat::Apt | RepositoryFormat::Dnf => served.distro.major(),
                };
                let uri = uri.replace("$releasever", version);
                let uri = uri.replace("$basearch", served.arch.name());
                self.repositories.push(Repository { uri, ..base });
            }
            RepositoryLocation::Directory(path) => self.directory(path, &entry, base)?,
        }
        Ok(())
    }

    /// Refuses what nodes of this release cannot use: packages of other architectures, and a mirror of another
    /// release. What others make may well be of an older release's suite.
    fn check_release(&self, entry: &RepositoryEntry) -> Result<(), String> {
        let arch = self.with.served.arch;
        if !entry.architectures.is_empty() && !entry.architectures.contains(&arch) {
            return Err(format!(
                "is limited to other architectures than the osimage's: write 'arch={}', or leave it out",
                arch.debian_name()
            ));
        }
        let of_distribution = entry.trust == RepositoryTrust::Distribution;
        let mirrors = self.with.origin == PackageOrigin::Tree || of_distribution;
        let suite = entry.suite.as_deref().unwrap_or_default();
        let base = suite.split(['-', '/']).next().unwrap_or_default();
        // what others sign may have suites of these names for good
        let is_moving = of_distribution && MOVING.contains(&base);
        match self.with.codename {
            Some(own) if is_moving && base != self.with.served.distro.version() => Err(format!(
                "has the suite '{suite}', which is another release's in time: write '{}'",
                suite.replacen(base, own, 1)
            )),
            Some(own) if mirrors && base != own && CODENAMES.contains(&base) => Err(format!(
                "has the suite '{suite}', which is another release's: this one is '{own}'"
            )),
            _ => Ok(()),
        }
    }

    /// Puts the key in, read and looked at.
    pub(super) fn with_key(
        &self,
        base: Repository,
        trust: &RepositoryTrust,
    ) -> Result<Repository, String> {
        match trust {
            RepositoryTrust::Key(path) => {
                let shown = path.display();
                let bytes = (self.with.read)(path)
                    .map_err(|err| format!("its key {shown} cannot be read: {err}"))?;
                let key = key::armoured(&bytes).map_err(|why| format!("its key {shown} {why}"))?;
                Ok(Repository {
                    key: Some(key),
                    key_url: self.with.served.url(path).ok(),
                    ..base
                })
            }
            RepositoryTrust::KeyUrl(url) => Ok(Repository {
                key_url: Some(url.clone()),
                ..base
            }),
            RepositoryTrust::Distribution => Ok(Repository {
                key_url: tree::installed_key(&self.with.served),
                ..base
            }),
            RepositoryTrust::Explicit => Ok(base),
            RepositoryTrust::Unspecified => Err(self.form.trust_advice()),
        }
    }

    fn finish(mut self) -> Result<Vec<Repository>, Vec<Problem>> {
        for (directory, place) in std::mem::take(&mut self.missing) {
            let message = format!(
                "'{directory}' is not a directory of {}: make it there, or name the package alone",
                attribute(self.with.origin)
            );
            self.problems.push(Problem::at(place.clone(), message));
        }
        self.problems.extend(duplicates(self.repositories.iter()));
        if self.problems.is_empty() {
            Ok(self.repositories)
        } else {
            Err(self.problems)
        }
    }
}
