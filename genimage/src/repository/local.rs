//! Entries that are directories of the management node's: what lies in them, and whether nodes would take it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use definitions::{RepositoryEntry, RepositoryFormat, RepositoryTrust};
use repodata::{Input, Repomd};

use super::extra::EntryResolver;
use super::validity::ended;
use super::{Repository, has_index, is_file, key, rpm_signature, signature};

impl EntryResolver<'_> {
    /// Takes a local directory and those below it that the list names.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        entry: &RepositoryEntry,
        base: Repository,
    ) -> Result<(), String> {
        let served = self.with.served;
        let own = served.installdir.otherpkgs(served.distro, served.arch) == path;
        if own && entry.trust == RepositoryTrust::Unspecified && !path.exists() {
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
        let base = self.with_key(base, &entry.trust)?;
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
        let below = place.strip_prefix(top).unwrap_or(place).to_string_lossy();
        let name = match below.as_ref() {
            "" => base.name.clone(),
            below => format!("{}-{}", base.name, below.replace(['/', '.'], "-")),
        };
        let index = match suite {
            "" | "./" => place.to_owned(),
            flat if flat.ends_with('/') => place.join(flat),
            suite => place.join("dists").join(suite),
        };
        if !base.trusted {
            self.check_signature(&index, base.key.as_deref())?;
        }
        if let Some(end) = ended(&index) {
            return Err(format!(
                "{} counted until {end}, and nodes refuse it since: bring the mirror up to date, or leave Valid-Until out \
                 when you sign it",
                index.display()
            ));
        }
        self.repositories.push(Repository {
            name,
            uri: self.with.served.url(place)?,
            directory: Some(place.display().to_string()),
            suite: (self.form == RepositoryFormat::Apt).then(|| suite.to_owned()),
            ..base.clone()
        });
        Ok(())
    }

    /// Refuses an index without the signature that the package manager asks for, or with one of another key than
    /// the one that is named; dnf asks for none, only for those of packages, which are looked at then.
    fn check_signature(&self, place: &Path, key: Option<&str>) -> Result<(), String> {
        let there = |name: &str| is_file(place, name).then(|| place.join(name));
        let (names, index): (&[&str], _) = match self.form {
            RepositoryFormat::Apt => (&["InRelease", "Release.gpg"], "Release"),
            RepositoryFormat::Zypper => (&["repodata/repomd.xml.asc"], "repodata/repomd.xml"),
            RepositoryFormat::Dnf => return key.map_or(Ok(()), |key| check_packages(place, key)),
        };
        if let Some(signature) = names.iter().find_map(|name| there(name)) {
            return key.map_or(Ok(()), |key| is_key_of(&signature, key));
        }
        Err(format!(
            "{} has no {}, and nodes would refuse it: sign its {index}, or put '[trusted=yes]' in front of the \
             entry",
            place.display(),
            names.join(" and no ")
        ))
    }

    /// Refuses a component that a suite does not have for the architecture.
    fn components(&self, suite: &Path, entry: &RepositoryEntry) -> Result<(), String> {
        let arch = self.with.served.arch.debian_name();
        for component in &entry.components {
            let there = [arch, "all"]
                .map(|arch| suite.join(component).join(format!("binary-{arch}")))
                .iter()
                .any(|place| has_index(place, "Packages"));
            if !there {
                return Err(format!(
                    "{} has no component '{component}' for {arch}: correct its name, or leave it out",
                    suite.display()
                ));
            }
        }
        Ok(())
    }

    /// Looks for an index of packages; returns the suite, which is apt's.
    fn indexed(&self, directory: &Path, entry: &RepositoryEntry) -> Result<Option<String>, String> {
        let shown = directory.display();
        if self.form != RepositoryFormat::Apt {
            if is_file(directory, "repodata/repomd.xml") {
                return match missing_primary(directory) {
                    Some(name) => Err(format!(
                        "{shown}/repodata/repomd.xml names {name}, which is not there: run `createrepo_c {shown}` again"
                    )),
                    None => Ok(Some(String::new())),
                };
            }
            return if contains_file(directory, ".rpm") {
                Err(format!(
                    "{shown} has packages and no index: run `createrepo_c {shown}`"
                ))
            } else {
                Ok(None)
            };
        }
        match &entry.suite {
            Some(suite) if suite.ends_with('/') => {
                let place = directory.join(suite);
                if has_index(&place, "Packages") {
                    Ok(Some(suite.clone()))
                } else {
                    Err(format!("{} has no Packages", place.display()))
                }
            }
            Some(suite) if has_release(&directory.join("dists").join(suite)) => {
                self.components(&directory.join("dists").join(suite), entry)?;
                Ok(Some(suite.clone()))
            }
            Some(suite) => Err(format!("{shown}/dists/{suite} has no Release")),
            None if has_index(directory, "Packages") => Ok(Some("./".to_owned())),
            None if directory.join("dists").is_dir() => Err(format!(
                "{shown} has suites: write the one and its components after it, as in '{shown} noble main'"
            )),
            None if contains_file(directory, ".deb") => Err(format!(
                "{shown} has packages and no index: run `cd {shown} && apt-ftparchive packages . > Packages`"
            )),
            None => Ok(None),
        }
    }
}

