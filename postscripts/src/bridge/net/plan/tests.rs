//! The planner against generated networks: it converges, and its undo restores.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::bridge::net::fixture::link;
use crate::bridge::net::{
    Hop, Lifetimes, LinkKind, Mac, Neighbour, NetlinkAttribute, NextHop, PolicyRule,
};
use crate::netlink::uapi::{NDA_FLAGS_EXT, NDA_PROTOCOL, NTF_EXT_MANAGED};

fn address_of(ip: IpAddr, length: u8) -> Address {
    static_address(IpNetwork::new(ip, length).unwrap())
}

fn uplink() -> Uplink {
    Uplink {
        nic: "eth0".parse().unwrap(),
        bridge: "mydocker0".parse().unwrap(),
        address: None,
        switch: None,
    }
}

prop_compose! {
    fn addresses()(
        v4 in proptest::collection::btree_map(1u8..250, (8u8..=32, any::<bool>(), any::<bool>()), 0..4),
        v6 in proptest::collection::btree_map(1u16..999, (16u8..=128, any::<bool>()), 0..4),
        own in any::<bool>(),
    ) -> Vec<Address> {
        let lifetimes = |leased: bool| {
            leased.then_some(Lifetimes { preferred: 1800, valid: 3600 })
        };
        let mut all: Vec<_> = v4
            .into_iter()
            .map(|(host, (len, leased, labelled))| Address {
                lifetimes: lifetimes(leased),
                label: labelled.then(|| format!("eth0:{host}")),
                ..address_of(Ipv4Addr::new(10, 0, 0, host).into(), len)
            })
            .collect();
        all.extend(v6.into_iter().map(|(host, (len, leased))| Address {
            lifetimes: lifetimes(leased),
            flags: 0x02,
            ..address_of(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into(), len)
        }));
        if own {
            let ip: IpAddr = "fe80::5054:ff:fe00:1".parse().unwrap();
            all.push(Address { scope: 253, ..address_of(ip, 64) });
        }
        all
    }
}

prop_compose! {
    fn route()(
        v6 in any::<bool>(),
        host in 0u8..4,
        table in prop_oneof![Just(254u32), Just(100), Just(70000)],
        metric in proptest::option::of(1u32..500),
        hops in proptest::collection::vec(
            (prop_oneof![Just("eth0"), Just("eth1")], proptest::option::of(1u8..5), 1u16..9),
            1..3,
        ),
        mtu in proptest::option::of(Just(NetlinkAttribute { kind: 8, value: vec![8, 0, 2, 0, 0, 5, 0, 0] })),
    ) -> KernelRoute {
        let ip = |last: u8| -> IpAddr {
            if v6 { Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into() } else { Ipv4Addr::new(10, 0, 0, last).into() }
        };
        let hop = |(device, gateway, weight): (&str, Option<u8>, u16)| Hop {
            device: Some(device.to_owned()),
            gateway: gateway.map(ip),
            weight,
            onlink: false,
            other: Vec::new(),
        };
        let mut hops: Vec<_> = hops.into_iter().map(hop).collect();
        if v6 {
            hops.truncate(1);
        }
        KernelRoute {
            v6,
            destination: (host > 0).then(|| {
                IpNetwork::new(ip(host * 16), if v6 { 124 } else { 28 }).unwrap()
            }),
            from: None,
            table,
            protocol: 4,
            scope: 0,
            kind: 1,
            tos: 0,
            metric,
            source: None,
            hops,
            nexthop: None,
            expires: None,
            other: mtu.into_iter().collect(),
        }
    }
}

/// How the bridge is there before: not at all, without ports, with the NIC, with another port.
fn bridges() -> impl Strategy<Value = usize> {
    0usize..5
}

