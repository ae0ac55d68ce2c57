//! What keeps a NIC from being a port and shows nowhere but where one looks for it: devices that take its
//! frames first, some of them in a container's network namespace, and what is bound to it by name.

use std::fs;
use std::io;
use std::net::IpAddr;

use nix::libc;

use super::Kernel;
use crate::bridge::net::Obstacle;
use crate::bridge::net::message::{self, DeviceNames, LinkMessage, Listener};
use crate::netlink::Connection;
use crate::netlink::attribute::MessageBuilder;

/// Drivers whose devices take every frame of the NIC that they stand on, so that no bridge can.
const TAKE_ALL: [&str; 6] = ["macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "rmnet"];
/// Drivers of tunnels: a device that such a one is bound to is asked for a route to the other end.
const TUNNELS: [&str; 12] = [
    "vxlan",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "erspan",
    "ip6erspan",
    "ipip",
    "sit",
    "ip6tnl",
    "vti",
    "vti6",
];
/// `SOCK_DIAG_BY_FAMILY`, and the states in which a socket of TCP or UDP waits for anybody.
const BY_FAMILY: u16 = 20;
const WAITS: [(&str, u8, u32); 2] = [("TCP", 6, 1 << 10), ("UDP", 17, 1 << 7)];
/// DHCP clients are handed over.
const CLIENTS: [u16; 2] = [68, 546];
/// Ports below are root's to give.
const PRIVILEGED: u16 = 1024;
/// PPPoE sessions: `Id Address Device`.
const SESSIONS: &str = "/proc/net/pppoe";
/// No host has more network namespaces.
const NAMESPACES: usize = 4096;

impl Kernel {
    /// Finds them all, each with the NIC that it is about.
    pub(super) fn obstacles(
        &self,
        messages: &[LinkMessage],
        names: &DeviceNames,
    ) -> io::Result<Vec<(String, Obstacle)>> {
        let mut found = Vec::new();
        let mut add = |nic: Option<&str>, obstacle| {
            found.extend(nic.map(|nic| (nic.to_owned(), obstacle)));
        };
        for link in messages {
            if !link.arp {
                add(Some(&link.name), Obstacle::NoArp);
            }
            let Some(kind) = link.driver.clone() else {
                continue;
            };
            let (parent, name) = (
                link.parent.and_then(|index| names.name(index)),
                link.name.clone(),
            );
            if TAKE_ALL.contains(&kind.as_str()) {
                let elsewhere = false;
                add(
                    parent,
                    Obstacle::Upper {
                        name,
                        kind,
                        elsewhere,
                    },
                );
            } else if TUNNELS.contains(&kind.as_str()) {
                add(parent, Obstacle::Tunnel { name, kind });
            }
        }
        for line in fs::read_to_string(SESSIONS)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            add(line.split_whitespace().nth(2), Obstacle::Session);
        }
        for (index, protocol, port) in listeners() {
            let protocol = protocol.to_owned();
            add(names.name(index), Obstacle::Listener { protocol, port });
        }
        for (index, name, kind) in self.uppers_elsewhere()? {
            let elsewhere = true;
            add(
                names.name(index),
                Obstacle::Upper {
                    name,
                    kind,
                    elsewhere,
                },
            );
        }
        Ok(found)
    }

    /// Devices in other network namespaces that take the frames of one in ours: the number of ours, their
    /// name and their kind. Namespaces of others that we may not look into are left out.
    fn uppers_elsewhere(&self) -> io::Result<Vec<(u32, String, String)>> {
        // kernels before 4.20 look nowhere else; they answer with our own devices, which say so
        let Ok(dump) = self.netlink.dump(libc::RTM_GETNSID, vec![0; 4]) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for body in dump.iter().take(NAMESPACES) {
            let Some(namespace) = message::decode_namespace(body)? else {
                continue;
            };
            let request = message::encode_links_elsewhere(namespace);
            for body in self
                .netlink
                .dump(libc::RTM_GETLINK, request)
                .unwrap_or_default()
            {
                let link = message::decode_link(&body)?;
                let (Some(kind), Some((parent, of))) = (link.driver, link.parent_elsewhere) else {
                    continue;
                };
                let is_ours = link.seen_in == Some(namespace) && self.own_namespace() == Some(of);
                if is_ours && TAKE_ALL.contains(&kind.as_str()) {
                    found.push((parent, link.name.escape_debug().to_string(), kind));
                }
            }
        }
        Ok(found)
    }

    /// The number that our own network namespace has among those known to it.
    fn own_namespace(&self) -> Option<i32> {
        const BY_PROCESS: u16 = 2;
        let body = MessageBuilder::new(&[0; 4]).number(BY_PROCESS, std::process::id());
        let answers = self
            .netlink
            .ask(libc::RTM_GETNSID, body.into_bytes())
            .ok()?;
        let namespaces = answers.iter().map(|body| message::decode_namespace(body));
        namespaces.flatten().flatten().next()
    }
}

/// Sockets that hear one device alone: its number, the protocol and the port. A kernel that does not tell
/// has none.
fn listeners() -> Vec<(u32, &'static str, u16)> {
    let mut found = Vec::new();
    let Ok(netlink) = Connection::about_sockets() else {
        return found;
    };
    for (name, protocol, states) in WAITS {
        for family in super::FAMILIES {
            let body = message::encode_listeners(family, protocol, states);
            let answers = netlink.dump(BY_FAMILY, body).unwrap_or_default();
            let listeners = answers
                .iter()
                .filter_map(|body| message::decode_listener(body));
            let counting = listeners.filter(|one| counts(name, one));
            found.extend(counting.map(|one| (one.device, name, one.port)));
        }
    }
    found
}

/// Says whether a listener is in the way: who is not root may listen where others may too, but not say what
/// root does to the network.
fn counts(protocol: &str, one: &Listener) -> bool {
    // time servers bind themselves to each link-local address and look again
    let local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let follows = protocol == "UDP" && one.address.is_some_and(local);
    let of_root = one.user == 0 || one.port < PRIVILEGED;
    one.device != 0 && of_root && !follows && !CLIENTS.contains(&one.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_root_that_hear_one_device_alone_count() {
        for (protocol, address, port, device, user, expected) in [
            ("TCP", "0.0.0.0", 22, 2, 0, true),
            ("TCP", "fe80::1", 22, 2, 0, true),
            ("UDP", "0.0.0.0", 67, 2, 0, true),
            ("UDP", "0.0.0.0", 123, 2, 101, true),
            ("TCP", "::", 8080, 2, 0, true),
            ("TCP", "0.0.0.0", 22, 0, 0, false),
            ("TCP", "::", 8080, 2, 1000, false),
            ("UDP", "0.0.0.0", 68, 2, 0, false),
            ("UDP", "fe80::1", 546, 2, 0, false),
            ("UDP", "fe80::1", 123, 2, 0, false),
        ] {
            let listener = Listener {
                port,
                address: address.parse().ok(),
                device,
                user,
            };
            assert_eq!(counts(protocol, &listener), expected, "{listener:?}");
        }
    }
}
