//! NetworkManager: keyfiles, `*.nmconnection`.
//!
//! In: the keyfiles, the one in force for the NIC, and the wish. Out: that profile as a port of the
//! bridge (its id, UUID and hardware settings stay), and a profile for the bridge that takes the
//! sections that say how it is addressed as they stand. A profile of this boot or of the vendor is
//! taken over under the same UUID in `/etc`, and that of this boot goes, as it would hide the other.
//! Reference: nm-settings-keyfile(5).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ini::{Ini, Section};
use super::model::{Addressing, Net, Route, Wish};
use super::sources::Sources;
use crate::files::{Access, Change};

/// Where NetworkManager reads, strongest last: a profile of this boot hides the others of its UUID.
pub(super) const DIRS: [&str; 3] = ["/usr/lib/NetworkManager/system-connections", ETC, RUN];
const ETC: &str = "/etc/NetworkManager/system-connections";
const RUN: &str = "/run/NetworkManager/system-connections";
/// Sections that go with the address.
const MOVES: [&str; 4] = ["ipv4", "ipv6", "proxy", "hostname"];
/// Keys of `[connection]` that go with the address.
const MOVED_KEYS: [&str; 9] = [
    "zone",
    "mdns",
    "llmnr",
    "dns-over-tls",
    "metered",
    "stable-id",
    "secondaries",
    "gateway-ping-timeout",
    "ip-ping-addresses",
];
/// Keys of `[connection]` that both need.
const SHARED_KEYS: [&str; 5] = [
    "autoconnect",
    "autoconnect-priority",
    "autoconnect-retries",
    "permissions",
    "multi-connect",
];

pub(super) fn wanted(name: &str) -> bool {
    name.ends_with(".nmconnection")
}

/// The profile with this UUID, in the directory that wins.
pub(super) fn by_uuid(sources: &Sources, uuid: &str) -> Option<PathBuf> {
    profile(sources, |ini| ini.value("connection", "uuid") == Some(uuid))
}

/// The UUID of a profile.
pub(super) fn uuid(sources: &Sources, file: &Path) -> Option<String> {
    let ini = Ini::parse(sources.text(file)?);
    ini.value("connection", "uuid").map(str::to_owned)
}

/// The profile written for this device; not one that NetworkManager makes to describe what others did to it.
pub(super) fn by_name(sources: &Sources, name: &str) -> Option<PathBuf> {
    profile(sources, |ini| {
        ini.value("connection", "interface-name") == Some(name)
            && ini.value(".nmmeta", "external") != Some("true")
    })
}

fn profile(sources: &Sources, wanted: impl Fn(&Ini) -> bool) -> Option<PathBuf> {
    DIRS.iter().rev().find_map(|dir| {
        let mut here = sources
            .iter()
            .filter(|(path, _)| path.parent() == Some(Path::new(dir)));
        here.find(|(_, text)| wanted(&Ini::parse(text)))
            .map(|(path, _)| path.to_owned())
    })
}

