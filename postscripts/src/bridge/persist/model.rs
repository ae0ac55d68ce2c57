//! What persistence talks about, whatever the backend: who goes into which bridge ([`DesiredBridge`]) and
//! how a device is addressed ([`Addressing`]).
//!
//! A backend moves text; it never regenerates a file from an `Addressing`. The model is the proof:
//! what was read from the NIC's configuration before must equal what is read from the bridge's
//! configuration after, and the live state must agree with it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use ipnetwork::{IpNetwork, ip_mask_to_prefix};
use nix::libc;

use super::identity::NicIdentity;
use super::names::rename;
use super::switch::SwitchConfig;
use crate::bridge::net::{Hop, Mac, NetState};

/// What shall hold after the next boot: `nic` is a port of `bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DesiredBridge {
    /// The uplink.
    pub(super) nic: String,
    /// The bridge that takes its place.
    pub(super) bridge: String,
    /// The NIC's hardware address, which the bridge takes.
    pub(super) mac: Mac,
    /// The DHCP identity association the running client used, where it is not made from the MAC.
    pub(super) iaid: Option<u32>,
    /// What else the NIC is known by.
    pub(super) identity: NicIdentity,
    /// An address for the bridge, where the NIC had none.
    pub(super) address: Option<IpNetwork>,
    /// The switch that has the NIC, and a veth pair to the bridge; else the NIC is the bridge's port.
    pub(super) switch: Option<SwitchConfig>,
}

impl DesiredBridge {
    /// The port of the bridge by which packets leave: the NIC, or the end of the veth pair.
    pub(super) fn port(&self) -> &str {
        self.switch
            .as_ref()
            .map_or(&self.nic, |switch| switch.bridge_end())
    }
}

/// How one device gets its addresses, as far as its configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Addressing {
    /// Asks for an IPv4 lease.
    pub(super) dhcp4: bool,
    /// Asks for an IPv6 lease, whatever the router says.
    pub(super) dhcp6: bool,
    /// Listens to router advertisements; `None` leaves it to the backend's default.
    pub(super) ra: Option<bool>,
    /// Fixed addresses.
    pub(super) addresses: BTreeSet<IpNetwork>,
    /// Routes, the gateways among them as default routes.
    pub(super) routes: BTreeSet<RouteConfig>,
    /// Policy rules, each as its backend writes it with the device's name left out.
    pub(super) rules: BTreeSet<String>,
    /// Name servers in order.
    pub(super) dns: Vec<String>,
    /// Search domains in order.
    pub(super) search: Vec<String>,
    /// The MTU, where one is set.
    pub(super) mtu: Option<u32>,
}

/// A route as a configuration writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteConfig {
    /// The destination; a default route is `0.0.0.0/0` or `::/0`.
    pub(super) to: String,
    /// The gateway, absent for a link route.
    pub(super) via: Option<IpAddr>,
    /// The metric, where one is given.
    pub(super) metric: Option<u32>,
    /// The table, where it is not the main one.
    pub(super) table: Option<String>,
}

impl Addressing {
    /// Whether the configuration gives the device any address.
    pub(super) fn is_empty(&self) -> bool {
        !self.dhcp4 && !self.dhcp6 && self.ra != Some(true) && self.addresses.is_empty()
    }

    /// In words, for an error or a plan: `DHCPv4, 10.0.0.5/24`.
    pub(super) fn describe(&self) -> String {
        let mut words = Vec::new();
        for (set, word) in [
            (self.dhcp4, "DHCPv4"),
            (self.dhcp6, "DHCPv6"),
            (self.ra == Some(true), "RA"),
        ] {
            if set {
                words.push(word.to_owned());
            }
        }
        words.extend(self.addresses.iter().map(IpNetwork::to_string));
        if words.is_empty() {
            "no address".to_owned()
        } else {
            words.join(", ")
        }
    }

    /// The same with the device's own name left out, for a comparison with another device.
    pub(super) fn unnamed(&self, device: &str) -> Self {
        let unnamed = |text: &String| rename(text, device, "-");
        Self {
            rules: self.rules.iter().map(unnamed).collect(),
            dns: self.dns.iter().map(unnamed).collect(),
            ..self.clone()
        }
    }

