//! What the entries of `otherpkgdir` are: looked at on disk, with their keys.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use definitions::OsImage;

use super::entry::{self, Entry, Source, Trust};
use super::{Form, Repository, Served, is_file, key, tree};
use crate::installer::Family;
use crate::problem::{Place, Problem};

/// What the entries of one attribute are looked at with.
#[derive(Clone, Copy)]
pub struct Extra<'a> {
    /// The attribute: `otherpkgdir`, `pkgdir`.
    pub attribute: &'a str,
    /// What repositories without a name are called, before their number: `extra`.
    pub stem: &'a str,
    /// From where and for what they are served.
    pub served: Served<'a>,
    /// The directories beneath a local one that the list of other packages names, and where it does.
    pub directories: &'a [(String, Place)],
    /// Reads a key.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl std::fmt::Debug for Extra<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra")
            .field("attribute", &self.attribute)
            .field("stem", &self.stem)
            .field("served", &self.served)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

/// Finds all repositories of an osimage: its tree, which is the first entry of `pkgdir`, what else stands
/// there, and what `otherpkgdir` names. `directories` are those that its list of other packages names.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn of_image(
    image: &OsImage,
    served: Served<'_>,
    directories: &[(String, Place)],
) -> Result<Vec<Repository>, Vec<Problem>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut take = |repositories: Result<Vec<Repository>, Vec<Problem>>| match repositories {
        Ok(more) => found.extend(more),
        Err(more) => problems.extend(more),
    };
    let (tree, mirrors) = image.pkgdir.split_first().unzip();
    let mirrors = mirrors.unwrap_or_default();
    if let Some(tree) = tree {
        take(tree::of_tree(Path::new(tree), &served).map_err(|problem| vec![problem]));
    }
    let mut with = Extra {
        attribute: "pkgdir",
        stem: "mirror",
        served,
        directories: &[],
        read: &key::load,
    };
    take(extra(mirrors, &with));
    with = Extra {
        attribute: "otherpkgdir",
        stem: "extra",
        directories,
        ..with
    };
    take(extra(&image.otherpkgdir, &with));
    if mirrors.is_empty() && !found.iter().any(Repository::is_tree) && problems.is_empty() {
        problems.push(Problem::new(format!(
            "the osimage {}: its tree holds no packages for {}: import a medium that has them, or name a \
             mirror in pkgdir, behind the tree",
            image.name, served.arch
        )));
    }
    problems.extend(twice(&found));
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Tells of names that two repositories have.
fn twice(repositories: &[Repository]) -> Vec<Problem> {
    let mut names = BTreeSet::new();
    let twice = repositories
        .iter()
        .filter(|repository| !names.insert(repository.name.as_str()));
    let problem = |repository: &Repository| {
        Problem::new(format!(
            "there are two repositories named '{}': give one of them another name, as in '[name=…]'",
            repository.name
        ))
    };
    twice.map(problem).collect()
}

/// Turns entries into repositories, in their order.
///
/// The release's own directory for other packages, which every osimage names, may be missing or empty;
/// then it is no repository.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn extra(entries: &[String], with: &Extra<'_>) -> Result<Vec<Repository>, Vec<Problem>> {
    let family = Family::of(with.served.distro).map_err(|problem| vec![problem])?;
    let mut work = Work {
        with,
        form: Form::of(family),
        repositories: Vec::new(),
        problems: Vec::new(),
        missing: with.directories.iter().collect(),
    };
    for (at, text) in entries.iter().enumerate() {
        if let Err(message) = work.entry(text, at + 1) {
            let message = format!("{} '{}': {message}", with.attribute, text.escape_debug());
            work.problems.push(Problem::new(message));
        }
    }
    work.finish()
}

struct Work<'a> {
    with: &'a Extra<'a>,
    form: Form,
    repositories: Vec<Repository>,
    problems: Vec<Problem>,
    /// Directories that the list names and no entry has had yet.
    missing: Vec<&'a (String, Place)>,
}

