//! Devices: `struct ifinfomsg` and `IFLA_*` (linux/if_link.h).

use std::io;
use std::net::Ipv6Addr;

use nix::libc;

use super::typed::{bytes, read, unreadable};
use crate::bridge::net::{BridgeSettings, LinkKind, Mac};
use crate::netlink::AF_INET6;
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{attributes, take, take_text};
use crate::netlink::packet_core::{DecodeError, Emitable, Parseable, ParseableParametrized};
use crate::netlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoBridge, InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute,
    LinkFlags, LinkHeader, LinkInfo, LinkLayerType, LinkMessage, State,
};
use crate::netlink::uapi::{
    IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_INET6_TOKEN, IFLA_VXLAN_LINK,
};

/// What a decision hangs on and is no list. Not the name: it is text, which the kernel takes in any encoding and the
/// crate in one.
const READ: [u16; 9] = [
    libc::IFLA_ADDRESS,
    libc::IFLA_MTU,
    libc::IFLA_LINK,
    libc::IFLA_MASTER,
    libc::IFLA_GROUP,
    libc::IFLA_CARRIER,
    libc::IFLA_OPERSTATE,
    libc::IFLA_LINK_NETNSID,
    libc::IFLA_TARGET_NETNSID,
];

/// A device as one message describes it; its master and its parent are numbers still.
#[derive(Debug)]
pub(crate) struct LinkReport {
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

/// What a driver reports of a device of its own.
#[derive(Debug, Default)]
struct DriverReport {
    name: Option<String>,
    bridge: Option<BridgeSettings>,
    /// The device that a tunnel is bound to.
    bound: Option<u32>,
}

/// Reads an `RTM_NEWLINK`.
pub(crate) fn decode_link(bytes: &[u8]) -> io::Result<LinkReport> {
    let header = LinkHeader::parse(bytes).map_err(|error| unreadable("devices", &error))?;
    let attributes = &bytes[header.buffer_len()..];
    decode(attributes, &header).map_err(|error| {
        let (name, index) = (decode_name(attributes).unwrap_or_default(), header.index);
        unreadable(format_args!("device {name:?} (number {index})"), &error)
    })
}

/// Reads the name alone.
fn decode_name(bytes: &[u8]) -> Option<String> {
    take_text(&mut attributes(bytes).ok()?, libc::IFLA_IFNAME)
}

fn decode(bytes: &[u8], header: &LinkHeader) -> Result<LinkReport, DecodeError> {
    let (known, mut rest) = read(bytes, &READ, |one| {
        LinkAttribute::parse_with_param(one, header.interface_family)
    })?;
    let driver = decode_driver(&take(&mut rest, libc::IFLA_LINKINFO).unwrap_or_default())?;
    let flags = header.flags;
    let mut link = LinkReport {
        index: header.index,
        name: take_text(&mut rest, libc::IFLA_IFNAME).unwrap_or_default(),
        kind: kind(header, driver.name.as_deref()),
        driver: driver.name,
        arp: !flags.contains(LinkFlags::Noarp) || flags.contains(LinkFlags::Loopback),
        mac: None,
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        carrier: false,
        is_operational: false,
        group: 0,
        master: None,
        parent: None,
        foreign_parent: None,
        target_namespace: None,
        bridge: driver.bridge,
        token: decode_token(&mut rest)?,
    };
    let (mut parent, mut namespace) = (None, None);
    for attribute in known {
        match attribute {
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Carrier(carrier) => link.carrier = carrier == 1,
            LinkAttribute::OperState(state) => link.is_operational = state == State::Up,
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::Link(index) => parent = Some(index),
            LinkAttribute::LinkNetNsId(number) => namespace = Some(number),
            LinkAttribute::IfNetnsId(number) => link.target_namespace = Some(number),
            _ => {}
        }
    }
    link.parent = driver.bound.or(parent.filter(|_| namespace.is_none()));
    link.foreign_parent = parent.zip(namespace);
    Ok(link)
}

fn kind(header: &LinkHeader, driver: Option<&str>) -> LinkKind {
    match driver {
        _ if header.flags.contains(LinkFlags::Loopback) => LinkKind::Loopback,
        _ if header.link_layer_type != LinkLayerType::Ether => LinkKind::NotEthernet,
        Some("bridge") => LinkKind::Bridge,
        Some(driver) => LinkKind::Other(driver.to_owned()),
        None => LinkKind::Ethernet,
    }
}

/// Reads an `IFLA_LINKINFO`, and the settings of two drivers in it, each by itself: the crate's parser refuses the list
/// over a setting that a newer kernel makes longer, of whatever driver.
fn decode_driver(bytes: &[u8]) -> Result<DriverReport, DecodeError> {
    let (kinds, mut rest) = read(bytes, &[libc::IFLA_INFO_KIND], |one| InfoKind::parse(one))?;
    let Some(kind) = kinds.first() else {
        return Ok(DriverReport::default());
    };
    let data = take(&mut rest, libc::IFLA_INFO_DATA).unwrap_or_default();
    let mut driver = DriverReport {
        name: Some(kind.to_string()),
        ..DriverReport::default()
    };
    match kind {
        InfoKind::Bridge => driver.bridge = Some(decode_bridge(&data)?),
        InfoKind::Vxlan => {
            let (settings, _) = read(&data, &[IFLA_VXLAN_LINK], |one| InfoVxlan::parse(one))?;
            driver.bound = settings.iter().find_map(|setting| match setting {
                InfoVxlan::Link(index) => Some(*index),
                _ => None,
            });
        }
        _ => {}
    }
    Ok(driver)
}

fn decode_bridge(data: &[u8]) -> Result<BridgeSettings, DecodeError> {
    let kinds = [IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE];
    let mut settings = BridgeSettings {
        stp: false,
        forward_delay: 0,
    };
    for setting in read(data, &kinds, |one| InfoBridge::parse(one))?.0 {
        match setting {
            InfoBridge::StpState(state) => settings.stp = u32::from(state) != 0,
            InfoBridge::ForwardDelay(delay) => settings.forward_delay = delay,
            _ => {}
        }
    }
    Ok(settings)
}

fn decode_token(rest: &mut Vec<NetlinkAttribute>) -> Result<Option<Ipv6Addr>, DecodeError> {
    let families = take(rest, libc::IFLA_AF_SPEC).unwrap_or_default();
    let (_, mut families) = read(&families, &[], |one| AfSpecInet6::parse(one))?;
    let v6 = take(&mut families, AF_INET6.into()).unwrap_or_default();
    let (settings, _) = read(&v6, &[IFLA_INET6_TOKEN], |one| AfSpecInet6::parse(one))?;
    Ok(settings.iter().find_map(|setting| match setting {
        AfSpecInet6::Token(token) => Some(*token),
        _ => None,
    }))
}

/// Asks for the devices of another network namespace.
pub(crate) fn encode_links_of_namespace(namespace: i32) -> Vec<u8> {
    bytes(&message(0, [LinkAttribute::IfNetnsId(namespace)]))
}

/// A bridge that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBridge<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Mac,
    pub(crate) mtu: u32,
    pub(crate) group: u32,
    pub(crate) settings: BridgeSettings,
}

