//! Sockets for a whole protocol (raw(7)) that are bound to a device, as keepalived's VRRP and a router's OSPF have
//! them, and those of ping(8), mtr(8) and their like (icmp(7)): their packets come in by the bridge.
//!
//! The kernel lists these sockets without their device unless it has `raw_diag`, so that each is asked for by a copy of
//! its descriptor. Reference: net/ipv4/raw.c (`raw_sock_seq_show`), net/ipv4/ping.c (`ping_v4_format_sock`),
//! pidfd_getfd(2).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::BindToDevice;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::bridge::net::PortObstacle;

/// ICMP and ICMPv6: who asks by it asks again.
const ICMP: [u8; 2] = [1, 58];
/// Who configures the NIC by ICMPv6, and is handed over.
const HANDED_OVER: [&str; 4] = [
    "systemd-network",
    "NetworkManager",
    "dhcpcd",
    "wickedd-dhcp6",
];

/// Finds them: the name of a device, and what is bound to it.
pub(super) fn raw_sockets() -> Vec<(String, PortObstacle)> {
    let read = |name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let mut sockets = BTreeMap::new();
    for name in ["raw", "raw6"] {
        sockets.extend(of_protocols(&read(name)));
    }
    for (name, protocol) in ["icmp", "icmp6"].into_iter().zip(ICMP) {
        sockets.extend(of_ping(&read(name), protocol));
    }
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
        let comm = comm.trim().escape_debug().to_string();
        let program = format!("{comm} (process {pid})");
        let obstacle = if !ICMP.contains(&protocol) {
            let what = format!("the socket of {program} for packets of IP protocol {protocol}");
            PortObstacle::Bound { what }
        } else if HANDED_OVER.contains(&comm.as_str()) {
            continue;
        } else {
            PortObstacle::Echo { program }
        };
        found.push((device, obstacle));
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

/// Sockets by their number, each with its protocol: `sl local_address rem_address st queues timer retransmissions uid
/// timeout inode …`, where the port of the local address is the protocol. Those for other protocols than ICMP are root's.
fn of_protocols(text: &str) -> impl Iterator<Item = (u64, u8)> {
    lines(text).filter_map(|(local, user, inode)| {
        let (_, protocol) = local.rsplit_once(':')?;
        let protocol = u8::from_str_radix(protocol.trim_start_matches("00"), 16).ok()?;
        (user == "0" || ICMP.contains(&protocol)).then_some((inode, protocol))
    })
}

/// The same of sockets that only ask for echoes, where the port is the identifier of the questions.
fn of_ping(text: &str, protocol: u8) -> impl Iterator<Item = (u64, u8)> {
    lines(text).map(move |(_, _, inode)| (inode, protocol))
}

/// The local address, the user and the number of each.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str, u64)> {
    text.lines().skip(1).filter_map(|line| {
        let [_, local, _, _, _, _, _, user, _, inode, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        Some((local, user, inode.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_root_for_a_protocol_and_anybodys_for_icmp_are_listed() {
        let line = |local: &str, user: u32, inode: u32| {
            format!(
                " 7: {local} 00000000:0000 07 00000000:00000000 00:00000000 00000000 {user} 0 {inode} 2 0 0\n"
            )
        };
        let text = [
            "sl local_address ...\n".to_owned(),
            line("00000000:0070", 0, 11),
            line("00000000:0059", 106, 12),
            line("00000000:0001", 1000, 13),
            line("00000000000000000000000000000000:0059", 0, 14),
            line("00000000000000000000000000000000:003A", 0, 15),
            "cut short\n".to_owned(),
        ];
        let found: Vec<_> = of_protocols(&text.concat()).collect();
        assert_eq!(found, [(11, 112), (13, 1), (14, 89), (15, 58)]);
        let text = format!("sl local_address ...\n{}", line("00000000:1F2E", 1000, 16));
        assert_eq!(of_ping(&text, 58).collect::<Vec<_>>(), [(16, 58)]);
    }
}
