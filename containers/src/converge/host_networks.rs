//! What the docker networks of a host have to be for a container: there, and with its addresses.
//!
//! A declaration and the networks that the engine listed come in, a refusal goes out. Nothing is made here but a network of the
//! driver macvlan, where the declaration wants one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use ipnetwork::IpNetwork;
use serde_json::Value;

use super::{ContainerOnHost, list};
use crate::declaration::Declaration;
use crate::fanout::lock;

impl ContainerOnHost<'_> {
    /// Refuses what an engine would create, and could not start or would give an address of somebody else's.
    pub(super) fn check_networks(&mut self) -> Result<()> {
        let Declaration {
            network, addresses, ..
        } = self.declaration;
        let further = self.declaration.endpoints().map(|(name, _)| name);
        let names: BTreeSet<_> = further.chain([network.as_str()]).collect();
        let mut networks = lock(&self.known.networks);
        for name in names {
            let is_built_in = name == "default" || name.starts_with("container:");
            if is_built_in || networks.contains_key(name) {
                continue;
            }
            let macvlan = self
                .declaration
                .macvlan
                .as_ref()
                .filter(|_| name == network);
            let host = self.host;
            let macvlan = macvlan.with_context(|| {
                format!("{host} has no docker network {name}: updatenode {host} -P 'setupdockerhost {name}=NET/LEN@GATEWAY' makes it")
            })?;
            if self.how.dry_run {
                (self.say)(format!("the docker network {name} would be made on {host}"));
            } else {
                let made = macvlan.create(self.engine)?;
                (self.say)(format!("made the docker network {name} on {host}"));
                networks.insert(name.to_owned(), made);
            }
        }
        let Some(found) = networks.get(network) else {
            return Ok(());
        };
        self.check_addresses(found, addresses)
    }

    /// Refuses addresses that a docker network of the host does not give, or gives at others' expense.
    fn check_addresses(&self, found: &Value, addresses: &[IpAddr]) -> Result<()> {
        let (name, node) = (&self.declaration.network, self.node());
        // What setupdockerhost makes is the LAN itself, where engines would hand out the same address on every host.
        let shared = found["Options"]["com.docker.network.bridge.inhibit_ipv4"] == "true";
        ensure!(
            !(shared && found["EnableIPv6"] == true),
            "the docker network {name} of {} has IPv6, and engines from 28 on take the host's own IPv6 addresses from \
             its bridge: setupdockerhost replaces it, and dockernics=macvlan-{name} gives containers IPv6",
            self.host
        );
        let subnets: Vec<IpNetwork> = list(&found["IPAM"]["Config"])
            .iter()
            .filter_map(|config| config["Subnet"].as_str()?.parse().ok())
            .collect();
        let outside = |address: &IpAddr| !subnets.iter().any(|subnet| subnet.contains(*address));
        if let Some(address) = addresses.iter().find(|address| outside(address)) {
            let shown: Vec<_> = subnets.iter().map(ToString::to_string).collect();
            let advice = if shared && address.is_ipv6() {
                format!(": chdef {node} dockernics=macvlan-{name} gives it both families")
            } else {
                String::new()
            };
            bail!(
                "the address {address} is not in the docker network {name} of {}, which has {}{advice}",
                self.host,
                shown.join(", ")
            );
        }
        ensure!(
            !(shared && addresses.is_empty()),
            "the docker network {name} is the hosts' own, and no engine knows which of its addresses are free: chdef \
             {node} ip=ADDRESS"
        );
        Ok(())
    }
}
