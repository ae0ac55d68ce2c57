//! The messages of DHCP that a node needs to get one address: rendered, and parsed without belief in any length. Pure.
//!
//! No crate: what there is (dhcproto) brings thirty others, Unicode tables among them, into the first program of a node,
//! for four messages of fixed form and five options.
//!
//! Reference: RFC 2131 §2 (form), §4.1 (broadcast flag); RFC 2132 §3.3, §3.5, §9.1, §9.6, §9.7, §9.8.

use std::net::Ipv4Addr;

/// A hardware address.
pub(super) type HardwareAddress = [u8; 6];

const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Where options begin, after the cookie.
const OPTIONS: usize = 240;
/// No server may send less, RFC 951.
const MIN_LENGTH: usize = 300;

const MASK: u8 = 1;
const ROUTER: u8 = 3;
const REQUESTED_ADDRESS: u8 = 50;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const WANTED: u8 = 55;
const END: u8 = 255;

/// What a node asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DhcpQuestion {
    /// Who has an address?
    Discover,
    /// May I have the one that this server offered?
    Request { address: Ipv4Addr, server: Ipv4Addr },
}

/// Renders a question, whose answer is to come as a broadcast: the node has no address yet.
pub(super) fn render(question: DhcpQuestion, transaction: u32, mac: HardwareAddress) -> Vec<u8> {
    let mut bytes = vec![0; OPTIONS];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]); // a request; Ethernet, whose addresses have 6 bytes
    bytes[4..8].copy_from_slice(&transaction.to_be_bytes());
    bytes[10] = 0x80; // the broadcast flag
    bytes[28..34].copy_from_slice(&mac);
    bytes[236..].copy_from_slice(&COOKIE);
    let mut option = |code: u8, value: &[u8]| {
        bytes.extend([code, u8::try_from(value.len()).unwrap_or_default()]);
        bytes.extend(value);
    };
    match question {
        DhcpQuestion::Discover => option(KIND, &[1]),
        DhcpQuestion::Request { address, server } => {
            option(KIND, &[3]);
            option(REQUESTED_ADDRESS, &address.octets());
            option(SERVER, &server.octets());
        }
    }
    option(WANTED, &[MASK, ROUTER]);
    bytes.push(END);
    bytes.resize(bytes.len().max(MIN_LENGTH), 0);
    bytes
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DhcpReplyKind {
    Offer,
    Granted,
    Refused,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DhcpReply {
    pub(super) kind: DhcpReplyKind,
    /// The address for the node.
    pub(super) address: Ipv4Addr,
    /// Who answers.
    pub(super) server: Ipv4Addr,
    /// Where the node is to boot from.
    pub(super) next_server: Ipv4Addr,
    pub(super) mask: Option<Ipv4Addr>,
    pub(super) router: Option<Ipv4Addr>,
}

/// Parses the answer to this node's question; whatever is none is nothing.
pub(super) fn parse(bytes: &[u8], transaction: u32, mac: HardwareAddress) -> Option<DhcpReply> {
    let at = |range: std::ops::Range<usize>| bytes.get(range);
    let address = |start: usize| ipv4(at(start..start + 4)?);
    let is_for_us = at(0..3)? == [2, 1, 6]
        && at(4..8)? == transaction.to_be_bytes()
        && at(28..34)? == mac
        && at(236..OPTIONS)? == COOKIE;
    if !is_for_us {
        return None;
    }
    let mut reply = DhcpReply {
        kind: DhcpReplyKind::Refused,
        address: address(16)?,
        server: Ipv4Addr::UNSPECIFIED,
        next_server: address(20)?,
        mask: None,
        router: None,
    };
    let mut kind = None;
    let mut rest = bytes.get(OPTIONS..)?;
    while let Some((&code, after)) = rest.split_first() {
        if code == 0 {
            rest = after;
            continue;
        }
        if code == END {
            break;
        }
        let (&length, after) = after.split_first()?;
        let (value, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        match code {
            KIND => {
                kind = match value {
                    [2] => Some(DhcpReplyKind::Offer),
                    [5] => Some(DhcpReplyKind::Granted),
                    [6] => Some(DhcpReplyKind::Refused),
                    _ => return None,
                }
            }
            MASK => reply.mask = ipv4(value),
            ROUTER => reply.router = value.get(..4).and_then(ipv4),
            SERVER => reply.server = ipv4(value)?,
            _ => {}
        }
    }
    reply.kind = kind?;
    (!reply.server.is_unspecified()).then_some(reply)
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) const MAC: HardwareAddress = [0x52, 0x54, 0, 0, 0, 1];

    /// An answer as a server writes it.
    pub(in super::super) fn answer(reply: &DhcpReply, transaction: u32) -> Vec<u8> {
        let mut bytes = render(DhcpQuestion::Discover, transaction, MAC);
        bytes.truncate(OPTIONS);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&reply.address.octets());
        bytes[20..24].copy_from_slice(&reply.next_server.octets());
        let kind = match reply.kind {
            DhcpReplyKind::Offer => 2,
            DhcpReplyKind::Granted => 5,
            DhcpReplyKind::Refused => 6,
        };
        bytes.extend([0, KIND, 1, kind, SERVER, 4]);
        bytes.extend(reply.server.octets());
        for (code, address) in [(MASK, reply.mask), (ROUTER, reply.router)] {
            if let Some(address) = address {
                bytes.extend([code, 4]);
                bytes.extend(address.octets());
            }
        }
        bytes.push(END);
        bytes
    }

    pub(in super::super) fn offer() -> DhcpReply {
        DhcpReply {
            kind: DhcpReplyKind::Offer,
            address: [10, 1, 0, 77].into(),
            server: [10, 1, 0, 1].into(),
            next_server: [10, 1, 0, 1].into(),
            mask: Some([255, 255, 255, 0].into()),
            router: Some([10, 1, 0, 254].into()),
        }
    }

    #[test]
    fn an_answer_is_read_and_what_is_for_somebody_else_is_none() {
        let whole = answer(&offer(), 7);
        assert_eq!(parse(&whole, 7, MAC), Some(offer()));
        assert_eq!(parse(&whole, 8, MAC), None);
        assert_eq!(parse(&whole, 7, [2; 6]), None);
        for (at, value) in [(0, 1), (1, 6), (2, 16), (236, 0), (243, 9), (242, 200)] {
            let mut other = whole.clone();
            other[at] = value;
            assert_eq!(parse(&other, 7, MAC), None, "{at}");
        }
        for length in 0..whole.len() - 20 {
            assert_eq!(parse(&whole[..length], 7, MAC), None, "{length}");
        }
        let nobody = DhcpReply {
            server: Ipv4Addr::UNSPECIFIED,
            ..offer()
        };
        assert_eq!(parse(&answer(&nobody, 7), 7, MAC), None);
    }

    #[test]
    fn a_question_is_what_servers_read() {
        let server = Ipv4Addr::new(10, 1, 0, 1);
        let address = Ipv4Addr::new(10, 1, 0, 77);
        let bytes = render(DhcpQuestion::Request { address, server }, 0x0102_0304, MAC);
        assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0]);
        assert_eq!(bytes[28..34], MAC);
        assert_eq!(
            bytes[236..260],
            [
                99, 130, 83, 99, 53, 1, 3, 50, 4, 10, 1, 0, 77, 54, 4, 10, 1, 0, 1, 55, 2, 1, 3,
                255
            ]
        );
        assert_eq!(bytes.len(), MIN_LENGTH);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(options in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..330) {
            let mut bytes = answer(&offer(), 7);
            bytes.truncate(OPTIONS);
            bytes.extend(options);
            bytes.truncate(cut);
            let _ = parse(&bytes, 7, MAC);
        }
    }
}
