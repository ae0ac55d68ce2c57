use super::*;

#[test]
fn ubuntus_live_installer_is_refused_where_its_server_has_an_address_of_ipv6() {
    let node = Node {
        name: "host01".to_owned(),
        ..Node::default()
    };
    let reach = |installer, server: &str| {
        let problem = check_reach(&node, installer, server.parse().unwrap()).err();
        problem.map(|problem| problem.to_string())
    };
    let refusal = "host01: its server has the address fd00:1::1, and Ubuntu's live installer reaches none of IPv6: set \
                       the node's xcatmaster to an address of IPv4";
    for (installer, server, expected) in [
        (InstallerKind::Autoinstall, "fd00:1::1", Some(refusal)),
        (InstallerKind::Autoinstall, "10.1.0.1", None),
        (InstallerKind::Kickstart, "fd00:1::1", None),
    ] {
        assert_eq!(
            reach(installer, server).as_deref(),
            expected,
            "{installer:?}"
        );
    }
}
