//! The networks that dnsmasq serves here, and what it says in each.
//!
//! Networks and the site come in, and which addresses this machine has; settings go out.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use definitions::{Catalog, IfName, Network, Site};
use ipnetwork::{IpNetwork, Ipv4Network};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::networks_of;
use super::networks6::ServedNetwork6;
use crate::dnsmasq::setting;

/// How long an address from a dynamic range, and that of a node, is given out for: xCAT's time.
pub(super) const LEASE: &str = "12h";

/// More leases than these are given to nobody: what a flood of clients can make dnsmasq keep.
const MAX_LEASES: &str = "65536";

/// What stands for the server that a node faces; to dnsmasq, for itself.
pub(super) const SERVER: &str = "<xcatmaster>";
const ITSELF: &str = "0.0.0.0";

/// The networks that are served here.
#[derive(Debug)]
pub(super) struct ServedNetworks {
    pub(super) networks: Vec<ServedNetwork>,
    pub(super) networks6: Vec<ServedNetwork6>,
    /// The port of the web server.
    pub(super) port: u32,
    pub(super) domain: Option<String>,
    pub(super) nameservers: Vec<String>,
    pub(super) ntpservers: Vec<String>,
    notes: Vec<String>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct ServedNetwork {
    network: Network,
    pub(super) subnet: Ipv4Network,
    /// Which of its interfaces this machine serves it on; another's relay reaches it otherwise.
    interface: Option<String>,
    /// This machine as nodes there reach it, by TFTP.
    pub(super) server: Ipv4Addr,
    /// Where nodes fetch by HTTP: in a container, the web server has an address of its own.
    pub(super) web_server: Ipv4Addr,
    pub(super) ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// An address of this machine.
#[derive(Debug, Clone)]
pub(super) struct LocalAddress {
    interface: String,
    pub(super) address: IpAddr,
}

/// A network that is served.
enum NetworkFamily {
    V4(ServedNetwork),
    V6(ServedNetwork6),
}

impl ServedNetworks {
    /// Finds the networks that are served here.
    ///
    /// # Errors
    /// When one is not right, or there is none.
    pub(super) fn load(catalog: &Catalog, site: &Site) -> Result<Self> {
        Self::new(networks_of(catalog)?, site, &local_addresses()?)
    }

    fn new(networks: Vec<Network>, site: &Site, local: &[LocalAddress]) -> Result<Self> {
        let mut served = Self {
            networks: Vec::new(),
            networks6: Vec::new(),
            port: site.httpport.unwrap_or(80),
            domain: site.domain.clone(),
            nameservers: site.nameservers.clone(),
            ntpservers: site.ntpservers.clone(),
            notes: Vec::new(),
        };
        for network in networks {
            let name = network.name.clone();
            match served_network(network, site, local)? {
                Ok(NetworkFamily::V4(network)) => served.networks.push(network),
                Ok(NetworkFamily::V6(network)) => served.networks6.push(network),
                Err(reason) => served
                    .notes
                    .push(format!("the network {name} is not served: {reason}")),
            }
        }
        if served.networks.is_empty() && served.networks6.is_empty() {
            let mut reasons = served.notes.join("; ");
            if reasons.is_empty() {
                "none is defined: mkdef -t network rack net=10.1.0.0 mask=255.255.0.0 mgtifname=eth1"
                    .clone_into(&mut reasons);
            }
            bail!("there is no network to serve: {reasons}");
        }
        Ok(served)
    }

    /// Says what is to be known beside.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        for network in &self.networks {
            for server in self.list(network, |network| &network.ntpservers, &self.ntpservers) {
                if address(server).is_none() {
                    notes.push(format!(
                        "the time server '{server}' of the network {} is a name: DHCP gives out addresses alone",
                        network.network.name
                    ));
                }
            }
        }
        notes
    }

    /// Returns the interfaces of this machine on which it serves IPv4.
    pub(super) fn interfaces(&self) -> BTreeSet<&str> {
        let networks = self.networks.iter();
        networks
            .filter_map(|network| network.interface.as_deref())
            .collect()
    }

