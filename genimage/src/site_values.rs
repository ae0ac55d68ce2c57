//! What the site, its networks and its nodes say of servers, domains, NICs and disks: that installers can use it.
//!
//! Definitions come in; a problem for each value that no installer, no resolver or no kernel takes goes out. Such a value is
//! not found in the file that it is written to: there it is a text like any other. Pure.

use definitions::{IfName, Network, Node, Site, host_name_fault};

use crate::problem::Problem;

/// What an attribute may have in the place of the management node's address.
const MANAGEMENT_NODE: &str = "<xcatmaster>";

/// Checks what the site says.
pub(crate) fn of_site(site: &Site) -> Vec<Problem> {
    let whose = "the site";
    let servers = [
        ("ntpservers", &site.ntpservers),
        ("nameservers", &site.nameservers),
    ];
    let mut problems = servers_of(whose, &servers);
    problems.extend(domain_of(whose, site.domain.as_deref()));
    problems
}

/// Checks what a network says.
pub(crate) fn of_network(network: &Network) -> Vec<Problem> {
    let whose = format!("the network {}", network.name);
    let mut problems = servers_of(&whose, &[("nameservers", &network.nameservers)]);
    problems.extend(domain_of(&whose, network.domain.as_deref()));
    problems
}

/// Checks what a node says.
pub(crate) fn of_node(node: &Node) -> Vec<Problem> {
    let mut problems = servers_of(&node.name, &[("nameservers", &node.nameservers)]);
    let faults = [install_nic_fault(node), disk_fault(node)];
    let faults = faults.into_iter().flatten();
    problems.extend(faults.map(|fault| Problem::new(format!("{}: {fault}", node.name))));
    problems
}

/// Refuses servers that are neither addresses nor host names.
fn servers_of(whose: &str, attributes: &[(&str, &Vec<String>)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (attribute, servers) in attributes {
        let wrong = servers.iter().filter(|server| {
            let is_address = server.parse::<std::net::IpAddr>().is_ok();
            !is_address && *server != MANAGEMENT_NODE && host_name_fault(server).is_some()
        });
        problems.extend(wrong.map(|server| {
            Problem::new(format!(
                "{whose}: '{}' of its {attribute} is neither an address nor a host name: write one such as 10.1.0.1, or \
                 {MANAGEMENT_NODE}, with commas between several",
                server.escape_debug()
            ))
        }));
    }
    problems
}

/// Refuses a domain that no host can be in.
fn domain_of(whose: &str, domain: Option<&str>) -> Option<Problem> {
    let (domain, fault) = domain.and_then(|domain| Some((domain, host_name_fault(domain)?)))?;
    Some(Problem::new(format!(
        "{whose}: '{}' is not a domain: {fault}: write one such as example.com",
        domain.escape_debug()
    )))
}

/// Says why an installer cannot get its address on the NIC that is named: it does so on the NIC itself, before anything
/// is made of it.
fn install_nic_fault(node: &Node) -> Option<String> {
    let nic = node.installnic.as_deref().filter(|nic| *nic != "mac")?;
    let shown = nic.escape_debug();
    if nic.parse::<IfName>().is_err() {
        return Some(format!(
            "its installnic '{shown}' is not the name of a NIC: write one such as eth0, or mac"
        ));
    }
    let is_tagged = nic
        .rsplit_once('.')
        .is_some_and(|(_, tag)| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit()));
    let kind = node.nictypes.iter().find_map(|entry| {
        let (name, kind) = entry.split_once('!')?;
        (name == nic).then(|| kind.to_ascii_lowercase())
    });
    let kind = kind.filter(|kind| ["bond", "bridge", "vlan"].contains(&kind.as_str()));
    let kind = kind.or_else(|| is_tagged.then(|| "vlan".to_owned()))?;
    let what = if kind == "vlan" { "VLAN" } else { &kind };
    Some(format!(
        "its installnic '{shown}' is a {what}, and an installer gets its address on the NIC below it, without a tag: name \
         that NIC (installnic=mac), have its switch port carry the network untagged, and set the {what} up with a postscript"
    ))
}

