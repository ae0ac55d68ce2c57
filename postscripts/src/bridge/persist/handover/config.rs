//! Settings for the NIC by its name in the configuration of DHCP clients, moved to the bridge.
//!
//! In: the text of `dhclient.conf(5)` or `dhcpcd.conf(5)`. Out: the text with the bridge in the
//! NIC's place, or the line that cannot be moved. What is sent to servers or taken from them (`send`,
//! `supersede`, a hostname, a client's identifier) stays as it is, whatever it holds; every other
//! statement with the NIC's name in it is refused.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::names::{holds, rename};
use super::options::ClientKind;
use crate::files::glob;
use crate::files::{Access, FileChange, load_text, under_root};

/// Where each client keeps its configuration, for all devices and for one.
const FOR_ALL: [(ClientKind, &str); 4] = [
    (ClientKind::Dhclient, "/etc/dhcp/dhclient.conf"),
    (ClientKind::Dhclient, "/etc/dhcp/dhclient6.conf"),
    (ClientKind::Dhclient, "/etc/dhclient.conf"),
    (ClientKind::Dhcpcd, "/etc/dhcpcd.conf"),
];
const FOR_ONE: [&str; 4] = [
    "/etc/dhcp/dhclient-NIC.conf",
    "/etc/dhcp/dhclient6-NIC.conf",
    "/etc/dhclient-NIC.conf",
    "/etc/dhclient6-NIC.conf",
];

/// The files that clients of these kinds read, and those that their command lines name.
pub(super) fn files(
    kinds: &[ClientKind],
    given: &[(ClientKind, PathBuf)],
    nic: &str,
) -> Vec<(ClientKind, PathBuf)> {
    let mut files: Vec<(ClientKind, PathBuf)> = given.to_vec();
    let mut add = |kind: ClientKind, path: &str| {
        let file = (kind, PathBuf::from(path));
        if kinds.contains(&kind) && !files.contains(&file) {
            files.push(file);
        }
    };
    for (kind, path) in FOR_ALL {
        add(kind, path);
    }
    for path in FOR_ONE {
        add(ClientKind::Dhclient, &path.replace("NIC", nic));
    }
    files
}

/// The files as they shall be, where they name the NIC.
///
/// # Errors
/// When one has a setting for the NIC that cannot be moved.
pub(super) fn changes(
    root: &Path,
    files: &[(ClientKind, PathBuf)],
    nic: &str,
    bridge: &str,
) -> Result<Vec<FileChange>> {
    let mut changes = Vec::new();
    for (kind, path) in files {
        if !path.starts_with("/etc") || path.components().any(|part| part.as_os_str() == "..") {
            bail!(
                "{} reads {}, and its configuration is looked for below /etc alone",
                kind.name(),
                path.display()
            );
        }
        let Some(text) = load_text(&under_root(root, path))? else {
            continue;
        };
        let moved = match kind {
            ClientKind::Dhclient => dhclient(&text, nic, bridge),
            ClientKind::Dhcpcd => dhcpcd(&text, nic, bridge),
            ClientKind::Udhcpc => Ok(text.clone()),
        };
        let moved =
            moved.with_context(|| format!("moving {nic} to {bridge} in {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = path.with_file_name(rename(&name, nic, bridge));
        if to == *path && moved == text {
            continue;
        }
        if to != *path {
            if load_text(&under_root(root, &to))?.is_some_and(|existing| existing != moved) {
                bail!("{} exists already: remove it first", to.display());
            }
            changes.push(FileChange::remove(path));
        }
        changes.push(FileChange::write(to, moved, Access::Like(path.clone())));
    }
    Ok(changes)
}

/// A piece of `dhclient.conf` that is neither blank nor comment.
#[derive(Debug, Clone, Copy)]
struct DhclientToken<'a> {
    text: &'a str,
    at: usize,
    quoted: bool,
}

fn tokens(text: &str) -> Vec<DhclientToken<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let word = |c: char| !c.is_whitespace() && !"{};,=\"#".contains(c);
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => end_of_string(rest),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        if !first.is_whitespace() && first != '#' {
            let quoted = first == '"';
            let inner = rest[..length].trim_matches('"');
            found.push(DhclientToken {
                text: if quoted { inner } else { &rest[..length] },
                at: at + usize::from(quoted),
                quoted,
            });
        }
        at += length;
    }
    found
}

