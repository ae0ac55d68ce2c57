//! Routes: `struct rtmsg`, `struct rtnexthop` and `RTA_*` (linux/rtnetlink.h).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use nix::libc;

use super::DeviceNames;
use crate::bridge::net::{Hop, KernelRoute, NetlinkAttribute};
use crate::netlink::AF_INET6;
use crate::netlink::attribute::{
    MessageBuilder, attributes, family, ip, ip_bytes, number, short, split, take, take_ip,
    take_number,
};
use crate::netlink::uapi::{RTA_NH_ID, RTNH_F_ONLINK};

/// Ticks a second of the times that the kernel reports (include/asm-generic/param.h), the same on every
/// architecture that Docker hosts have.
const USER_HZ: u32 = 100;

/// Reads an `RTM_NEWROUTE`. A multipath route of IPv6 is several routes to the kernel, each changed
/// by itself, and so it is here; of IPv4 it is one.
pub(crate) fn decode_routes(bytes: &[u8], names: &DeviceNames) -> io::Result<Vec<KernelRoute>> {
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
    // an entry of a cache, no route
    if flags & libc::RTM_F_CLONED != 0 {
        return Ok(Vec::new());
    }
    let v6 = family == AF_INET6;
    let multipath = take(&mut rest, libc::RTA_MULTIPATH);
    let nexthop = take_number(&mut rest, RTA_NH_ID);
    let single = single_hop(&mut rest, flags & RTNH_F_ONLINK != 0, names);
    let hops = match (nexthop, multipath) {
        (Some(_), _) => Vec::new(),
        (None, Some(bytes)) => decode_hops(&bytes, names)?,
        (None, None) => single.into_iter().collect(),
    };
    let route = KernelRoute {
        v6,
        destination: prefix(take_ip(&mut rest, libc::RTA_DST), len, v6)?,
        from: prefix(take_ip(&mut rest, libc::RTA_SRC), from, v6)?,
        table: take_number(&mut rest, libc::RTA_TABLE).unwrap_or(table.into()),
        protocol,
        scope,
        kind,
        tos,
        metric: take_number(&mut rest, libc::RTA_PRIORITY),
        source: take_ip(&mut rest, libc::RTA_PREFSRC),
        hops: Vec::new(),
        nexthop,
        expires: take(&mut rest, libc::RTA_CACHEINFO).and_then(|info| expires(&info)),
        other: rest,
    };
    let with = |hops: &[Hop]| KernelRoute {
        hops: hops.to_vec(),
        ..route.clone()
    };
    if v6 && hops.len() > 1 {
        return Ok(hops.chunks(1).map(with).collect());
    }
    Ok(vec![with(&hops)])
}

/// Joins an address, absent where it is zero, and the length of its prefix; none where that is zero.
fn prefix(ip: Option<IpAddr>, length: u8, v6: bool) -> io::Result<Option<IpNetwork>> {
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
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn expires(info: &[u8]) -> Option<u32> {
    let ticks = number(info.get(8..12)?)?;
    (1..=i32::MAX as u32)
        .contains(&ticks)
        .then_some(ticks.div_ceil(USER_HZ))
}

/// Takes the attributes of the only hop of a route.
fn single_hop(rest: &mut Vec<NetlinkAttribute>, onlink: bool, names: &DeviceNames) -> Option<Hop> {
    let device = take_number(rest, libc::RTA_OIF).and_then(|index| names.name(index));
    let gateway = take_gateway(rest);
    let other: Vec<_> = [libc::RTA_ENCAP_TYPE, libc::RTA_ENCAP]
        .into_iter()
        .filter_map(|kind| take(rest, kind).map(|value| NetlinkAttribute { kind, value }))
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
fn take_gateway(rest: &mut Vec<NetlinkAttribute>) -> Option<IpAddr> {
    take_ip(rest, libc::RTA_GATEWAY).or_else(|| ip(take(rest, libc::RTA_VIA)?.get(2..)?))
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
            onlink: u32::from(flags) & RTNH_F_ONLINK != 0,
            other: rest,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

/// Writes a route.
pub(crate) fn encode_route(route: &KernelRoute, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let short_table = u8::try_from(route.table).unwrap_or(0);
    let len = |prefix: Option<IpNetwork>| prefix.map_or(0, |prefix| prefix.prefix());
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
    header.extend((if onlink { RTNH_F_ONLINK } else { 0 }).to_ne_bytes());
    let body = MessageBuilder::new(&header)
        .maybe(route.destination, |body, prefix| {
            body.address(libc::RTA_DST, prefix.ip())
        })
        .maybe(route.from, |body, prefix| {
            body.address(libc::RTA_SRC, prefix.ip())
        })
        .number(libc::RTA_TABLE, route.table)
        .maybe(route.metric, |body, metric| {
            body.number(libc::RTA_PRIORITY, metric)
        })
        .maybe(route.source, |body, ip| body.address(libc::RTA_PREFSRC, ip))
        .maybe(route.nexthop, |body, id| body.number(RTA_NH_ID, id))
        .maybe(route.expires, |body, seconds| {
            body.number(libc::RTA_EXPIRES, seconds)
        })
        .others(&route.other);
    let body = match plain {
        Some(hop) => {
            let device = hop.device.as_deref().map(|name| names.index(name));
            let body = body.maybe(device.transpose()?, |body, index| {
                body.number(libc::RTA_OIF, index)
            });
            hop_attributes(body, hop, route.v6)
        }
        None if route.hops.is_empty() => body,
        None => body.attribute(libc::RTA_MULTIPATH, &encode_hops(route, names)?),
    };
    Ok(body.into_bytes())
}

fn hop_attributes(body: MessageBuilder, hop: &Hop, v6: bool) -> MessageBuilder {
    body.maybe(hop.gateway, |body, ip| {
        if ip.is_ipv6() == v6 {
            return body.address(libc::RTA_GATEWAY, ip);
        }
        let family = u16::from(family(ip.is_ipv6()));
        body.attribute(
            libc::RTA_VIA,
            &[&family.to_ne_bytes()[..], &ip_bytes(ip)].concat(),
        )
    })
    .others(&hop.other)
}

fn encode_hops(route: &KernelRoute, names: &DeviceNames) -> io::Result<Vec<u8>> {
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
        bytes.extend([if hop.onlink { RTNH_F_ONLINK as u8 } else { 0 }, share]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend(rest);
    }
    Ok(bytes)
}