/// Says why no device can be at the path of a disk; udev writes none of these characters.
fn disk_fault(node: &Node) -> Option<String> {
    let disk = node.disk.as_deref()?;
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "\"'$`,;*?|&<>".contains(c);
    let is_path = disk.strip_prefix("/dev/").is_some_and(|name| {
        let parts = name.split('/');
        !name.contains(unfit)
            && parts
                .into_iter()
                .all(|part| !["", ".", ".."].contains(&part))
    });
    (!is_path).then(|| {
        format!(
            "its disk '{}' is not a device: expected the path of one, such as /dev/sda or /dev/disk/by-id/…",
            disk.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn shown(problems: Vec<Problem>) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_are_addresses_or_host_names() {
        let site = |servers: &[&str]| Site {
            ntpservers: texts(servers),
            ..Site::default()
        };
        let good = ["10.1.0.1", "fd00::1", "ntp1.example.com", "<xcatmaster>"];
        assert_eq!(shown(of_site(&site(&good))), [""; 0]);
        for bad in [
            "a b",
            "-x",
            "a;b",
            "pool.example iburst",
            "[fd00::1]",
            "10.1.0.1:123",
            "",
        ] {
            assert_eq!(
                shown(of_site(&site(&[good[0], bad]))),
                [format!(
                    "the site: '{bad}' of its ntpservers is neither an address nor a host name: write one such as \
                     10.1.0.1, or <xcatmaster>, with commas between several"
                )]
            );
        }
    }

    #[test]
    fn a_domain_is_a_host_name() {
        for bad in ["bad domain", ".x", "x.", "a..b"] {
            let site = Site {
                domain: Some(bad.to_owned()),
                ..Site::default()
            };
            let problems = shown(of_site(&site));
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
            let begin = format!("the site: '{bad}' is not a domain: ");
            assert!(problems[0].starts_with(&begin), "{problems:?}");
            let network = Network {
                name: "rack".to_owned(),
                domain: Some(bad.to_owned()),
                nameservers: texts(&["x y"]),
                ..Network::default()
            };
            assert_eq!(of_network(&network).len(), 2, "{bad}");
        }
    }

    #[test]
    fn an_installer_has_its_address_on_a_nic_and_on_nothing_made_of_it() {
        for (nic, kinds, fault) in [
            ("mac", &[][..], None),
            ("eth0", &["eth0!Ethernet"], None),
            ("enP5p1s0f1np1", &[], None),
            ("ib0.8001x", &[], None),
            ("eth0.100", &[], Some("is a VLAN, ")),
            ("v100", &["eth0!Ethernet", "v100!VLAN"], Some("is a VLAN, ")),
            ("bond0", &["bond0!bond"], Some("is a bond, ")),
            ("br0", &["br0!bridge"], Some("is a bridge, ")),
            ("eth0:1", &[], Some("is not the name of a NIC: ")),
            ("../x", &[], Some("is not the name of a NIC: ")),
            ("a name of a NIC", &[], Some("is not the name of a NIC: ")),
        ] {
            let node = Node {
                name: "n1".to_owned(),
                installnic: Some(nic.to_owned()),
                nictypes: texts(kinds),
                ..Node::default()
            };
            let found = shown(of_node(&node));
            let expected = fault.map(|fault| format!("n1: its installnic '{nic}' {fault}"));
            assert_eq!(found.len(), usize::from(fault.is_some()), "{found:?}");
            assert!(
                found
                    .first()
                    .is_none_or(|one| one.starts_with(&expected.unwrap())),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_disk_is_the_path_of_a_device() {
        let problems = |disk: &str| {
            of_node(&Node {
                name: "n1".to_owned(),
                disk: Some(disk.to_owned()),
                ..Node::default()
            })
        };
        for disk in [
            "/dev/sda",
            "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
            "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
            "/dev/disk/by-id/nvme-MODEL_@1#x+y=z",
            "/dev/disk/by-label/a\\x20b",
        ] {
            assert_eq!(problems(disk), [], "{disk}");
        }
        for disk in [
            "sda",
            "/dev/",
            "/dev/../sda",
            "/dev/sda,/dev/sdb",
            "/dev/sd a",
            "/dev//sda",
            "/dev/sd?",
        ] {
            assert_eq!(
                shown(problems(disk)),
                [format!(
                    "n1: its disk '{disk}' is not a device: expected the path of one, such as /dev/sda or \
                     /dev/disk/by-id/…"
                )]
            );
        }
    }
}
