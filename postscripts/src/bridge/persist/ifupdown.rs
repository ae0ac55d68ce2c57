//! ifupdown: `/etc/network/interfaces` and what it sources.
//!
//! In: those files and the desired bridge. Out: the NIC's stanzas renamed to the bridge in place, with
//! all their options and comments; the bridge is made and the NIC put into it by `pre-up` lines that
//! need iproute2 alone (the `bridge_*` options need bridge-utils, which a host may lack); a `manual`
//! stanza keeps the NIC's hardware options. Reference: interfaces(5).

mod read;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::command::{self, CommandSubject};
use super::keys::{IFUPDOWN, KeyOwner};
use super::model::DesiredBridge;
use super::names::{mentions, rename};
use super::references;
use super::sources::Sources;
use super::switch::SwitchConfig;
use crate::files::glob;
use crate::files::{Access, FileChange};

pub(super) use read::read;

/// The file that everything starts from, and where others are.
pub(super) const MAIN: &str = "/etc/network/interfaces";
pub(super) const DIRS: [&str; 1] = ["/etc/network/interfaces.d"];
/// The class of what comes up at boot.
const AUTO: &str = "auto";
/// Options whose value is a command.
const COMMANDS: [&str; 6] = ["pre-up", "up", "post-up", "pre-down", "down", "post-down"];

pub(super) fn wanted(name: &str) -> bool {
    // The names that `source-directory` takes; a `source` pattern may take any.
    !name.starts_with('.') && !name.ends_with('~')
}

/// Every file that may be in force: wherever `source` leads, and on from there.
pub(super) fn load(root: &Path) -> Result<Sources> {
    let mut sources = Sources::load(root, &DIRS, wanted)?;
    sources.load_file(root, Path::new(MAIN))?;
    let mut followed = BTreeSet::new();
    loop {
        let lines = sources.iter().flat_map(|(_, text)| text.lines());
        let found: BTreeSet<PathBuf> = lines.filter_map(sourced).map(|(_, to)| to).collect();
        let new: Vec<PathBuf> = found.difference(&followed).cloned().collect();
        if new.is_empty() {
            return Ok(sources);
        }
        for pattern in new {
            for path in glob::expand(root, &pattern)? {
                if !sources.holds(&path) {
                    sources.load_file(root, &path)?;
                }
            }
            followed.insert(pattern);
        }
    }
}

/// What a line has read too: its keyword, and the pattern of the files.
fn sourced(line: &str) -> Option<(&str, PathBuf)> {
    let mut words = line.split_whitespace();
    let (keyword, target) = (words.next()?, words.next()?);
    let pattern = match keyword {
        "source" => target.to_owned(),
        "source-directory" => format!("{}/*", target.trim_end_matches('/')),
        _ => return None,
    };
    Some((keyword, Path::new("/etc/network").join(pattern)))
}

/// The files in force: the main one and those it sources, in that order.
pub(super) fn files(sources: &Sources) -> Vec<PathBuf> {
    let mut files = Vec::new();
    follow(sources, Path::new(MAIN), &mut files);
    files
}

fn follow(sources: &Sources, path: &Path, files: &mut Vec<PathBuf>) {
    let Some(text) = sources
        .text(path)
        .filter(|_| !files.iter().any(|known| known == path))
    else {
        return;
    };
    files.push(path.to_owned());
    for (keyword, pattern) in text.lines().filter_map(sourced) {
        let pattern = pattern.display().to_string();
        let plain = |path: &Path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            keyword == "source"
                || name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let found: Vec<&Path> = sources
            .iter()
            .map(|(path, _)| path)
            .filter(|path| glob::matches(&pattern, &path.display().to_string()) && plain(path))
            .collect();
        found
            .into_iter()
            .for_each(|path| follow(sources, path, files));
    }
}

/// A line by what it begins.
enum InterfacesLine<'a> {
    /// `auto` and `allow-*` with the devices they name.
    Class(&'a str, Vec<&'a str>),
    /// `iface NAME FAMILY METHOD`.
    Iface(&'a str, &'a str, &'a str),
    /// Another stanza.
    Other(&'a str, Vec<&'a str>),
    /// An option of the stanza above, with its value.
    Option(&'a str, &'a str),
    /// Nothing or a comment.
    Blank,
}

