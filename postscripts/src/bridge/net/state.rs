//! The kernel's network as plain values that can be compared, stored and put back.
//!
//! Devices are named, never numbered: a device that is deleted and created again has another number, and an undo
//! has to find it all the same. What is
//! modelled is what a decision hangs on; every other attribute of an object is carried along byte for
//! byte ([`NetlinkAttribute`]), so that what is put back is what was there. Numbers are those of
//! `linux/rtnetlink.h`, `if_addr.h`, `fib_rules.h`, `neighbour.h` and `nexthop.h`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::number;
use crate::netlink::uapi::{FRA_PRIORITY, NDA_FLAGS_EXT, NTF_EXT_MANAGED, RTPROT_RA};
use ipnetwork::IpNetwork;
use nix::libc;
use serde::{Deserialize, Serialize};

use super::{Mac, OpenVSwitch};

/// The network of one host at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetState {
    /// Every device with what hangs on it, in the kernel's order.
    pub links: Vec<Link>,
    /// The settings below `/proc/sys/net` that a new device begins with.
    pub defaults: BTreeMap<String, String>,
    /// The routes of every table, save those that the kernel makes from addresses by itself.
    pub routes: Vec<KernelRoute>,
    /// Nexthop objects.
    pub nexthops: Vec<NextHop>,
    /// Policy rules, in the order of their priority.
    pub rules: Vec<PolicyRule>,
    /// What keeps devices from being ports, each with its device; only where a change is planned.
    pub obstacles: Vec<(String, PortObstacle)>,
    /// Open vSwitch; only where an uplink has a switch.
    #[serde(default)]
    pub open_vswitch: Option<OpenVSwitch>,
}

/// What keeps a device from being a port of a bridge, or would not work when it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the variants' lines describe the fields
pub enum PortObstacle {
    /// It resolves no addresses.
    NoArp,
    /// A device that takes all its frames, maybe in another network namespace.
    Upper {
        name: String,
        kind: String,
        elsewhere: bool,
    },
    /// A tunnel that looks up the route to its other end on this device alone.
    Tunnel { name: String, kind: String },
    /// A PPPoE session.
    Session,
    /// An object of the kernel that is bound to it by its number, in words.
    Bound { what: String },
    /// An address that connections of MPTCP use by this device, in words.
    MptcpEndpoint { what: String },
    /// A program that listens on this device alone.
    BoundSocket { protocol: SocketProtocol, port: u16 },
    /// A program that speaks to somebody by this device alone.
    BoundConnection {
        protocol: SocketProtocol,
        peer: SocketAddr,
    },
    /// A program that receives frames of a type here.
    Frames { ether_type: u16 },
    /// A group that a program joined here.
    Group { group: IpAddr },
    /// A program that asks for echoes by this device alone, in words.
    Echo { program: String },
}

/// The protocol of a socket; prints as `TCP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SocketProtocol {
    /// The transmission control protocol.
    Tcp,
    /// The user datagram protocol.
    Udp,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Its hardware address, if it is an Ethernet address.
    pub mac: Option<Mac>,
    /// The largest packet it takes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier.
    pub carrier: bool,
    /// The number of its group (`ip link set … group`).
    #[serde(default)]
    pub group: u32,
    /// The bridge, bond or other device it belongs to.
    pub master: Option<String>,
    /// The device below it: a VLAN's parent (`IFLA_LINK`).
    pub parent: Option<String>,
    /// How it bridges, if it is a bridge.
    pub bridge: Option<BridgeSettings>,
    /// Its addresses in the kernel's order, primaries before their secondaries. The first of a subnet is the
    /// primary, and the kernel prefers it as a source: the order is part of the state.
    pub addresses: Vec<Address>,
    /// What it knows of its neighbours.
    pub neighbours: Vec<Neighbour>,
    /// Its settings below `/proc/sys/net`, such as `ipv4/rp_filter` or `ipv6/accept_ra`.
    pub sysctls: BTreeMap<String, String>,
}

/// What kind of device a link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// A plain Ethernet device.
    Ethernet,
    /// The loopback device.
    Loopback,
    /// A wireless device.
    Wireless,
    /// A bridge.
    Bridge,
    /// A device of another driver kind: `bond`, `vlan`, `veth`, `macvlan` …
    Other(String),
    /// A device that carries no Ethernet frames.
    NotEthernet,
}

/// The settings of a bridge that decide whether its ports forward at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSettings {
    /// Whether it speaks the spanning tree protocol.
    pub stp: bool,
    /// Hundredths of a second that a port waits before it forwards.
    pub forward_delay: u32,
}

