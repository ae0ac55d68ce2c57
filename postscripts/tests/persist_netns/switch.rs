//! An uplink by Open vSwitch where networkd makes the veth pair: from its own files, and beside those of netplan.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};

use crate::Inside;
use crate::host::{
    MAC, address, bus, count, host, ok, server_log, start, start_networkd, wait_for,
};

const NEEDS: &[&str] = &[
    "ovs-vswitchd",
    "ovsdb-server",
    "ovs-vsctl",
    "nft",
    "ethtool",
    "dnsmasq",
    "networkctl",
    "systemd-networkd-wait-online",
    "dbus-daemon",
    "netplan",
    "ping",
];
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const NETWORKD: &str = "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n";
/// One definition for more NICs than this one: the NIC gets a definition of its own.
const NETPLAN: &str = "network:\n  version: 2\n  ethernets:\n    all:\n      match: {name: eth*}\n      dhcp4: true\n";

pub(crate) fn trials() -> Vec<Inside> {
    let trial = |(name, path, text): (&str, &'static str, &'static str)| {
        let run = move || moves_and_boots(path, text);
        Inside::new(format!("{name}_has_a_switch_at_the_next_boot"), NEEDS, run)
    };
    [
        ("networkd", "/etc/systemd/network/20-eth0.network", NETWORKD),
        ("netplan", "/etc/netplan/01-netcfg.yaml", NETPLAN),
    ]
    .map(trial)
    .into()
}

fn run() -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0", "--switch", "ovs:sw0:netdev"])
        .args(["--timeout", "60"])
        .env_clear()
        .output()
        .unwrap()
}

fn moves_and_boots(path: &str, text: &str) {
    host();
    bus();
    ok("mount -t tmpfs tmpfs /etc/netplan");
    fs::write(path, text).unwrap();
    if path.ends_with("yaml") {
        ok(&format!("chmod 600 {path}"));
    }
    // nothing completes checksums on the way: the wire is made of memory
    ok("ip netns exec gateway ethtool -K port tx off");
    ok("netplan generate");
    start_networkd();
    wait_for("a lease", || address("eth0").is_some());
    wait_for("networkd", || {
        ok("networkctl list eth0 --no-legend").contains("configured")
    });
    start_database();
    let switch = start_switch();
    let lease = address("eth0").unwrap();
    let output = run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("after a boot it will differ"), "{said}");
    settled(&lease);
    boot(switch);
    settled(&lease);
    // the bridge alone says whether the host is online: the ports have no addresses, and here no master either
    ok("/lib/systemd/systemd-networkd-wait-online --timeout=20");
    for (device, awaited) in [("eth0", "no"), ("vs-mydocker0", "no"), ("mydocker0", "yes")] {
        let index = fs::read_to_string(format!("/sys/class/net/{device}/ifindex")).unwrap();
        let notes = fs::read_to_string(format!("/run/systemd/netif/links/{}", index.trim()));
        let line = format!("REQUIRED_FOR_ONLINE={awaited}\n");
        assert!(notes.unwrap().contains(&line), "{device}");
    }
    assert_eq!(count("DHCPRELEASE"), 0, "{}", server_log());
}

fn start_database() {
    fs::create_dir_all("/run/openvswitch").unwrap();
    ok(&format!(
        "ovsdb-tool create /run/openvswitch/conf.db {SCHEMA}"
    ));
    start(
        "ovsdb-server /run/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock",
        "/run/database.log",
    );
    wait_for("the database", || {
        Path::new("/run/openvswitch/db.sock").exists()
    });
    ok("ovs-vsctl --no-wait init");
}

fn start_switch() -> Child {
    start(
        "ovs-vswitchd unix:/run/openvswitch/db.sock",
        "/run/switch.log",
    )
}

/// The kernel forgets, the files and the database do not.
fn boot(mut switch: Child) {
    ok("pkill -9 -x systemd-network");
    switch.kill().unwrap();
    switch.wait().unwrap();
    for line in [
        "ip link del mydocker0",
        "ip link del vb-mydocker0",
        "ip address flush dev eth0",
        "ip link set eth0 down",
        "nft delete table netdev slipway-mydocker0",
        "rm -rf /run/systemd/network /run/systemd/netif",
        "mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp",
        "chown -R systemd-network /run/systemd/netif",
        "netplan generate",
        // as the unit of the process that forwards does, before it starts
        "nft -f /etc/openvswitch/slipway-mydocker0.nft",
    ] {
        ok(line);
    }
    start("systemd-networkd", "/run/networkd.log");
    start_switch();
    wait_for("the pair", || {
        Path::new("/sys/class/net/vb-mydocker0").exists()
    });
    // as udev does by the .link file
    ok("ethtool -K vb-mydocker0 tx off");
}

/// The bridge has the lease by the switch, the NIC is its port, and a further run finds nothing to do.
fn settled(lease: &str) {
    wait_for("the lease of the bridge", || {
        address("mydocker0").as_deref() == Some(lease)
    });
    assert_eq!(address("eth0"), None);
    assert!(!ok("ip -o -6 address show dev eth0").contains("inet6"));
    assert!(ok("ip -o link show master mydocker0").contains("vb-mydocker0@vs-mydocker0"));
    assert!(ok("ip link show dev mydocker0").contains(MAC));
    wait_for("the ports of the switch", || {
        ok("ovs-vsctl list-ports sw0") == "eth0\nvs-mydocker0\n"
    });
    wait_for("an answer by the switch", || {
        let ping = format!("netns exec gateway ping -q -c 3 -i 0.2 -W 1 {lease}");
        let output = Command::new("ip").args(ping.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // what the kernel gets beside it would be answered twice
        said.contains("3 received, 0% packet loss")
    });
    let output = run();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "nothing to do\n");
}
