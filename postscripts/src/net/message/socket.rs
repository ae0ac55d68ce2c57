//! Sockets: `struct inet_diag_req_v2` and `struct inet_diag_msg` (linux/inet_diag.h).

use std::net::IpAddr;

use super::bytes::ip;
use super::{INET, INET6};

const REQUEST: usize = 56;

/// A socket that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) port: u16,
    pub(crate) address: Option<IpAddr>,
    /// The device that it hears alone, or 0.
    pub(crate) device: u32,
}

/// Asks for the sockets of a family and a protocol that are in one of these states.
pub(crate) fn encode_listeners(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let mut body = vec![family, protocol, 0, 0];
    body.extend(states.to_ne_bytes());
    body.resize(REQUEST, 0);
    body
}

/// Reads one answer; what is too short says nothing.
pub(crate) fn decode_listener(bytes: &[u8]) -> Option<Listener> {
    let [family, _, _, _, p0, p1, _, _, rest @ ..] = bytes else {
        return None;
    };
    let length = match *family {
        INET => 4,
        INET6 => 16,
        _ => return None,
    };
    let device = rest.get(32..36)?.try_into().ok()?;
    Some(Listener {
        port: u16::from_be_bytes([*p0, *p1]),
        address: ip(rest.get(..length)?),
        device: u32::from_ne_bytes(device),
    })
}
