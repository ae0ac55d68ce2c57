//! Sockets for a whole protocol (raw(7)) that are bound to a device, as keepalived's VRRP and a router's OSPF have
//! them: their packets come in by the bridge.
//!
//! The kernel lists these sockets without their device unless it has `raw_diag`, so that each is asked for by a copy of
//! its descriptor. Reference: net/ipv4/raw.c (`raw_sock_seq_show`), pidfd_getfd(2).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::BindToDevice;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::bridge::net::PortObstacle;

/// ICMP and ICMPv6: who asks by it (ping, router discovery) asks again, and those that configure the NIC are handed
/// over.
const HARMLESS: [u8; 2] = [1, 58];

/// Finds root's: the name of a device, and what is bound to it.
pub(super) fn raw_sockets() -> Vec<(String, PortObstacle)> {
    let read = |name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let listed = ["raw", "raw6"].map(read);
    let sockets: BTreeMap<u64, u8> = listed.iter().flat_map(|text| sockets(text)).collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found = Vec::new();
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        found.extend(held_by(&process.path(), pid, &sockets));
    }
    found.dedup();
    found
}

/// Those among `sockets` that one process has open and that are bound to a device.
fn held_by(process: &Path, pid: i32, sockets: &BTreeMap<u64, u8>) -> Vec<(String, PortObstacle)> {
    let open = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    let held = open.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let inode = target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?;
        let protocol = sockets.get(&inode.parse().ok()?)?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, *protocol))
    });
    let mut found = Vec::new();
    for (number, protocol) in held {
        let Some(device) = device_of(pid, number) else {
            continue;
        };
        let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let comm = comm.trim().escape_debug();
        let what =
            format!("the socket of {comm} (process {pid}) for packets of IP protocol {protocol}");
        found.push((device, PortObstacle::Bound { what }));
    }
    found
}

/// The device that a descriptor of another process is bound to.
fn device_of(pid: i32, number: i32) -> Option<String> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let socket = pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()?;
    let device: OsString = getsockopt(&socket, BindToDevice).ok()?;
    let device = device.into_string().ok()?;
    (!device.is_empty()).then_some(device)
}

/// Root's sockets by their number, each with its protocol: `sl local_address rem_address st queues timer retransmissions
/// uid timeout inode …`, where the port of the local address is the protocol.
fn sockets(text: &str) -> impl Iterator<Item = (u64, u8)> {
    text.lines().skip(1).filter_map(|line| {
        let [_, local, _, _, _, _, _, "0", _, inode, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let (_, protocol) = local.rsplit_once(':')?;
        let protocol = u8::from_str_radix(protocol.trim_start_matches("00"), 16).ok()?;
        (!HARMLESS.contains(&protocol)).then_some((inode.parse().ok()?, protocol))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_root_for_a_protocol_are_listed() {
        let line = |local: &str, user: u32, inode: u32| {
            format!(
                " 7: {local} 00000000:0000 07 00000000:00000000 00:00000000 00000000 {user} 0 {inode} 2 0 0\n"
            )
        };
        let text = [
            "sl local_address ...\n".to_owned(),
            line("00000000:0070", 0, 11),
            line("00000000:0059", 106, 12),
            line("00000000:0001", 0, 13),
            line("00000000000000000000000000000000:0059", 0, 14),
            line("00000000000000000000000000000000:003A", 0, 15),
            "cut short\n".to_owned(),
        ];
        let found: Vec<_> = sockets(&text.concat()).collect();
        assert_eq!(found, [(11, 112), (14, 89)]);
    }
}
