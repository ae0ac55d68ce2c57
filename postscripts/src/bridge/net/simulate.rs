//! Simulates steps: what a network is after them, as a pure function of what it was.
//!
//! A plan for several bridges needs it (each starts from what the one before leaves), and so do the
//! proofs that a plan converges and that its undo restores. Like the kernel, it accepts
//! the removal of what is not there.

use definitions::IfName;

use super::{
    KernelRoute, Link, LinkKind, NetState, OpenVSwitch, PolicyRule, Step, Switch, SwitchPort,
};

impl NetState {
    /// Returns this network after the steps, in order.
    pub fn after<'a>(&self, steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut state = self.clone();
        for step in steps {
            state.simulate(step);
        }
        state
    }

    fn link_mut(&mut self, name: &IfName) -> Option<&mut Link> {
        self.links
            .iter_mut()
            .find(|link| link.name == name.as_str())
    }

    fn change(&mut self, name: &IfName, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link_mut(name) {
            change(link);
        }
    }

    fn add_route(&mut self, route: &KernelRoute, first: bool) {
        let mut all = self.routes.iter();
        let place = all.position(|known| first && known.rank() == route.rank());
        match place {
            Some(place) if !self.routes.contains(route) => self.routes.insert(place, route.clone()),
            _ => add(&mut self.routes, route),
        }
    }

    /// The kernel keeps the rules of a family by their priorities, those of one priority by their age.
    fn add_rule(&mut self, rule: &PolicyRule) {
        if self.rules.contains(rule) {
            return;
        }
        let is_before =
            |known: &PolicyRule| known.v6 == rule.v6 && known.priority() <= rule.priority();
        let family = self.rules.iter().position(|known| known.v6 == rule.v6);
        let last = self.rules.iter().rposition(is_before).map(|at| at + 1);
        let at = last.or(family).unwrap_or(self.rules.len());
        self.rules.insert(at, rule.clone());
    }

    fn simulate(&mut self, step: &Step) {
        match step {
            Step::CreateBridge {
                bridge,
                mac,
                mtu,
                group,
                settings,
            } => self.links.push(Link {
                name: bridge.to_string(),
                kind: LinkKind::Bridge,
                mac: Some(*mac),
                mtu: *mtu,
                up: false,
                carrier: false,
                group: *group,
                master: None,
                parent: None,
                bridge: Some(*settings),
                addresses: Vec::new(),
                neighbours: Vec::new(),
                sysctls: Default::default(),
            }),
            Step::DeleteBridge { bridge } => self.links.retain(|link| link.name != bridge.as_str()),
            Step::SetBridge { bridge, to, .. } => {
                self.change(bridge, |link| link.bridge = Some(*to))
            }
            Step::SetMac { link, to, .. } => self.change(link, |link| link.mac = Some(*to)),
            Step::SetMtu { link, to, .. } => self.change(link, |link| link.mtu = *to),
            Step::SetGroup { link, to, .. } => self.change(link, |link| link.group = *to),
            Step::SetSysctl { link, key, to, .. } => self.change(link, |link| {
                link.sysctls.insert(key.clone(), to.clone());
            }),
            Step::SetUp { link } => self.change(link, |link| link.up = true),
            Step::SetDown { link } => self.change(link, |link| link.up = false),
            Step::Enslave { port, bridge } => {
                self.change(port, |link| link.master = Some(bridge.to_string()));
            }
            Step::Release { port, .. } => self.change(port, |link| link.master = None),
            Step::AddAddress { link, address } => self.change(link, |link| {
                if link.addresses.iter().all(|known| !known.is_same(address)) {
                    link.addresses.push(address.clone());
                }
            }),
            Step::RemoveAddress { link, address } => self.change(link, |link| {
                link.addresses.retain(|known| !known.is_same(address));
            }),
            Step::AddNeighbour { link, neighbour } => self.change(link, |link| {
                link.neighbours.retain(|known| known.ip != neighbour.ip);
                link.neighbours.push(neighbour.clone());
            }),
            Step::RemoveNeighbour { link, neighbour } => self.change(link, |link| {
                link.neighbours.retain(|known| known.ip != neighbour.ip);
            }),
            Step::AddRoute { route, first } => self.add_route(route, *first),
            Step::RemoveRoute { route, .. } | Step::RetireRoute { route, .. } => {
                self.routes.retain(|known| known != route)
            }
            Step::ReviveRoute { route, placeholder } => {
                if !self.routes.contains(route) {
                    add(&mut self.routes, placeholder);
                }
            }
            Step::AddRule { rule } => self.add_rule(rule),
            Step::RemoveRule { rule } => self.rules.retain(|known| known != rule),
            Step::SetNextHop { to, .. } => {
                for known in self.nexthops.iter_mut().filter(|known| known.id == to.id) {
                    *known = to.clone();
                }
            }
            Step::CreateVeth { link, peer, mtu } => {
                self.links.push(veth(link, peer, *mtu));
                self.links.push(veth(peer, link, *mtu));
            }
            Step::DeleteVeth { link: end } => {
                let is_end = |link: &Link| {
                    let parent = link.parent.as_deref();
                    link.name == end.as_str() || parent == Some(end.as_str())
                };
                self.links.retain(|link| !is_end(link));
            }
            Step::CreateSwitch { .. }
            | Step::DeleteSwitch { .. }
            | Step::SetSwitchMac { .. }
            | Step::AddSwitchPort { .. }
            | Step::RemoveSwitchPort { .. }
            | Step::StartDropping { .. }
            | Step::StopDropping { .. } => {
                if let Some(ovs) = &mut self.open_vswitch {
                    ovs.simulate(step);
                }
            }
            Step::StopOffload { .. }
            | Step::AddTranslation { .. }
            | Step::RemoveTranslation { .. }
            | Step::CopyNeighbours { .. }
            | Step::Announce { .. } => {}
        }
    }
}