/// Makes a bridge that is complete from its first moment.
pub(crate) fn encode_bridge(bridge: NewBridge<'_>) -> Vec<u8> {
    let settings = vec![forward_delay(bridge.settings), stp(bridge.settings)];
    let attributes = [
        LinkAttribute::IfName(bridge.name.to_owned()),
        LinkAttribute::Address(bridge.mac.0.to_vec()),
        LinkAttribute::Mtu(bridge.mtu),
        LinkAttribute::Group(bridge.group),
        info(InfoKind::Bridge, InfoData::Bridge(settings)),
    ];
    bytes(&message(0, attributes))
}

/// Changes how a bridge bridges, in two messages: a delay this short is refused as long as the
/// bridge speaks the spanning tree protocol.
pub(crate) fn encode_bridge_settings(index: u32, settings: BridgeSettings) -> [Vec<u8>; 2] {
    let message = |setting| {
        let info = info(InfoKind::Bridge, InfoData::Bridge(vec![setting]));
        bytes(&message(index, [info]))
    };
    let (delay, stp) = (message(forward_delay(settings)), message(stp(settings)));
    if settings.stp {
        [delay, stp]
    } else {
        [stp, delay]
    }
}

fn forward_delay(settings: BridgeSettings) -> InfoBridge {
    InfoBridge::ForwardDelay(settings.forward_delay)
}

fn stp(settings: BridgeSettings) -> InfoBridge {
    InfoBridge::StpState(u32::from(settings.stp).into())
}

fn info(kind: InfoKind, data: InfoData) -> LinkAttribute {
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)])
}

/// Makes both ends of a pair.
pub(crate) fn encode_veth(name: &str, peer: &str, mtu: u32) -> Vec<u8> {
    let end = |name: &str| {
        let name = LinkAttribute::IfName(name.to_owned());
        message(0, [name, LinkAttribute::Mtu(mtu)])
    };
    let mut pair = end(name);
    let data = InfoData::Veth(InfoVeth::Peer(end(peer)));
    pair.attributes.push(info(InfoKind::Veth, data));
    bytes(&pair)
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
    let mac = change.mac.map(|mac| mac.0.to_vec());
    let attributes = [
        mac.map(LinkAttribute::Address),
        change.mtu.map(LinkAttribute::Mtu),
        change.group.map(LinkAttribute::Group),
        change.master.map(LinkAttribute::Controller),
    ];
    let mut message = message(index, attributes.into_iter().flatten());
    if let Some(up) = change.up {
        message.header.flags.set(LinkFlags::Up, up);
        message.header.change_mask = LinkFlags::Up;
    }
    bytes(&message)
}

/// Sets the host's part of the advertised addresses of a device.
pub(crate) fn encode_token(index: u32, token: Ipv6Addr) -> Vec<u8> {
    let v6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::Token(token)]);
    bytes(&message(index, [LinkAttribute::AfSpecUnspec(vec![v6])]))
}

/// Names a device by its number alone: the body of a deletion, and of a dump when 0.
pub(crate) fn encode_link_name(index: u32) -> Vec<u8> {
    bytes(&message(index, []))
}

fn message(index: u32, attributes: impl IntoIterator<Item = LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.extend(attributes);
    message
}
