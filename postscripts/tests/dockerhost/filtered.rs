//! Whether frames of containers pass the host's firewall, in network namespaces: tried, and compared with what is said.

use serde_json::Value;

use crate::Test;
use crate::host::{Host, eventually, text};
use crate::network::Namespace;

/// Those that have bridged frames pass iptables, which not every kernel can.
pub(crate) const TESTS: &[Test] = &[
    (
        "containers_of_two_hosts_reach_each_other_across_a_switch",
        across_a_switch,
    ),
    (
        "what_keeps_containers_from_the_lan_is_said_with_what_helps",
        in_the_way,
    ),
    (
        "rules_of_bridges_and_of_other_hooks_are_looked_at_too",
        at_every_hook,
    ),
    ("what_is_said_of_rules_of_nft_is_what_they_do", by_nft),
    (
        "the_ipv6_subnet_of_a_network_is_looked_at_as_well",
        dual_stack,
    ),
];

const NETWORK: &str = "mydocker0=10.73.0.0/16@10.73.0.254";

/// Two hosts, each with its own dockerd and its own iptables, joined by a third bridge as the switch.
struct Pair {
    hosts: [Host; 2],
    namespaces: [Namespace; 3],
}

/// The addresses of their containers, both named `guest`.
const GUESTS: [&str; 2] = ["10.73.0.20", "10.73.0.21"];

impl Pair {
    fn new(prefix: &str) -> Self {
        let name = |part: &str| format!("{prefix}{part}");
        let namespaces = [
            Namespace::new(&name("a"), "10.73.0.5/16"),
            Namespace::new(&name("b"), "10.73.0.6/16"),
            Namespace::new(&name("s"), "10.73.0.254/16"),
        ];
        let [one, two, switch] = &namespaces;
        for (host, port) in [(one, "port1"), (two, "port2")] {
            host.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", port]);
            host.ip(&["link", "set", port, "netns", &switch.0]);
            host.ip(&["link", "set", "eth0", "master", "mydocker0", "up"]);
            switch.ip(&["link", "set", port, "master", "mydocker0", "up"]);
            // Docker closes FORWARD where it is the one that has the host forward.
            host.run("sysctl -qw net.ipv4.ip_forward=0 net.bridge.bridge-nf-call-iptables=1");
        }
        let hosts =
            [(one, "10.73.0.5:2376"), (two, "10.73.0.6:2376")].map(|(namespace, listen)| {
                let host = Host::prepare(Some(namespace.0.clone()), listen.to_owned());
                host.write("etc/default/docker", "DOCKER_OPTS=--iptables=true\n");
                host.start();
                host
            });
        Self { hosts, namespaces }
    }

    fn start_guests(&self) {
        for (host, address) in self.hosts.iter().zip(GUESTS) {
            host.load_busybox();
            host.start_container("guest", &["--network", "mydocker0", "--ip", address]);
        }
    }

    /// Whether the container of one host gets an answer from an address.
    fn pings(&self, host: usize, address: &str) -> bool {
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
        self.hosts[host].docker(&ping).status.success()
    }

    /// What the first host's own run says, with N for the number of a rule, which is whatever its table has come to.
    fn unnumbered(&self) -> (Vec<String>, Vec<String>) {
        let (facts, obstacles) = self.forwarding();
        let unnumbered = |text: String| match text.split_once(" drops them") {
            Some((before, after)) => {
                let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
                format!("{before}N drops them{after}")
            }
            None => text,
        };
        (facts, obstacles.into_iter().map(unnumbered).collect())
    }

