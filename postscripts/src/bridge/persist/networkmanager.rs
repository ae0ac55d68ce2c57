//! NetworkManager: keyfiles, `*.nmconnection`.
//!
//! In: the keyfiles, the one in force for the NIC, and the desired bridge. Out: that profile as a port of the
//! bridge (its id, UUID and hardware settings stay), and a profile for the bridge that takes the
//! sections that say how it is addressed unchanged. A profile of this boot or of the vendor is
//! taken over under the same UUID in `/etc`, and that of this boot goes, as it would hide the other.
//! Reference: nm-settings-keyfile(5).

mod priority;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ini::{Ini, IniSection};
use super::keys::{KEYFILE_CONNECTION, KEYFILE_SECTIONS, KeyOwner};
use super::model::{Addressing, DesiredBridge, RouteConfig, parse_network};
use super::sources::Sources;
use crate::files::{Access, FileChange};
use priority::{MAX_PRIORITY, highest_rival, priority, priority_above};

/// Where NetworkManager reads, strongest last: a profile of this boot hides the others of its UUID.
pub(super) const DIRS: [&str; 3] = ["/usr/lib/NetworkManager/system-connections", ETC, RUN];
const ETC: &str = "/etc/NetworkManager/system-connections";
const RUN: &str = "/run/NetworkManager/system-connections";
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

/// A profile of a device above the NIC that takes its frames, or has no route by a port.
fn exclusive(sources: &Sources, nic: &str, uuid: &str) -> Option<(PathBuf, &'static str)> {
    let is_above = |text: &str, kind: &str| {
        let ini = Ini::parse(text);
        let parent = ini.value(kind, "parent");
        parent.is_some_and(|parent| parent == nic || parent == uuid)
    };
    sources.iter().find_map(|(path, text)| {
        // a VLAN alone is above the bridge
        let kinds = ["macvlan", "ipvlan", "macsec", "vxlan", "ip-tunnel", "pppoe"];
        let kind = kinds.into_iter().find(|kind| is_above(text, kind))?;
        Some((path.to_owned(), kind))
    })
}

/// The files as they shall be; the NIC's profile has this UUID.
pub(super) fn rewrite(
    sources: &Sources,
    uuid: &str,
    desired: &DesiredBridge,
) -> Result<Vec<FileChange>> {
    let (file, text) = in_force(sources, uuid)?;
    let mut port = Ini::parse(text);
    let bridge_uuid = by_name(sources, &desired.bridge)
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
        if master == desired.bridge || Some(master) == bridge_uuid.as_deref() {
            return Ok(Vec::new());
        }
        bail!(
            "{} puts {} into {master} already: remove it there first",
            file.display(),
            desired.nic
        );
    }
    if let Some((upper, kind)) = exclusive(sources, &desired.nic, uuid) {
        let article = if kind.starts_with('i') { "an" } else { "a" };
        bail!(
            "{} puts {article} {kind} on {}, which a port of a bridge cannot carry: remove it first",
            upper.display(),
            desired.nic
        );
    }
    let shared = shares(&port);
    let own = by_uuid(sources, &port_uuid(uuid, shared, &desired.nic)).filter(|_| shared);
    if own.is_some() && bridge_uuid.is_some() {
        return Ok(Vec::new());
    }
    if bridge_uuid.is_some() {
        bail!(
            "a profile for {} exists already and {} does not use it: remove it first",
            desired.bridge,
            desired.nic
        );
    }
    let bridge = bridge_profile(&mut port, desired)?;
    // What NetworkManager notes of a profile of its own making.
    port.sections.retain(|section| section.name != ".nmmeta");
    let mut place = file.clone();
    if shared {
        make_own(&mut port, uuid, desired, priority_above(sources));
        place = PathBuf::from(format!("{}.nmconnection", desired.nic));
        if sources.holds(&Path::new(ETC).join(&place)) {
            bail!(
                "{} exists already: rename it first",
                Path::new(ETC).join(&place).display()
            );
        }
    }
    let rival = highest_rival(sources, uuid, desired);
    let section = port.section_mut("connection");
    let own = priority(section.value("autoconnect-priority"));
    if let Some((path, above)) = rival.filter(|(_, above)| *above > own) {
        if above >= MAX_PRIORITY {
            bail!(
                "{} is for {} too and is activated first at boot (autoconnect-priority={above}): lower that first",
                path.display(),
                desired.nic
            );
        }
        section.set("autoconnect-priority", &(above + 1).to_string());
    }
    section.set("interface-name", &desired.nic);
    // The names every version reads; `controller` and `port-type` came with 1.44.
    section.set("master", &desired.bridge);
    section.set("slave-type", "bridge");
    let mut after = sources.clone();
    if file.starts_with(RUN) && !shared {
        after.remove(&file);
    }
    after.insert(bridge_path(desired), bridge.render());
    after.insert(
        Path::new(ETC).join(place.file_name().unwrap_or_default()),
        port.render(),
    );
    // NetworkManager ignores a profile that others may read, whatever the old one allowed.
    Ok(sources.changes_to(&after, |_| Access::Mode(0o600)))
}