impl OpenVSwitch {
    fn simulate(&mut self, step: &Step) {
        let mut change = |name: &IfName, change: &dyn Fn(&mut Switch)| {
            let mut all = self.switches.iter_mut();
            all.find(|switch| switch.name == name.as_str())
                .into_iter()
                .for_each(change);
        };
        match step {
            Step::CreateSwitch {
                switch,
                bridge,
                datapath,
                mac,
            } => self.switches.push(Switch {
                name: switch.to_string(),
                datapath: Some(*datapath),
                fixed_mac: Some(*mac),
                mac: Some(*mac),
                is_secure: false,
                made_for: Some(bridge.to_string()),
                ports: vec![SwitchPort {
                    name: switch.to_string(),
                    made_for: None,
                    fault: None,
                }],
            }),
            Step::DeleteSwitch { switch, bridge } => self.switches.retain(|known| {
                known.name != switch.as_str() || known.made_for.as_deref() != Some(bridge.as_str())
            }),
            Step::SetSwitchMac { switch, to, .. } => {
                change(switch, &|switch| switch.fixed_mac = *to);
            }
            Step::AddSwitchPort {
                port,
                switch,
                bridge,
            } => change(switch, &|switch| {
                switch.ports.push(SwitchPort {
                    name: port.to_string(),
                    made_for: Some(bridge.to_string()),
                    fault: None,
                });
            }),
            Step::RemoveSwitchPort {
                port,
                switch,
                bridge,
            } => change(switch, &|switch| {
                switch.ports.retain(|known| {
                    known.name != port.as_str()
                        || known.made_for.as_deref() != Some(bridge.as_str())
                });
            }),
            Step::StartDropping { nic, bridge } => {
                self.dropping.push((nic.to_string(), bridge.to_string()));
            }
            Step::StopDropping { bridge, .. } => {
                self.dropping.retain(|(_, by)| by != bridge.as_str());
            }
            _ => {}
        }
    }
}

/// One end of a new veth pair.
fn veth(name: &IfName, peer: &IfName, mtu: u32) -> Link {
    Link {
        name: name.to_string(),
        kind: LinkKind::Other("veth".to_owned()),
        mac: None,
        mtu,
        up: false,
        carrier: false,
        group: 0,
        master: None,
        parent: Some(peer.to_string()),
        bridge: None,
        addresses: Vec::new(),
        neighbours: Vec::new(),
        sysctls: Default::default(),
    }
}

fn add<T: Clone + PartialEq>(all: &mut Vec<T>, one: &T) {
    if !all.contains(one) {
        all.push(one.clone());
    }
}
