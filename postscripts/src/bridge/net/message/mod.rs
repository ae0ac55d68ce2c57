//! Netlink messages ⇄ values: bytes come in, plain values go out, and the other way round.
//!
//! Pure: nothing here opens a socket. Each file knows one object's header (`linux/rtnetlink.h` and
//! its siblings) and the attributes that a decision hangs on; the rest passes through as bytes. What
//! is too short or does not add up is an error, never a guess.

mod address;
mod bound;
mod filter;
mod link;
mod neighbour;
mod nexthop;
mod queueing;
mod route;
mod rule;
mod socket;
mod veth;

use std::collections::BTreeMap;

pub(crate) use address::{decode_address, encode_address};
pub(crate) use bound::{
    decode_address_label, decode_endpoint, decode_family, decode_ipsec_association,
    decode_ipsec_policy, decode_ipvs_daemon, encode_family_request,
};
pub(crate) use filter::{FilterDevice, TrafficFilter, decode_filter, encode_filter_request};
pub(crate) use link::{
    LinkChange, LinkMessage, decode_link, decode_namespace, encode_bridge, encode_bridge_settings,
    encode_link_change, encode_link_name, encode_links_of_namespace, encode_token,
};
pub(crate) use neighbour::{decode_neighbour, encode_neighbour, encode_neighbour_use};
pub(crate) use nexthop::{decode_nexthop, encode_nexthop};
pub(crate) use queueing::{Queueing, decode_queueing};
pub(crate) use route::{decode_routes, encode_route};
pub(crate) use rule::{decode_rule, encode_rule};
pub(crate) use socket::{BoundSocket, decode_socket, encode_socket_request};
pub(crate) use veth::{encode_features_off, encode_veth};

/// Which number each device has at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceNames(BTreeMap<u32, String>);

impl DeviceNames {
    pub(crate) fn insert(&mut self, index: u32, name: &str) {
        self.0.insert(index, name.to_owned());
    }

    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        self.0.get(&index).map(String::as_str)
    }

    pub(crate) fn index(&self, name: &str) -> std::io::Result<u32> {
        self.0
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(index, _)| *index)
            .ok_or_else(|| std::io::Error::from_raw_os_error(nix::libc::ENODEV))
    }
}
