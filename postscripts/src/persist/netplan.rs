//! netplan: `*.yaml` in `/etc/netplan`, `/run/netplan` and `/usr/lib/netplan`.
//!
//! In: those files and the wish. Out: the same files with the NIC's addressing keys moved, line by
//! line, under the bridge; what belongs to the hardware stays. Files merge by name order, so every
//! file keeps its own share and its precedence. A definition that covers a group of NICs by a glob
//! is copied, not moved, and the one NIC gets a definition that sorts first. It never prints a file
//! anew and never touches another definition. Reference: netplan-yaml(5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files::{Access, Change, Sources};
use super::glob;
use super::model::{Addressing, Net, Route, Wish};
use super::yaml::{self, Entry, Node};
use super::yaml_edit::Edits;

/// Where netplan reads, strongest last: a file hides one of the same name to its left.
pub(super) const DIRS: [&str; 4] = [
    "/usr/lib/netplan",
    "/lib/netplan",
    "/run/netplan",
    "/etc/netplan",
];
/// The kinds of definitions that may become a port.
const CLASSES: [&str; 4] = ["ethernets", "vlans", "bonds", "dummy-devices"];
/// What belongs to the hardware and stays with the NIC.
const STAYS: [&str; 24] = [
    "match",
    "set-name",
    "wakeonlan",
    "macaddress",
    "auth",
    "emit-lldp",
    "id",
    "link",
    "interfaces",
    "parameters",
    "openvswitch",
    "infiniband-mode",
    "virtual-function-count",
    "delay-virtual-functions-rebind",
    "embedded-switch-mode",
    "receive-checksum-offload",
    "transmit-checksum-offload",
    "tcp-segmentation-offload",
    "tcp6-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
    "large-receive-offload",
    "ignore-carrier",
    "networkmanager",
];
/// What both need.
const SHARED: [&str; 3] = ["mtu", "optional", "renderer"];

/// Who brings netplan's definitions up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renderer {
    Networkd,
    NetworkManager,
}

/// The definition that covers the NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    class: String,
    pub(super) id: String,
    /// Whether it covers other NICs too.
    group: bool,
    pub(super) renderer: Renderer,
    pub(super) files: Vec<PathBuf>,
}

/// One file in force.
struct Document {
    path: PathBuf,
    root: Option<Node>,
}

impl Document {
    fn class(&self, class: &str) -> Option<&Node> {
        self.root.as_ref()?.value("network")?.value(class)
    }

    fn definition(&self, class: &str, id: &str) -> Option<&Entry> {
        self.class(class)?.entry(id)
    }
}

pub(super) fn wanted(name: &str) -> bool {
    name.ends_with(".yaml") && !name.starts_with('.')
}

/// The files in force, in the order netplan merges them.
fn documents(sources: &Sources) -> Result<Vec<Document>> {
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
            Ok(Document {
                path: path.to_owned(),
                root,
            })
        })
        .collect()
}

