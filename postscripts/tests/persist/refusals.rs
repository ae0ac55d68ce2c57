//! What cannot be kept over a boot is refused, with the reason.

use super::*;

/// A host's change, and the whole message that it must bring.
type Refusal = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const REFUSALS: [Refusal; 34] = [
    (
        "wicked",
        "dhcp",
        &[("/proc/300/comm", "other\n")],
        "nothing that runs configures eth0 (netplan: no file; systemd-networkd: does not run; NetworkManager: does not \
         run; ifupdown: no stanza names it; ifcfg: no file names it; wicked: does not run): configure it first, or \
         change the live network alone with --no-persist",
    ),
    (
        "wicked",
        "dhcp",
        &[(
            "/etc/netplan/a.yaml",
            "network: {version: 2, ethernets: {eth0: {dhcp4: true}}}\n",
        )],
        "netplan and wicked both configure eth0: take it out of one of them, or change the live network alone with \
         --no-persist",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/01-netcfg.yaml",
            "network: {version: 2, ethernets: {eth0: {dhcp4: true}}}\n",
        )],
        "editing /etc/netplan/01-netcfg.yaml: the definitions are written in braces, which cannot be edited line by \
         line: write them as a block",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-lab.yaml",
            "network:\n  bridges:\n    lab:\n      interfaces: [eth0]\n",
        )],
        "netplan puts eth0 into lab already: take it out there first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-more.yaml",
            "network:\n  bridges:\n    mydocker0: {dhcp4: false}\n",
        )],
        "moving the settings of eth0 to mydocker0 in the files of netplan (systemd-networkd) would change them (DHCPv4: \
         true became false): use --no-persist",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/01-netcfg.yaml",
            "network:\n  ethernets:\n    eth0: &a {dhcp4: true}\n    eth1: *a\n",
        )],
        "reading /etc/netplan/01-netcfg.yaml: line 3: uses a YAML anchor, alias or tag, and lines that depend on others \
         are not moved",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nBridge=lab\n",
        )],
        "/etc/systemd/network/20-eth0.network puts eth0 into lab already: take it out there first",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/etc/sysconfig/network-scripts/ifcfg-mydocker0",
            "DEVICE=mydocker0\n",
        )],
        "/etc/sysconfig/network-scripts/ifcfg-mydocker0 exists already and eth0 does not use it: remove it first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces.d/map",
            "mapping eth*\n    script /bin/true\n",
        )],
        "editing /etc/network/interfaces.d/map: a mapping stanza covers eth0: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto /eth*=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto /eth*=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto eth0=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto eth0=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto mtu/1500=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto mtu/1500=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "allow-hotplug mac/52:54:00:12:34:*=eth0\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'allow-hotplug mac/52:54:00:12:34:*=eth0' has eth0 come up by another stanza: \
         write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces.d/names",
            "rename enp3s0=lan1 mac/52:54:00:12:34:56=eth0\n",
        )],
        "editing /etc/network/interfaces.d/names: 'rename enp3s0=lan1 mac/52:54:00:12:34:56=eth0' covers eth0, or \
         mydocker0 by its address: rename by the old name, or in a .link file of udev",
    ),
    (
        "ifupdown",
        "dhcp",
        &[("/etc/network/interfaces.d/names", "rename type/1/1=eth0\n")],
        "editing /etc/network/interfaces.d/names: 'rename type/1/1=eth0' covers eth0, or mydocker0 by its address: \
         rename by the old name, or in a .link file of udev",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/etc/sysconfig/network-scripts/ifcfg-gre1",
            "DEVICE=gre1\nTYPE=GRE\nPEER_OUTER_IPADDR=10.9.0.1\nPHYSDEV=eth0\n",
        )],
        "looking at /etc/sysconfig/network-scripts/ifcfg-gre1: \"PHYSDEV=eth0\" UNCLEAR",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface eth1 inet dhcp inherits eth0\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth1 inherits from that of eth0: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface lab inet static\n    address 10.0.0.5/24\n\niface eth0 inherits lab\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth0 inherits from that of lab: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface lab\n    address 10.0.0.5/24\n\niface eth0\n    inherit lab\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth0 inherits from that of lab: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto eth0\niface eth0 inet dhcp\n    up ip route flush dev eth0; ethtool -r eth0\n",
        )],
        "editing /etc/network/interfaces: \"up ip route flush dev eth0; ethtool -r eth0\" UNCLEAR",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface eth1 inet manual\n    lab-uplink eth0\n",
        )],
        "editing /etc/network/interfaces: \"lab-uplink eth0\" UNCLEAR",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface lab inet manual\n    bridge_ports eth0 eth1\n",
        )],
        "editing /etc/network/interfaces: another device takes eth0 (bridge_ports eth0 eth1): take it out there first",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nLabUplink=eth0\n",
        )],
        "looking at /etc/systemd/network/10-mydocker0.network: \"LabUplink=eth0\" UNCLEAR",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/!.network",
            "[Match]\nName=*\n[Network]\nDHCP=no\n",
        )],
        "/etc/systemd/network/!.network sorts before any file for mydocker0: rename it first",
    ),
    (
        "networkmanager",
        "dhcp",
        &[(
            "/etc/NetworkManager/system-connections/gre.nmconnection",
            "[connection]\nid=gre\ntype=ip-tunnel\n[ip-tunnel]\nlab=eth0\n",
        )],
        "looking at /etc/NetworkManager/system-connections/gre.nmconnection: \"lab=eth0\" UNCLEAR",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/etc/sysconfig/network-scripts/ifcfg-gre1",
            "DEVICE=gre1\nMY_OUTER_DEV=eth0\n",
        )],
        "looking at /etc/sysconfig/network-scripts/ifcfg-gre1: \"MY_OUTER_DEV=eth0\" UNCLEAR",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/run/initramfs/state/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\n",
        )],
        "/run/initramfs/state/etc/sysconfig/network-scripts/ifcfg-eth0 is copied over the file of the host at each boot: \
         take ip= out of the kernel's command line first",
    ),
    (
        "netplan",
        "dhcp",
        &[("/proc/cmdline", "root=/dev/vda ip=dhcp ro\n")],
        "cloud-init writes /etc/netplan/50-cloud-init.yaml at each boot by ip=dhcp of the kernel's command line: take it \
         out there first",
    ),
    (
        "netplan",
        "dhcp",
        &[("/etc/cloud/cloud.cfg.d/zz.cfg", "network:\n  config: []\n")],
        "/etc/cloud/cloud.cfg.d/zz.cfg configures the network through cloud-init, which would write \
         /etc/netplan/50-cloud-init.yaml again: take it out there first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-lab.yaml",
            "network:\n  tunnels:\n    lab:\n      over: eth0\n",
        )],
        "looking at /etc/netplan/90-lab.yaml: \"over: eth0\" UNCLEAR",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-all.yaml",
            "network:\n  ethernets:\n    all:\n      match: {name: \"*\"}\n",
        )],
        "netplan's all (name: *) covers mydocker0 too, and is read before it: narrow its match first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/systemd/network/05-lab.network",
            "[Match]\nName=!eth*\n[Network]\nDHCP=no\n",
        )],
        "/etc/systemd/network/05-lab.network covers mydocker0 too, and is read before 10-netplan-mydocker0.network, which \
         netplan makes: rename it or narrow its [Match] first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/run/systemd/network/10-netplan-lan.link",
            "[Match]\nMACAddress=52:54:00:12:34:56\n[Link]\nName=eth0\n",
        )],
        "eth0 is named in other files for what mydocker0 will have: /run/systemd/network/10-netplan-lan.link: it is \
         generated at each boot: change its generator first",
    ),
    (
        "wicked",
        "dhcp",
        &[(
            "/etc/systemd/system/multi-user.target.wants/lab@eth0.service",
            "",
        )],
        "eth0 is named in other files for what mydocker0 will have: \
         /etc/systemd/system/multi-user.target.wants/lab@eth0.service: it is started at boot: disable it, and enable \
         lab@mydocker0.service instead",
    ),
];

