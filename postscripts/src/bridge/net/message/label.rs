//! Labels of addresses: `struct ifaddrlblmsg` and `IFAL_*` (linux/if_addrlabel.h).

use std::io;

use super::typed::{bytes, read, unreadable};
use crate::netlink::AF_INET6;
use crate::netlink::packet_core::{Emitable, Parseable};
use crate::netlink::packet_route::addrlabel::{
    AddrLabelAttribute, AddrLabelHeader, AddrLabelMessage,
};
use crate::netlink::uapi::{IFAL_ADDRESS, IFAL_LABEL};

/// Asks for all labels, which IPv6 alone has.
pub(crate) fn encode_address_labels_request() -> Vec<u8> {
    let mut message = AddrLabelMessage::default();
    message.header.family = AF_INET6.into();
    bytes(&message)
}

/// Reads an `RTM_NEWADDRLABEL`: the number of the device that it is bound to, or 0, and what it is in words.
pub(crate) fn decode_address_label(bytes: &[u8]) -> io::Result<Option<(u32, String)>> {
    let unreadable = |error| unreadable("address labels", &error);
    let header = AddrLabelHeader::parse(bytes).map_err(unreadable)?;
    let attributes = &bytes[header.buffer_len()..];
    let (known, _) = read(attributes, &[IFAL_ADDRESS, IFAL_LABEL], |one| {
        AddrLabelAttribute::parse(one)
    })
    .map_err(unreadable)?;
    let (mut address, mut label) = (None, 0);
    for attribute in known {
        match attribute {
            AddrLabelAttribute::Address(ip) => address = Some(ip),
            AddrLabelAttribute::Label(number) => label = number,
            _ => {}
        }
    }
    let length = header.prefix_len;
    Ok(address.map(|ip| {
        let what = format!("the address label {label} of {ip}/{length}");
        (header.index, what)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_label_is_read_with_its_device() {
        let mut message = AddrLabelMessage::default();
        message.header.family = AF_INET6.into();
        message.header.prefix_len = 8;
        message.header.index = 7;
        message.attributes = vec![
            AddrLabelAttribute::Address("fd00::".parse().unwrap()),
            AddrLabelAttribute::Label(99),
        ];
        let what = "the address label 99 of fd00::/8".to_owned();
        let read = decode_address_label(&bytes(&message)).unwrap();
        assert_eq!(read, Some((7, what)));
        assert!(decode_address_label(&[0; 11]).is_err());
    }
}
