//! Devices: `struct ifinfomsg` and `IFLA_*` (linux/if_link.h).

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use nix::libc;

use crate::bridge::net::{BridgeSettings, LinkKind, Mac};
use crate::netlink::attribute::{
    MessageBuilder, attributes, split, take, take_ip, take_number, take_text,
};
use crate::netlink::uapi::{
    IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_INET6_TOKEN, IFLA_VXLAN_LINK, NETNSA_NSID,
};
use crate::netlink::{AF_INET6, NetlinkAttribute};

/// Flags of a device, as wide as its header has them.
const IFF_UP: u32 = libc::IFF_UP as u32;
const IFF_LOOPBACK: u32 = libc::IFF_LOOPBACK as u32;
const IFF_NOARP: u32 = libc::IFF_NOARP as u32;

/// A device as one message describes it; its master and its parent are numbers still.
#[derive(Debug)]
pub(crate) struct LinkMessage {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: LinkKind,
    /// The driver's name, if it is no plain device.
    pub(crate) driver: Option<String>,
    /// Whether it resolves addresses.
    pub(crate) arp: bool,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    /// Whether the kernel has noticed the carrier: until then it drops what is sent.
    pub(crate) is_operational: bool,
    pub(crate) group: u32,
    pub(crate) master: Option<u32>,
    pub(crate) parent: Option<u32>,
    /// A parent in another network namespace, and which one.
    pub(crate) foreign_parent: Option<(u32, i32)>,
    /// The network namespace that it is in, when we asked for another than ours.
    pub(crate) target_namespace: Option<i32>,
    pub(crate) bridge: Option<BridgeSettings>,
    /// The host's part of its advertised addresses; zero for none, absent without IPv6.
    pub(crate) token: Option<Ipv6Addr>,
}

