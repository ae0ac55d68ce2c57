//! netplan: `*.yaml` in `/etc/netplan`, `/run/netplan` and `/usr/lib/netplan`.
//!
//! In: those files and the desired bridge. Out: the same files with the NIC's addressing keys moved, line by
//! line, under the bridge; what belongs to the hardware stays. Files merge by name order, so every
//! file keeps its own share and its precedence. A definition that covers a group of NICs by a glob
//! is copied, not moved, and the one NIC gets a definition that sorts first. It never prints a file
//! again and never touches another definition. Reference: netplan-yaml(5).

mod passthrough;
mod read;
mod rewrite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::model::DesiredBridge;
use super::sources::Sources;
use super::yaml::{self, YamlEntry, YamlNode};
use crate::files::glob;

pub(super) use read::{read, read_nic};
pub(super) use rewrite::rewrite;

/// Where netplan reads, strongest last: a file hides one of the same name to its left.
pub(super) const DIRS: [&str; 4] = [
    "/usr/lib/netplan",
    "/lib/netplan",
    "/run/netplan",
    "/etc/netplan",
];
/// The kinds of definitions that may become a port.
const CLASSES: [&str; 4] = ["ethernets", "vlans", "bonds", "dummy-devices"];

/// Who brings netplan's definitions up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renderer {
    Networkd,
    NetworkManager,
}

/// The definition that covers the NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetplanDefinition {
    class: String,
    pub(super) id: String,
    /// Whether it covers other NICs too.
    group: bool,
    pub(super) renderer: Renderer,
    pub(super) files: Vec<PathBuf>,
}

/// One file in force.
struct NetplanFile {
    path: PathBuf,
    root: Option<YamlNode>,
}

impl NetplanFile {
    fn class(&self, class: &str) -> Option<&YamlNode> {
        self.root.as_ref()?.value("network")?.value(class)
    }

    fn definition(&self, class: &str, id: &str) -> Option<&YamlEntry> {
        self.class(class)?.entry(id)
    }
}

pub(super) fn wanted(name: &str) -> bool {
    name.ends_with(".yaml") && !name.starts_with('.')
}

/// The files in force, in the order netplan merges them.
fn documents(sources: &Sources) -> Result<Vec<NetplanFile>> {
    let mut by_name: BTreeMap<&str, (&Path, &str)> = BTreeMap::new();
    for dir in DIRS {
        for (path, text) in sources
            .iter()
            .filter(|(path, _)| path.parent() == Some(Path::new(dir)))
        {
            if let Some(name) = path
                .file_name()
                .and_then(|name| name.to_str())
                .filter(|name| wanted(name))
            {
                by_name.insert(name, (path, text));
            }
        }
    }
    by_name
        .into_values()
        .map(|(path, text)| {
            let root = yaml::parse(text).with_context(|| format!("reading {}", path.display()))?;
            Ok(NetplanFile {
                path: path.to_owned(),
                root,
            })
        })
        .collect()
}

/// The definition that covers `nic`; an error where several do.
pub(super) fn definition(
    sources: &Sources,
    desired: &DesiredBridge,
) -> Result<Option<NetplanDefinition>> {
    let documents = documents(sources)?;
    let mut found: Vec<NetplanDefinition> = Vec::new();
    for class in CLASSES {
        for id in ids(&documents, class) {
            let shares: Vec<&NetplanFile> = documents
                .iter()
                .filter(|document| document.definition(class, id).is_some())
                .collect();
            if let Some(group) = covers(&shares, class, id, desired)? {
                found.push(NetplanDefinition {
                    class: class.to_owned(),
                    id: id.to_owned(),
                    group,
                    renderer: renderer(&documents, class, id),
                    files: shares
                        .iter()
                        .map(|document| document.path.clone())
                        .collect(),
                });
            }
        }
    }
    // A definition for the NIC alone wins over one for a group, as the file it makes sorts first.
    if found.iter().any(|definition| !definition.group) {
        found.retain(|definition| !definition.group);
    }
    if let [first, second, ..] = found.as_slice() {
        bail!(
            "netplan covers {} twice, as {} and as {}: leave one",
            desired.nic,
            first.id,
            second.id
        );
    }
    Ok(found.pop())
}

fn ids<'a>(documents: &'a [NetplanFile], class: &str) -> Vec<&'a str> {
    let mut ids = Vec::new();
    for entry in documents
        .iter()
        .filter_map(|document| document.class(class))
        .flat_map(YamlNode::entries)
    {
        if !ids.contains(&entry.key.as_str()) {
            ids.push(entry.key.as_str());
        }
    }
    ids
}

/// `Some(group)` if the definition covers the NIC, with whether it covers others too.
fn covers(
    shares: &[&NetplanFile],
    class: &str,
    id: &str,
    desired: &DesiredBridge,
) -> Result<Option<bool>> {
    let nodes = || {
        shares
            .iter()
            .filter_map(|document| document.definition(class, id))
            .map(|entry| &entry.value)
    };
    let matches: Vec<&YamlNode> = nodes().filter_map(|node| node.value("match")).collect();
    if matches.is_empty() || class != "ethernets" {
        return Ok((id == desired.nic).then_some(false));
    }
    let last = |key: &str| matches.iter().rev().find_map(|node| node.string(key));
    if let Some(mac) = last("macaddress") {
        return Ok(mac
            .eq_ignore_ascii_case(&desired.mac.to_string())
            .then_some(false));
    }
    let renamed = nodes()
        .filter_map(|node| node.string("set-name"))
        .next_back();
    if renamed == Some(desired.nic.as_str()) {
        return Ok(Some(false));
    }
    match last("name") {
        Some(name) if name == desired.nic => Ok(Some(false)),
        Some(name) => Ok(glob::matches(name, &desired.nic).then_some(true)),
        None if matches.iter().any(|node| node.value("driver").is_some()) => {
            bail!(
                "netplan's {id} picks its devices by driver; name {} there by its MAC",
                desired.nic
            )
        }
        None => Ok(Some(true)),
    }
}

fn renderer(documents: &[NetplanFile], class: &str, id: &str) -> Renderer {
    let networks = || {
        documents
            .iter()
            .filter_map(|document| document.root.as_ref()?.value("network"))
    };
    let levels = [
        networks()
            .filter_map(|network| network.value(class)?.value(id)?.string("renderer"))
            .next_back(),
        networks()
            .filter_map(|network| network.value(class)?.string("renderer"))
            .next_back(),
        networks()
            .filter_map(|network| network.string("renderer"))
            .next_back(),
    ];
    match levels.into_iter().flatten().next() {
        Some("NetworkManager") => Renderer::NetworkManager,
        _ => Renderer::Networkd,
    }
}
