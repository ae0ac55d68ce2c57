//! What is a difference, and what passes by itself.

use crate::bridge::net::fixture::link;
use crate::bridge::net::plan::plan;
use crate::bridge::net::{Hop, Lifetimes, LinkKind, NextHop};
use crate::netlink::NetlinkAttribute;
use crate::netlink::uapi::FRA_PRIORITY;

use super::*;

const ELAPSED: u32 = 20;

/// `10.0.0.5/24`, for ever or as long as it is leased.
fn address(text: &str, valid: Option<u32>) -> Address {
    let (ip, len) = text.split_once('/').unwrap();
    Address {
        ip: ip.parse().unwrap(),
        len: len.parse().unwrap(),
        peer: None,
        broadcast: None,
        label: None,
        scope: 0,
        flags: 0,
        lifetimes: valid.map(|valid| Lifetimes {
            preferred: valid,
            valid,
        }),
        other: Vec::new(),
    }
}

fn default_route(gateway: &str, device: &str, metric: u32) -> KernelRoute {
    let gateway: IpAddr = gateway.parse().unwrap();
    KernelRoute {
        v6: gateway.is_ipv6(),
        destination: None,
        from: None,
        table: RT_TABLE_MAIN,
        protocol: 4,
        scope: 0,
        kind: 1,
        tos: 0,
        metric: Some(metric),
        source: None,
        hops: vec![Hop {
            device: Some(device.to_owned()),
            gateway: Some(gateway),
            weight: 1,
            onlink: false,
            other: Vec::new(),
        }],
        nexthop: None,
        expires: None,
        other: Vec::new(),
    }
}

fn rule(input: &str, priority: u32) -> PolicyRule {
    PolicyRule {
        v6: false,
        header: vec![2; 12],
        input: Some(input.to_owned()),
        output: None,
        other: vec![NetlinkAttribute {
            kind: FRA_PRIORITY,
            value: priority.to_ne_bytes().to_vec(),
        }],
    }
}

fn uplink() -> Uplink {
    Uplink {
        nic: "eth0".parse().unwrap(),
        bridge: "br0".parse().unwrap(),
        address: None,
        switch: None,
    }
}

/// A host as it was, taken through its plan.
fn expected() -> NetState {
    let mut eth0 = link("eth0", LinkKind::Ethernet, 1);
    eth0.addresses = vec![
        address("10.0.0.5/24", None),
        address("10.0.0.6/24", Some(600)),
        address("2001:db8::6/64", Some(15)),
        address("2001:db8:1::7/64", Some(3000)),
    ];
    let mut eth1 = link("eth1", LinkKind::Ethernet, 2);
    eth1.addresses = vec![address("10.1.0.5/24", None)];
    let state = NetState {
        links: vec![eth0, eth1],
        routes: vec![
            default_route("10.0.0.1", "eth0", 100),
            default_route("10.1.0.1", "eth1", 101),
        ],
        rules: vec![rule("eth0", 9), rule("eth1", 10)],
        nexthops: vec![NextHop {
            id: 7,
            family: 2,
            protocol: 4,
            flags: 0,
            device: Some("eth0".to_owned()),
            gateway: None,
            other: Vec::new(),
        }],
        ..NetState::default()
    };
    state.after(&plan(&state, &[uplink()]).unwrap().steps)
}

fn on<'a>(state: &'a mut NetState, name: &str) -> &'a mut Link {
    let mut links = state.links.iter_mut();
    links.find(|link| link.name == name).unwrap()
}

fn remove(state: &mut NetState, name: &str, ip: &str) {
    let ip: IpAddr = ip.parse().unwrap();
    on(state, name).addresses.retain(|address| address.ip != ip);
}

fn add(state: &mut NetState, name: &str, text: &str, valid: Option<u32>) {
    on(state, name).addresses.push(address(text, valid));
}

type Change = fn(&mut NetState);