/// Reads an `RTM_NEWLINK`.
pub(crate) fn decode_link(bytes: &[u8]) -> io::Result<LinkMessage> {
    let (header, mut rest) = split::<16>(bytes)?;
    let [_, _, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let mut info = attributes(&take(&mut rest, libc::IFLA_LINKINFO).unwrap_or_default())?;
    let driver = take_text(&mut info, libc::IFLA_INFO_KIND);
    let data = attributes(&take(&mut info, libc::IFLA_INFO_DATA).unwrap_or_default());
    let mac = take(&mut rest, libc::IFLA_ADDRESS).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    let kind = match driver.clone() {
        _ if flags & IFF_LOOPBACK != 0 => LinkKind::Loopback,
        _ if u16::from_ne_bytes([t0, t1]) != libc::ARPHRD_ETHER => LinkKind::NotEthernet,
        Some(driver) if driver == "bridge" => LinkKind::Bridge,
        Some(driver) => LinkKind::Other(driver),
        None => LinkKind::Ethernet,
    };
    let mut data = data?;
    let bound = match driver.as_deref() {
        Some("vxlan") => take_number(&mut data, IFLA_VXLAN_LINK),
        _ => None,
    };
    let bridge = match kind {
        LinkKind::Bridge => Some(decode_bridge_settings(data)),
        _ => None,
    };
    let parent = take_number(&mut rest, libc::IFLA_LINK);
    let namespace = take_namespace(&mut rest, libc::IFLA_LINK_NETNSID);
    Ok(LinkMessage {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: take_text(&mut rest, libc::IFLA_IFNAME).unwrap_or_default(),
        kind,
        driver,
        arp: flags & (IFF_NOARP | IFF_LOOPBACK) != IFF_NOARP,
        mac: mac.map(Mac),
        mtu: take_number(&mut rest, libc::IFLA_MTU).unwrap_or_default(),
        up: flags & IFF_UP != 0,
        carrier: take(&mut rest, libc::IFLA_CARRIER).is_some_and(|bytes| bytes == [1]),
        is_operational: take(&mut rest, libc::IFLA_OPERSTATE)
            .is_some_and(|bytes| bytes == [libc::IF_OPER_UP as u8]),
        group: take_number(&mut rest, libc::IFLA_GROUP).unwrap_or_default(),
        master: take_number(&mut rest, libc::IFLA_MASTER),
        parent: bound.or(parent.filter(|_| namespace.is_none())),
        foreign_parent: parent.zip(namespace),
        target_namespace: take_namespace(&mut rest, libc::IFLA_TARGET_NETNSID),
        bridge,
        token: take_token(&mut rest)?,
    })
}

fn take_token(attributes_of_link: &mut Vec<NetlinkAttribute>) -> io::Result<Option<Ipv6Addr>> {
    let families = take(attributes_of_link, libc::IFLA_AF_SPEC).unwrap_or_default();
    let v6 = take(&mut attributes(&families)?, AF_INET6.into()).unwrap_or_default();
    match take_ip(&mut attributes(&v6)?, IFLA_INET6_TOKEN) {
        Some(IpAddr::V6(token)) => Ok(Some(token)),
        _ => Ok(None),
    }
}

fn take_namespace(attributes: &mut Vec<NetlinkAttribute>, kind: u16) -> Option<i32> {
    let bytes = take(attributes, kind)?;
    Some(i32::from_ne_bytes(bytes.try_into().ok()?))
}

/// Reads an `RTM_NEWNSID`: the number of a network namespace, if it has one.
pub(crate) fn decode_namespace(bytes: &[u8]) -> io::Result<Option<i32>> {
    let (_, mut rest) = split::<4>(bytes)?;
    Ok(take_namespace(&mut rest, NETNSA_NSID).filter(|number| *number >= 0))
}

/// Asks for the devices of another network namespace.
pub(crate) fn encode_links_of_namespace(namespace: i32) -> Vec<u8> {
    header(0, None)
        .attribute(libc::IFLA_TARGET_NETNSID, &namespace.to_ne_bytes())
        .into_bytes()
}

fn decode_bridge_settings(mut data: Vec<NetlinkAttribute>) -> BridgeSettings {
    BridgeSettings {
        stp: take_number(&mut data, IFLA_BR_STP_STATE).unwrap_or_default() != 0,
        forward_delay: take_number(&mut data, IFLA_BR_FORWARD_DELAY).unwrap_or_default(),
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
    let body = header(0, None)
        .text(libc::IFLA_IFNAME, name)
        .attribute(libc::IFLA_ADDRESS, &mac.0);
    let data = MessageBuilder::default()
        .number(IFLA_BR_FORWARD_DELAY, settings.forward_delay)
        .number(IFLA_BR_STP_STATE, settings.stp.into());
    bridge_info(
        body.number(libc::IFLA_MTU, mtu)
            .number(libc::IFLA_GROUP, group),
        data,
    )
    .into_bytes()
}

/// Changes how a bridge bridges, in two messages: a delay this short is refused as long as the
/// bridge speaks the spanning tree protocol.
pub(crate) fn encode_bridge_settings(index: u32, settings: BridgeSettings) -> [Vec<u8>; 2] {
    let delay = MessageBuilder::default().number(IFLA_BR_FORWARD_DELAY, settings.forward_delay);
    let stp = MessageBuilder::default().number(IFLA_BR_STP_STATE, settings.stp.into());
    let message = |data| bridge_info(header(index, None), data).into_bytes();
    if settings.stp {
        [message(delay), message(stp)]
    } else {
        [message(stp), message(delay)]
    }
}

fn bridge_info(body: MessageBuilder, data: MessageBuilder) -> MessageBuilder {
    let info = MessageBuilder::default()
        .text(libc::IFLA_INFO_KIND, "bridge")
        .attribute(libc::IFLA_INFO_DATA, &data.into_bytes())
        .into_bytes();
    body.attribute(libc::IFLA_LINKINFO, &info)
}

/// What changes of a device; what is absent stays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LinkChange {
    pub(crate) up: Option<bool>,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) group: Option<u32>,
    /// The number of the bridge, 0 for none.
    pub(crate) master: Option<u32>,
}

/// Changes a device.
pub(crate) fn encode_link_change(index: u32, change: LinkChange) -> Vec<u8> {
    header(index, change.up)
        .maybe(change.mac, |body, mac| {
            body.attribute(libc::IFLA_ADDRESS, &mac.0)
        })
        .maybe(change.mtu, |body, mtu| body.number(libc::IFLA_MTU, mtu))
        .maybe(change.group, |body, group| {
            body.number(libc::IFLA_GROUP, group)
        })
        .maybe(change.master, |body, master| {
            body.number(libc::IFLA_MASTER, master)
        })
        .into_bytes()
}

/// Sets the host's part of the advertised addresses of a device.
pub(crate) fn encode_token(index: u32, token: Ipv6Addr) -> Vec<u8> {
    let v6 = MessageBuilder::default().address(IFLA_INET6_TOKEN, token.into());
    let families = MessageBuilder::default().attribute(AF_INET6.into(), &v6.into_bytes());
    header(index, None)
        .attribute(libc::IFLA_AF_SPEC, &families.into_bytes())
        .into_bytes()
}

/// Names a device by its number alone: the body of a deletion, and of a dump when 0.
pub(crate) fn encode_link_name(index: u32) -> Vec<u8> {
    header(index, None).into_bytes()
}

fn header(index: u32, up: Option<bool>) -> MessageBuilder {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if let Some(up) = up {
        header[8..12].copy_from_slice(&(if up { IFF_UP } else { 0 }).to_ne_bytes());
        header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    }
    MessageBuilder::new(&header)
}
