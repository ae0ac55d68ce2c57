//! The further addresses of a node: those of its NICs, each with a host name of its own.
//!
//! xCAT's attributes come in (`nicips`, `nichostnamesuffixes`, `nichostnameprefixes`, `nicaliases`: `nic!value|value2`
//! each); host names with their addresses go out. Pure. Reference: xCAT's makehosts(8).

use std::net::IpAddr;

use anyhow::{Context, Result};
use definitions::{Node, NodeName};

/// A host name that a node has by one of its NICs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NicName {
    pub(crate) host: NodeName,
    pub(crate) address: IpAddr,
    pub(crate) aliases: Vec<NodeName>,
}

/// Lists the names of a node's NICs.
///
/// # Errors
/// An address that is none, or a name that no host can have.
pub(crate) fn nic_names(node: &Node) -> Result<Vec<NicName>> {
    let mut names = Vec::new();
    for entry in &node.nicips {
        let (nic, addresses) = entry
            .split_once('!')
            .with_context(|| format!("nicips has '{entry}': expected one such as eth1!10.2.0.5"))?;
        for (at, address) in addresses.split('|').enumerate() {
            if address.trim().is_empty() {
                continue;
            }
            names.push(nic_name(node, nic.trim(), at, address.trim())?);
        }
    }
    Ok(names)
}

fn nic_name(node: &Node, nic: &str, at: usize, address: &str) -> Result<NicName> {
    let address: IpAddr = address
        .parse()
        .with_context(|| format!("nicips gives {nic} '{address}', which is no address"))?;
    let prefix = value(&node.nichostnameprefixes, nic, at);
    let suffix = value(&node.nichostnamesuffixes, nic, at);
    let by_itself = match (prefix, at) {
        (Some(_), _) => String::new(),
        (None, 0) => format!("-{nic}"),
        (None, at) => format!("-{nic}-{at}"),
    };
    let suffix = suffix.map_or(by_itself, str::to_owned);
    let host = format!("{}{}{suffix}", prefix.unwrap_or_default(), node.name);
    let aliases = value(&node.nicaliases, nic, at).unwrap_or_default();
    Ok(NicName {
        host: host.parse()?,
        address,
        aliases: aliases
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?,
    })
}

/// Finds the value for one address of a NIC.
fn value<'a>(entries: &'a [String], nic: &str, at: usize) -> Option<&'a str> {
    let values = entries
        .iter()
        .filter_map(|entry| entry.split_once('!'))
        .find(|(name, _)| name.trim() == nic)?;
    let value = values.1.split('|').nth(at)?.trim();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(nicips: &str, suffixes: &str, prefixes: &str) -> String {
        let list = |text: &str| {
            text.split(',')
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let node = Node {
            name: "n1".to_owned(),
            nicips: list(nicips),
            nichostnamesuffixes: list(suffixes),
            nichostnameprefixes: list(prefixes),
            nicaliases: vec!["eth1!a b".to_owned()],
            ..Node::default()
        };
        match nic_names(&node) {
            Err(error) => format!("{error:#}"),
            Ok(names) => {
                let names = names.iter().map(|name| {
                    let aliases: Vec<_> = name.aliases.iter().map(ToString::to_string).collect();
                    format!("{}={}+{}", name.host, name.address, aliases.join("+"))
                });
                names.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn a_nic_has_the_name_that_its_affixes_make() {
        for (nicips, suffixes, prefixes, expected) in [
            ("eth1!10.2.0.1", "", "", "n1-eth1=10.2.0.1+a+b"),
            (
                "eth1!10.2.0.1|fd00::1",
                "eth1!-ib|-six",
                "",
                "n1-ib=10.2.0.1+a+b n1-six=fd00::1+",
            ),
            (
                "eth1!10.2.0.1,ib0!10.3.0.1",
                "",
                "ib0!ib-",
                "n1-eth1=10.2.0.1+a+b ib-n1=10.3.0.1+",
            ),
            (
                "eth1",
                "",
                "",
                "nicips has 'eth1': expected one such as eth1!10.2.0.5",
            ),
            (
                "eth1!x",
                "",
                "",
                "nicips gives eth1 'x', which is no address: invalid IP address syntax",
            ),
        ] {
            assert_eq!(shown(nicips, suffixes, prefixes), expected);
        }
        assert!(
            shown("eth1!10.2.0.1", "eth1!-a b", "")
                .starts_with("'n1-a b' is not the name of a node")
        );
    }
}
