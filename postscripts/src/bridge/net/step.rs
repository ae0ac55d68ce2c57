//! One change of the network, and the change that undoes it.

use std::fmt;
use std::net::IpAddr;

use definitions::IfName;
use serde::{Deserialize, Serialize};

use super::firewall::Translation;
use super::state::RT_TABLE_MAIN;
use super::{Address, BridgeSettings, Datapath, KernelRoute, Mac, Neighbour, NextHop, PolicyRule};

/// One change that the kernel makes as a whole or refuses. Prints as what is being done: `adding
/// 10.0.0.5/24 to mydocker0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[allow(missing_docs)] // the fields say what the variant's line says
pub enum Step {
    /// Makes a bridge that is whole from its first moment.
    CreateBridge {
        bridge: IfName,
        mac: Mac,
        mtu: u32,
        #[serde(default)]
        group: u32,
        settings: BridgeSettings,
    },
    /// Takes a bridge away.
    DeleteBridge { bridge: IfName },
    /// Changes how a bridge bridges.
    SetBridge {
        bridge: IfName,
        from: BridgeSettings,
        to: BridgeSettings,
    },
    /// Changes a hardware address.
    SetMac { link: IfName, from: Mac, to: Mac },
    /// Changes the largest packet.
    SetMtu { link: IfName, from: u32, to: u32 },
    /// Changes the group of a device.
    SetGroup { link: IfName, from: u32, to: u32 },
    /// Changes a setting below `/proc/sys/net`; `from` is absent for a device that is only being made.
    SetSysctl {
        link: IfName,
        key: String,
        from: Option<String>,
        to: String,
    },
    /// Brings a device up.
    SetUp { link: IfName },
    /// Takes a device down.
    SetDown { link: IfName },
    /// Adds an address.
    AddAddress { link: IfName, address: Address },
    /// Removes an address.
    RemoveAddress { link: IfName, address: Address },
    /// Adds an administrator's neighbour entry.
    AddNeighbour { link: IfName, neighbour: Neighbour },
    /// Removes an administrator's neighbour entry.
    RemoveNeighbour { link: IfName, neighbour: Neighbour },
    /// Gives a device what another has learnt of its neighbours, so that nobody has to be asked again.
    #[serde(rename = "teach-neighbours")]
    CopyNeighbours {
        link: IfName,
        neighbours: Vec<Neighbour>,
    },
    /// Makes a device a port of a bridge.
    Enslave { port: IfName, bridge: IfName },
    /// Takes a port out of its bridge.
    Release { port: IfName, bridge: IfName },
    /// Adds a route; `first` before those of the same rank, which the kernel would choose in its place.
    AddRoute {
        route: KernelRoute,
        #[serde(default)]
        first: bool,
    },
    /// Removes a route; `first` as above, for the way back.
    RemoveRoute {
        route: KernelRoute,
        #[serde(default)]
        first: bool,
    },
    /// Removes a default route that the kernel made of an advertisement. Nobody else can make one that
    /// the kernel recognises, and one like it would keep the kernel from heeding the next
    /// advertisement; so what comes back is a placeholder that gives way to it.
    RetireRoute {
        route: KernelRoute,
        #[serde(rename = "stand_in")]
        placeholder: KernelRoute,
    },
    /// Adds the placeholder of such a route, unless the route itself is there.
    ReviveRoute {
        route: KernelRoute,
        #[serde(rename = "stand_in")]
        placeholder: KernelRoute,
    },
    /// Points a nexthop object elsewhere; every route through it follows at once.
    SetNextHop { from: NextHop, to: NextHop },
    /// Adds a policy rule.
    AddRule { rule: PolicyRule },
    /// Removes a policy rule.
    RemoveRule { rule: PolicyRule },
    /// Adds a rule of the firewall beside one that names the NIC.
    #[serde(rename = "add-twin")]
    AddTranslation {
        #[serde(rename = "twin")]
        translation: Translation,
    },
    /// Removes such a rule.
    #[serde(rename = "remove-twin")]
    RemoveTranslation {
        #[serde(rename = "twin")]
        translation: Translation,
    },
    /// Makes a bridge of Open vSwitch, for the Linux bridge that it is connected to.
    CreateSwitch {
        switch: IfName,
        bridge: IfName,
        datapath: Datapath,
        mac: Mac,
    },
    /// Takes a bridge of Open vSwitch away, if it was made for that Linux bridge.
    DeleteSwitch { switch: IfName, bridge: IfName },
    /// Fixes the hardware address of a bridge of Open vSwitch, or has it choose one again.
    SetSwitchMac {
        switch: IfName,
        from: Option<Mac>,
        to: Option<Mac>,
    },
    /// Makes a device a port of a bridge of Open vSwitch.
    AddSwitchPort {
        port: IfName,
        switch: IfName,
        bridge: IfName,
    },
    /// Takes a port out of a bridge of Open vSwitch, if it was added for that Linux bridge.
    RemoveSwitchPort {
        port: IfName,
        switch: IfName,
        bridge: IfName,
    },
    /// Makes a veth pair.
    CreateVeth {
        link: IfName,
        peer: IfName,
        mtu: u32,
    },
    /// Takes a veth pair away.
    DeleteVeth { link: IfName },
    /// Has the kernel complete the checksums of what it sends by a new device.
    StopOffload { link: IfName },
    /// Has the kernel drop what a NIC receives: the userspace datapath has it already.
    StartDropping { nic: IfName, bridge: IfName },
    /// Lets the kernel have what a NIC receives again.
    StopDropping { nic: IfName, bridge: IfName },
    /// Announces addresses to the neighbourhood by gratuitous ARP and unsolicited neighbour advertisements.
    Announce {
        link: IfName,
        addresses: Vec<IpAddr>,
    },
}

