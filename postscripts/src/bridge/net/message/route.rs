//! Routes: `struct rtmsg` and `RTA_*` (linux/rtnetlink.h).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use nix::libc;

use super::DeviceNames;
use super::raw::{RawHop, split_hops};
use super::typed::{bytes, bytes_with, read, unreadable};
use crate::bridge::net::{Hop, KernelRoute, NetlinkAttribute};
use crate::netlink::AF_INET6;
use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED, family, take};
use crate::netlink::packet_core::{DecodeError, Emitable, ParseableParametrized};
use crate::netlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteLwEnCapType, RouteMessage, RouteVia,
};
use crate::netlink::uapi::{RTA_NH_ID, RTNH_F_ONLINK};

/// Ticks a second of the times that the kernel reports (include/asm-generic/param.h), the same on every
/// architecture that Docker hosts have.
const USER_HZ: u32 = 100;
/// What a decision hangs on. Not an encapsulation (`RTA_ENCAP`), of which the crate writes other bytes than it read, and
/// so not `RTA_MULTIPATH`, which may hold some.
const READ: [u16; 10] = [
    libc::RTA_DST,
    libc::RTA_SRC,
    libc::RTA_OIF,
    libc::RTA_GATEWAY,
    libc::RTA_PRIORITY,
    libc::RTA_PREFSRC,
    libc::RTA_CACHEINFO,
    libc::RTA_TABLE,
    libc::RTA_VIA,
    RTA_NH_ID,
];
/// The same of one of several hops.
const READ_OF_HOP: [u16; 2] = [libc::RTA_GATEWAY, libc::RTA_VIA];

/// Asks for the routes of a family.
pub(crate) fn encode_routes_request(family: u8) -> Vec<u8> {
    let mut message = RouteMessage::default();
    message.header.address_family = family.into();
    bytes(&message)
}

/// Reads an `RTM_NEWROUTE`. A multipath route of IPv6 is several routes to the kernel, each changed
/// by itself, and so it is here; of IPv4 it is one.
pub(crate) fn decode_routes(bytes: &[u8], names: &DeviceNames) -> io::Result<Vec<KernelRoute>> {
    let header = RouteHeader::parse(bytes).map_err(|error| unreadable("routes", &error))?;
    // an entry of a cache, no route
    if header.flags.contains(RouteFlags::Cloned) {
        return Ok(Vec::new());
    }
    decode(bytes, &header, names).map_err(|error| {
        let number = header.table;
        unreadable(format_args!("a route of table {number}"), &error)
    })
}

fn decode(
    bytes: &[u8],
    header: &RouteHeader,
    names: &DeviceNames,
) -> Result<Vec<KernelRoute>, DecodeError> {
    let (known, mut other) = read_attributes(&bytes[header.buffer_len()..], &READ, header)?;
    let v6 = u8::from(header.address_family) == AF_INET6;
    let multipath = take(&mut other, libc::RTA_MULTIPATH);
    let mut route = KernelRoute {
        v6,
        destination: None,
        from: None,
        table: header.table.into(),
        protocol: header.protocol.into(),
        scope: header.scope.into(),
        kind: header.kind.into(),
        tos: header.tos,
        metric: None,
        source: None,
        hops: Vec::new(),
        nexthop: None,
        expires: None,
        other,
    };
    let mut single = Hop {
        device: None,
        gateway: None,
        weight: 1,
        onlink: header.flags.contains(RouteFlags::Onlink),
        other: Vec::new(),
    };
    let (mut to, mut from) = (None, None);
    for attribute in known {
        match attribute {
            RouteAttribute::Destination(address) => to = decode_ip(&address),
            RouteAttribute::Source(address) => from = decode_ip(&address),
            RouteAttribute::PrefSource(address) => route.source = decode_ip(&address),
            RouteAttribute::Table(table) => route.table = table,
            RouteAttribute::Priority(metric) => route.metric = Some(metric),
            RouteAttribute::NhId(id) => route.nexthop = Some(id),
            RouteAttribute::CacheInfo(info) => route.expires = decode_expiry(info.expires),
            RouteAttribute::Oif(index) => single.device = names.name(index).map(str::to_owned),
            attribute => single.gateway = decode_gateway(&attribute).or(single.gateway),
        }
    }
    route.destination = prefix(to, header.destination_prefix_length, v6)?;
    route.from = prefix(from, header.source_prefix_length, v6)?;
    let encapsulation = [libc::RTA_ENCAP_TYPE, libc::RTA_ENCAP];
    single.other = encapsulation
        .into_iter()
        .filter_map(|kind| {
            take(&mut route.other, kind).map(|value| NetlinkAttribute { kind, value })
        })
        .collect();
    let hops = match (route.nexthop, multipath) {
        (Some(_), _) => Vec::new(),
        (None, Some(bytes)) => decode_hops(&bytes, header, names)?,
        (None, None) if single.device.is_some() || single.gateway.is_some() => vec![single],
        (None, None) => Vec::new(),
    };
    if v6 && hops.len() > 1 {
        let with = |hop| KernelRoute {
            hops: vec![hop],
            ..route.clone()
        };
        return Ok(hops.into_iter().map(with).collect());
    }
    route.hops = hops;
    Ok(vec![route])
}

fn read_attributes(
    bytes: &[u8],
    kinds: &[u16],
    header: &RouteHeader,
) -> Result<(Vec<RouteAttribute>, Vec<NetlinkAttribute>), DecodeError> {
    let parameters = (header.address_family, header.kind, RouteLwEnCapType::None);
    read(bytes, kinds, |one| {
        RouteAttribute::parse_with_param(one, parameters)
    })
}

