//! Networks: the site's, and what a docker host's postscripts get of theirs.
//!
//! [`BridgePort`] and [`DockerNetwork`] are the arguments of `bridgeprereq` and `setupdockerhost`: the
//! same type prints the line on the management node and parses it on the host.

mod addresses;
mod bridgeport;
mod dockernetwork;
mod ifname;

use std::net::IpAddr;

use crate::schema::definition;

pub use addresses::NetworkFault;
pub use bridgeport::BridgePort;
pub use dockernetwork::DockerNetwork;
pub use ifname::IfName;

definition! {
    /// A network of the site.
    pub struct Network: Network {
        /// The network's address: `10.1.0.0`.
        net: Option<IpAddr>,
        /// Its mask: `255.255.0.0`, or `/64`.
        mask: Option<String>,
        /// The interface of the management node in it; `!remote!<nic>` where a service node's is.
        mgtifname: Option<String>,
        /// The router; `<xcatmaster>` means the server that the node faces.
        gateway: Option<String>,
        /// The server that answers DHCP.
        dhcpserver: Option<String>,
        /// The server that answers TFTP.
        tftpserver: Option<String>,
        /// The DNS servers; `<xcatmaster>` means the server that the node faces.
        nameservers: Vec<String>,
        /// The time servers.
        ntpservers: Vec<String>,
        /// The servers that collect logs.
        logservers: Vec<String>,
        /// The addresses for machines that are not known yet: `10.1.200.1-10.1.250.1`.
        dynamicrange: Option<String>,
        /// The addresses for machines that are.
        staticrange: Option<String>,
        /// The step from one such address to the next.
        staticrangeincrement: Option<u32>,
        /// A pattern that makes the host name in this network of a node's name.
        nodehostname: Option<String>,
        /// The domain that dynamic DNS updates.
        ddnsdomain: Option<String>,
        /// The VLAN.
        vlanid: Option<u32>,
        /// The DNS domain.
        domain: Option<String>,
        /// The largest packet.
        mtu: Option<u32>,
        /// A remark of the user.
        comments: Option<String>,
    }
}
