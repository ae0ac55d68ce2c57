//! ifcfg: `/etc/sysconfig/network-scripts`, read by network-scripts and by NetworkManager's ifcfg-rh.
//!
//! In: those files and the desired bridge. Out: the NIC's file with its hardware keys and `BRIDGE=`, a file for
//! the bridge with every other key unchanged, and the NIC's route, rule and alias files under the
//! bridge's name. Keys nobody here knows go with the address. Reference: sysconfig.txt of
//! initscripts, nm-settings-ifcfg-rh(5).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ipnetwork::IpNetwork;

use super::keys::{IFCFG, KeyOwner};
use super::model::{
    Addressing, DesiredBridge, RouteConfig, length_of_mask, parse_network, with_length,
};
use super::shellvars::ShellVars;
use super::sources::Sources;
use crate::files::{Access, FileChange};

pub(super) const DIR: &str = "/etc/sysconfig/network-scripts";
/// What a device is put into, in the words of initscripts, teamd, Open vSwitch and NetworkManager.
const MASTERS: [&str; 7] = [
    "BRIDGE",
    "MASTER",
    "BRIDGE_UUID",
    "TEAM_MASTER",
    "OVS_BRIDGE",
    "VRF",
    "VRF_UUID",
];
/// Files that go with the address, by the start of their name.
const COMPANIONS: [&str; 4] = ["route-", "route6-", "rule-", "rule6-"];

pub(super) fn wanted(name: &str) -> bool {
    let known = ["ifcfg-", "route-", "route6-", "rule-", "rule6-"];
    let backup = [".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", "~"];
    known.iter().any(|start| name.starts_with(start))
        && !backup.iter().any(|end| name.ends_with(end))
}

/// Where the file of a device is.
pub(super) fn path(device: &str) -> PathBuf {
    Path::new(DIR).join(format!("ifcfg-{device}"))
}

