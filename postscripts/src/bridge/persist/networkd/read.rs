//! How `.network` files address a device: systemd.network(5).

use std::path::Path;

use anyhow::{Context, Result};

use super::super::ini::{Ini, IniSection};
use super::super::model::{Addressing, DesiredBridge, RouteConfig, parse_network};
use super::super::sources::Sources;
use super::{bridge_file, dropins};

/// How a `.network` file and its drop-ins address a device.
pub(in crate::bridge::persist) fn read(sources: &Sources, file: &Path) -> Result<Addressing> {
    let text = sources
        .text(file)
        .with_context(|| format!("{} is gone", file.display()))?;
    let mut addressing = Addressing::default();
    let dropins = dropins(sources, file);
    let parts = std::iter::once((file, text))
        .chain(dropins.iter().map(|(path, text)| (path.as_path(), *text)));
    for (path, text) in parts {
        collect(&Ini::parse(text), &mut addressing)
            .with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(addressing)
}

/// The file that brings the bridge up.
pub(in crate::bridge::persist) fn read_bridge(
    sources: &Sources,
    desired: &DesiredBridge,
) -> Result<Addressing> {
    let file = bridge_file(sources, desired);
    let file = file.with_context(|| format!("no .network file is for {}", desired.bridge))?;
    read(sources, file)
}

fn collect(ini: &Ini, into: &mut Addressing) -> Result<()> {
    for (key, value) in ini.all("Link").flat_map(IniSection::pairs) {
        if key == "MTUBytes" {
            into.mtu = Some(
                value
                    .parse()
                    .with_context(|| format!("reading MTUBytes={value}"))?,
            );
        }
    }
    for (key, value) in ini.all("Network").flat_map(IniSection::pairs) {
        network_key(key, value, into).with_context(|| format!("reading {key}={value}"))?;
    }
    for address in ini
        .all("Address")
        .filter_map(|section| section.value("Address"))
    {
        into.addresses.insert(parse_network(address)?);
    }
    for section in ini.all("Route") {
        let via = section
            .value("Gateway")
            .and_then(|gateway| gateway.parse().ok());
        let to = section.value("Destination").unwrap_or("default");
        into.routes.insert(RouteConfig {
            to: RouteConfig::destination(to, via),
            via,
            metric: section
                .value("Metric")
                .and_then(|metric| metric.parse().ok()),
            table: section
                .value("Table")
                .filter(|table| *table != "main")
                .map(str::to_owned),
        });
    }
    for section in ini.all("RoutingPolicyRule") {
        let words: Vec<String> = section
            .pairs()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        into.rules.insert(words.join(" "));
    }
    Ok(())
}

fn network_key(key: &str, value: &str, into: &mut Addressing) -> Result<()> {
    match key {
        "DHCP" => {
            (into.dhcp4, into.dhcp6) = match value {
                "yes" | "true" | "both" | "1" | "on" => (true, true),
                "ipv4" | "v4" => (true, false),
                "ipv6" | "v6" => (false, true),
                _ => (false, false),
            };
        }
        "IPv6AcceptRA" => into.ra = Some(matches!(value, "yes" | "true" | "1" | "on")),
        // An empty value takes back what was said before.
        "Address" if value.is_empty() => into.addresses.clear(),
        "Address" => drop(into.addresses.insert(parse_network(value)?)),
        "Gateway" if value.is_empty() => {}
        "Gateway" => drop(into.routes.insert(RouteConfig::default_via(value.parse()?))),
        "DNS" if value.is_empty() => into.dns.clear(),
        "DNS" => into.dns.extend(value.split_whitespace().map(str::to_owned)),
        "Domains" => into
            .search
            .extend(value.split_whitespace().map(str::to_owned)),
        _ => {}
    }
    Ok(())
}