/// Whether a profile may be active on several devices at once.
fn shares(profile: &Ini) -> bool {
    matches!(
        profile.value("connection", "multi-connect"),
        Some("2" | "3")
    )
}

/// Whether the profile in a file serves other NICs too.
pub(super) fn is_shared(sources: &Sources, file: &Path) -> bool {
    sources
        .text(file)
        .is_some_and(|text| shares(&Ini::parse(text)))
}

/// The UUID of the NIC's profile as a port: its own, or a new one where others need the old.
pub(super) fn port_uuid(uuid: &str, shared: bool, nic: &str) -> String {
    if shared {
        derived_uuid(uuid, nic)
    } else {
        uuid.to_owned()
    }
}

/// Makes a profile for the NIC alone of one that others go on using.
fn make_own(port: &mut Ini, uuid: &str, desired: &DesiredBridge, priority: i32) {
    port.preamble.clear();
    port.sections
        .retain(|section| !matches!(section.name.as_str(), "match" | "user"));
    let section = port.section_mut("connection");
    section.take(|key| matches!(key, "multi-connect" | "timestamp"));
    section.set("id", &desired.nic);
    section.set("uuid", &port_uuid(uuid, true, &desired.nic));
    section.set("autoconnect-priority", &priority.to_string());
}

/// The profile with this UUID that counts, and its text.
fn in_force<'a>(sources: &'a Sources, uuid: &str) -> Result<(PathBuf, &'a str)> {
    let file = by_uuid(sources, uuid);
    let found = file.and_then(|file| sources.text(&file).map(|text| (file, text)));
    found.with_context(|| format!("there is no profile with the UUID {uuid} any more"))
}

/// Takes the bridge's settings out of the NIC's profile.
fn bridge_profile(port: &mut Ini, desired: &DesiredBridge) -> Result<Ini> {
    let uuid = port
        .value("connection", "uuid")
        .context("the profile has no uuid")?;
    let mut connection = IniSection::new("connection");
    connection.lines = vec![
        format!("id={}", desired.bridge),
        format!("uuid={}", derived_uuid(uuid, &desired.bridge)),
        "type=bridge".to_owned(),
        format!("interface-name={}", desired.bridge),
    ];
    let shared: Vec<String> = port
        .all("connection")
        .flat_map(IniSection::pairs)
        .filter(|(key, _)| KEYFILE_CONNECTION.goes(key) == KeyOwner::Both)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    connection.lines.extend(shared);
    connection.lines.extend(
        port.section_mut("connection")
            .take(|key| KEYFILE_CONNECTION.goes(key) == KeyOwner::Bridge),
    );

    let mut sections = vec![connection];
    let wired = ["ethernet", "802-3-ethernet"]
        .into_iter()
        .find_map(|name| port.value(name, "mtu"));
    if let Some(mtu) = wired {
        sections.push(IniSection {
            name: "ethernet".to_owned(),
            lines: vec![format!("mtu={mtu}")],
        });
    }
    let lines = [
        format!("mac-address={}", desired.mac),
        "stp=false".to_owned(),
        "forward-delay=0".to_owned(),
    ];
    sections.push(IniSection {
        name: "bridge".to_owned(),
        lines: lines.into(),
    });
    let (moved, kept) = std::mem::take(&mut port.sections)
        .into_iter()
        .partition(|section| KEYFILE_SECTIONS.goes(&section.name) == KeyOwner::Bridge);
    port.sections = kept;
    sections.extend::<Vec<IniSection>>(moved);
    let mut bridge = Ini {
        preamble: Vec::new(),
        sections,
    };
    if let Some(address) = desired.address {
        let section = bridge.section_mut(if address.is_ipv4() { "ipv4" } else { "ipv6" });
        section.set("method", "manual");
        section.set("address1", &address.to_string());
    }
    if let Some(iaid) = desired.iaid {
        for name in ["ipv4", "ipv6"] {
            let section = bridge.section_mut(name);
            if section.value("dhcp-iaid").is_none() && section.value("method") == Some("auto") {
                section.set("dhcp-iaid", &iaid.to_string());
            }
        }
    }
    carry_identity(&mut bridge, desired)?;
    let count = bridge.sections.len();
    bridge
        .sections
        .iter_mut()
        .take(count - 1)
        .for_each(IniSection::end_with_blank);
    Ok(bridge)
}

