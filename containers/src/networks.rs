//! The networks of the definitions: which addresses each has, its router, and who answers for names in it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use definitions::{Definition, Network, ObjectKind, Site};
use ipnetwork::IpNetwork;

use crate::cluster::Cluster;

/// What xCAT writes where the server that a node faces is meant.
const FACING_SERVER: &str = "<xcatmaster>";

/// All networks of the site.
#[derive(Debug, Default)]
pub(crate) struct SiteNetworks {
    networks: Vec<SiteNetwork>,
    /// Who answers, and for which domain, where a network says nothing.
    site: NameService,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct SiteNetwork {
    name: String,
    pub(crate) subnet: IpNetwork,
    pub(crate) router: Option<IpAddr>,
    /// What DHCP hands out, from the first to the last.
    dynamic: Vec<(IpAddr, IpAddr)>,
    names: NameService,
}

/// Who answers for names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NameService {
    pub(crate) servers: Vec<IpAddr>,
    pub(crate) domain: Option<String>,
}

impl NameService {
    /// Reads servers; the one that nodes face is the site's master.
    fn new(servers: &[String], domain: Option<&String>, site: &Site) -> Self {
        let address = |text: &String| match (text.as_str(), &site.master) {
            (FACING_SERVER, Some(master)) => master.parse().ok(),
            (text, _) => text.parse().ok(),
        };
        Self {
            servers: servers.iter().filter_map(address).collect(),
            domain: domain.cloned(),
        }
    }
}

impl SiteNetworks {
    /// Reads the definitions.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn load(cluster: &Cluster) -> Result<Self> {
        let objects = cluster.catalog.objects(ObjectKind::Network)?;
        let networks = objects.iter().map(Network::from_object);
        Self::new(
            &networks.collect::<Result<Vec<_>, _>>()?,
            &cluster.catalog.site()?,
        )
    }

    /// Takes networks as they are defined.
    ///
    /// # Errors
    /// When the addresses of one cannot be told.
    pub(crate) fn new(networks: &[Network], site: &Site) -> Result<Self> {
        let networks = networks.iter().map(|network| {
            Ok(SiteNetwork {
                name: network.name.clone(),
                subnet: network.subnet()?,
                router: network
                    .gateway
                    .as_deref()
                    .and_then(|text| text.parse().ok()),
                dynamic: network.dynamic_ranges()?,
                names: NameService::new(&network.nameservers, network.domain.as_ref(), site),
            })
        });
        Ok(Self {
            networks: networks.collect::<Result<_>>()?,
            site: NameService::new(&site.nameservers, site.domain.as_ref(), site),
        })
    }

    /// Lists the routers.
    pub(crate) fn routers(&self) -> impl Iterator<Item = Ipv4Addr> {
        let routers = self.networks.iter().filter_map(|network| network.router);
        routers.filter_map(|router| match router {
            IpAddr::V4(router) => Some(router),
            IpAddr::V6(_) => None,
        })
    }

    /// Finds the network of an address, the smallest that holds it.
    pub(crate) fn of(&self, address: IpAddr) -> Option<&SiteNetwork> {
        let holding = self
            .networks
            .iter()
            .filter(|network| network.subnet.contains(address));
        holding.max_by_key(|network| network.subnet.prefix())
    }

    /// Says who answers for names at an address: those of its network, else the site's.
    pub(crate) fn name_service(&self, address: IpAddr) -> NameService {
        let own = self
            .of(address)
            .map(|network| network.names.clone())
            .unwrap_or_default();
        NameService {
            servers: if own.servers.is_empty() {
                self.site.servers.clone()
            } else {
                own.servers
            },
            domain: own.domain.or_else(|| self.site.domain.clone()),
        }
    }

    /// Refuses an address that no container can have in any of them.
    ///
    /// # Errors
    /// With whose it is.
    pub(crate) fn check(&self, address: IpAddr) -> Result<()> {
        self.networks
            .iter()
            .try_for_each(|network| network.check(address))
    }

    /// Finds the network of an address, with its router, for a docker network that is made of it.
    ///
    /// # Errors
    /// When there is none, or it has no router.
    pub(crate) fn routed(&self, address: IpAddr) -> Result<(IpNetwork, IpAddr)> {
        let network = self.of(address).with_context(|| {
            format!("no network of the definitions has {address}: mkdef -t network NAME net=NET mask=/LEN gateway=ROUTER")
        })?;
        let router = network.router.with_context(|| {
            format!(
                "the network {0} has no router: chdef -t network {0} gateway=ROUTER",
                network.name
            )
        })?;
        Ok((network.subnet, router))
    }
}

impl SiteNetwork {
    fn check(&self, address: IpAddr) -> Result<()> {
        let name = &self.name;
        if self.router == Some(address) {
            bail!("it is the router's of the network {name}");
        }
        if let Some((first, last)) = self
            .dynamic
            .iter()
            .find(|(first, last)| (*first..=*last).contains(&address))
        {
            bail!("DHCP hands it out in the network {name} (dynamicrange {first}-{last})");
        }
        let subnet = self.subnet;
        let is_broadcast =
            subnet.is_ipv4() && subnet.prefix() < 31 && subnet.broadcast() == address;
        if subnet.network() == address || is_broadcast {
            bail!("it is the network {name}'s own, {subnet}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_answered_by_the_smallest_network_that_says_who_else_by_the_site() {
        let network =
            |name: &str, mask: &str, nameservers: &[&str], domain: Option<&str>| Network {
                name: name.to_owned(),
                net: "10.1.0.0".parse().ok(),
                mask: Some(mask.to_owned()),
                nameservers: nameservers.iter().map(|text| (*text).to_owned()).collect(),
                domain: domain.map(str::to_owned),
                ..Network::default()
            };
        let site = Site {
            master: Some("10.9.0.1".to_owned()),
            domain: Some("cluster".to_owned()),
            nameservers: vec!["10.9.0.2".to_owned(), "ns.example.invalid".to_owned()],
            ..Site::default()
        };
        let networks = [
            network("wide", "/16", &[], None),
            network("rack", "/24", &["<xcatmaster>", "10.1.0.3"], Some("rack")),
        ];
        let networks = SiteNetworks::new(&networks, &site).unwrap();
        for (address, servers, domain) in [
            ("10.1.0.20", &["10.9.0.1", "10.1.0.3"][..], "rack"),
            ("10.1.7.20", &["10.9.0.2"], "cluster"),
            ("192.0.2.1", &["10.9.0.2"], "cluster"),
        ] {
            let service = networks.name_service(address.parse().unwrap());
            let shown: Vec<_> = service.servers.iter().map(ToString::to_string).collect();
            assert_eq!(
                (shown, service.domain.as_deref()),
                (
                    servers.iter().map(|s| (*s).to_owned()).collect(),
                    Some(domain)
                ),
                "{address}"
            );
        }
        assert_eq!(
            networks
                .routed("10.1.0.20".parse().unwrap())
                .unwrap_err()
                .to_string(),
            "the network rack has no router: chdef -t network rack gateway=ROUTER"
        );
        assert_eq!(
            networks
                .routed("fd00::1".parse().unwrap())
                .unwrap_err()
                .to_string(),
            "no network of the definitions has fd00::1: mkdef -t network NAME net=NET mask=/LEN gateway=ROUTER"
        );
    }
}