    /// What the first host's own run says of what it forwards.
    fn forwarding(&self) -> (Vec<String>, Vec<String>) {
        let report = self.hosts[0].setup(&["--json", NETWORK]);
        let report: Value = serde_json::from_str(&report).unwrap();
        let texts = |key: &str| {
            let list = report["forwarding"][key].as_array().unwrap();
            list.iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        (texts("facts"), texts("obstacles"))
    }
}

fn across_a_switch() {
    let pair = Pair::new("dhx");
    for host in &pair.hosts {
        host.setup(&[NETWORK]);
    }
    pair.start_guests();
    for (host, other) in [(0, GUESTS[1]), (1, GUESTS[0])] {
        for address in [other, "10.73.0.254"] {
            eventually(&format!("a ping to {address}"), || {
                pair.pings(host, address)
            });
        }
    }
    let rules = pair.namespaces[0].run("iptables -S FORWARD");
    assert!(rules.starts_with("-P FORWARD DROP\n"), "{rules}");
    let passes = "frames that mydocker0 forwards pass iptables: -A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT";
    assert_eq!(pair.forwarding(), (vec![passes.to_owned()], vec![]));
    // A restart of dockerd leaves the containers where they are.
    let host = &pair.hosts[0];
    host.setup(&[NETWORK, "--renew"]);
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
        text(&shown.stdout).contains(GUESTS[0]),
        "{}",
        text(&shown.stderr)
    );
    assert!(pair.pings(0, GUESTS[1]) && pair.pings(1, GUESTS[0]));
}

/// What is said to be in the way is, and what is said to help does.
fn in_the_way() {
    let pair = Pair::new("dhy");
    for host in &pair.hosts {
        host.setup(&[NETWORK]);
    }
    pair.start_guests();
    eventually("a ping", || pair.pings(0, GUESTS[1]));
    let host = &pair.namespaces[0];

    host.run("iptables -I DOCKER-USER -j DROP");
    assert!(!pair.pings(0, GUESTS[1]));
    let (facts, obstacles) = pair.forwarding();
    let help = "iptables -I DOCKER-USER -i mydocker0 -o mydocker0 -j ACCEPT";
    let dropped = format!(
        "iptables drops frames that mydocker0 forwards: -A DOCKER-USER -j DROP; let them through with '{help}'"
    );
    assert_eq!((facts, obstacles), (vec![], vec![dropped]));
    host.run(help);
    assert!(pair.pings(0, GUESTS[1]));
    let accept = "frames that mydocker0 forwards pass iptables: -A DOCKER-USER -i mydocker0 -o mydocker0 -j ACCEPT";
    assert_eq!(pair.forwarding(), (vec![accept.to_owned()], vec![]));

    host.run("iptables -D DOCKER-USER -i mydocker0 -o mydocker0 -j ACCEPT");
    host.run("sysctl -qw net.bridge.bridge-nf-call-iptables=0");
    assert!(pair.pings(0, GUESTS[1]));
    let unfiltered =
        "frames that mydocker0 forwards do not pass iptables (bridge-nf-call-iptables is off)";
    assert_eq!(pair.forwarding(), (vec![unfiltered.to_owned()], vec![]));

    host.run("sysctl -qw net.ipv4.conf.all.rp_filter=1");
    host.ip(&["addr", "add", "192.0.2.5/24", "dev", "mydocker0"]);
    host.ip(&["addr", "del", "10.73.0.5/16", "dev", "mydocker0"]);
    host.ip(&["link", "set", "eth0", "nomaster"]);
    let status = pair.hosts[0].bare(&["--status"]).output().unwrap();
    let status = text(&status.stdout);
    for line in [
        "forwarding: the bridge mydocker0 has no NIC for a port: its containers do not reach other hosts; join one with \
         'bridgeprereq NIC:mydocker0'\n",
        "forwarding: this host has no address in 10.73.0.0/16 on mydocker0 and rp_filter is strict there: it \
         drops what containers send it; give mydocker0 an address of 10.73.0.0/16, or set \
         net.ipv4.conf.mydocker0.rp_filter=2\n",
    ] {
        assert!(status.contains(line), "{status}");
    }
}

