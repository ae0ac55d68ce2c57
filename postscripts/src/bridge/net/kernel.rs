//! This host's kernel: reads its network as a [`NetState`], makes one step happen.
//!
//! What the kernel derives from addresses by itself (connected routes, the `local` table) is not
//! read: it comes and goes with them.

mod bound;
mod obstacles;
mod perform;
mod raw;
mod receivers;
mod switch;
mod traffic;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::libc;
use nix::net::if_::if_nametoindex;

use super::message::{self, DeviceNames};
use super::{Address, KernelRoute, Link, LinkKind, Neighbour, NetState, PortObstacle, sysctl};
use crate::netlink::uapi::{CAP_NET_ADMIN, RTM_GETNEXTHOP};
use crate::netlink::{AF_INET, AF_INET6, Connection};

const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
const FAMILIES: [u8; 2] = [AF_INET, AF_INET6];

/// The states in which the kernel knows a hardware address (`NUD_VALID` without those that need none).
const KNOWN: u16 = libc::NUD_REACHABLE | libc::NUD_STALE | libc::NUD_DELAY | libc::NUD_PROBE;

/// Devices, their numbers, and what keeps some from being ports.
type LinkDump = (Vec<Link>, DeviceNames, Vec<(String, PortObstacle)>);

/// The kernel, as far as this network namespace goes.
#[derive(Debug)]
pub struct HostKernel {
    netlink: Connection,
    /// Whether Open vSwitch is read too.
    reads_open_vswitch: bool,
}