/// The files as they shall be; the NIC's profile has this UUID.
pub(super) fn rewrite(sources: &Sources, uuid: &str, wish: &Wish) -> Result<Vec<Change>> {
    let (file, text) = in_force(sources, uuid)?;
    let mut port = Ini::parse(text);
    let bridge_uuid = by_name(sources, &wish.bridge)
        .and_then(|path| sources.text(&path))
        .and_then(|text| {
            Ini::parse(text)
                .value("connection", "uuid")
                .map(str::to_owned)
        });
    let master = ["controller", "master"]
        .into_iter()
        .find_map(|key| port.value("connection", key));
    if let Some(master) = master {
        if master == wish.bridge || Some(master) == bridge_uuid.as_deref() {
            return Ok(Vec::new());
        }
        bail!(
            "{} puts {} into {master} already: take it out there first",
            file.display(),
            wish.nic
        );
    }
    if bridge_uuid.is_some() {
        bail!(
            "a profile for {} exists already and {} does not use it: remove it first",
            wish.bridge,
            wish.nic
        );
    }
    let bridge = bridge_profile(&mut port, wish)?;
    // What NetworkManager notes of a profile of its own making.
    port.sections.retain(|section| section.name != ".nmmeta");
    let section = port.section_mut("connection");
    section.set("interface-name", &wish.nic);
    // The names every version reads; `controller` and `port-type` came with 1.44.
    section.set("master", &wish.bridge);
    section.set("slave-type", "bridge");
    let mut after = sources.clone();
    if file.starts_with(RUN) {
        after.remove(&file);
    }
    after.insert(bridge_path(wish), bridge.render());
    after.insert(
        Path::new(ETC).join(file.file_name().unwrap_or_default()),
        port.render(),
    );
    // NetworkManager ignores a profile that others may read, whatever the old one allowed.
    Ok(sources.changes_to(&after, |_| Access::Mode(0o600)))
}

/// The profile with this UUID that counts, and its text.
fn in_force<'a>(sources: &'a Sources, uuid: &str) -> Result<(PathBuf, &'a str)> {
    let file = by_uuid(sources, uuid);
    let found = file.and_then(|file| sources.text(&file).map(|text| (file, text)));
    found.with_context(|| format!("there is no profile with the UUID {uuid} any more"))
}

