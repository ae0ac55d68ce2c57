//! How the types of netlink-packet-route are used: for whole messages that are sent, and attribute by attribute for what
//! the kernel reports.
//!
//! Never as its parsers of whole messages. Those refuse a message over any one attribute that they do not understand (an
//! alias of a device that is no UTF-8, say, which whoever is root in a container may give), and netlink-proto logs what
//! cannot be parsed and goes on, so that a device would be missing and nobody would learn of it.

use std::fmt::Display;
use std::io;

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::MessageBuilder;
use crate::netlink::packet_core::{DecodeError, Emitable, NlaBuffer, NlasIterator};

/// Reads a run of attributes. The crate's types get those of the kinds to `parse`, on which a decision hangs; the others
/// stay as they are, byte for byte.
///
/// # Errors
/// When one of the former makes no sense, or a length.
pub(super) fn read<A>(
    bytes: &[u8],
    kinds: &[u16],
    parse: impl Fn(&NlaBuffer<&[u8]>) -> Result<A, DecodeError>,
) -> Result<(Vec<A>, Vec<NetlinkAttribute>), DecodeError> {
    let (mut parsed, mut others) = (Vec::new(), Vec::new());
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute?;
        if kinds.contains(&attribute.kind()) {
            parsed.push(parse(&attribute)?);
        } else {
            others.push(NetlinkAttribute::from(&attribute));
        }
    }
    Ok((parsed, others))
}

/// An error about an object of the kernel that cannot be read.
pub(super) fn unreadable(what: impl Display, error: &DecodeError) -> io::Error {
    let message = format!("reading what the kernel reports of {what}: {error}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Returns the bytes of a message or of an attribute.
pub(super) fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

/// Returns the bytes of a message with further attributes as they were read: the crate's types do not keep the flags of
/// all that they do not know (`RouteAttribute::Other` loses `NLA_F_NESTED`).
pub(super) fn bytes_with(message: &impl Emitable, others: &[NetlinkAttribute]) -> Vec<u8> {
    MessageBuilder::new(&bytes(message))
        .others(others)
        .into_bytes()
}