prop_compose! {
    fn states()(
        addresses in addresses(),
        strayed in any::<bool>(),
        routes in proptest::collection::vec(route(), 0..6),
        before in bridges(),
        settings in proptest::collection::btree_map(
            prop_oneof![
                Just("ipv4/rp_filter".to_owned()),
                Just("ipv6/accept_ra".to_owned()),
                Just("ipv6/accept_dad".to_owned()),
                Just("ipv6/addr_gen_mode".to_owned()),
            ],
            "[0-3]",
            0..4,
        ),
        neighbours in proptest::collection::btree_map(200u8..250, prop_oneof![Just(0x80u16), Just(0x02)], 0..3),
        rules in proptest::collection::btree_set(0u8..9, 0..3),
        object in any::<bool>(),
        up in any::<bool>(),
    ) -> NetState {
        let mut nic = link("eth0", LinkKind::Ethernet, 1);
        nic.up = up;
        nic.addresses = addresses;
        nic.sysctls = settings.clone();
        nic.neighbours = neighbours
            .into_iter()
            .map(|(host, state)| Neighbour {
                ip: Ipv4Addr::new(10, 0, 0, host).into(),
                mac: Some(Mac([2; 6])),
                state,
                flags: 0,
                other: Vec::new(),
            })
            .collect();
        let mut links = vec![link("lo", LinkKind::Loopback, 0)];
        let mut bridge = link("mydocker0", LinkKind::Bridge, 9);
        bridge.bridge = Some(BridgeSettings { stp: before == 2, forward_delay: 1500 });
        bridge.sysctls = settings.keys().map(|key| (key.clone(), "1".to_owned())).collect();
        bridge.mtu = if before == 2 { 9000 } else { 1500 };
        let mut other = link("eth1", LinkKind::Other("veth".to_owned()), 3);
        match before {
            3 => nic.master = Some(bridge.name.clone()),
            4 => other.master = Some(bridge.name.clone()),
            _ => {}
        }
        if strayed {
            bridge.addresses = nic.addresses.iter().take(1).cloned().collect();
            bridge.addresses.iter_mut().for_each(|address| address.label = None);
        }
        links.extend([nic, other]);
        if before > 0 {
            links.push(bridge);
        }
        let mut unique = Vec::new();
        for route in routes {
            // of IPv6 a tie of two devices may be refused
            let ties = |known: &KernelRoute| route.v6 && known.rank() == route.rank();
            if !unique.contains(&route) && !unique.iter().any(ties) {
                unique.push(route);
            }
        }
        let rule = |number: u8| PolicyRule {
            v6: number.is_multiple_of(2),
            header: vec![2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0],
            input: number.is_multiple_of(3).then(|| "eth0".to_owned()),
            output: (number % 3 == 1).then(|| "eth0".to_owned()),
            other: vec![NetlinkAttribute { kind: 6, value: vec![number, 0, 0, 0] }],
        };
        let nexthop = NextHop {
            id: 7,
            family: 2,
            protocol: 4,
            flags: 0,
            device: Some("eth0".to_owned()),
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1).into()),
            other: Vec::new(),
        };
        NetState {
            links,
            defaults: settings.keys().map(|key| (key.clone(), "2".to_owned())).collect(),
            routes: unique,
            nexthops: object.then_some(nexthop).into_iter().collect(),
            rules: rules.into_iter().map(rule).collect(),
            obstacles: Vec::new(),
            open_vswitch: None,
        }
    }
}

/// Sorts what the kernel keeps in no order of ours.
fn sorted(mut state: NetState) -> NetState {
    let key = |route: &KernelRoute| format!("{route:?}");
    state.routes.sort_by_key(key);
    state.rules.sort_by_key(|rule| format!("{rule:?}"));
    for link in &mut state.links {
        link.addresses.sort_by_key(|address| address.ip);
        link.neighbours.sort_by_key(|neighbour| neighbour.ip);
    }
    state
}

