//! The docker network on the bridge, in network namespaces: kept, replaced, refused, and used.

use std::process::Command;

use crate::Test;
use crate::host::{Host, eventually, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "an_equal_network_is_kept_and_an_unused_one_replaced",
        kept_and_replaced,
    ),
    (
        "a_network_that_cannot_be_is_refused_before_anything_changes",
        refused,
    ),
    ("a_nic_joins_the_bridge_first", a_nic_joins_first),
    (
        "containers_of_two_hosts_reach_each_other_across_a_switch",
        across_a_switch,
    ),
];

/// A network namespace with a bridge `mydocker0` that has an address; gone when dropped.
struct Namespace(String);

impl Namespace {
    /// Makes one without the bridge.
    fn bare(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self(name);
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    fn new(name: &str, address: &str) -> Self {
        let namespace = Self::bare(name);
        namespace.ip(&["link", "add", "mydocker0", "type", "bridge"]);
        namespace.ip(&["addr", "add", address, "dev", "mydocker0"]);
        namespace.ip(&["link", "set", "mydocker0", "up"]);
        namespace
    }

    fn ip(&self, arguments: &[&str]) -> String {
        ip(&[&["-n", self.0.as_str()], arguments].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        Command::new("ip")
            .args(["netns", "del", &self.0])
            .status()
            .ok();
    }
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn kept_and_replaced() {
    let namespace = Namespace::new("dhn1", "10.71.0.5/16");
    let host = Host::inside(&namespace.0, "10.71.0.5:2376");
    let wanted = "mydocker0=10.71.0.0/16@10.71.0.1";
    host.setup(&[wanted]);
    let addresses = namespace.ip(&["-br", "addr", "show", "mydocker0"]);
    assert!(
        addresses.contains("10.71.0.5/16") && !addresses.contains("10.71.0.1"),
        "{addresses}"
    );
    let id = || {
        text(
            &host
                .docker(&["network", "inspect", "-f", "{{.Id}}", "mydocker0"])
                .stdout,
        )
    };
    let first = id();
    assert_eq!(host.setup(&[wanted]), "nothing to do\n");
    assert_eq!(id(), first);

    let other = "mydocker0=10.71.0.0/16@10.71.0.254";
    host.setup(&[other]);
    assert_ne!(id(), first, "the unused network was not replaced");
    assert!(
        namespace
            .ip(&["link", "show", "mydocker0"])
            .contains("mydocker0")
    );

    host.load_busybox();
    host.start_container("guest", &["--network", "mydocker0", "--ip", "10.71.0.20"]);
    assert_eq!(
        host.refuse(&[wanted]),
        "setupdockerhost: the docker network mydocker0 differs from \
         mydocker0=10.71.0.0/16@10.71.0.1 and is used by guest: remove them first"
    );
    assert_eq!(host.setup(&[other]), "nothing to do\n");
    let status = host.bare(&["--status"]).output().unwrap();
    let shown = text(&status.stdout);
    assert!(
        shown.contains("network: mydocker0=10.71.0.0/16@10.71.0.254 on mydocker0\n"),
        "{shown}"
    );
}

fn refused() {
    let namespace = Namespace::new("dhn2", "10.72.0.5/16");
    let host = Host::inside(&namespace.0, "10.72.0.5:2376");
    namespace.ip(&[
        "link", "add", "eth9", "type", "veth", "peer", "name", "eth8",
    ]);
    let made = host.docker(&["network", "create", "--subnet", "10.72.128.0/24", "there"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let before = host.snapshot();
    for (argument, message) in [
        (
            "br9=10.9.0.0/16@10.9.0.1",
            "there is no bridge br9: make it with 'bridgeprereq NIC:br9' first",
        ),
        (
            "eth9=10.9.0.0/16@10.9.0.1",
            "eth9 is no bridge: name another network, or remove that device",
        ),
        (
            "mydocker0=10.72.0.0/16@10.72.0.1",
            "10.72.0.0/16 overlaps 10.72.128.0/24 of the docker network there: remove that network or \
             choose another subnet",
        ),
        (
            "mydocker0=fd00::/64@fd00::1",
            "the docker network mydocker0 is IPv6 alone: engines need an IPv4 subnet",
        ),
    ] {
        assert_eq!(
            host.refuse(&[argument]),
            format!("setupdockerhost: {message}")
        );
    }
    assert_eq!(host.snapshot(), before);
}

/// The form of xCAT's documents: the bridge is made of the NIC whose address is the gateway.
fn a_nic_joins_first() {
    let one = Namespace::bare("dhn6");
    let switch = Namespace::new("dhn7", "10.74.0.254/16");
    one.ip(&[
        "link", "add", "eth0", "type", "veth", "peer", "name", "port6",
    ]);
    one.ip(&["link", "set", "port6", "netns", &switch.0]);
    switch.ip(&["link", "set", "port6", "master", "mydocker0", "up"]);
    one.ip(&["addr", "add", "10.74.0.5/16", "dev", "eth0"]);
    one.ip(&["link", "set", "eth0", "up"]);
    let host = Host::inside(&one.0, "0.0.0.0:2376");
    std::fs::create_dir_all(host.path("etc/network")).unwrap();
    let interfaces = "auto eth0\niface eth0 inet static\n\taddress 10.74.0.5/16\n";
    host.write("etc/network/interfaces", interfaces);
    host.write("usr/sbin/ifup", ""); // where ifupdown is known by; nothing of this host runs it

    let wanted = "mydocker0=10.74.0.0/16@10.74.0.5:eth0";
    host.setup(&[wanted]);
    let link = one.ip(&["link", "show", "eth0"]);
    assert!(link.contains("master mydocker0"), "{link}");
    let addresses = one.ip(&["-br", "addr", "show", "mydocker0"]);
    assert!(addresses.contains("10.74.0.5/16"), "{addresses}");
    assert!(host.read("etc/network/interfaces").contains("mydocker0"));
    assert_eq!(host.setup(&[wanted]), "nothing to do\n");
}

/// Two hosts, each with its own dockerd, joined by a third bridge as the switch.
fn across_a_switch() {
    let (one, two) = (
        Namespace::new("dhn3", "10.73.0.5/16"),
        Namespace::new("dhn4", "10.73.0.6/16"),
    );
    let switch = Namespace::new("dhn5", "10.73.0.254/16");
    for (host, port) in [(&one, "port3"), (&two, "port4")] {
        host.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", port]);
        host.ip(&["link", "set", port, "netns", &switch.0]);
        host.ip(&["link", "set", "eth0", "master", "mydocker0", "up"]);
        switch.ip(&["link", "set", port, "master", "mydocker0", "up"]);
    }
    let hosts = [
        (Host::inside(&one.0, "10.73.0.5:2376"), "10.73.0.20"),
        (Host::inside(&two.0, "10.73.0.6:2376"), "10.73.0.21"),
    ];
    for (host, address) in &hosts {
        host.setup(&["mydocker0=10.73.0.0/16@10.73.0.254"]);
        host.load_busybox();
        host.start_container("guest", &["--network", "mydocker0", "--ip", address]);
    }
    for ((host, _), (_, other)) in [(&hosts[0], &hosts[1]), (&hosts[1], &hosts[0])] {
        for address in [*other, "10.73.0.254"] {
            eventually(&format!("a ping to {address}"), || {
                let ping = [
                    "exec",
                    "guest",
                    "/bin/busybox",
                    "ping",
                    "-c",
                    "1",
                    "-W",
                    "1",
                    address,
                ];
                host.docker(&ping).status.success()
            });
        }
    }
    // A restart of dockerd leaves the containers where they are.
    let (host, address) = &hosts[0];
    host.setup(&["mydocker0=10.73.0.0/16@10.73.0.254", "--renew"]);
    let shown = host.docker(&[
        "exec",
        "guest",
        "/bin/busybox",
        "ip",
        "addr",
        "show",
        "eth0",
    ]);
    assert!(
        text(&shown.stdout).contains(address),
        "{}",
        text(&shown.stderr)
    );
}