fn decode_ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

/// Reads the router: `RTA_GATEWAY`, or `RTA_VIA` when it is of the other family.
fn decode_gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => decode_ip(address),
        RouteAttribute::Via(RouteVia::Inet(ip)) => Some((*ip).into()),
        RouteAttribute::Via(RouteVia::Inet6(ip)) => Some((*ip).into()),
        _ => None,
    }
}

/// Joins an address, absent where it is zero, and the length of its prefix; none where that is zero.
fn prefix(ip: Option<IpAddr>, length: u8, v6: bool) -> Result<Option<IpNetwork>, DecodeError> {
    if length == 0 {
        return Ok(None);
    }
    let unspecified = if v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    IpNetwork::new(ip.unwrap_or(unspecified), length)
        .map(Some)
        .map_err(|error| DecodeError::from(error.to_string()))
}

fn decode_expiry(ticks: u32) -> Option<u32> {
    (1..=i32::MAX as u32)
        .contains(&ticks)
        .then_some(ticks.div_ceil(USER_HZ))
}

fn decode_hops(
    bytes: &[u8],
    header: &RouteHeader,
    names: &DeviceNames,
) -> Result<Vec<Hop>, DecodeError> {
    let mut hops = Vec::new();
    for hop in split_hops(bytes)? {
        let (known, other) = read_attributes(hop.attributes, &READ_OF_HOP, header)?;
        hops.push(Hop {
            device: names.name(hop.index).map(str::to_owned),
            gateway: known.iter().find_map(decode_gateway),
            weight: u16::from(hop.share) + 1,
            onlink: u32::from(hop.flags) & RTNH_F_ONLINK != 0,
            other,
        });
    }
    Ok(hops)
}

/// Writes a route.
pub(crate) fn encode_route(route: &KernelRoute, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let plain = match route.hops.as_slice() {
        [hop] if hop.weight == 1 => Some(hop),
        _ => None,
    };
    let mut message = RouteMessage::default();
    message.header = encode_header(route, plain);
    let attributes = &mut message.attributes;
    let address = |prefix: IpNetwork| RouteAddress::from(prefix.ip());
    attributes.extend(
        route
            .destination
            .map(address)
            .map(RouteAttribute::Destination),
    );
    attributes.extend(route.from.map(address).map(RouteAttribute::Source));
    attributes.push(RouteAttribute::Table(route.table));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.source.map(|ip| RouteAttribute::PrefSource(ip.into())));
    attributes.extend(route.nexthop.map(RouteAttribute::NhId));
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    if let Some(hop) = plain {
        let device = hop.device.as_deref().map(|name| names.index(name));
        attributes.extend(device.transpose()?.map(RouteAttribute::Oif));
        attributes.extend(encode_gateway(hop, route.v6));
    }
    let body = MessageBuilder::new(&bytes_with(&message, &route.other));
    let body = match plain {
        Some(hop) => body.others(&encapsulation(hop)),
        None if route.hops.is_empty() => body,
        None => body.attribute(libc::RTA_MULTIPATH, &encode_hops(route, names)?),
    };
    Ok(body.into_bytes())
}

fn encode_header(route: &KernelRoute, plain: Option<&Hop>) -> RouteHeader {
    let length = |prefix: Option<IpNetwork>| prefix.map_or(0, |prefix| prefix.prefix());
    let mut flags = RouteFlags::empty();
    flags.set(RouteFlags::Onlink, plain.is_some_and(|hop| hop.onlink));
    RouteHeader {
        address_family: family(route.v6).into(),
        destination_prefix_length: length(route.destination),
        source_prefix_length: length(route.from),
        tos: route.tos,
        // a larger number is in `RTA_TABLE` alone
        table: u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        protocol: route.protocol.into(),
        scope: route.scope.into(),
        kind: route.kind.into(),
        flags,
    }
}

fn encode_gateway(hop: &Hop, v6: bool) -> Option<RouteAttribute> {
    hop.gateway.map(|ip| {
        if ip.is_ipv6() == v6 {
            RouteAttribute::Gateway(ip.into())
        } else {
            RouteAttribute::Via(ip.into())
        }
    })
}

/// The encapsulation of a hop, with the flag that the kernel leaves out of what it reports and asks for in what it gets
/// (`rpl_build_state`, net/ipv6/rpl_iptunnel.c).
fn encapsulation(hop: &Hop) -> Vec<NetlinkAttribute> {
    let mut attributes = hop.other.clone();
    for attribute in &mut attributes {
        if attribute.is(libc::RTA_ENCAP) {
            attribute.kind |= NLA_F_NESTED;
        }
    }
    attributes
}

fn encode_hops(route: &KernelRoute, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for hop in &route.hops {
        let gateway = encode_gateway(hop, route.v6).map(|gateway| bytes(&gateway));
        let body = MessageBuilder::new(&gateway.unwrap_or_default()).others(&encapsulation(hop));
        let device = hop.device.as_deref().map(|name| names.index(name));
        let hop = RawHop {
            flags: if hop.onlink { RTNH_F_ONLINK as u8 } else { 0 },
            share: u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX),
            index: device.transpose()?.unwrap_or_default(),
            attributes: &body.into_bytes(),
        };
        all.extend(hop.bytes());
    }
    Ok(all)
}
