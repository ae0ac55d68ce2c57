//! An uplink by Open vSwitch at boot: the backend makes the veth pair, the database keeps the rest.

use std::path::Path;

use postscripts::bridge::net::{Datapath, SwitchWiring};
use postscripts::bridge::persist::{self, Persistence};
use postscripts::fault::Fault;

use super::{BACKENDS, Host, daemons, state, texts};

fn plan(host: &Host, datapath: Datapath) -> anyhow::Result<Persistence> {
    daemons::vouch(host.root());
    let name = |name: &str| name.parse().unwrap();
    let wiring = SwitchWiring {
        switch: name("ovs-mydocker0"),
        datapath,
        bridge_end: name("vb-mydocker0"),
        switch_end: name("vs-mydocker0"),
    };
    let uplink = ("eth0", "mydocker0");
    persist::plan_with_switch(host.root(), uplink, None, Some(wiring), &state())
}

/// Applies a plan, and undoes it, and applies it again; then a second run finds nothing to do.
#[track_caller]
fn applied(host: &Host, datapath: Datapath) {
    let before = host.files();
    plan(host, datapath).unwrap().apply().unwrap();
    assert_ne!(host.files(), before);
    let bridge = "mydocker0".parse().unwrap();
    assert!(
        persist::recover(host.root(), &bridge, &Fault::default())
            .unwrap()
            .is_some()
    );
    assert_eq!(host.files(), before);
    let again = plan(host, datapath).unwrap();
    again.apply().unwrap();
    again.commit().unwrap();
    let second = plan(host, datapath).unwrap();
    assert_eq!(second.describe(), Vec::<String>::new());
}

fn text(host: &Host, path: &str) -> String {
    let all = texts(&host.root().join("etc"));
    let text = all.get(Path::new(path));
    text.unwrap_or_else(|| panic!("no {path}")).clone()
}

#[test]
fn ifupdown_makes_the_pair_with_the_bridge() {
    let host = Host::of("ifupdown", "static46");
    let before = text(&host, "network/interfaces");
    applied(&host, Datapath::System);
    let plain = Host::of("ifupdown", "static46");
    plain.plan().unwrap().apply().unwrap();
    let plain = text(&plain, "network/interfaces");
    assert_ne!(plain, before);
    let port = "    pre-up ip link set dev eth0 master mydocker0 up\n    post-down ip link del dev mydocker0\n";
    let pair = "    pre-up ip link show dev vb-mydocker0 >/dev/null 2>&1 || ip link add name vb-mydocker0 mtu 1500 type \
                veth peer name vs-mydocker0 mtu 1500\n    \
                pre-up ip link set dev vs-mydocker0 up\n    \
                pre-up ip link set dev eth0 up\n    \
                pre-up ip link set dev vb-mydocker0 master mydocker0 up\n    \
                post-down ip link del dev vb-mydocker0\n    \
                post-down ip link del dev mydocker0\n";
    assert!(plain.contains(port), "{plain}");
    assert_eq!(text(&host, "network/interfaces"), plain.replace(port, pair));
}

#[test]
fn networkd_makes_the_pair_and_leaves_what_open_vswitch_has_alone() {
    let host = Host::of("networkd", "static4");
    host.write(
        "/etc/systemd/network/10-all.network",
        "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n",
    );
    applied(&host, Datapath::System);
    let port = |name: &str, awaited: &str, master: &str| {
        format!(
            "[Match]\nName={name}\n\n[Link]\nMTUBytes=1500\n{awaited}\n[Network]\n{master}\nLinkLocalAddressing=no\n"
        )
    };
    let not_awaited = "RequiredForOnline=no\n";
    for (file, expected) in [
        (
            "eth0.network",
            "[Match]\nMACAddress=52:54:00:12:34:56\nName=eth0\n\n[Link]\nRequiredForOnline=no\n\n\
             [Network]\nKeepMaster=yes\nLinkLocalAddressing=no\n"
                .to_owned(),
        ),
        (
            "10-vb-mydocker0.netdev",
            "[NetDev]\nName=vb-mydocker0\nKind=veth\nMTUBytes=1500\n\n[Peer]\nName=vs-mydocker0\n"
                .to_owned(),
        ),
        (
            "05-vb-mydocker0.network",
            port("vb-mydocker0", "", "Bridge=mydocker0"),
        ),
        (
            "05-vs-mydocker0.network",
            port("vs-mydocker0", not_awaited, "KeepMaster=yes"),
        ),
        (
            "05-ovs-mydocker0.network",
            "[Match]\nName=ovs-mydocker0\n\n[Link]\nUnmanaged=yes\n".to_owned(),
        ),
    ] {
        assert_eq!(
            text(&host, &format!("systemd/network/{file}")),
            expected,
            "{file}"
        );
    }
    let bridge = text(&host, "systemd/network/10-mydocker0.network");
    assert!(
        bridge.contains("Address=10.0.0.5/24\nGateway=10.0.0.1\n"),
        "{bridge}"
    );
}

