//! From entries to repositories as a package manager takes them: directories found, keys at hand.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::keys::{self, Key};
use super::manager::Manager;
use super::repository::{Entry, Place};
use super::request::{Request, Subject};
use crate::http::Url;

/// A repository as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) uri: String,
    /// Only apt's have one; without it a repository is flat.
    pub(super) suite: Option<String>,
    pub(super) components: Vec<String>,
    pub(super) architectures: Vec<String>,
    /// The file of the key on this node.
    pub(super) key: Option<String>,
    pub(super) trusted: bool,
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
    let server = || server(variable);
    let mut found = Found::default();
    for (at, entry) in request.entries.iter().enumerate() {
        let given = match subject {
            Subject::Others => variable(&format!("OTHERPKGKEY{}", at + 1)),
            Subject::Os => None,
        };
        let key = keys::find(entry, given, &server)?;
        let places = match &entry.place {
            Place::Net {
                uri,
                suite,
                components,
            } => {
                vec![(uri.clone(), suite.clone(), components.clone())]
            }
            Place::Directory(path) => {
                let directories = directories(manager, path, request, &server)?;
                if directories.is_empty() {
                    let index = indices(manager)[0];
                    found
                        .notes
                        .push(format!("{path} has no {index} or the like: it is left out"));
                }
                directories
                    .into_iter()
                    .map(|uri| (uri, None, Vec::new()))
                    .collect()
            }
        };
        add(manager, subject, entry, places, key.as_ref(), &mut found);
    }
    Ok(found)
}

fn add(
    manager: Manager,
    subject: Subject,
    entry: &Entry,
    places: Vec<(String, Option<String>, Vec<String>)>,
    key: Option<&Key>,
    found: &mut Found,
) {
    let mut file = None;
    for (uri, suite, components) in places {
        let name = format!("{}{}", subject.stem(), found.sources.len() + 1);
        // Repositories of one entry have one key.
        let key = key.map(|key| match key {
            Key::File(path) => path.clone(),
            Key::Text(text) => file
                .get_or_insert_with(|| {
                    let path = format!("{}/{name}.asc", manager.homes().2);
                    found.keys.push((path.clone(), text.clone()));
                    path
                })
                .clone(),
        });
        found.sources.push(Source {
            name,
            uri,
            suite,
            components,
            architectures: entry.architectures.clone(),
            key,
            trusted: entry.trusted,
        });
    }
}

/// Files of which a repository has at least one.
fn indices(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Apt => &[
            "Packages",
            "InRelease",
            "Release",
            "Packages.gz",
            "Packages.xz",
        ],
        _ => &["repodata/repomd.xml"],
    }
}

/// Returns the addresses of a directory, and of those beneath that names came with, as far as they have an
/// index. A directory that is mounted here is read here.
fn directories(
    manager: Manager,
    path: &str,
    request: &Request,
    server: &dyn Fn() -> Result<Url>,
) -> Result<Vec<String>> {
    let below = request
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.directories);
    let mut paths = vec![path.to_owned()];
    for directory in below.map(|directory| format!("{path}/{directory}")) {
        if !paths.contains(&directory) {
            paths.push(directory);
        }
    }
    let mut found = Vec::new();
    for path in paths {
        let is_here = |index: &&&str| Path::new(&path).join(index).is_file();
        if indices(manager).iter().any(|index| is_here(&index)) {
            found.push(format!("file://{path}"));
            continue;
        }
        let server = server().with_context(|| format!("looking for {path}, which is not here"))?;
        for index in indices(manager) {
            let name = format!("{}/{index}", path.trim_start_matches('/'));
            if server
                .has(&name)
                .with_context(|| format!("looking for http://{}/{name}", server.host))?
            {
                found.push(format!("http://{}{path}", server.host));
                break;
            }
        }
    }
    Ok(found)
}

/// Returns the management node's web server.
fn server(variable: &dyn Fn(&str) -> Option<String>) -> Result<Url> {
    let names = ["NFSSERVER", "MASTER_IP", "MASTER"];
    let address = names
        .into_iter()
        .find_map(|name| variable(name)?.parse::<IpAddr>().ok());
    let Some(address) = address else {
        bail!("none of NFSSERVER, MASTER_IP and MASTER is the address of a management node");
    };
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match variable("HTTPPORT").filter(|port| !port.is_empty() && port != "80") {
        None => format!("http://{host}").parse(),
        Some(port) => format!("http://{host}:{port}").parse(),
    }
}
