//! Networks of IPv6 that dnsmasq serves: addresses by DHCPv6, and router advertisements that say so.
//!
//! Machines boot by IPv4; these networks give an installed system its address and what else it needs. This machine
//! announces itself as a router only where it is the network's gateway. Reference: RFC 4861 §6.2, RFC 8415, dnsmasq(8).

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result};
use definitions::Network;
use ipnetwork::Ipv6Network;

use super::networks::{LEASE, SERVER, ServedNetworks, list};
use crate::dnsmasq::setting;

/// Which prefixes dnsmasq gives addresses of.
const MIN_PREFIX: u8 = 64;

/// What stands for dnsmasq itself.
const ITSELF: &str = "[::]";

/// A network of IPv6 that is served.
#[derive(Debug)]
pub(super) struct ServedNetwork6 {
    network: Network,
    pub(super) subnet: Ipv6Network,
    pub(super) interface: Option<String>,
    pub(super) ranges: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl ServedNetwork6 {
    /// Works out how a network is served; or says why it is not.
    ///
    /// # Errors
    /// When a range is not right.
    pub(super) fn new(
        network: Network,
        subnet: Ipv6Network,
        interface: Option<String>,
    ) -> Result<Result<Self, String>> {
        if subnet.prefix() < MIN_PREFIX {
            let why = format!("DHCPv6 gives out addresses of prefixes of at least /{MIN_PREFIX}");
            return Ok(Err(why));
        }
        let ranges = network.dynamic_ranges()?.into_iter();
        let ranges = ranges.filter_map(|range| match range {
            (IpAddr::V6(first), IpAddr::V6(last)) => Some((first, last)),
            _ => None,
        });
        Ok(Ok(Self {
            ranges: ranges.collect(),
            network,
            subnet,
            interface,
        }))
    }
}

impl ServedNetworks {
    /// Returns the network of IPv6 that holds an address.
    pub(super) fn network6_of(&self, address: Ipv6Addr) -> Option<&ServedNetwork6> {
        let networks = self.networks6.iter();
        let holding = networks.filter(|network| network.subnet.contains(address));
        holding.max_by_key(|network| network.subnet.prefix())
    }

    /// Returns the settings of all networks of IPv6.
    ///
    /// # Errors
    /// When a value cannot be in dnsmasq's files.
    pub(super) fn settings6(&self) -> Result<String> {
        let mut text = String::new();
        if !self.networks6.is_empty() {
            text += "enable-ra\n";
        }
        for (number, served) in self.networks6.iter().enumerate() {
            let settings = self.settings6_of(served, &format!("slipway-net6-{number}"));
            text += &settings
                .with_context(|| format!("writing the network {}", served.network.name))?;
        }
        Ok(text)
    }

    fn settings6_of(&self, served: &ServedNetwork6, tag: &str) -> Result<String> {
        let mut text = String::new();
        let network = &served.network;
        let (set, when) = (format!("set:{tag}"), format!("tag:{tag}"));
        let prefix = served.subnet.prefix().to_string();
        if served.ranges.is_empty() {
            let net = served.subnet.network().to_string();
            text += &setting("dhcp-range", &[&set, &net, "static", &prefix, LEASE])?;
        }
        for (first, last) in &served.ranges {
            let (first, last) = (first.to_string(), last.to_string());
            text += &setting("dhcp-range", &[&set, &first, &last, &prefix, LEASE])?;
        }
        if let Some(interface) = &served.interface {
            let mtu = network.mtu.map(|mtu| format!("mtu:{mtu}"));
            let mut fields = vec![interface.as_str()];
            fields.extend(mtu.as_deref());
            // The interval is dnsmasq's own; a lifetime of 0 says that this machine is no router.
            fields.push("0");
            if network.gateway.as_deref() != Some(SERVER) {
                fields.push("0");
            }
            text += &setting("ra-param", &fields)?;
        }
        let mut option = |name: &str, values: Vec<String>| -> Result<()> {
            if !values.is_empty() {
                let name = format!("option6:{name}");
                let mut fields = vec![when.as_str(), name.as_str()];
                fields.extend(values.iter().map(String::as_str));
                text += &setting("dhcp-option", &fields)?;
            }
            Ok(())
        };
        // Lists name servers of both families; those of this one count here.
        let servers = |of, site| {
            list(network, of, site)
                .iter()
                .filter_map(|server| address(server))
        };
        option(
            "dns-server",
            servers(|network| &network.nameservers, &self.nameservers).collect(),
        )?;
        option(
            "sntp-server",
            servers(|network| &network.ntpservers, &self.ntpservers).collect(),
        )?;
        if let Some(domain) = network.domain.as_ref().or(self.domain.as_ref()) {
            crate::domains::check_domain(domain)?;
            option("domain-search", vec![domain.clone()])?;
        }
        Ok(text)
    }
}

/// Returns an address as dnsmasq's options hold it.
fn address(text: &str) -> Option<String> {
    if text == SERVER {
        return Some(ITSELF.to_owned());
    }
    let address: Option<Ipv6Addr> = text.parse().ok();
    address.map(|address| format!("[{address}]"))
}