proptest! {
    #[test]
    fn what_is_planned_leaves_nothing_to_plan(state in states()) {
        let first = plan(&state, &[uplink()]).unwrap();
        let again = plan(&state.after(&first.steps), &[uplink()]).unwrap();
        prop_assert_eq!(again.steps, Vec::<Step>::new());
    }

    #[test]
    fn the_undo_restores_the_network_from_every_step(state in states(), cut in 0usize..80) {
        let steps = plan(&state, &[uplink()]).unwrap().steps;
        let reached = state.after(steps.iter().take(cut));
        // the whole plan is undone, for nobody knows how far it came
        let undo: Vec<_> = steps.iter().rev().filter_map(Step::undo).collect();
        prop_assert_eq!(sorted(reached.after(&undo)), sorted(state));
    }

    #[test]
    fn nothing_of_the_nic_is_lost(state in states()) {
        let after = state.after(&plan(&state, &[uplink()]).unwrap().steps);
        let (nic, bridge) = (state.link("eth0").unwrap(), after.link("mydocker0").unwrap());
        for address in &nic.addresses {
            prop_assert!(bridge.addresses.iter().any(|known| known.is_same(address)), "{}", address);
        }
        prop_assert_eq!(after.link("eth0").unwrap().master.as_deref(), Some("mydocker0"));
        prop_assert!(!after.routes.iter().any(|route| route.leaves_by("eth0")));
        for old in &state.routes {
            prop_assert!(after.routes.contains(&redirect(old, "eth0", "mydocker0")), "{}", old);
        }
    }

    #[test]
    fn of_routes_of_one_rank_the_same_device_stays_first(state in states(), cut in 0usize..80) {
        let steps = plan(&state, &[uplink()]).unwrap().steps;
        let undo: Vec<_> = steps.iter().rev().filter_map(Step::undo).collect();
        let after = state.after(&steps);
        let back = state.after(steps.iter().take(cut)).after(&undo);
        for route in &state.routes {
            let first = |state: &NetState| {
                let found = state.routes.iter().find(|other| other.rank() == route.rank());
                redirect(found.unwrap(), "eth0", "mydocker0").hops[0].device.clone()
            };
            prop_assert_eq!(first(&after), first(&state), "{}", route);
            prop_assert_eq!(first(&back), first(&state), "{}", route);
        }
    }

    #[test]
    fn a_step_survives_the_journal(state in states()) {
        for step in plan(&state, &[uplink()]).unwrap().steps {
            let text = serde_json::to_string(&step).unwrap();
            prop_assert_eq!(serde_json::from_str::<Step>(&text).unwrap(), step);
        }
    }
}

#[test]
fn an_address_that_the_kernel_makes_from_a_secret_is_refused() {
    let mut nic = link("eth0", LinkKind::Ethernet, 1);
    nic.sysctls
        .insert("ipv6/addr_gen_mode".to_owned(), "2".to_owned());
    let ip: IpAddr = "2001:db8::9:8:7:6".parse().unwrap();
    nic.addresses = vec![Address {
        flags: 0x800,
        ..address_of(ip, 64)
    }];
    let state = |nic: Link| NetState {
        links: vec![nic],
        ..NetState::default()
    };
    assert_eq!(
        plan(&state(nic.clone()), &[uplink()])
            .unwrap_err()
            .to_string(),
        "the kernel makes 2001:db8::9:8:7:6 from a secret (addr_gen_mode 2 of eth0) and would make another one for \
         mydocker0: set addr_gen_mode to 0, or configure the address, first"
    );
    // whoever else made it so makes it again
    nic.sysctls
        .insert("ipv6/addr_gen_mode".to_owned(), "1".to_owned());
    assert!(plan(&state(nic), &[uplink()]).is_ok());
}

