//! Open vSwitch bridges as values: what a user asks for, and what the database of Open vSwitch holds.
//!
//! The NIC is a port of an Open vSwitch bridge (here a *switch*), the Linux bridge of the containers stays, and a veth
//! pair connects the two. Devices are named after the Linux bridge, so that a later run finds them again: `vb-mydocker0`
//! is the end in the bridge, `vs-mydocker0` the end in the switch.

use std::fmt;
use std::str::FromStr;

use definitions::IfName;
use serde::{Deserialize, Serialize};

use super::{Mac, NetState, Uplink};

/// What the devices' names begin with.
const BRIDGE_END: &str = "vb-";
const SWITCH_END: &str = "vs-";
const SWITCH: &str = "ovs-";
/// How long the name of a Linux bridge may be so that all of these can be made of it.
pub(super) const MAX_BRIDGE: usize = IfName::MAX - SWITCH.len();

/// The switch that a user asks for: `ovs[:BRIDGE[:netdev]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SwitchRequest {
    /// Its name; absent for the one that the NIC is in, or one that is named after the Linux bridge.
    pub name: Option<IfName>,
    /// How it forwards, if it has to be made.
    pub datapath: Datapath,
}

/// What forwards the packets of a switch (`datapath_type` of ovs-vswitchd.conf.db(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// The kernel's module `openvswitch`.
    #[default]
    System,
    /// The process `ovs-vswitchd`. The kernel goes on getting the packets of a NIC too.
    Netdev,
}

/// What there is of Open vSwitch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenVSwitch {
    /// Whether the kernel has a datapath.
    pub has_kernel_datapath: bool,
    /// The bridges of its database.
    pub switches: Vec<Switch>,
    /// The NICs whose packets the kernel drops once the userspace datapath has them, each with its Linux bridge.
    pub dropping: Vec<(String, String)>,
}

/// One bridge of Open vSwitch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// Its datapath; absent when it is neither of the two.
    pub datapath: Option<Datapath>,
    /// The hardware address that somebody gave it (`other_config:hwaddr`).
    pub fixed_mac: Option<Mac>,
    /// The hardware address that its own port has.
    pub mac: Option<Mac>,
    /// Whether it forwards nothing that no flow is for (`fail_mode=secure`).
    pub is_secure: bool,
    /// The Linux bridge that we made it for.
    pub made_for: Option<String>,
    /// Its ports, its own among them.
    pub ports: Vec<SwitchPort>,
}

/// A port of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchPort {
    /// Its device.
    pub name: String,
    /// The Linux bridge that we made it for.
    pub made_for: Option<String>,
    /// Why packets do not pass it, in words.
    pub fault: Option<String>,
}

impl OpenVSwitch {
    /// Returns the switch of that name.
    pub fn switch(&self, name: &str) -> Option<&Switch> {
        self.switches.iter().find(|switch| switch.name == name)
    }

    /// Returns the switch that has this device as a port.
    pub fn switch_of(&self, port: &str) -> Option<&Switch> {
        let has = |switch: &&Switch| switch.port(port).is_some();
        self.switches.iter().find(has)
    }

    /// Reports whether the kernel drops what a NIC receives.
    pub fn drops(&self, nic: &str, bridge: &str) -> bool {
        let mut all = self.dropping.iter();
        all.any(|(of, by)| of == nic && by == bridge)
    }
}

impl Switch {
    /// Returns the port of that name.
    pub fn port(&self, name: &str) -> Option<&SwitchPort> {
        self.ports.iter().find(|port| port.name == name)
    }
}

/// Where one uplink's switch and its veth pair are, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchWiring {
    /// The switch.
    pub switch: IfName,
    /// How it forwards, or will.
    pub datapath: Datapath,
    /// The end of the veth pair in the Linux bridge.
    pub bridge_end: IfName,
    /// The end in the switch.
    pub switch_end: IfName,
}

impl SwitchWiring {
    /// Finds it; none when the uplink has no switch, or its bridge's name is too long for one.
    pub fn of(uplink: &Uplink, state: &NetState) -> Option<Self> {
        let request = uplink.switch.as_ref()?;
        let bridge = uplink.bridge.as_str();
        let named = |prefix: &str| format!("{prefix}{bridge}").parse::<IfName>().ok();
        let ovs = state.open_vswitch.as_ref();
        let current = ovs.and_then(|ovs| ovs.switch_of(uplink.nic.as_str()));
        let current = || current.and_then(|switch| switch.name.parse().ok());
        let switch = request.name.clone().or_else(current);
        let switch = switch.or_else(|| named(SWITCH))?;
        let known = ovs.and_then(|ovs| ovs.switch(switch.as_str()));
        Some(Self {
            datapath: known
                .and_then(|switch| switch.datapath)
                .unwrap_or(request.datapath),
            switch,
            bridge_end: named(BRIDGE_END)?,
            switch_end: named(SWITCH_END)?,
        })
    }

