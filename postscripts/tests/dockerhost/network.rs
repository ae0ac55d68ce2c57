//! The docker network on the bridge, in network namespaces: kept, replaced, refused, and used.

use std::process::Command;

use serde_json::Value;

use crate::Test;
use crate::host::{Host, text};

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
        "no_engine_hands_out_an_address_by_itself",
        nothing_handed_out,
    ),
    ("a_host_that_does_not_route_for_its_network_says_so", router),
    (
        "a_network_half_replaced_is_made_by_the_next_run",
        half_replaced,
    ),
];

/// A network namespace with a bridge `mydocker0` that has an address; gone when dropped.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    /// Makes one without the bridge.
    fn bare(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self(name);
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    pub(crate) fn new(name: &str, address: &str) -> Self {
        let namespace = Self::bare(name);
        namespace.ip(&["link", "add", "mydocker0", "type", "bridge"]);
        namespace.ip(&["addr", "add", address, "dev", "mydocker0"]);
        namespace.ip(&["link", "set", "mydocker0", "up"]);
        namespace
    }

    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        ip(&[&["-n", self.0.as_str()], arguments].concat())
    }

    /// Runs another program in it.
    pub(crate) fn run(&self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        ip(&[&["netns", "exec", self.0.as_str()], words.as_slice()].concat())
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

/// The network gives the address that is asked for, and none that is the host's or the router's.
fn nothing_handed_out() {
    let namespace = Namespace::new("dhr", "10.78.0.5/16");
    let host = Host::inside(&namespace.0, "10.78.0.5:2376");
    host.load_busybox();
    let wanted = "mydocker0=10.78.0.0/16@10.78.0.1";
    // As it was made by earlier releases, and by hand: it hands out 10.78.0.2 on every host.
    let create = |more: &[&str]| {
        let line = "network create --subnet 10.78.0.0/16 --gateway 10.78.0.1 \
                    -o com.docker.network.bridge.name=mydocker0 -o com.docker.network.bridge.inhibit_ipv4=true";
        let words: Vec<_> = line
            .split_whitespace()
            .chain(more.iter().copied())
            .collect();
        let made = host.docker(&[&words[..], &["mydocker0"]].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
    };
    let remove = || {
        assert!(
            host.docker(&["network", "rm", "mydocker0"])
                .status
                .success()
        )
    };
    let ask = |more: &[&str]| {
        let create = ["run", "-d", "--name", "asks", "--network", "mydocker0"];
        let what = ["busybox", "/bin/busybox", "sleep", "1000"];
        let made = host.docker(&[&create[..], more, &what].concat());
        host.docker(&["rm", "-f", "asks"]);
        (made.status.success(), text(&made.stderr))
    };
    create(&[]);
    assert!(
        ask(&[]).0 && ask(&["--ip", "10.78.0.5"]).0,
        "what is shown here does not happen"
    );
    // One that is used is kept, with a warning; it is brought there when nothing uses it.
    host.start_container("guest", &["--network", "mydocker0", "--ip", "10.78.0.20"]);
    let output = host.command(&[wanted]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let warning = "setupdockerhost: the docker network mydocker0 does not reserve what it should, and a container \
                   without an address may get one that is in use: remove guest and run setupdockerhost again\n";
    assert!(
        text(&output.stderr).contains(warning),
        "{}",
        text(&output.stderr)
    );
    assert!(host.docker(&["rm", "-f", "guest"]).status.success());
    host.setup(&[wanted]);
    let refuses = || {
        let (made, said) = ask(&[]);
        assert!(!made && said.contains("no available"), "{said}");
        for address in ["10.78.0.5", "10.78.0.1"] {
            let (made, said) = ask(&["--ip", address]);
            assert!(
                !made && said.contains("Address already in use"),
                "{address}: {said}"
            );
        }
        let (made, said) = ask(&["--ip", "10.78.0.20"]);
        assert!(made, "{said}");
    };
    refuses();
    assert_eq!(host.setup(&[wanted]), "nothing to do\n");
    // A network of both families on the bridge is replaced too.
    remove();
    create(&["--ipv6", "--subnet", "fd78::/64", "--gateway", "fd78::1"]);
    host.setup(&[wanted]);
    let format = [
        "network",
        "inspect",
        "-f",
        "{{.EnableIPv6}} {{len .IPAM.Config}}",
        "mydocker0",
    ];
    assert_eq!(text(&host.docker(&format).stdout), "false 1\n");
    refuses();
    // Another address of the host takes the place of the one before.
    namespace.ip(&["addr", "add", "10.78.0.6/16", "dev", "mydocker0"]);
    host.setup(&[wanted]);
    let (made, said) = ask(&["--ip", "10.78.0.6"]);
    assert!(!made && said.contains("Address already in use"), "{said}");
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

/// A host that is its network's router says whether it routes.
fn router() {
    let namespace = Namespace::new("dhz", "10.75.0.1/16");
    let host = Host::inside(&namespace.0, "10.75.0.1:2376");
    let network = "mydocker0=10.75.0.0/16@10.75.0.1";
    host.setup(&[network]);
    // dockerd has the host forward whenever it starts.
    namespace.run("sysctl -qw net.ipv4.ip_forward=0");
    let report: Value = serde_json::from_str(&host.setup(&["--json", network])).unwrap();
    assert_eq!(report["changed"], false);
    let obstacles = &report["forwarding"]["obstacles"];
    assert_eq!(
        obstacles[1],
        "IPv4 forwarding is off: containers on mydocker0 reach their bridge and nothing beyond this host; set \
         net.ipv4.ip_forward=1"
    );
}

/// An unused network that differs is removed and made: killed or refused at either, the next run has it.
fn half_replaced() {
    let namespace = Namespace::new("dhw", "10.76.0.5/16");
    let host = Host::inside(&namespace.0, "10.76.0.5:2376");
    let networks = [1, 2].map(|last| format!("mydocker0=10.76.0.0/16@10.76.0.{last}"));
    host.setup(&[&networks[0]]);
    let mut wanted = 0;
    let gateway = || {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        text(
            &host
                .docker(&["network", "inspect", "-f", format, "mydocker0"])
                .stdout,
        )
    };
    for (part, kind) in [(1, "kill"), (2, "kill"), (1, "refuse"), (2, "refuse")] {
        let before = gateway();
        wanted = 1 - wanted;
        let arguments = [networks[wanted].as_str()];
        let mut command = host.command(&arguments);
        let output = command.env("SLIPWAY_FAULT", format!("{kind}:part:{part}"));
        let output = output.output().unwrap();
        assert!(!output.status.success());
        if kind == "refuse" {
            let said = text(&output.stderr);
            let doing = ["removing", "creating"][part - 1];
            assert!(
                said.ends_with(&format!(
                    "setupdockerhost: {doing} the docker network mydocker0: Operation not permitted (os error 1)\n"
                )),
                "{said}"
            );
            assert_eq!(gateway(), before);
        }
        host.setup(&arguments);
        assert_eq!(gateway(), format!("10.76.0.{}\n", wanted + 1));
        assert_eq!(host.setup(&arguments), "nothing to do\n");
    }
}
