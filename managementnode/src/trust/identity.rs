//! What a definition says of a node's names: all that its certificates may.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use definitions::Node;
use serde::{Deserialize, Serialize};

use crate::domains::Domains;

/// The names of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Names with their domain: what a certificate of a constrained authority can hold.
    pub(crate) domains: BTreeSet<String>,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Names as people type them at ssh.
    pub(crate) hosts: BTreeSet<String>,
}

impl Identity {
    /// Returns the names of a node.
    ///
    /// # Errors
    /// When it has no address, or one that is in no network of the site.
    pub(crate) fn of(node: &Node, domains: &Domains) -> Result<Self> {
        let mut identity = Self::default();
        for (address, names) in domains.addresses(node)? {
            check_address(address, domains)?;
            identity.addresses.insert(address);
            for name in names {
                let is_within = |domain: &&str| name.ends_with(&format!(".{domain}"));
                if domains.all().iter().any(is_within) {
                    identity.domains.insert(name.clone());
                }
                identity.hosts.insert(name);
            }
        }
        if identity.addresses.is_empty() {
            bail!(
                "it has no address, so nobody can know it by one: chdef {} ip=10.1.0.11",
                node.name
            );
        }
        Ok(identity)
    }

    /// Lists the names for ssh: addresses too.
    pub(crate) fn principals(&self) -> BTreeSet<String> {
        let addresses = self.addresses.iter().map(ToString::to_string);
        self.hosts.iter().cloned().chain(addresses).collect()
    }
}

/// Returns the names of the management node, as nodes reach it.
///
/// # Errors
/// When the site does not say how they do.
pub(crate) fn server(master: Option<&str>, domains: &Domains) -> Result<Identity> {
    let master = master.context(
        "the site does not say how nodes reach this machine: chdef -t site clustersite master=10.1.0.1",
    )?;
    let address: IpAddr = master.parse().ok().with_context(|| {
        format!("the site's master '{master}' is a name: nodes reach it by an address while they install, so give that")
    })?;
    check_address(address, domains)?;
    Ok(Identity {
        addresses: BTreeSet::from([address]),
        ..Identity::default()
    })
}

/// Refuses an address that the authority of hosts may not speak for.
fn check_address(address: IpAddr, domains: &Domains) -> Result<()> {
    if domains.networks().any(|network| network.contains(address)) {
        return Ok(());
    }
    let networks: Vec<_> = domains
        .networks()
        .map(|network| network.to_string())
        .collect();
    bail!(
        "the address {address} is in no network of the site: there are {}",
        networks.join(", ")
    )
}