    /// Reports whether packets pass from the NIC to the bridge, as far as this network says.
    pub fn is_connected(&self, uplink: &Uplink, state: &NetState) -> bool {
        let ovs = state.open_vswitch.as_ref();
        let switch = ovs.and_then(|ovs| ovs.switch(self.switch.as_str()));
        let has = |port: &IfName| switch.is_some_and(|one| one.port(port.as_str()).is_some());
        let end = state.link(self.bridge_end.as_str());
        let is_in = end.is_some_and(|end| end.master.as_deref() == Some(uplink.bridge.as_str()));
        has(&uplink.nic) && has(&self.switch_end) && is_in
    }
}

impl Uplink {
    /// Reports whether the NIC is connected to its bridge already: as a port, or by a switch.
    pub fn is_connected(&self, state: &NetState) -> bool {
        if self.switch.is_some() {
            let wiring = SwitchWiring::of(self, state);
            return wiring.is_some_and(|wiring| wiring.is_connected(self, state));
        }
        let link = state.link(self.nic.as_str());
        link.is_some_and(|link| link.master.as_deref() == Some(self.bridge.as_str()))
    }
}

/// The file whose rules drop at boot what the NIC of a bridge receives beside a userspace datapath.
pub(in crate::bridge) fn rules_file(bridge: &str) -> String {
    format!("/etc/openvswitch/slipway-{bridge}.nft")
}

/// Names the end of a veth pair of ours that connects a bridge to a switch, if the bridge has one.
pub(in crate::bridge) fn bridge_end(state: &NetState, bridge: &str) -> Option<String> {
    let name = format!("{BRIDGE_END}{bridge}");
    let mut ports = state.ports(bridge);
    ports.any(|port| port.name == name).then_some(name)
}

impl FromStr for SwitchRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        if parts.next() != Some("ovs") {
            return Err(format!(
                "'{text}' is no switch: pass ovs, or ovs:BRIDGE with the name of an Open vSwitch bridge"
            ));
        }
        let name = parts.next().map(str::parse::<IfName>).transpose();
        let name = name.map_err(|error| error.to_string())?;
        if name
            .as_ref()
            .is_some_and(|name| name.as_str().starts_with('-'))
        {
            return Err(format!(
                "'{text}' names a bridge that ovs-vsctl takes for an option"
            ));
        }
        let datapath = match (parts.next(), parts.next()) {
            (None, _) => Datapath::System,
            (Some("netdev"), None) => Datapath::Netdev,
            _ => {
                return Err(format!(
                    "'{text}' is no switch: after the bridge's name only 'netdev' is known, the userspace datapath"
                ));
            }
        };
        Ok(Self { name, datapath })
    }
}

impl fmt::Display for Datapath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "kernel datapath",
            Self::Netdev => "userspace datapath",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_asked_for_by_kind_name_and_datapath() {
        for (text, name, datapath) in [
            ("ovs", None, Datapath::System),
            ("ovs:br0", Some("br0"), Datapath::System),
            ("ovs:br0:netdev", Some("br0"), Datapath::Netdev),
        ] {
            let request: SwitchRequest = text.parse().unwrap();
            assert_eq!(request.name.as_ref().map(IfName::as_str), name, "{text}");
            assert_eq!(request.datapath, datapath, "{text}");
        }
    }

    #[test]
    fn what_is_no_switch_is_refused_with_the_reason() {
        let no_switch =
            "is no switch: pass ovs, or ovs:BRIDGE with the name of an Open vSwitch bridge";
        let name = "expected 1 to 15 bytes without '/', ':', '%' and white space";
        let datapath =
            "is no switch: after the bridge's name only 'netdev' is known, the userspace datapath";
        for (text, reason) in [
            ("", no_switch),
            ("linux", no_switch),
            ("ovs:", name),
            ("ovs:a/b", name),
            (
                "ovs:-x",
                "names a bridge that ovs-vsctl takes for an option",
            ),
            ("ovs:br0:dpdk", datapath),
            ("ovs:br0:netdev:x", datapath),
        ] {
            let said = text.parse::<SwitchRequest>().unwrap_err();
            assert!(said.ends_with(reason), "{text}: {said}");
        }
    }
}
