//! What keeps a NIC from being a port and shows nowhere but where one looks for it: devices that take its
//! frames first, some of them in a container's network namespace, and what is bound to it by name.

use std::fs;
use std::io;
use std::net::IpAddr;

use nix::libc;

use super::HostKernel;
use super::bound::{ipvs_daemons, mptcp_endpoints};
use super::raw::raw_sockets;
use super::receivers::receivers;
use crate::bridge::net::message::{self, BoundSocket, DeviceNames, LinkReport};
use crate::bridge::net::{PortObstacle, SocketProtocol};
use crate::netlink::Connection;
use crate::netlink::uapi::{SOCK_DIAG_BY_FAMILY, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN};

/// Drivers whose devices take every frame of the NIC below them, so that no bridge can.
const EXCLUSIVE_UPPERS: [&str; 6] = ["macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "rmnet"];
/// Drivers of tunnels: a device that such a one is bound to is used to look up the route to the other end.
const TUNNELS: [&str; 13] = [
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
    "xfrm",
];
/// Where a socket waits for anybody or speaks to somebody: its protocol, and its states as a mask. One of UDP that
/// is not connected is closed.
const RECEIVING: [(SocketProtocol, u32); 2] = [
    (SocketProtocol::Tcp, 1 << TCP_LISTEN | 1 << TCP_ESTABLISHED),
    (SocketProtocol::Udp, 1 << TCP_CLOSE | 1 << TCP_ESTABLISHED),
];
/// The ports of DHCP clients, which are handed over.
const DHCP_CLIENT_PORTS: [u16; 2] = [68, 546];
/// Only root may open a port below (ip(7)).
const PROT_SOCK: u16 = 1024;
/// PPPoE sessions: `Id Address Device`.
const PPPOE_SESSIONS: &str = "/proc/net/pppoe";
/// No host has more network namespaces.
const MAX_NAMESPACES: usize = 4096;

impl HostKernel {
    /// Finds them all, each with the NIC that it is about.
    pub(super) fn obstacles(
        &self,
        messages: &[LinkReport],
        names: &DeviceNames,
    ) -> io::Result<Vec<(String, PortObstacle)>> {
        let mut found = Vec::new();
        let mut add = |nic: Option<&str>, obstacle| {
            found.extend(nic.map(|nic| (nic.to_owned(), obstacle)));
        };
        for link in messages {
            if !link.arp {
                add(Some(&link.name), PortObstacle::NoArp);
            }
            let Some(kind) = link.driver.clone() else {
                continue;
            };
            let (parent, name) = (
                link.parent.and_then(|index| names.name(index)),
                link.name.clone(),
            );
            if EXCLUSIVE_UPPERS.contains(&kind.as_str()) {
                let elsewhere = false;
                add(
                    parent,
                    PortObstacle::Upper {
                        name,
                        kind,
                        elsewhere,
                    },
                );
            } else if TUNNELS.contains(&kind.as_str()) {
                add(parent, PortObstacle::Tunnel { name, kind });
            }
        }
        for line in fs::read_to_string(PPPOE_SESSIONS)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            add(line.split_whitespace().nth(2), PortObstacle::Session);
        }
        for (index, obstacle) in bound_sockets() {
            add(names.name(index), obstacle);
        }
        for (index, obstacle) in receivers() {
            add(names.name(index), obstacle);
        }
        for (nic, obstacle) in raw_sockets() {
            add(Some(&nic), obstacle);
        }
        for (index, what) in self.bound_objects()? {
            add(names.name(index), PortObstacle::Bound { what });
        }
        for (index, what) in mptcp_endpoints()? {
            add(names.name(index), PortObstacle::MptcpEndpoint { what });
        }
        for (nic, what) in ipvs_daemons()? {
            add(Some(&nic), PortObstacle::Bound { what });
        }
        for (index, name, kind) in self.uppers_elsewhere()? {
            let elsewhere = true;
            add(
                names.name(index),
                PortObstacle::Upper {
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
        // kernels before 4.20 look nowhere else; they answer with our own devices, which shows it
        let Ok(dump) = self
            .netlink
            .dump(libc::RTM_GETNSID, message::encode_namespaces_request())
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for body in dump.iter().take(MAX_NAMESPACES) {
            let Some(namespace) = message::decode_namespace(body)? else {
                continue;
            };
            let request = message::encode_links_of_namespace(namespace);
            for body in self
                .netlink
                .dump(libc::RTM_GETLINK, request)
                .unwrap_or_default()
            {
                let link = message::decode_link(&body)?;
                let (Some(kind), Some((parent, of))) = (link.driver, link.foreign_parent) else {
                    continue;
                };
                let is_ours =
                    link.target_namespace == Some(namespace) && self.own_namespace() == Some(of);
                if is_ours && EXCLUSIVE_UPPERS.contains(&kind.as_str()) {
                    found.push((parent, link.name.escape_debug().to_string(), kind));
                }
            }
        }
        Ok(found)
    }

    /// The number that our own network namespace has among those known to it.
    fn own_namespace(&self) -> Option<i32> {
        let request = message::encode_namespace_request(std::process::id());
        let answers = self.netlink.ask(libc::RTM_GETNSID, request).ok()?;
        let namespaces = answers.iter().map(|body| message::decode_namespace(body));
        namespaces.flatten().flatten().next()
    }
}

/// Sockets that are bound to one device, each with its number. A kernel that does not report them has none.
fn bound_sockets() -> Vec<(u32, PortObstacle)> {
    let mut found = Vec::new();
    let Ok(netlink) = Connection::about_sockets() else {
        return found;
    };
    for (protocol, states) in RECEIVING {
        let number = match protocol {
            SocketProtocol::Tcp => libc::IPPROTO_TCP,
            SocketProtocol::Udp => libc::IPPROTO_UDP,
        };
        for family in super::FAMILIES {
            let body = message::encode_socket_request(family, number as u8, states);
            let answers = netlink.dump(SOCK_DIAG_BY_FAMILY, body).unwrap_or_default();
            let sockets = answers
                .iter()
                .filter_map(|body| message::decode_socket(body));
            let obstacles = sockets.filter(|socket| is_obstacle(protocol, socket));
            found.extend(obstacles.map(|socket| {
                let (port, device) = (socket.port, socket.device);
                let obstacle = match socket.peer {
                    Some(peer) => PortObstacle::BoundConnection { protocol, peer },
                    None => PortObstacle::BoundSocket { protocol, port },
                };
                (device, obstacle)
            }));
        }
    }
    found
}

/// Reports whether a socket is in the way. Programs of other users than root at ports above 1023 do not decide
/// what root does to the network.
fn is_obstacle(protocol: SocketProtocol, socket: &BoundSocket) -> bool {
    // time servers bind themselves to each link-local address and look again
    let local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let follows = protocol == SocketProtocol::Udp && socket.address.is_some_and(local);
    let of_root = socket.user == 0 || socket.port < PROT_SOCK;
    socket.device != 0 && of_root && !follows && !DHCP_CLIENT_PORTS.contains(&socket.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_root_that_listen_on_one_device_alone_are_obstacles() {
        for (protocol, address, port, device, user, expected) in [
            (SocketProtocol::Tcp, "0.0.0.0", 22, 2, 0, true),
            (SocketProtocol::Tcp, "fe80::1", 22, 2, 0, true),
            (SocketProtocol::Udp, "0.0.0.0", 67, 2, 0, true),
            (SocketProtocol::Udp, "0.0.0.0", 123, 2, 101, true),
            (SocketProtocol::Tcp, "::", 8080, 2, 0, true),
            (SocketProtocol::Tcp, "0.0.0.0", 22, 0, 0, false),
            (SocketProtocol::Tcp, "::", 8080, 2, 1000, false),
            (SocketProtocol::Udp, "0.0.0.0", 68, 2, 0, false),
            (SocketProtocol::Udp, "fe80::1", 546, 2, 0, false),
            (SocketProtocol::Udp, "fe80::1", 123, 2, 0, false),
        ] {
            let socket = BoundSocket {
                port,
                address: address.parse().ok(),
                peer: None,
                device,
                user,
            };
            assert_eq!(is_obstacle(protocol, &socket), expected, "{socket:?}");
        }
    }
}
