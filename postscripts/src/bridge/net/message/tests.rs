use nix::libc;
use proptest::prelude::*;

use super::*;
use crate::bridge::net::{
    Address, Hop, KernelRoute, Lifetimes, LinkKind, Mac, Neighbour, NetlinkAttribute, PolicyRule,
};
use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED, attributes};
use crate::netlink::packet_core::Parseable;
use crate::netlink::packet_route::link::LinkMessage;
use crate::netlink::uapi::{FRA_PRIORITY, IFA_PROTO, NDA_PROTOCOL};
use crate::netlink::{AF_INET, AF_INET6};

/// Number 7.
const INDEX: [u8; 4] = 7u32.to_ne_bytes();

fn names() -> DeviceNames {
    let mut names = DeviceNames::default();
    names.insert(7, "eth0");
    names.insert(8, "eth1");
    names
}

fn attribute(kind: u16, value: &[u8]) -> NetlinkAttribute {
    NetlinkAttribute {
        kind,
        value: value.to_vec(),
    }
}

/// The header of an Ethernet device.
fn device() -> MessageBuilder {
    let mut header = [0; 16];
    header[2..4].copy_from_slice(&libc::ARPHRD_ETHER.to_ne_bytes());
    header[4..8].copy_from_slice(&INDEX);
    MessageBuilder::new(&header)
}

#[test]
fn no_attribute_that_nothing_looks_into_has_a_device_refused() {
    let driver = |kind: &str, data: MessageBuilder| {
        MessageBuilder::default()
            .text(libc::IFLA_INFO_KIND, kind)
            .attribute(libc::IFLA_INFO_DATA, &data.into_bytes())
            .into_bytes()
    };
    // a mode of a bond, and a hash table of a bridge, of another length than today
    let bond = driver("bond", MessageBuilder::default().attribute(1, &[4, 0]));
    let bridge = driver("bridge", MessageBuilder::default().attribute(27, &[0; 8]));
    for (name, message, kind) in [
        (
            "eth0",
            device().attribute(libc::IFLA_IFALIAS, b"\xff\xfe"),
            LinkKind::Ethernet,
        ),
        (
            "eth0",
            device().attribute(libc::IFLA_LINKINFO, &bond),
            LinkKind::Other("bond".to_owned()),
        ),
        (
            "eth0",
            device().attribute(libc::IFLA_LINKINFO, &bridge),
            LinkKind::Bridge,
        ),
        ("e\u{fffd}", device(), LinkKind::Ethernet),
    ] {
        let name_bytes: &[u8] = if name == "eth0" {
            b"eth0\0"
        } else {
            b"e\xff\0"
        };
        let bytes = message
            .attribute(libc::IFLA_IFNAME, name_bytes)
            .number(libc::IFLA_MTU, 9000)
            .into_bytes();
        let link = decode_link(&bytes).unwrap();
        assert_eq!((link.name.as_str(), link.mtu), (name, 9000));
        assert_eq!(link.kind, kind);
        // the reason why the crate's parser is not used
        assert!(LinkMessage::parse(&bytes).is_err(), "{kind:?}");
    }
}

#[test]
fn what_makes_no_sense_is_an_error_that_names_its_object() {
    let names = names();
    let on_device = |family| MessageBuilder::new(&[&[family, 24, 0, 0][..], &INDEX].concat());
    let mut route = [0; 12];
    route[..5].copy_from_slice(&[AF_INET, 24, 0, 0, 254]);
    let errors = [
        decode_link(
            &device()
                .text(libc::IFLA_IFNAME, "eth0")
                .attribute(libc::IFLA_MTU, &[1, 2, 3])
                .into_bytes(),
        )
        .map(drop),
        decode_link(&[0; 15]).map(drop),
        decode_address(
            &on_device(AF_INET)
                .attribute(libc::IFA_LOCAL, &[10, 0, 0])
                .into_bytes(),
            &names,
        )
        .map(drop),
        decode_neighbour(
            &MessageBuilder::new(&[&[AF_INET, 0, 0, 0][..], &INDEX, &[0; 4]].concat())
                .attribute(libc::NDA_DST, &[10, 0, 0])
                .into_bytes(),
            &names,
        )
        .map(drop),
        decode_routes(
            &MessageBuilder::new(&route)
                .attribute(libc::RTA_OIF, &[7])
                .into_bytes(),
            &names,
        )
        .map(drop),
        decode_rule(&[0; 11]).map(drop),
    ];
    let errors: Vec<_> = errors.map(|read| read.unwrap_err().to_string()).into();
    let reading = |rest: &str| format!("reading what the kernel reports of {rest}");
    assert_eq!(
        errors,
        [
            reading(
                "device \"eth0\" (number 7): invalid IFLA_MTU value caused by Invalid number. Expected 4 bytes, \
                 received 3 bytes"
            ),
            reading("devices: Buffer too small: 15 (should be at least 16 bytes"),
            reading(
                "an address of eth0: Invalid IFA_LOCAL, got unexpected length of payload [10, 0, 0]"
            ),
            reading(
                "a neighbour on eth0: invalid NDA_DST value [10, 0, 0] caused by Invalid u8 array length 3, expecting \
                 4 for IPv4 address, got [10, 0, 0]"
            ),
            reading(
                "a route of table 254: invalid RTA_OIF value caused by Invalid number. Expected 4 bytes, received 1 \
                 bytes"
            ),
            reading("a policy rule: Buffer too small: 11 (should be at least 12 bytes"),
        ]
    );
}