/// Writes down what NetworkManager would generate from the bridge's name or its profile's UUID.
fn carry_identity(bridge: &mut Ini, desired: &DesiredBridge) -> Result<()> {
    let set =
        |section: &str, key: &str| bridge.value(section, key).filter(|value| !value.is_empty());
    let duid = set("ipv6", "dhcp-duid").unwrap_or_default().to_owned();
    let stable = duid.starts_with("stable");
    if stable {
        let made = format!(
            "dhcp-duid={duid} makes the DUID from the profile of {}",
            desired.nic
        );
        desired
            .identity
            .refuse_leased(&made, "write the DUID itself there", desired)?;
    }
    let iaid = set("ipv6", "dhcp-iaid");
    let written = iaid.is_some_and(|iaid| iaid == "mac" || iaid.parse::<u32>().is_ok());
    if desired.iaid.is_none() && !written {
        let nic = &desired.nic;
        let write = format!("write dhcp-iaid= (nmcli -f DHCP6 device show {nic} shows it) there");
        let made = format!("NetworkManager makes the IAID from the name or the profile of {nic}");
        desired.identity.refuse_leased(&made, &write, desired)?;
    }
    let by_mac = format!("01:{}", desired.mac);
    let client_id = desired
        .identity
        .client_id
        .as_deref()
        .filter(|id| *id != by_mac);
    let client_id = match set("ipv4", "dhcp-client-id") {
        Some("stable") => client_id,
        // A bridge has no permanent address.
        Some("perm-mac") => desired.identity.client_id.as_deref(),
        Some("duid" | "ipv6-duid") => client_id.filter(|_| stable),
        // The identity association is carried by itself.
        None => client_id.filter(|id| !id.starts_with("ff:")),
        Some(_) => None,
    };
    let token = match set("ipv6", "token") {
        Some(_) => None,
        None => desired.identity.token(desired)?,
    };
    if let Some(id) = client_id {
        bridge.section_mut("ipv4").set("dhcp-client-id", id);
    }
    if let Some(token) = token {
        let section = bridge.section_mut("ipv6");
        section.set("addr-gen-mode", "eui64");
        section.set("token", &token.to_string());
    }
    Ok(())
}

/// Where the bridge's profile is.
pub(super) fn bridge_path(desired: &DesiredBridge) -> PathBuf {
    Path::new(ETC).join(format!("{}.nmconnection", desired.bridge))
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
    read_families(&ini, &mut into).with_context(|| format!("reading {}", file.display()))?;
    Ok(into)
}

/// Adds what `[ipv4]` and `[ipv6]` set of addresses, routes and names.
pub(super) fn read_families(ini: &Ini, into: &mut Addressing) -> Result<()> {
    for (family, default) in [("ipv4", "0.0.0.0/0"), ("ipv6", "::/0")] {
        for (key, value) in ini.all(family).flat_map(IniSection::pairs) {
            let options = ini.value(family, &format!("{key}_options"));
            ip_key(key, value, options, default, into)
                .with_context(|| format!("reading {key}={value}"))?;
        }
    }
    Ok(())
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
            .insert(parse_network(parts.next().unwrap_or_default())?);
        if let Some(gateway) = parts.next().filter(|gateway| !gateway.is_empty()) {
            into.routes
                .insert(RouteConfig::default_via(gateway.parse()?));
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
        into.routes.insert(RouteConfig {
            to: if to == default {
                default.to_owned()
            } else {
                RouteConfig::destination(to, via)
            },
            via,
            metric: parts.next().map(str::parse).transpose()?,
            table: option("table").map(|(_, table)| table.to_owned()),
        });
    } else if numbered(key, "routing-rule") {
        into.rules.insert(value.to_owned());
    } else {
        match key {
            "gateway" => drop(into.routes.insert(RouteConfig::default_via(value.parse()?))),
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
