//! Queueing disciplines: `struct tcmsg` and `TCA_*` (linux/rtnetlink.h).

use std::io;

use nix::libc;

use super::typed::{bytes, unreadable};
use crate::netlink::attribute::{attributes, take_text};
use crate::netlink::packet_core::Emitable;
use crate::netlink::packet_route::tc::TcHeader;

/// A queueing discipline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queueing {
    /// The number of its device.
    pub(crate) device: u32,
    pub(crate) kind: String,
    /// Where its filters are: nowhere where it has no number of its own.
    pub(crate) filters: Vec<u32>,
}

/// Where filters of the two directions are (`TC_H_CLSACT`, linux/pkt_sched.h).
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// Asks for those of all devices.
pub(crate) fn encode_queueing_request() -> Vec<u8> {
    bytes(&TcHeader::default())
}

/// Reads an `RTM_NEWQDISC`.
pub(crate) fn decode_queueing(bytes: &[u8]) -> io::Result<Option<Queueing>> {
    let header = TcHeader::parse(bytes).map_err(|error| unreadable("queueing", &error))?;
    let mut rest = attributes(&bytes[header.buffer_len()..])?;
    let Some(kind) = take_text(&mut rest, libc::TCA_KIND) else {
        return Ok(None);
    };
    let filters = match (kind.as_str(), u32::from(header.handle)) {
        ("ingress", handle) => vec![handle],
        ("clsact", _) => vec![INGRESS, EGRESS],
        (_, 0) => Vec::new(),
        (_, handle) => vec![handle],
    };
    Ok(Some(Queueing {
        device: header.index.cast_unsigned(),
        kind,
        filters,
    }))
}
