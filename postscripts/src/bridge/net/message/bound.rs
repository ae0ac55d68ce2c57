//! What can be bound to a device by its number: `struct ifaddrlblmsg` (linux/if_addrlabel.h), `MPTCP_PM_*`
//! (linux/mptcp_pm.h), `struct xfrm_selector` (linux/xfrm.h). Each is read as that number and what it is in words.

use std::io;
use std::net::IpAddr;

use crate::netlink::AF_INET6;
use crate::netlink::attribute::{
    MessageBuilder, attributes, ip, number, short, split, take, take_ip, take_number, take_text,
};
use crate::netlink::uapi::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, IFAL_ADDRESS, IFAL_LABEL,
    IPVS_CMD_ATTR_DAEMON, IPVS_DAEMON_ATTR_MCAST_IFN, IPVS_DAEMON_ATTR_STATE,
    IPVS_DAEMON_ATTR_SYNC_ID, MPTCP_PM_ADDR_ATTR_ADDR4, MPTCP_PM_ADDR_ATTR_ADDR6,
    MPTCP_PM_ADDR_ATTR_ID, MPTCP_PM_ADDR_ATTR_IF_IDX, MPTCP_PM_ATTR_ADDR, XFRMA_OFFLOAD_DEV,
};

/// `sizeof(struct xfrm_usersa_info)`, which attributes follow.
const ASSOCIATION: usize = 224;

/// Reads an `RTM_NEWADDRLABEL`.
pub(crate) fn decode_address_label(bytes: &[u8]) -> io::Result<Option<(u32, String)>> {
    let (header, mut rest) = split::<12>(bytes)?;
    let [_, _, length, _, i0, i1, i2, i3, ..] = header;
    let device = u32::from_ne_bytes([i0, i1, i2, i3]);
    let label = take_number(&mut rest, IFAL_LABEL).unwrap_or_default();
    let address = take_ip(&mut rest, IFAL_ADDRESS);
    Ok(address.map(|ip| {
        (
            device,
            format!("the address label {label} of {ip}/{length}"),
        )
    }))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::AF_INET;

    #[test]
    fn an_address_label_is_read_with_its_device() {
        let message = MessageBuilder::new(&[AF_INET6, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0])
            .address(IFAL_ADDRESS, "fd00::".parse().unwrap())
            .number(IFAL_LABEL, 99);
        let read = decode_address_label(&message.into_bytes()).unwrap();
        let device = u32::from_ne_bytes([7, 0, 0, 0]);
        assert_eq!(
            read,
            Some((device, "the address label 99 of fd00::/8".to_owned()))
        );
        assert!(decode_address_label(&[0; 11]).is_err());
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
