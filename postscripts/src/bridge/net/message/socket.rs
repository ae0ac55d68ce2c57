//! Sockets: `struct inet_diag_req_v2` and `struct inet_diag_msg` (linux/inet_diag.h).

use crate::netlink::attribute::{ip, number};
use crate::netlink::{AF_INET, AF_INET6};
use std::net::IpAddr;

const REQUEST: usize = 56;

/// A socket that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundSocket {
    pub(crate) port: u16,
    pub(crate) address: Option<IpAddr>,
    /// The device that it is bound to, or 0.
    pub(crate) device: u32,
    /// Who opened it.
    pub(crate) user: u32,
}

/// Asks for the sockets of a family and a protocol that are in one of these states.
pub(crate) fn encode_socket_request(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let mut body = vec![family, protocol, 0, 0];
    body.extend(states.to_ne_bytes());
    body.resize(REQUEST, 0);
    body
}

/// Reads one answer; what is too short is ignored.
pub(crate) fn decode_socket(bytes: &[u8]) -> Option<BoundSocket> {
    let [family, _, _, _, p0, p1, _, _, rest @ ..] = bytes else {
        return None;
    };
    let length = match *family {
        AF_INET => 4,
        AF_INET6 => 16,
        _ => return None,
    };
    let number = |at: usize| number(rest.get(at..at + 4)?);
    Some(BoundSocket {
        port: u16::from_be_bytes([*p0, *p1]),
        address: ip(rest.get(..length)?),
        device: number(32)?,
        user: number(56)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_read_and_nothing_shorter() {
        let mut bytes = vec![0; 72];
        bytes[0] = AF_INET;
        bytes[4..6].copy_from_slice(&22u16.to_be_bytes());
        bytes[8..12].copy_from_slice(&[10, 0, 0, 5]);
        bytes[40..44].copy_from_slice(&3u32.to_ne_bytes());
        bytes[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        let socket = BoundSocket {
            port: 22,
            address: "10.0.0.5".parse().ok(),
            device: 3,
            user: 1000,
        };
        assert_eq!(decode_socket(&bytes), Some(socket));
        for end in 0..68 {
            assert_eq!(decode_socket(&bytes[..end]), None, "{end}");
        }
    }
}