impl Work<'_> {
    fn entry(&mut self, text: &str, number: usize) -> Result<(), String> {
        let entry = Entry::parse(text, self.form)?;
        let served = &self.with.served;
        let base = Repository {
            name: match &entry.name {
                Some(name) => name.clone(),
                None => format!("{}{number}", self.with.stem),
            },
            form: self.form,
            suite: entry.suite.clone(),
            components: entry.components.clone(),
            architectures: entry
                .architectures
                .iter()
                .map(|arch| arch.debian_name().to_owned())
                .collect(),
            trusted: entry.trust == Trust::Asserted,
            ..Repository::default()
        };
        match &entry.source {
            Source::Internet(uri) => {
                let base = self.keyed(base, &entry.trust)?;
                let version = match self.form {
                    Form::Zypper => served.distro.version(),
                    Form::Apt | Form::Dnf => served.distro.major(),
                };
                let uri = uri.replace("$releasever", version);
                let uri = uri.replace("$basearch", served.arch.name());
                self.repositories.push(Repository { uri, ..base });
            }
            Source::Directory(path) => self.directory(path, &entry, base)?,
        }
        Ok(())
    }

    /// Puts the key in, read and looked at.
    fn keyed(&self, base: Repository, trust: &Trust) -> Result<Repository, String> {
        match trust {
            Trust::Key(path) => {
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
            Trust::KeyUrl(url) => Ok(Repository {
                key_url: Some(url.clone()),
                ..base
            }),
            Trust::Distribution => Ok(Repository {
                key_url: tree::installed_key(&self.with.served),
                ..base
            }),
            Trust::Asserted => Ok(base),
            Trust::Unsaid => Err(entry::unsaid(self.form)),
        }
    }

    /// Takes a local directory and those beneath it that the list names.
    fn directory(&mut self, path: &Path, entry: &Entry, base: Repository) -> Result<(), String> {
        let served = self.with.served;
        let own = served.installdir.otherpkgs(served.distro, served.arch) == path;
        if own && entry.trust == Trust::Unsaid && !path.exists() {
            return Ok(());
        }
        if !path.is_dir() {
            return Err("there is no such directory: make it, or name another one".to_owned());
        }
        served.url(path)?;
        let mut places: Vec<(PathBuf, String)> = Vec::new();
        if let Some(suite) = self.indexed(path, entry)? {
            places.push((path.to_path_buf(), suite));
        }
        let named: BTreeSet<_> = self.with.directories.iter().map(|(name, _)| name).collect();
        for place in named.into_iter().map(|name| path.join(name)) {
            if place.is_dir() {
                let suite = self.indexed(&place, entry)?;
                let empty = || format!("{} holds no packages: put them there", place.display());
                places.push((place.clone(), suite.ok_or_else(empty)?));
            }
        }
        self.missing.retain(|(name, _)| !path.join(name).is_dir());
        if places.is_empty() {
            return if own {
                Ok(())
            } else {
                Err("holds no packages: put them there, or leave it out".to_owned())
            };
        }
        let base = self.keyed(base, &entry.trust)?;
        for (place, suite) in places {
            self.local(path, &place, &suite, &base)?;
        }
        Ok(())
    }

    /// Adds one local repository.
    fn local(
        &mut self,
        top: &Path,
        place: &Path,
        suite: &str,
        base: &Repository,
    ) -> Result<(), String> {
        let beneath = place.strip_prefix(top).unwrap_or(place).to_string_lossy();
        let name = match beneath.as_ref() {
            "" => base.name.clone(),
            beneath => format!("{}-{}", base.name, beneath.replace(['/', '.'], "-")),
        };
        if !base.trusted {
            self.signed(place, suite)?;
        }
        self.repositories.push(Repository {
            name,
            uri: self.with.served.url(place)?,
            directory: Some(place.display().to_string()),
            suite: (self.form == Form::Apt).then(|| suite.to_owned()),
            ..base.clone()
        });
        Ok(())
    }

    /// Refuses an index without the signature that the package manager asks for; dnf asks for none, only for
    /// those of packages.
    fn signed(&self, place: &Path, suite: &str) -> Result<(), String> {
        let suite = place.join("dists").join(suite);
        let there = |name: &str| is_file(place, name) || is_file(&suite, name);
        let (names, index): (&[&str], _) = match self.form {
            Form::Apt => (&["InRelease", "Release.gpg"], "Release"),
            Form::Zypper => (&["repodata/repomd.xml.asc"], "repodata/repomd.xml"),
            Form::Dnf => return Ok(()),
        };
        if names.iter().any(|name| there(name)) {
            return Ok(());
        }
        Err(format!(
            "{} has no {}, and nodes would refuse it: sign its {index}, or put '[trusted=yes]' in front of the \
             entry",
            place.display(),
            names.join(" and no ")
        ))
    }

    /// Looks for an index of packages; returns the suite, which is apt's.
    fn indexed(&self, directory: &Path, entry: &Entry) -> Result<Option<String>, String> {
        let shown = directory.display();
        if self.form != Form::Apt {
            if is_file(directory, "repodata/repomd.xml") {
                return Ok(Some(String::new()));
            }
            return if holds(directory, ".rpm") {
                Err(format!(
                    "{shown} has packages and no index: run `createrepo_c {shown}`"
                ))
            } else {
                Ok(None)
            };
        }
        let packages = ["Packages", "Packages.gz", "Packages.xz"];
        match &entry.suite {
            Some(suite) if suite.ends_with('/') => {
                let place = directory.join(suite);
                let there = packages.iter().any(|name| is_file(&place, name));
                if there {
                    Ok(Some(suite.clone()))
                } else {
                    Err(format!("{} has no Packages", place.display()))
                }
            }
            Some(suite) if is_file(directory, &format!("dists/{suite}/Release")) => {
                Ok(Some(suite.clone()))
            }
            Some(suite) => Err(format!("{shown}/dists/{suite} has no Release")),
            None if packages.iter().any(|name| is_file(directory, name)) => {
                Ok(Some("./".to_owned()))
            }
            None if directory.join("dists").is_dir() => Err(format!(
                "{shown} has suites: write the one and its components behind it, as in '{shown} noble main'"
            )),
            None if holds(directory, ".deb") => Err(format!(
                "{shown} has packages and no index: run `cd {shown} && apt-ftparchive packages . > Packages`"
            )),
            None => Ok(None),
        }
    }

    fn finish(mut self) -> Result<Vec<Repository>, Vec<Problem>> {
        for (directory, place) in std::mem::take(&mut self.missing) {
            let message = format!(
                "'{directory}' is no directory of {}: make it there, or name the package alone",
                self.with.attribute
            );
            self.problems.push(Problem::at(place.clone(), message));
        }
        self.problems.extend(twice(&self.repositories));
        if self.problems.is_empty() {
            Ok(self.repositories)
        } else {
            Err(self.problems)
        }
    }
}

/// Whether a directory has a file with this ending; what cannot be read has none.
fn holds(directory: &Path, ending: &str) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(ending);
    entries.filter_map(Result::ok).any(name)
}
