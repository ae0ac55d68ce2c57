//! What of a `.network` file is about the hardware, and what goes to the bridge.

use super::super::ini::{Ini, IniSection};
use super::super::keys::{KeyOwner, NETWORKD, NETWORKD_SECTIONS};

/// Takes the bridge's sections out of a NIC's file.
pub(super) fn split(ini: &mut Ini) -> Vec<IniSection> {
    let mut moved = Vec::new();
    for mut section in std::mem::take(&mut ini.sections) {
        match section.name.as_str() {
            "Link" => {
                let lines = bridge_link(&mut section);
                if !lines.is_empty() {
                    let name = section.name.clone();
                    moved.push(IniSection { name, lines });
                }
                ini.sections.push(section);
            }
            name if NETWORKD_SECTIONS.goes(name) == KeyOwner::Nic => ini.sections.push(section),
            "Network" => {
                let mut theirs = section.clone();
                let lines = theirs.take(|key| NETWORKD.goes(key) != KeyOwner::Nic);
                if lines.iter().any(|line| !line.trim().is_empty()) {
                    moved.push(IniSection {
                        name: section.name,
                        lines,
                    });
                }
                if theirs.pairs().next().is_some() {
                    ini.sections.push(theirs);
                }
            }
            _ => moved.push(section),
        }
    }
    moved
}

/// The bridge's part of `[Link]`: what both need, and what a port never is, as `routable`, for which
/// systemd-networkd-wait-online would wait in vain.
fn bridge_link(link: &mut IniSection) -> Vec<String> {
    const BOOLEANS: [&str; 12] = [
        "yes", "no", "true", "false", "on", "off", "1", "0", "y", "n", "t", "f",
    ];
    let required = link.value("RequiredForOnline").unwrap_or_default();
    let is_state = !required.is_empty() && !BOOLEANS.contains(&required);
    let leaves = |key: &str| match key {
        "RequiredForOnline" => is_state,
        _ => NETWORKD.known(key) == Some(KeyOwner::Bridge),
    };
    let shared = link
        .pairs()
        .filter(|(key, _)| !leaves(key) && NETWORKD.known(key) == Some(KeyOwner::Both));
    let mut lines: Vec<String> = shared
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    lines.extend(link.take(leaves));
    lines
}
