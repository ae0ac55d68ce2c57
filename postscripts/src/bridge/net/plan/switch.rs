//! An uplink by Open vSwitch: the switch gets the NIC, and a veth pair connects it to the Linux bridge.
//!
//! The pair is whole and in both before the switch gets the NIC: from then on every frame comes in by the bridge, as it
//! does with a NIC that is a port of it.

use super::{PlanRefusal, Planner, Uplink};
use crate::bridge::net::switch::{self, Datapath, MAX_BRIDGE, OpenVSwitch, Switch, SwitchWiring};
use crate::bridge::net::{Link, LinkKind, Mac, NetState, Step};

/// Keeps a device from having addresses of IPv6 of its own.
const NO_IPV6: &str = "ipv6/disable_ipv6";

impl<'a> Planner<'a> {
    /// Makes the switch, or keeps the hardware address of one that is there: without one of its own it takes the lowest
    /// of its ports' (`other_config:hwaddr`), which may become the NIC's.
    pub(super) fn make_switch(&mut self, wiring: &SwitchWiring) {
        let Some(known) = self.switch(wiring) else {
            return self.add(Step::CreateSwitch {
                switch: wiring.switch.clone(),
                bridge: self.uplink.bridge.clone(),
                datapath: wiring.datapath,
                mac: another(self.nic.mac.unwrap_or(Mac([0; 6]))),
            });
        };
        let has_nic = known.port(&self.nic.name).is_some();
        if let (false, None, Some(mac)) = (has_nic, known.fixed_mac, known.mac) {
            self.add(Step::SetSwitchMac {
                switch: wiring.switch.clone(),
                from: None,
                to: Some(mac),
            });
        }
        if known.is_secure {
            self.note(format!(
                "{} forwards what its flows say (fail_mode=secure): they decide what passes between {} and {}",
                wiring.switch, self.nic.name, self.uplink.bridge
            ));
        }
        let ours = [
            self.nic.name.as_str(),
            wiring.switch_end.as_str(),
            known.name.as_str(),
        ];
        let others = known.ports.iter().map(|port| port.name.as_str());
        let others: Vec<_> = others.filter(|name| !ours.contains(name)).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            self.note(format!("{} keeps its other ports: {others}", wiring.switch));
        }
    }

    /// Adds whatever lacks between the bridge and the NIC, the NIC last.
    pub(super) fn connect(&mut self, wiring: &SwitchWiring) {
        let SwitchWiring {
            switch,
            datapath,
            bridge_end,
            switch_end,
        } = wiring;
        let known = self.switch(wiring);
        let has = |port: &str| known.is_some_and(|switch| switch.port(port).is_some());
        let (has_end, has_nic) = (has(switch_end.as_str()), has(&self.nic.name));
        let (end, peer) = (
            self.link(bridge_end.as_str()),
            self.link(switch_end.as_str()),
        );
        if end.is_none() {
            self.make_pair(wiring);
        }
        if !peer.is_some_and(|peer| peer.up) {
            self.add(Step::SetUp {
                link: switch_end.clone(),
            });
        }
        let bridge = &self.uplink.bridge;
        let add_port = |port| Step::AddSwitchPort {
            port,
            switch: switch.clone(),
            bridge: bridge.clone(),
        };
        if !has_end {
            self.add(add_port(switch_end.clone()));
        }
        if !end.is_some_and(|end| end.up) {
            self.add(Step::SetUp {
                link: bridge_end.clone(),
            });
        }
        if end.and_then(|end| end.master.as_deref()) != Some(bridge.as_str()) {
            self.add(Step::Enslave {
                port: bridge_end.clone(),
                bridge: bridge.clone(),
            });
        }
        if !has_nic {
            self.note_receivers();
            self.add(add_port(self.uplink.nic.clone()));
        }
        let ovs = self.state.open_vswitch.as_ref();
        let drops = ovs.is_some_and(|ovs| ovs.drops(&self.nic.name, bridge.as_str()));
        if *datapath == Datapath::Netdev && !drops {
            self.add(Step::StartDropping {
                nic: self.uplink.nic.clone(),
                bridge: bridge.clone(),
            });
        }
    }

    /// Makes a veth pair without addresses of its own.
    fn make_pair(&mut self, wiring: &SwitchWiring) {
        self.add(Step::CreateVeth {
            link: wiring.bridge_end.clone(),
            peer: wiring.switch_end.clone(),
            mtu: self.nic.mtu,
        });
        if self.state.defaults.contains_key(NO_IPV6) {
            for link in [&wiring.bridge_end, &wiring.switch_end] {
                self.push_setting(link, NO_IPV6, None, "1");
            }
        }
        if wiring.datapath == Datapath::Netdev {
            self.add(Step::StopOffload {
                link: wiring.bridge_end.clone(),
            });
        }
    }

    fn switch(&self, wiring: &SwitchWiring) -> Option<&'a Switch> {
        let ovs = self.state.open_vswitch.as_ref();
        ovs.and_then(|ovs| ovs.switch(wiring.switch.as_str()))
    }

    fn link(&self, name: &str) -> Option<&'a Link> {
        self.state.link(name)
    }
}