/// An address on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// Bits of its network (or of its peer's, on a point-to-point link).
    pub len: u8,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// The broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// An IPv4 label that is not just the device's name, such as `eth0:1`.
    pub label: Option<String>,
    /// How far it reaches: 0 global, 253 link, 254 host (`RT_SCOPE_*`). It decides which source address the
    /// kernel chooses, so it has to be kept (`inet_select_addr`, net/ipv4/devinet.c).
    pub scope: u8,
    /// `IFA_F_*`.
    pub flags: u32,
    /// How long it lives; absent when for ever.
    pub lifetimes: Option<Lifetimes>,
    /// Everything else.
    pub other: Vec<NetlinkAttribute>,
}

/// Seconds that a leased address has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Until it is no longer chosen for new connections.
    pub preferred: u32,
    /// Until it is gone.
    pub valid: u32,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRoute {
    /// Whether it is of IPv6.
    pub v6: bool,
    /// Where it leads; absent for the default route.
    #[serde(with = "prefix")]
    pub destination: Option<IpNetwork>,
    /// The source prefix that packets must come from (IPv6 subtrees).
    #[serde(with = "prefix")]
    pub from: Option<IpNetwork>,
    /// The table it is in: 254 is `main`.
    pub table: u32,
    /// Who made it: 2 kernel, 3 boot, 4 static, 9 ra, 16 dhcp.
    pub protocol: u8,
    /// How far it reaches: 0 global, 253 link.
    pub scope: u8,
    /// 1 unicast, 6 blackhole, 7 unreachable …
    pub kind: u8,
    /// The type of service it is for.
    pub tos: u8,
    /// Its metric; absent when zero. Of IPv6 it never is: the kernel makes zero 1024 (`IP6_RT_PRIO_USER`,
    /// linux/ipv6_route.h).
    pub metric: Option<u32>,
    /// The source address that packets of this host take.
    pub source: Option<IpAddr>,
    /// Its next hops: one, or several for a multipath route; none for a blackhole and for a
    /// route through a nexthop object. A multipath route of IPv6 is one route for each hop here, as the
    /// kernel adds and removes its hops one by one (`ip6_route_multipath_add`, net/ipv6/route.c).
    pub hops: Vec<Hop>,
    /// The nexthop object it goes through.
    pub nexthop: Option<u32>,
    /// Seconds after which it is gone, as a router advertised.
    pub expires: Option<u32>,
    /// Everything else: metrics such as an MTU, a preference, a realm.
    pub other: Vec<NetlinkAttribute>,
}

/// One way of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The device it leaves by.
    pub device: Option<String>,
    /// The router it goes to.
    pub gateway: Option<IpAddr>,
    /// Its share among several hops, from 1; the kernel transmits one less (`rtnh_hops`).
    pub weight: u16,
    /// Whether the router counts as reachable on the link though no route leads to it (`RTNH_F_ONLINK`).
    pub onlink: bool,
    /// Everything else: an encapsulation.
    pub other: Vec<NetlinkAttribute>,
}

/// A nexthop object (`ip nexthop`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// Its number.
    pub id: u32,
    /// The address family it is for.
    pub family: u8,
    /// Who made it.
    pub protocol: u8,
    /// `RTNH_F_*` as they were requested.
    pub flags: u32,
    /// The device it leaves by; absent for a group.
    pub device: Option<String>,
    /// The router it goes to.
    pub gateway: Option<IpAddr>,
    /// Everything else.
    pub other: Vec<NetlinkAttribute>,
}

/// A policy rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// Whether it is of IPv6.
    pub v6: bool,
    /// Its header (`struct fib_rule_hdr`), byte for byte. A rule has no number: the kernel deletes the first
    /// that fits the request (`fib_nl_delrule`, net/core/fib_rules.c), so nothing of it may be lost.
    pub header: Vec<u8>,
    /// The device that packets must have come in by.
    pub input: Option<String>,
    /// The device that the sender must have bound itself to.
    pub output: Option<String>,
    /// Everything else, the priority among it.
    pub other: Vec<NetlinkAttribute>,
}

/// What a device knows of a neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub ip: IpAddr,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// `NUD_*`: 0x80 is permanent, that is, an administrator's.
    pub state: u16,
    /// `NTF_*`.
    pub flags: u8,
    /// Who made it, and further flags.
    #[serde(default)]
    pub other: Vec<NetlinkAttribute>,
}

impl PolicyRule {
    /// Returns its priority, 0 where none is stated.
    pub(super) fn priority(&self) -> u32 {
        let stated = self.other.iter().find(|one| one.is(FRA_PRIORITY));
        stated
            .and_then(|one| number(&one.value))
            .unwrap_or_default()
    }

