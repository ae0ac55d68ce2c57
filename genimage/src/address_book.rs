//! What a node's definition says of its hardware and its place in the network, checked against the others.
//!
//! Nodes, networks and the site come in; each node's facts go out, or every problem that it has. The
//! whole site is looked at, not only the nodes that are asked for: two nodes with one address are wrong
//! whichever of them is installed. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use definitions::{MacAddresses, Network, Node, Nodes, Site};
use ipnetwork::IpNetwork;

use crate::context;
use crate::problem::Problem;

/// The networks and addresses of the whole site.
#[derive(Debug)]
pub(crate) struct AddressBook {
    networks: Vec<(Network, IpNetwork)>,
    /// Who has an address, where more than one has.
    addresses: HashMap<IpAddr, Vec<String>>,
    /// Who has a MAC, where more than one has.
    macs: HashMap<String, Vec<String>>,
    /// The addresses of nodes, to find a server that is named.
    named: HashMap<String, IpAddr>,
}

impl AddressBook {
    /// Looks at the whole site.
    ///
    /// # Errors
    /// A network without an address, or with an invalid mask.
    pub(crate) fn new(nodes: &Nodes, networks: Vec<Network>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let networks = networks
            .into_iter()
            .filter_map(|network| match network.subnet() {
                Ok(subnet) => Some((network, subnet)),
                Err(fault) => {
                    problems.push(Problem::new(fault.to_string()));
                    None
                }
            })
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut addresses = Self {
            networks,
            addresses: HashMap::new(),
            macs: HashMap::new(),
            named: HashMap::new(),
        };
        addresses.count(nodes);
        Ok(addresses)
    }

    /// Notes who has which address, and keeps what more than one has.
    fn count(&mut self, nodes: &Nodes) {
        for name in nodes.names() {
            let Some(node) = nodes.own(name) else {
                continue;
            };
            let value = |attribute| nodes.value(node, attribute);
            // A container shares neither address space nor hardware with those that are installed.
            if value("mgt").is_some_and(|mgt| mgt.to_string() == "docker") {
                continue;
            }
            let addresses = ["ip", "ip6"].into_iter().filter_map(value);
            for ip in addresses.filter_map(|ip| ip.to_string().parse().ok()) {
                self.named.entry(name.to_owned()).or_insert(ip);
                self.addresses.entry(ip).or_default().push(name.to_owned());
            }
            let macs = value("mac").and_then(|mac| mac.to_string().parse::<MacAddresses>().ok());
            if let Some(macs) = macs {
                let first = macs.first().to_owned();
                self.macs.entry(first).or_default().push(name.to_owned());
            }
        }
        self.addresses.retain(|_, names| names.len() > 1);
        self.macs.retain(|_, names| names.len() > 1);
    }