/// The definition that covers `nic`; an error where several do.
pub(super) fn definition(sources: &Sources, wish: &Wish) -> Result<Option<Definition>> {
    let documents = documents(sources)?;
    let mut found: Vec<Definition> = Vec::new();
    for class in CLASSES {
        for id in ids(&documents, class) {
            let shares: Vec<&Document> = documents
                .iter()
                .filter(|document| document.definition(class, id).is_some())
                .collect();
            if let Some(group) = covers(&shares, class, id, wish)? {
                found.push(Definition {
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
            wish.nic,
            first.id,
            second.id
        );
    }
    Ok(found.pop())
}

fn ids<'a>(documents: &'a [Document], class: &str) -> Vec<&'a str> {
    let mut ids = Vec::new();
    for entry in documents
        .iter()
        .filter_map(|document| document.class(class))
        .flat_map(Node::entries)
    {
        if !ids.contains(&entry.key.as_str()) {
            ids.push(entry.key.as_str());
        }
    }
    ids
}

/// `Some(group)` if the definition covers the NIC, with whether it covers others too.
fn covers(shares: &[&Document], class: &str, id: &str, wish: &Wish) -> Result<Option<bool>> {
    let nodes = || {
        shares
            .iter()
            .filter_map(|document| document.definition(class, id))
            .map(|entry| &entry.value)
    };
    let matches: Vec<&Node> = nodes().filter_map(|node| node.value("match")).collect();
    if matches.is_empty() || class != "ethernets" {
        return Ok((id == wish.nic).then_some(false));
    }
    let last = |key: &str| matches.iter().rev().find_map(|node| node.string(key));
    if let Some(mac) = last("macaddress") {
        return Ok(mac
            .eq_ignore_ascii_case(&wish.mac.to_string())
            .then_some(false));
    }
    let renamed = nodes()
        .filter_map(|node| node.string("set-name"))
        .next_back();
    if renamed == Some(wish.nic.as_str()) {
        return Ok(Some(false));
    }
    match last("name") {
        Some(name) if name == wish.nic => Ok(Some(false)),
        Some(name) => Ok(glob::matches(name, &wish.nic).then_some(true)),
        None if matches.iter().any(|node| node.value("driver").is_some()) => {
            bail!(
                "netplan's {id} picks its devices by driver; name {} there by its MAC",
                wish.nic
            )
        }
        None => Ok(Some(true)),
    }
}

fn renderer(documents: &[Document], class: &str, id: &str) -> Renderer {
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

/// The files as they shall be.
pub(super) fn rewrite(sources: &Sources, wish: &Wish) -> Result<Vec<Change>> {
    let definition = definition(sources, wish)?
        .with_context(|| format!("no netplan file covers {}", wish.nic))?;
    if definition.group && definition.renderer == Renderer::NetworkManager {
        bail!(
            "netplan's {} covers more than {} and is rendered by NetworkManager: give {} a definition of its own",
            definition.id,
            wish.nic,
            wish.nic
        );
    }
    let documents = documents(sources)?;
    refuse_other_master(&documents, &definition.id, wish)?;
    let port = port_id(&definition, wish);
    let mut bridge = BridgeState {
        known: documents
            .iter()
            .any(|document| document.definition("bridges", &wish.bridge).is_some()),
        holds: documents
            .iter()
            .any(|document| ports(document, &wish.bridge).contains(&port.as_str())),
    };
    let mut after = sources.clone();
    for document in documents
        .iter()
        .filter(|document| definition.files.contains(&document.path))
    {
        let text = sources.text(&document.path).unwrap_or_default();
        let new = split(text, document, &definition, &port, &mut bridge, wish)
            .with_context(|| format!("editing {}", document.path.display()))?;
        if new != text {
            after.insert(in_etc(&document.path), new);
        }
    }
    if definition.renderer == Renderer::Networkd
        && let Some(iaid) = wish.iaid
    {
        after.insert(
            identity_path(&wish.bridge),
            super::networkd::identity(&wish.nic, iaid),
        );
    }
    Ok(sources.changes_to(&after, |path| {
        let twin = documents
            .iter()
            .map(|document| &document.path)
            .find(|known| known.file_name() == path.file_name());
        match twin {
            Some(twin) => Access::Like(twin.clone()),
            None => Access::Mode(0o644),
        }
    }))
}

/// Where networkd finds what netplan has no word for.
fn identity_path(bridge: &str) -> PathBuf {
    Path::new("/etc/systemd/network").join(format!("10-netplan-{bridge}.network.d/identity.conf"))
}

/// A file of the same name in `/etc` hides the one of the vendor or of this boot.
fn in_etc(path: &Path) -> PathBuf {
    Path::new("/etc/netplan").join(path.file_name().unwrap_or_default())
}

/// netplan numbers its files 10- and sorts them by id; a digit sorts before every group's name.
fn port_id(definition: &Definition, wish: &Wish) -> String {
    if definition.group {
        format!("00-{}", wish.nic)
    } else {
        definition.id.clone()
    }
}

struct BridgeState {
    /// Some file defines the bridge.
    known: bool,
    /// Some file lists the NIC among its ports.
    holds: bool,
}

fn ports<'a>(document: &'a Document, bridge: &str) -> Vec<&'a str> {
    let interfaces = document
        .definition("bridges", bridge)
        .and_then(|entry| entry.value.value("interfaces"));
    interfaces
        .map(|list| list.items().iter().filter_map(Node::text).collect())
        .unwrap_or_default()
}

