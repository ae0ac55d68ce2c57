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
    assert_eq!(lab.addresses.named["n3"].to_string(), "10.1.0.7");
    let problems = lab.facts("n3").unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
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