/// Takes the bridge's settings out of the NIC's profile.
fn bridge_profile(port: &mut Ini, wish: &Wish) -> Result<Ini> {
    let uuid = port
        .value("connection", "uuid")
        .context("the profile has no uuid")?;
    let mut connection = Section::new("connection");
    connection.lines = vec![
        format!("id={}", wish.bridge),
        format!("uuid={}", derived_uuid(uuid, &wish.bridge)),
        "type=bridge".to_owned(),
        format!("interface-name={}", wish.bridge),
    ];
    let shared: Vec<String> = port
        .all("connection")
        .flat_map(Section::pairs)
        .filter(|(key, _)| SHARED_KEYS.contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    connection.lines.extend(shared);
    connection.lines.extend(
        port.section_mut("connection")
            .take(|key| MOVED_KEYS.contains(&key)),
    );

    let mut sections = vec![connection];
    let wired = ["ethernet", "802-3-ethernet"]
        .into_iter()
        .find_map(|name| port.value(name, "mtu"));
    if let Some(mtu) = wired {
        sections.push(Section {
            name: "ethernet".to_owned(),
            lines: vec![format!("mtu={mtu}")],
        });
    }
    let lines = [
        format!("mac-address={}", wish.mac),
        "stp=false".to_owned(),
        "forward-delay=0".to_owned(),
    ];
    sections.push(Section {
        name: "bridge".to_owned(),
        lines: lines.into(),
    });
    let (moved, kept) = std::mem::take(&mut port.sections)
        .into_iter()
        .partition(|section| MOVES.contains(&section.name.as_str()));
    port.sections = kept;
    sections.extend::<Vec<Section>>(moved);
    let mut bridge = Ini {
        preamble: Vec::new(),
        sections,
    };
    if let Some(address) = wish.address {
        let section = bridge.section_mut(if address.address.is_ipv4() {
            "ipv4"
        } else {
            "ipv6"
        });
        section.set("method", "manual");
        section.set("address1", &address.to_string());
    }
    if let Some(iaid) = wish.iaid {
        for name in ["ipv4", "ipv6"] {
            let section = bridge.section_mut(name);
            if section.value("dhcp-iaid").is_none() && section.value("method") == Some("auto") {
                section.set("dhcp-iaid", &iaid.to_string());
            }
        }
    }
    let count = bridge.sections.len();
    bridge
        .sections
        .iter_mut()
        .take(count - 1)
        .for_each(Section::end_with_blank);
    Ok(bridge)
}

/// Where the bridge's profile stands.
pub(super) fn bridge_path(wish: &Wish) -> PathBuf {
    Path::new(ETC).join(format!("{}.nmconnection", wish.bridge))
}

/// A UUID (RFC 9562 version 8) that every run makes alike: FNV-1a of the NIC's UUID and the name.
pub(super) fn derived_uuid(nic_uuid: &str, bridge: &str) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = nic_uuid.bytes().chain([0]).chain(bridge.bytes());
    let hash = bytes.fold(BASIS, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    let hash = hash & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{hash:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// How the profile with this UUID addresses its device.
pub(super) fn read(sources: &Sources, uuid: &str) -> Result<Addressing> {
    let (file, text) = in_force(sources, uuid)?;
    let ini = Ini::parse(text);
    let mut into = Addressing {
        dhcp4: ini
            .value("ipv4", "method")
            .is_none_or(|method| method == "auto"),
        dhcp6: ini.value("ipv6", "method") == Some("dhcp"),
        ra: match ini.value("ipv6", "method") {
            None | Some("auto") => Some(true),
            Some(_) => Some(false),
        },
        ..Addressing::default()
    };
    for name in ["ethernet", "802-3-ethernet"] {
        if let Some(mtu) = ini.value(name, "mtu") {
            into.mtu = Some(mtu.parse().with_context(|| format!("reading mtu={mtu}"))?);
        }
    }
    for (family, default) in [("ipv4", "0.0.0.0/0"), ("ipv6", "::/0")] {
        for (key, value) in ini.all(family).flat_map(Section::pairs) {
            let options = ini.value(family, &format!("{key}_options"));
            ip_key(key, value, options, default, &mut into)
                .with_context(|| format!("reading {key}={value} of {}", file.display()))?;
        }
    }
    Ok(into)
}

fn ip_key(
    key: &str,
    value: &str,
    options: Option<&str>,
    default: &str,
    into: &mut Addressing,
) -> Result<()> {
    let mut parts = value.split(',').map(str::trim);
    let words = || {
        value
            .split([';', ','])
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
    };
    if numbered(key, "address") {
        into.addresses
            .insert(parts.next().unwrap_or_default().parse::<Net>()?);
        if let Some(gateway) = parts.next().filter(|gateway| !gateway.is_empty()) {
            into.routes.insert(Route::default_via(gateway.parse()?));
        }
    } else if numbered(key, "route") {
        let to = parts.next().unwrap_or_default();
        let via = parts
            .next()
            .filter(|via| !via.is_empty())
            .map(str::parse)
            .transpose()?;
        let option = |name: &str| {
            let options = options.unwrap_or_default().split(',');
            options
                .filter_map(|option| option.split_once('='))
                .find(|(key, _)| *key == name)
        };
        into.routes.insert(Route {
            to: if to == default {
                default.to_owned()
            } else {
                Route::destination(to, via)
            },
            via,
            metric: parts.next().map(str::parse).transpose()?,
            table: option("table").map(|(_, table)| table.to_owned()),
        });
    } else if numbered(key, "routing-rule") {
        into.rules.insert(value.to_owned());
    } else {
        match key {
            "gateway" => drop(into.routes.insert(Route::default_via(value.parse()?))),
            "dns" => into.dns.extend(words()),
            "dns-search" => into.search.extend(words()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether `key` is `name`, with a number or without.
fn numbered(key: &str, name: &str) -> bool {
    let rest = key
        .strip_prefix(name)
        .or_else(|| key.strip_prefix(&format!("{name}es")));
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_has_the_same_uuid_in_every_run() {
        let uuid = derived_uuid("2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c", "mydocker0");
        assert_eq!(
            uuid,
            derived_uuid("2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c", "mydocker0")
        );
        assert_ne!(
            uuid,
            derived_uuid("2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c", "mydocker1")
        );
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'8'));
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
    }
}