fn refuse_other_master(documents: &[Document], id: &str, wish: &Wish) -> Result<()> {
    for class in ["bridges", "bonds", "vrfs"] {
        for entry in documents
            .iter()
            .filter_map(|document| document.class(class))
            .flat_map(Node::entries)
        {
            let interfaces = entry
                .value
                .value("interfaces")
                .map(Node::items)
                .unwrap_or_default();
            let member = interfaces.iter().any(|item| item.text() == Some(id));
            if member && entry.key != wish.bridge {
                bail!(
                    "netplan puts {} into {} already: take it out there first",
                    wish.nic,
                    entry.key
                );
            }
        }
    }
    Ok(())
}

/// Moves what is the bridge's out of the NIC's definition in one file.
fn split(
    text: &str,
    document: &Document,
    definition: &Definition,
    port: &str,
    bridge: &mut BridgeState,
    wish: &Wish,
) -> Result<String> {
    let root = document.root.as_ref().context("the file is empty")?;
    let step = step(root);
    let network = root.value("network").context("there is no network key")?;
    let class = network
        .value(&definition.class)
        .context("the definition is gone")?;
    if network.is_flow() || class.is_flow() {
        bail!(
            "the definitions are written in braces, which cannot be edited line by line: write them as a block"
        );
    }
    let nic = class
        .entry(&definition.id)
        .context("the definition is gone")?;
    let target = document.definition("bridges", &wish.bridge);
    let mut edits = Edits::of(text);
    let mut lines: Vec<String> = Vec::new();
    if !bridge.holds {
        match target.and_then(|entry| entry.value.entry("interfaces")) {
            Some(interfaces) => edits.append_item(&interfaces.value, port)?,
            None => lines.push(format!("interfaces: [{port}]")),
        }
        if definition.group {
            edits.append_entry(
                class,
                &[
                    format!("{port}:"),
                    indented(&format!("match: {{name: {}}}", wish.nic), step),
                ],
            );
        }
        bridge.holds = true;
    }
    if !bridge.known {
        lines.push(format!("macaddress: \"{}\"", wish.mac));
        lines.push("parameters:".to_owned());
        lines.extend(["stp: false", "forward-delay: 0"].map(|line| indented(line, step)));
        if let Some(address) = wish.address {
            lines.push(format!("addresses: [{address}]"));
        }
        bridge.known = true;
    }
    let moved = carry(&mut edits, nic, target, definition.group, wish)?;
    lines.extend(moved);
    if !lines.is_empty() {
        add_to_bridge(&mut edits, network, target, &lines, (&wish.bridge, step))?;
    }
    Ok(edits.apply())
}

/// Takes the bridge's keys out of the NIC's definition and returns their lines, indented from 0.
fn carry(
    edits: &mut Edits,
    nic: &Entry,
    target: Option<&Entry>,
    copy: bool,
    wish: &Wish,
) -> Result<Vec<String>> {
    let mut carried = Vec::new();
    let mut left = 0;
    for entry in nic.value.entries() {
        let key = entry.key.as_str();
        let theirs = target.and_then(|target| target.value.value(key));
        let shared = SHARED.contains(&key);
        if STAYS.contains(&key) || (shared && theirs.is_some()) {
            left += 1;
            continue;
        }
        if theirs.is_some() {
            if copy {
                continue;
            }
            bail!("both {} and {} say {key}: leave one", wish.nic, wish.bridge);
        }
        let mut lines = edits.lines_of(entry, nic.value.is_flow())?;
        if shared {
            lines.retain(|line| !line.trim_start().starts_with('#'));
            left += 1;
        } else if !copy {
            edits.remove(entry, &nic.value)?;
        }
        carried.extend(lines);
    }
    if left == 0 && !copy && !nic.value.entries().is_empty() && !nic.value.is_flow() {
        edits.close_empty(nic);
    }
    Ok(carried)
}

