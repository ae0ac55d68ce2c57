//! Where the backend's own files name the NIC beside its settings: rules that ask for the device a
//! packet came by, scopes of name servers, gateways by device.
//!
//! In: the files as a backend would leave them. Out: the same with the bridge named wherever the
//! addresses are meant, by the backend's table of [`keys`](super::keys). What names the NIC for its
//! hardware stays; what names it by a key that no table knows is an error, never ignored.

use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::backend::Backend;
use super::keys::{IFCFG, KEYFILE_NAMES, KeyOwner, KeyTable, NETPLAN, NETWORKD, WICKED};
use super::model::DesiredBridge;
use super::names::{mentions, rename};
use super::shellvars::ShellVars;
use super::sources::Sources;
use super::yaml::{self, YamlNode};

/// Says that a line names the NIC and nobody knows for which of its two halves.
pub(super) fn unclear(line: &str, desired: &DesiredBridge) -> Error {
    let DesiredBridge { nic, bridge, .. } = desired;
    anyhow!(
        "{line:?} names {nic}, and whether it means the addresses, which {bridge} will have, or the hardware is \
         not known: have it name {bridge} as well, or take it out first"
    )
}

/// How a file is written.
enum Syntax {
    /// `key=value` lines.
    Keys(&'static KeyTable),
    /// Arguments of `ip`, or columns: every device there has addresses.
    Words,
    /// netplan's.
    Yaml,
}

/// Names the bridge wherever the files mean the addresses.
pub(super) fn redirect(
    backend: &Backend,
    files: &Sources,
    desired: &DesiredBridge,
) -> Result<Sources> {
    let mut after = files.clone();
    for (path, text) in files
        .iter()
        .filter(|(_, text)| mentions(text, &desired.nic))
    {
        let Some(syntax) = syntax(backend, path) else {
            continue;
        };
        let looking = || format!("looking at {}", path.display());
        let new = match syntax {
            Syntax::Yaml => {
                if let Some(root) = yaml::parse(text).with_context(looking)? {
                    check(&root, "", desired).with_context(looking)?;
                }
                continue;
            }
            Syntax::Words => lines(text, |line| Ok(rename(line, &desired.nic, &desired.bridge))),
            Syntax::Keys(table) => {
                let tunnel = is_tunnel(text);
                lines(text, |line| match line.split_once('=') {
                    Some((PHYSDEV, value)) if tunnel && mentions(value, &desired.nic) => {
                        Err(unclear(line.trim(), desired))
                    }
                    _ => key_line(table, line, desired),
                })
            }
        };
        let new = new.with_context(looking)?;
        if new == *text {
            continue;
        }
        if !path.starts_with("/etc") {
            bail!(
                "{} names {}, and is not the administrator's: put a file of the same name that names {} below /etc",
                path.display(),
                desired.nic,
                desired.bridge
            );
        }
        after.insert(path, new);
    }
    Ok(after)
}

/// The device that a VLAN is on, or that a tunnel's packets leave by.
const PHYSDEV: &str = "PHYSDEV";

/// Whether an `ifcfg-*` file is of a device whose `PHYSDEV` is another's addresses, and not its hardware.
fn is_tunnel(text: &str) -> bool {
    let vars = ShellVars::parse(text);
    let vlan = |key, word: &str| {
        let value = vars.value(key);
        value.is_some_and(|value| value.eq_ignore_ascii_case(word))
    };
    !vlan("VLAN", "yes") && !vlan("TYPE", "vlan")
}

fn syntax(backend: &Backend, path: &Path) -> Option<Syntax> {
    let name = path.file_name()?.to_str()?;
    Some(match backend {
        // Its stanzas are looked at line by line where they are moved.
        Backend::Ifupdown => return None,
        Backend::Netplan { .. } if path.extension().is_some_and(|end| end == "yaml") => {
            Syntax::Yaml
        }
        // What netplan makes of its files is generated again.
        Backend::Netplan { .. } if path.starts_with("/run") => return None,
        Backend::Netplan { .. } | Backend::Networkd { .. } => Syntax::Keys(&NETWORKD),
        Backend::NetworkManager { .. } => Syntax::Keys(&KEYFILE_NAMES),
        Backend::Ifcfg { .. } if name.starts_with("ifcfg-") => Syntax::Keys(&IFCFG),
        Backend::Wicked if name.starts_with("ifcfg-") => Syntax::Keys(&WICKED),
        Backend::Ifcfg { .. } | Backend::Wicked => Syntax::Words,
    })
}

/// The text with every line but comments as `edit` has it.
pub(super) fn lines(text: &str, edit: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        if body.trim_start().starts_with(['#', ';']) {
            out.push_str(body)
        } else {
            out.push_str(&edit(body)?)
        }
        out.push_str(&line[body.len()..]);
    }
    Ok(out)
}

fn key_line(table: &KeyTable, line: &str, desired: &DesiredBridge) -> Result<String> {
    let Some((key, value)) = line
        .split_once('=')
        .filter(|(_, value)| mentions(value, &desired.nic))
    else {
        return Ok(line.to_owned());
    };
    match table.known(key.trim()) {
        Some(KeyOwner::Bridge) => Ok(format!(
            "{key}={}",
            rename(value, &desired.nic, &desired.bridge)
        )),
        Some(KeyOwner::Nic | KeyOwner::Both) => Ok(line.to_owned()),
        None => Err(unclear(line.trim(), desired)),
    }
}

/// Looks for values that name the NIC below a key that no table knows.
fn check(node: &YamlNode, key: &str, desired: &DesiredBridge) -> Result<()> {
    if let Some(text) = node.text().filter(|text| mentions(text, &desired.nic)) {
        let known = match key.split_once('.') {
            Some((_, key)) => KEYFILE_NAMES.known(key),
            None => NETPLAN.known(key),
        };
        return match known {
            Some(KeyOwner::Nic) => Ok(()),
            _ => Err(unclear(&format!("{key}: {text}"), desired)),
        };
    }
    for item in node.items() {
        check(item, key, desired)?;
    }
    for entry in node.entries() {
        check(&entry.value, &entry.key, desired)?;
    }
    Ok(())
}
