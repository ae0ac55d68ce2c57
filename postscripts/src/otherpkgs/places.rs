//! From entries to repositories as a package manager takes them: directories found, keys at hand.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::keys::{self, Key};
use super::manager::Manager;
use super::owner;
use super::repository::{Entry, Place};
use super::request::{Request, Subject};
use super::server::Server;

/// A repository as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
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
    /// What an installer called it: its file has that name, with more behind a `-` or not.
    pub(super) installers: String,
}

/// All repositories, and the keys that become files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) sources: Vec<Source>,
    /// Path and text.
    pub(super) keys: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
}

/// Finds the repositories of a request.
pub(super) fn find(
    manager: Manager,
    subject: Subject,
    request: &Request,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Found> {
    let server = || Server::of(variable);
    let mut found = Found::default();
    for (at, entry) in request.entries.iter().enumerate() {
        let number = at + 1;
        let key = keys::find(entry, &subject.key_variable(number), variable)?;
        if manager == Manager::Apt
            && matches!(&key, Some(Key::Known(url)) if url.starts_with("https://"))
        {
            bail!(
                "{}: apt fetches no keys: name a file with signed-by=PATH",
                key_of(entry)
            );
        }
        let uris = match &entry.place {
            Place::Net(uri) => vec![uri.clone()],
            Place::Directory(path) => directories(manager, entry, path, request, &server)?,
        };
        if let (Place::Directory(path), true) = (&entry.place, uris.is_empty()) {
            let index = indices(manager, entry).swap_remove(0);
            let note = format!("{path} has no {index} or the like: it is left out");
            found.notes.push(note);
        }
        let installers = match &entry.name {
            Some(name) => name.clone(),
            None => format!("{}{number}", subject.installers()),
        };
        add(
            manager,
            subject,
            (entry, installers),
            uris,
            key.as_ref(),
            &mut found,
        );
    }
    Ok(found)
}

fn key_of(entry: &Entry) -> &str {
    entry.signed_by.as_deref().unwrap_or_default()
}

fn add(
    manager: Manager,
    subject: Subject,
    (entry, installers): (&Entry, String),
    uris: Vec<String>,
    key: Option<&Key>,
    found: &mut Found,
) {
    let mut file = None;
    for uri in uris {
        let name = format!("{}{}", subject.stem(), found.sources.len() + 1);
        // Repositories of one entry have one key.
        let key = key.map(|key| match key {
            Key::Known(path) => path.clone(),
            Key::Text(text) => file
                .get_or_insert_with(|| {
                    let path = format!("{}/{name}.asc", manager.homes().2);
                    found.keys.push((path.clone(), text.clone()));
                    path
                })
                .clone(),
        });
        let debian = |arch: &definitions::Arch| arch.debian_name().to_owned();
        found.sources.push(Source {
            name,
            uri,
            suite: entry.suite.clone(),
            components: entry.components.clone(),
            architectures: entry.architectures.iter().map(debian).collect(),
            key,
            trusted: entry.trusted,
            installers: installers.clone(),
        });
    }
}

/// Files of which a repository has at least one.
fn indices(manager: Manager, entry: &Entry) -> Vec<String> {
    let flat = [
        "Packages",
        "InRelease",
        "Release",
        "Packages.gz",
        "Packages.xz",
    ];
    let names = match (manager, &entry.suite) {
        (Manager::Apt, Some(suite)) if !suite.ends_with('/') => {
            return ["InRelease", "Release"]
                .map(|name| format!("dists/{suite}/{name}"))
                .into();
        }
        (Manager::Apt, Some(suite)) => {
            let beneath = suite.trim_start_matches("./");
            return flat.map(|name| format!("{beneath}{name}")).into();
        }
        (Manager::Apt, None) => flat.as_slice(),
        _ => &["repodata/repomd.xml"],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Returns the addresses of a directory, and of those beneath that names came with, as far as they have an
/// index. A directory that is mounted here is read here.
fn directories(
    manager: Manager,
    entry: &Entry,
    path: &str,
    request: &Request,
    server: &dyn Fn() -> Result<Server>,
) -> Result<Vec<String>> {
    let below = request
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.directories);
    let mut paths = vec![path.to_owned()];
    for directory in below.map(|directory| format!("{path}/{directory}")) {
        if !paths.contains(&directory) && entry.suite.is_none() {
            paths.push(directory);
        }
    }
    let indices = indices(manager, entry);
    let mut found = Vec::new();
    for path in paths {
        let here = indices.iter().map(|index| Path::new(&path).join(index));
        if let Some(index) = here.into_iter().find(|index| index.is_file()) {
            if entry.trusted {
                // Nothing but its place speaks for it.
                owner::of_root_alone(&index)
                    .with_context(|| format!("believing the packages of {path}"))?;
            }
            found.push(format!("file://{path}"));
            continue;
        }
        let server = server().with_context(|| format!("looking for {path}, which is not here"))?;
        let uri = server.uri(&path);
        for index in &indices {
            let there = server.has(&format!("{path}/{index}"));
            if there.with_context(|| format!("looking for {uri}/{index}"))? {
                found.push(uri);
                break;
            }
        }
    }
    Ok(found)
}