/// A hardware address that is not this one, and nobody else's: of those that are given locally (IEEE 802, section 8.4).
fn another(mac: Mac) -> Mac {
    const LOCAL: u8 = 0x02;
    let Mac([first, second, rest @ ..]) = mac;
    let [a, b, c, d] = rest;
    match first & LOCAL {
        0 => Mac([first | LOCAL, second, a, b, c, d]),
        _ => Mac([first, second ^ 0x80, a, b, c, d]),
    }
}

/// Finds the switch and the pair of an uplink, if it has a switch and nothing is in the way.
pub(super) fn check(
    state: &NetState,
    uplink: &Uplink,
) -> Result<Option<SwitchWiring>, PlanRefusal> {
    let (nic, bridge) = (uplink.nic.to_string(), uplink.bridge.to_string());
    if uplink.switch.is_none() {
        return match switch::bridge_end(state, &bridge) {
            Some(end) => Err(PlanRefusal::HasSwitch { bridge, end }),
            None => Ok(None),
        };
    }
    let wiring = SwitchWiring::of(uplink, state).filter(|_| bridge.len() <= MAX_BRIDGE);
    let Some(wiring) = wiring else {
        return Err(PlanRefusal::LongName {
            bridge,
            max: MAX_BRIDGE,
        });
    };
    let nothing = OpenVSwitch::default();
    let ovs = state.open_vswitch.as_ref().unwrap_or(&nothing);
    let link = state.link(&nic);
    if link.is_some_and(|link| link.master.as_deref() == Some(bridge.as_str())) {
        return Err(PlanRefusal::PlainPort { nic, bridge });
    }
    has_usable_name(state, ovs, uplink, &wiring)?;
    let wanted = wiring.switch.as_str();
    for port in [nic.as_str(), wiring.switch_end.as_str()] {
        if let Some(other) = ovs.switch_of(port).filter(|other| other.name != wanted) {
            return Err(PlanRefusal::OtherSwitch {
                port: port.to_owned(),
                switch: other.name.clone(),
                wanted: wanted.to_owned(),
            });
        }
    }
    has_own_pair(state, &bridge, &wiring)?;
    if wiring.datapath == Datapath::System && !ovs.has_kernel_datapath {
        return Err(PlanRefusal::NoDatapath {
            switch: wanted.to_owned(),
        });
    }
    Ok(Some(wiring))
}

/// Checks that the switch is one, or may be made.
fn has_usable_name(
    state: &NetState,
    ovs: &OpenVSwitch,
    uplink: &Uplink,
    wiring: &SwitchWiring,
) -> Result<(), PlanRefusal> {
    let switch = wiring.switch.to_string();
    let ours = [
        &uplink.nic,
        &uplink.bridge,
        &wiring.bridge_end,
        &wiring.switch_end,
    ];
    let what = match (ovs.switch(&switch), state.link(&switch)) {
        _ if ours.contains(&&wiring.switch) => "is another device of the same uplink",
        (Some(known), _) if known.datapath.is_none() => {
            "has a datapath that is neither the kernel's nor the userspace one"
        }
        (None, Some(_)) => "exists and is no bridge of Open vSwitch",
        _ => return Ok(()),
    };
    Err(PlanRefusal::NoSwitch {
        switch,
        what: what.to_owned(),
    })
}

