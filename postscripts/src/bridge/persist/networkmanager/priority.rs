//! Which of the profiles that fit a device is activated at boot: that of the highest priority.
//! Reference: nm-settings(5), `connection.autoconnect-priority`.

use std::path::PathBuf;

use super::super::ini::Ini;
use super::super::model::DesiredBridge;
use super::super::sources::Sources;
use crate::bridge::net::Mac;

/// A priority that no profile has: NetworkManager takes the highest that fits a device.
pub(super) fn priority_above(sources: &Sources) -> i32 {
    let known = sources.iter().map(|(_, text)| {
        let ini = Ini::parse(text);
        priority(ini.value("connection", "autoconnect-priority"))
    });
    known.fold(0, i32::max).saturating_add(1).min(MAX_PRIORITY)
}

/// The highest priority there is (nm-settings(5), `connection.autoconnect-priority`).
pub(super) const MAX_PRIORITY: i32 = 999;

pub(super) fn priority(value: Option<&str>) -> i32 {
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

/// Of the other profiles that are activated at boot and fit the NIC, the one of the highest priority.
pub(super) fn highest_rival(
    sources: &Sources,
    uuid: &str,
    desired: &DesiredBridge,
) -> Option<(PathBuf, i32)> {
    let rivals = sources.iter().filter_map(|(path, text)| {
        let ini = Ini::parse(text);
        let value = |key| ini.value("connection", key);
        let is_wired = matches!(value("type"), Some("ethernet" | "802-3-ethernet"));
        let is_named = value("interface-name").is_none_or(|name| name == desired.nic);
        let mut macs = ["ethernet", "802-3-ethernet"]
            .into_iter()
            .filter_map(|section| ini.value(section, "mac-address"));
        let has_mac = macs.all(|mac| mac.parse().is_ok_and(|mac: Mac| mac == desired.mac));
        let is_activated = value("autoconnect") != Some("false");
        let is_rival =
            is_wired && is_named && has_mac && is_activated && value("uuid") != Some(uuid);
        is_rival.then(|| (path.to_owned(), priority(value("autoconnect-priority"))))
    });
    rivals.max_by_key(|(_, priority)| *priority)
}
