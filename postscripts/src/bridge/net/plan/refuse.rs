//! What must not be done, found before anything is.

use std::net::SocketAddr;

use nix::libc;

use super::Uplink;
use crate::bridge::net::{
    KernelRoute, Link, LinkKind, NetState, PortObstacle, SocketProtocol, SwitchWiring, sysctl,
};
use crate::netlink::uapi::RTPROT_RA;

/// Why an uplink cannot be planned: what is in the way, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum PlanRefusal {
    /// No device of that name.
    #[error("there is no NIC '{nic}' on this host, only {known}")]
    NoNic { nic: String, known: String },
    /// A device that no bridge can have as a port.
    #[error("{nic} cannot be a port of a bridge: it is {what}")]
    NoPort { nic: String, what: String },
    /// A port of something else.
    #[error("{nic} belongs to {master} already: {advice}")]
    OtherMaster {
        nic: String,
        master: String,
        advice: String,
    },
    /// There is a device on top of the NIC that cannot be on a port.
    #[error("{nic} carries {upper}, {kind}, which a port of a bridge cannot: remove it first")]
    Upper {
        nic: String,
        upper: String,
        kind: String,
    },
    /// A tunnel is bound to the NIC.
    #[error(
        "{upper}, {kind}, is bound to {nic}, and a port has no route to its other end: bind it to \
         {bridge} or to no device first"
    )]
    Tunnel {
        nic: String,
        bridge: String,
        upper: String,
        kind: String,
    },
    /// The NIC carries a PPPoE session, whose packets a bridge would take.
    #[error("{nic} carries a PPPoE session, which a port of a bridge cannot: end it first")]
    Session { nic: String },
    /// A program would hear nothing any more.
    #[error(
        "a program listens at {protocol} port {port} on {nic} alone, and would receive nothing there: have it \
         listen on {bridge} or at an address, or end it ('ss -lnp' names it)"
    )]
    BoundSocket {
        nic: String,
        bridge: String,
        protocol: SocketProtocol,
        port: u16,
    },
    /// A program's peer would not be heard any more.
    #[error(
        "a program's {protocol} connection with {peer} is bound to {nic} alone, and would receive nothing there: end it, \
         and have it bind itself to {bridge} or to no device ('ss -np' names it)"
    )]
    BoundConnection {
        nic: String,
        bridge: String,
        protocol: SocketProtocol,
        peer: SocketAddr,
    },
    /// A program would get no frames any more.
    #[error(
        "a program receives frames of the type {ether_type:#06x} at {nic} itself, and would receive none there: end it \
         first, and have it use {bridge} then"
    )]
    Frames {
        nic: String,
        bridge: String,
        ether_type: u16,
    },
    /// The NIC resolves no addresses.
    #[error(
        "{nic} resolves no addresses (NOARP), and nobody would find {bridge}, which does: let it \
         ('ip link set {nic} arp on'), or leave it out"
    )]
    NoArp { nic: String, bridge: String },
    /// A program routes multicast packets by the NIC.
    #[error(
        "a program routes multicast by {nic} ({setting}), and would receive none there: end it first, and have it use \
         {bridge} then"
    )]
    MulticastRouting {
        nic: String,
        bridge: String,
        setting: &'static str,
    },
    /// IPv6 has smaller packets than the NIC, and nobody would see to it that the bridge's are as small.
    #[error(
        "{nic} has packets of {own} bytes for IPv6 (ipv6/mtu), which the kernel would forget for {bridge}: give {nic} \
         this MTU itself, or have a router advertise it, first"
    )]
    PacketSize {
        nic: String,
        bridge: String,
        own: String,
    },
    /// What is bound to the NIC by its number.
    #[error(
        "{what} is bound to {nic}, which no packet of this host will leave or come in by: remove it first, and bind it \
         to {bridge} then"
    )]
    Bound {
        nic: String,
        bridge: String,
        what: String,
    },
    /// The kernel makes an address from a secret and the device's name.
    #[error(
        "the kernel makes {address} from a secret (addr_gen_mode {mode} of {nic}) and would make another one for \
         {bridge}: set addr_gen_mode to 0, or configure the address, first"
    )]
    Secret {
        address: String,
        mode: String,
        nic: String,
        bridge: String,
    },
    /// Another route would be chosen.
    #[error(
        "the routes {route} and {other} have the same metric, and once the first led by a bridge the kernel would \
         choose the other: give one of them another metric first"
    )]
    Tie { route: String, other: String },
    /// The bridge's name is taken.
    #[error("'{bridge}' is there already and is {what}, not a bridge: choose another name")]
    NameTaken { bridge: String, what: String },
    /// A second way from the bridge to the NIC would be a loop.
    #[error(
        "{bridge} is connected to Open vSwitch by {end}, and the NIC beside it would be a loop: pass --switch ovs"
    )]
    HasSwitch { bridge: String, end: String },
    /// The names of the devices of a switch would be too long.
    #[error(
        "'{bridge}' is too long a name for a bridge with a switch: at most {max} bytes, as devices are named after it"
    )]
    LongName { bridge: String, max: usize },
    /// The NIC is a port of the bridge itself.
    #[error(
        "{nic} is a port of {bridge} itself, without a switch: take it out where this host's network is configured, or \
         choose another bridge"
    )]
    PlainPort { nic: String, bridge: String },
    /// The switch cannot be one.
    #[error("{switch} {what}: choose another name (--switch ovs:BRIDGE)")]
    NoSwitch { switch: String, what: String },
    /// A device is in another switch.
    #[error(
        "{port} is a port of the Open vSwitch bridge {switch} already: pass --switch ovs:{switch}, or take it out first \
         ('ovs-vsctl del-port {switch} {port}'), if {wanted} is to have it"
    )]
    OtherSwitch {
        port: String,
        switch: String,
        wanted: String,
    },
    /// Something else has the names of the veth pair.
    #[error(
        "{bridge_end} and {switch_end} are not the veth pair between bridge and switch, or are in use elsewhere: remove \
         or rename them first"
    )]
    NoPair {
        bridge_end: String,
        switch_end: String,
    },
    /// Nothing would forward what the switch gets.
    #[error(
        "this kernel has no datapath of Open vSwitch, and {switch} needs one: let it load the module 'openvswitch' \
         (modprobe openvswitch), or boot a kernel that has it"
    )]
    NoDatapath { switch: String },
    /// The NIC is a device on top of the bridge.
    #[error("{nic} is a device on top of {bridge} and cannot become its port")]
    Circle { nic: String, bridge: String },
}

