//! The entries of a node: `mac,mac2,address,host`.
//!
//! A node comes in as it is defined; lines of `dhcp-hostsfile` go out, or why it has none. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use definitions::Node;

use super::networks::ServedNetworks;
use crate::dnsmasq::fields;
use crate::nic::nic_names;

/// xCAT's word for a NIC that gets no address of its own.
const NO_ADDRESS: &str = "*NOIP*";

/// What begins the client identifier of InfiniBand (RFC 4390 §2.1), before the port's identity.
const INFINIBAND: &str = "id:ff:00:00:00:00:00:02:00:00:02:c9:00:";

/// Why a node has no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// It is not one that DHCP is meant for.
    LeftOut(String),
    /// It is, and something is wrong with it.
    Wrong(String),
}

impl ServedNetworks {
    /// Returns the entries of a node.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn entries(&self, node: &Node) -> Result<Vec<String>, Unlisted> {
        let name = &node.name;
        if node.mgt.as_deref() == Some("docker") {
            return Err(Unlisted::LeftOut(
                "it is a container, whose engine gives it its address".to_owned(),
            ));
        }
        let Some(macs) = &node.mac else {
            return Err(Unlisted::LeftOut(format!(
                "it has no hardware address: chdef {name} mac=52:54:00:00:00:01"
            )));
        };
        let mut hosts = BTreeMap::<&str, Vec<String>>::new();
        for (mac, host) in macs.entries() {
            let host = host.unwrap_or(name);
            if host != NO_ADDRESS {
                hosts.entry(host).or_default().push(identifier(mac));
            }
        }
        if hosts.is_empty() {
            return Err(Unlisted::LeftOut(
                "none of its NICs is to get an address".to_owned(),
            ));
        }
        let entry = |(host, identifiers): (&str, Vec<String>)| {
            let address = self.address(node, host)?;
            let address = address.map(|address| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            });
            check_host(host)?;
            let mut values: Vec<&str> = identifiers.iter().map(String::as_str).collect();
            values.extend(address.as_deref());
            values.push(host);
            fields(&values).map_err(|error| format!("{error:#}"))
        };
        let entries = hosts.into_iter().map(entry).collect::<Result<_, String>>();
        entries.map_err(Unlisted::Wrong)
    }

    /// Finds the address of one of a node's host names; `None` where it is to have one from a dynamic range.
    fn address(&self, node: &Node, host: &str) -> Result<Option<IpAddr>, String> {
        let address = if host == node.name {
            node.address()
        } else {
            let nics = nic_names(node).map_err(|error| format!("{error:#}"))?;
            let nic = nics.iter().find(|nic| &*nic.host == host);
            Some(
                nic.ok_or_else(|| {
                    format!(
                        "its hardware address belongs to {host}, which no NIC of it is (nicips)"
                    )
                })?
                .address,
            )
        };
        let Some(address) = address else {
            return if self
                .networks
                .iter()
                .any(|network| !network.ranges.is_empty())
            {
                Ok(None)
            } else {
                Err(format!(
                    "it has no address, and no network has a dynamicrange to give it one from: chdef {} ip=10.1.0.11",
                    node.name
                ))
            };
        };
        match address {
            IpAddr::V4(address) => self.check_address(address)?,
            IpAddr::V6(own) if self.network6_of(own).is_none() => return Err(self.outside(address)),
            IpAddr::V6(_) => {}
        }
        Ok(Some(address))
    }

    /// Says which networks there are for an address that is in none of them.
    fn outside(&self, address: IpAddr) -> String {
        let served = self
            .networks
            .iter()
            .map(|network| network.subnet.to_string());
        let served6 = self
            .networks6
            .iter()
            .map(|network| network.subnet.to_string());
        let served: Vec<_> = served.chain(served6).collect();
        format!(
            "its address {address} is in no network that DHCP serves here: those are {}",
            served.join(", ")
        )
    }

    fn check_address(&self, address: Ipv4Addr) -> Result<(), String> {
        let Some(network) = self.network_of(address) else {
            return Err(self.outside(address.into()));
        };
        let prefix = network.subnet.prefix();
        if prefix < 31 && [network.subnet.network(), network.subnet.broadcast()].contains(&address)
        {
            return Err(format!(
                "its address {address} is that of the network {} or its broadcast",
                network.subnet
            ));
        }
        if address == network.server {
            return Err(format!("its address {address} is this machine's own"));
        }
        Ok(())
    }
}

/// Returns how a client is known: by its hardware address, or on InfiniBand by its client identifier.
fn identifier(mac: &str) -> String {
    match mac.len() {
        17 => mac.to_owned(),
        length => format!("{INFINIBAND}{}", &mac[length.saturating_sub(23)..]),
    }
}

/// Refuses host names that an entry cannot hold: dnsmasq reads some as a time, and takes no dot for part of one.
fn check_host(host: &str) -> Result<(), String> {
    let time = host
        .strip_suffix(['s', 'S', 'm', 'M', 'h', 'H', 'd', 'D', 'w', 'W'])
        .unwrap_or(host);
    let is_time = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    let fault = if is_time || matches!(host, "ignore" | "infinite") {
        "means something else"
    } else if host.starts_with('_') {
        "begins with a sign that no host has"
    } else if host.contains('.') {
        "ends at its first dot"
    } else {
        return Ok(());
    };
    Err(format!(
        "its host name '{host}' {fault} to dnsmasq: rename it"
    ))
}

/// Lists what no two entries may share, each with what it is.
pub(super) fn keys(entry: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let host = entry.rsplit(',').next().unwrap_or_default();
    entry.split(',').map(move |field| {
        if field.starts_with('[') {
            ("address", field)
        } else if field.contains(':') {
            ("hardware address", field)
        } else if field == host {
            ("host name", field)
        } else {
            ("address", field)
        }
    })
}

/// Describes an entry in xCAT's words.
pub(super) fn described(node: &str, entry: &str) -> String {
    let fields: Vec<_> = keys(entry).collect();
    let of = |what: &str| {
        let values = fields
            .iter()
            .filter(|(field, _)| *field == what)
            .map(|(_, value)| *value);
        values.collect::<Vec<_>>().join(" ")
    };
    let address = match of("address") {
        none if none.is_empty() => "(dynamic)".to_owned(),
        address => address,
    };
    format!(
        "{node}: ip-address = {address}, hardware-address = {}\n",
        of("hardware address")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infiniband_is_known_by_the_identity_of_its_port() {
        for (mac, expected) in [
            ("52:54:00:00:00:01", "52:54:00:00:00:01"),
            (
                "00:02:c9:03:00:a1:b2:c3",
                "id:ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:a1:b2:c3",
            ),
            (
                "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:a1:b2:c3",
                "id:ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:a1:b2:c3",
            ),
        ] {
            assert_eq!(identifier(mac), expected);
        }
    }

    #[test]
    fn names_that_dnsmasq_reads_otherwise_are_refused() {
        for (host, fault) in [
            ("12h", "means something else"),
            ("45", "means something else"),
            ("7W", "means something else"),
            ("ignore", "means something else"),
            ("infinite", "means something else"),
            ("_n1", "begins with a sign that no host has"),
            ("n1.lab", "ends at its first dot"),
        ] {
            assert_eq!(
                check_host(host).unwrap_err(),
                format!("its host name '{host}' {fault} to dnsmasq: rename it")
            );
        }
        for host in ["n1", "h", "12x", "1h2", "docker_1"] {
            assert_eq!(check_host(host), Ok(()));
        }
    }
}
