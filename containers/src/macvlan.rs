//! A docker network of both families, for containers that have an IPv6 address: macvlan over a bridge of the host.
//!
//! An IPv6 subnet on the bridge network itself would have engines from 28 on take the host's own IPv6 addresses from the
//! bridge. A macvlan network with the bridge as its parent leaves them alone. Its subnets and routers are those of the
//! definitions, and it hands out no address by itself. Reference: the Engine API, `NetworkCreate`; moby
//! `libnetwork/drivers/macvlan`.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use definitions::Node;
use ipnetwork::IpNetwork;
use serde_json::{Value, json};

use crate::engine::{Call, EngineApi};
use crate::networks::SiteNetworks;

/// What the name of such a network begins with; the name of the bridge follows.
const PREFIX: &str = "macvlan-";

/// A macvlan network as a host is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MacvlanNetwork {
    name: String,
    parent: String,
    /// A subnet of each family, with its router.
    subnets: Vec<(IpNetwork, IpAddr)>,
}

impl MacvlanNetwork {
    /// Makes the one that a container names first in `dockernics`; `None` where that is another network.
    ///
    /// # Errors
    /// When the definitions do not say which subnets and routers it has, or the container asks for what it cannot give.
    pub(crate) fn of(node: &Node, networks: &SiteNetworks) -> Result<Option<Self>> {
        let Some(name) = node.dockernics.first().map(ToString::to_string) else {
            return Ok(None);
        };
        let Some(parent) = name.strip_prefix(PREFIX).map(str::to_owned) else {
            return Ok(None);
        };
        let node_name = &node.name;
        ensure!(
            node.ports.is_empty(),
            "a macvlan network publishes no ports, and {node_name} has an address of its own: chdef {node_name} ports="
        );
        let Some(address) = node.ip.filter(IpAddr::is_ipv4) else {
            bail!("{name} needs an IPv4 address beside the IPv6 one: chdef {node_name} ip=ADDRESS");
        };
        let mut subnets = vec![networks.routed(address)?];
        if let Some(address) = node.ip6 {
            subnets.push(networks.routed(IpAddr::V6(address))?);
        }
        Ok(Some(Self {
            name,
            parent,
            subnets,
        }))
    }

    /// Returns what an engine is asked for.
    fn request(&self) -> Value {
        let config = self.subnets.iter().map(|(subnet, router)| {
            let bits = if router.is_ipv4() { 32 } else { 128 };
            json!({
                "Subnet": subnet.to_string(),
                "IPRange": format!("{router}/{bits}"),
                "Gateway": router.to_string(),
            })
        });
        json!({
            "Name": self.name,
            "CheckDuplicate": true,
            "Driver": "macvlan",
            "EnableIPv6": self.subnets.len() > 1,
            "IPAM": { "Config": config.collect::<Vec<_>>() },
            "Options": { "parent": self.parent },
        })
    }

    /// Makes the network on a host that does not have it, and returns what the engine says of it.
    ///
    /// # Errors
    /// When the engine refuses it: with a bridge network of the same subnet, above all.
    pub(crate) fn create(&self, engine: &mut EngineApi) -> Result<Value> {
        let name = &self.name;
        let call = Call::post("/networks/create").body(self.request());
        let made = engine.ask(&call)?.succeeded();
        made.map_err(|refusal| {
            let overlaps = refusal.message.contains("overlap");
            let error = anyhow::Error::from(refusal);
            if overlaps {
                error.context("another docker network of the host has the subnet, and a host can have one of the two")
            } else {
                error
            }
        })
        .with_context(|| format!("making the docker network {name}"))?;
        let found = engine
            .ask(&Call::get(format!("/networks/{name}")))?
            .succeeded();
        found.with_context(|| format!("asking for the docker network {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use definitions::{Definition, Network, Object, ObjectKind, Site};

    fn made(attributes: &[&str]) -> Result<Option<MacvlanNetwork>> {
        let mut object = Object::new(ObjectKind::Node, "web1").unwrap();
        for attribute in attributes {
            let (attribute, value) = attribute.split_once('=').unwrap();
            object.set(attribute, value).unwrap();
        }
        let network = |name: &str, net: &str, mask: &str, gateway: &str| Network {
            name: name.to_owned(),
            net: net.parse().ok(),
            mask: Some(mask.to_owned()),
            gateway: Some(gateway.to_owned()),
            ..Network::default()
        };
        let networks = [
            network("cluster", "10.1.0.0", "/16", "10.1.0.1"),
            network("six", "fd00::", "/64", "fd00::1"),
        ];
        let networks = SiteNetworks::new(&networks, &Site::default()).unwrap();
        MacvlanNetwork::of(&Node::from_object(&object).unwrap(), &networks)
    }

    #[test]
    fn it_has_the_subnets_and_routers_of_the_definitions_and_hands_out_nothing() {
        let network = made(&[
            "dockernics=macvlan-mydocker0",
            "ip=10.1.0.20",
            "ip6=fd00::20",
        ]);
        assert_eq!(
            network.unwrap().unwrap().request(),
            json!({
                "Name": "macvlan-mydocker0", "CheckDuplicate": true, "Driver": "macvlan", "EnableIPv6": true,
                "IPAM": { "Config": [
                    { "Subnet": "10.1.0.0/16", "IPRange": "10.1.0.1/32", "Gateway": "10.1.0.1" },
                    { "Subnet": "fd00::/64", "IPRange": "fd00::1/128", "Gateway": "fd00::1" },
                ] },
                "Options": { "parent": "mydocker0" },
            })
        );
        for other in [
            &["ip=10.1.0.20"][..],
            &["dockernics=mydocker0", "ip=10.1.0.20"],
        ] {
            assert_eq!(made(other).unwrap(), None);
        }
    }

    #[test]
    fn what_it_cannot_give_is_refused() {
        for (attributes, message) in [
            (
                &["ip6=fd00::20"][..],
                "macvlan-mydocker0 needs an IPv4 address beside the IPv6 one: chdef web1 ip=ADDRESS",
            ),
            (
                &["ip=10.1.0.20", "ports=80:80"],
                "a macvlan network publishes no ports, and web1 has an address of its own: chdef web1 ports=",
            ),
            (
                &["ip=10.1.0.20", "ip6=fd99::20"],
                "no network of the definitions has fd99::20: mkdef -t network NAME net=NET mask=/LEN gateway=ROUTER",
            ),
        ] {
            let all = [&["dockernics=macvlan-mydocker0"], attributes].concat();
            assert_eq!(made(&all).unwrap_err().to_string(), message);
        }
    }
}
