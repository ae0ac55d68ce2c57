use super::*;

fn bridge() -> Bridge {
    Bridge {
        name: "mydocker0".to_owned(),
        subnet: "10.1.0.0/16".parse().unwrap(),
        port: Some("eth0".to_owned()),
        filtered: false,
        routes: false,
        forwards: true,
        rp_filter: 2,
        on_link: true,
        world: Some("mydocker0".to_owned()),
        names: &IPV4,
    }
}

fn judged(bridge: Bridge, rules: Option<Option<&str>>) -> (Vec<String>, Vec<String>) {
    let Forwarding { facts, obstacles } =
        bridge.judge(rules.map(|text| text.map(FilterTable::parse)));
    (facts, obstacles)
}

#[test]
fn an_unfiltered_bridge_with_a_port_has_nothing_in_its_way() {
    let fact =
        "frames that mydocker0 forwards do not pass iptables (bridge-nf-call-iptables is off)";
    assert_eq!(judged(bridge(), None), (vec![fact.to_owned()], vec![]));
}

#[test]
fn what_is_in_the_way_is_said_with_what_to_do() {
    let lonely = Bridge {
        port: None,
        ..bridge()
    };
    let router = Bridge {
        routes: true,
        forwards: false,
        ..bridge()
    };
    let strict = Bridge {
        rp_filter: STRICT,
        on_link: false,
        ..bridge()
    };
    for (bridge, obstacle) in [
        (
            lonely,
            "the bridge mydocker0 has no NIC for a port: its containers do not reach other hosts; join one with \
                 'bridgeprereq NIC:mydocker0'",
        ),
        (
            router,
            "IPv4 forwarding is off: containers on mydocker0 reach their bridge and nothing beyond \
                 this host; set net.ipv4.ip_forward=1",
        ),
        (
            strict,
            "this host has no address in 10.1.0.0/16 on mydocker0 and rp_filter is strict there: it drops \
                 what containers send it; give mydocker0 an address of 10.1.0.0/16, or set \
                 net.ipv4.conf.mydocker0.rp_filter=2",
        ),
    ] {
        assert_eq!(judged(bridge, None).1, [obstacle]);
    }
}

#[test]
fn the_rules_are_asked_for_each_way() {
    let router = || Bridge {
        filtered: true,
        routes: true,
        world: Some("eth1".to_owned()),
        ..bridge()
    };
    let rules = "-P FORWARD DROP\n-A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT\n";
    assert_eq!(
            judged(router(), Some(Some(rules))),
            (
                vec![
                    "frames that mydocker0 forwards pass iptables: -A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT"
                        .to_owned()
                ],
                vec![
                    "iptables drops packets that mydocker0 sends out by eth1: the policy of FORWARD; let them \
                     through with 'iptables -I FORWARD -i mydocker0 -o eth1 -j ACCEPT'"
                        .to_owned()
                ]
            )
        );
    let rules = "-P FORWARD ACCEPT\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n\
                     -A DOCKER-USER -p tcp -j DROP\n";
    let filtered = Bridge {
        filtered: true,
        ..bridge()
    };
    assert_eq!(
        judged(filtered, Some(Some(rules))).1,
        [
            "iptables drops some of the frames that mydocker0 forwards: -A DOCKER-USER -p tcp -j DROP"
        ]
    );
    assert_eq!(
        judged(router(), Some(None)).0,
        ["no iptables on this host shows what becomes of what mydocker0 forwards"]
    );
}

#[test]
fn a_routing_table_is_read_as_the_kernel_prints_it() {
    let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     mydocker0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     cut short\n";
    let covers = |routes: &[RouteLine], device: &str, subnet: &str| {
        let subnet = subnet.parse().unwrap();
        let mut routes = routes.iter();
        routes.any(|route| route.device == device && route.covers(subnet))
    };
    let routes = routes_v4(table);
    let on = |device, subnet| covers(&routes, device, subnet);
    assert!(on("mydocker0", "10.1.0.0/16") && on("mydocker0", "10.1.7.0/24"));
    assert!(!on("mydocker0", "10.0.0.0/8") && !on("mydocker0", "10.2.0.0/16"));
    assert!(!on("eth1", "10.1.0.0/16") && !on("mydocker0", "fd00::/64"));
    let world = routes.iter().find(|route| route.destination.prefix() == 0);
    assert_eq!(world.unwrap().device, "eth1");

    let none = "0".repeat(32);
    let line = |to: &str, length: &str, flags: &str, device: &str| {
        format!("{to} {length} {none} 00 {none} 00000400 00000001 00000000 {flags} {device}\n")
    };
    let fd = "fd000000000000000000000000000000";
    let table = line(fd, "40", "00000001", "mydocker0")
        + &line(&none, "00", "00200200", "lo")
        + &line(&none, "00", "00000003", "eth1")
        + "cut short\n";
    let routes = routes_v6(&table);
    let on = |device, subnet| covers(&routes, device, subnet);
    assert!(on("mydocker0", "fd00::/64") && !on("mydocker0", "fd01::/64"));
    assert!(!on("eth1", "fd00::/64"));
    let world = routes.iter().find(|route| route.destination.prefix() == 0);
    assert_eq!(world.unwrap().device, "eth1");
}