#[test]
fn an_address_survives_the_way_to_the_kernel() {
    let v4 = Address {
        ip: "10.0.0.5".parse().unwrap(),
        len: 24,
        peer: Some("10.0.0.9".parse().unwrap()),
        broadcast: Some("10.0.0.255".parse().unwrap()),
        label: Some("eth0:1".to_owned()),
        scope: 253,
        flags: libc::IFA_F_NOPREFIXROUTE,
        lifetimes: Some(Lifetimes {
            preferred: 60,
            valid: 120,
        }),
        other: vec![attribute(IFA_PROTO, &[2]), attribute(99, &[1, 2, 3])],
    };
    let v6 = Address {
        ip: "2001:db8::5".parse().unwrap(),
        len: 64,
        peer: None,
        broadcast: None,
        label: None,
        lifetimes: None,
        ..v4.clone()
    };
    for address in [v4, v6] {
        let read = decode_address(&encode_address(7, "eth0", &address), &names()).unwrap();
        assert_eq!(read, Some(("eth0".to_owned(), address)));
    }
}

#[test]
fn a_neighbour_and_a_rule_survive_the_way_to_the_kernel() {
    let neighbour = Neighbour {
        ip: "10.0.0.9".parse().unwrap(),
        mac: Some(Mac([2, 0, 0, 0, 0, 9])),
        state: libc::NUD_PERMANENT | libc::NUD_NOARP,
        flags: libc::NTF_PROXY,
        other: vec![attribute(NDA_PROTOCOL, &[4])],
    };
    let read = decode_neighbour(&encode_neighbour(7, &neighbour), &names()).unwrap();
    assert_eq!(read, Some(("eth0".to_owned(), neighbour)));
    let rule = PolicyRule {
        v6: true,
        header: vec![AF_INET6, 64, 0, 8, 100, 0, 0, 250, 2, 0, 0, 0],
        input: Some("eth0".to_owned()),
        output: Some("eth1".to_owned()),
        other: vec![
            attribute(FRA_PRIORITY, &100u32.to_ne_bytes()),
            attribute(99, &[1]),
        ],
    };
    let read = decode_rule(&encode_rule(&rule).unwrap()).unwrap();
    assert_eq!(read, rule);
}

fn hop(device: &str, gateway: &str, weight: u16) -> Hop {
    Hop {
        device: Some(device.to_owned()),
        gateway: gateway.parse().ok(),
        weight,
        onlink: weight == 2,
        other: Vec::new(),
    }
}

#[test]
fn a_route_survives_the_way_to_the_kernel() {
    let through = |hops: Vec<Hop>| KernelRoute {
        v6: false,
        destination: Some("192.0.2.0/24".parse().unwrap()),
        from: None,
        table: 1000,
        protocol: 201,
        scope: 253,
        kind: 1,
        tos: 16,
        metric: Some(50),
        source: Some("10.0.0.5".parse().unwrap()),
        hops,
        nexthop: None,
        expires: None,
        other: vec![attribute(libc::RTA_METRICS, &[8, 0, 2, 0, 220, 5, 0, 0])],
    };
    let two = vec![hop("eth0", "10.0.0.1", 3), hop("eth1", "fe80::1", 2)];
    for route in [
        through(vec![hop("eth0", "10.0.0.1", 1)]),
        through(vec![hop("eth0", "fe80::1", 1)]),
        through(two),
        through(Vec::new()),
        KernelRoute {
            nexthop: Some(9),
            ..through(Vec::new())
        },
    ] {
        let read = decode_routes(&encode_route(&route, &names()).unwrap(), &names()).unwrap();
        assert_eq!(read, [route]);
    }
}

#[test]
fn an_encapsulation_goes_back_as_nested_attributes() {
    let encapsulation = attribute(libc::RTA_ENCAP, &[8, 0, 1, 0, 1, 2, 3, 4]);
    let with = |weight| Hop {
        other: vec![encapsulation.clone()],
        ..hop("eth0", "10.0.0.1", weight)
    };
    let route = KernelRoute {
        v6: false,
        destination: None,
        from: None,
        table: 254,
        protocol: 4,
        scope: 0,
        kind: 1,
        tos: 0,
        metric: None,
        source: None,
        hops: vec![with(1)],
        nexthop: None,
        expires: None,
        other: Vec::new(),
    };
    let bytes = encode_route(&route, &names()).unwrap();
    let kinds: Vec<_> = attributes(&bytes[12..]).unwrap();
    let kinds: Vec<_> = kinds.iter().map(|one| one.kind).collect();
    assert!(
        kinds.contains(&(NLA_F_NESTED | libc::RTA_ENCAP)),
        "{kinds:?}"
    );
    assert_eq!(decode_routes(&bytes, &names()).unwrap(), [route]);
}

proptest! {
    /// Whatever a kernel reports is read or refused.
    #[test]
    fn any_message_is_read_or_refused(
        header: [u8; 20],
        parts in prop::collection::vec((0u16..70, prop::collection::vec(any::<u8>(), 0..24)), 0..6),
    ) {
        let message = |length: usize| {
            let body = MessageBuilder::new(&header[..length]);
            let add = |body: MessageBuilder, (kind, value): &(u16, Vec<u8>)| body.attribute(*kind, value);
            parts.iter().fold(body, add).into_bytes()
        };
        let names = names();
        let _ = decode_link(&message(16));
        let _ = decode_address(&message(8), &names);
        let _ = decode_neighbour(&message(12), &names);
        let _ = decode_routes(&message(12), &names);
        let _ = decode_rule(&message(12));
        let _ = decode_nexthop(&message(8), &names);
        let _ = decode_address_label(&message(12));
        let _ = decode_namespace(&message(4));
        let _ = decode_queueing(&message(20));
    }
}
