//! Reads how the files address a device.

use anyhow::{Context, Result};

use super::{NetplanDefinition, documents, passthrough};
use crate::bridge::persist::model::{Addressing, RouteConfig, parse_network};
use crate::bridge::persist::sources::Sources;
use crate::bridge::persist::yaml::YamlNode;

/// How the files address a device: the bridge by its name, the NIC by what covers it.
pub(in crate::bridge::persist) fn read(
    sources: &Sources,
    class: &str,
    id: &str,
) -> Result<Addressing> {
    let mut addressing = Addressing::default();
    for document in documents(sources)? {
        if let Some(entry) = document.definition(class, id) {
            collect(&entry.value, &mut addressing)
                .with_context(|| format!("reading {} of {}", id, document.path.display()))?;
        }
    }
    Ok(addressing)
}

/// How the NIC is addressed now, by the definition that covers it.
pub(in crate::bridge::persist) fn read_nic(
    sources: &Sources,
    definition: &NetplanDefinition,
) -> Result<Addressing> {
    read(sources, &definition.class, &definition.id)
}

fn collect(node: &YamlNode, into: &mut Addressing) -> Result<()> {
    into.dhcp4 = node.truth("dhcp4").unwrap_or(into.dhcp4);
    into.dhcp6 = node.truth("dhcp6").unwrap_or(into.dhcp6);
    into.ra = node.truth("accept-ra").or(into.ra);
    if let Some(mtu) = node.string("mtu") {
        into.mtu = Some(
            mtu.parse()
                .with_context(|| format!("reading mtu {mtu:?}"))?,
        );
    }
    for item in node
        .value("addresses")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        // An address with options is a mapping with the address as its only key.
        let text = item
            .text()
            .or_else(|| item.entries().first().map(|entry| entry.key.as_str()));
        into.addresses
            .insert(parse_network(text.context("an address is a list")?)?);
    }
    for key in ["gateway4", "gateway6"] {
        if let Some(gateway) = node.string(key) {
            let via = gateway
                .parse()
                .with_context(|| format!("reading {key} {gateway:?}"))?;
            into.routes.insert(RouteConfig::default_via(via));
        }
    }
    for route in node
        .value("routes")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        into.routes.insert(route_of(route)?);
    }
    for rule in node
        .value("routing-policy")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        let words: Vec<String> = rule
            .entries()
            .iter()
            .map(|entry| format!("{} {}", entry.key, entry.value.text().unwrap_or("")))
            .collect();
        into.rules.insert(words.join(" "));
    }
    passthrough::read(node, into)?;
    if let Some(names) = node.value("nameservers") {
        let words = |key| {
            names
                .value(key)
                .map(YamlNode::items)
                .unwrap_or_default()
                .iter()
                .filter_map(YamlNode::text)
        };
        into.dns.extend(words("addresses").map(str::to_owned));
        into.search.extend(words("search").map(str::to_owned));
    }
    Ok(())
}

fn route_of(node: &YamlNode) -> Result<RouteConfig> {
    let via = match node.string("via") {
        Some(via) => Some(
            via.parse()
                .with_context(|| format!("reading via {via:?}"))?,
        ),
        None => None,
    };
    let to = node.string("to").context("a route has no to")?;
    let metric = node
        .string("metric")
        .map(str::parse)
        .transpose()
        .context("reading a metric")?;
    let table = node
        .string("table")
        .filter(|table| *table != "254")
        .map(str::to_owned);
    Ok(RouteConfig {
        to: RouteConfig::destination(to, via),
        via,
        metric,
        table,
    })
}