impl Step {
    /// Returns what undoes it, if anything has to be undone. The undo of a step
    /// that never happened does no harm: it adds what is there or removes what is not. A bridge that somebody else
    /// made meanwhile is the exception, which [`apply`](super::apply()) reports.
    pub fn undo(&self) -> Option<Self> {
        use Step as S;
        let step = self.clone();
        Some(match step {
            S::CreateBridge { bridge, .. } => S::DeleteBridge { bridge },
            S::SetBridge { bridge, from, to } => S::SetBridge {
                bridge,
                from: to,
                to: from,
            },
            S::SetMac { link, from, to } => S::SetMac {
                link,
                from: to,
                to: from,
            },
            S::SetMtu { link, from, to } => S::SetMtu {
                link,
                from: to,
                to: from,
            },
            S::SetGroup { link, from, to } => S::SetGroup {
                link,
                from: to,
                to: from,
            },
            S::SetSysctl {
                link,
                key,
                from: Some(from),
                to,
            } => S::SetSysctl {
                link,
                key,
                from: Some(to),
                to: from,
            },
            S::SetUp { link } => S::SetDown { link },
            S::SetDown { link } => S::SetUp { link },
            S::AddAddress { link, address } => S::RemoveAddress { link, address },
            S::RemoveAddress { link, address } => S::AddAddress { link, address },
            S::AddNeighbour { link, neighbour } => S::RemoveNeighbour { link, neighbour },
            S::RemoveNeighbour { link, neighbour } => S::AddNeighbour { link, neighbour },
            S::Enslave { port, bridge } => S::Release { port, bridge },
            S::Release { port, bridge } => S::Enslave { port, bridge },
            S::AddRoute { route, first } => S::RemoveRoute { route, first },
            S::RemoveRoute { route, first } => S::AddRoute { route, first },
            S::RetireRoute { route, placeholder } => S::ReviveRoute { route, placeholder },
            S::SetNextHop { from, to } => S::SetNextHop { from: to, to: from },
            S::AddRule { rule } => S::RemoveRule { rule },
            S::RemoveRule { rule } => S::AddRule { rule },
            S::AddTranslation { translation } => S::RemoveTranslation { translation },
            S::RemoveTranslation { translation } => S::AddTranslation { translation },
            S::CreateSwitch { switch, bridge, .. } => S::DeleteSwitch { switch, bridge },
            S::SetSwitchMac { switch, from, to } => S::SetSwitchMac {
                switch,
                from: to,
                to: from,
            },
            S::AddSwitchPort {
                port,
                switch,
                bridge,
            } => S::RemoveSwitchPort {
                port,
                switch,
                bridge,
            },
            S::CreateVeth { link, .. } => S::DeleteVeth { link },
            S::StartDropping { nic, bridge } => S::StopDropping { nic, bridge },
            S::DeleteBridge { .. }
            | S::DeleteSwitch { .. }
            | S::RemoveSwitchPort { .. }
            | S::DeleteVeth { .. }
            | S::StopOffload { .. }
            | S::StopDropping { .. }
            | S::ReviveRoute { .. }
            | S::SetSysctl { from: None, .. }
            | S::CopyNeighbours { .. }
            | S::Announce { .. } => return None,
        })
    }
}

