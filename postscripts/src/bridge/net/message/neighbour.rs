//! Neighbours: `struct ndmsg` and `NDA_*` (linux/neighbour.h).

use std::io;
use std::net::IpAddr;

use nix::libc;

use super::DeviceNames;
use super::typed::{bytes, bytes_with, read, unreadable};
use crate::bridge::net::{Mac, Neighbour};
use crate::netlink::attribute::family;
use crate::netlink::packet_core::{Emitable, ParseableParametrized};
use crate::netlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourMessage,
};
use crate::netlink::uapi::{NDA_FLAGS_EXT, NDA_PROTOCOL};

/// What a decision hangs on.
const READ: [u16; 2] = [libc::NDA_DST, libc::NDA_LLADDR];

/// Asks for the neighbours of a family, 0 for all, that have these flags.
pub(crate) fn encode_neighbours_request(family: u8, flags: u8) -> Vec<u8> {
    let mut message = NeighbourMessage::default();
    message.header.family = family.into();
    message.header.flags = NeighbourFlags::from_bits_retain(flags);
    bytes(&message)
}

/// Reads an `RTM_NEWNEIGH`: the device, and the neighbour on it; none for a bridge's own table.
pub(crate) fn decode_neighbour(
    bytes: &[u8],
    names: &DeviceNames,
) -> io::Result<Option<(String, Neighbour)>> {
    let header = NeighbourHeader::parse(bytes).map_err(|error| unreadable("neighbours", &error))?;
    let Some(device) = names.name(header.ifindex) else {
        return Ok(None);
    };
    let (known, mut other) = read(&bytes[header.buffer_len()..], &READ, |one| {
        NeighbourAttribute::parse_with_param(one, header.family)
    })
    .map_err(|error| unreadable(format_args!("a neighbour on {device}"), &error))?;
    let (mut ip, mut mac) = (None, None);
    for attribute in known {
        match attribute {
            NeighbourAttribute::Destination(address) => ip = decode_ip(&address),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.try_into().ok().map(Mac),
            _ => {}
        }
    }
    // the others count what the kernel did
    other.retain(|one| one.is(NDA_PROTOCOL) || one.is(NDA_FLAGS_EXT));
    Ok(ip.map(|ip| {
        let neighbour = Neighbour {
            ip,
            mac,
            state: header.state.into(),
            flags: header.flags.bits(),
            other,
        };
        (device.to_owned(), neighbour)
    }))
}

/// Reads an address of IP; a bridge's own table has others.
fn decode_ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(ip) => Some((*ip).into()),
        NeighbourAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

/// Writes a neighbour of a device.
pub(crate) fn encode_neighbour(index: u32, neighbour: &Neighbour) -> Vec<u8> {
    let mut message = message(index, neighbour.ip, neighbour.state, neighbour.flags);
    let mac = neighbour.mac.map(|mac| mac.0.to_vec());
    let attributes = &mut message.attributes;
    attributes.extend(mac.map(NeighbourAttribute::LinkLayerAddress));
    bytes_with(&message, &neighbour.other)
}

/// Asks the kernel to find a neighbour out as if a packet waited for it.
pub(crate) fn encode_neighbour_use(index: u32, ip: IpAddr) -> Vec<u8> {
    bytes(&message(index, ip, libc::NUD_NONE, libc::NTF_USE))
}

fn message(index: u32, ip: IpAddr, state: u16, flags: u8) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header = NeighbourHeader {
        family: family(ip.is_ipv6()).into(),
        ifindex: index,
        state: state.into(),
        flags: NeighbourFlags::from_bits_retain(flags),
        ..NeighbourHeader::default()
    };
    message
        .attributes
        .push(NeighbourAttribute::Destination(ip.into()));
    message
}