    /// Returns the networks with all that they say.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.iter().map(|(network, _)| network)
    }

    /// Returns the smallest network that holds an address.
    fn network_of(&self, ip: IpAddr) -> Option<&(Network, IpNetwork)> {
        self.networks
            .iter()
            .filter(|(_, range)| range.contains(ip))
            .max_by_key(|(_, range)| range.prefix())
    }

    /// Finds the server that a node installs from: its `xcatmaster`, else the site's `master`.
    ///
    /// # Errors
    /// When neither is set, or names what has no address here.
    pub(crate) fn server(&self, node: &Node, site: &Site) -> Result<IpAddr, Problem> {
        let Some(server) = node.xcatmaster.as_ref().or(site.master.as_ref()) else {
            return Err(Problem::new(format!(
                "{}: no server to install from: set the site's master to the address of this machine as \
                 nodes reach it (chdef -t site {} master=10.1.0.1), or xcatmaster of the node",
                node.name,
                Site::NAME
            )));
        };
        let address = server
            .parse()
            .ok()
            .or_else(|| self.named.get(server).copied());
        address.ok_or_else(|| {
            Problem::new(format!(
                "{}: its server '{server}' is neither an address nor a node that has one: installers and \
                 postscripts reach it without a name service, so give its address",
                node.name
            ))
        })
    }

    /// Works out what is known of a node.
    ///
    /// # Errors
    /// Every problem that it has: no MAC or an invalid one, an address in no network of the site, an
    /// address or a MAC that another node has.
    pub(crate) fn facts(
        &self,
        node: &Node,
        site: &Site,
        server: IpAddr,
    ) -> Result<context::NodeFacts, Vec<Problem>> {
        let name = &node.name;
        let mut problems = Vec::new();
        let mac = node.mac.as_ref().map_or("", |mac| mac.first());
        if mac.is_empty() {
            problems.push(Problem::new(format!(
                "{name}: no MAC, so its network cannot be named before it boots: chdef {name} mac=52:54:00:00:00:01"
            )));
        }
        if let Some(others) = self.macs.get(mac) {
            problems.push(shared(name, "MAC", mac, others));
        }
        let network = node.address().and_then(|ip| self.network_of(ip));
        for ip in node.addresses() {
            if let Some(others) = self.addresses.get(&ip) {
                problems.push(shared(name, "address", &ip.to_string(), others));
            }
        }
        if let Some(ip) = node.address() {
            if let Some(fault) = address_fault(ip, network.map(|(_, range)| *range)) {
                problems.push(Problem::new(format!("{name}: its address {ip} is {fault}")));
            } else if network.is_none() && !self.networks.is_empty() {
                let known = self.networks.iter();
                let known = known.map(|(network, range)| format!("{} ({range})", network.name));
                problems.push(Problem::new(format!(
                    "{name}: its address {ip} is in no network of the site: there are {}",
                    known.collect::<Vec<_>>().join(", ")
                )));
            }
        }
        let domain = network.and_then(|(network, _)| network.domain.as_ref());
        let domain = domain.or(site.domain.as_ref()).cloned();
        let hostname = hostname(name, domain.as_deref());
        if hostname.len() > MAX_HOSTNAME {
            problems.push(Problem::new(format!(
                "{name}: its name has {} characters, and Linux keeps {MAX_HOSTNAME} of a host name",
                name.len()
            )));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let of_network = network.map(|(network, _)| network);
        Ok(context::NodeFacts {
            name: name.clone(),
            hostname,
            domain,
            mac: mac.to_owned(),
            nic: nic(node),
            ip: node.address().map(|ip| ip.to_string()),
            prefix: network.map(|(_, range)| range.prefix()),
            gateway: of_network
                .and_then(|network| network.gateway.as_deref())
                .map(|gateway| resolve_server(gateway, server)),
            nameservers: nameservers(node, of_network, site, server),
        })
    }
}

/// The longest host name that Linux keeps (`HOST_NAME_MAX`, gethostname(2)).
const MAX_HOSTNAME: usize = 64;

/// Says what keeps an address from being that of one node.
fn address_fault(ip: IpAddr, network: Option<IpNetwork>) -> Option<&'static str> {
    let network = network.filter(|network| network.is_ipv4() && network.prefix() < 31);
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() {
        Some("of no single node")
    } else if network.is_some_and(|network| network.network() == ip) {
        Some("that of its network")
    } else if network.is_some_and(|network| network.broadcast() == ip) {
        Some("the broadcast address of its network")
    } else {
        None
    }
}

/// Returns the name of a node with its domain, once, where both fit into a host name; without the domain otherwise.
fn hostname(name: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) if !name.ends_with(&format!(".{domain}")) => {
            let full = format!("{name}.{domain}");
            if full.len() > MAX_HOSTNAME {
                name.to_owned()
            } else {
                full
            }
        }
        _ => name.to_owned(),
    }
}

/// Tells of what two nodes have that one may have.
fn shared(name: &str, what: &str, value: &str, others: &[String]) -> Problem {
    let others: Vec<_> = others.iter().filter(|other| *other != name).collect();
    let first = others.iter().take(3).map(|other| other.as_str());
    let mut first = first.collect::<Vec<_>>().join(", ");
    if others.len() > 3 {
        first += &format!(" and {} more", others.len() - 3);
    }
    Problem::new(format!(
        "{name}: its {what} {value} is also that of {first}"
    ))
}

/// Replaces `<xcatmaster>` by the server that the node installs from.
fn resolve_server(text: &str, server: IpAddr) -> String {
    match text {
        "<xcatmaster>" => server.to_string(),
        other => other.to_owned(),
    }
}

/// Returns the DNS servers: the node's own, else its network's, else the site's.
fn nameservers(node: &Node, network: Option<&Network>, site: &Site, server: IpAddr) -> Vec<String> {
    let lists = [
        Some(&node.nameservers),
        network.map(|network| &network.nameservers),
        Some(&site.nameservers),
    ];
    let lists = lists.into_iter().flatten().find(|lists| !lists.is_empty());
    let lists = lists.map_or(&[][..], Vec::as_slice);
    lists
        .iter()
        .map(|name| resolve_server(name, server))
        .collect()
}