#[test]
fn neighbours_that_an_administrator_entered_move_as_he_entered_them() {
    let other = |kind, number: u32| NetlinkAttribute {
        kind,
        value: number.to_ne_bytes().to_vec(),
    };
    let neighbour = |host, state, other: &[NetlinkAttribute]| Neighbour {
        ip: Ipv4Addr::new(10, 0, 0, host).into(),
        mac: Some(Mac([2; 6])),
        state,
        flags: 0,
        other: other.to_vec(),
    };
    let managed = other(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    let broadcast = Neighbour {
        mac: Some(Mac([0xff; 6])),
        ..neighbour(255, libc::NUD_NOARP, &[])
    };
    let unknown = Neighbour {
        mac: None,
        ..neighbour(5, libc::NUD_INCOMPLETE, std::slice::from_ref(&managed))
    };
    let permanent = neighbour(1, libc::NUD_PERMANENT, &[other(NDA_PROTOCOL, 4)]);
    let unasked = neighbour(2, libc::NUD_NOARP, &[]);
    let kept = neighbour(3, libc::NUD_REACHABLE, &[managed]);
    for (there, moved) in [
        (&permanent, Some(permanent.clone())),
        (&unasked, Some(unasked.clone())),
        (
            &kept,
            Some(Neighbour {
                state: libc::NUD_STALE,
                ..kept.clone()
            }),
        ),
        (
            &unknown,
            Some(Neighbour {
                state: libc::NUD_NONE,
                ..unknown.clone()
            }),
        ),
        (&broadcast, None),
        (&neighbour(4, libc::NUD_REACHABLE, &[]), None),
    ] {
        assert_eq!(there.administered(), moved, "{there:?}");
    }
}

#[test]
fn a_bridge_gets_the_token_of_a_nic_that_routers_advertise_networks_to() {
    for (settings, expected) in [
        (&[("accept_ra", "1"), ("forwarding", "0")][..], true),
        (&[("accept_ra", "2"), ("forwarding", "1")], true),
        (&[("accept_ra", "1"), ("forwarding", "1")], false),
        (&[("accept_ra", "0"), ("forwarding", "0")], false),
        (
            &[
                ("accept_ra", "1"),
                ("forwarding", "0"),
                ("router_solicitations", "0"),
            ],
            false,
        ),
    ] {
        let mut nic = link("eth0", LinkKind::Ethernet, 1);
        let settings = settings.iter().chain(&[("token", "::5")]);
        nic.sysctls = settings
            .map(|(key, value)| (format!("ipv6/{key}"), (*value).to_owned()))
            .collect();
        let state = NetState {
            links: vec![nic],
            ..NetState::default()
        };
        let plan = plan(&state, &[uplink()]).unwrap();
        let sets = |step: &Step| matches!(step, Step::SetSysctl { key, .. } if key == "ipv6/token");
        assert_eq!(plan.steps.iter().any(sets), expected);
    }
}

#[test]
fn a_bridge_is_put_into_the_group_of_the_nic() {
    let mut nic = link("eth0", LinkKind::Ethernet, 1);
    nic.group = 10;
    for before in [None, Some(link("mydocker0", LinkKind::Bridge, 9))] {
        let state = NetState {
            links: [Some(nic.clone()), before].into_iter().flatten().collect(),
            ..NetState::default()
        };
        let after = state.after(&plan(&state, &[uplink()]).unwrap().steps);
        assert_eq!(after.link("mydocker0").unwrap().group, 10);
    }
}

fn default_route(device: &str, gateway: Option<&str>, protocol: u8) -> KernelRoute {
    KernelRoute {
        v6: true,
        destination: None,
        from: None,
        table: 254,
        protocol,
        scope: 0,
        kind: 1,
        tos: 0,
        metric: Some(1024),
        source: None,
        hops: vec![Hop {
            device: Some(device.to_owned()),
            gateway: gateway.map(|ip| ip.parse().unwrap()),
            weight: 1,
            onlink: false,
            other: Vec::new(),
        }],
        nexthop: None,
        expires: None,
        other: Vec::new(),
    }
}

/// What becomes of two default routes of IPv6 with the same metric.
fn tie(first: KernelRoute, second: KernelRoute) -> Result<Vec<String>, String> {
    let mut nic = link("eth0", LinkKind::Ethernet, 1);
    nic.sysctls
        .insert("ipv6/accept_ra".to_owned(), "1".to_owned());
    let state = NetState {
        links: vec![nic, link("eth1", LinkKind::Ethernet, 2)],
        routes: vec![first, second],
        ..NetState::default()
    };
    match plan(&state, &[uplink()]) {
        Ok(plan) => Ok(plan.notes),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn a_route_of_ipv6_that_another_would_overtake_is_refused_or_said() {
    let [own, other] = ["eth0", "eth1"].map(|device| default_route(device, None, 4));
    assert_eq!(
        tie(own.clone(), other.clone()).unwrap_err(),
        "the routes default dev eth0 metric 1024 and default dev eth1 metric 1024 have the same metric, and once the \
         first led by a bridge the kernel would choose the other: give one of them another metric first"
    );
    assert_eq!(tie(other, own), Ok(Vec::new()));
    // packets are shared out among those with a router, in whatever order
    let [own, other] = ["eth0", "eth1"].map(|device| default_route(device, Some("fe80::1"), 4));
    assert_eq!(tie(own, other), Ok(Vec::new()));
    let [own, other] = ["eth0", "eth1"].map(|device| default_route(device, Some("fe80::1"), 9));
    assert_eq!(
        tie(own, other).unwrap(),
        [
            "the route default via fe80::1 dev eth1 metric 1024 has the metric of the route default via fe80::1 dev eth0 \
          metric 1024, and will be chosen before it"
        ]
    );
}

#[test]
fn what_no_bridge_can_have_for_a_port_is_refused_by_what_it_is() {
    for (kind, what) in [
        (
            LinkKind::Wireless,
            "a wireless device, and an access point passes on one hardware address only; use a wired NIC",
        ),
        (LinkKind::Loopback, "the loopback device"),
        (LinkKind::Bridge, "a bridge itself; name the NIC"),
        (LinkKind::NotEthernet, "a device without Ethernet frames"),
        (LinkKind::Other("ipvlan".to_owned()), "an ipvlan device"),
    ] {
        let state = NetState {
            links: vec![link("eth0", kind, 1)],
            ..NetState::default()
        };
        let refusal = plan(&state, &[uplink()]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("eth0 cannot be a port of a bridge: it is {what}")
        );
    }
    for kind in [
        LinkKind::Ethernet,
        LinkKind::Other("bond".to_owned()),
        LinkKind::Other("vlan".to_owned()),
    ] {
        let state = NetState {
            links: vec![link("eth0", kind, 1)],
            ..NetState::default()
        };
        assert!(plan(&state, &[uplink()]).is_ok());
    }
}

fn with_settings(settings: &[(&str, &str)], before: Option<Link>) -> NetState {
    let mut nic = link("eth0", LinkKind::Ethernet, 1);
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    nic.sysctls = settings.iter().map(pair).collect();
    NetState {
        links: [Some(nic), before].into_iter().flatten().collect(),
        defaults: BTreeMap::from([
            pair(&("ipv4/disable_policy", "0")),
            pair(&("ipv4/neigh/gc_stale_time", "60")),
            pair(&("ipv6/mtu", "1280")),
        ]),
        ..NetState::default()
    }
}

#[test]
fn whatever_setting_differs_from_the_default_is_the_bridges_too() {
    let settings = [
        ("ipv4/disable_policy", "1"),
        ("ipv4/neigh/gc_stale_time", "60"),
        ("ipv4/neigh/locktime", "7"),
        ("ipv6/mtu", "1500"),
        ("ipv6/nobody_knows_this", "3"),
    ];
    let steps = plan(&with_settings(&settings, None), &[uplink()])
        .unwrap()
        .steps;
    let set = steps
        .iter()
        .filter(|step| matches!(step, Step::SetSysctl { .. }));
    assert_eq!(
        set.map(ToString::to_string).collect::<Vec<_>>(),
        [
            "setting ipv4/disable_policy of mydocker0 to 1",
            "setting ipv4/neigh/locktime of mydocker0 to 7",
            "setting ipv6/nobody_knows_this of mydocker0 to 3",
        ]
    );
}

#[test]
fn smaller_packets_of_ipv6_are_refused_unless_a_router_advertises_them() {
    let mut state = with_settings(&[("ipv6/mtu", "1400")], None);
    assert_eq!(
        plan(&state, &[uplink()]).unwrap_err().to_string(),
        "eth0 has packets of 1400 bytes for IPv6 (ipv6/mtu), which the kernel would forget for mydocker0: give eth0 this \
         MTU itself, or have a router advertise it, first"
    );
    state.routes = vec![default_route("eth1", Some("fe80::1"), RTPROT_RA)];
    assert!(plan(&state, &[uplink()]).is_err());
    state.routes = vec![default_route("eth0", Some("fe80::1"), RTPROT_RA)];
    assert!(plan(&state, &[uplink()]).is_ok());
}

#[test]
fn a_program_that_routes_multicast_by_the_nic_is_refused() {
    let settings = [("ipv4/mc_forwarding", "0"), ("ipv6/mc_forwarding", "1")];
    assert_eq!(
        plan(&with_settings(&settings, None), &[uplink()])
            .unwrap_err()
            .to_string(),
        "a program routes multicast by eth0 (ipv6/mc_forwarding), and would receive none there: end it first, and have \
         it use mydocker0 then"
    );
    assert!(plan(&with_settings(&settings[..1], None), &[uplink()]).is_ok());
}
