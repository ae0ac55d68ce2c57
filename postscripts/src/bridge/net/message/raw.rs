//! What netlink-packet-route 0.34 has no type for, byte by byte: each item says what is missing.
//!
//! Some of it is of rtnetlink (nexthop objects, the hops of a route), the rest of protocols that the crate is not about:
//! sockets, IPsec, generic netlink.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::DeviceNames;
use crate::bridge::net::NextHop;
use crate::netlink::attribute::{
    MessageBuilder, NLA_F_NESTED, attributes, ip, number, short, split, take, take_ip, take_number,
    take_text,
};
use crate::netlink::packet_core::DecodeError;
use crate::netlink::uapi::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, ETHTOOL_A_BITSET_BIT_NAME,
    ETHTOOL_A_BITSET_BITS, ETHTOOL_A_BITSET_BITS_BIT, ETHTOOL_A_FEATURES_HEADER,
    ETHTOOL_A_FEATURES_WANTED, ETHTOOL_A_HEADER_DEV_NAME, ETHTOOL_MSG_FEATURES_SET,
    IPVS_CMD_ATTR_DAEMON, IPVS_DAEMON_ATTR_MCAST_IFN, IPVS_DAEMON_ATTR_STATE,
    IPVS_DAEMON_ATTR_SYNC_ID, MPTCP_PM_ADDR_ATTR_ADDR4, MPTCP_PM_ADDR_ATTR_ADDR6,
    MPTCP_PM_ADDR_ATTR_ID, MPTCP_PM_ADDR_ATTR_IF_IDX, MPTCP_PM_ATTR_ADDR, NHA_GATEWAY, NHA_ID,
    NHA_OIF, RTNH_F_ONLINK, TCP_ESTABLISHED, XFRMA_OFFLOAD_DEV,
};
use crate::netlink::{AF_INET, AF_INET6};

/// `sizeof(struct xfrm_usersa_info)`, which attributes follow.
const ASSOCIATION: usize = 224;
/// `sizeof(struct inet_diag_req_v2)`.
const SOCKET_REQUEST: usize = 56;

// Nexthop objects (`struct nhmsg`, linux/nexthop.h): the crate has no `RTM_*NEXTHOP`.

/// Asks for all nexthop objects.
pub(crate) fn encode_nexthops_request() -> Vec<u8> {
    vec![0; 8]
}

/// Reads an `RTM_NEWNEXTHOP`.
pub(crate) fn decode_nexthop(bytes: &[u8], names: &DeviceNames) -> io::Result<Option<NextHop>> {
    let (header, mut rest) = split::<8>(bytes)?;
    let [family, _, protocol, _, f0, f1, f2, f3] = header;
    let Some(id) = take_number(&mut rest, NHA_ID) else {
        return Ok(None);
    };
    let device = take_number(&mut rest, NHA_OIF).and_then(|index| names.name(index));
    Ok(Some(NextHop {
        id,
        family,
        protocol,
        // the one flag that is asked for; the others are findings
        flags: u32::from_ne_bytes([f0, f1, f2, f3]) & RTNH_F_ONLINK,
        device: device.map(str::to_owned),
        gateway: take_ip(&mut rest, NHA_GATEWAY),
        other: rest,
    }))
}

/// Writes a nexthop object.
pub(crate) fn encode_nexthop(hop: &NextHop, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let device = hop.device.as_deref().map(|name| names.index(name));
    let mut header = vec![hop.family, 0, hop.protocol, 0];
    header.extend(hop.flags.to_ne_bytes());
    Ok(MessageBuilder::new(&header)
        .number(NHA_ID, hop.id)
        .maybe(device.transpose()?, |body, index| {
            body.number(NHA_OIF, index)
        })
        .maybe(hop.gateway, |body, ip| body.address(NHA_GATEWAY, ip))
        .others(&hop.other)
        .into_bytes())
}

// The hops of a route (`struct rtnexthop`, linux/rtnetlink.h): the crate has `RouteNextHop`, but parses none without all
// of its attributes, encapsulations among them, and writes an encapsulation that it does not know without `NLA_F_NESTED`.

/// One of several hops, its attributes not read yet.
#[derive(Debug)]
pub(super) struct RawHop<'a> {
    pub(super) flags: u8,
    /// One less than its weight.
    pub(super) share: u8,
    pub(super) index: u32,
    pub(super) attributes: &'a [u8],
}

impl RawHop<'_> {
    /// Returns its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u16::try_from(self.attributes.len() + 8).unwrap_or(u16::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([self.flags, self.share]);
        bytes.extend(self.index.to_ne_bytes());
        bytes.extend(self.attributes);
        bytes
    }
}

