//! Every kind of host moves into its bridge, stays reachable, and keeps all that it had.

use crate::lab::{Lab, Place, text};
use crate::ping::{Seen, Stream, Watch};

/// A host before the move, and what must hold afterwards.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    /// `ip` commands on the host and on the gateway.
    pub(crate) host: &'static [&'static str],
    pub(crate) gateway: &'static [&'static str],
    /// Settings of the host.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Addresses that the gateway pings.
    pub(crate) reach: &'static [&'static str],
    /// What `ip` shows of the bridge afterwards: the command, and words of one line.
    pub(crate) shown: &'static [(&'static str, &'static str)],
}

const GATEWAY: &[&str] = &[
    "addr add 10.0.0.1/24 dev eth0",
    "addr add 10.0.0.2/24 dev eth0",
    "addr add 2001:db8::1/64 dev eth0 nodad",
    "addr add 2001:db8::2/64 dev eth0 nodad",
];

pub(crate) const HOSTS: &[Host] = &[
    Host {
        name: "ipv4",
        host: &[
            "addr add 10.0.0.5/24 brd + dev eth0",
            "route add default via 10.0.0.1",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[
            (
                "addr show mydocker0",
                "inet 10.0.0.5/24 brd 10.0.0.255 scope global mydocker0",
            ),
            ("route show", "default via 10.0.0.1 dev mydocker0"),
        ],
    },
    Host {
        name: "ipv6",
        host: &[
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "route add default via 2001:db8::1 metric 50",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["2001:db8::5"],
        shown: &[
            (
                "addr show mydocker0",
                "inet6 2001:db8::5/64 scope global nodad",
            ),
            (
                "-6 route show",
                "default via 2001:db8::1 dev mydocker0 metric 50",
            ),
        ],
    },
    Host {
        name: "secondaries_and_labels",
        host: &[
            "addr add 10.0.0.5/24 brd + dev eth0",
            "addr add 10.0.0.6/24 dev eth0 label eth0:1",
            "addr add 10.0.0.7/24 dev eth0",
            "addr add 10.9.0.5/16 dev eth0 label eth0:nine",
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "addr add 2001:db8::6/64 dev eth0 nodad",
            "route add default via 10.0.0.1",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &[
            "10.0.0.5",
            "10.0.0.6",
            "10.0.0.7",
            "2001:db8::5",
            "2001:db8::6",
        ],
        shown: &[
            (
                "addr show mydocker0",
                "inet 10.0.0.6/24 scope global secondary mydocker0:1",
            ),
            (
                "addr show mydocker0",
                "inet 10.9.0.5/16 scope global mydocker0:nine",
            ),
        ],
    },
    Host {
        name: "policy_routes_and_rules",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "addr add 10.0.0.6/24 dev eth0",
            "route add default via 10.0.0.1",
            "route add default via 10.0.0.2 table 100 src 10.0.0.6",
            "route add 10.0.0.0/24 dev eth0 table 100 scope link",
            "rule add from 10.0.0.6 table 100 priority 1000",
            "rule add iif eth0 table 100 priority 1001",
            "rule add oif eth0 fwmark 7 table 100 priority 1002",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5", "10.0.0.6"],
        shown: &[
            (
                "route show table 100",
                "default via 10.0.0.2 dev mydocker0 src 10.0.0.6",
            ),
            (
                "route show table 100",
                "10.0.0.0/24 dev mydocker0 scope link",
            ),
            ("rule show", "1000: from 10.0.0.6 lookup 100"),
            ("rule show", "1001: from all iif mydocker0 lookup 100"),
            (
                "rule show",
                "1002: from all fwmark 0x7 oif mydocker0 lookup 100",
            ),
        ],
    },
    Host {
        name: "multipath",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "route add default nexthop via 10.0.0.1 dev eth0 weight 3 nexthop via 10.0.0.2 dev eth0",
            "route add 2001:db8:7::/48 nexthop via 2001:db8::1 dev eth0 weight 2 nexthop via 2001:db8::2 dev eth0",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5", "2001:db8::5"],
        shown: &[
            ("route show", "nexthop via 10.0.0.1 dev mydocker0 weight 3"),
            ("route show", "nexthop via 10.0.0.2 dev mydocker0 weight 1"),
            (
                "-6 route show",
                "nexthop via 2001:db8::1 dev mydocker0 weight 2",
            ),
            (
                "-6 route show",
                "nexthop via 2001:db8::2 dev mydocker0 weight 1",
            ),
        ],
    },
    Host {
        name: "metrics_and_route_attributes",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "route add default via 10.0.0.1 metric 100 proto dhcp src 10.0.0.5",
            "route add default via 10.0.0.2 metric 200",
            "route add 192.168.0.0/16 via 10.0.0.1 mtu 1400 advmss 1360 initcwnd 20",
            "route add 172.16.0.1 dev eth0 scope link metric 7",
            "route add 172.17.0.0/16 via 203.0.113.1 dev eth0 onlink",
            "route add blackhole 198.51.100.0/24",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[
            (
                "route show",
                "default via 10.0.0.1 dev mydocker0 proto dhcp src 10.0.0.5 metric 100",
            ),
            (
                "route show",
                "default via 10.0.0.2 dev mydocker0 metric 200",
            ),
            (
                "route show",
                "192.168.0.0/16 via 10.0.0.1 dev mydocker0 mtu 1400 advmss 1360 initcwnd 20",
            ),
            ("route show", "172.16.0.1 dev mydocker0 scope link metric 7"),
            (
                "route show",
                "172.17.0.0/16 via 203.0.113.1 dev mydocker0 onlink",
            ),
            ("route show", "blackhole 198.51.100.0/24"),
        ],
    },
    // As NetworkManager does it, for a metric of its own.
    Host {
        name: "addresses_whose_networks_are_added_by_hand",
        host: &[
            "addr add 10.0.0.5/24 brd + dev eth0 noprefixroute",
            "route add 10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5 metric 100",
            "route add default via 10.0.0.1 proto dhcp src 10.0.0.5 metric 100",
            "addr add 2001:db8::5/64 dev eth0 nodad noprefixroute",
            "route add 2001:db8::/64 dev eth0 proto kernel metric 100",
            "route add default via 2001:db8::1 metric 100",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5", "2001:db8::5"],
        shown: &[
            (
                "route show",
                "10.0.0.0/24 dev mydocker0 proto kernel scope link src 10.0.0.5 metric 100",
            ),
            (
                "-6 route show",
                "2001:db8::/64 dev mydocker0 proto kernel metric 100",
            ),
        ],
    },
    Host {
        name: "mtu_9000",
        host: &[
            "link set eth0 mtu 9000",
            "addr add 10.0.0.5/24 dev eth0",
            "route add default via 10.0.0.1",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[
            ("link show mydocker0", "mtu 9000"),
            ("link show eth0", "mtu 9000"),
        ],
    },
    Host {
        name: "point_to_point",
        host: &[
            "addr add 10.7.0.5 peer 10.7.0.1/32 dev eth0",
            "route add default via 10.7.0.1",
        ],
        gateway: &["addr add 10.7.0.1 peer 10.7.0.5/32 dev eth0"],
        settings: &[],
        reach: &["10.7.0.5"],
        shown: &[
            (
                "addr show mydocker0",
                "inet 10.7.0.5 peer 10.7.0.1/32 scope global mydocker0",
            ),
            ("route show", "default via 10.7.0.1 dev mydocker0"),
        ],
    },
    Host {
        name: "no_default_route",
        host: &["addr add 10.0.0.5/24 dev eth0"],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[(
            "route show",
            "10.0.0.0/24 dev mydocker0 proto kernel scope link src 10.0.0.5",
        )],
    },
    Host {
        name: "leased_addresses",
        host: &[
            "addr add 10.0.0.5/24 dev eth0 valid_lft 3600 preferred_lft 1800",
            "addr add 2001:db8::5/128 dev eth0 nodad noprefixroute valid_lft 7200 preferred_lft 3600",
            "route add 2001:db8::/64 dev eth0 proto ra metric 100 expires 600",
            "route add default via 10.0.0.1 proto dhcp",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5", "2001:db8::5"],
        shown: &[
            (
                "addr show mydocker0",
                "inet 10.0.0.5/24 scope global dynamic mydocker0",
            ),
            ("addr show mydocker0", "valid_lft 3"),
            (
                "addr show mydocker0",
                "scope global nodad dynamic noprefixroute",
            ),
            ("addr show mydocker0", "valid_lft 7"),
            (
                "-6 route show",
                "2001:db8::/64 dev mydocker0 proto ra metric 100 expires 5",
            ),
        ],
    },
    Host {
        name: "nexthop_objects",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "nexthop add id 7 via 10.0.0.1 dev eth0",
            "nexthop add id 8 via 10.0.0.2 dev eth0",
            "nexthop add id 9 group 7/8",
            "route add default nhid 7",
            "route add 192.168.0.0/16 nhid 9",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[
            ("nexthop show", "id 7 via 10.0.0.1 dev mydocker0"),
            ("route show", "default nhid 7 via 10.0.0.1 dev mydocker0"),
        ],
    },
    Host {
        name: "encapsulation",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "route add default via 10.0.0.1",
            "route add 192.0.2.0/24 encap ip id 7 dst 10.0.0.9 via 10.0.0.1 dev eth0",
            "route add 198.51.100.0/24 nexthop encap ip id 8 dst 10.0.0.9 via 10.0.0.1 dev eth0 nexthop via 10.0.0.2 dev eth0",
            "route add 2001:db8:8::/48 encap seg6 mode encap segs 2001:db8::9 via 2001:db8::1 dev eth0",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5", "2001:db8::5"],
        shown: &[
            (
                "route show",
                "192.0.2.0/24 encap ip id 7 src 0.0.0.0 dst 10.0.0.9 ttl 0 tos 0 via 10.0.0.1 dev mydocker0",
            ),
            (
                "route show",
                "nexthop encap ip id 8 src 0.0.0.0 dst 10.0.0.9 ttl 0 tos 0 via 10.0.0.1 dev mydocker0 weight 1",
            ),
            (
                "-6 route show",
                "2001:db8:8::/48 encap seg6 mode encap segs 1 [ 2001:db8::9 ] via 2001:db8::1 dev mydocker0",
            ),
        ],
    },
    Host {
        name: "static_neighbours",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "neigh add 10.0.0.76 lladdr 52:54:00:00:00:76 dev eth0 nud noarp",
            "neigh add 10.0.0.77 lladdr 52:54:00:00:00:77 dev eth0 nud permanent protocol static",
            "neigh add proxy 10.0.0.78 dev eth0 protocol static",
            "route add default via 10.0.0.1",
        ],
        gateway: GATEWAY,
        settings: &[],
        reach: &["10.0.0.5"],
        shown: &[
            (
                "neigh show nud permanent",
                "10.0.0.77 dev mydocker0 lladdr 52:54:00:00:00:77 PERMANENT proto static",
            ),
            (
                "neigh show nud noarp",
                "10.0.0.76 dev mydocker0 lladdr 52:54:00:00:00:76 NOARP",
            ),
            (
                "neigh show proxy",
                "10.0.0.78 dev mydocker0 proxy proto static",
            ),
        ],
    },
    Host {
        name: "strict_reverse_path_and_arp",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "addr add 10.0.0.6/24 dev eth0",
            "route add default via 10.0.0.1",
        ],
        gateway: GATEWAY,
        settings: &[
            ("ipv4/conf/eth0/rp_filter", "1"),
            ("ipv4/conf/eth0/arp_ignore", "1"),
            ("ipv4/conf/eth0/arp_announce", "2"),
            ("ipv6/conf/eth0/accept_ra", "2"),
        ],
        reach: &["10.0.0.5", "10.0.0.6"],
        shown: &[],
    },
    Host {
        name: "settings_of_every_kind",
        host: &[
            "addr add 10.0.0.5/24 dev eth0",
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "route add default via 10.0.0.1",
            "token set ::a:0:0:5 dev eth0",
        ],
        gateway: GATEWAY,
        settings: &[
            ("ipv4/conf/eth0/disable_policy", "1"),
            ("ipv4/conf/eth0/disable_xfrm", "1"),
            ("ipv4/conf/eth0/drop_gratuitous_arp", "1"),
            ("ipv4/neigh/eth0/app_solicit", "1"),
            ("ipv4/neigh/eth0/base_reachable_time_ms", "45000"),
            ("ipv4/neigh/eth0/gc_stale_time", "120"),
            ("ipv4/neigh/eth0/ucast_solicit", "5"),
            ("ipv6/conf/eth0/disable_policy", "1"),
            ("ipv6/conf/eth0/hop_limit", "77"),
            ("ipv6/conf/eth0/temp_valid_lft", "86400"),
            ("ipv6/neigh/eth0/gc_stale_time", "90"),
            ("ipv6/neigh/eth0/retrans_time_ms", "1500"),
        ],
        reach: &["10.0.0.5", "2001:db8::5"],
        shown: &[("token show dev mydocker0", "token ::a:0:0:5 dev mydocker0")],
    },
];

const WORDS: &str = "eth0:mydocker0";

/// Moves a host: it stays reachable all the time, keeps everything, and a second run has no work.
pub(crate) fn moves(case: &Host) {
    let is_lost = |seen: &Seen| seen.sent <= 20 || seen.lost > 2 || seen.gap.as_millis() >= 500;
    let seen = moved(case);
    if seen.iter().any(is_lost) {
        // A machine that is busy for a moment loses pings once, a change that takes the host off its network always.
        println!("{}: once more: {seen:?}", case.name);
        let seen = moved(case);
        assert!(!seen.iter().any(is_lost), "{seen:?}");
    }
}

/// Moves the uplink of a host, and says what was seen of it meanwhile.
fn moved(case: &Host) -> Vec<Seen> {
    let lab = set_up(case);
    let watches: Vec<_> = case.reach.iter().map(|ip| Watch::start(&lab, ip)).collect();
    let v4 = case.reach.iter().find(|ip| !ip.contains(':'));
    let stream = v4.map(|ip| Stream::start(&lab, ip));
    lab.succeed(WORDS);
    let seen: Vec<_> = watches.into_iter().map(Watch::stop).collect();
    stream.map(Stream::stop);
    lab.assert_reachable(case.reach);
    for (command, words) in case.shown {
        assert_shown(&lab, command, words);
    }
    assert_bare(&lab);
    for (key, value) in case.settings {
        let key = key.replace("eth0", "mydocker0");
        let read = lab.within(Place::Host, move || {
            std::fs::read_to_string(format!("/proc/sys/net/{key}")).unwrap()
        });
        assert_eq!(read.trim(), *value);
    }
    lab.assert_settled(WORDS);
    seen
}

/// Breaks the same host's change at its end: it has everything back as it was.
pub(crate) fn restores(case: &Host) {
    let lab = set_up(case);
    let before = lab.snapshot();
    let output = lab.run_with_fault(WORDS, "refuse:before:999,kill:commit");
    assert_eq!(output.status.code(), None, "{}", text(&output));
    lab.wait_for_watchdog();
    lab.assert_restored(&before);
    lab.assert_reachable(case.reach);
}

pub(crate) fn set_up(case: &Host) -> Lab {
    let lab = Lab::new(&[], case.gateway);
    if case.name == "mtu_9000" {
        lab.batch(
            Place::Switch,
            &[
                "link set port1 mtu 9000",
                "link set port2 mtu 9000",
                "link set sw mtu 9000",
            ],
        );
        lab.ip(Place::Gateway, "link set eth0 mtu 9000");
    }
    for (key, value) in case.settings {
        lab.sysctl(Place::Host, key, value);
    }
    lab.batch(Place::Host, case.host);
    lab.wait_for_detection();
    lab.assert_reachable(case.reach);
    lab
}

pub(crate) fn assert_shown(lab: &Lab, command: &str, words: &str) {
    let shown = lab.ip(Place::Host, command);
    let same = |line: &str| {
        line.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(words)
    };
    assert!(
        shown.lines().any(same),
        "no '{words}' in ip {command}:\n{shown}"
    );
}

/// Insists that nothing but its own link-local address is left on the NIC.
fn assert_bare(lab: &Lab) {
    let addresses = lab.ip(Place::Host, "-o addr show eth0");
    let left = addresses
        .lines()
        .find(|line| !line.contains("inet6 fe80::"));
    assert_eq!(left, None);
    for family in ["-4", "-6"] {
        let routes = lab.ip(
            Place::Host,
            &format!("{family} route show table all dev eth0"),
        );
        let own = |line: &&str| !line.contains("fe80::") && !line.contains("ff00::/8");
        assert_eq!(routes.lines().find(own), None);
    }
}