    /// Returns the network that holds an address.
    pub(super) fn network_of(&self, address: Ipv4Addr) -> Option<&ServedNetwork> {
        let holding = self
            .networks
            .iter()
            .filter(|network| network.subnet.contains(address));
        holding.max_by_key(|network| network.subnet.prefix())
    }

    /// Returns the settings of all networks.
    ///
    /// # Errors
    /// When a value cannot be in dnsmasq's files.
    pub(super) fn settings(&self) -> Result<String> {
        let mut text = "# Written by makedhcp from the definitions: changes are lost.\n".to_owned();
        text += "bind-interfaces\ndhcp-authoritative\n";
        text += &setting("dhcp-lease-max", &[MAX_LEASES])?;
        let interfaces6 = self.networks6.iter();
        let interfaces6 = interfaces6.filter_map(|network| network.interface.as_deref());
        let mut interfaces = self.interfaces();
        interfaces.extend(interfaces6);
        for interface in interfaces {
            text += &setting("interface", &[interface])?;
        }
        for (number, network) in self.networks.iter().enumerate() {
            let settings = self.settings_of(network, &tag(number));
            text += &settings
                .with_context(|| format!("writing the network {}", network.network.name))?;
        }
        text += &self.settings6()?;
        Ok(text)
    }

    fn settings_of(&self, served: &ServedNetwork, tag: &str) -> Result<String> {
        let mut text = String::new();
        let (set, when) = (format!("set:{tag}"), format!("tag:{tag}"));
        let mask = served.subnet.mask().to_string();
        if served.ranges.is_empty() {
            let net = served.subnet.network().to_string();
            text += &setting("dhcp-range", &[&set, &net, "static", &mask, LEASE])?;
        }
        for (first, last) in &served.ranges {
            let (first, last) = (first.to_string(), last.to_string());
            text += &setting("dhcp-range", &[&set, &first, &last, &mask, LEASE])?;
        }
        let mut option = |name: &str, values: &[String]| -> Result<()> {
            let name = format!("option:{name}");
            let mut fields = vec![when.as_str(), name.as_str()];
            fields.extend(values.iter().map(String::as_str));
            text += &setting("dhcp-option", &fields)?;
            Ok(())
        };
        // Without a value, dnsmasq would name itself.
        let gateway = served.network.gateway.as_deref();
        let gateway = gateway
            .map(|gateway| required(gateway, "its gateway"))
            .transpose()?;
        option("router", &gateway.into_iter().collect::<Vec<_>>())?;
        let nameservers = self.list(served, |network| &network.nameservers, &self.nameservers);
        if !nameservers.is_empty() {
            let nameservers = nameservers
                .iter()
                .map(|server| required(server, "its DNS server"));
            option("dns-server", &nameservers.collect::<Result<Vec<_>>>()?)?;
        }
        let ntpservers = self.list(served, |network| &network.ntpservers, &self.ntpservers);
        let ntpservers: Vec<_> = ntpservers
            .iter()
            .filter_map(|server| address(server))
            .collect();
        if !ntpservers.is_empty() {
            option("ntp-server", &ntpservers)?;
        }
        if let Some(domain) = served.network.domain.as_ref().or(self.domain.as_ref()) {
            crate::domains::check_domain(domain)?;
            option("domain-name", std::slice::from_ref(domain))?;
        }
        if let Some(mtu) = served.network.mtu {
            option("mtu", &[mtu.to_string()])?;
        }
        Ok(text)
    }

    /// Returns a list of the network, else the site's.
    fn list<'a>(
        &'a self,
        served: &'a ServedNetwork,
        of: fn(&Network) -> &Vec<String>,
        site: &'a [String],
    ) -> &'a [String] {
        list(&served.network, of, site)
    }
}

/// Returns a list of a network, else the site's.
pub(super) fn list<'a>(
    network: &'a Network,
    of: fn(&Network) -> &Vec<String>,
    site: &'a [String],
) -> &'a [String] {
    let own = of(network);
    if own.is_empty() { site } else { own }
}

