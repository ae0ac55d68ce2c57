//! Netlink messages ⇄ values: bytes come in, plain values go out, and the other way round.
//!
//! Pure: nothing here opens a socket. Each file knows one object of rtnetlink by the types of netlink-packet-route (how,
//! and why not its parsers of whole messages: [`typed`]) and the attributes that a decision hangs on; the rest passes
//! through as bytes. [`raw`] is what the crate lacks. What is too short or does not add up is an error that names the
//! object, never a guess.

mod address;
mod filter;
mod label;
mod link;
mod namespace;
mod neighbour;
mod queueing;
mod raw;
mod route;
mod rule;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;

pub(crate) use address::{decode_address, encode_address, encode_addresses_request};
pub(crate) use filter::{FilterDevice, TrafficFilter, decode_filter, encode_filter_request};
pub(crate) use label::{decode_address_label, encode_address_labels_request};
pub(crate) use link::{
    LinkChange, LinkReport, NewBridge, decode_link, encode_bridge, encode_bridge_settings,
    encode_link_change, encode_link_name, encode_links_of_namespace, encode_token, encode_veth,
};
pub(crate) use namespace::{decode_namespace, encode_namespace_request, encode_namespaces_request};
pub(crate) use neighbour::{
    decode_neighbour, encode_neighbour, encode_neighbour_use, encode_neighbours_request,
};
pub(crate) use queueing::{Queueing, decode_queueing, encode_queueing_request};
pub(crate) use raw::{
    BoundSocket, decode_endpoint, decode_family, decode_ipsec_association, decode_ipsec_policy,
    decode_ipvs_daemon, decode_nexthop, decode_socket, encode_family_request, encode_features_off,
    encode_nexthop, encode_nexthops_request, encode_socket_request,
};
pub(crate) use route::{decode_routes, encode_route, encode_routes_request};
pub(crate) use rule::{decode_rule, encode_rule, encode_rules_request};

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
