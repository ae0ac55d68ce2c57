//! Queueing disciplines: `struct tcmsg` and `TCA_*` (linux/rtnetlink.h).

use std::io;

use nix::libc;

use super::typed::{bytes, unreadable};
use crate::netlink::attribute::{attributes, take_text};
use crate::netlink::packet_core::Emitable;
use crate::netlink::packet_route::tc::TcHeader;

/// Asks for those of all devices.
pub(crate) fn encode_queueing_request() -> Vec<u8> {
    bytes(&TcHeader::default())
}

/// Reads an `RTM_NEWQDISC`: the number of the device, and the kind.
pub(crate) fn decode_queueing(bytes: &[u8]) -> io::Result<Option<(u32, String)>> {
    let header = TcHeader::parse(bytes).map_err(|error| unreadable("queueing", &error))?;
    let kind = take_text(
        &mut attributes(&bytes[header.buffer_len()..])?,
        libc::TCA_KIND,
    );
    Ok(kind.map(|kind| (header.index.cast_unsigned(), kind)))
}