/// Drivers whose devices the kernel never takes as ports.
const NEVER: [&str; 4] = ["macvlan", "macvtap", "ipvlan", "ipvtap"];

/// Returns the NIC, if nothing is in the way.
pub(super) fn check<'a>(
    state: &'a NetState,
    uplink: &Uplink,
    wiring: Option<&SwitchWiring>,
) -> Result<&'a Link, PlanRefusal> {
    let (nic, bridge) = (uplink.nic.to_string(), uplink.bridge.to_string());
    let Some(link) = state.link(&nic) else {
        let candidates = state
            .links
            .iter()
            .filter(|link| unfit(&link.kind).is_none());
        let mut known: Vec<_> = candidates.map(|link| link.name.as_str()).collect();
        known.sort_unstable();
        let known = if known.is_empty() {
            "devices that cannot be ports".to_owned()
        } else {
            known.join(", ")
        };
        return Err(PlanRefusal::NoNic { nic, known });
    };
    if let Some(what) = unfit(&link.kind) {
        return Err(PlanRefusal::NoPort { nic, what });
    }
    let ovs = state.open_vswitch.as_ref();
    let switch = ovs.and_then(|ovs| ovs.switch_of(&nic));
    // which is the wanted one: others are refused before
    let is_switched = wiring.is_some() && switch.is_some();
    let master = link.master.clone().filter(|_| !is_switched);
    if let Some(master) = master.filter(|master| *master != bridge) {
        let advice = way_out(state, &nic, &master, &bridge);
        return Err(PlanRefusal::OtherMaster {
            nic,
            master,
            advice,
        });
    }
    if link.parent.as_ref() == Some(&bridge) {
        return Err(PlanRefusal::Circle { nic, bridge });
    }
    if link.master.is_none() && !is_switched {
        unhindered(state, &nic, &bridge)?;
        made_from_no_secret(link, &bridge)?;
        routes_no_multicast(link, &bridge)?;
        has_packets_of_its_mtu(state, link, &bridge)?;
    }
    match state.link(&bridge) {
        Some(other) if other.kind != LinkKind::Bridge => {
            let what = describe(&other.kind);
            Err(PlanRefusal::NameTaken { bridge, what })
        }
        _ => Ok(link),
    }
}

/// Checks that nothing is on top of the NIC or bound to it that would not outlive the change.
fn unhindered(state: &NetState, nic: &str, bridge: &str) -> Result<(), PlanRefusal> {
    let own = state.obstacles.iter().filter(|(of, _)| of == nic);
    for (_, obstacle) in own {
        if let Some(refusal) = refusal(obstacle, nic, bridge) {
            return Err(refusal);
        }
    }
    Ok(())
}