/// Where a string ends that begins a text, its quotes with it.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn dhclient(text: &str, nic: &str, bridge: &str) -> Result<String> {
    const STAY: [&str; 5] = ["send", "supersede", "default", "prepend", "append"];
    let mut out = String::new();
    let mut done = 0;
    let mut statement = "";
    let mut begins = true;
    let mut own = None;
    for token in tokens(text) {
        let punctuation = !token.quoted && matches!(token.text, ";" | "{" | "}");
        if begins && !punctuation {
            statement = token.text;
        }
        begins = punctuation;
        let names = statement == "interface" && !begins;
        if names && token.text == bridge {
            own = Some(line(text, token.at));
        }
        if names && token.text == nic {
            out.push_str(&text[done..token.at]);
            out.push_str(bridge);
            done = token.at + nic.len();
        } else if holds(token.text, nic) && !STAY.contains(&statement) {
            bail!(
                "line {}: {nic} is named in a statement '{statement}', which cannot be moved",
                line(text, token.at)
            );
        }
    }
    if let Some(line) = own.filter(|_| done > 0) {
        bail!("line {line}: {bridge} has settings of its own");
    }
    out.push_str(&text[done..]);
    Ok(out)
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn dhcpcd(text: &str, nic: &str, bridge: &str) -> Result<String> {
    const STAY: [&str; 9] = [
        "hostname",
        "clientid",
        "vendorclassid",
        "userclass",
        "fqdn",
        "vendor",
        "mudurl",
        "profile",
        "fallback",
    ];
    let mut out = String::new();
    let (mut own, mut renamed) = (None, false);
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let body = whole.split('#').next().unwrap_or_default();
        let mut words = body.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let matched = |word: &&str| glob::matches(word, nic);
        let place = || format!("line {}", number + 1);
        let line = match keyword {
            "interface" | "allowinterfaces" if words.contains(&nic) => {
                renamed = true;
                rename(whole, nic, bridge)
            }
            // The port stays denied, and the bridge gets what the NIC got: nothing.
            "denyinterfaces" if words.contains(&nic) && !words.contains(&bridge) => {
                rename(whole, nic, &format!("{nic} {bridge}"))
            }
            "denyinterfaces" if words.contains(&nic) => whole.to_owned(),
            "interface" | "allowinterfaces" | "denyinterfaces" => {
                let pattern = words.iter().find(|word| matched(word));
                if let Some(pattern) = pattern.filter(|pattern| !glob::matches(pattern, bridge)) {
                    bail!(
                        "{}: {keyword} {pattern} covers {nic} and not {bridge}: name them",
                        place()
                    );
                }
                whole.to_owned()
            }
            _ if holds(body, nic) && !STAY.contains(&keyword) => {
                bail!(
                    "{}: {nic} is named in '{keyword}', which cannot be moved",
                    place()
                )
            }
            _ => whole.to_owned(),
        };
        if keyword == "interface" && words.contains(&bridge) {
            own = Some(place());
        }
        out.push_str(&line);
    }
    match own.filter(|_| renamed) {
        Some(place) => bail!("{place}: {bridge} has settings of its own"),
        None => Ok(out),
    }
}

/// Whether `dhcpcd.conf` keeps dhcpcd from a device.
pub(super) fn dhcpcd_is_denied(root: &Path, nic: &str) -> Result<bool> {
    let text = load_text(&under_root(root, Path::new("/etc/dhcpcd.conf")))?.unwrap_or_default();
    let (mut allowed, mut denied) = (None, false);
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let keyword = words.next();
        let matched = words.any(|word| glob::matches(word, nic));
        match keyword {
            Some("allowinterfaces") => allowed = Some(matched || allowed == Some(true)),
            Some("denyinterfaces") => denied |= matched,
            _ => {}
        }
    }
    Ok(denied || allowed == Some(false))
}
