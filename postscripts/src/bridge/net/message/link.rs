//! Devices: `struct ifinfomsg` and `IFLA_*` (linux/if_link.h).

use std::io;

use crate::bridge::net::{BridgeSettings, Kind, Mac};
use crate::netlink::attribute::{MessageBuilder, attributes, split, take, take_number, take_text};

const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const PARENT: u16 = 5;
const MASTER: u16 = 10;
const STATE: u16 = 16;
const INFO: u16 = 18;
const GROUP: u16 = 27;
const CARRIER: u16 = 33;
/// Says that the parent's number counts in another network namespace (the other end of a veth).
const PARENT_ELSEWHERE: u16 = 37;
/// Says which network namespace the answer is about (`IFLA_TARGET_NETNSID`).
const SEEN_IN: u16 = 46;
/// Within `INFO`.
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
/// Within the `INFO_DATA` of a bridge.
const FORWARD_DELAY: u16 = 1;
const STP: u16 = 5;
/// Within the `INFO_DATA` of a vxlan: the device that it is bound to.
const VXLAN_LINK: u16 = 3;
/// `NETNSA_NSID`.
const NAMESPACE: u16 = 1;
/// `IFF_UP`, `IFF_LOOPBACK`, `IFF_NOARP`.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const NO_ARP: u32 = 0x80;
/// `IF_OPER_UP`.
const SENDS: [u8; 1] = [6];
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;

/// A device as one message tells of it; its master and its parent are numbers still.
#[derive(Debug)]
pub(crate) struct LinkMessage {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The driver's name, if it is no plain device.
    pub(crate) driver: Option<String>,
    /// Whether it resolves addresses.
    pub(crate) arp: bool,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    /// Whether the kernel has noticed the carrier: until then it drops what is sent.
    pub(crate) sends: bool,
    pub(crate) group: u32,
    pub(crate) master: Option<u32>,
    pub(crate) parent: Option<u32>,
    /// A parent in another network namespace, and which one.
    pub(crate) parent_elsewhere: Option<(u32, i32)>,
    /// The network namespace that it is in, when we asked for another than ours.
    pub(crate) seen_in: Option<i32>,
    pub(crate) bridge: Option<BridgeSettings>,
}