fn add_to_bridge(
    edits: &mut Edits,
    network: &Node,
    target: Option<&Entry>,
    lines: &[String],
    (bridge, step): (&str, usize),
) -> Result<()> {
    let nested = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| indented(line, step)).collect()
    };
    match (target, network.value("bridges")) {
        (Some(target), _) => edits.append_to(target, lines),
        (None, Some(bridges)) if bridges.is_flow() && !bridges.entries().is_empty() => {
            bail!(
                "bridges are written in braces, which cannot be edited line by line: write them as a block"
            )
        }
        (None, Some(bridges)) if !bridges.entries().is_empty() => {
            let mut block = vec![format!("{bridge}:")];
            block.extend(nested(lines));
            edits.append_entry(bridges, &block);
            Ok(())
        }
        (None, Some(_)) => bail!("bridges is an empty key: remove it"),
        (None, None) => {
            let mut block = vec!["bridges:".to_owned(), indented(&format!("{bridge}:"), step)];
            block.extend(nested(&nested(lines)));
            edits.append_entry(network, &block);
            Ok(())
        }
    }
}

fn indented(line: &str, step: usize) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!("{}{line}", " ".repeat(step))
    }
}

/// By how much the file indents.
fn step(root: &Node) -> usize {
    let network = root.entry("network");
    let column =
        network.and_then(|entry| Some(entry.value.entries().first()?.column - entry.column));
    column.unwrap_or(2).max(1)
}

/// How the files address a device: the bridge by its name, the NIC by what covers it.
pub(super) fn read(sources: &Sources, class: &str, id: &str) -> Result<Addressing> {
    let mut addressing = Addressing::default();
    for document in documents(sources)? {
        if let Some(entry) = document.definition(class, id) {
            collect(&entry.value, &mut addressing)
                .with_context(|| format!("reading {} of {}", id, document.path.display()))?;
        }
    }
    Ok(addressing)
}

/// How the NIC is addressed now, by the definition that covers it.
pub(super) fn read_nic(sources: &Sources, definition: &Definition) -> Result<Addressing> {
    read(sources, &definition.class, &definition.id)
}

fn collect(node: &Node, into: &mut Addressing) -> Result<()> {
    into.dhcp4 = node.truth("dhcp4").unwrap_or(into.dhcp4);
    into.dhcp6 = node.truth("dhcp6").unwrap_or(into.dhcp6);
    into.ra = node.truth("accept-ra").or(into.ra);
    if let Some(mtu) = node.string("mtu") {
        into.mtu = Some(
            mtu.parse()
                .with_context(|| format!("reading mtu {mtu:?}"))?,
        );
    }
    for item in node.value("addresses").map(Node::items).unwrap_or_default() {
        // An address with options is a mapping with the address as its only key.
        let text = item
            .text()
            .or_else(|| item.entries().first().map(|entry| entry.key.as_str()));
        into.addresses
            .insert(text.context("an address is a list")?.parse::<Net>()?);
    }
    for key in ["gateway4", "gateway6"] {
        if let Some(gateway) = node.string(key) {
            let via = gateway
                .parse()
                .with_context(|| format!("reading {key} {gateway:?}"))?;
            into.routes.insert(Route::default_via(via));
        }
    }
    for route in node.value("routes").map(Node::items).unwrap_or_default() {
        into.routes.insert(route_of(route)?);
    }
    for rule in node
        .value("routing-policy")
        .map(Node::items)
        .unwrap_or_default()
    {
        let words: Vec<String> = rule
            .entries()
            .iter()
            .map(|entry| format!("{} {}", entry.key, entry.value.text().unwrap_or("")))
            .collect();
        into.rules.insert(words.join(" "));
    }
    if let Some(names) = node.value("nameservers") {
        let words = |key| {
            names
                .value(key)
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(Node::text)
        };
        into.dns.extend(words("addresses").map(str::to_owned));
        into.search.extend(words("search").map(str::to_owned));
    }
    Ok(())
}

fn route_of(node: &Node) -> Result<Route> {
    let via = match node.string("via") {
        Some(via) => Some(
            via.parse()
                .with_context(|| format!("reading via {via:?}"))?,
        ),
        None => None,
    };
    let to = node.string("to").context("a route has no to")?;
    let metric = node
        .string("metric")
        .map(str::parse)
        .transpose()
        .context("reading a metric")?;
    let table = node
        .string("table")
        .filter(|table| *table != "254")
        .map(str::to_owned);
    Ok(Route {
        to: Route::destination(to, via),
        via,
        metric,
        table,
    })
}
