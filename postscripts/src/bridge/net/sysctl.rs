//! A device's settings below `/proc/sys/net`: all that change what it hears, answers, asks and forwards.
//!
//! `ipv4/rp_filter` is that of `ipv4/conf/DEVICE`, `ipv4/neigh/gc_stale_time` that of `ipv4/neigh/DEVICE`. A bridge
//! gets whatever its NIC has and a new device has not; what kernels add is among it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Reports that a program routes multicast by the device; nobody can set it.
pub(super) const MULTICAST_ROUTING: [&str; 2] = ["ipv4/mc_forwarding", "ipv6/mc_forwarding"];
/// The largest packet of IPv6, which the kernel makes that of the device whenever the carrier comes
/// (`addrconf_notify`, net/ipv6/addrconf.c), until a router advertises another.
pub(super) const MTU: &str = "ipv6/mtu";

/// The host's part of the addresses that routers advertise networks for (`ip token`): no file has it, and netlink
/// reads and sets it.
pub(super) const TOKEN: &str = "ipv6/token";
/// No token.
const NO_TOKEN: &str = "::";

/// What no other device gets: a setting that is another one in a coarser unit, and the secret of the addresses that
/// the kernel makes, which are looked at themselves.
const LEFT_OUT: [&str; 7] = [
    "ipv4/neigh/base_reachable_time",
    "ipv4/neigh/retrans_time",
    "ipv4/neigh/unres_qlen",
    "ipv6/neigh/base_reachable_time",
    "ipv6/neigh/retrans_time",
    "ipv6/neigh/unres_qlen",
    "ipv6/stable_secret",
];
/// A network namespace but the first has no `neigh/default`; its loopback device began with the same.
const NEIGHBOUR_DEFAULTS: [&str; 2] = ["default", "lo"];

/// The directories of a device, each with what is before the keys of its settings.
fn directories(device: &str) -> [(&'static str, PathBuf); 4] {
    [
        ("ipv4", "ipv4/conf"),
        ("ipv4/neigh", "ipv4/neigh"),
        ("ipv6", "ipv6/conf"),
        ("ipv6/neigh", "ipv6/neigh"),
    ]
    .map(|(start, directory)| {
        (
            start,
            Path::new("/proc/sys/net").join(directory).join(device),
        )
    })
}

/// Reads what there is.
pub(crate) fn load(device: &str) -> BTreeMap<String, String> {
    let directories = directories(device).into_iter();
    directories
        .flat_map(|(start, directory)| settings(start, &directory))
        .collect()
}

/// Reads what a new device begins with.
pub(crate) fn load_defaults() -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([(TOKEN.to_owned(), NO_TOKEN.to_owned())]);
    for device in NEIGHBOUR_DEFAULTS.iter().rev() {
        let is_default = |key: &str| *device == "default" || key.contains("/neigh/");
        all.extend(load(device).into_iter().filter(|(key, _)| is_default(key)));
    }
    all
}

/// Kernels that lack a setting lack its effect too; one that is not set cannot be read.
fn settings(start: &str, directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let setting = |entry: fs::DirEntry| {
        let key = format!("{start}/{}", entry.file_name().to_str()?);
        let value = fs::read_to_string(entry.path()).ok()?;
        (!LEFT_OUT.contains(&key.as_str())).then(|| (key, value.trim().to_owned()))
    };
    entries.filter_map(setting).collect()
}

/// Writes one.
pub(crate) fn save(device: &str, key: &str, value: &str) -> io::Result<()> {
    let (start, name) = key.rsplit_once('/').ok_or(io::ErrorKind::InvalidInput)?;
    let mut directories = directories(device).into_iter();
    let directory = directories.find(|(known, _)| *known == start);
    let (_, directory) = directory.ok_or(io::ErrorKind::InvalidInput)?;
    fs::write(directory.join(name), value)
}