#[test]
fn netplan_keeps_its_definitions_and_networkd_makes_the_pair_beside_them() {
    let host = Host::of("netplan", "static4");
    applied(&host, Datapath::System);
    let plain = Host::of("netplan", "static4");
    plain.plan().unwrap().apply().unwrap();
    let file = "netplan/01-netcfg.yaml";
    let (port, own) = ("      interfaces: [eth0]\n", text(&plain, file));
    assert!(own.contains(port), "{own}");
    assert_eq!(text(&host, file), own.replace(port, ""));
    let written = texts(&host.root().join("etc/systemd"));
    let written: Vec<_> = written.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        written,
        [
            "network/10-netplan-eth0.network.d/switch.conf",
            "network/10-vb-mydocker0.netdev",
            "network/10-vb-mydocker0.network",
            "network/10-vs-mydocker0.network",
        ]
    );
    assert_eq!(
        text(
            &host,
            "systemd/network/10-netplan-eth0.network.d/switch.conf"
        ),
        "# eth0 is a port of Open vSwitch, and mydocker0 has its addresses.\n\
         [Link]\nRequiredForOnline=no\n\n[Network]\nKeepMaster=yes\nLinkLocalAddressing=no\n"
    );
    // one whose files make the NIC a port already, and one that somebody else wrote
    let file = "/etc/netplan/60-more.yaml";
    let yaml = "network:\n  bridges:\n    mydocker0:\n      interfaces: [eth0]\n";
    let path = "/etc/systemd/network/10-netplan-eth0.network.d/switch.conf";
    for (file, text, message) in [
        (
            file,
            yaml,
            "netplan makes eth0 a port of mydocker0 itself, without a switch: take it out of its interfaces there first"
                .to_owned(),
        ),
        (
            path,
            "[Link]\nMTUBytes=1500\n",
            format!("{path} exists already and eth0 does not use it: remove it first"),
        ),
    ] {
        let host = Host::of("netplan", "static4");
        host.write(file, text);
        let refused = plan(&host, Datapath::System).unwrap_err();
        assert_eq!(format!("{refused:#}"), message);
    }
}

#[test]
fn the_userspace_datapath_keeps_the_kernel_from_receiving_beside_it() {
    let host = Host::of("ifupdown", "static4");
    host.write("/usr/sbin/nft", "");
    applied(&host, Datapath::Netdev);
    assert_eq!(
        text(&host, "openvswitch/slipway-mydocker0.nft"),
        "# eth0 is a port of ovs-mydocker0, whose userspace datapath receives for mydocker0: the kernel must not beside it.\n\
         table netdev slipway-mydocker0 {\n\
         \tchain eth0 {\n\
         \t\ttype filter hook ingress device \"eth0\" priority -500; policy drop;\n\
         \t}\n\
         }\n"
    );
    assert_eq!(
        text(
            &host,
            "systemd/system/ovs-vswitchd.service.d/slipway-mydocker0.conf"
        ),
        "# ovs-mydocker0 has the userspace datapath, for mydocker0.\n\
         [Service]\nExecStartPre=-/usr/sbin/nft -f /etc/openvswitch/slipway-mydocker0.nft\n"
    );
    assert_eq!(
        text(&host, "systemd/network/10-vb-mydocker0.link"),
        "# A userspace datapath passes packets on as they are: their checksums have to be complete.\n\
         [Match]\nOriginalName=vb-mydocker0\n\n[Link]\nTransmitChecksumOffload=no\n"
    );
    let host = Host::of("ifupdown", "static4");
    let refused = plan(&host, Datapath::Netdev).unwrap_err();
    assert_eq!(
        format!("{refused:#}"),
        "finding nft, which keeps the kernel from receiving beside the userspace datapath at boot: install nftables first"
    );
}

#[test]
fn a_backend_that_gets_no_veth_pair_is_refused_by_name() {
    for backend in BACKENDS {
        let host = Host::of(backend, "static4");
        let planned = plan(&host, Datapath::System);
        if ["ifupdown", "networkd", "netplan"].contains(&backend) {
            planned.unwrap();
            continue;
        }
        let name = host.plan().unwrap().backend();
        assert_eq!(
            format!("{:#}", planned.unwrap_err()),
            format!(
                "{name} configures eth0, and Slipway writes no veth pair for it, which connects mydocker0 to ovs-mydocker0: \
                 configure eth0 by systemd-networkd, by netplan with networkd, or by ifupdown first"
            )
        );
    }
}
