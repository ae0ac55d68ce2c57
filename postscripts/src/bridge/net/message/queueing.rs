//! Queueing disciplines: `struct tcmsg` and `TCA_*` (linux/rtnetlink.h).

use nix::libc;

use crate::netlink::attribute::{number, split, take_text};
use std::io;

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

/// Reads an `RTM_NEWQDISC`.
pub(crate) fn decode_queueing(bytes: &[u8]) -> io::Result<Option<Queueing>> {
    let (header, mut rest) = split::<20>(bytes)?;
    let word = |at: usize| number(&header[at..at + 4]).unwrap_or_default();
    let Some(kind) = take_text(&mut rest, libc::TCA_KIND) else {
        return Ok(None);
    };
    let filters = match (kind.as_str(), word(8)) {
        ("ingress", handle) => vec![handle],
        ("clsact", _) => vec![INGRESS, EGRESS],
        (_, 0) => Vec::new(),
        (_, handle) => vec![handle],
    };
    Ok(Some(Queueing {
        device: word(4),
        kind,
        filters,
    }))
}