    /// What `self` and `other` do not agree on, in words.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let sides: [(&str, String, String); 9] = [
            ("DHCPv4", self.dhcp4.to_string(), other.dhcp4.to_string()),
            ("DHCPv6", self.dhcp6.to_string(), other.dhcp6.to_string()),
            ("RA", format!("{:?}", self.ra), format!("{:?}", other.ra)),
            ("addresses", list(&self.addresses), list(&other.addresses)),
            ("routes", list(&self.routes), list(&other.routes)),
            ("rules", list(&self.rules), list(&other.rules)),
            ("name servers", list(&self.dns), list(&other.dns)),
            ("search domains", list(&self.search), list(&other.search)),
            ("MTU", format!("{:?}", self.mtu), format!("{:?}", other.mtu)),
        ];
        sides
            .into_iter()
            .filter(|(_, left, right)| left != right)
            .map(|(what, left, right)| format!("{what}: {left} became {right}"))
            .collect()
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

impl RouteConfig {
    /// The default route by way of `via`.
    pub(super) fn default_via(via: IpAddr) -> Self {
        let to = if via.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        Self {
            to: to.to_owned(),
            via: Some(via),
            ..Self::default()
        }
    }

    /// A destination in the one form the model knows: `default` needs the gateway's family.
    pub(super) fn destination(text: &str, via: Option<IpAddr>) -> String {
        match (text, via) {
            ("default" | "0.0.0.0/0" | "::/0" | "0::0/0", Some(IpAddr::V6(_))) => "::/0".to_owned(),
            ("::/0" | "0::0/0", None) => "::/0".to_owned(),
            ("default" | "0.0.0.0/0", _) => "0.0.0.0/0".to_owned(),
            _ => parse_network(text).map_or_else(|_| text.to_owned(), |net| net.to_string()),
        }
    }
}

impl fmt::Display for RouteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        if let Some(table) = &self.table {
            write!(f, " table {table}")?;
        }
        Ok(())
    }
}

/// Reads `ADDRESS[/LENGTH]`; without a length it is the address alone.
pub(super) fn parse_network(text: &str) -> Result<IpNetwork> {
    let reading = || format!("reading {text:?}");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().with_context(reading)?;
    let Some(length) = length else {
        return Ok(address.into());
    };
    let length = length.parse().with_context(reading)?;
    with_length(address, length).with_context(reading)
}

/// Joins an address and the length of its prefix.
pub(super) fn with_length(address: IpAddr, length: u8) -> Result<IpNetwork> {
    IpNetwork::new(address, length)
        .ok()
        .with_context(|| format!("a prefix of {length} bits is too long"))
}

/// The prefix length of a dotted netmask.
pub(super) fn length_of_mask(mask: &str) -> Option<u8> {
    let mask: Ipv4Addr = mask.parse().ok()?;
    ip_mask_to_prefix(mask.into()).ok()
}

/// What the live state of a device and its configuration do not agree on, in words.
pub(super) fn compare(configured: &Addressing, device: &str, live: &NetState) -> Vec<String> {
    let Some(link) = live.link(device) else {
        return vec![format!("{device} is configured and does not exist")];
    };
    let mut words = Vec::new();
    for net in &configured.addresses {
        if !link
            .addresses
            .iter()
            .any(|address| (address.ip, address.len) == (net.ip(), net.prefix()))
        {
            words.push(format!("{net} is configured and {device} does not have it"));
        }
    }
    for address in link.addresses.iter().filter(|address| address.scope == 0) {
        let Ok(net) = IpNetwork::new(address.ip, address.len) else {
            continue;
        };
        let automatic = match address.ip {
            IpAddr::V4(_) => configured.dhcp4,
            IpAddr::V6(_) => configured.dhcp6 || configured.ra != Some(false),
        };
        let dynamic = address.lifetimes.is_some() || address.flags & libc::IFA_F_PERMANENT == 0;
        if !configured.addresses.contains(&net) && !automatic && !dynamic {
            words.push(format!("{device} has {net} which is not configured"));
        }
    }
    for route in configured
        .routes
        .iter()
        .filter(|route| route.to.ends_with("/0") && route.table.is_none())
    {
        let gateway = |hop: &Hop| route.via.is_none() || hop.gateway == route.via;
        if !live
            .routes
            .iter()
            .any(|known| known.is_default() && known.hops.iter().any(gateway))
        {
            words.push(format!(
                "the route {route} is configured and the kernel does not have it"
            ));
        }
    }
    if let Some(mtu) = configured.mtu.filter(|mtu| *mtu != link.mtu) {
        words.push(format!(
            "an MTU of {mtu} is configured and {device} has {}",
            link.mtu
        ));
    }
    words
}