impl HostKernel {
    /// Opens a conversation.
    ///
    /// # Errors
    /// When the kernel has no netlink, or this process may not use it.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            netlink: Connection::open()?,
            reads_open_vswitch: false,
        })
    }

    /// Reads the whole network; the settings below `/proc/sys/net` of the named devices only.
    ///
    /// # Errors
    /// When the kernel refuses to answer, or its answer makes no sense.
    pub fn load(&self, devices: &[&str]) -> io::Result<NetState> {
        let (mut links, names, obstacles) = self.links(devices)?;
        let mut addresses = Vec::new();
        for body in self
            .netlink
            .dump(libc::RTM_GETADDR, message::encode_addresses_request())?
        {
            addresses.extend(message::decode_address(&body, &names)?);
        }
        let mut neighbours = Vec::new();
        for (flags, family) in [
            (0, 0),
            (libc::NTF_PROXY, AF_INET),
            (libc::NTF_PROXY, AF_INET6),
        ] {
            let body = message::encode_neighbours_request(family, flags);
            for body in self.netlink.dump(libc::RTM_GETNEIGH, body)? {
                neighbours.extend(message::decode_neighbour(&body, &names)?);
            }
        }
        for link in &mut links {
            let mine = |(name, _): &(String, _)| *name == link.name;
            link.addresses = addresses
                .extract_if(.., |pair| mine(pair))
                .map(|p| p.1)
                .collect();
            let mine = |(name, _): &(String, _)| *name == link.name;
            let known = neighbours.extract_if(.., |pair| mine(pair)).map(|p| p.1);
            link.neighbours = known.filter(worth_keeping).collect();
        }
        let (mut routes, mut rules, mut nexthops) = (Vec::new(), Vec::new(), Vec::new());
        for family in FAMILIES {
            let request = message::encode_routes_request(family);
            for body in self.netlink.dump(libc::RTM_GETROUTE, request)? {
                let found = message::decode_routes(&body, &names)?;
                routes.extend(found.into_iter().filter(|route| !is_derived(route, &links)));
            }
            let request = message::encode_rules_request(family);
            for body in self.netlink.dump(libc::RTM_GETRULE, request)? {
                rules.push(message::decode_rule(&body)?);
            }
        }
        // kernels before 5.3 have no nexthop objects and report it in more than one way
        for body in self
            .netlink
            .dump(RTM_GETNEXTHOP, message::encode_nexthops_request())
            .unwrap_or_default()
        {
            nexthops.extend(message::decode_nexthop(&body, &names)?);
        }
        Ok(NetState {
            links,
            defaults: sysctl::load_defaults(),
            routes,
            nexthops,
            rules,
            obstacles,
            open_vswitch: self.open_vswitch()?,
        })
    }

    fn links(&self, devices: &[&str]) -> io::Result<LinkDump> {
        let dump = self
            .netlink
            .dump(libc::RTM_GETLINK, message::encode_link_name(0))?;
        let messages: Vec<_> = dump
            .iter()
            .map(|body| message::decode_link(body))
            .collect::<Result<_, _>>()?;
        let mut names = DeviceNames::default();
        for link in &messages {
            names.insert(link.index, &link.name);
        }
        let obstacles = match devices {
            [] => Vec::new(), // nobody is about to change anything
            _ => self.obstacles(&messages, &names)?,
        };
        let link = |m: message::LinkReport| {
            let wireless = m.kind == LinkKind::Ethernet
                && Path::new("/sys/class/net")
                    .join(&m.name)
                    .join("phy80211")
                    .exists();
            let mut sysctls = BTreeMap::new();
            if devices.contains(&m.name.as_str()) {
                sysctls = sysctl::load(&m.name);
                sysctls.extend(m.token.map(|ip| (sysctl::TOKEN.to_owned(), ip.to_string())));
            }
            Link {
                kind: if wireless { LinkKind::Wireless } else { m.kind },
                mac: m.mac,
                mtu: m.mtu,
                up: m.up,
                carrier: m.carrier,
                group: m.group,
                master: m
                    .master
                    .and_then(|index| names.name(index))
                    .map(str::to_owned),
                parent: m
                    .parent
                    .and_then(|index| names.name(index))
                    .map(str::to_owned),
                bridge: m.bridge,
                addresses: Vec::new(),
                neighbours: Vec::new(),
                sysctls,
                name: m.name,
            }
        };
        let links = messages.into_iter().map(link).collect();
        Ok((links, names, obstacles))
    }

    /// Asks the kernel to find out, from now, whether a neighbour answers.
    ///
    /// # Errors
    /// When the kernel refuses to ask.
    pub fn ask_neighbour(&self, link: &str, ip: IpAddr) -> io::Result<()> {
        let index = index(link)?;
        let body = match self.neighbour(link, ip)? {
            Some(known) if known.state & libc::NUD_PERMANENT != 0 => return Ok(()),
            Some(known) if known.state & KNOWN != 0 => message::encode_neighbour(
                index,
                &Neighbour {
                    state: libc::NUD_PROBE,
                    ..known
                },
            ),
            _ => message::encode_neighbour_use(index, ip),
        };
        self.netlink.change(libc::RTM_NEWNEIGH, REPLACE, body)
    }

    /// Reports whether a neighbour has answered since it was last asked.
    ///
    /// # Errors
    /// When the kernel refuses to answer.
    pub fn neighbour_answers(&self, link: &str, ip: IpAddr) -> io::Result<bool> {
        let known = self.neighbour(link, ip)?;
        Ok(known
            .is_some_and(|known| known.state & (libc::NUD_REACHABLE | libc::NUD_PERMANENT) != 0))
    }

    fn neighbour(&self, link: &str, ip: IpAddr) -> io::Result<Option<Neighbour>> {
        let mut names = DeviceNames::default();
        names.insert(index(link)?, link);
        let family = if ip.is_ipv6() { AF_INET6 } else { AF_INET };
        let request = message::encode_neighbours_request(family, 0);
        for body in self.netlink.dump(libc::RTM_GETNEIGH, request)? {
            match message::decode_neighbour(&body, &names)? {
                Some((_, neighbour)) if neighbour.ip == ip => return Ok(Some(neighbour)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Reports whether this process may change the network (capabilities(7), `CAP_NET_ADMIN`); where the
/// kernel does not report it, it may try.
pub fn may_change() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_none_or(|bits| bits & 1 << CAP_NET_ADMIN != 0)
}

fn index(name: &str) -> io::Result<u32> {
    if_nametoindex(name).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}

/// An administrator's entry, or a hardware address that is known.
fn worth_keeping(neighbour: &Neighbour) -> bool {
    neighbour.administered().is_some() || neighbour.state & KNOWN != 0
}

/// Reports whether the kernel makes this route by itself: it is of the `local` table's kind, or it is
/// the network of an address or of IPv6's link-local and multicast ranges. Who gives an address without its
/// network (`IFA_F_NOPREFIXROUTE`: NetworkManager does) adds the route himself, as one of the kernel's.
fn is_derived(route: &KernelRoute, links: &[Link]) -> bool {
    if route.protocol != libc::RTPROT_KERNEL {
        return false;
    }
    if (libc::RTN_LOCAL..=libc::RTN_MULTICAST).contains(&route.kind) {
        return true;
    }
    if route.expires.is_some() {
        return false; // of an advertisement: it stays when its address goes
    }
    let Some(destination) = route.destination else {
        return false;
    };
    let (ip, len) = (destination.ip(), destination.prefix());
    let own_range = match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => (ip.segments()[0] == 0xfe80 && len == 64) || ip.octets()[0] == 0xff,
    };
    let of_address = |address: &&Address| {
        let of_network = address
            .prefix()
            .is_some_and(|prefix| (prefix.network(), prefix.prefix()) == (ip, len));
        of_network || address.peer.is_some() && address.ip == ip && len == 128
    };
    let addresses = links
        .iter()
        .filter(|link| route.leaves_by(&link.name))
        .flat_map(|link| &link.addresses);
    let mut theirs = addresses.filter(of_address).peekable();
    match theirs.peek() {
        Some(_) => theirs.any(|address| address.flags & libc::IFA_F_NOPREFIXROUTE == 0),
        None => own_range,
    }
}