/// Splits an `RTA_MULTIPATH` into its hops.
pub(super) fn split_hops(mut bytes: &[u8]) -> Result<Vec<RawHop<'_>>, DecodeError> {
    let mut hops = Vec::new();
    while let Some(&[l0, l1, flags, share, i0, i1, i2, i3]) = bytes.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let attributes = bytes.get(8..length);
        hops.push(RawHop {
            flags,
            share,
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            attributes: attributes.ok_or_else(|| DecodeError::from(short().to_string()))?,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

// Sockets (`struct inet_diag_req_v2`, `struct inet_diag_msg`, linux/inet_diag.h): a protocol of their own, for which
// netlink-packet-sock-diag exists, which nobody has released for this packet-core.

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
    body.resize(SOCKET_REQUEST, 0);
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

// IPsec (`struct xfrm_selector`, linux/xfrm.h): a protocol of its own.

/// Reads an `XFRM_MSG_NEWPOLICY`, which begins with its selector.
pub(crate) fn decode_ipsec_policy(bytes: &[u8]) -> io::Result<(u32, String)> {
    let (device, packets) = selector(bytes).ok_or_else(short)?;
    Ok((device, format!("the IPsec policy for packets {packets}")))
}

/// Reads an `XFRM_MSG_NEWSA`; one that the hardware of a device encrypts is bound to it too.
pub(crate) fn decode_ipsec_association(bytes: &[u8]) -> io::Result<(u32, String)> {
    let (device, packets) = selector(bytes).ok_or_else(short)?;
    let mut rest = attributes(bytes.get(ASSOCIATION..).unwrap_or_default())?;
    let offload = take(&mut rest, XFRMA_OFFLOAD_DEV);
    let offload = offload.and_then(|offload| number(offload.get(..4)?));
    let device = Some(device).filter(|device| *device != 0).or(offload);
    let what = format!("the IPsec association for packets {packets}");
    Ok((device.unwrap_or_default(), what))
}

/// The device and the packets that a `struct xfrm_selector` is about.
fn selector(bytes: &[u8]) -> Option<(u32, String)> {
    let selector = bytes.first_chunk::<56>()?;
    let is_v6 = selector[40..42] == u16::from(AF_INET6).to_ne_bytes();
    let length = if is_v6 { 16 } else { 4 };
    let address = |at: usize| -> Option<IpAddr> { ip(&selector[at..at + length]) };
    let (to, from) = (address(0)?, address(16)?);
    let packets = format!("from {from}/{} to {to}/{}", selector[43], selector[42]);
    Some((number(&selector[48..52])?, packets))
}

// Families of generic netlink (linux/genetlink.h, linux/mptcp_pm.h, linux/ethtool_netlink.h): a protocol of its own.

/// Asks for the number of a family of generic netlink.
pub(crate) fn encode_family_request(name: &str) -> Vec<u8> {
    MessageBuilder::new(&[CTRL_CMD_GETFAMILY, 1, 0, 0])
        .text(CTRL_ATTR_FAMILY_NAME, name)
        .into_bytes()
}

/// Reads the answer.
pub(crate) fn decode_family(bytes: &[u8]) -> Option<u16> {
    let (_, mut rest) = split::<4>(bytes).ok()?;
    let number = take(&mut rest, CTRL_ATTR_FAMILY_ID)?;
    Some(u16::from_ne_bytes(number.try_into().ok()?))
}

/// Reads an endpoint of MPTCP; one that is bound to no device is none of ours.
pub(crate) fn decode_endpoint(bytes: &[u8]) -> io::Result<Option<(u32, String)>> {
    let (_, mut rest) = split::<4>(bytes)?;
    let Some(nested) = take(&mut rest, MPTCP_PM_ATTR_ADDR) else {
        return Ok(None);
    };
    let mut parts = attributes(&nested)?;
    let address = take_ip(&mut parts, MPTCP_PM_ADDR_ATTR_ADDR4)
        .or_else(|| take_ip(&mut parts, MPTCP_PM_ADDR_ATTR_ADDR6));
    let id = take(&mut parts, MPTCP_PM_ADDR_ATTR_ID);
    let id = id.and_then(|id| id.first().copied()).unwrap_or_default();
    let device = take_number(&mut parts, MPTCP_PM_ADDR_ATTR_IF_IDX);
    Ok(address
        .zip(device)
        .map(|(ip, device)| (device, format!("the MPTCP endpoint {ip} (id {id})"))))
}

/// Reads a daemon of IPVS that passes connections on to other hosts (`ipvsadm --start-daemon`): the name of its device.
pub(crate) fn decode_ipvs_daemon(bytes: &[u8]) -> io::Result<Option<(String, String)>> {
    let (_, mut rest) = split::<4>(bytes)?;
    let Some(nested) = take(&mut rest, IPVS_CMD_ATTR_DAEMON) else {
        return Ok(None);
    };
    let mut parts = attributes(&nested)?;
    let role = match take_number(&mut parts, IPVS_DAEMON_ATTR_STATE) {
        Some(1) => "master",
        _ => "backup",
    };
    let id = take_number(&mut parts, IPVS_DAEMON_ATTR_SYNC_ID).unwrap_or_default();
    let device = take_text(&mut parts, IPVS_DAEMON_ATTR_MCAST_IFN);
    Ok(device.map(|device| {
        (
            device,
            format!("the {role} sync daemon of IPVS (syncid {id})"),
        )
    }))
}

/// Turns features of a device off.
pub(crate) fn encode_features_off(device: &str, features: &[&str]) -> Vec<u8> {
    let header = MessageBuilder::default().text(ETHTOOL_A_HEADER_DEV_NAME, device);
    let bits = features
        .iter()
        .fold(MessageBuilder::default(), |bits, name| {
            // without ETHTOOL_A_BITSET_BIT_VALUE it is to be off
            let bit = MessageBuilder::default().text(ETHTOOL_A_BITSET_BIT_NAME, name);
            bits.attribute(NLA_F_NESTED | ETHTOOL_A_BITSET_BITS_BIT, &bit.into_bytes())
        });
    let wanted = MessageBuilder::default()
        .attribute(NLA_F_NESTED | ETHTOOL_A_BITSET_BITS, &bits.into_bytes());
    MessageBuilder::new(&[ETHTOOL_MSG_FEATURES_SET, 1, 0, 0])
        .attribute(
            NLA_F_NESTED | ETHTOOL_A_FEATURES_HEADER,
            &header.into_bytes(),
        )
        .attribute(
            NLA_F_NESTED | ETHTOOL_A_FEATURES_WANTED,
            &wanted.into_bytes(),
        )
        .into_bytes()
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

    #[test]
    fn an_endpoint_counts_only_with_a_device() {
        let endpoint = |device: Option<u32>| {
            let parts = MessageBuilder::default()
                .attribute(MPTCP_PM_ADDR_ATTR_ID, &[3])
                .address(MPTCP_PM_ADDR_ATTR_ADDR4, "10.0.0.5".parse().unwrap())
                .maybe(device, |parts, device| {
                    parts.number(MPTCP_PM_ADDR_ATTR_IF_IDX, device)
                });
            let message = MessageBuilder::new(&[3, 1, 0, 0])
                .attribute(MPTCP_PM_ATTR_ADDR, &parts.into_bytes());
            decode_endpoint(&message.into_bytes()).unwrap()
        };
        let what = "the MPTCP endpoint 10.0.0.5 (id 3)".to_owned();
        assert_eq!(endpoint(Some(7)), Some((7, what)));
        assert_eq!(endpoint(None), None);
    }

    #[test]
    fn a_sync_daemon_is_read_with_the_name_of_its_device() {
        let daemon = |state: u32| {
            let parts = MessageBuilder::default()
                .number(IPVS_DAEMON_ATTR_STATE, state)
                .text(IPVS_DAEMON_ATTR_MCAST_IFN, "eth0")
                .number(IPVS_DAEMON_ATTR_SYNC_ID, 7);
            let message = MessageBuilder::new(&[9, 1, 0, 0])
                .attribute(IPVS_CMD_ATTR_DAEMON, &parts.into_bytes());
            decode_ipvs_daemon(&message.into_bytes()).unwrap()
        };
        for (state, role) in [(1, "master"), (2, "backup")] {
            let what = format!("the {role} sync daemon of IPVS (syncid 7)");
            assert_eq!(daemon(state), Some(("eth0".to_owned(), what)));
        }
        assert_eq!(decode_ipvs_daemon(&[9, 1, 0, 0]).unwrap(), None);
    }

    #[test]
    fn an_ipsec_object_is_bound_by_its_selector_or_its_offload() {
        let mut bytes = vec![0; ASSOCIATION];
        bytes[..4].copy_from_slice(&[10, 1, 0, 0]);
        bytes[16..20].copy_from_slice(&[10, 0, 0, 0]);
        bytes[40..42].copy_from_slice(&u16::from(AF_INET).to_ne_bytes());
        bytes[42..44].copy_from_slice(&[24, 16]);
        let packets = "for packets from 10.0.0.0/16 to 10.1.0.0/24";
        let offloaded = MessageBuilder::new(&bytes).attribute(XFRMA_OFFLOAD_DEV, &[9, 0, 0, 0, 1]);
        let association = decode_ipsec_association(&offloaded.into_bytes()).unwrap();
        let device = u32::from_ne_bytes([9, 0, 0, 0]);
        assert_eq!(
            association,
            (device, format!("the IPsec association {packets}"))
        );
        assert_eq!(decode_ipsec_association(&bytes).unwrap().0, 0);
        bytes[48..52].copy_from_slice(&7u32.to_ne_bytes());
        let policy = decode_ipsec_policy(&bytes).unwrap();
        assert_eq!(policy, (7, format!("the IPsec policy {packets}")));
        assert!(decode_ipsec_policy(&bytes[..55]).is_err());
    }
}
