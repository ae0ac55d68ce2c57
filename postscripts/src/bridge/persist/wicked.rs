//! wicked: `/etc/sysconfig/network` of SUSE.
//!
//! In: `ifcfg-*`, `ifroute-*`, `ifrule-*`, `ifsysctl-*` and `routes` there, and the desired bridge. Out: the NIC's file with
//! its hardware keys and no address, a file for the bridge with every other key unchanged, the
//! NIC's routes under the bridge's name. Reference: ifcfg(5), ifcfg-bridge(5), ifroute(5).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ipnetwork::IpNetwork;

use super::keys::{KeyOwner, WICKED};
use super::model::{
    Addressing, DesiredBridge, RouteConfig, length_of_mask, parse_network, with_length,
};
use super::shellvars::ShellVars;
use super::sources::Sources;
use crate::files::{Access, FileChange};

pub(super) const DIR: &str = "/etc/sysconfig/network";
const COMPANIONS: [&str; 3] = ["ifroute-", "ifrule-", "ifsysctl-"];

pub(super) fn wanted(name: &str) -> bool {
    let known = COMPANIONS.iter().any(|start| name.starts_with(start));
    (known || name.starts_with("ifcfg-") || name == "routes")
        && ![".bak", ".orig", ".rpmnew", ".rpmsave", "~"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Where the file of a device is.
pub(super) fn path(device: &str) -> PathBuf {
    Path::new(DIR).join(format!("ifcfg-{device}"))
}

/// The files as they shall be.
pub(super) fn rewrite(sources: &Sources, desired: &DesiredBridge) -> Result<Vec<FileChange>> {
    let file = path(&desired.nic);
    let target = path(&desired.bridge);
    let text = sources
        .text(&file)
        .with_context(|| format!("{} is gone", file.display()))?;
    if let Some((bridge, ports)) = bridge_of(sources, &desired.nic) {
        if bridge == target {
            return Ok(Vec::new());
        }
        bail!(
            "{} lists {} in BRIDGE_PORTS=\"{ports}\": take it out there first",
            bridge.display(),
            desired.nic
        );
    }
    if let Some((bond, key)) = bond_of(sources, &desired.nic) {
        bail!(
            "{} puts {} into a bond ({key}): take it out there first",
            bond.display(),
            desired.nic
        );
    }
    if sources.holds(&target) {
        bail!(
            "{} exists already and {} is not in it: remove it first",
            target.display(),
            desired.nic
        );
    }
    let mut port = ShellVars::parse(text);
    let bridge = bridge_vars(&mut port, desired);
    port.lines.push("BOOTPROTO='none'".to_owned());
    let mut after = sources.clone();
    after.insert(&file, port.render());
    after.insert(&target, bridge.render());
    let mut removed = Vec::new();
    for start in COMPANIONS {
        let from = Path::new(DIR).join(format!("{start}{}", desired.nic));
        if let Some(text) = sources.text(&from) {
            after.insert(
                Path::new(DIR).join(format!("{start}{}", desired.bridge)),
                readdress(text, &desired.nic, &desired.bridge),
            );
            removed.push(FileChange {
                path: from.clone(),
                text: None,
                access: Access::Like(from),
            });
        }
    }
    let routes = Path::new(DIR).join("routes");
    if let Some(text) = sources.text(&routes) {
        after.insert(&routes, readdress(text, &desired.nic, &desired.bridge));
    }
    let mut changes = sources.changes_to(&after, |path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        Access::Like(Path::new(DIR).join(name.replacen(&desired.bridge, &desired.nic, 1)))
    });
    changes.extend(removed);
    Ok(changes)
}

/// The bridge file that lists the NIC.
fn bridge_of<'a>(sources: &'a Sources, nic: &str) -> Option<(&'a Path, String)> {
    sources
        .iter()
        .filter(|(path, _)| path.parent() == Some(Path::new(DIR)))
        .find_map(|(path, text)| {
            let vars = ShellVars::parse(text);
            let ports = vars.value("BRIDGE_PORTS")?;
            ports
                .split_whitespace()
                .any(|port| port == nic)
                .then(|| (path, ports.to_owned()))
        })
}

/// The file of a bond that takes the NIC, and the key that says so.
fn bond_of<'a>(sources: &'a Sources, nic: &str) -> Option<(&'a Path, String)> {
    sources.iter().find_map(|(path, text)| {
        let vars = ShellVars::parse(text);
        let takes = |(key, value): &(&str, &str)| key.starts_with("BONDING_SLAVE") && *value == nic;
        let (key, _) = vars.pairs().find(takes)?;
        Some((path, key.to_owned()))
    })
}