/// Names the tag of a network: names of networks hold what tags cannot.
pub(super) fn tag(number: usize) -> String {
    format!("slipway-net{number}")
}

/// Returns an address as dnsmasq's options hold it.
fn address(text: &str) -> Option<String> {
    match text {
        SERVER => Some(ITSELF.to_owned()),
        text => text
            .parse::<Ipv4Addr>()
            .ok()
            .map(|address| address.to_string()),
    }
}

fn required(text: &str, what: &str) -> Result<String> {
    address(text).with_context(|| {
        format!("{what} '{text}' is no IPv4 address, which is what DHCP gives out")
    })
}

/// Works out how a network is served; or says why it is not.
fn served_network(
    network: Network,
    site: &Site,
    local: &[LocalAddress],
) -> Result<Result<NetworkFamily, String>> {
    let name = network.name.clone();
    let subnet = network.subnet()?;
    let within = local.iter().find(|local| subnet.contains(local.address));
    let interface = match network.mgtifname.as_deref() {
        // A service node's interface: requests come through a relay.
        Some(remote) if remote.starts_with("!remote!") => None,
        Some(named) => Some(named.to_owned()),
        None => match within {
            Some(local) => Some(local.interface.clone()),
            None => {
                return Ok(Err(format!(
                    "this machine has no address in it, and no interface is named: chdef -t network {name} mgtifname=eth1"
                )));
            }
        },
    };
    if let Some(interface) = &interface {
        let serves = &site.dhcpinterfaces;
        if !serves.is_empty() && !serves.contains(interface) {
            return Ok(Err(format!(
                "the site's dhcpinterfaces leave out {interface}"
            )));
        }
        interface
            .parse::<IfName>()
            .with_context(|| format!("reading mgtifname of the network {name}"))?;
        if if_nametoindex(interface.as_str()).is_err() {
            bail!("the network {name} is served on {interface}, which this machine does not have");
        }
    }
    let subnet = match subnet {
        IpNetwork::V4(subnet) => subnet,
        IpNetwork::V6(subnet) => {
            return Ok(ServedNetwork6::new(network, subnet, interface)?.map(NetworkFamily::V6));
        }
    };
    let configured = network
        .tftpserver
        .as_deref()
        .and_then(|server| server.parse().ok());
    let master = site
        .master
        .as_deref()
        .and_then(|master| master.parse().ok());
    let own = within.and_then(|local| match local.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let server = configured.or(own).or(master).with_context(|| {
        format!(
            "the network {name} has no server: set its tftpserver, or the site's master, to an IPv4 address of this machine"
        )
    })?;
    let own_master = master.filter(|master| subnet.contains(*master));
    let web_server = configured.or(own_master).unwrap_or(server);
    // Within a network of IPv4 they are all of it.
    let ranges = network.dynamic_ranges()?.into_iter();
    let ranges = ranges
        .filter_map(|range| match range {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some((first, last)),
            _ => None,
        })
        .collect();
    Ok(Ok(NetworkFamily::V4(ServedNetwork {
        network,
        subnet,
        interface,
        server,
        web_server,
        ranges,
    })))
}

/// Lists the addresses of this machine.
pub(super) fn local_addresses() -> Result<Vec<LocalAddress>> {
    let found = getifaddrs().context("reading this machine's addresses")?;
    let local = found.filter_map(|found| {
        let address = found.address?;
        let v4 = address
            .as_sockaddr_in()
            .map(|address| IpAddr::V4(address.ip()));
        let v6 = || {
            address
                .as_sockaddr_in6()
                .map(|address| IpAddr::V6(address.ip()))
        };
        let address = v4.or_else(v6)?;
        (!address.is_loopback()).then_some(LocalAddress {
            interface: found.interface_name,
            address,
        })
    });
    Ok(local.collect())
}

#[cfg(test)]
mod tests {
    use definitions::{Definition as _, InstallDir, Object, ObjectKind};
    use proptest::prelude::*;

    use super::super::boot::Loaders;
    use super::*;

    /// Every option that is ever written.
    const OPTIONS: [&str; 14] = [
        "bind-interfaces",
        "dhcp-authoritative",
        "dhcp-boot",
        "dhcp-lease-max",
        "dhcp-match",
        "dhcp-option",
        "dhcp-option-force",
        "dhcp-range",
        "enable-ra",
        "enable-tftp",
        "interface",
        "ra-param",
        "tftp-no-fail",
        "tftp-root",
    ];

    /// What somebody would write into a definition to have dnsmasq do something else.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = [
            "10.1.0.9",
            "<xcatmaster>",
            "dhcp-script",
            "=/tmp/x",
            "\n",
            ",",
            " #",
            "\"",
            "\\",
            "tag:!x",
            "lab",
            "é",
            "\r",
        ];
        let joined = proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..6);
        prop_oneof![joined.prop_map(|parts| parts.concat()), "\\PC{0,20}"]
    }

    fn set(object: &mut Object, attribute: &str, value: &str) {
        // What a definition refuses cannot come here.
        let _ = object.set(attribute, value);
    }

    #[test]
    fn nodes_fetch_from_the_master_where_it_has_an_address_of_its_own() {
        for (tftpserver, master, tftp, http) in [
            // TFTP is dnsmasq's, HTTP the master's, when that is in the network.
            (None, "10.1.0.2", "10.1.0.3", "10.1.0.2"),
            (None, "10.2.0.2", "10.1.0.3", "10.1.0.3"),
            (None, "master", "10.1.0.3", "10.1.0.3"),
            (Some("10.1.0.4"), "10.1.0.2", "10.1.0.4", "10.1.0.4"),
        ] {
            let mut network = Object::new(ObjectKind::Network, "rack").unwrap();
            for (attribute, value) in [("net", "10.1.0.0"), ("mask", "/16")] {
                network.set(attribute, value).unwrap();
            }
            if let Some(server) = tftpserver {
                network.set("tftpserver", server).unwrap();
            }
            let network = Network::from_object(&network).unwrap();
            let site = Site {
                master: Some(master.to_owned()),
                ..Site::default()
            };
            let local = LocalAddress {
                interface: "lo".to_owned(),
                address: IpAddr::from([10, 1, 0, 3]),
            };
            let served = ServedNetworks::new(vec![network], &site, &[local]).unwrap();
            let served = &served.networks[0];
            let servers = (served.server.to_string(), served.web_server.to_string());
            assert_eq!(servers, (tftp.to_owned(), http.to_owned()), "{master}");
        }
    }

    proptest! {
        #[test]
        fn no_value_of_a_definition_becomes_an_option(
            values in proptest::collection::vec(hostile(), 9),
            installdir in hostile(),
        ) {
            let mut network = Object::new(ObjectKind::Network, "rack").unwrap();
            for (attribute, value) in [("net", "10.1.0.0"), ("mask", "/16"), ("mgtifname", "!remote!x")] {
                set(&mut network, attribute, value);
            }
            let attributes = ["gateway", "nameservers", "ntpservers", "domain", "dynamicrange", "tftpserver"];
            for (attribute, value) in attributes.iter().zip(&values) {
                set(&mut network, attribute, value);
            }
            let site = Site {
                master: Some("10.1.0.1".to_owned()),
                domain: Some(values[6].clone()),
                nameservers: vec![values[7].clone()],
                ntpservers: vec![values[8].clone()],
                ..Site::default()
            };
            let network = Network::from_object(&network).unwrap();
            let Ok(served) = ServedNetworks::new(vec![network], &site, &[]) else {
                return Ok(());
            };
            let loaders = Loaders::find(None, &InstallDir::new(installdir));
            for text in [served.settings(), loaders.settings(&served)].into_iter().flatten() {
                for line in text.lines().filter(|line| !line.starts_with("# Written by")) {
                    let option = line.split('=').next().unwrap_or_default();
                    prop_assert!(OPTIONS.contains(&option) && line.matches('=').count() <= 1, "{line}");
                    prop_assert!(!line.contains([' ', '"', '\\', '#']), "{line}");
                }
            }
        }
    }
}
