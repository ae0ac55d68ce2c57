//! What is bound to a device by its number: address labels, endpoints of MPTCP, IPsec.

use std::io;

use nix::libc;

use super::HostKernel;
use crate::bridge::net::message;
use crate::netlink::Connection;
use crate::netlink::uapi::{
    GENL_ID_CTRL, MPTCP_PM_CMD_GET_ADDR, MPTCP_PM_NAME, XFRM_MSG_GETPOLICY, XFRM_MSG_GETSA,
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

/// Addresses of this host that connections of MPTCP use. A kernel without has no such family, and only root may ask.
pub(super) fn mptcp_endpoints() -> io::Result<Vec<(u32, String)>> {
    let Ok(netlink) = Connection::generic() else {
        return Ok(Vec::new());
    };
    let request = message::encode_family_request(MPTCP_PM_NAME);
    let answers = netlink.ask(GENL_ID_CTRL, request).unwrap_or_default();
    let Some(family) = answers.iter().find_map(|body| message::decode_family(body)) else {
        return Ok(Vec::new());
    };
    let request = vec![MPTCP_PM_CMD_GET_ADDR, 1, 0, 0];
    let mut found = Vec::new();
    for body in netlink.dump(family, request).unwrap_or_default() {
        found.extend(message::decode_endpoint(&body)?);
    }
    Ok(found)
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