impl<'a> InterfacesLine<'a> {
    fn parse(line: &'a str) -> Self {
        let line = line.trim();
        let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (keyword, words.as_slice()) {
            ("", _) => Self::Blank,
            (keyword, _) if keyword.starts_with('#') => Self::Blank,
            ("iface", [name, family, method, ..]) => Self::Iface(name, family, method),
            ("iface", [name, ..]) => Self::Iface(name, "", ""),
            (
                "mapping" | "source" | "source-directory" | "rename" | "template" | "no-auto-down"
                | "no-scripts",
                _,
            ) => Self::Other(keyword, words),
            (class, _) if class == AUTO || class.starts_with("allow-") => Self::Class(class, words),
            (option, _) => Self::Option(option, rest.trim()),
        }
    }
}

/// Joins the lines that a trailing backslash continues.
fn logical(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.push('\n');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        open = line.ends_with('\\');
    }
    lines
}

/// Whether a stanza for the device exists, an alias such as `eth0:1` apart.
pub(super) fn defines(sources: &Sources, name: &str) -> Option<PathBuf> {
    files(sources).into_iter().find(|path| {
        let text = sources.text(path).unwrap_or_default();
        text.lines()
            .any(|line| matches!(InterfacesLine::parse(line), InterfacesLine::Iface(iface, ..) if iface == name))
    })
}

/// The files as they shall be.
pub(super) fn rewrite(sources: &Sources, desired: &DesiredBridge) -> Result<Vec<FileChange>> {
    let files = files(sources);
    if is_port(sources, &files, desired) {
        return Ok(Vec::new());
    }
    if let Some(path) = defines(sources, &desired.bridge) {
        bail!(
            "{} defines {} already and {} is not in it: remove the stanza first",
            path.display(),
            desired.bridge,
            desired.nic
        );
    }
    let mut after = sources.clone();
    let mut edit = InterfacesEdit {
        desired,
        hardware: Vec::new(),
        made: false,
    };
    let mut first = None;
    for path in &files {
        let text = sources.text(path).unwrap_or_default();
        let new = edit
            .file(text)
            .with_context(|| format!("editing {}", path.display()))?;
        if new != text {
            if !path.starts_with("/etc") {
                bail!(
                    "{} names {}, and only files below /etc are changed: move its stanza there first",
                    path.display(),
                    desired.nic
                );
            }
            if edit.made && first.is_none() {
                first = Some(path.clone());
            }
            after.insert(path, new);
        }
    }
    let path = first.with_context(|| format!("no stanza in {MAIN} defines {}", desired.nic))?;
    let mut text = after.text(&path).unwrap_or_default().to_owned();
    text.push_str(&edit.port_stanza());
    after.insert(path, text);
    Ok(sources.changes_to(&after, |path| Access::Like(path.to_owned())))
}

/// Whether the files make the NIC a port of the bridge already, by our lines or by bridge-utils'.
fn is_port(sources: &Sources, files: &[PathBuf], desired: &DesiredBridge) -> bool {
    let ours = enslave(desired);
    let mut inside = false;
    for line in files
        .iter()
        .flat_map(|path| sources.text(path).unwrap_or_default().lines())
    {
        match InterfacesLine::parse(line) {
            InterfacesLine::Iface(name, ..) => inside = name == desired.bridge,
            InterfacesLine::Option("pre-up", command) if inside && command == ours => return true,
            InterfacesLine::Option(key, ports) if inside && option_name(key) == "bridge-ports" => {
                return ports.split_whitespace().any(|port| port == desired.port());
            }
            _ => {}
        }
    }
    false
}

fn enslave(desired: &DesiredBridge) -> String {
    format!(
        "ip link set dev {} master {} up",
        desired.port(),
        desired.bridge
    )
}

/// What makes the pair, its end in the switch up as the NIC is: that Open vSwitch has both is in its database.
fn veth_pair(switch: &SwitchConfig, nic: &str) -> [String; 3] {
    let (end, peer, mtu) = (switch.bridge_end(), switch.switch_end(), switch.mtu);
    [
        format!(
            "    pre-up ip link show dev {end} >/dev/null 2>&1 || ip link add name {end} mtu {mtu} type veth peer name \
             {peer} mtu {mtu}"
        ),
        format!("    pre-up ip link set dev {peer} up"),
        format!("    pre-up ip link set dev {nic} up"),
    ]
}

/// What a word names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedDevice {
    Nic,
    /// An alias of the NIC.
    Alias,
    /// The NIC, by the stanza of another.
    Mapped,
    Other,
}

struct InterfacesEdit<'a> {
    desired: &'a DesiredBridge,
    /// Options that stay with the NIC.
    hardware: Vec<String>,
    /// The lines that make the bridge are written.
    made: bool,
}