impl Step {
    /// Reports whether it outlasts a boot: the database of Open vSwitch does, and the kernel's network does not.
    pub fn outlasts_boot(&self) -> bool {
        matches!(
            self,
            Self::CreateSwitch { .. } | Self::SetSwitchMac { .. } | Self::AddSwitchPort { .. }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Step as S;
        match self {
            S::CreateBridge {
                bridge, mac, mtu, ..
            } => write!(
                f,
                "making bridge {bridge} with address {mac}, MTU {mtu}, no spanning tree and no delay"
            ),
            S::DeleteBridge { bridge } => write!(f, "taking bridge {bridge} away"),
            S::SetBridge { bridge, to, .. } => {
                let stp = if to.stp { "on" } else { "off" };
                let (whole, part) = (to.forward_delay / 100, to.forward_delay % 100);
                write!(
                    f,
                    "setting spanning tree {stp} and forward delay {whole}.{part:02} s on {bridge}"
                )
            }
            S::SetMac { link, to, .. } => write!(f, "giving {link} the hardware address {to}"),
            S::SetMtu { link, to, .. } => write!(f, "giving {link} the MTU {to}"),
            S::SetGroup { link, to, .. } => write!(f, "putting {link} into the group {to}"),
            S::SetSysctl { link, key, to, .. } => write!(f, "setting {key} of {link} to {to}"),
            S::SetUp { link } => write!(f, "bringing {link} up"),
            S::SetDown { link } => write!(f, "taking {link} down"),
            S::AddAddress { link, address } => write!(f, "adding {address} to {link}"),
            S::RemoveAddress { link, address } => write!(f, "removing {address} from {link}"),
            S::AddNeighbour { link, neighbour } => {
                write!(f, "adding neighbour {} to {link}", neighbour.ip)
            }
            S::RemoveNeighbour { link, neighbour } => {
                write!(f, "removing neighbour {} from {link}", neighbour.ip)
            }
            S::CopyNeighbours { link, neighbours } => {
                write!(
                    f,
                    "copying the neighbours already known to {link} ({})",
                    neighbours.len()
                )
            }
            S::Enslave { port, bridge } => write!(f, "putting {port} into {bridge}"),
            S::Release { port, bridge } => write!(f, "taking {port} out of {bridge}"),
            S::AddRoute { route, .. }
            | S::ReviveRoute {
                placeholder: route, ..
            } => write!(f, "adding route {route}"),
            S::RemoveRoute { route, .. } | S::RetireRoute { route, .. } => {
                write!(f, "removing route {route}")
            }
            S::SetNextHop { to, .. } => {
                let device = to.device.as_deref().unwrap_or("no device");
                write!(f, "pointing nexthop {} to {device}", to.id)
            }
            S::AddRule { rule } => write!(f, "adding rule {rule}"),
            S::RemoveRule { rule } => write!(f, "removing rule {rule}"),
            S::AddTranslation { translation } => write!(f, "adding {translation}"),
            S::RemoveTranslation { translation } => write!(f, "removing {translation}"),
            S::CreateSwitch {
                switch, datapath, ..
            } => write!(f, "making the Open vSwitch bridge {switch} ({datapath})"),
            S::DeleteSwitch { switch, .. } => {
                write!(f, "taking the Open vSwitch bridge {switch} away")
            }
            S::SetSwitchMac {
                switch,
                to: Some(mac),
                ..
            } => write!(f, "fixing the hardware address {mac} of {switch}"),
            S::SetSwitchMac { switch, .. } => {
                write!(f, "letting {switch} choose its hardware address")
            }
            S::AddSwitchPort { port, switch, .. } => {
                write!(f, "putting {port} into the Open vSwitch bridge {switch}")
            }
            S::RemoveSwitchPort { port, switch, .. } => {
                write!(f, "taking {port} out of the Open vSwitch bridge {switch}")
            }
            S::CreateVeth { link, peer, .. } => write!(f, "making the veth pair {link} and {peer}"),
            S::DeleteVeth { link } => write!(f, "taking the veth pair {link} away"),
            S::StopOffload { link } => write!(f, "completing the checksums sent by {link}"),
            S::StartDropping { nic, .. } => {
                write!(f, "dropping what {nic} receives beside Open vSwitch")
            }
            S::StopDropping { nic, .. } => write!(f, "receiving by {nic} again"),
            S::Announce { link, addresses } => {
                write!(f, "announcing {} address(es) on {link}", addresses.len())
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{} peer {peer}/{}", self.ip, self.len),
            None => write!(f, "{}/{}", self.ip, self.len),
        }
    }
}

impl fmt::Display for KernelRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(prefix) => write!(f, "{prefix}")?,
            None => f.write_str("default")?,
        }
        for hop in &self.hops {
            if self.hops.len() > 1 {
                write!(f, " nexthop")?;
            }
            if let Some(gateway) = hop.gateway {
                write!(f, " via {gateway}")?;
            }
            if let Some(device) = &hop.device {
                write!(f, " dev {device}")?;
            }
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        match self.table {
            RT_TABLE_MAIN => Ok(()),
            table => write!(f, " table {table}"),
        }
    }
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.v6 { "of IPv6" } else { "of IPv4" })?;
        if let Some(input) = &self.input {
            write!(f, " iif {input}")?;
        }
        match &self.output {
            Some(output) => write!(f, " oif {output}"),
            None => Ok(()),
        }
    }
}