#[test]
fn what_was_lost_gained_or_strayed_is_named() {
    let cases: &[(Change, &[&str])] = &[
        (|_| {}, &[]),
        (
            |now| remove(now, "br0", "10.0.0.5"),
            &["10.0.0.5/24 is gone from br0"],
        ),
        (
            |now| remove(now, "br0", "2001:db8:1::7"),
            &["2001:db8:1::7/64 is gone from br0"],
        ),
        (
            |now| add(now, "eth0", "10.0.0.5/24", Some(90)),
            &["eth0 has 10.0.0.5/24"],
        ),
        (
            |now| add(now, "eth0", "2001:db8::9/64", Some(90)),
            &["eth0 has 2001:db8::9/64"],
        ),
        (
            |now| add(now, "br0", "10.0.0.77/24", Some(90)),
            &["br0 has 10.0.0.77/24"],
        ),
        (
            |now| add(now, "br0", "2001:db8:1::77/128", Some(90)),
            &["br0 has 2001:db8:1::77/128"],
        ),
        (
            |now| add(now, "br0", "2001:db8:1::77/64", Some(90)),
            &["br0 has 2001:db8:1::77/64"],
        ),
        (
            |now| remove(now, "eth1", "10.1.0.5"),
            &["10.1.0.5/24 is gone from eth1"],
        ),
        (
            |now| add(now, "eth1", "10.0.0.5/32", None),
            &["eth1 has 10.0.0.5/32"],
        ),
        (
            |now| {
                now.links.push(link("tun0", LinkKind::Ethernet, 9));
                add(now, "tun0", "10.0.0.5/32", None);
            },
            &["tun0 has 10.0.0.5/32"],
        ),
        (
            |now| on(now, "br0").addresses[0].lifetimes = address("10.0.0.5/24", Some(9)).lifetimes,
            &["10.0.0.5/24 on br0 is only leased now"],
        ),
        (
            |now| {
                let v6 = |address: &&mut Address| address.ip.is_ipv6();
                let mut addresses = on(now, "br0").addresses.iter_mut();
                addresses.rfind(v6).unwrap().flags |= libc::IFA_F_DADFAILED;
            },
            &["another host on the link has 2001:db8::6/64"],
        ),
        (
            |now| now.routes.remove(1).hops.clear(),
            &[
                "the route default via 10.0.0.1 dev br0 is gone",
                "the default route of IPv4 leads by eth1, not by br0",
            ],
        ),
        (
            |now| now.routes.retain(|route| route.leaves_by("br0")),
            &["the route default via 10.1.0.1 dev eth1 is gone"],
        ),
        (
            |now| now.routes.push(default_route("10.0.0.1", "eth0", 50)),
            &[
                "there is a new route default via 10.0.0.1 dev eth0",
                "the default route of IPv4 leads by eth0, not by br0",
            ],
        ),
        (
            // the first of those with one metric
            |now| now.routes.insert(0, default_route("10.1.0.1", "eth1", 100)),
            &["the default route of IPv4 leads by eth1, not by br0"],
        ),
        (
            |now| now.routes.push(default_route("10.1.0.1", "eth1", 100)),
            &[],
        ),
        (
            |now| now.routes.push(default_route("10.0.0.2", "br0", 900)),
            &["there is a new route default via 10.0.0.2 dev br0"],
        ),
        (
            |now| now.routes[1].metric = Some(425),
            &["the default route of IPv4 leads by eth1, not by br0"],
        ),
        (
            |now| now.rules.clear(),
            &[
                "the rule of IPv4 iif br0 is gone",
                "the rule of IPv4 iif eth1 is gone",
            ],
        ),
        // a manager of the network has the kernel choose the priority again
        (|now| now.rules[0] = rule("br0", 8), &[]),
        (
            |now| {
                now.rules.remove(0);
                now.rules.push(rule("br0", 11));
            },
            &["the rule of IPv4 iif br0 is gone"],
        ),
        (
            |now| now.rules.push(rule("eth0", 9)),
            &["there is a new rule of IPv4 iif eth0"],
        ),
        (
            |now| now.nexthops.clear(),
            &["nexthop 7 is gone or leads elsewhere"],
        ),
        (
            |now| on(now, "eth0").master = None,
            &["eth0 is not a port of br0"],
        ),
        (|now| on(now, "eth0").up = false, &["eth0 is down"]),
        (
            |now| on(now, "br0").mac = link("x", LinkKind::Ethernet, 9).mac,
            &["br0 has the hardware address 52:54:00:00:00:09, not 52:54:00:00:00:01"],
        ),
        (
            |now| on(now, "br0").mtu = 1400,
            &["br0 has the MTU 1400, not 1500"],
        ),
    ];
    let expected = expected();
    for (number, (change, differences)) in cases.iter().enumerate() {
        let mut now = expected.clone();
        change(&mut now);
        let found = super::differences(&expected, &now, &[uplink()], ELAPSED);
        assert_eq!(found, *differences, "case {number}");
    }
}