fn bridge_vars(port: &mut ShellVars, desired: &DesiredBridge) -> ShellVars {
    let shared: Vec<String> = port
        .lines
        .iter()
        .filter(|line| {
            line.split_once('=')
                .is_some_and(|(key, _)| WICKED.goes(key.trim()) == KeyOwner::Both)
        })
        .cloned()
        .collect();
    let moved = port.take(|key| WICKED.goes(key) == KeyOwner::Bridge);
    let mut bridge = ShellVars {
        lines: vec![
            "BRIDGE='yes'".to_owned(),
            format!("BRIDGE_PORTS='{}'", desired.nic),
            "BRIDGE_STP='off'".to_owned(),
            "BRIDGE_FORWARDDELAY='0'".to_owned(),
            format!("LLADDR='{}'", desired.mac),
        ],
    };
    bridge.lines.extend(shared);
    bridge.lines.extend(moved);
    if let Some(address) = desired.address {
        bridge.set("BOOTPROTO", "'static'");
        bridge.set("IPADDR", &format!("'{address}'"));
    }
    bridge
}

/// Names the bridge in the fourth column, where a route names its device.
fn readdress(text: &str, nic: &str, bridge: &str) -> String {
    let line = |line: &str| -> String {
        if line.trim_start().starts_with('#') {
            return line.to_owned();
        }
        let mut out = String::new();
        for word in line.split_inclusive(char::is_whitespace) {
            let bare = word.trim_end();
            out.push_str(&if bare == nic {
                format!("{bridge}{}", &word[bare.len()..])
            } else {
                word.to_owned()
            });
        }
        out
    };
    let end = if text.ends_with('\n') { "\n" } else { "" };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + end
}

/// How the files address a device.
pub(super) fn read(sources: &Sources, device: &str) -> Result<Addressing> {
    let file = path(device);
    let vars = ShellVars::parse(
        sources
            .text(&file)
            .with_context(|| format!("{} is gone", file.display()))?,
    );
    let words: Vec<&str> = vars
        .value("BOOTPROTO")
        .unwrap_or_default()
        .split('+')
        .collect();
    let mut into = Addressing {
        dhcp4: words.iter().any(|word| matches!(*word, "dhcp" | "dhcp4")),
        dhcp6: words.iter().any(|word| matches!(*word, "dhcp" | "dhcp6")),
        ra: words.contains(&"auto6").then_some(true),
        mtu: vars
            .value("MTU")
            .map(str::parse)
            .transpose()
            .context("reading MTU")?,
        ..Addressing::default()
    };
    for (key, value) in vars.pairs().filter(|(_, value)| !value.is_empty()) {
        if let Some(suffix) = key.strip_prefix("IPADDR") {
            into.addresses.insert(
                net(&vars, value, suffix).with_context(|| format!("reading {}", file.display()))?,
            );
        }
    }
    let own = Path::new(DIR).join(format!("ifroute-{device}"));
    routes(sources.text(&own).unwrap_or_default(), None, &mut into)
        .with_context(|| format!("reading {}", own.display()))?;
    let all = Path::new(DIR).join("routes");
    routes(
        sources.text(&all).unwrap_or_default(),
        Some(device),
        &mut into,
    )
    .with_context(|| format!("reading {}", all.display()))?;
    let rules = sources
        .text(&Path::new(DIR).join(format!("ifrule-{device}")))
        .unwrap_or_default();
    let rules = rules
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    into.rules
        .extend(rules.map(|rule| readdress(rule, device, "-")));
    Ok(into)
}

fn net(vars: &ShellVars, value: &str, suffix: &str) -> Result<IpNetwork> {
    let network = parse_network(value)?;
    if !value.contains('/') {
        let length = vars
            .value(&format!("PREFIXLEN{suffix}"))
            .map(str::parse)
            .transpose()
            .context("reading PREFIXLEN")?;
        let mask = vars
            .value(&format!("NETMASK{suffix}"))
            .and_then(length_of_mask);
        let length = length.or(mask).unwrap_or(network.prefix());
        return with_length(network.ip(), length);
    }
    Ok(network)
}

/// Lines of `destination gateway netmask device type options`; `device` picks those that name it.
fn routes(text: &str, device: Option<&str>, into: &mut Addressing) -> Result<()> {
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [to, rest @ ..] = words.as_slice() else {
            continue;
        };
        // A line of the common file that names no device is for whoever reaches the gateway.
        if device.is_some_and(|device| rest.get(2) != Some(&device)) {
            continue;
        }
        let via = match rest.first().filter(|via| **via != "-") {
            Some(via) => Some(via.parse().with_context(|| format!("reading {line:?}"))?),
            None => None,
        };
        let option = |key: &str| {
            rest.iter()
                .position(|word| *word == key)
                .and_then(|at| rest.get(at + 1))
        };
        into.routes.insert(RouteConfig {
            to: RouteConfig::destination(to, via),
            via,
            metric: option("metric").map(|metric| metric.parse()).transpose()?,
            table: option("table").map(|table| (*table).to_owned()),
        });
    }
    Ok(())
}
