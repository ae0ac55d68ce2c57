//! `networkmanager:` of a definition: what NetworkManager wrote there because netplan has no word for
//! it, keyfile keys as `ipv4.gateway` below `passthrough` among them.
//!
//! They go the way of the same keys in a keyfile. Reference: netplan-yaml(5), "backend settings".

use anyhow::{Context, Result, bail};

use super::rewrite::indented;
use crate::bridge::persist::ini::Ini;
use crate::bridge::persist::keys::{KEYFILE_CONNECTION, KEYFILE_NAMES, KEYFILE_SECTIONS, KeyOwner};
use crate::bridge::persist::model::{Addressing, DesiredBridge};
use crate::bridge::persist::names::{mentions, rename};
use crate::bridge::persist::networkmanager;
use crate::bridge::persist::references;
use crate::bridge::persist::yaml::{YamlEntry, YamlNode};
use crate::bridge::persist::yaml_edit::Edits;

/// Where a key below `passthrough` goes; `ipv4._` and the like only say that there is a section.
fn goes(key: &str) -> KeyOwner {
    match key.split_once('.') {
        Some(("connection", key)) => KEYFILE_CONNECTION.goes(key),
        Some((section, _)) => KEYFILE_SECTIONS.goes(section),
        None => KeyOwner::Nic,
    }
}

fn entries(definition: &YamlNode) -> &[YamlEntry] {
    let below = definition
        .value("networkmanager")
        .and_then(|settings| settings.value("passthrough"));
    below.map(YamlNode::entries).unwrap_or_default()
}

/// Whether a definition sets the interface identifier in this way.
pub(super) fn has_token(definition: &YamlNode) -> bool {
    entries(definition)
        .iter()
        .any(|entry| entry.key == "ipv6.token")
}

/// Takes the bridge's settings out and returns their lines for the bridge, indented from 0. With
/// `token`, what else would make the interface identifier is left out.
pub(super) fn carry(
    edits: &mut Edits<'_>,
    nic: &YamlNode,
    target: Option<&YamlNode>,
    token: bool,
    (desired, step): (&DesiredBridge, usize),
) -> Result<Vec<String>> {
    let Some(settings) = nic.entry("networkmanager") else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    if let Some(entry) = settings.value.entry("stable-id") {
        lines.extend(edits.lines_of(entry, settings.value.is_flow())?);
        edits.remove(entry, &settings.value)?;
    }
    if let Some(entry) = settings.value.entry("passthrough") {
        let has = |key: &str| {
            let settings = target.and_then(|target| target.value("networkmanager"));
            let below = settings.and_then(|settings| settings.value("passthrough"));
            below.is_some_and(|below| below.entry(key).is_some())
        };
        let moved = passthrough(edits, entry, (token, &has), desired)?;
        if !moved.is_empty() {
            lines.push("passthrough:".to_owned());
            lines.extend(moved.iter().map(|line| indented(line, step)));
        }
    }
    if lines.is_empty() {
        return Ok(lines);
    }
    if target.is_some_and(|target| target.entry("networkmanager").is_some()) {
        bail!(
            "both {} and {} set networkmanager: keep one",
            desired.nic,
            desired.bridge
        );
    }
    let mut all = vec!["networkmanager:".to_owned()];
    all.extend(lines.iter().map(|line| indented(line, step)));
    Ok(all)
}

fn passthrough(
    edits: &mut Edits<'_>,
    entry: &YamlEntry,
    (token, has): (bool, &dyn Fn(&str) -> bool),
    desired: &DesiredBridge,
) -> Result<Vec<String>> {
    let map = &entry.value;
    let mut moved = Vec::new();
    let mut left = 0;
    for setting in map.entries() {
        let goes = goes(&setting.key);
        if goes == KeyOwner::Nic || (goes == KeyOwner::Both && has(&setting.key)) {
            left += 1;
            continue;
        }
        let lines = edits.lines_of(setting, map.is_flow())?;
        if goes == KeyOwner::Both {
            left += 1;
        } else {
            edits.remove(setting, map)?;
        }
        if token && setting.key == "ipv6.addr-gen-mode" {
            continue;
        }
        for line in lines {
            let key = setting.key.split_once('.').map_or("", |(_, key)| key);
            let comment = line.trim_start().starts_with('#');
            match mentions(&line, &desired.nic) && !comment {
                true if KEYFILE_NAMES.known(key) == Some(KeyOwner::Bridge) => {
                    moved.push(rename(&line, &desired.nic, &desired.bridge));
                }
                true => return Err(references::unclear(line.trim(), desired)),
                false => moved.push(line),
            }
        }
    }
    if left == 0 && !map.entries().is_empty() && !map.is_flow() {
        edits.close_empty(entry);
    }
    Ok(moved)
}

/// Adds what the settings set of addresses.
pub(super) fn read(definition: &YamlNode, into: &mut Addressing) -> Result<()> {
    let mut ini = Ini::default();
    for entry in entries(definition) {
        let (Some((section, key)), Some(value)) = (entry.key.split_once('.'), entry.value.text())
        else {
            continue;
        };
        if matches!(section, "ipv4" | "ipv6") && key != "_" {
            ini.section_mut(section).add(format!("{key}={value}"));
        }
    }
    networkmanager::read_families(&ini, into).context("reading networkmanager.passthrough")
}
