//! The network service of a machine, where a container image has none that anything starts.
//!
//! A tree comes in, and has one if it can; what is to be known goes out.

use super::super::tree::{Entry, Kind, Metadata, RootTree};

/// What starts a network service, and its unit.
const NETWORK_SERVICES: [&str; 6] = [
    "systemd-networkd.service",
    "NetworkManager.service",
    "networking.service",
    "wicked.service",
    "network.service",
    "netplan-ovs-cleanup.service",
];
/// Where units are enabled.
const ENABLED: [&str; 3] = [
    "etc/systemd/system/multi-user.target.wants",
    "etc/systemd/system/network-online.target.wants",
    "etc/systemd/system/sysinit.target.wants",
];
/// What configures the network of a machine whose image does not: the address that the initrd has set stays, and a
/// DHCP server may give another. Reference: systemd.network(5).
const NETWORK: &str = "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=ipv4\nKeepConfiguration=yes\n\n[Link]\n\
                       RequiredForOnline=no\n";

/// Finds the network service that is enabled.
pub(super) fn network_service(tree: &RootTree) -> Option<&'static str> {
    let enabled = |unit: &&str| {
        ENABLED.iter().any(|directory| {
            let path = format!("{directory}/{unit}");
            tree.resolve(path.as_bytes())
                .is_ok_and(|path| tree.entry(&path).is_some())
        })
    };
    NETWORK_SERVICES.into_iter().find(enabled)
}

/// Gives a machine a network service where the image has one that nothing starts. Returns what is to be known.
pub(in crate::rootimg) fn ensure_network(tree: &mut RootTree, epoch: u64) -> Option<String> {
    if network_service(tree).is_some() {
        return None;
    }
    if tree.open(b"usr/lib/systemd/systemd-networkd").is_none() {
        return Some(
            "the image has no network service: the address that netboot sets stays, and nothing else is configured; name \
             one in pkglist, such as systemd-networkd, NetworkManager or ifupdown"
                .to_owned(),
        );
    }
    let metadata = Metadata::of_root(0o644, epoch);
    let network = "etc/systemd/network/80-slipway.network";
    tree.insert_file(network.as_bytes(), NETWORK.as_bytes().to_vec(), metadata);
    let link = Entry {
        metadata: Metadata::of_root(0o777, epoch),
        kind: Kind::Link(b"/usr/lib/systemd/system/systemd-networkd.service".to_vec()),
    };
    let unit = format!("{}/systemd-networkd.service", ENABLED[0]);
    tree.insert(unit.into_bytes(), link);
    Some(format!(
        "nothing in the image starts a network service: systemd-networkd does, as /{network} says"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::host::tests::tree;
    use super::*;

    #[test]
    fn a_machine_has_a_network_service_where_the_image_can() {
        let mut none = tree(&[], &[]);
        let note = ensure_network(&mut none, 7).unwrap();
        assert!(
            note.starts_with("the image has no network service: "),
            "{note}"
        );
        let mut idle = tree(&[("usr/lib/systemd/systemd-networkd", "")], &[]);
        assert_eq!(
            ensure_network(&mut idle, 7).as_deref(),
            Some(
                "nothing in the image starts a network service: systemd-networkd does, as \
                 /etc/systemd/network/80-slipway.network says"
            )
        );
        assert_eq!(network_service(&idle), Some("systemd-networkd.service"));
        assert_eq!(ensure_network(&mut idle, 7), None);
        let own = "etc/systemd/system/multi-user.target.wants/NetworkManager.service";
        let mut own = tree(
            &[],
            &[(own, "/usr/lib/systemd/system/NetworkManager.service")],
        );
        assert_eq!(ensure_network(&mut own, 7), None);
    }
}