#[test]
fn what_passes_by_itself_is_no_difference() {
    let cases: &[Change] = &[
        // it had fifteen seconds when it was read, twenty seconds ago
        |now| remove(now, "br0", "2001:db8::6"),
        |now| on(now, "br0").addresses[1].lifetimes = address("10.0.0.6/24", Some(7)).lifetimes,
        |now| {
            add(now, "eth0", "fe80::5054:ff:fe00:1/64", None);
            add(now, "br0", "fe80::9/64", None);
        },
        // a router advertises another prefix, or privacy asks for another address
        |now| add(now, "br0", "2001:db8:2::5/64", Some(90)),
        |now| {
            add(now, "br0", "2001:db8:1::99/64", Some(90));
            on(now, "br0").addresses.last_mut().unwrap().flags |= libc::IFA_F_TEMPORARY;
        },
        |now| now.links.push(link("veth7", LinkKind::Ethernet, 9)),
        // a tunnel ends and takes its own along
        |now| {
            now.links.retain(|link| link.name != "eth1");
            now.routes.retain(|route| !route.leaves_by("eth1"));
        },
        // a manager of the network has a metric of its own, and the same way is chosen
        |now| now.routes[1].metric = Some(50),
        |now| {
            now.routes.push(KernelRoute {
                protocol: RTPROT_RA,
                ..default_route("fe80::1", "br0", 1024)
            });
        },
    ];
    let expected = expected();
    for (number, change) in cases.iter().enumerate() {
        let mut now = expected.clone();
        change(&mut now);
        let found = super::differences(&expected, &now, &[uplink()], ELAPSED);
        assert_eq!(found, Vec::<String>::new(), "case {number}");
    }
}

#[test]
fn a_bridge_of_several_ports_has_the_hardware_address_of_one_of_them() {
    let mut expected = expected();
    let mut port = link("vm0", LinkKind::Ethernet, 5);
    port.master = Some("br0".to_owned());
    expected.links.push(port);
    let mut now = expected.clone();
    for (mac, is_fine) in [(1, true), (5, true), (9, false)] {
        on(&mut now, "br0").mac = link("x", LinkKind::Ethernet, mac).mac;
        let found = super::differences(&expected, &now, &[uplink()], ELAPSED);
        assert_eq!(found.is_empty(), is_fine, "{mac}: {found:?}");
    }
}

#[test]
fn what_was_put_back_is_compared_without_a_bridge() {
    let mut before = expected();
    before.links.retain(|link| link.name != "br0");
    before.routes.truncate(1);
    before.rules.clear();
    before.nexthops.clear();
    assert_eq!(differences(&before, &before, &[], 0), Vec::<String>::new());
    let mut now = before.clone();
    now.routes.clear();
    now.links[1].addresses.clear();
    assert_eq!(
        differences(&before, &now, &[], 0),
        [
            "10.1.0.5/24 is gone from eth1",
            "the route default via 10.1.0.1 dev eth1 is gone"
        ]
    );
}

#[test]
fn a_link_local_address_may_become_another_one_and_is_named() {
    let mut expected = expected();
    add(&mut expected, "br0", "fe80::1/64", None);
    let told = |now: &NetState| {
        (
            differences(&expected, now, &[uplink()], ELAPSED),
            other_link_locals(&expected, now, &[uplink()]),
        )
    };
    let mut now = expected.clone();
    remove(&mut now, "br0", "fe80::1");
    let gone = vec!["fe80::1/64 is gone from br0".to_owned()];
    assert_eq!(told(&now), (gone, Vec::new()));
    add(&mut now, "br0", "fe80::2/64", None);
    let other =
        vec!["the link-local address of br0 is fe80::2/64, no longer fe80::1/64".to_owned()];
    assert_eq!(told(&now), (Vec::new(), other));
    assert_eq!(told(&expected), (Vec::new(), Vec::new()));
}
