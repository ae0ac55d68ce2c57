//! What the backend's own files say of the NIC beside its settings: rules that ask for the device a
//! packet came by, scopes of name servers, gateways by device.
//!
//! In: the files as a backend would leave them. Out: the same with the bridge named wherever the
//! addresses are meant, by the backend's table of [`keys`](super::keys). What names the NIC for its
//! hardware stays; what names it by a key that no table knows is an error, never left behind.

use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::backend::Backend;
use super::keys::{Goes, IFCFG, KEYFILE_NAMES, NETPLAN, NETWORKD, Table, WICKED};
use super::model::Wish;
use super::names::{mentions, rename};
use super::sources::Sources;
use super::yaml::{self, Node};

/// Says that a line names the NIC and nobody knows for which of its two halves.
pub(super) fn unclear(line: &str, wish: &Wish) -> Error {
    let Wish { nic, bridge, .. } = wish;
    anyhow!(
        "{line:?} names {nic}, and whether it means the addresses, which {bridge} will have, or the hardware is \
         not known: have it name {bridge} as well, or take it out first"
    )
}

/// How a file is written.
enum Syntax {
    /// `key=value` lines.
    Keys(&'static Table),
    /// Arguments of `ip`, or columns: every device there has addresses.
    Words,
    /// netplan's.
    Yaml,
}

/// Names the bridge wherever the files mean the addresses.
pub(super) fn redirect(backend: &Backend, files: &Sources, wish: &Wish) -> Result<Sources> {
    let mut after = files.clone();
    for (path, text) in files.iter().filter(|(_, text)| mentions(text, &wish.nic)) {
        let Some(syntax) = syntax(backend, path) else {
            continue;
        };
        let looking = || format!("looking at {}", path.display());
        let new = match syntax {
            Syntax::Yaml => {
                if let Some(root) = yaml::parse(text).with_context(looking)? {
                    check(&root, "", wish).with_context(looking)?;
                }
                continue;
            }
            Syntax::Words => lines(text, |line| Ok(rename(line, &wish.nic, &wish.bridge))),
            Syntax::Keys(table) => lines(text, |line| key_line(table, line, wish)),
        };
        let new = new.with_context(looking)?;
        if new == *text {
            continue;
        }
        if !path.starts_with("/etc") {
            bail!(
                "{} names {}, and is not the administrator's: put a file of the same name that names {} below /etc",
                path.display(),
                wish.nic,
                wish.bridge
            );
        }
        after.insert(path, new);
    }
    Ok(after)
}

fn syntax(backend: &Backend, path: &Path) -> Option<Syntax> {
    let name = path.file_name()?.to_str()?;
    Some(match backend {
        // Its stanzas are looked at line by line where they are moved.
        Backend::Ifupdown => return None,
        Backend::Netplan { .. } if path.extension().is_some_and(|end| end == "yaml") => {
            Syntax::Yaml
        }
        // What netplan makes of its files is made anew.
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
        match body.trim_start().starts_with(['#', ';']) {
            true => out.push_str(body),
            false => out.push_str(&edit(body)?),
        }
        out.push_str(&line[body.len()..]);
    }
    Ok(out)
}

fn key_line(table: &Table, line: &str, wish: &Wish) -> Result<String> {
    let Some((key, value)) = line
        .split_once('=')
        .filter(|(_, value)| mentions(value, &wish.nic))
    else {
        return Ok(line.to_owned());
    };
    match table.known(key.trim()) {
        Some(Goes::Bridge) => Ok(format!("{key}={}", rename(value, &wish.nic, &wish.bridge))),
        Some(Goes::Nic | Goes::Both) => Ok(line.to_owned()),
        None => Err(unclear(line.trim(), wish)),
    }
}

/// Looks for values that name the NIC below a key that no table knows.
fn check(node: &Node, key: &str, wish: &Wish) -> Result<()> {
    if let Some(text) = node.text().filter(|text| mentions(text, &wish.nic)) {
        let known = match key.split_once('.') {
            Some((_, key)) => KEYFILE_NAMES.known(key),
            None => NETPLAN.known(key),
        };
        return match known {
            Some(Goes::Nic) => Ok(()),
            _ => Err(unclear(&format!("{key}: {text}"), wish)),
        };
    }
    for item in node.items() {
        check(item, key, wish)?;
    }
    for entry in node.entries() {
        check(&entry.value, &entry.key, wish)?;
    }
    Ok(())
}
