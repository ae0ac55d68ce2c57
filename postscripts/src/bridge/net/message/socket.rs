//! Sockets: `struct inet_diag_req_v2` and `struct inet_diag_msg` (linux/inet_diag.h).

use std::net::{IpAddr, SocketAddr};

use crate::netlink::attribute::{ip, number};
use crate::netlink::uapi::TCP_ESTABLISHED;
use crate::netlink::{AF_INET, AF_INET6};

const REQUEST: usize = 56;

/// A socket that waits for somebody, or speaks to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundSocket {
    pub(crate) port: u16,
    pub(crate) address: Option<IpAddr>,
    /// Whom it is connected to.
    pub(crate) peer: Option<SocketAddr>,
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
    let [family, state, _, _, p0, p1, q0, q1, rest @ ..] = bytes else {
        return None;
    };
    let length = match *family {
        AF_INET => 4,
        AF_INET6 => 16,
        _ => return None,
    };
    let number = |at: usize| number(rest.get(at..at + 4)?);
    let peer = ip(rest.get(16..16 + length)?);
    let port = u16::from_be_bytes([*q0, *q1]);
    let is_connected = u32::from(*state) == TCP_ESTABLISHED;
    Some(BoundSocket {
        port: u16::from_be_bytes([*p0, *p1]),
        address: ip(rest.get(..length)?),
        peer: peer.filter(|_| is_connected).map(|ip| (ip, port).into()),
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
        bytes[1] = TCP_ESTABLISHED as u8;
        bytes[4..6].copy_from_slice(&22u16.to_be_bytes());
        bytes[8..12].copy_from_slice(&[10, 0, 0, 5]);
        bytes[6..8].copy_from_slice(&3260u16.to_be_bytes());
        bytes[24..28].copy_from_slice(&[10, 0, 0, 9]);
        bytes[40..44].copy_from_slice(&3u32.to_ne_bytes());
        bytes[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        let socket = BoundSocket {
            port: 22,
            address: "10.0.0.5".parse().ok(),
            peer: "10.0.0.9:3260".parse().ok(),
            device: 3,
            user: 1000,
        };
        assert_eq!(decode_socket(&bytes), Some(socket.clone()));
        bytes[1] = 10;
        let listener = BoundSocket {
            peer: None,
            ..socket
        };
        assert_eq!(decode_socket(&bytes), Some(listener));
        for end in 0..68 {
            assert_eq!(decode_socket(&bytes[..end]), None, "{end}");
        }
    }
}
