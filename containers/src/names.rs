//! The names by which a container finds others: its links, as lines of its hosts file, and who answers for all else.
//!
//! An engine resolves the names of its own containers alone. What is in the definitions is known for the whole cluster:
//! links lead to nodes and to members of groups on any host, and the DNS servers of the container's network, which
//! `makedns` gives every node's name, answer for the rest. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use definitions::{Error, Node, Nodes, ObjectKind};
use serde_json::{Map, Value, json};

use crate::networks::SiteNetworks;

/// What definitions say of names.
#[derive(Debug)]
pub(crate) struct ClusterNames<'a> {
    nodes: &'a Nodes,
    groups: BTreeMap<&'a str, Vec<&'a str>>,
    networks: &'a SiteNetworks,
}

impl<'a> ClusterNames<'a> {
    /// Takes the definitions.
    pub(crate) fn new(nodes: &'a Nodes, networks: &'a SiteNetworks) -> Self {
        Self {
            nodes,
            groups: nodes.groups(),
            networks,
        }
    }

    /// Returns the networks.
    pub(crate) fn networks(&self) -> &SiteNetworks {
        self.networks
    }

    /// Puts what a container resolves names by into its request.
    ///
    /// # Errors
    /// When it links to what has no address, or is not there.
    pub(crate) fn put(&self, node: &Node, config: &mut Map<String, Value>) -> Result<()> {
        let mut hosts = Vec::new();
        for link in &node.links {
            let name = link.node.to_string();
            let doing = || format!("linking to {name}");
            if self.nodes.own(&name).is_some() {
                let addresses = self.addresses_of(&name).with_context(doing)?;
                ensure!(!addresses.is_empty(), "linking to {name}: it has no ip");
                lines(&name, &addresses, &mut hosts);
                if let Some(alias) = &link.alias {
                    lines(alias, &addresses, &mut hosts);
                }
            } else if let Some(members) = self.groups.get(name.as_str()) {
                ensure!(
                    link.alias.is_none(),
                    "linking to {name}: a group has no alias"
                );
                for member in members.iter().filter(|member| **member != &*node.name) {
                    lines(
                        member,
                        &self.addresses_of(member).with_context(doing)?,
                        &mut hosts,
                    );
                }
            } else {
                let missing = Error::not_found(ObjectKind::Node, &name, self.nodes.names());
                return Err(missing).with_context(doing);
            }
        }
        if !hosts.is_empty() {
            config.insert("ExtraHosts".to_owned(), json!(hosts));
        }
        self.put_servers(node, config);
        Ok(())
    }

    /// Names the DNS servers: the container's own, else those of its network.
    fn put_servers(&self, node: &Node, config: &mut Map<String, Value>) {
        let service = node
            .address()
            .map(|address| self.networks.name_service(address))
            .unwrap_or_default();
        let servers = if node.nameservers.is_empty() {
            service.servers.iter().map(ToString::to_string).collect()
        } else {
            node.nameservers.clone()
        };
        if servers.is_empty() {
            return;
        }
        config.insert("Dns".to_owned(), json!(servers));
        if let Some(domain) = service.domain {
            config.insert("DnsSearch".to_owned(), json!([domain]));
        }
    }

    fn addresses_of(&self, name: &str) -> Result<Vec<IpAddr>> {
        Ok(self.nodes.node(name)?.addresses().collect())
    }
}

/// Writes the lines of the hosts file, as a request has them.
fn lines(name: &str, addresses: &[IpAddr], hosts: &mut Vec<String>) {
    hosts.extend(addresses.iter().map(|address| format!("{name}:{address}")));
}
