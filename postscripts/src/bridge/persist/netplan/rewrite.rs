//! Moves the NIC's keys to the bridge, line by line, in every file that defines the NIC.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{NetplanDefinition, NetplanFile, Renderer, definition, documents, passthrough};
use crate::bridge::persist::keys::{KeyOwner, NETPLAN};
use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::names::rename;
use crate::bridge::persist::networkd;
use crate::bridge::persist::sources::Sources;
use crate::bridge::persist::yaml::{YamlEntry, YamlNode};
use crate::bridge::persist::yaml_edit::Edits;
use crate::files::glob;
use crate::files::{Access, FileChange};

/// The files as they shall be.
pub(in crate::bridge::persist) fn rewrite(
    sources: &Sources,
    desired: &DesiredBridge,
) -> Result<Vec<FileChange>> {
    let definition = definition(sources, desired)?
        .with_context(|| format!("no netplan file covers {}", desired.nic))?;
    if definition.group && definition.renderer == Renderer::NetworkManager {
        bail!(
            "netplan's {} covers more than {} and is rendered by NetworkManager: give {} a definition of its own",
            definition.id,
            desired.nic,
            desired.nic
        );
    }
    let documents = documents(sources)?;
    refuse_other_master(&documents, &definition.id, desired)?;
    refuse_tunnels(&documents, &definition.id, desired)?;
    if definition.renderer == Renderer::Networkd {
        refuse_earlier(&documents, desired)?;
        let name = format!("10-netplan-{}.network", desired.bridge);
        networkd::refuse_earlier(sources, &name, desired)?;
    }
    let port = port_id(&definition, desired);
    let is_listed = documents
        .iter()
        .any(|document| ports(document, &desired.bridge).contains(&port.as_str()));
    if is_listed && desired.switch.is_some() {
        bail!(
            "netplan makes {} a port of {} itself, without a switch: take it out of its interfaces there first",
            desired.nic,
            desired.bridge
        );
    }
    let mut bridge = BridgeState {
        token: token(&documents, &definition, desired)?,
        known: documents
            .iter()
            .any(|document| document.definition("bridges", &desired.bridge).is_some()),
        holds: is_listed || networkd::pair::is_written(sources, desired),
    };
    let is_port = bridge.holds;
    let mut after = sources.clone();
    for document in documents
        .iter()
        .filter(|document| definition.files.contains(&document.path))
    {
        let text = sources.text(&document.path).unwrap_or_default();
        let new = split(text, document, &definition, &mut bridge, desired)
            .with_context(|| format!("editing {}", document.path.display()))?;
        if new != text {
            after.insert(in_etc(&document.path), new);
        }
    }
    if definition.renderer == Renderer::Networkd && !is_port {
        let names = [definition.id.as_str(), &port, &desired.bridge];
        networkd::move_dropins(sources, &mut after, names, desired)?;
        if desired.switch.is_some() {
            networkd::pair::insert_dropin(&mut after, &port, desired)?;
            networkd::pair::insert(&mut after, desired)?;
        }
    }
    if definition.renderer == Renderer::Networkd
        && let Some(iaid) = desired.iaid
    {
        after.insert(
            identity_path(&desired.bridge),
            networkd::identity(&desired.nic, iaid),
        );
    }
    Ok(sources.changes_to(&after, |path| {
        let original = documents
            .iter()
            .map(|document| &document.path)
            .find(|known| known.file_name() == path.file_name());
        match original {
            Some(original) => Access::Like(original.clone()),
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
fn port_id(definition: &NetplanDefinition, desired: &DesiredBridge) -> String {
    if definition.group {
        format!("00-{}", desired.nic)
    } else {
        definition.id.clone()
    }
}

struct BridgeState {
    /// The interface identifier that the bridge has to be given.
    token: Option<Ipv6Addr>,
    /// Some file defines the bridge.
    known: bool,
    /// Some file lists the NIC among its ports, or connects it to the switch that has the NIC.
    holds: bool,
}

fn ports<'a>(document: &'a NetplanFile, bridge: &str) -> Vec<&'a str> {
    let interfaces = document
        .definition("bridges", bridge)
        .and_then(|entry| entry.value.value("interfaces"));
    interfaces
        .map(|list| list.items().iter().filter_map(YamlNode::text).collect())
        .unwrap_or_default()
}

fn refuse_other_master(documents: &[NetplanFile], id: &str, desired: &DesiredBridge) -> Result<()> {
    for class in ["bridges", "bonds", "vrfs"] {
        for entry in documents
            .iter()
            .filter_map(|document| document.class(class))
            .flat_map(YamlNode::entries)
        {
            let interfaces = entry
                .value
                .value("interfaces")
                .map(YamlNode::items)
                .unwrap_or_default();
            let member = interfaces.iter().any(|item| item.text() == Some(id));
            if member && entry.key != desired.bridge {
                bail!(
                    "netplan puts {} into {} already: take it out there first",
                    desired.nic,
                    entry.key
                );
            }
        }
    }
    Ok(())
}

/// Refuses tunnels that are bound to the NIC: a port has no route to their other end.
fn refuse_tunnels(documents: &[NetplanFile], id: &str, desired: &DesiredBridge) -> Result<()> {
    let tunnels = documents
        .iter()
        .filter_map(|document| document.class("tunnels"))
        .flat_map(YamlNode::entries);
    for tunnel in tunnels {
        if tunnel.value.string("link") == Some(id) {
            bail!(
                "netplan binds the tunnel {} to {} (link: {id}), and a port has no route to its other end: take 'link' \
                 out there first",
                tunnel.key,
                desired.nic
            );
        }
    }
    Ok(())
}

/// Refuses a group that covers the bridge too and whose file, named by its id, is read before.
fn refuse_earlier(documents: &[NetplanFile], desired: &DesiredBridge) -> Result<()> {
    let definitions = documents
        .iter()
        .filter_map(|document| document.class("ethernets"))
        .flat_map(YamlNode::entries);
    for entry in definitions.filter(|entry| entry.key < desired.bridge) {
        let Some(conditions) = entry.value.value("match") else {
            continue;
        };
        let narrow = ["macaddress", "driver"];
        let name = conditions.string("name").unwrap_or("*");
        if glob::matches(name, &desired.bridge)
            && !narrow.iter().any(|key| conditions.entry(key).is_some())
        {
            bail!(
                "netplan's {} (name: {name}) covers {} too, and is read before it: narrow its match first",
                entry.key,
                desired.bridge
            );
        }
    }
    Ok(())
}

/// Moves what is the bridge's out of the NIC's definition in one file.
fn split(
    text: &str,
    document: &NetplanFile,
    definition: &NetplanDefinition,
    bridge: &mut BridgeState,
    desired: &DesiredBridge,
) -> Result<String> {
    let port = port_id(definition, desired);
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
    let target = document.definition("bridges", &desired.bridge);
    let mut edits = Edits::of(text);
    let mut lines: Vec<String> = Vec::new();
    if !bridge.holds {
        let interfaces = target.and_then(|entry| entry.value.entry("interfaces"));
        match (&desired.switch, interfaces) {
            (None, Some(interfaces)) => edits.append_item(&interfaces.value, &port)?,
            (None, None) => lines.push(format!("interfaces: [{port}]")),
            // netplan's version 1 has no veth pairs: networkd makes it from files of its own
            (Some(_), _) => {}
        }
        if definition.group {
            edits.append_entry(
                class,
                &[
                    format!("{port}:"),
                    indented(&format!("match: {{name: {}}}", desired.nic), step),
                ],
            );
        }
        bridge.holds = true;
    }
    if !bridge.known {
        lines.push(format!("macaddress: \"{}\"", desired.mac));
        lines.push("parameters:".to_owned());
        lines.extend(["stp: false", "forward-delay: 0"].map(|line| indented(line, step)));
        if let Some(address) = desired.address {
            lines.push(format!("addresses: [{address}]"));
        }
        if let Some(token) = bridge.token {
            lines.push(format!("ipv6-address-token: \"{token}\""));
        }
        bridge.known = true;
    }
    let moved = carry(
        &mut edits,
        nic,
        target,
        (definition.group, bridge.token),
        desired,
    )?;
    lines.extend(moved);
    if !definition.group {
        let (token, target) = (bridge.token.is_some(), target.map(|entry| &entry.value));
        let settings = passthrough::carry(&mut edits, &nic.value, target, token, (desired, step))?;
        lines.extend(settings);
    }
    if !lines.is_empty() {
        add_to_bridge(&mut edits, network, target, &lines, (&desired.bridge, step))?;
    }
    Ok(edits.apply())
}

/// Takes the bridge's keys out of the NIC's definition and returns their lines, indented from 0.
fn carry(
    edits: &mut Edits,
    nic: &YamlEntry,
    target: Option<&YamlEntry>,
    (copy, token): (bool, Option<Ipv6Addr>),
    desired: &DesiredBridge,
) -> Result<Vec<String>> {
    let mut carried = Vec::new();
    let mut left = 0;
    for entry in nic.value.entries() {
        let key = entry.key.as_str();
        let theirs = target.and_then(|target| target.value.value(key));
        let goes = NETPLAN.goes(key);
        let shared = goes == KeyOwner::Both;
        if goes == KeyOwner::Nic || (shared && theirs.is_some()) {
            left += 1;
            continue;
        }
        if theirs.is_some() {
            if copy {
                continue;
            }
            bail!(
                "both {} and {} set {key}: keep one",
                desired.nic,
                desired.bridge
            );
        }
        let mut lines = edits.lines_of(entry, nic.value.is_flow())?;
        if shared {
            lines.retain(|line| !line.trim_start().starts_with('#'));
            left += 1;
        } else if !copy {
            edits.remove(entry, &nic.value)?;
        }
        // The token says it in its place.
        if token.is_none() || key != "ipv6-address-generation" {
            carried.extend(lines.iter().map(|line| labelled(line, desired)));
        }
    }
    if left == 0 && !copy && !nic.value.entries().is_empty() && !nic.value.is_flow() {
        edits.close_empty(nic);
    }
    Ok(carried)
}

/// An address's label begins with the name of its device.
fn labelled(line: &str, desired: &DesiredBridge) -> String {
    if line.trim_start().starts_with("label:") {
        rename(line, &desired.nic, &desired.bridge)
    } else {
        line.to_owned()
    }
}

/// The interface identifier that has to be written down, where the backend would make another one.
fn token(
    documents: &[NetplanFile],
    definition: &NetplanDefinition,
    desired: &DesiredBridge,
) -> Result<Option<Ipv6Addr>> {
    let shares = documents
        .iter()
        .filter_map(|document| document.definition(&definition.class, &definition.id));
    let nodes: Vec<&YamlNode> = shares.map(|entry| &entry.value).collect();
    let generation = nodes
        .iter()
        .find_map(|node| node.string("ipv6-address-generation"));
    if definition.renderer == Renderer::Networkd {
        // There it is for the link-local address alone.
        if let Some("stable-privacy") = generation {
            let setting = "ipv6-address-generation: stable-privacy";
            desired.identity.refuse_link_local(setting, desired)?;
        }
        return Ok(None);
    }
    let has = |node: &&YamlNode| {
        node.entry("ipv6-address-token").is_some() || passthrough::has_token(node)
    };
    if nodes.iter().any(has) {
        Ok(None)
    } else {
        desired.identity.token(desired)
    }
}

fn add_to_bridge(
    edits: &mut Edits,
    network: &YamlNode,
    target: Option<&YamlEntry>,
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

pub(super) fn indented(line: &str, step: usize) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!("{}{line}", " ".repeat(step))
    }
}

/// By how much the file indents.
fn step(root: &YamlNode) -> usize {
    let network = root.entry("network");
    let column =
        network.and_then(|entry| Some(entry.value.entries().first()?.column - entry.column));
    column.unwrap_or(2).max(1)
}