/// Rules that no chain FORWARD of iptables shows: they drop what is said, and what is said to help lets it
/// through.
fn at_every_hook() {
    let pair = Pair::new("dhv");
    for host in &pair.hosts {
        host.setup(&[NETWORK]);
    }
    pair.start_guests();
    let host = &pair.namespaces[0];
    let passes = "frames that mydocker0 forwards pass iptables: -A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT";
    let unfiltered =
        "frames that mydocker0 forwards do not pass iptables (bridge-nf-call-iptables is off)";
    let drops = |what: &str, chain: &str, rule: &str| {
        format!(
            "nftables drops frames that mydocker0 forwards: {what} (chain {chain}); let them through with 'nft \
             insert rule {chain} {rule}'"
        )
    };
    let found = || pair.unnumbered();
    let policy = drops(
        "its policy is drop",
        "bridge filter FORWARD",
        "meta ibrname mydocker0 accept",
    );
    let (raw, mangle) = ("ip raw PREROUTING", "ip mangle POSTROUTING");
    for (filtered, closes, opens, fact, obstacle) in [
        (
            1,
            "ebtables-nft -P FORWARD DROP",
            "ebtables-nft -P FORWARD ACCEPT",
            passes,
            Some(&policy),
        ),
        (
            0,
            "ebtables-nft -P FORWARD DROP",
            "ebtables-nft -A FORWARD -j ACCEPT",
            unfiltered,
            Some(&policy),
        ),
        (
            0,
            "ebtables-nft -P FORWARD DROP",
            "ebtables-nft -P FORWARD ACCEPT",
            unfiltered,
            None,
        ),
        (
            1,
            "iptables-nft -t raw -A PREROUTING -i mydocker0 -j DROP",
            "iptables-nft -t raw -I PREROUTING -i mydocker0 -j ACCEPT",
            passes,
            Some(&drops("rule N drops them", raw, "iifname mydocker0 accept")),
        ),
        (
            1,
            "iptables-nft -t mangle -A POSTROUTING -o mydocker0 -j DROP",
            "iptables-nft -t mangle -I POSTROUTING -o mydocker0 -j ACCEPT",
            passes,
            Some(&drops(
                "rule N drops them",
                mangle,
                "oifname mydocker0 accept",
            )),
        ),
    ] {
        host.run(&format!(
            "sysctl -qw net.bridge.bridge-nf-call-iptables={filtered}"
        ));
        eventually("a ping", || pair.pings(0, GUESTS[1]) || obstacle.is_none());
        host.run(closes);
        assert_eq!(pair.pings(0, GUESTS[1]), obstacle.is_none(), "{closes}");
        let obstacles = obstacle.into_iter().cloned().collect();
        assert_eq!(found(), (vec![fact.to_owned()], obstacles), "{closes}");
        host.run(opens);
        assert!(pair.pings(0, GUESTS[1]), "{opens}");
        assert_eq!(found(), (vec![fact.to_owned()], vec![]), "{opens}");
    }
}

/// Rules of nft(8): the family, the policy and what is in the chain; what a ping does, and what is said of it.
const NFT: &[(&str, &str, &str, Option<&str>)] = &[
    ("inet", "drop", "", Some("drops frames: its policy is drop")),
    (
        "inet",
        "accept",
        "ct state vmap { established : accept, related : accept, new : drop }",
        Some("drops frames: rule N drops them"),
    ),
    (
        "inet",
        "accept",
        "iifname . ip saddr { mydocker0 . 10.73.0.0/16 } drop",
        Some("drops frames: rule N drops them"),
    ),
    (
        "inet",
        "accept",
        "ip saddr 10.73.0.0-10.73.255.255 drop",
        Some("drops frames: rule N drops them"),
    ),
    (
        "inet",
        "accept",
        "iifname >= my iifname < n drop",
        Some("drops frames: rule N drops them"),
    ),
    (
        "inet",
        "accept",
        "tcp dport 22 drop",
        Some("drops some of the frames: rule N drops them"),
    ),
    (
        "inet",
        "drop",
        "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } ip daddr { 10.0.0.0/8 } accept",
        None,
    ),
    ("inet", "accept", "ip saddr < 10.73.0.0 drop", None),
    ("inet", "accept", "meta nfproto ipv6 drop", None),
    ("ip6", "drop", "", None),
    (
        "bridge",
        "accept",
        "ether type ip ip saddr 10.73.0.0/16 drop",
        Some("drops frames: rule N drops them"),
    ),
    (
        "bridge",
        "accept",
        "iifname vmap { eth* : drop }",
        Some("drops frames: rule N drops them"),
    ),
    ("bridge", "accept", "ip daddr 192.0.2.0/24 drop", None),
];

