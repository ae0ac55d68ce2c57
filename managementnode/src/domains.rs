//! The domains of the site, and what names nodes have in them.
//!
//! Networks, the site and nodes come in; names by address go out. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use definitions::{Definition, Network, Node, NodeName, Site, host_name_fault};
use ipnetwork::IpNetwork;

use crate::nic::nic_names;

/// Refuses what is no domain.
///
/// # Errors
/// What keeps it from being one.
pub(crate) fn check_domain(domain: &str) -> Result<()> {
    match host_name_fault(domain) {
        Some(fault) => bail!("'{domain}' is not a domain: {fault}"),
        None => Ok(()),
    }
}

/// Which domain an address is in.
#[derive(Debug)]
pub(crate) struct Domains {
    networks: Vec<(IpNetwork, Option<String>)>,
    site: Option<String>,
}

impl Domains {
    /// Reads the domains.
    ///
    /// # Errors
    /// When one is none, or a network is not right.
    pub(crate) fn new(networks: &[definitions::Object], site: &Site) -> Result<Self> {
        let networks = networks.iter().map(|object| {
            let network = Network::from_object(object)?;
            Ok((network.subnet()?, network.domain))
        });
        let domains = Self {
            networks: networks.collect::<Result<_>>()?,
            site: site.domain.clone(),
        };
        domains.all().into_iter().try_for_each(check_domain)?;
        Ok(domains)
    }

    /// Lists every domain once.
    pub(crate) fn all(&self) -> BTreeSet<&str> {
        let own = self
            .networks
            .iter()
            .filter_map(|(_, domain)| domain.as_deref());
        own.chain(self.site.as_deref()).collect()
    }

    fn of(&self, address: IpAddr) -> Option<&str> {
        let holding = self
            .networks
            .iter()
            .filter(|(network, _)| network.contains(address));
        let nearest = holding.max_by_key(|(network, _)| network.prefix());
        nearest
            .and_then(|(_, domain)| domain.as_deref())
            .or(self.site.as_deref())
    }

    /// Lists the networks.
    pub(crate) fn networks(&self) -> impl Iterator<Item = IpNetwork> {
        self.networks.iter().map(|(network, _)| *network)
    }

    /// Returns the domain of the site.
    pub(crate) fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// Lists a node's addresses, each with its names: with their domain and without, its own first.
    ///
    /// # Errors
    /// When a name or an address is none.
    pub(crate) fn addresses(&self, node: &Node) -> Result<Vec<(IpAddr, Vec<String>)>> {
        let further: Vec<NodeName> = node
            .hostnames
            .iter()
            .flat_map(|names| names.split_whitespace())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("reading its hostnames")?;
        let name: NodeName = node.name.parse()?;
        let own = node
            .addresses()
            .map(|address| (name.clone(), address, further.clone()));
        let nics = nic_names(node)?
            .into_iter()
            .map(|nic| (nic.host, nic.address, nic.aliases));
        let addresses = own.chain(nics).map(|(host, address, aliases)| {
            let names = [&host].into_iter().chain(&aliases);
            let names = names.flat_map(|name| match self.of(address) {
                Some(domain) if !name.ends_with(&format!(".{domain}")) => {
                    vec![format!("{name}.{domain}"), name.to_string()]
                }
                _ => vec![name.to_string()],
            });
            (address, names.collect())
        });
        Ok(addresses.collect())
    }
}