/// The NIC's file: by name, else by the device or the hardware address in it.
pub(super) fn find(sources: &Sources, desired: &DesiredBridge) -> Option<PathBuf> {
    // a file may have another device's name
    let named = path(&desired.nic);
    let of_another = |text: &str| {
        let vars = ShellVars::parse(text);
        vars.value("DEVICE")
            .is_some_and(|device| device != desired.nic)
    };
    if sources.text(&named).is_some_and(|text| !of_another(text)) {
        return Some(named);
    }
    let holds = |vars: &ShellVars| match vars.value("DEVICE") {
        Some(device) => device == desired.nic,
        None => vars.value("HWADDR").and_then(|mac| mac.parse().ok()) == Some(desired.mac),
    };
    let ours = |path: &Path| {
        path.parent() == Some(Path::new(DIR)) && file_name(path).starts_with("ifcfg-")
    };
    sources
        .iter()
        .find(|(path, text)| ours(path) && holds(&ShellVars::parse(text)))
        .map(|(path, _)| path.to_owned())
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// The files as they shall be.
pub(super) fn rewrite(sources: &Sources, desired: &DesiredBridge) -> Result<Vec<FileChange>> {
    let file =
        find(sources, desired).with_context(|| format!("{DIR} has no file for {}", desired.nic))?;
    let mut port = ShellVars::parse(sources.text(&file).unwrap_or_default());
    match MASTERS.iter().find_map(|key| port.value(key)) {
        Some(master) if master == desired.bridge => return Ok(Vec::new()),
        Some(master) => bail!(
            "{} puts {} into {master} already: remove it there first",
            file.display(),
            desired.nic
        ),
        None => {}
    }
    let target = path(&desired.bridge);
    if sources.holds(&target) {
        bail!(
            "{} exists already and {} does not use it: remove it first",
            target.display(),
            desired.nic
        );
    }
    let mut after = sources.clone();
    let mut bridge = bridge_vars(&mut port, desired);
    if let (None, Some(token)) = (bridge.value("IPV6_TOKEN"), desired.identity.token(desired)?) {
        bridge.set("IPV6_ADDR_GEN_MODE", "eui64");
        bridge.set("IPV6_TOKEN", &token.to_string());
    }
    if port.value("DEVICE").is_none() {
        port.set("DEVICE", &desired.nic);
    }
    port.set("BRIDGE", &desired.bridge);
    after.insert(&file, port.render());
    after.insert(&target, bridge.render());
    let moved = companions(sources, &file, desired);
    for (from, to, text) in &moved {
        if after.holds(to) {
            bail!(
                "{} would go to {}, where another file is: join the two first",
                from.display(),
                to.display()
            );
        }
        after.insert(to, text);
    }
    let origin = |path: &Path| moved.iter().find(|(_, to, _)| to == path);
    let mut changes = sources.changes_to(&after, |path| {
        Access::Like(origin(path).map_or_else(|| file.clone(), |(from, ..)| from.clone()))
    });
    changes.extend(moved.iter().map(|(from, ..)| FileChange::remove(from)));
    Ok(changes)
}

/// Takes the bridge's keys out of the NIC's file.
fn bridge_vars(port: &mut ShellVars, desired: &DesiredBridge) -> ShellVars {
    let shared: Vec<String> = port
        .lines
        .iter()
        .filter(|line| {
            line.split_once('=')
                .is_some_and(|(key, _)| IFCFG.goes(key.trim()) == KeyOwner::Both)
        })
        .cloned()
        .collect();
    let moved = port.take(|key| IFCFG.goes(key) == KeyOwner::Bridge);
    let mut bridge = ShellVars {
        lines: vec![
            format!("DEVICE={}", desired.bridge),
            format!("NAME={}", desired.bridge),
            "TYPE=Bridge".to_owned(),
            "STP=no".to_owned(),
            "DELAY=0".to_owned(),
            format!("MACADDR={}", desired.mac),
        ],
    };
    bridge.lines.extend(shared);
    bridge.lines.extend(moved);
    match desired.address {
        Some(net) if net.is_ipv4() => {
            bridge.set("BOOTPROTO", "none");
            bridge.set("IPADDR", &net.ip().to_string());
            bridge.set("PREFIX", &net.prefix().to_string());
        }
        Some(net) => {
            bridge.set("IPV6INIT", "yes");
            bridge.set("IPV6ADDR", &net.to_string());
        }
        None => {}
    }
    bridge
}

/// The names that the files of routes and rules may have: that of the device, as network-scripts looks for them, and
/// that of its file, as NetworkManager does.
fn own_names<'a>(file: &'a Path, device: &'a str) -> BTreeSet<&'a str> {
    let named = file_name(file).strip_prefix("ifcfg-");
    [device].into_iter().chain(named).collect()
}

/// The NIC's route, rule and alias files, with where they go and their content there.
fn companions(
    sources: &Sources,
    file: &Path,
    desired: &DesiredBridge,
) -> Vec<(PathBuf, PathBuf, String)> {
    let (nic, bridge) = (desired.nic.as_str(), desired.bridge.as_str());
    let names = own_names(file, nic);
    let mut found = Vec::new();
    for (path, text) in sources
        .iter()
        .filter(|(path, _)| path.parent() == Some(Path::new(DIR)))
    {
        let name = file_name(path);
        let is_own = |start: &&&str| {
            let device = name.strip_prefix(**start);
            device.is_some_and(|device| names.contains(device))
        };
        let routes = COMPANIONS.iter().find(is_own);
        let alias = name
            .strip_prefix("ifcfg-")
            .and_then(|rest| rest.strip_prefix(nic))
            .filter(|rest| rest.starts_with(':') || rest.starts_with("-range"));
        let to = match (routes, alias) {
            (Some(start), _) => format!("{start}{bridge}"),
            (None, Some(rest)) => format!("ifcfg-{bridge}{rest}"),
            (None, None) => continue,
        };
        let to = Path::new(DIR).join(to);
        found.push((path.to_owned(), to, readdress(text, nic, bridge)));
    }
    found
}

/// Names the bridge where a route, a rule or an alias names the NIC.
fn readdress(text: &str, nic: &str, bridge: &str) -> String {
    let alias = format!("{nic}:");
    let word = |word: &str| -> String {
        let (key, value) = word
            .split_once('=')
            .map_or(("", word), |(key, value)| (&word[..=key.len()], value));
        let bare = value.trim_matches(['"', '\'']);
        if bare == nic || bare.starts_with(&alias) {
            return format!("{key}{}", value.replacen(nic, bridge, 1));
        }
        word.to_owned()
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    let end = if text.ends_with('\n') { "\n" } else { "" };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + end
}

/// How the files address a device.
pub(super) fn read(sources: &Sources, file: &Path, device: &str) -> Result<Addressing> {
    let vars = ShellVars::parse(
        sources
            .text(file)
            .with_context(|| format!("{} is gone", file.display()))?,
    );
    let mut into = Addressing {
        dhcp4: vars
            .value("BOOTPROTO")
            .is_some_and(|proto| matches!(proto, "dhcp" | "bootp")),
        dhcp6: yes(vars.value("DHCPV6C")).unwrap_or(false),
        ra: yes(vars.value("IPV6_AUTOCONF")),
        mtu: vars
            .value("MTU")
            .map(str::parse)
            .transpose()
            .context("reading MTU")?,
        ..Addressing::default()
    };
    addresses(&vars, &mut into).with_context(|| format!("reading {}", file.display()))?;
    let names = own_names(file, device);
    let texts = |start: &'static str| {
        let paths = names
            .iter()
            .map(move |name| Path::new(DIR).join(format!("{start}{name}")));
        paths.filter_map(|path| Some((sources.text(&path)?, path)))
    };
    for (start, default) in [("route-", "0.0.0.0/0"), ("route6-", "::/0")] {
        for (text, path) in texts(start) {
            let reading = || format!("reading {}", path.display());
            routes(text, default, &mut into).with_context(reading)?;
        }
    }
    for (text, _) in ["rule-", "rule6-"].into_iter().flat_map(texts) {
        let rules = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        into.rules
            .extend(rules.map(|rule| readdress(rule, device, "-")));
    }
    let alias = format!("ifcfg-{device}:");
    for (path, text) in sources
        .iter()
        .filter(|(path, _)| file_name(path).starts_with(&alias))
    {
        addresses(&ShellVars::parse(text), &mut into)
            .with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(into)
}

fn yes(value: Option<&str>) -> Option<bool> {
    value.map(|value| matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "1"))
}

fn addresses(vars: &ShellVars, into: &mut Addressing) -> Result<()> {
    for (key, value) in vars.pairs().filter(|(_, value)| !value.is_empty()) {
        if let Some(number) = key
            .strip_prefix("IPADDR")
            .filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        {
            into.addresses.insert(net4(vars, value, number)?);
        } else if key == "IPV6ADDR" || key == "IPV6ADDR_SECONDARIES" {
            for address in value.split_whitespace() {
                let text = if address.contains('/') {
                    address.to_owned()
                } else {
                    format!("{address}/64")
                };
                into.addresses.insert(parse_network(&text)?);
            }
        } else if key == "IPV6_DEFAULTGW"
            || key
                .strip_prefix("GATEWAY")
                .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        {
            let gateway = value.split('%').next().unwrap_or(value);
            into.routes
                .insert(RouteConfig::default_via(gateway.parse()?));
        } else if key == "DOMAIN" {
            into.search
                .extend(value.split_whitespace().map(str::to_owned));
        } else if key
            .strip_prefix("DNS")
            .is_some_and(|rest| rest.parse::<u8>().is_ok())
        {
            into.dns.push(value.to_owned());
        }
    }
    Ok(())
}

fn net4(vars: &ShellVars, address: &str, number: &str) -> Result<IpNetwork> {
    let network = parse_network(address)?;
    let prefix = vars
        .value(&format!("PREFIX{number}"))
        .map(str::parse)
        .transpose()
        .context("reading PREFIX")?;
    let mask = vars
        .value(&format!("NETMASK{number}"))
        .and_then(length_of_mask);
    // Without either, the class of the address decides, as it did in 1990.
    let class = match address
        .split('.')
        .next()
        .and_then(|first| first.parse::<u8>().ok())
    {
        Some(0..=127) => 8,
        Some(128..=191) => 16,
        _ => 24,
    };
    with_length(network.ip(), prefix.or(mask).unwrap_or(class))
}

/// Both forms of a route file: `ADDRESS0= NETMASK0= GATEWAY0=` and arguments of `ip route`.
fn routes(text: &str, default: &str, into: &mut Addressing) -> Result<()> {
    let vars = ShellVars::parse(text);
    for number in 0..100 {
        let Some(address) = vars.value(&format!("ADDRESS{number}")) else {
            continue;
        };
        let length = vars
            .value(&format!("NETMASK{number}"))
            .and_then(length_of_mask)
            .unwrap_or(32);
        let network = with_length(parse_network(address)?.ip(), length)?;
        let via = vars
            .value(&format!("GATEWAY{number}"))
            .map(str::parse)
            .transpose()?;
        let metric = vars
            .value(&format!("METRIC{number}"))
            .map(str::parse)
            .transpose()?;
        into.routes.insert(RouteConfig {
            to: network.to_string(),
            via,
            metric,
            table: None,
        });
    }
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#') && !line.contains('='))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(to) = words.first() else { continue };
        let after = |key: &str| {
            words
                .iter()
                .position(|word| *word == key)
                .and_then(|at| words.get(at + 1))
        };
        let via = after("via")
            .map(|via| via.parse())
            .transpose()
            .with_context(|| format!("reading {line:?}"))?;
        into.routes.insert(RouteConfig {
            to: if *to == "default" {
                default.to_owned()
            } else {
                RouteConfig::destination(to, via)
            },
            via,
            metric: after("metric").map(|metric| metric.parse()).transpose()?,
            table: after("table").map(|table| (*table).to_owned()),
        });
    }
    Ok(())
}