/// Returns the name of the NIC to install over; `mac` means the one that has the MAC.
fn nic(node: &Node) -> Option<String> {
    let named = [&node.installnic, &node.primarynic];
    let named = named.into_iter().flatten().find(|nic| *nic != "mac");
    named.cloned()
}

#[cfg(test)]
mod tests {
    use definitions::{Definition, Object, ObjectKind};

    use super::*;

    fn object(kind: ObjectKind, name: &str, attributes: &[&str]) -> Object {
        let mut object = Object::new(kind, name).unwrap();
        for attribute in attributes {
            let (name, value) = attribute.split_once('=').unwrap();
            object.set(name, value).unwrap();
        }
        object
    }

    /// A site with one network, whose nodes have the attributes given.
    struct Lab {
        nodes: Nodes,
        site: Site,
        addresses: AddressBook,
    }

    impl Lab {
        fn new(nodes: &[(&str, &[&str])]) -> Self {
            let nodes = nodes
                .iter()
                .map(|(name, lists)| object(ObjectKind::Node, name, lists));
            let nodes = Nodes::new(nodes);
            let network = |name, lists: &[&str]| {
                Network::from_object(&object(ObjectKind::Network, name, lists)).unwrap()
            };
            let networks = vec![
                network("all", &["net=10.0.0.0", "mask=255.0.0.0"]),
                network(
                    "rack",
                    &[
                        "net=10.1.0.0",
                        "mask=/16",
                        "gateway=<xcatmaster>",
                        "nameservers=10.1.0.2",
                        "domain=rack.example",
                    ],
                ),
            ];
            let addresses = AddressBook::new(&nodes, networks).unwrap();
            let site = Site {
                master: Some("10.1.0.1".to_owned()),
                domain: Some("example.com".to_owned()),
                ..Site::default()
            };
            Self {
                nodes,
                site,
                addresses,
            }
        }

