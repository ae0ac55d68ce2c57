//! Neighbours: `struct ndmsg` and `NDA_*` (linux/neighbour.h).

use std::io;
use std::net::IpAddr;

use nix::libc;

use super::DeviceNames;
use crate::bridge::net::{Mac, Neighbour};
use crate::netlink::attribute::{MessageBuilder, family, split, take, take_ip};
use crate::netlink::uapi::{NDA_FLAGS_EXT, NDA_PROTOCOL};
use crate::netlink::{AF_INET, AF_INET6};

/// Reads an `RTM_NEWNEIGH`: the device, and the neighbour on it; none for a bridge's own table.
pub(crate) fn decode_neighbour(
    bytes: &[u8],
    names: &DeviceNames,
) -> io::Result<Option<(String, Neighbour)>> {
    let (header, mut rest) = split::<12>(bytes)?;
    let [family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = header;
    let device = names.name(u32::from_ne_bytes([i0, i1, i2, i3]));
    let (Some(device), Some(ip)) = (device, take_ip(&mut rest, libc::NDA_DST)) else {
        return Ok(None);
    };
    let mac = take(&mut rest, libc::NDA_LLADDR).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    // the others count what the kernel did
    rest.retain(|one| one.is(NDA_PROTOCOL) || one.is(NDA_FLAGS_EXT));
    let neighbour = Neighbour {
        ip,
        mac: mac.map(Mac),
        state: u16::from_ne_bytes([s0, s1]),
        flags,
        other: rest,
    };
    Ok(matches!(family, AF_INET | AF_INET6).then(|| (device.to_owned(), neighbour)))
}

/// Writes a neighbour of a device.
pub(crate) fn encode_neighbour(index: u32, neighbour: &Neighbour) -> Vec<u8> {
    header(index, neighbour.ip, neighbour.state, neighbour.flags)
        .address(libc::NDA_DST, neighbour.ip)
        .maybe(neighbour.mac, |body, mac| {
            body.attribute(libc::NDA_LLADDR, &mac.0)
        })
        .others(&neighbour.other)
        .into_bytes()
}

/// Asks the kernel to find a neighbour out as if a packet waited for it.
pub(crate) fn encode_neighbour_use(index: u32, ip: IpAddr) -> Vec<u8> {
    header(index, ip, 0, libc::NTF_USE)
        .address(libc::NDA_DST, ip)
        .into_bytes()
}

fn header(index: u32, ip: IpAddr, state: u16, flags: u8) -> MessageBuilder {
    let mut header = vec![family(ip.is_ipv6()), 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(state.to_ne_bytes());
    header.extend([flags, 0]);
    MessageBuilder::new(&header)
}