    /// Reports whether both do the same to the same packets: only their priorities may differ, which the kernel gives
    /// to a rule that has none.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let rest = |rule: &Self| -> Vec<NetlinkAttribute> {
            let all = rule.other.iter();
            all.filter(|one| !one.is(FRA_PRIORITY)).cloned().collect()
        };
        let place = |rule: &Self| {
            (
                rule.v6,
                rule.header.clone(),
                rule.input.clone(),
                rule.output.clone(),
            )
        };
        place(self) == place(other) && rest(self) == rest(other)
    }
}

impl Neighbour {
    /// Returns it as an administrator enters it, if one did: for good, as a proxy, as one that the kernel has to keep
    /// reachable, or as one that is never asked for, which the kernel makes only of what is no host.
    pub(super) fn administered(&self) -> Option<Self> {
        let own = self.clone();
        if self.is_managed() {
            let state = match self.mac {
                Some(_) => libc::NUD_STALE,
                None => libc::NUD_NONE,
            };
            return Some(Self { state, ..own });
        }
        let is_host = !self.ip.is_multicast() && self.mac.is_some_and(|mac| mac.0[0] & 1 == 0);
        let is_unasked = self.state & libc::NUD_NOARP != 0 && is_host;
        let is_proxy = self.flags & libc::NTF_PROXY != 0;
        (is_proxy || is_unasked || self.state & libc::NUD_PERMANENT != 0).then_some(own)
    }

    fn is_managed(&self) -> bool {
        let extended = self.other.iter().find(|one| one.is(NDA_FLAGS_EXT));
        let flags = extended.and_then(|one| number(&one.value));
        flags.is_some_and(|flags| flags & NTF_EXT_MANAGED != 0)
    }
}

/// `RT_TABLE_MAIN`, as wide as a table's number is.
pub(crate) const RT_TABLE_MAIN: u32 = libc::RT_TABLE_MAIN as u32;

/// Prefixes as pairs of address and length.
mod prefix {
    use std::net::IpAddr;

    use ipnetwork::IpNetwork;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        prefix: &Option<IpNetwork>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let pair = prefix.map(|prefix| (prefix.ip(), prefix.prefix()));
        pair.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<IpNetwork>, D::Error> {
        let pair = Option::<(IpAddr, u8)>::deserialize(deserializer)?;
        let prefix = pair.map(|(ip, length)| IpNetwork::new(ip, length));
        prefix.transpose().map_err(D::Error::custom)
    }
}

impl NetState {
    /// Returns the device of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Returns the addresses, routes and rules without what counts down, to see whether any come or go.
    pub fn shape(&self) -> (Vec<(String, IpAddr, u8)>, Vec<String>, usize) {
        let addresses = self.links.iter().flat_map(|link| {
            let addresses = link.addresses.iter();
            addresses.map(|address| (link.name.clone(), address.ip, address.len))
        });
        let routes = self.routes.iter().map(ToString::to_string);
        (addresses.collect(), routes.collect(), self.rules.len())
    }

    /// Returns the devices that belong to a bridge or bond.
    pub fn ports<'a>(&'a self, master: &'a str) -> impl Iterator<Item = &'a Link> {
        self.links
            .iter()
            .filter(move |link| link.master.as_deref() == Some(master))
    }
}

impl Address {
    /// Reports whether the kernel would take both for one: the same address of the same network.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.ip, self.len, self.peer) == (other.ip, other.len, other.peer)
    }

    /// Returns the network that it is in: its own, or its peer's on a point-to-point link.
    pub fn prefix(&self) -> Option<IpNetwork> {
        IpNetwork::new(self.peer.unwrap_or(self.ip), self.len).ok()
    }

    /// Reports whether it reaches no further than the link.
    pub fn is_link_local(&self) -> bool {
        matches!(self.ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
    }
}

impl KernelRoute {
    /// Reports whether it is a default route.
    pub fn is_default(&self) -> bool {
        self.destination.is_none()
    }

    /// Returns what decides which packets it is for and before which others it is chosen: of routes of the same
    /// rank the kernel chooses the first (of IPv6, all that have a router in turn).
    pub(crate) fn rank(&self) -> impl PartialEq {
        let metric = self.metric.unwrap_or_default();
        (
            self.v6,
            self.table,
            self.destination,
            self.from,
            self.tos,
            metric,
        )
    }

    /// Reports whether the kernel shares packets out among it and others of its rank (`rt6_qualify_for_ecmp`).
    pub(crate) fn is_shared(&self) -> bool {
        let has_router = self.hops.iter().any(|hop| hop.gateway.is_some());
        self.v6 && has_router && self.protocol != RTPROT_RA
    }

    /// Reports whether one of its ways leaves by that device.
    pub fn leaves_by(&self, device: &str) -> bool {
        self.hops
            .iter()
            .any(|hop| hop.device.as_deref() == Some(device))
    }
}

impl fmt::Display for SocketProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}
