//! Network namespaces: `struct rtgenmsg` and `NETNSA_*` (linux/net_namespace.h).

use std::io;

use super::typed::{bytes, read, unreadable};
use crate::netlink::packet_core::{Emitable, Parseable};
use crate::netlink::packet_route::nsid::{NsidAttribute, NsidHeader, NsidMessage};
use crate::netlink::uapi::NETNSA_NSID;

/// Asks for all that have a number here.
pub(crate) fn encode_namespaces_request() -> Vec<u8> {
    bytes(&NsidMessage::default())
}

/// Asks for the number of that of a process.
pub(crate) fn encode_namespace_request(process: u32) -> Vec<u8> {
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Pid(process));
    bytes(&message)
}

/// Reads an `RTM_NEWNSID`: the number of a network namespace, if it has one.
pub(crate) fn decode_namespace(bytes: &[u8]) -> io::Result<Option<i32>> {
    let unreadable = |error| unreadable("network namespaces", &error);
    let header = NsidHeader::parse(bytes).map_err(unreadable)?;
    let attributes = &bytes[header.buffer_len()..];
    let (known, _) =
        read(attributes, &[NETNSA_NSID], |one| NsidAttribute::parse(one)).map_err(unreadable)?;
    Ok(known.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(number) if *number >= 0 => Some(*number),
        _ => None,
    }))
}
