//! Netlink's building blocks: fixed headers followed by attributes (length, kind, value, padding).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;
use serde::{Deserialize, Serialize};

use super::packet_core::{NLA_F_NET_BYTEORDER, NlaBuffer};
use super::{AF_INET, AF_INET6};

/// Marks an attribute that holds attributes.
pub(crate) const NLA_F_NESTED: u16 = libc::NLA_F_NESTED as u16;
/// The bits of an attribute's number that are no flags.
const NLA_TYPE_MASK: u16 = libc::NLA_TYPE_MASK as u16;

/// A netlink attribute that nothing here looks into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetlinkAttribute {
    /// Its number.
    pub kind: u16,
    /// Its bytes.
    pub value: Vec<u8>,
}

impl NetlinkAttribute {
    /// Reports whether it has this number, whatever its flags.
    pub(crate) fn is(&self, kind: u16) -> bool {
        self.kind & NLA_TYPE_MASK == kind
    }
}

impl From<&NlaBuffer<&[u8]>> for NetlinkAttribute {
    fn from(attribute: &NlaBuffer<&[u8]>) -> Self {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        Self {
            kind: attribute.kind()
                | flag(attribute.nested_flag(), NLA_F_NESTED)
                | flag(attribute.network_byte_order_flag(), NLA_F_NET_BYTEORDER),
            value: attribute.value().to_vec(),
        }
    }
}

/// A message under construction.
#[derive(Debug, Default)]
pub(crate) struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    pub(crate) fn new(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    pub(crate) fn address(self, kind: u16, ip: IpAddr) -> Self {
        self.attribute(kind, &ip_bytes(ip))
    }

    pub(crate) fn maybe<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    pub(crate) fn others(self, attributes: &[NetlinkAttribute]) -> Self {
        attributes.iter().fold(self, |body, attribute| {
            body.attribute(attribute.kind, &attribute.value)
        })
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Splits a message into its header of `N` bytes and its attributes.
pub(crate) fn split<const N: usize>(bytes: &[u8]) -> io::Result<([u8; N], Vec<NetlinkAttribute>)> {
    let header = bytes.first_chunk::<N>().ok_or_else(short)?;
    Ok((*header, attributes(&bytes[N..])?))
}

/// Reads a run of attributes.
pub(crate) fn attributes(mut bytes: &[u8]) -> io::Result<Vec<NetlinkAttribute>> {
    let mut found = Vec::new();
    while let Some(&[l0, l1, k0, k1]) = bytes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length).ok_or_else(short)?;
        found.push(NetlinkAttribute {
            kind: u16::from_ne_bytes([k0, k1]),
            value: value.to_vec(),
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

/// Takes the attribute of that number out of the list.
pub(crate) fn take(attributes: &mut Vec<NetlinkAttribute>, kind: u16) -> Option<Vec<u8>> {
    let at = attributes.iter().position(|attribute| attribute.is(kind))?;
    Some(attributes.remove(at).value)
}

pub(crate) fn take_number(attributes: &mut Vec<NetlinkAttribute>, kind: u16) -> Option<u32> {
    take(attributes, kind).as_deref().and_then(number)
}

pub(crate) fn take_ip(attributes: &mut Vec<NetlinkAttribute>, kind: u16) -> Option<IpAddr> {
    take(attributes, kind).as_deref().and_then(ip)
}

pub(crate) fn take_text(attributes: &mut Vec<NetlinkAttribute>, kind: u16) -> Option<String> {
    let bytes = take(attributes, kind)?;
    let end = bytes.iter().position(|&byte| byte == 0);
    let text = &bytes[..end.unwrap_or(bytes.len())];
    Some(String::from_utf8_lossy(text).into_owned())
}

pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// Reads an address from as many bytes as its family has.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

pub(crate) fn ip_bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

pub(crate) fn family(v6: bool) -> u8 {
    if v6 { AF_INET6 } else { AF_INET }
}

pub(crate) fn short() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the kernel's answer is shorter than its length states",
    )
}
