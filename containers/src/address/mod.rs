//! Addresses that nobody gets twice: what every definition says of addresses, and who else has one.
//!
//! Engines know their own containers alone, and hand out an address on each host without a word. Here every node, router
//! and range of the definitions is looked at before anything is made.

mod neighbour;
pub(crate) mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use definitions::Node;

use crate::cluster::Cluster;
use crate::declaration::hardware_address;
use crate::networks::SiteNetworks;

/// Who has which address, by the definitions.
#[derive(Debug, Default)]
pub(crate) struct AddressRegister {
    addresses: BTreeMap<IpAddr, BTreeSet<String>>,
    hardware: BTreeMap<String, BTreeSet<String>>,
    networks: SiteNetworks,
}

impl AddressRegister {
    /// Reads all definitions.
    ///
    /// # Errors
    /// When the networks cannot be read.
    pub(crate) fn of(cluster: &Cluster) -> Result<Self> {
        let mut book = Self {
            networks: SiteNetworks::load(cluster)?,
            ..Self::default()
        };
        for name in cluster.nodes.names() {
            book.add(&cluster.nodes.node(name)?);
        }
        Ok(book)
    }

    /// Returns the networks.
    pub(crate) fn networks(&self) -> &SiteNetworks {
        &self.networks
    }

    fn add(&mut self, node: &Node) {
        for address in addresses(node) {
            let owners = self.addresses.entry(address).or_default();
            owners.insert(node.name.clone());
        }
        if let Some(mac) = hardware_address(node) {
            let owners = self.hardware.entry(mac).or_default();
            owners.insert(node.name.clone());
        }
    }

    /// Refuses a container whose address is somebody else's, or can become it.
    ///
    /// # Errors
    /// With whose it is.
    pub(crate) fn check(&self, node: &Node) -> Result<()> {
        let name = &node.name;
        let others = |owners: &BTreeSet<String>| {
            let others = owners.iter().filter(|owner| *owner != name);
            others.cloned().collect::<Vec<_>>().join(", ")
        };
        for address in addresses(node) {
            let others = self.addresses.get(&address).map(others).unwrap_or_default();
            if !others.is_empty() {
                bail!(
                    "the address {address} of {name} is also that of {others}: chdef {name} ip=ANOTHER"
                );
            }
            self.networks
                .check(address)
                .with_context(|| format!("the address {address} of {name} cannot be its own"))?;
        }
        if let Some(mac) = hardware_address(node) {
            let others = self.hardware.get(&mac).map(others).unwrap_or_default();
            if !others.is_empty() {
                bail!(
                    "the hardware address {mac} of {name} is also that of {others}: chdef {name} mac=ANOTHER"
                );
            }
        }
        Ok(())
    }
}

/// Lists the addresses of a node, those of its NICs as well.
fn addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    let nics = node.nicips.iter().flat_map(|entry| {
        let (_, values) = entry.split_once('!').unwrap_or(("", entry));
        values
            .split('|')
            .filter_map(|value| value.trim().parse().ok())
    });
    node.addresses().chain(nics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use definitions::{Definition, Network, Object, ObjectKind, Site};

    fn node(name: &str, attributes: &[&str]) -> Node {
        let mut object = Object::new(ObjectKind::Node, name).unwrap();
        for attribute in attributes {
            let (attribute, value) = attribute.split_once('=').unwrap();
            object.set(attribute, value).unwrap();
        }
        Node::from_object(&object).unwrap()
    }

    fn book() -> AddressRegister {
        let mut book = AddressRegister::default();
        for node in [
            node("host01", &["ip=10.1.0.5", "nicips=eth1!10.2.0.5|fd00::5"]),
            node("web1", &["ip=10.1.0.20"]),
            node("web2", &["ip=10.1.0.21", "mac=02:42:0a:01:00:14"]),
        ] {
            book.add(&node);
        }
        let network = Network {
            name: "cluster".to_owned(),
            net: Some("10.1.0.0".parse().unwrap()),
            mask: Some("255.255.0.0".to_owned()),
            gateway: Some("10.1.0.1".to_owned()),
            dynamicrange: Some("10.1.200.1-10.1.250.1".to_owned()),
            ..Network::default()
        };
        book.networks = SiteNetworks::new(&[network], &Site::default()).unwrap();
        book
    }

    #[test]
    fn an_address_is_of_one_node_alone() {
        let book = book();
        for (attributes, message) in [
            (&["ip=10.1.0.22"][..], None),
            (&["dockernics=bridge"], None),
            (
                &["ip=10.1.0.20"],
                Some("the address 10.1.0.20 of new is also that of web1: chdef new ip=ANOTHER"),
            ),
            (
                &["ip=10.1.0.22", "ip6=fd00::5"],
                Some("the address fd00::5 of new is also that of host01: chdef new ip=ANOTHER"),
            ),
            (
                &["ip=10.1.0.1"],
                Some(
                    "the address 10.1.0.1 of new cannot be its own: it is the router's of the network cluster",
                ),
            ),
            (
                &["ip=10.1.225.7"],
                Some(
                    "the address 10.1.225.7 of new cannot be its own: DHCP hands it out in the network cluster \
                     (dynamicrange 10.1.200.1-10.1.250.1)",
                ),
            ),
            (
                &["ip=10.1.255.255"],
                Some(
                    "the address 10.1.255.255 of new cannot be its own: it is the network cluster's own, 10.1.0.0/16",
                ),
            ),
            (
                &["ip=10.1.0.22", "mac=02:42:0a:01:00:14"],
                Some(
                    "the hardware address 02:42:0a:01:00:14 of new is also that of web1, web2: chdef new mac=ANOTHER",
                ),
            ),
        ] {
            let checked = book.check(&node("new", attributes));
            let told = checked.err().map(|error| format!("{error:#}"));
            assert_eq!(told.as_deref(), message, "{attributes:?}");
        }
    }
}