impl InterfacesEdit<'_> {
    fn file(&mut self, text: &str) -> Result<String> {
        let desired = self.desired;
        let mut out: Vec<String> = Vec::new();
        let mut inside = false;
        for line in logical(text) {
            match InterfacesLine::parse(&line) {
                InterfacesLine::Iface(name, family, method) => {
                    self.inherits_nothing(&line, name)?;
                    inside = self.is_nic(name);
                    if inside {
                        out.extend(self.header(&line, name, family, method));
                    } else {
                        out.push(line.clone());
                    }
                }
                InterfacesLine::Class(class, names) => {
                    inside = false;
                    out.extend(self.class_lines(&line, class, &names)?);
                }
                // what ifdown is to leave alone, and devices without scripts
                InterfacesLine::Other("no-auto-down" | "no-scripts", names) => {
                    inside = false;
                    out.extend(self.class_lines(&line, AUTO, &names)?);
                }
                InterfacesLine::Other("mapping" | "rename", names)
                    if names.iter().any(|name| glob::matches(name, &desired.nic)) =>
                {
                    bail!(
                        "a mapping or rename stanza covers {}: write its stanza out first",
                        desired.nic
                    );
                }
                InterfacesLine::Other(..) => {
                    inside = false;
                    out.push(line);
                }
                InterfacesLine::Option(key, value) if inside => {
                    self.option(&line, key, value, &mut out)?
                }
                InterfacesLine::Option(key, value) => {
                    out.push(self.others_option(&line, key, value)?)
                }
                InterfacesLine::Blank => out.push(line),
            }
        }
        let end = if text.ends_with('\n') { "\n" } else { "" };
        Ok(out.join("\n") + end)
    }

    /// The NIC itself or an alias of it.
    fn is_nic(&self, name: &str) -> bool {
        name.strip_prefix(self.desired.nic.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Checks that a stanza's options are its own: what the NIC's inherits would have to move too, and what inherits
    /// from the NIC's would lose it.
    fn inherits_nothing(&self, line: &str, name: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let inherited = words.find(|word| *word == "inherits").and(words.next());
        match inherited {
            Some(base) if self.is_nic(name) || self.is_nic(base) => bail!(
                "the stanza of {name} inherits from that of {base}: write its options out first"
            ),
            _ => Ok(()),
        }
    }

    /// The bridge comes up where the NIC did; the NIC first, as it is a device of its own now.
    fn class_lines(&self, line: &str, class: &str, names: &[&str]) -> Result<Vec<String>> {
        let DesiredBridge { nic, bridge, .. } = self.desired;
        let named: Vec<NamedDevice> = names.iter().map(|name| self.named(name)).collect();
        if let Some(at) = named.iter().position(|named| *named == NamedDevice::Mapped) {
            bail!(
                "'{class} {}' has {nic} come up by another stanza: write its stanza out first",
                names[at]
            );
        }
        // The bridge follows the NIC at once, and so before the aliases that need it.
        let words = line.split_inclusive(char::is_whitespace).map(|piece| {
            let word = piece.trim_end();
            let blank = &piece[word.len()..];
            match self.named(word) {
                NamedDevice::Nic if class == AUTO => format!("{word} {bridge}{blank}"),
                NamedDevice::Alias => rename(piece, nic, bridge),
                _ => piece.to_owned(),
            }
        });
        let line: String = words.collect();
        if class == AUTO || !named.contains(&NamedDevice::Nic) {
            Ok(vec![line])
        } else {
            Ok(vec![line, format!("{AUTO} {bridge}")])
        }
    }

    /// What a word of `auto` or `allow-*` means: a name, or a pattern of the devices that are there
    /// (`/eth*`, `/mac/52:54:*`), either with the stanza that the device comes up by (`eth0=lab`).
    fn named(&self, word: &str) -> NamedDevice {
        let DesiredBridge { nic, mac, .. } = self.desired;
        let (device, stanza) = match word.split_once('=') {
            Some((device, stanza)) => (device, Some(stanza)),
            None => (word, None),
        };
        let is_nic = match device.split('/').collect::<Vec<_>>()[..] {
            [name] if name != nic && self.is_nic(name) => return NamedDevice::Alias,
            [name] => name == nic,
            ["", pattern] => glob::matches(pattern, nic),
            ["", "mac", pattern] => glob::matches(pattern, &mac.to_string()),
            // a pattern with more than that may mean it
            _ => device.starts_with('/'),
        };
        match stanza {
            _ if !is_nic => NamedDevice::Other,
            Some(stanza) if stanza != nic => NamedDevice::Mapped,
            _ => NamedDevice::Nic,
        }
    }

    /// An option of the NIC's own stanza.
    fn option(&mut self, line: &str, key: &str, value: &str, out: &mut Vec<String>) -> Result<()> {
        let desired = self.desired;
        let key = option_name(key);
        if key == "inherit" {
            bail!(
                "the stanza of {} inherits from that of {value}: write its options out first",
                desired.nic
            );
        }
        let goes = if COMMANDS.contains(&key.as_str()) {
            // What a stanza's command calls $IFACE is the NIC as well.
            match command::about(value, &[&desired.nic, "$IFACE", "${IFACE}"]) {
                CommandSubject::Hardware => KeyOwner::Nic,
                CommandSubject::Unknown if mentions(value, &desired.nic) => {
                    return Err(self.unclear(line));
                }
                CommandSubject::Addresses | CommandSubject::Nothing | CommandSubject::Unknown => {
                    KeyOwner::Bridge
                }
            }
        } else if IFUPDOWN.known(&key).is_none() && mentions(value, &desired.nic) {
            return Err(self.unclear(line));
        } else {
            IFUPDOWN.goes(&key)
        };
        let known = |kept: &String| kept.trim() == line.trim();
        match goes {
            KeyOwner::Nic => self.hardware.push(line.to_owned()),
            KeyOwner::Both if self.hardware.iter().any(known) => out.push(line.to_owned()),
            KeyOwner::Both => {
                self.hardware.push(line.to_owned());
                out.push(line.to_owned());
            }
            KeyOwner::Bridge => out.push(rename(line, &desired.nic, &desired.bridge)),
        }
        Ok(())
    }

    /// A line of another device's stanza, which may need the NIC for its addresses.
    fn others_option(&self, line: &str, key: &str, value: &str) -> Result<String> {
        let DesiredBridge { nic, bridge, .. } = self.desired;
        if !mentions(value, nic) {
            return Ok(line.to_owned());
        }
        match option_name(key).as_str() {
            "bridge-ports" | "bond-slaves" | "slaves" => bail!(
                "another device takes {nic} ({}): take it out there first",
                line.trim()
            ),
            key if COMMANDS.contains(&key) => match command::about(value, &[nic]) {
                CommandSubject::Addresses => Ok(rename(line, nic, bridge)),
                CommandSubject::Hardware | CommandSubject::Nothing => Ok(line.to_owned()),
                CommandSubject::Unknown => Err(self.unclear(line)),
            },
            key if IFUPDOWN.known(key) == Some(KeyOwner::Nic) => Ok(line.to_owned()),
            _ => Err(self.unclear(line)),
        }
    }

    fn unclear(&self, line: &str) -> anyhow::Error {
        references::unclear(line.trim(), self.desired)
    }

    /// The stanza's first line for the bridge and, in the first stanza, what makes the bridge.
    fn header(&mut self, line: &str, name: &str, family: &str, method: &str) -> Vec<String> {
        let DesiredBridge {
            nic,
            bridge,
            mac,
            address,
            ..
        } = self.desired;
        let mut lines = vec![rename(line, nic, bridge)];
        if name != nic || self.made {
            return lines;
        }
        self.made = true;
        lines.push(format!(
            "    pre-up ip link show dev {bridge} >/dev/null 2>&1 || ip link add name {bridge} \
             address {mac} type bridge stp_state 0 forward_delay 0"
        ));
        if let Some(switch) = &self.desired.switch {
            lines.extend(veth_pair(switch, nic));
        }
        lines.push(format!("    pre-up {}", enslave(self.desired)));
        if let Some(switch) = &self.desired.switch {
            let end = switch.bridge_end();
            lines.push(format!("    post-down ip link del dev {end}"));
        }
        lines.push(format!("    post-down ip link del dev {bridge}"));
        if let Some(net) = address.filter(|net| net.is_ipv4() == (family == "inet"))
            && method == "manual"
        {
            lines[0] = format!("iface {bridge} {family} static");
            lines.push(format!("    address {net}"));
        }
        lines
    }

    fn port_stanza(&self) -> String {
        let mut text = format!("\niface {} inet manual\n", self.desired.nic);
        for line in &self.hardware {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// An option's name in the one spelling that the tables know: ifupdown takes `_` for `-`.
fn option_name(key: &str) -> String {
    key.replace('_', "-")
}