/// Checks that what has the names of the pair is the pair.
fn has_own_pair(state: &NetState, bridge: &str, wiring: &SwitchWiring) -> Result<(), PlanRefusal> {
    let ends = [&wiring.bridge_end, &wiring.switch_end];
    let found = ends.map(|end| state.link(end.as_str()));
    let is_pair = match found {
        [None, None] => true,
        [Some(end), Some(peer)] => {
            let is_veth = |link: &Link| link.kind == LinkKind::Other("veth".to_owned());
            is_veth(end) && is_veth(peer) && end.parent.as_deref() == Some(peer.name.as_str())
        }
        _ => false,
    };
    let elsewhere = found[0].and_then(|end| end.master.as_deref());
    match elsewhere.filter(|master| *master != bridge) {
        None if is_pair => Ok(()),
        _ => Err(PlanRefusal::NoPair {
            bridge_end: wiring.bridge_end.to_string(),
            switch_end: wiring.switch_end.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::net::fixture::link;
    use crate::bridge::net::{Plan, SwitchPort, plan};

    /// A host whose kernel has a datapath, with these bridges of Open vSwitch.
    fn host(switches: Vec<Switch>) -> NetState {
        NetState {
            links: vec![link("eth0", LinkKind::Ethernet, 1)],
            open_vswitch: Some(OpenVSwitch {
                has_kernel_datapath: true,
                switches,
                dropping: Vec::new(),
            }),
            ..NetState::default()
        }
    }

    fn switch(name: &str, datapath: Datapath, ports: &[&str]) -> Switch {
        let port = |name: &&str| SwitchPort {
            name: (*name).to_owned(),
            made_for: None,
            fault: None,
        };
        Switch {
            name: name.to_owned(),
            datapath: Some(datapath),
            fixed_mac: None,
            mac: Some(Mac([2, 0, 0, 0, 0, 7])),
            is_secure: false,
            made_for: None,
            ports: ports.iter().map(port).collect(),
        }
    }

    fn uplink(switch: &str) -> Uplink {
        Uplink {
            nic: "eth0".parse().unwrap(),
            bridge: "mydocker0".parse().unwrap(),
            address: None,
            switch: Some(switch.parse().unwrap()),
        }
    }

    fn words(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_pair_is_in_both_before_the_switch_gets_the_nic() {
        let made = plan(&host(Vec::new()), &[uplink("ovs")]).unwrap();
        assert_eq!(
            words(&made),
            [
                "making the Open vSwitch bridge ovs-mydocker0 (kernel datapath)",
                "making bridge mydocker0 with address 52:54:00:00:00:01, MTU 1500, no spanning tree and no delay",
                "bringing mydocker0 up",
                "making the veth pair vb-mydocker0 and vs-mydocker0",
                "bringing vs-mydocker0 up",
                "putting vs-mydocker0 into the Open vSwitch bridge ovs-mydocker0",
                "bringing vb-mydocker0 up",
                "putting vb-mydocker0 into mydocker0",
                "putting eth0 into the Open vSwitch bridge ovs-mydocker0",
            ]
        );
        let userspace = plan(&host(Vec::new()), &[uplink("ovs:sw0:netdev")]).unwrap();
        let words = words(&userspace);
        assert_eq!(words[4], "completing the checksums sent by vb-mydocker0");
        assert_eq!(
            words.last().unwrap(),
            "dropping what eth0 receives beside Open vSwitch"
        );
    }

    #[test]
    fn a_switch_that_exists_keeps_its_hardware_address_and_its_ports() {
        let known = switch("br0", Datapath::System, &["br0", "guest0"]);
        let secure = Switch {
            is_secure: true,
            ..known
        };
        let made = plan(&host(vec![secure]), &[uplink("ovs:br0")]).unwrap();
        assert_eq!(
            words(&made)[0],
            "fixing the hardware address 02:00:00:00:00:07 of br0"
        );
        assert_eq!(
            made.notes,
            [
                "br0 forwards what its flows say (fail_mode=secure): they decide what passes between eth0 and mydocker0",
                "br0 keeps its other ports: guest0",
            ]
        );
    }

    #[test]
    fn whatever_is_done_is_undone_and_then_there_is_nothing_to_do() {
        let held = switch("br0", Datapath::System, &["br0", "eth0"]);
        let other = switch("br1", Datapath::Netdev, &["br1", "guest0"]);
        for (state, uplink) in [
            (host(Vec::new()), uplink("ovs")),
            (host(Vec::new()), uplink("ovs:sw0:netdev")),
            (host(vec![held.clone(), other.clone()]), uplink("ovs")),
            (host(vec![other]), uplink("ovs:br1")),
        ] {
            let uplinks = [uplink];
            let steps = plan(&state, &uplinks).unwrap().steps;
            let undo: Vec<_> = steps.iter().rev().filter_map(Step::undo).collect();
            for cut in 0..=steps.len() {
                assert_eq!(state.after(&steps[..cut]).after(&undo), state, "{cut}");
            }
            let after = state.after(&steps);
            assert!(uplinks[0].is_connected(&after));
            assert_eq!(plan(&after, &uplinks).unwrap().steps, []);
            let text = serde_json::to_string(&steps).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Step>>(&text).unwrap(), steps);
        }
    }

    #[test]
    fn what_a_later_boot_keeps_of_a_run_is_what_the_database_has() {
        let steps = plan(&host(Vec::new()), &[uplink("ovs")]).unwrap().steps;
        let lasting = steps.iter().filter(|step| step.outlasts_boot());
        let lasting: Vec<_> = lasting.map(ToString::to_string).collect();
        assert_eq!(
            lasting,
            [
                "making the Open vSwitch bridge ovs-mydocker0 (kernel datapath)",
                "putting vs-mydocker0 into the Open vSwitch bridge ovs-mydocker0",
                "putting eth0 into the Open vSwitch bridge ovs-mydocker0",
            ]
        );
    }

    #[test]
    fn the_switch_gets_another_hardware_address_than_the_nic() {
        for (nic, own) in [
            ([0x52, 0x54, 0, 0, 0, 1], [0x52, 0xd4, 0, 0, 0, 1]),
            ([0x00, 0x16, 0x3e, 0, 0, 1], [0x02, 0x16, 0x3e, 0, 0, 1]),
        ] {
            assert_eq!(another(Mac(nic)), Mac(own));
        }
    }
}
