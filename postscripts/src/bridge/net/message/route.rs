//! Routes: `struct rtmsg`, `struct rtnexthop` and `RTA_*` (linux/rtnetlink.h).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::DeviceNames;
use crate::bridge::net::{Attribute, Hop, Route};
use crate::netlink::AF_INET6;
use crate::netlink::attribute::{
    MessageBuilder, attributes, family, ip, ip_bytes, number, short, split, take, take_ip,
    take_number,
};

const DESTINATION: u16 = 1;
const FROM: u16 = 2;
const DEVICE: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const SOURCE: u16 = 7;
const MULTIPATH: u16 = 9;
const CACHE_INFO: u16 = 12;
const TABLE: u16 = 15;
const VIA: u16 = 18;
const ENCAP_TYPE: u16 = 21;
const ENCAP: u16 = 22;
const EXPIRES: u16 = 23;
const NEXTHOP: u16 = 30;
/// `RTNH_F_ONLINK`.
const ONLINK: u32 = 4;
/// `RTM_F_CLONED`: an entry of a cache, no route.
const CLONED: u32 = 0x200;
/// Ticks per second of the times that the kernel tells (`USER_HZ`).
const TICKS: u32 = 100;

/// Reads an `RTM_NEWROUTE`. A multipath route of IPv6 is several routes to the kernel, each changed
/// by itself, and so it is here; of IPv4 it is one.
pub(crate) fn decode_routes(bytes: &[u8], names: &DeviceNames) -> io::Result<Vec<Route>> {
    let (header, mut rest) = split::<12>(bytes)?;
    let [
        family,
        len,
        from,
        tos,
        table,
        protocol,
        scope,
        kind,
        f0,
        f1,
        f2,
        f3,
    ] = header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    if flags & CLONED != 0 {
        return Ok(Vec::new());
    }
    let v6 = family == AF_INET6;
    let multipath = take(&mut rest, MULTIPATH);
    let nexthop = take_number(&mut rest, NEXTHOP);
    let single = single_hop(&mut rest, flags & ONLINK != 0, names);
    let hops = match (nexthop, multipath) {
        (Some(_), _) => Vec::new(),
        (None, Some(bytes)) => decode_hops(&bytes, names)?,
        (None, None) => single.into_iter().collect(),
    };
    let route = Route {
        v6,
        destination: prefix(take_ip(&mut rest, DESTINATION), len, v6),
        from: prefix(take_ip(&mut rest, FROM), from, v6),
        table: take_number(&mut rest, TABLE).unwrap_or(table.into()),
        protocol,
        scope,
        kind,
        tos,
        metric: take_number(&mut rest, PRIORITY),
        source: take_ip(&mut rest, SOURCE),
        hops: Vec::new(),
        nexthop,
        expires: take(&mut rest, CACHE_INFO).and_then(|info| expires(&info)),
        other: rest,
    };
    let with = |hops: &[Hop]| Route {
        hops: hops.to_vec(),
        ..route.clone()
    };
    match v6 && hops.len() > 1 {
        true => Ok(hops.chunks(1).map(with).collect()),
        false => Ok(vec![with(&hops)]),
    }
}

fn prefix(ip: Option<IpAddr>, len: u8, v6: bool) -> Option<(IpAddr, u8)> {
    let any = if v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    (len > 0).then_some((ip.unwrap_or(any), len))
}

fn expires(info: &[u8]) -> Option<u32> {
    let ticks = number(info.get(8..12)?)?;
    (1..=i32::MAX as u32)
        .contains(&ticks)
        .then_some(ticks.div_ceil(TICKS))
}

/// Takes what says where a route with one way leads.
fn single_hop(rest: &mut Vec<Attribute>, onlink: bool, names: &DeviceNames) -> Option<Hop> {
    let device = take_number(rest, DEVICE).and_then(|index| names.name(index));
    let gateway = take_gateway(rest);
    let other: Vec<_> = [ENCAP_TYPE, ENCAP]
        .into_iter()
        .filter_map(|kind| take(rest, kind).map(|value| Attribute { kind, value }))
        .collect();
    (device.is_some() || gateway.is_some()).then(|| Hop {
        device: device.map(str::to_owned),
        gateway,
        weight: 1,
        onlink,
        other,
    })
}

