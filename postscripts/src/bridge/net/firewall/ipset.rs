//! Sets of the old kind (ipset(8)) whose elements name a device: `hash:net,iface`.
//!
//! Reference: linux/netfilter/ipset/ip_set.h. What such a set needs is for the administrator to add.

use std::io;

use super::{Move, RuleFinding};
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, attributes, take};
use crate::netlink::netfilter::{Netfilter, ipset};
use crate::netlink::uapi::{
    IPSET_ATTR_ADT, IPSET_ATTR_IFACE, IPSET_ATTR_PROTOCOL, IPSET_ATTR_SETNAME, IPSET_CMD_LIST,
    IPSET_PROTOCOL,
};
use crate::nftables::text;

/// Finds the sets that name a NIC and not its bridge.
pub(super) fn find(netfilter: &Netfilter, moves: &[Move]) -> io::Result<Vec<RuleFinding>> {
    let body = MessageBuilder::default()
        .attribute(IPSET_ATTR_PROTOCOL, &[IPSET_PROTOCOL]) // known since Linux 2.6.39
        .into_bytes();
    let mut sets: Vec<(String, Vec<String>)> = Vec::new();
    for object in netfilter.dump(ipset(IPSET_CMD_LIST), 0, &body)? {
        let (name, devices) = decode(object.attributes)?;
        // a long set comes in several parts
        match sets.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(devices),
            None => sets.push((name, devices)),
        }
    }
    Ok(look_through(&sets, moves))
}

fn look_through(sets: &[(String, Vec<String>)], moves: &[Move]) -> Vec<RuleFinding> {
    let mut findings = Vec::new();
    for (set, devices) in sets {
        for one in moves {
            if devices.contains(&one.nic) && !devices.contains(&one.bridge) {
                let rule = format!("ipset {set}: elements with {}", one.nic);
                let need = format!("needs the same with {}", one.bridge);
                findings.push(RuleFinding::by_hand(rule, &need));
            }
        }
    }
    findings
}

/// Reads a set, or a part of one: its name, and the devices that its elements name.
fn decode(mut set: Vec<NetlinkAttribute>) -> io::Result<(String, Vec<String>)> {
    let name = take(&mut set, IPSET_ATTR_SETNAME)
        .map(|name| text(&name))
        .unwrap_or_default();
    let mut devices = Vec::new();
    for element in attributes(&take(&mut set, IPSET_ATTR_ADT).unwrap_or_default())? {
        let mut parts = attributes(&element.value)?;
        devices.extend(take(&mut parts, IPSET_ATTR_IFACE).map(|device| text(&device)));
    }
    Ok((name, devices))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::NLA_F_NESTED;

    fn part(name: &str, devices: &[&str]) -> Vec<NetlinkAttribute> {
        let mut elements = MessageBuilder::default();
        for device in devices {
            let element = MessageBuilder::default()
                .attribute(1, &[7; 8])
                .text(IPSET_ATTR_IFACE, device);
            elements = elements.attribute(NLA_F_NESTED | 7, &element.into_bytes());
        }
        let body = MessageBuilder::default().text(IPSET_ATTR_SETNAME, name);
        let body = body.attribute(NLA_F_NESTED | IPSET_ATTR_ADT, &elements.into_bytes());
        attributes(&body.into_bytes()).unwrap()
    }

    #[test]
    fn a_set_that_names_the_nic_alone_is_found() {
        let moves = super::super::tests::moves();
        for (devices, is_found) in [
            (&["eth1", "eth0"][..], true),
            (&["eth0", "br0"], false),
            (&["eth1"], false),
            (&[], false),
        ] {
            let set = decode(part("lan", devices)).unwrap();
            let findings = look_through(&[set], &moves);
            let rules: Vec<_> = findings.iter().map(|one| one.rule.as_str()).collect();
            let expected: &[&str] = if is_found {
                &["ipset lan: elements with eth0"]
            } else {
                &[]
            };
            assert_eq!(rules, expected, "{devices:?}");
        }
    }
}