/// What is said of rules is what the kernel does by them.
fn by_nft() {
    let pair = Pair::new("dhn");
    for host in &pair.hosts {
        host.setup(&[NETWORK]);
    }
    pair.start_guests();
    let host = &pair.namespaces[0];
    host.run("sysctl -qw net.bridge.bridge-nf-call-iptables=1");
    eventually("a ping", || pair.pings(0, GUESTS[1]));
    for (family, policy, rule, said) in NFT {
        let hook = "type filter hook forward priority 0";
        host.run(&format!(
            "nft add table {family} t; add chain {family} t c {{ {hook}; policy {policy}; }}"
        ));
        if !rule.is_empty() {
            host.run(&format!("nft add rule {family} t c {rule}"));
        }
        let drops = said.is_some_and(|said| said.starts_with("drops frames"));
        assert_eq!(pair.pings(0, GUESTS[1]), !drops, "{family} {policy} {rule}");
        let accept = match *family {
            "bridge" => "meta ibrname mydocker0 accept",
            _ => "iifname mydocker0 oifname mydocker0 accept",
        };
        let help = format!(
            "(chain {family} t c); let them through with 'nft insert rule {family} t c {accept}'"
        );
        let obstacles: Vec<_> = said
            .iter()
            .filter_map(|said| said.split_once("frames"))
            .map(|(drops, why)| {
                format!("nftables {drops}frames that mydocker0 forwards{why} {help}")
            })
            .collect();
        assert_eq!(pair.unnumbered().1, obstacles, "{family} {policy} {rule}");
        host.run(&format!("nft delete table {family} t"));
    }
}

/// Of a network of both families, `--status` answers for both; a run puts one of IPv4 alone in its place.
fn dual_stack() {
    let namespace = Namespace::new("dhq", "10.77.0.5/16");
    let host = Host::inside(&namespace.0, "10.77.0.5:2376");
    host.setup(&[]);
    let made = host.docker(&[
        "network",
        "create",
        "--ipv6",
        "--subnet=10.77.0.0/16",
        "--gateway=10.77.0.1",
        "--subnet=fd00:77::/64",
        "--gateway=fd00:77::1",
        "--opt=com.docker.network.bridge.name=mydocker0",
        "--opt=com.docker.network.bridge.inhibit_ipv4=true",
        "mydocker0",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for family in ["", "6"] {
        namespace.run(&format!(
            "sysctl -qw net.bridge.bridge-nf-call-ip{family}tables=1"
        ));
    }
    namespace.run("nft add table ip6 t; add chain ip6 t c { type filter hook forward priority 0; policy drop; }");
    let status = || text(&host.bare(&["--status"]).output().unwrap().stdout);
    let policy =
        "nftables drops frames that mydocker0 forwards: its policy is drop (chain ip6 t c)";
    assert!(status().contains(policy), "{}", status());
    // What takes its place has no IPv6, so the rule is no obstacle any more.
    let network = "mydocker0=10.77.0.0/16@10.77.0.1";
    let report: Value = serde_json::from_str(&host.setup(&["--json", network])).unwrap();
    assert_eq!(report["changed"], true);
    assert!(!status().contains("nftables"), "{}", status());
}
