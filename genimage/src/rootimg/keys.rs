//! Why the packages of a repository are believed: which keys of this machine vouch for them.
//!
//! Repositories come in, as the definition names them; how each is reached here and by which keys it is believed goes
//! out. What nothing vouches for is refused, unless the definition says that it needs no signature.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::plan::{PackageSource, SourceTrust};
use crate::installer::DistroFamily;
use crate::problem::{Problem, ProblemCollector};
use crate::repository::{Repository, key, unsigned};

/// Keyrings of distributions, where their packages and those of others put them.
const KEYRINGS: [(DistroFamily, &[&str]); 5] = [
    (
        DistroFamily::Debian,
        &[
            "/usr/share/keyrings/debian-archive-keyring.gpg",
            "/usr/share/keyrings/debian-archive-keyring.pgp",
        ],
    ),
    (
        DistroFamily::Ubuntu,
        &[
            "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
            "/usr/share/keyrings/ubuntu-archive-keyring.pgp",
        ],
    ),
    (DistroFamily::Rh, &["/etc/pki/rpm-gpg"]),
    (DistroFamily::Fedora, &["/etc/pki/rpm-gpg"]),
    (DistroFamily::Suse, &["/usr/lib/rpm/gnupg/keys"]),
];

/// Who vouches for the packages of a family.
pub(super) struct Keys<'a> {
    pub(super) family: DistroFamily,
    /// The site's own keyrings.
    pub(super) own: &'a Path,
}

impl Keys<'_> {
    /// Says of each repository how it is reached here, and by which keys it is believed.
    pub(super) fn sources(
        &self,
        repositories: &[Repository],
    ) -> Result<Vec<PackageSource>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut collector = ProblemCollector(&mut problems);
        let mut sources = Vec::new();
        for repository in repositories {
            collector.one(enterable(repository));
            let trust = collector.one(self.trust(repository));
            sources.extend(trust.map(|trust| {
                PackageSource {
                    name: repository.name.clone(),
                    location: repository
                        .directory
                        .clone()
                        .unwrap_or(repository.uri.clone()),
                    suite: repository.suite.clone(),
                    components: repository.components.clone(),
                    trust,
                }
            }));
        }
        if problems.is_empty() {
            Ok(sources)
        } else {
            Err(problems)
        }
    }

    fn trust(&self, repository: &Repository) -> Result<SourceTrust, Problem> {
        let name = &repository.name;
        if repository.trusted {
            return Ok(SourceTrust::Explicit);
        }
        if let Some(problem) = unsigned(repository) {
            return Err(problem);
        }
        if let Some(key) = &repository.key {
            return Ok(SourceTrust::Keys(key.clone()));
        }
        if let Some(url) = repository
            .key_url
            .as_ref()
            .filter(|url| !url.starts_with("file:"))
        {
            return Err(Problem::new(format!(
                "the repository {name}: its key is at {url}, and what is fetched from there nobody vouches for: save \
                 it, compare its fingerprint, and name the file as key="
            )));
        }
        let files = self.files();
        let keys: Result<Vec<_>, _> = files
            .iter()
            .map(|path| {
                let bytes = key::load(path).map_err(|error| error.to_string());
                let bytes = bytes.and_then(|bytes| key::armoured(&bytes).map(String::into_bytes));
                bytes.map_err(|why| Problem::new(format!("the keyring {}: {why}", path.display())))
            })
            .collect();
        let keys = keys?;
        if keys.is_empty() {
            return Err(Problem::new(format!(
                "the repository {name}: there is no key on this machine that could vouch for it: put the \
                 distribution's keyring into {}, or '[trusted=yes]' before it if nobody else can change it",
                self.own.display()
            )));
        }
        // zypper verifies the index first, which the site may have signed.
        let index_key = repository.index_key.clone().map(String::into_bytes);
        let keys: Vec<_> = keys.into_iter().chain(index_key).collect();
        key::merged(&keys)
            .map(SourceTrust::Keys)
            .map_err(Problem::new)
    }

    fn files(&self) -> Vec<PathBuf> {
        let family = KEYRINGS.iter().find(|(family, _)| *family == self.family);
        let places = family.map_or(&[][..], |(_, places)| places);
        let mut files = listed(self.own);
        for place in places.iter().map(Path::new) {
            if place.is_file() {
                files.push(place.to_owned());
            } else {
                files.extend(listed(place));
            }
        }
        files
    }
}

/// Refuses a directory that only its owner, or a group, may enter: packages are read by somebody who is neither.
fn enterable(repository: &Repository) -> Result<(), Problem> {
    let Some(directory) = repository.directory.as_deref().map(Path::new) else {
        return Ok(());
    };
    let closed = directory.ancestors().find(|path| {
        let found = fs::metadata(path);
        found.is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
    });
    match closed {
        None => Ok(()),
        Some(path) => Err(Problem::new(format!(
            "the repository {}: others cannot enter {}, and packages are installed by a user of a namespace, who is \
             nobody here: chmod o+x {}",
            repository.name,
            path.display(),
            path.display()
        ))),
    }
}

/// Lists the files of a directory, which need not exist; hidden ones do not count.
fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        path.is_file() && name.is_some_and(|name| !name.starts_with('.'))
    });
    files.sort();
    files
}