        fn facts(&self, name: &str) -> Result<context::NodeFacts, Vec<String>> {
            let node = self.nodes.node(name).unwrap();
            let server = self.addresses.server(&node, &self.site);
            let server = server.map_err(|problem| vec![problem.to_string()])?;
            let facts = self.addresses.facts(&node, &self.site, server);
            facts.map_err(|problems| problems.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn the_smallest_network_that_holds_the_address_says_the_rest() {
        let lab = Lab::new(&[(
            "n1",
            &[
                "ip=10.1.0.5",
                "mac=52-54-00-AB-00-01!n1|52:54:00:ab:00:02!n1-b",
                "installnic=mac",
                "primarynic=eth1",
            ],
        )]);
        let facts = lab.facts("n1").unwrap();
        assert_eq!(facts.mac, "52:54:00:ab:00:01");
        assert_eq!(facts.hostname, "n1.rack.example");
        assert_eq!(facts.prefix, Some(16));
        assert_eq!(facts.gateway.as_deref(), Some("10.1.0.1"));
        assert_eq!(facts.nameservers, ["10.1.0.2"]);
        assert_eq!(facts.nic.as_deref(), Some("eth1"));
    }

    #[test]
    fn an_address_of_ipv6_alone_is_the_address_and_no_other_node_has_it() {
        let lab = Lab::new(&[
            ("n1", &["ip6=fd00::5", "mac=52:54:00:ab:00:01"]),
            ("n2", &["ip=fd00::6", "mac=52:54:00:ab:00:02"]),
            (
                "n3",
                &["ip=10.1.0.7", "ip6=fd00::6", "mac=52:54:00:ab:00:03"],
            ),
        ]);
        assert_eq!(lab.addresses.named["n1"].to_string(), "fd00::5");
        let problems = lab.facts("n3").unwrap_err();
        assert!(
            problems[0].contains("fd00::6") && problems[0].contains("n2"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_node_without_an_address_is_left_to_dhcp() {
        let lab = Lab::new(&[("n1", &["mac=52:54:00:ab:00:01"])]);
        let facts = lab.facts("n1").unwrap();
        assert_eq!((facts.ip, facts.prefix), (None, None));
        assert_eq!(facts.hostname, "n1.example.com");
    }

    #[test]
    fn all_that_is_wrong_with_a_node_is_reported_at_once() {
        let lab = Lab::new(&[
            ("n1", &["ip=192.0.2.1"]),
            ("n2", &["ip=10.1.0.5", "mac=52:54:00:ab:00:01"]),
            ("n3", &["ip=10.1.0.5", "mac=52:54:00:AB:00:01"]),
            (
                "c1",
                &["ip=10.1.0.5", "mac=52:54:00:ab:00:01", "mgt=docker"],
            ),
        ]);
        assert_eq!(
            lab.facts("n1").unwrap_err(),
            [
                "n1: no MAC, so its network cannot be named before it boots: chdef n1 mac=52:54:00:00:00:01",
                "n1: its address 192.0.2.1 is in no network of the site: there are all (10.0.0.0/8), rack (10.1.0.0/16)",
            ]
        );
        assert_eq!(
            lab.facts("n2").unwrap_err(),
            [
                "n2: its MAC 52:54:00:ab:00:01 is also that of n3",
                "n2: its address 10.1.0.5 is also that of n3",
            ]
        );
    }

    #[test]
    fn an_address_that_no_single_node_has_is_reported() {
        for (ip, expected) in [
            ("10.1.0.1", None),
            (
                "10.1.0.0",
                Some("n1: its address 10.1.0.0 is that of its network"),
            ),
            ("10.2.0.0", None),
            (
                "10.1.255.255",
                Some("n1: its address 10.1.255.255 is the broadcast address of its network"),
            ),
            (
                "127.0.0.1",
                Some("n1: its address 127.0.0.1 is of no single node"),
            ),
            (
                "224.0.0.1",
                Some("n1: its address 224.0.0.1 is of no single node"),
            ),
            ("::", Some("n1: its address :: is of no single node")),
        ] {
            let ip = format!("ip={ip}");
            let lab = Lab::new(&[("n1", &["mac=52:54:00:ab:00:01", &*ip])]);
            let expected = expected.map(|text| vec![text.to_owned()]);
            assert_eq!(lab.facts("n1").err(), expected, "{ip}");
        }
    }

    #[test]
    fn a_host_name_has_its_domain_once_and_as_far_as_it_fits() {
        let long = "a".repeat(55);
        let longest = format!("{}.{}", "a".repeat(32), "b".repeat(31));
        let too_long = format!("{longest}c");
        for (name, expected) in [
            ("n1", "n1.example.com"),
            ("n1.example.com", "n1.example.com"),
            ("n1.other", "n1.other.example.com"),
            (&*long, &*long),
            (&*longest, &*longest),
        ] {
            let lab = Lab::new(&[(name, &["mac=52:54:00:ab:00:01"])]);
            assert_eq!(lab.facts(name).unwrap().hostname, expected);
        }
        let lab = Lab::new(&[(&too_long, &["mac=52:54:00:ab:00:01"])]);
        assert_eq!(
            lab.facts(&too_long).unwrap_err(),
            [format!(
                "{too_long}: its name has 65 characters, and Linux keeps 64 of a host name"
            )]
        );
    }

    #[test]
    fn the_server_is_an_address_or_a_node_that_has_one() {
        let mut lab = Lab::new(&[
            ("n1", &["mac=52:54:00:ab:00:01", "xcatmaster=mgt"]),
            ("mgt", &["ip=10.1.0.9"]),
            ("n2", &["mac=52:54:00:ab:00:02", "xcatmaster=elsewhere"]),
            ("n3", &["mac=52:54:00:ab:00:03"]),
        ]);
        let server = |lab: &Lab, name: &str| {
            let server = lab
                .addresses
                .server(&lab.nodes.node(name).unwrap(), &lab.site);
            server
                .map(|server| server.to_string())
                .map_err(|problem| problem.to_string())
        };
        assert_eq!(server(&lab, "n1").unwrap(), "10.1.0.9");
        assert_eq!(server(&lab, "n3").unwrap(), "10.1.0.1");
        assert_eq!(
            server(&lab, "n2").unwrap_err(),
            "n2: its server 'elsewhere' is neither an address nor a node that has one: installers and postscripts reach it without a name service, so give its address"
        );
        lab.site.master = None;
        assert_eq!(
            server(&lab, "n3").unwrap_err(),
            "n3: no server to install from: set the site's master to the address of this machine as nodes reach it (chdef -t site clustersite master=10.1.0.1), or xcatmaster of the node"
        );
    }

    #[test]
    fn a_network_with_no_mask_is_reported() {
        let network = object(ObjectKind::Network, "rack", &["net=10.1.0.0", "mask=wide"]);
        let network = Network::from_object(&network).unwrap();
        let problems = AddressBook::new(&Nodes::default(), vec![network]).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "the network rack (10.1.0.0) has the mask 'wide': expected one such as 255.255.0.0 or /16"
        );
    }
}
