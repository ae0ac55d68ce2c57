//! The addresses of the site's networks.
//!
//! Networks come in as they are defined; what goes out is which addresses each holds. Pure.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use definitions::Network;
use ipnetwork::{IpNetwork, Ipv4Network};

/// Returns the addresses of a network.
///
/// # Errors
/// When it has no address, or a mask that is none.
pub(crate) fn subnet(network: &Network) -> Result<IpNetwork> {
    let name = &network.name;
    let net = network.net.with_context(|| {
        format!("the network {name} has no address: chdef -t network {name} net=10.1.0.0")
    })?;
    let mask = network.mask.as_deref().unwrap_or_default();
    let prefix = mask.trim_start_matches('/');
    let subnet = match (prefix.parse::<u8>(), prefix.parse::<IpAddr>()) {
        (Ok(prefix), _) => IpNetwork::new(net, prefix).ok(),
        (_, Ok(mask)) => IpNetwork::with_netmask(net, mask).ok(),
        _ => None,
    };
    subnet.with_context(|| {
        format!("the network {name} ({net}) has the mask '{mask}': expected one such as 255.255.0.0 or /16")
    })
}

/// Parses the dynamic ranges of a network: `10.1.200.1-10.1.250.1`, several with `;` or `,` between, or `10.1.2.0/24`.
///
/// # Errors
/// When a range is none, is the wrong way round, or is not within the network.
pub(crate) fn ranges(network: &Network, subnet: Ipv4Network) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let text = network.dynamicrange.as_deref().unwrap_or_default();
    let parts = text.split([';', ',']).map(str::trim);
    let mut ranges = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let Some((first, last)) = range(part) else {
            bail!(
                "the network {} has the dynamic range '{part}': expected one such as 10.1.200.1-10.1.250.1",
                network.name
            );
        };
        if !subnet.contains(first) || !subnet.contains(last) || first > last {
            bail!(
                "the network {} has the dynamic range '{part}', which does not lie within {subnet}",
                network.name
            );
        }
        ranges.push((first, last));
    }
    Ok(ranges)
}

fn range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if let Some((first, last)) = text.split_once('-') {
        return Some((first.trim().parse().ok()?, last.trim().parse().ok()?));
    }
    let block: Ipv4Network = text.parse().ok().filter(|_| text.contains('/'))?;
    let inner = |address: Ipv4Addr, by: i64| {
        let number = i64::from(u32::from(address)) + by;
        u32::try_from(number).ok().map(Ipv4Addr::from)
    };
    match block.prefix() {
        31.. => Some((block.network(), block.broadcast())),
        _ => Some((inner(block.network(), 1)?, inner(block.broadcast(), -1)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(mask: &str, dynamicrange: &str) -> Network {
        Network {
            name: "rack".to_owned(),
            net: "10.1.0.0".parse().ok(),
            mask: Some(mask.to_owned()),
            dynamicrange: Some(dynamicrange.to_owned()),
            ..Network::default()
        }
    }

    #[test]
    fn masks_are_read_in_both_forms() {
        for mask in ["255.255.0.0", "/16", "16"] {
            let subnet = subnet(&network(mask, "")).unwrap();
            assert_eq!(subnet.to_string(), "10.1.0.0/16");
        }
        assert_eq!(
            subnet(&network("wide", "")).unwrap_err().to_string(),
            "the network rack (10.1.0.0) has the mask 'wide': expected one such as 255.255.0.0 or /16"
        );
    }

    #[test]
    fn dynamic_ranges_lie_within_their_network() {
        let span: Ipv4Network = "10.1.0.0/16".parse().unwrap();
        let said = |text: &str| match ranges(&network("/16", text), span) {
            Ok(ranges) => {
                let shown = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        for (text, expected) in [
            ("", ""),
            ("10.1.200.1-10.1.250.1", "10.1.200.1-10.1.250.1"),
            (
                "10.1.2.1 - 10.1.2.9;10.1.3.1-10.1.3.9",
                "10.1.2.1-10.1.2.9 10.1.3.1-10.1.3.9",
            ),
            ("10.1.2.0/24", "10.1.2.1-10.1.2.254"),
            (
                "10.2.0.1-10.2.0.9",
                "the network rack has the dynamic range '10.2.0.1-10.2.0.9', which does not lie within 10.1.0.0/16",
            ),
            (
                "10.1.0.9-10.1.0.1",
                "the network rack has the dynamic range '10.1.0.9-10.1.0.1', which does not lie within 10.1.0.0/16",
            ),
            (
                "10.1.0.9\ndhcp-script=/x",
                "the network rack has the dynamic range '10.1.0.9\ndhcp-script=/x': expected one such as \
                 10.1.200.1-10.1.250.1",
            ),
        ] {
            assert_eq!(said(text), expected);
        }
    }
}
