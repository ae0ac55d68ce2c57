//! Which addresses a network has, and which of them DHCP hands out to machines that are not defined.
//!
//! `net`, `mask` and `dynamicrange` come in as xCAT's networks(5) has them. Pure.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Network;

/// Why the addresses of a network are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// It has no `net`.
    #[error("the network {name} has no address: chdef -t network {name} net=10.1.0.0")]
    NoAddress {
        /// The network.
        name: String,
    },
    /// Its `mask` is missing, or is not one.
    #[error(
        "the network {name} ({net}) has the mask '{mask}': expected one such as 255.255.0.0 or /16"
    )]
    Mask {
        /// The network.
        name: String,
        /// Its address.
        net: IpAddr,
        /// The mask as it was given.
        mask: String,
    },
    /// A part of its `dynamicrange` is not a range.
    #[error(
        "the network {name} has the dynamic range '{range}': expected one such as 10.1.200.1-10.1.250.1"
    )]
    Range {
        /// The network.
        name: String,
        /// The part as it was given.
        range: String,
    },
    /// A part of its `dynamicrange` has addresses of other networks, or its last address before its first.
    #[error("the network {name} has the dynamic range '{range}', which is not within {subnet}")]
    OutOfSubnet {
        /// The network.
        name: String,
        /// The part as it was given.
        range: String,
        /// The addresses of the network.
        subnet: IpNetwork,
    },
}

impl Network {
    /// Returns the addresses of the network, from `net` and `mask`.
    ///
    /// # Errors
    /// When it has no address, or a mask that is not one.
    pub fn subnet(&self) -> Result<IpNetwork, NetworkFault> {
        let name = || self.name.clone();
        let net = self
            .net
            .ok_or_else(|| NetworkFault::NoAddress { name: name() })?;
        let mask = self.mask.as_deref().unwrap_or_default();
        let prefix = mask.trim_start_matches('/');
        format!("{net}/{prefix}")
            .parse()
            .map_err(|_| NetworkFault::Mask {
                name: name(),
                net,
                mask: mask.to_owned(),
            })
    }

    /// Returns what DHCP hands out, each range from its first to its last address: `10.1.200.1-10.1.250.1`, several
    /// with `;` or `,` between, or `10.1.2.0/24`, all addresses of it that a host may have.
    ///
    /// # Errors
    /// Those of [`subnet`](Self::subnet), and a range that is not one or is not within it.
    pub fn dynamic_ranges(&self) -> Result<Vec<(IpAddr, IpAddr)>, NetworkFault> {
        let subnet = self.subnet()?;
        let text = self.dynamicrange.as_deref().unwrap_or_default();
        let parts = text.split([';', ',']).map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (first, last) = range(part).ok_or_else(|| NetworkFault::Range {
                    name: self.name.clone(),
                    range: part.to_owned(),
                })?;
                if subnet.contains(first) && subnet.contains(last) && first <= last {
                    return Ok((first, last));
                }
                Err(NetworkFault::OutOfSubnet {
                    name: self.name.clone(),
                    range: part.to_owned(),
                    subnet,
                })
            })
            .collect()
    }
}

fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, last)) = text.split_once('-') {
        return Some((first.trim().parse().ok()?, last.trim().parse().ok()?));
    }
    let block: IpNetwork = text.parse().ok().filter(|_| text.contains('/'))?;
    let ends = (block.network(), block.broadcast());
    Some(match (block, ends) {
        // The first and the last address are the network's own (RFC 1122, 3.2.1.3), but for those of RFC 3021.
        (IpNetwork::V4(block), (IpAddr::V4(first), IpAddr::V4(last))) if block.prefix() < 31 => {
            let inner = (u32::from(first) + 1, u32::from(last) - 1);
            (IpAddr::V4(inner.0.into()), IpAddr::V4(inner.1.into()))
        }
        _ => ends,
    })
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
            let subnet = network(mask, "").subnet().unwrap();
            assert_eq!(subnet.to_string(), "10.1.0.0/16");
        }
        assert_eq!(
            network("wide", "").subnet().unwrap_err().to_string(),
            "the network rack (10.1.0.0) has the mask 'wide': expected one such as 255.255.0.0 or /16"
        );
        assert_eq!(
            Network::default().subnet().unwrap_err(),
            NetworkFault::NoAddress {
                name: String::new()
            }
        );
    }

    #[test]
    fn dynamic_ranges_lie_within_their_network() {
        let shown = |text: &str| match network("/16", text).dynamic_ranges() {
            Ok(ranges) => {
                let shown = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(fault) => fault.to_string(),
        };
        for (text, expected) in [
            ("", ""),
            ("10.1.200.1-10.1.250.1", "10.1.200.1-10.1.250.1"),
            (
                "10.1.2.1 - 10.1.2.9;10.1.3.1-10.1.3.9, 10.1.4.1-10.1.4.9",
                "10.1.2.1-10.1.2.9 10.1.3.1-10.1.3.9 10.1.4.1-10.1.4.9",
            ),
            ("10.1.2.0/24", "10.1.2.1-10.1.2.254"),
            ("10.1.2.4/31", "10.1.2.4-10.1.2.5"),
            (
                "10.2.0.1-10.2.0.9",
                "the network rack has the dynamic range '10.2.0.1-10.2.0.9', which is not within 10.1.0.0/16",
            ),
            (
                "fd00::1-fd00::9",
                "the network rack has the dynamic range 'fd00::1-fd00::9', which is not within 10.1.0.0/16",
            ),
            (
                "10.1.0.9-10.1.0.1",
                "the network rack has the dynamic range '10.1.0.9-10.1.0.1', which is not within 10.1.0.0/16",
            ),
            (
                "10.1.0.9\ndhcp-script=/x",
                "the network rack has the dynamic range '10.1.0.9\ndhcp-script=/x': expected one such as \
                 10.1.200.1-10.1.250.1",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
