//! The NIC's stanzas, rewritten line by line: what gives an address becomes the bridge's, what is about the hardware
//! stays with the NIC.

use anyhow::{Result, bail};

use super::super::command::{self, CommandSubject};
use super::super::keys::{IFUPDOWN, KeyOwner};
use super::super::model::DesiredBridge;
use super::super::names::{mentions, rename};
use super::super::references;
use super::super::switch::SwitchConfig;
use super::{AUTO, COMMANDS, InterfacesLine, enslave, logical, option_name};
use crate::files::glob;

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

/// One pass over the files, which keeps what their stanzas have in common.
pub(super) struct InterfacesEdit<'a> {
    pub(super) desired: &'a DesiredBridge,
    /// Options that stay with the NIC.
    pub(super) hardware: Vec<String>,
    /// The lines that make the bridge are written.
    pub(super) made: bool,
}

impl InterfacesEdit<'_> {
    /// Rewrites one file.
    pub(super) fn file(&mut self, text: &str) -> Result<String> {
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
                InterfacesLine::Other("mapping", names)
                    if names.iter().any(|name| glob::matches(name, &desired.nic)) =>
                {
                    bail!(
                        "a mapping stanza covers {}: write its stanza out first",
                        desired.nic
                    );
                }
                // ifup renames whenever it is called, and the bridge has the NIC's address
                InterfacesLine::Other("rename", names)
                    if names
                        .iter()
                        .any(|name| self.named(name) != NamedDevice::Other) =>
                {
                    bail!(
                        "'{}' covers {}, or {} by its address: rename by the old name, or in a .link file of udev",
                        line.trim(),
                        desired.nic,
                        desired.bridge
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

    /// What a word of `auto`, `allow-*` or `rename` means: a name, or a pattern of the devices that are there
    /// (`/eth*`, `mac/52:54:*`, any file below `/sys/class/net/eth0` for `mac`), either with the stanza that the device
    /// comes up by (`eth0=lab`).
    fn named(&self, word: &str) -> NamedDevice {
        let DesiredBridge { nic, mac, .. } = self.desired;
        let (device, stanza) = match word.split_once('=') {
            Some((device, stanza)) => (device, Some(stanza)),
            None => (word, None),
        };
        let (is_nic, by_name) = match device.split_once('/') {
            None if device != nic && self.is_nic(device) => return NamedDevice::Alias,
            None => (device == nic, true),
            Some((variable, value)) => {
                // after it comes which one of several is meant
                let value = value.split('/').next().unwrap_or_default();
                match variable {
                    "" => (glob::matches(value, nic), true),
                    "mac" | "address" => (glob::matches(value, &mac.to_string()), false),
                    _ => (true, false),
                }
            }
        };
        match stanza {
            _ if !is_nic => NamedDevice::Other,
            // the bridge would come up by the NIC's stanza too
            Some(stanza) if stanza != nic || !by_name => NamedDevice::Mapped,
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

    /// What is left of the NIC: a stanza without an address, with what its hardware needs.
    pub(super) fn port_stanza(&self) -> String {
        let mut text = format!("\niface {} inet manual\n", self.desired.nic);
        for line in &self.hardware {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