/// Takes the router: `RTA_GATEWAY`, or `RTA_VIA` when it is of the other family.
fn take_gateway(rest: &mut Vec<Attribute>) -> Option<IpAddr> {
    take_ip(rest, GATEWAY).or_else(|| ip(take(rest, VIA)?.get(2..)?))
}

/// Reads a run of `struct rtnexthop`, each with its own attributes.
fn decode_hops(mut bytes: &[u8], names: &DeviceNames) -> io::Result<Vec<Hop>> {
    let mut hops = Vec::new();
    while let Some(&[l0, l1, flags, share, i0, i1, i2, i3]) = bytes.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let mut rest = attributes(bytes.get(8..length).ok_or_else(short)?)?;
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        hops.push(Hop {
            device: names.name(index).map(str::to_owned),
            gateway: take_gateway(&mut rest),
            weight: u16::from(share) + 1,
            onlink: u32::from(flags) & ONLINK != 0,
            other: rest,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

/// Writes a route.
pub(crate) fn encode_route(route: &Route, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let short_table = u8::try_from(route.table).unwrap_or(0);
    let len = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(_, len)| len);
    let plain = match route.hops.as_slice() {
        [hop] if hop.weight == 1 => Some(hop),
        _ => None,
    };
    let mut header = vec![family(route.v6), len(route.destination), len(route.from)];
    header.extend([
        route.tos,
        short_table,
        route.protocol,
        route.scope,
        route.kind,
    ]);
    let onlink = plain.is_some_and(|hop| hop.onlink);
    header.extend((if onlink { ONLINK } else { 0 }).to_ne_bytes());
    let body = MessageBuilder::new(&header)
        .maybe(route.destination, |body, (ip, _)| {
            body.address(DESTINATION, ip)
        })
        .maybe(route.from, |body, (ip, _)| body.address(FROM, ip))
        .number(TABLE, route.table)
        .maybe(route.metric, |body, metric| body.number(PRIORITY, metric))
        .maybe(route.source, |body, ip| body.address(SOURCE, ip))
        .maybe(route.nexthop, |body, id| body.number(NEXTHOP, id))
        .maybe(route.expires, |body, seconds| body.number(EXPIRES, seconds))
        .others(&route.other);
    let body = match plain {
        Some(hop) => {
            let device = hop.device.as_deref().map(|name| names.index(name));
            let body = body.maybe(device.transpose()?, |body, index| {
                body.number(DEVICE, index)
            });
            hop_attributes(body, hop, route.v6)
        }
        None if route.hops.is_empty() => body,
        None => body.attribute(MULTIPATH, &encode_hops(route, names)?),
    };
    Ok(body.into_bytes())
}

fn hop_attributes(body: MessageBuilder, hop: &Hop, v6: bool) -> MessageBuilder {
    body.maybe(hop.gateway, |body, ip| {
        if ip.is_ipv6() == v6 {
            return body.address(GATEWAY, ip);
        }
        let family = u16::from(family(ip.is_ipv6()));
        body.attribute(VIA, &[&family.to_ne_bytes()[..], &ip_bytes(ip)].concat())
    })
    .others(&hop.other)
}

fn encode_hops(route: &Route, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for hop in &route.hops {
        let index = match &hop.device {
            Some(name) => names.index(name)?,
            None => 0,
        };
        let share = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        let rest = hop_attributes(MessageBuilder::default(), hop, route.v6).into_bytes();
        let length = u16::try_from(rest.len() + 8).unwrap_or(u16::MAX);
        bytes.extend(length.to_ne_bytes());
        bytes.extend([if hop.onlink { ONLINK as u8 } else { 0 }, share]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend(rest);
    }
    Ok(bytes)
}
