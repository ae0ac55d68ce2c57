//! Which `.network` file networkd takes for a device, and a name that sorts before it.
//!
//! The files of all directories are sorted by name; the first whose `[Match]` holds wins, and a file
//! hides those of its name in weaker directories. Reference: systemd.network(5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{DIRS, ETC};
use crate::bridge::net::Mac;
use crate::bridge::persist::conditions::{Conditions, Pattern, lists, lists_mac};
use crate::bridge::persist::ini::Ini;
use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::sources::Sources;

/// What begins the names of our files: the usual one, and those that sort earlier and earlier.
const PREFIXES: [&str; 5] = ["10-", "05-", "00-", "0-", "+"];

/// A device as `[Match]` sees it.
pub(super) struct MatchedDevice<'a> {
    name: &'a str,
    mac: Mac,
    /// What it is to the kernel, and to udev.
    kinds: [&'a str; 2],
}

impl<'a> MatchedDevice<'a> {
    /// The bridge, which has the NIC's address.
    pub(super) fn bridge(desired: &'a DesiredBridge) -> Self {
        Self {
            name: &desired.bridge,
            mac: desired.mac,
            kinds: ["bridge", "bridge"],
        }
    }

    /// An end of a veth pair.
    pub(super) fn veth(name: &'a str) -> Self {
        Self {
            name,
            mac: Mac([0; 6]),
            kinds: ["veth", "ether"],
        }
    }

    /// Whether a file's `[Match]` may hold for it.
    fn fits(&self, text: &str) -> bool {
        let ini = Ini::parse(text);
        // An empty file is a masked one.
        !text.trim().is_empty() && Conditions::of(&ini).all(|key, words| self.holds(key, words))
    }

    fn holds(&self, key: &str, words: &[Pattern<'_>]) -> bool {
        match key {
            "Name" => lists(words, self.name),
            "Kind" | "Driver" => lists(words, self.kinds[0]),
            "Type" => lists(words, self.kinds[1]),
            "MACAddress" => lists_mac(words, self.mac),
            // A bridge has none of them.
            "PermanentMACAddress" | "Path" | "WLANInterfaceType" | "SSID" | "BSSID" => false,
            _ => true,
        }
    }
}

/// The file that networkd takes for a device.
pub(super) fn in_force<'a>(sources: &'a Sources, device: &MatchedDevice<'_>) -> Option<&'a Path> {
    let mut files: BTreeMap<&str, (&Path, &str)> = BTreeMap::new();
    for dir in DIRS {
        for (path, text) in sources.iter() {
            let network = path.extension().is_some_and(|end| end == "network");
            if network && path.parent() == Some(Path::new(dir)) {
                files.insert(file_name(path), (path, text));
            }
        }
    }
    let mut files = files.into_values();
    files
        .find(|(_, text)| device.fits(text))
        .map(|(path, _)| path)
}

pub(super) fn file_name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

/// Our files for a device, the usual name first.
pub(super) fn names(device: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let path = move |prefix| Path::new(ETC).join(format!("{prefix}{device}.network"));
    PREFIXES.into_iter().map(path)
}

/// The first of our names for a device that sorts before `other`.
pub(super) fn name_before(device: &str, other: Option<&Path>) -> Result<PathBuf> {
    let sorts = |path: &PathBuf| other.is_none_or(|other| file_name(path) < file_name(other));
    names(device).find(sorts).with_context(|| {
        format!(
            "{} sorts before any file for {device}: rename it first",
            other.unwrap_or(Path::new(ETC)).display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> DesiredBridge {
        DesiredBridge {
            nic: "eth0".to_owned(),
            bridge: "br0".to_owned(),
            mac: "52:54:00:12:34:56".parse().unwrap(),
            iaid: None,
            identity: Default::default(),
            address: None,
            switch: None,
        }
    }

    #[test]
    fn a_match_holds_for_the_bridge_or_not() {
        let cases = [
            ("[Match]\nName=*\n", true),
            ("[Match]\nName=eth* br*\n", true),
            ("[Match]\nName=!eth0\n", true),
            ("[Network]\nDHCP=yes\n", true),
            ("[Match]\nMACAddress=52:54:00:12:34:56\n", true),
            ("[Match]\nMACAddress=5254.0012.3456\n", true),
            ("[Match]\nName=eth0\nName=br0\n", true),
            ("[Match]\nName=eth0\nName=\n", true),
            ("[Match]\nName=\"br0\"\n", false),
            ("[Match]\nKind=\"bridge\"\n", true),
            ("[Match]\nName=br0\nMACAddress=!52:54:00:12:34:56\n", true),
            (
                "[Match]\nMACAddress=!52:54:00:12:34:56 52:54:00:00:00:01\n",
                false,
            ),
            ("[Match]\nName=br0\nPermanentMACAddress=!x\n", true),
            ("[Match]\nName=br0\nMACAddress=10.0.0.1\n", false),
            ("[Match]\nName=*\nName=!br0\n", false),
            ("[Match]\nKind=!veth\n", true),
            ("[Match]\nVirtualization=yes\nName=*\n", true),
            ("[Match]\nName=eth0\n", false),
            ("[Match]\nName=!br0\n", false),
            ("[Match]\nType=ether\n", false),
            ("[Match]\nKind=!*\nName=*\n", false),
            ("[Match]\nPermanentMACAddress=52:54:00:12:34:56\n", false),
            ("", false),
        ];
        let desired = desired();
        for (text, expected) in cases {
            assert_eq!(
                MatchedDevice::bridge(&desired).fits(text),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn our_file_sorts_before_the_others() {
        let cases = [
            (None, "10-br0.network"),
            (
                Some("/etc/systemd/network/80-all.network"),
                "10-br0.network",
            ),
            (
                Some("/etc/systemd/network/10-all.network"),
                "05-br0.network",
            ),
            (
                Some("/run/systemd/network/05-all.network"),
                "00-br0.network",
            ),
            (Some("/etc/systemd/network/00-all.network"), "0-br0.network"),
            (Some("/etc/systemd/network/-all.network"), "+br0.network"),
        ];
        for (other, expected) in cases {
            let name = name_before("br0", other.map(Path::new)).unwrap();
            assert_eq!(file_name(&name), expected, "{other:?}");
        }
        let err = name_before("br0", Some(Path::new("/etc/systemd/network/!.network")));
        assert_eq!(
            format!("{:#}", err.unwrap_err()),
            "/etc/systemd/network/!.network sorts before any file for br0: rename it first"
        );
    }
}
