//! A device's settings below `/proc/sys/net`: those that change what it hears, answers and forwards.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// What a bridge must do as its NIC did. Kernels that lack one lack its effect too.
const KEYS: &[&str] = &[
    "ipv4/accept_local",
    "ipv4/accept_redirects",
    "ipv4/accept_source_route",
    "ipv4/arp_accept",
    "ipv4/arp_announce",
    "ipv4/arp_filter",
    "ipv4/arp_ignore",
    "ipv4/arp_notify",
    "ipv4/forwarding",
    "ipv4/ignore_routes_with_linkdown",
    "ipv4/log_martians",
    "ipv4/promote_secondaries",
    "ipv4/proxy_arp",
    "ipv4/route_localnet",
    "ipv4/rp_filter",
    "ipv4/secure_redirects",
    "ipv4/send_redirects",
    "ipv4/shared_media",
    "ipv4/src_valid_mark",
    "ipv6/disable_ipv6",
    "ipv6/forwarding",
    "ipv6/accept_dad",
    "ipv6/accept_ra",
    "ipv6/accept_ra_defrtr",
    "ipv6/accept_ra_from_local",
    "ipv6/accept_ra_mtu",
    "ipv6/accept_ra_pinfo",
    "ipv6/accept_ra_rt_info_max_plen",
    "ipv6/accept_ra_rtr_pref",
    "ipv6/accept_redirects",
    "ipv6/accept_source_route",
    "ipv6/addr_gen_mode",
    "ipv6/autoconf",
    "ipv6/dad_transmits",
    "ipv6/ignore_routes_with_linkdown",
    "ipv6/proxy_ndp",
    "ipv6/use_tempaddr",
];

fn path(device: &str, key: &str) -> Option<PathBuf> {
    let (family, key) = key.split_once('/')?;
    Some(
        ["/proc/sys/net", family, "conf", device, key]
            .iter()
            .collect(),
    )
}

/// Reads what there is.
pub(crate) fn load(device: &str) -> BTreeMap<String, String> {
    let value = |key: &str| fs::read_to_string(path(device, key)?).ok();
    KEYS.iter()
        .filter_map(|key| Some((key.to_string(), value(key)?.trim().to_owned())))
        .collect()
}

/// Writes one.
pub(crate) fn save(device: &str, key: &str, value: &str) -> io::Result<()> {
    let path = path(device, key).ok_or(io::ErrorKind::InvalidInput)?;
    fs::write(path, value)
}
