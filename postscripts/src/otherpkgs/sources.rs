//! From entries to repositories as a package manager takes them: directories found, keys at hand.

use std::path::Path;

use anyhow::{Context, Result};
use definitions::{PackageOrigin, RepositoryEntry, RepositoryLocation, RepositoryTrust};

use super::keys::{self, SigningKey};
use super::package_manager::PackageManager;
use super::request::{Request, file_stem};
use super::server::InstallServer;
use crate::owner;

/// A repository as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PackageSource {
    pub(super) name: String,
    pub(super) uri: String,
    /// Only apt's have one; without it a repository is flat.
    pub(super) suite: Option<String>,
    pub(super) components: Vec<String>,
    /// As Debian names them.
    pub(super) architectures: Vec<String>,
    /// The file of the key on this node, or the address that rpm reads it from.
    pub(super) key: Option<String>,
    pub(super) trusted: bool,
    /// What an installer called it: its file has that name, perhaps followed by `-` and more.
    pub(super) installer_name: String,
}

impl PackageSource {
    /// Says whether it is the repository at this address.
    pub(super) fn is_at(&self, uri: &str) -> bool {
        uri.trim_end_matches('/') == self.uri.trim_end_matches('/')
    }
}

/// All repositories, and the keys that become files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FoundSources {
    pub(super) sources: Vec<PackageSource>,
    /// Path and text.
    pub(super) keys: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
}

/// Finds the repositories of a request.
pub(super) fn find(
    manager: &dyn PackageManager,
    origin: PackageOrigin,
    request: &Request,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<FoundSources> {
    let server = || InstallServer::of(variable);
    let mut found = FoundSources::default();
    for (at, entry) in request.entries.iter().enumerate() {
        let number = at + 1;
        let key = keys::find(entry, &origin.key_variable(number), variable)?;
        let indices = manager.index_files(entry.suite.as_deref());
        let uris = match &entry.location {
            RepositoryLocation::Uri(uri) => vec![uri.clone()],
            RepositoryLocation::Directory(path) => {
                let path = path.display().to_string();
                let uris = directories(&indices, entry, &path, request, &server)?;
                if uris.is_empty() {
                    let index = indices.first().map_or("", String::as_str);
                    let note = format!("{path} has no {index} or the like: it is left out");
                    found.notes.push(note);
                }
                uris
            }
        };
        let installer_name = match &entry.name {
            Some(name) => name.clone(),
            None => format!("{}{number}", origin.repository_stem()),
        };
        let resolved = ResolvedEntry {
            entry,
            installer_name,
            uris,
            key,
        };
        found.add(file_stem(origin), manager.layout().keys, resolved);
    }
    Ok(found)
}

/// An entry with its addresses and its key.
struct ResolvedEntry<'a> {
    entry: &'a RepositoryEntry,
    installer_name: String,
    uris: Vec<String>,
    key: Option<SigningKey>,
}

impl FoundSources {
    /// Adds the repositories of one entry, which have one key.
    fn add(&mut self, stem: &str, keys_directory: &str, resolved: ResolvedEntry<'_>) {
        let first = format!("{stem}{}", self.sources.len() + 1);
        let key = match resolved.key {
            Some(SigningKey::Text(text)) if !resolved.uris.is_empty() => {
                let path = format!("{keys_directory}/{first}.asc");
                self.keys.push((path.clone(), text));
                Some(path)
            }
            Some(SigningKey::Known(path)) => Some(path),
            Some(SigningKey::Text(_)) | None => None,
        };
        let entry = resolved.entry;
        let debian = |arch: &definitions::Arch| arch.debian_name().to_owned();
        for uri in resolved.uris {
            self.sources.push(PackageSource {
                name: format!("{stem}{}", self.sources.len() + 1),
                uri,
                suite: entry.suite.clone(),
                components: entry.components.clone(),
                architectures: entry.architectures.iter().map(debian).collect(),
                key: key.clone(),
                trusted: entry.trust == RepositoryTrust::Explicit,
                installer_name: resolved.installer_name.clone(),
            });
        }
    }
}

/// Returns the addresses of a directory, and of its subdirectories that names came with, as far as they have an
/// index. A directory that is mounted here is read here.
fn directories(
    indices: &[String],
    entry: &RepositoryEntry,
    path: &str,
    request: &Request,
    server: &dyn Fn() -> Result<InstallServer>,
) -> Result<Vec<String>> {
    let below = request
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.install)
        .filter_map(|package| package.directory.as_deref());
    let mut paths = vec![path.to_owned()];
    for directory in below.map(|directory| format!("{path}/{directory}")) {
        if !paths.contains(&directory) && entry.suite.is_none() {
            paths.push(directory);
        }
    }
    let mut found = Vec::new();
    for path in paths {
        let here = indices.iter().map(|index| Path::new(&path).join(index));
        if let Some(index) = here.into_iter().find(|index| index.is_file()) {
            if entry.trust == RepositoryTrust::Explicit {
                // Only its location vouches for it.
                owner::check(Path::new("/"), &index)
                    .with_context(|| format!("trusting the packages of {path}"))?;
            }
            found.push(format!("file://{path}"));
            continue;
        }
        let server = server().with_context(|| format!("looking for {path}, which is not here"))?;
        let uri = server.uri(&path);
        for index in indices {
            let there = server.has(&format!("{path}/{index}"));
            if there.with_context(|| format!("looking for {uri}/{index}"))? {
                found.push(uri);
                break;
            }
        }
    }
    Ok(found)
}