/// What an obstacle is a reason for; a group that somebody joined, and who asks for echoes, are worth a note.
fn refusal(obstacle: &PortObstacle, nic: &str, bridge: &str) -> Option<PlanRefusal> {
    let (nic, bridge) = (nic.to_owned(), bridge.to_owned());
    let described = |kind: &str| describe(&LinkKind::Other(kind.to_owned()));
    Some(match obstacle {
        PortObstacle::Group { .. } | PortObstacle::Echo { .. } => return None,
        PortObstacle::NoArp => PlanRefusal::NoArp { nic, bridge },
        PortObstacle::Frames { ether_type } => PlanRefusal::Frames {
            nic,
            bridge,
            ether_type: *ether_type,
        },
        PortObstacle::Session => PlanRefusal::Session { nic },
        PortObstacle::Bound { what } | PortObstacle::MptcpEndpoint { what } => PlanRefusal::Bound {
            nic,
            bridge,
            what: what.clone(),
        },
        PortObstacle::BoundSocket { protocol, port } => PlanRefusal::BoundSocket {
            nic,
            bridge,
            protocol: *protocol,
            port: *port,
        },
        PortObstacle::BoundConnection { protocol, peer } => PlanRefusal::BoundConnection {
            nic,
            bridge,
            protocol: *protocol,
            peer: *peer,
        },
        PortObstacle::Tunnel { name, kind } => PlanRefusal::Tunnel {
            nic,
            bridge,
            upper: name.clone(),
            kind: described(kind),
        },
        PortObstacle::Upper {
            name,
            kind,
            elsewhere,
        } => PlanRefusal::Upper {
            nic,
            upper: name.clone(),
            kind: if *elsewhere {
                format!(
                    "{} in another network namespace (a container's?)",
                    described(kind)
                )
            } else {
                described(kind)
            },
        },
    })
}

/// Checks that IPv6 has the packets of the device, or those that a router advertises and will advertise again.
fn has_packets_of_its_mtu(state: &NetState, nic: &Link, bridge: &str) -> Result<(), PlanRefusal> {
    let is_advertised = |route: &KernelRoute| {
        let by_router = route.protocol == RTPROT_RA || route.expires.is_some();
        route.v6 && by_router && route.leaves_by(&nic.name)
    };
    let own = nic.sysctls.get(sysctl::MTU);
    match own.filter(|own| **own != nic.mtu.to_string()) {
        Some(own) if !state.routes.iter().any(is_advertised) => Err(PlanRefusal::PacketSize {
            nic: nic.name.clone(),
            bridge: bridge.to_owned(),
            own: own.clone(),
        }),
        _ => Ok(()),
    }
}

/// Checks that no program routes multicast by the NIC: what comes in by the bridge is not for its interface.
fn routes_no_multicast(nic: &Link, bridge: &str) -> Result<(), PlanRefusal> {
    let is_on = |key: &&str| nic.sysctls.get(*key).is_some_and(|value| value != "0");
    match sysctl::MULTICAST_ROUTING.into_iter().find(is_on) {
        None => Ok(()),
        Some(setting) => Err(PlanRefusal::MulticastRouting {
            nic: nic.name.clone(),
            bridge: bridge.to_owned(),
            setting,
        }),
    }
}

/// Checks that no address is one that the kernel would make another of for the bridge.
fn made_from_no_secret(nic: &Link, bridge: &str) -> Result<(), PlanRefusal> {
    let mode = nic.sysctls.get("ipv6/addr_gen_mode");
    let mode = mode.filter(|mode| matches!(mode.as_str(), "2" | "3"));
    let is_made = |address: &&crate::bridge::net::Address| {
        address.flags & libc::IFA_F_STABLE_PRIVACY != 0 && !address.is_link_local()
    };
    match (mode, nic.addresses.iter().find(is_made)) {
        (Some(mode), Some(address)) => Err(PlanRefusal::Secret {
            address: address.ip.to_string(),
            mode: mode.clone(),
            nic: nic.name.clone(),
            bridge: bridge.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Says what to do about a NIC that belongs to something else.
fn way_out(state: &NetState, nic: &str, master: &str, bridge: &str) -> String {
    let kind = state.link(master).map(|link| &link.kind);
    match kind {
        Some(LinkKind::Other(kind)) if kind == "bond" || kind == "team" => {
            format!("name the {kind} in its place ({master}:{bridge})")
        }
        Some(LinkKind::Other(kind)) if kind == "openvswitch" => {
            format!(
                "pass --switch ovs, or take it out of its Open vSwitch first ('ovs-vsctl del-port {nic}')"
            )
        }
        _ => format!("take it out first ('ip link set {nic} nomaster')"),
    }
}

/// Says what a device is when it cannot be a port.
fn unfit(kind: &LinkKind) -> Option<String> {
    match kind {
        LinkKind::Ethernet => None,
        LinkKind::Other(driver) if !NEVER.contains(&driver.as_str()) => None,
        LinkKind::Wireless => Some(format!(
            "{}, and an access point passes on one hardware address only; use a wired NIC",
            describe(kind)
        )),
        LinkKind::Bridge => Some("a bridge itself; name the NIC".to_owned()),
        _ => Some(describe(kind)),
    }
}

fn describe(kind: &LinkKind) -> String {
    match kind {
        LinkKind::Ethernet => "an Ethernet device".to_owned(),
        LinkKind::Loopback => "the loopback device".to_owned(),
        LinkKind::Wireless => "a wireless device".to_owned(),
        LinkKind::Bridge => "a bridge".to_owned(),
        LinkKind::NotEthernet => "a device without Ethernet frames".to_owned(),
        LinkKind::Other(driver) if driver.starts_with(['a', 'e', 'i', 'o', 'u']) => {
            format!("an {driver} device")
        }
        LinkKind::Other(driver) => format!("a {driver} device"),
    }
}