/// Returns the list of packages that an index of rpm-md names and that is not there; what the index says else is looked at
/// when packages are.
fn missing_primary(directory: &Path) -> Option<String> {
    let path = directory.join("repodata/repomd.xml");
    let input = Input::plain(&path.display().to_string(), File::open(path).ok()?);
    let files = input.and_then(Repomd::read).ok()?.files;
    let href = files.into_iter().find(|file| file.kind == "primary")?.href;
    let mut parts = Path::new(&href).components();
    let stays_below = parts.all(|part| matches!(part, Component::Normal(_)));
    (stays_below && !is_file(directory, &href)).then(|| href.escape_debug().to_string())
}

/// Whether a directory is a suite: apt reads the one or the other.
fn has_release(suite: &Path) -> bool {
    is_file(suite, "Release") || is_file(suite, "InRelease")
}

/// Refuses a signature that none of the named keys made.
pub(super) fn is_key_of(signature: &Path, armoured: &str) -> Result<(), String> {
    let shown = signature.display();
    let bytes = key::load(signature).map_err(|err| format!("{shown} cannot be read: {err}"))?;
    let issuers =
        signature::issuers(&bytes).map_err(|why| format!("{shown} {why}: sign it again"))?;
    is_one_of(&issuers, signature, armoured)
}

/// Refuses what other keys than the named ones signed.
fn is_one_of(issuers: &[String], signed: &Path, armoured: &str) -> Result<(), String> {
    let keys = key::signing_fingerprints(armoured);
    // an id is the end of a fingerprint of version 4, and the beginning of one of version 6
    let matches = |issuer: &String| {
        keys.iter()
            .any(|key| key.ends_with(issuer.as_str()) || key.starts_with(issuer.as_str()))
    };
    if issuers.iter().any(matches) {
        return Ok(());
    }
    Err(format!(
        "{} is signed by the key {}, and the named one is {}: name the key that signs it",
        signed.display(),
        issuers.join(" and "),
        keys.join(", ")
    ))
}

/// Packages of a repository whose signatures are looked at; the node's dnf looks at each that it installs.
const MAX_PACKAGES: usize = 256;
/// Directories of packages in each other: `Packages/d/`.
const MAX_DEPTH: usize = 3;

/// Refuses packages of rpm's without a signature, and those that another key signed.
fn check_packages(place: &Path, armoured: &str) -> Result<(), String> {
    let mut packages = Vec::new();
    find_packages(place, 0, &mut packages);
    packages.sort();
    for package in packages.iter().take(MAX_PACKAGES) {
        let shown = package.display();
        let issuers = rpm_signature::issuers(package)
            .map_err(|why| format!("{shown} {why}: fetch it again"))?;
        if issuers.is_empty() {
            return Err(format!(
                "{shown} is not signed, and nodes would refuse it: sign it (rpmsign --addsign), or put \
                 '[trusted=yes]' in front of the entry"
            ));
        }
        is_one_of(&issuers, package, armoured)?;
    }
    Ok(())
}

fn find_packages(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) && depth < MAX_DEPTH {
            find_packages(&path, depth + 1, found);
        } else if kind.is_ok_and(|kind| kind.is_file())
            && path.extension().is_some_and(|ending| ending == "rpm")
        {
            found.push(path);
        }
    }
}

/// Whether a directory has a file with this ending; what cannot be read has none.
fn contains_file(directory: &Path, ending: &str) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(ending);
    entries.filter_map(Result::ok).any(name)
}
