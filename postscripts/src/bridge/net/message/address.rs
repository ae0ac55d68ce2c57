//! Addresses: `struct ifaddrmsg` and `IFA_*` (linux/if_addr.h).

use std::io;
use std::net::IpAddr;

use nix::libc;

use super::DeviceNames;
use crate::bridge::net::{Address, Lifetimes};
use crate::netlink::attribute::{
    MessageBuilder, family, number, split, take, take_ip, take_number, take_text,
};

/// Flags that the kernel lets us set. The others are its own findings.
const SETTABLE: u32 = libc::IFA_F_NODAD
    | libc::IFA_F_HOMEADDRESS
    | libc::IFA_F_MANAGETEMPADDR
    | libc::IFA_F_NOPREFIXROUTE
    | libc::IFA_F_MCAUTOJOIN;
/// Flags about a moment, which belong in no comparison; a lifetime says the same.
const TRANSIENT: u32 =
    libc::IFA_F_OPTIMISTIC | libc::IFA_F_DEPRECATED | libc::IFA_F_TENTATIVE | libc::IFA_F_PERMANENT;
/// The lifetime of an address that does not end (include/net/addrconf.h).
const INFINITY_LIFE_TIME: u32 = u32::MAX;

/// Reads an `RTM_NEWADDR`: the device it is on, and the address.
pub(crate) fn decode_address(
    bytes: &[u8],
    names: &DeviceNames,
) -> io::Result<Option<(String, Address)>> {
    let (header, mut rest) = split::<8>(bytes)?;
    let [_, len, old_flags, scope, i0, i1, i2, i3] = header;
    let Some(device) = names.name(u32::from_ne_bytes([i0, i1, i2, i3])) else {
        return Ok(None);
    };
    let (near, far) = (
        take_ip(&mut rest, libc::IFA_LOCAL),
        take_ip(&mut rest, libc::IFA_ADDRESS),
    );
    let Some(ip) = near.or(far) else {
        return Ok(None);
    };
    let label = take_text(&mut rest, libc::IFA_LABEL).filter(|label| label != device);
    let flags = take_number(&mut rest, libc::IFA_FLAGS).unwrap_or(old_flags.into());
    let broadcast = match take_ip(&mut rest, libc::IFA_BROADCAST) {
        Some(IpAddr::V4(ip)) => Some(ip),
        _ => None,
    };
    let address = Address {
        ip,
        len,
        peer: far.filter(|far| *far != ip),
        broadcast,
        label,
        scope,
        flags: flags & !TRANSIENT,
        lifetimes: take(&mut rest, libc::IFA_CACHEINFO).and_then(|info| lifetimes(&info)),
        other: rest,
    };
    Ok(Some((device.to_owned(), address)))
}

fn lifetimes(info: &[u8]) -> Option<Lifetimes> {
    let preferred = number(info.get(0..4)?)?;
    let valid = number(info.get(4..8)?)?;
    (preferred != INFINITY_LIFE_TIME || valid != INFINITY_LIFE_TIME)
        .then_some(Lifetimes { preferred, valid })
}

/// Writes an address of a device.
pub(crate) fn encode_address(index: u32, device: &str, address: &Address) -> Vec<u8> {
    let flags = address.flags & SETTABLE;
    let mut header = [family(address.ip.is_ipv6()), address.len, 0, address.scope].to_vec();
    header.extend(index.to_ne_bytes());
    let mut body = MessageBuilder::new(&header);
    if address.ip.is_ipv4() || address.peer.is_some() {
        body = body.address(libc::IFA_LOCAL, address.ip);
    }
    body = body
        .address(libc::IFA_ADDRESS, address.peer.unwrap_or(address.ip))
        .maybe(address.broadcast, |body, ip| {
            body.address(libc::IFA_BROADCAST, ip.into())
        })
        .number(libc::IFA_FLAGS, flags)
        .maybe(address.lifetimes, |body, lives| {
            let fields = [lives.preferred, lives.valid, 0, 0];
            body.attribute(libc::IFA_CACHEINFO, &fields.map(u32::to_ne_bytes).concat())
        });
    if address.ip.is_ipv4() {
        body = body.text(libc::IFA_LABEL, address.label.as_deref().unwrap_or(device));
    }
    body.others(&address.other).into_bytes()
}
