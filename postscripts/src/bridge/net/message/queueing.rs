//! Queueing disciplines: `struct tcmsg` and `TCA_*` (linux/rtnetlink.h).

use nix::libc;

use crate::netlink::attribute::{split, take_text};
use std::io;

/// Reads an `RTM_NEWQDISC`: the number of the device, and the kind.
pub(crate) fn decode_queueing(bytes: &[u8]) -> io::Result<Option<(u32, String)>> {
    let (header, mut rest) = split::<20>(bytes)?;
    let [_, _, _, _, i0, i1, i2, i3, ..] = header;
    let kind = take_text(&mut rest, libc::TCA_KIND);
    Ok(kind.map(|kind| (u32::from_ne_bytes([i0, i1, i2, i3]), kind)))
}
