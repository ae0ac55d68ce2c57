//! What is bound to a device: address labels, endpoints of MPTCP, daemons of IPVS, IPsec.

use std::io;

use nix::libc;

use super::HostKernel;
use crate::bridge::net::message;
use crate::netlink::Connection;
use crate::netlink::uapi::{
    GENL_ID_CTRL, IPVS_CMD_GET_DAEMON, IPVS_GENL_NAME, MPTCP_PM_CMD_GET_ADDR, MPTCP_PM_NAME,
    XFRM_MSG_GETPOLICY, XFRM_MSG_GETSA,
};

impl HostKernel {
    /// Finds labels and IPsec, each with the number of its device.
    pub(super) fn bound_objects(&self) -> io::Result<Vec<(u32, String)>> {
        let mut found = Vec::new();
        // a kernel without IPv6 has no labels
        let request = message::encode_address_labels_request();
        let labels = self.netlink.dump(libc::RTM_GETADDRLABEL, request);
        for body in labels.unwrap_or_default() {
            found.extend(message::decode_address_label(&body)?);
        }
        found.extend(ipsec()?);
        found.retain(|(index, _)| *index != 0);
        Ok(found)
    }
}

/// Addresses of this host that connections of MPTCP use.
pub(super) fn mptcp_endpoints() -> io::Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for body in family_dump(MPTCP_PM_NAME, MPTCP_PM_CMD_GET_ADDR) {
        found.extend(message::decode_endpoint(&body)?);
    }
    Ok(found)
}

/// Daemons of IPVS, each with the name of its device: they send from its addresses, and join a group there.
pub(super) fn ipvs_daemons() -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for body in family_dump(IPVS_GENL_NAME, IPVS_CMD_GET_DAEMON) {
        found.extend(message::decode_ipvs_daemon(&body)?);
    }
    Ok(found)
}

/// What a family of generic netlink has. A kernel without it has no such family, and only root may ask.
fn family_dump(name: &str, command: u8) -> Vec<Vec<u8>> {
    let ask = || -> io::Result<Vec<Vec<u8>>> {
        let netlink = Connection::generic()?;
        let answers = netlink.ask(GENL_ID_CTRL, message::encode_family_request(name))?;
        let family = answers.iter().find_map(|body| message::decode_family(body));
        let family = family.ok_or(io::ErrorKind::NotFound)?;
        netlink.dump(family, vec![command, 1, 0, 0])
    };
    ask().unwrap_or_default()
}

/// Policies and associations of IPsec. A kernel without has no such protocol, and only root may ask.
fn ipsec() -> io::Result<Vec<(u32, String)>> {
    let Ok(netlink) = Connection::about_ipsec() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for body in netlink
        .dump(XFRM_MSG_GETPOLICY, Vec::new())
        .unwrap_or_default()
    {
        found.push(message::decode_ipsec_policy(&body)?);
    }
    for body in netlink.dump(XFRM_MSG_GETSA, Vec::new()).unwrap_or_default() {
        found.push(message::decode_ipsec_association(&body)?);
    }
    Ok(found)
}