#[test]
fn what_cannot_be_persisted_is_refused_and_nothing_changes() {
    for (backend, case, files, message) in REFUSALS {
        let host = Host::of(backend, case);
        for (path, text) in files {
            host.write(path, text);
        }
        let before = host.files();
        let planned = host.plan().map(|plan| plan.describe());
        let err = planned.expect_err(message);
        let message = message.replace("UNCLEAR", UNCLEAR);
        assert_eq!(format!("{err:#}"), message, "{backend}/{case}");
        assert_eq!(host.files(), before, "{backend}/{case}");
    }
}

#[test]
fn files_that_cannot_be_joined_or_changed_are_refused() {
    let dir = "/etc/sysconfig/network-scripts";
    let host = Host::bare();
    host.write("/sys/class/net/eth0/ifindex", "2\n");
    let named = "DEVICE=eth0\nBOOTPROTO=dhcp\n";
    host.write(&format!("{dir}/ifcfg-lab"), named);
    for name in ["route-eth0", "route-lab"] {
        host.write(&format!("{dir}/{name}"), "10.9.0.0/16 via 10.0.0.9\n");
    }
    let err = host.plan().map(|plan| plan.describe()).unwrap_err();
    let message = format!(
        "{dir}/route-lab would go to {dir}/route-mydocker0, where another file is: join the two first"
    );
    assert_eq!(format!("{err:#}"), message);

    let host = Host::of("ifupdown", "static4");
    let place = host.root().join("etc/network/interfaces");
    let text = fs::read_to_string(&place).unwrap();
    host.write(
        "/etc/network/interfaces",
        &format!("source /opt/lab/*\n{text}"),
    );
    host.write("/opt/lab/more", "iface eth0 inet6 auto\n");
    let err = host.plan().map(|plan| plan.describe()).unwrap_err();
    let message = "/opt/lab/more names eth0, and only files below /etc are changed: move its stanza there first";
    assert_eq!(format!("{err:#}"), message);
}

