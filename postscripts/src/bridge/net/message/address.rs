//! Addresses: `struct ifaddrmsg` and `IFA_*` (linux/if_addr.h).

use std::io;

use nix::libc;

use super::DeviceNames;
use super::typed::{bytes, bytes_with, read, unreadable};
use crate::bridge::net::{Address, Lifetimes};
use crate::netlink::attribute::{family, take_text};
use crate::netlink::packet_core::{Emitable, Parseable};
use crate::netlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, CacheInfo,
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
/// What a decision hangs on. The label is text, which the kernel takes in any encoding and the crate in one.
const READ: [u16; 5] = [
    libc::IFA_LOCAL,
    libc::IFA_ADDRESS,
    libc::IFA_BROADCAST,
    libc::IFA_FLAGS,
    libc::IFA_CACHEINFO,
];

/// Asks for all addresses.
pub(crate) fn encode_addresses_request() -> Vec<u8> {
    bytes(&AddressMessage::default())
}

/// Reads an `RTM_NEWADDR`: the device it is on, and the address.
pub(crate) fn decode_address(
    bytes: &[u8],
    names: &DeviceNames,
) -> io::Result<Option<(String, Address)>> {
    let header = AddressHeader::parse(bytes).map_err(|error| unreadable("addresses", &error))?;
    let Some(device) = names.name(header.index) else {
        return Ok(None);
    };
    let attributes = &bytes[header.buffer_len()..];
    let (known, mut other) = read(attributes, &READ, |one| AddressAttribute::parse(one))
        .map_err(|error| unreadable(format_args!("an address of {device}"), &error))?;
    let (mut near, mut far, mut broadcast, mut lifetimes) = (None, None, None, None);
    let mut flags = header.flags.bits().into();
    for attribute in known {
        match attribute {
            AddressAttribute::Local(ip) => near = Some(ip),
            AddressAttribute::Address(ip) => far = Some(ip),
            AddressAttribute::Broadcast(ip) => broadcast = Some(ip),
            AddressAttribute::Flags(all) => flags = all.bits(),
            AddressAttribute::CacheInfo(info) => lifetimes = decode_lifetimes(info),
            _ => {}
        }
    }
    let Some(ip) = near.or(far) else {
        return Ok(None);
    };
    let address = Address {
        ip,
        len: header.prefix_len,
        peer: far.filter(|far| *far != ip),
        broadcast,
        label: take_text(&mut other, libc::IFA_LABEL).filter(|label| label != device),
        scope: header.scope.into(),
        flags: flags & !TRANSIENT,
        lifetimes,
        other,
    };
    Ok(Some((device.to_owned(), address)))
}

fn decode_lifetimes(info: CacheInfo) -> Option<Lifetimes> {
    let (preferred, valid) = (info.ifa_preferred, info.ifa_valid);
    (preferred != INFINITY_LIFE_TIME || valid != INFINITY_LIFE_TIME)
        .then_some(Lifetimes { preferred, valid })
}

/// Writes an address of a device.
pub(crate) fn encode_address(index: u32, device: &str, address: &Address) -> Vec<u8> {
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        family: family(address.ip.is_ipv6()).into(),
        prefix_len: address.len,
        scope: address.scope.into(),
        index,
        ..AddressHeader::default()
    };
    let is_ipv4 = address.ip.is_ipv4();
    let local = (is_ipv4 || address.peer.is_some()).then_some(address.ip);
    let label = address.label.as_deref().unwrap_or(device);
    let flags = AddressFlags::from_bits_retain(address.flags & SETTABLE);
    let attributes = &mut message.attributes;
    attributes.extend(local.map(AddressAttribute::Local));
    attributes.push(AddressAttribute::Address(
        address.peer.unwrap_or(address.ip),
    ));
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.push(AddressAttribute::Flags(flags));
    attributes.extend(address.lifetimes.map(encode_lifetimes));
    attributes.extend(is_ipv4.then(|| AddressAttribute::Label(label.to_owned())));
    bytes_with(&message, &address.other)
}

fn encode_lifetimes(lifetimes: Lifetimes) -> AddressAttribute {
    let mut info = CacheInfo::default();
    info.ifa_preferred = lifetimes.preferred;
    info.ifa_valid = lifetimes.valid;
    AddressAttribute::CacheInfo(info)
}