/// Reads an `RTM_NEWLINK`.
pub(crate) fn decode_link(bytes: &[u8]) -> io::Result<LinkMessage> {
    let (header, mut rest) = split::<16>(bytes)?;
    let [_, _, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let mut info = attributes(&take(&mut rest, INFO).unwrap_or_default())?;
    let driver = take_text(&mut info, INFO_KIND);
    let data = attributes(&take(&mut info, INFO_DATA).unwrap_or_default());
    let mac = take(&mut rest, ADDRESS).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    let kind = match driver.clone() {
        _ if flags & LOOPBACK != 0 => Kind::Loopback,
        _ if u16::from_ne_bytes([t0, t1]) != ETHERNET => Kind::NotEthernet,
        Some(driver) if driver == "bridge" => Kind::Bridge,
        Some(driver) => Kind::Other(driver),
        None => Kind::Ethernet,
    };
    let mut data = data?;
    let bound = match driver.as_deref() {
        Some("vxlan") => take_number(&mut data, VXLAN_LINK),
        _ => None,
    };
    let bridge = match kind {
        Kind::Bridge => Some(decode_bridge_settings(data)),
        _ => None,
    };
    let parent = take_number(&mut rest, PARENT);
    let elsewhere = take_namespace(&mut rest, PARENT_ELSEWHERE);
    Ok(LinkMessage {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: take_text(&mut rest, NAME).unwrap_or_default(),
        kind,
        driver,
        arp: flags & (NO_ARP | LOOPBACK) != NO_ARP,
        mac: mac.map(Mac),
        mtu: take_number(&mut rest, MTU).unwrap_or_default(),
        up: flags & UP != 0,
        carrier: take(&mut rest, CARRIER).is_some_and(|bytes| bytes == [1]),
        sends: take(&mut rest, STATE).is_some_and(|bytes| bytes == SENDS),
        group: take_number(&mut rest, GROUP).unwrap_or_default(),
        master: take_number(&mut rest, MASTER),
        parent: bound.or(parent.filter(|_| elsewhere.is_none())),
        parent_elsewhere: parent.zip(elsewhere),
        seen_in: take_namespace(&mut rest, SEEN_IN),
        bridge,
    })
}

fn take_namespace(attributes: &mut Vec<crate::bridge::net::Attribute>, kind: u16) -> Option<i32> {
    let bytes = take(attributes, kind)?;
    Some(i32::from_ne_bytes(bytes.try_into().ok()?))
}

/// Reads an `RTM_NEWNSID`: the number of a network namespace, if it has one.
pub(crate) fn decode_namespace(bytes: &[u8]) -> io::Result<Option<i32>> {
    let (_, mut rest) = split::<4>(bytes)?;
    Ok(take_namespace(&mut rest, NAMESPACE).filter(|number| *number >= 0))
}

/// Asks for the devices of another network namespace.
pub(crate) fn encode_links_elsewhere(namespace: i32) -> Vec<u8> {
    header(0, None)
        .attribute(SEEN_IN, &namespace.to_ne_bytes())
        .into_bytes()
}

fn decode_bridge_settings(mut data: Vec<crate::bridge::net::Attribute>) -> BridgeSettings {
    BridgeSettings {
        stp: take_number(&mut data, STP).unwrap_or_default() != 0,
        forward_delay: take_number(&mut data, FORWARD_DELAY).unwrap_or_default(),
    }
}

/// Names a new bridge, whole from its first moment.
pub(crate) fn encode_bridge(
    name: &str,
    mac: Mac,
    mtu: u32,
    group: u32,
    settings: BridgeSettings,
) -> Vec<u8> {
    let body = header(0, None).text(NAME, name).attribute(ADDRESS, &mac.0);
    let data = MessageBuilder::default()
        .number(FORWARD_DELAY, settings.forward_delay)
        .number(STP, settings.stp.into());
    bridge_info(body.number(MTU, mtu).number(GROUP, group), data).into_bytes()
}

/// Changes how a bridge bridges, in two messages: a delay this short is refused as long as the
/// bridge speaks the spanning tree protocol.
pub(crate) fn encode_bridge_settings(index: u32, settings: BridgeSettings) -> [Vec<u8>; 2] {
    let delay = MessageBuilder::default().number(FORWARD_DELAY, settings.forward_delay);
    let stp = MessageBuilder::default().number(STP, settings.stp.into());
    let message = |data| bridge_info(header(index, None), data).into_bytes();
    match settings.stp {
        true => [message(delay), message(stp)],
        false => [message(stp), message(delay)],
    }
}

fn bridge_info(body: MessageBuilder, data: MessageBuilder) -> MessageBuilder {
    let info = MessageBuilder::default()
        .text(INFO_KIND, "bridge")
        .attribute(INFO_DATA, &data.into_bytes())
        .into_bytes();
    body.attribute(INFO, &info)
}

/// Changes a device: up or down, its hardware address, its MTU, its master (0 for none).
pub(crate) fn encode_link_change(
    index: u32,
    up: Option<bool>,
    mac: Option<Mac>,
    mtu: Option<u32>,
    master: Option<u32>,
) -> Vec<u8> {
    header(index, up)
        .maybe(mac, |body, mac| body.attribute(ADDRESS, &mac.0))
        .maybe(mtu, |body, mtu| body.number(MTU, mtu))
        .maybe(master, |body, master| body.number(MASTER, master))
        .into_bytes()
}

/// Puts a device into a group.
pub(crate) fn encode_link_group(index: u32, group: u32) -> Vec<u8> {
    header(index, None).number(GROUP, group).into_bytes()
}

/// Names a device by its number alone: the body of a deletion, and of a dump when 0.
pub(crate) fn encode_link_name(index: u32) -> Vec<u8> {
    header(index, None).into_bytes()
}

fn header(index: u32, up: Option<bool>) -> MessageBuilder {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if let Some(up) = up {
        header[8..12].copy_from_slice(&(if up { UP } else { 0 }).to_ne_bytes());
        header[12..16].copy_from_slice(&UP.to_ne_bytes());
    }
    MessageBuilder::new(&header)
}
