//! What shall stand after a boot, in words that every backend can write down.

use std::net::IpAddr;

use crate::net::Mac;

/// A NIC in a bridge, and how the bridge is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The NIC that becomes a port and carries nothing of its own any more.
    pub nic: String,
    /// The bridge.
    pub bridge: String,
    /// The NIC's hardware address, which the bridge takes so that its DHCP identity stays.
    pub mac: Mac,
    /// The MTU of both.
    pub mtu: u32,
    /// How it gets its IPv4 addresses.
    pub ipv4: Addressing,
    /// How it gets its IPv6 addresses.
    pub ipv6: Addressing,
    /// Routes beyond those that a lease or an advertisement brings, default routes included.
    pub routes: Vec<StaticRoute>,
    /// Name service.
    pub dns: Dns,
}

/// Where the addresses of one family come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressing {
    /// A DHCP client asks for one.
    pub dhcp: bool,
    /// A router's advertisements say (IPv6 alone).
    pub advertised: bool,
    /// These are configured.
    pub addresses: Vec<StaticAddress>,
}

/// A configured address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network.
    pub len: u8,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
}

/// A configured route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where it leads; absent for the default route.
    pub destination: Option<(IpAddr, u8)>,
    /// The router.
    pub gateway: Option<IpAddr>,
    /// Its metric.
    pub metric: Option<u32>,
    /// Its table, if not `main`.
    pub table: Option<u32>,
    /// The source address that packets of this host take.
    pub source: Option<IpAddr>,
    /// Whether the router counts as reachable though no address says so.
    pub onlink: bool,
    /// Its own MTU.
    pub mtu: Option<u32>,
}

/// Name servers and search domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Servers in order.
    pub servers: Vec<IpAddr>,
    /// Domains that a bare name is looked for in.
    pub search: Vec<String>,
}