#[test]
fn a_nic_that_something_else_takes_at_the_next_boot_is_refused() {
    let networkd = "/etc/systemd/network/eth0.network.d/more.conf";
    let keyfile = "/etc/NetworkManager/system-connections/mv0.nmconnection";
    let ifcfg = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    let cases = [
        (
            "networkd",
            networkd,
            "[Network]\nMACVLAN=mv0\n",
            "MACVLAN=mv0 of /etc/systemd/network/eth0.network takes every frame of eth0, which a port of a bridge cannot: \
             remove it first",
        ),
        (
            "networkd",
            networkd,
            "[Network]\nIPVLAN=iv0\n",
            "IPVLAN=iv0 of /etc/systemd/network/eth0.network takes every frame of eth0, which a port of a bridge cannot: \
             remove it first",
        ),
        (
            "networkd",
            networkd,
            "[Network]\nVRF=red\n",
            "/etc/systemd/network/eth0.network puts eth0 into red already: take it out there first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=mv0\ntype=macvlan\n[macvlan]\nmode=2\nparent=eth0\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a macvlan on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=ms0\ntype=macsec\n[macsec]\nparent=2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a macsec on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "ifcfg",
            ifcfg,
            "DEVICE=eth0\nBOOTPROTO=dhcp\nVRF=red\n",
            "/etc/sysconfig/network-scripts/ifcfg-eth0 puts eth0 into red already: remove it there first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=vx0\ntype=vxlan\n[vxlan]\nparent=eth0\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a vxlan on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=gre\ntype=ip-tunnel\n[ip-tunnel]\nparent=eth0\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts an ip-tunnel on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=dsl\ntype=pppoe\n[pppoe]\nparent=eth0\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a pppoe on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=spare\nuuid=7b0d2c55-1f0e-4b57-8a39-6f2f6b9c3d10\ntype=ethernet\nautoconnect-priority=999\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection is for eth0 too and is activated first at boot \
             (autoconnect-priority=999): lower that first",
        ),
        (
            "netplan",
            "/etc/netplan/90-lab.yaml",
            "network:\n  tunnels:\n    vx0:\n      mode: vxlan\n      link: eth0\n",
            "netplan binds the tunnel vx0 to eth0 (link: eth0), and a port has no route to its other end: take 'link' out \
             there first",
        ),
        (
            "netplan",
            "/etc/systemd/network/10-netplan-eth0.network.d/lab.conf",
            "[Network]\nMACVLAN=mv0\n",
            "MACVLAN=mv0 of /etc/systemd/network/10-netplan-eth0.network takes every frame of eth0, which a port of a bridge \
             cannot: remove it first",
        ),
        (
            "netplan",
            "/etc/systemd/network/10-netplan-eth0.network.d/lab.conf",
            "[Network]\nVRF=red\n",
            "/etc/systemd/network/10-netplan-eth0.network puts eth0 into red already: take it out there first",
        ),
        (
            "wicked",
            "/etc/sysconfig/network/ifcfg-bond0",
            "BONDING_MASTER='yes'\nBONDING_SLAVE_0='eth0'\n",
            "/etc/sysconfig/network/ifcfg-bond0 puts eth0 into a bond (BONDING_SLAVE_0): take it out there first",
        ),
        (
            "ifcfg",
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\nTEAM_MASTER=team0\n",
            "/etc/sysconfig/network-scripts/ifcfg-eth0 puts eth0 into team0 already: remove it there first",
        ),
    ];
    for (backend, path, text, message) in cases {
        let host = Host::of(backend, "static4");
        host.write(path, text);
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        assert_eq!(format!("{err:#}"), message, "{path}: {text}");
    }
}
