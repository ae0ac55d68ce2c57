//! From the network as it is and the desired uplinks to the steps between them.
//!
//! Pure: nothing is read and nothing is changed. An empty plan means that everything is as desired already,
//! and what must not be done is refused here, before anything is. The order is what keeps the host
//! reachable: the bridge is whole, up and addressed before the NIC becomes its port; from then on
//! every packet finds its way over the old routes or the new ones, and only then do the old ones go.
//!
//! Why this order, by what the kernel does:
//!
//! - A port hands every frame to its bridge before IP sees it (`br_handle_frame` is the port's `rx_handler`,
//!   net/bridge/br_input.c): from `Enslave` on everything comes in by the bridge, which has to be up and to have
//!   the addresses by then.
//! - When the last device loses an IPv4 address, the routes go that have it as their source (`fib_del_ifaddr`,
//!   net/ipv4/fib_frontend.c). So the addresses of the NIC go last, and each is on the bridge before.
//! - A bridge takes the lowest hardware address of its ports unless one is set (`br_stp_recalculate_bridge_id`,
//!   net/bridge/br_stp_if.c); `CreateBridge` sets the NIC's, so that neighbours and leases keep theirs.

mod adopt;
mod refuse;
mod switch;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use definitions::IfName;
use ipnetwork::IpNetwork;
use nix::libc;
use serde::Serialize;

use super::postcondition::competes;
pub(super) use adopt::is_self_made;
pub use refuse::PlanRefusal;

use super::firewall::Translation;
use super::{
    Address, BridgeSettings, KernelRoute, Link, Neighbour, NetState, PortObstacle, Step,
    SwitchRequest, SwitchWiring,
};
use crate::netlink::uapi::RTPROT_RA;

/// The NIC that shall be a port, and its bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The NIC.
    pub nic: IfName,
    /// The bridge.
    pub bridge: IfName,
    /// An address that the bridge shall carry beside those of the NIC.
    pub address: Option<IpNetwork>,
    /// The bridge of Open vSwitch that has the NIC, if one shall; else the NIC becomes a port of the bridge itself.
    pub switch: Option<SwitchRequest>,
}

/// What is to be done, and what is left as it is though it might surprise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The changes, in order.
    pub steps: Vec<Step>,
    /// What the plan leaves alone, and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// Adds rules of the firewall, so that they exist before the first NIC becomes a port; those that
    /// compare with the number of a bridge, once the last bridge has one.
    pub fn add_translations(&mut self, translations: Vec<Translation>) {
        let enslaves =
            |step: &Step| matches!(step, Step::Enslave { .. } | Step::AddSwitchPort { .. });
        let makes = |step: &Step| matches!(step, Step::CreateBridge { .. });
        let port = self.steps.iter().position(enslaves);
        let port = port.unwrap_or(self.steps.len());
        let made = self.steps.iter().rposition(makes).map_or(0, |at| at + 1);
        let step = |translation| Step::AddTranslation { translation };
        let (late, early): (Vec<_>, Vec<_>) =
            translations.into_iter().partition(Translation::is_numbered);
        let at = port.max(made);
        self.steps.splice(at..at, late.into_iter().map(step));
        self.steps.splice(port..port, early.into_iter().map(step));
    }
}

/// How a bridge of ours bridges: its ports forward at once. With the spanning tree protocol a new port first listens
/// and then learns, for `forward_delay` each (`br_make_forwarding`, net/bridge/br_stp.c; 15 s by default).
const FORWARD_AT_ONCE: BridgeSettings = BridgeSettings {
    stp: false,
    forward_delay: 0,
};

/// How many seconds a router is a default router unless it states another time (RFC 4861 §6.2.1).
const ROUTER_LIFETIME: u32 = 1800;

/// Plans every uplink, each upon the network that the one before leaves.
///
/// # Errors
/// When one of them must not be done; then none is.
pub fn plan(state: &NetState, uplinks: &[Uplink]) -> Result<Plan, PlanRefusal> {
    let mut whole = Plan::default();
    let mut state = state.clone();
    for uplink in uplinks {
        let part = plan_one(&state, uplink)?;
        state = state.after(&part.steps);
        whole.steps.extend(part.steps);
        whole.notes.extend(part.notes);
    }
    Ok(whole)
}

fn plan_one(state: &NetState, uplink: &Uplink) -> Result<Plan, PlanRefusal> {
    let wiring = switch::check(state, uplink)?;
    let nic = refuse::check(state, uplink, wiring.as_ref())?;
    let mut planner = Planner {
        state,
        nic,
        bridge: state.link(uplink.bridge.as_str()),
        uplink,
        wiring,
        plan: Plan::default(),
    };
    let moving = planner.moving();
    if let Some(wiring) = planner.wiring.clone() {
        planner.make_switch(&wiring);
    }
    planner.make_bridge();
    planner.address_bridge(&moving);
    let announced = planner.added_addresses();
    planner.enslave(!announced.is_empty());
    planner.move_routes()?;
    planner.move_rules();
    planner.clear_nic(&moving);
    planner.settle();
    planner.announce(announced);
    Ok(planner.plan)
}

/// A plan under construction.
struct Planner<'a> {
    state: &'a NetState,
    nic: &'a Link,
    /// The bridge, if it is there already.
    bridge: Option<&'a Link>,
    uplink: &'a Uplink,
    /// How a switch connects both, if one does.
    wiring: Option<SwitchWiring>,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    fn note(&mut self, note: String) {
        self.plan.notes.push(note);
    }

    /// Returns the addresses that leave the NIC, in the order of their birth: all but those that every
    /// device has of itself and those that turned out to be somebody else's.
    fn moving(&mut self) -> Vec<Address> {
        let (taken, ours): (Vec<_>, Vec<_>) = self
            .nic
            .addresses
            .iter()
            .filter(|address| !adopt::is_self_made(address, self.nic))
            .cloned()
            .partition(|address| address.flags & libc::IFA_F_DADFAILED != 0);
        for address in taken {
            let nic = &self.nic.name;
            self.note(format!(
                "{address} stays on {nic}: another host on the link has the same address"
            ));
        }
        // A dump of IPv4 is in the order of addition. IPv6 inserts a new address before the others of its scope
        // (ipv6_link_dev_addr, net/ipv6/addrconf.c), so that its dump has the newest first.
        let (mut ours, newest_first): (Vec<_>, Vec<_>) =
            ours.into_iter().partition(|address| address.ip.is_ipv4());
        ours.extend(newest_first.into_iter().rev());
        ours
    }

    /// Adds the addresses that the bridge lacks, while the NIC still answers for them.
    fn address_bridge(&mut self, moving: &[Address]) {
        let link_local = adopt::link_local(self.nic, self.bridge);
        let extra = self.uplink.address;
        let extra = extra
            .filter(|extra| moving.iter().all(|address| address.ip != extra.ip()))
            .map(static_address);
        for mut address in link_local.into_iter().chain(moving.to_vec()).chain(extra) {
            let there = self.bridge.map_or(&[][..], |bridge| &bridge.addresses);
            if there.iter().any(|known| known.is_same(&address)) {
                continue;
            }
            address.label = self.relabel(&address);
            self.add(Step::AddAddress {
                link: self.uplink.bridge.clone(),
                address,
            });
        }
    }

    /// Gives a label the bridge's name in place of the NIC's: `eth0:1` becomes `mydocker0:1`.
    fn relabel(&mut self, address: &Address) -> Option<String> {
        let old = address.label.as_ref()?;
        let new = match old.strip_prefix(&self.nic.name) {
            Some(rest) => format!("{}{rest}", self.uplink.bridge),
            None => old.clone(),
        };
        if new.len() > IfName::MAX {
            self.note(format!(
                "{address} loses its label {old}: {new} would be too long"
            ));
            return None;
        }
        Some(new)
    }

    /// Returns the addresses that the plan brings to the bridge and that others know it by.
    fn added_addresses(&self) -> Vec<IpAddr> {
        let added = |step: &Step| match step {
            Step::AddAddress { address, .. } if !address.is_link_local() => Some(address.ip),
            _ => None,
        };
        self.plan.steps.iter().filter_map(added).collect()
    }

    /// Programs may join a group again where packets come in then, or may not; and who waits for an echo waits in vain.
    fn note_receivers(&mut self) {
        let (nic, bridge) = (&self.nic.name, &self.uplink.bridge);
        // an address may join a group (`autojoin`), and takes it along
        let is_address = |group: &IpAddr| self.nic.addresses.iter().any(|one| one.ip == *group);
        let joined = self.state.obstacles.iter().filter(|(of, _)| of == nic);
        let notes = joined.filter_map(|(_, obstacle)| match obstacle {
            PortObstacle::Group { group } if !is_address(group) => Some(format!(
                "a program joined the group {group} on {nic} and receives nothing of it there any more: have it join on \
                 {bridge}"
            )),
            PortObstacle::Echo { program } => Some(format!(
                "{program} asks by ICMP on {nic} alone and receives no answer there any more: have it ask on {bridge}"
            )),
            _ => None,
        });
        let notes: Vec<_> = notes.collect();
        self.plan.notes.extend(notes);
    }

    fn enslave(&mut self, addressed: bool) {
        let nic = self.nic;
        let connected = self.uplink.is_connected(self.state);
        if !connected || addressed {
            self.copy_neighbours();
        }
        if !nic.up {
            self.add(Step::SetUp {
                link: self.uplink.nic.clone(),
            });
        }
        match self.wiring.clone() {
            Some(wiring) => self.connect(&wiring),
            None if connected => {}
            None => {
                self.note_receivers();
                self.add(Step::Enslave {
                    port: self.uplink.nic.clone(),
                    bridge: self.uplink.bridge.clone(),
                });
            }
        }
        let end = self
            .wiring
            .as_ref()
            .map(|wiring| wiring.bridge_end.as_str());
        let others: Vec<_> = self
            .state
            .ports(self.uplink.bridge.as_str())
            .filter(|port| port.name != nic.name && Some(port.name.as_str()) != end)
            .map(|port| port.name.as_str())
            .collect();
        if !others.is_empty() {
            let others = others.join(", ");
            let bridge = &self.uplink.bridge;
            self.note(format!("{bridge} keeps its other ports: {others}"));
        }
    }

    /// Copies what the NIC has learnt. As `NUD_STALE` an entry is used at once and verified by its first use
    /// (net/core/neighbour.c), so no packet waits for an answer and a wrong entry does not last.
    fn copy_neighbours(&mut self) {
        let mut learnt: Vec<_> = self.nic.neighbours.clone();
        learnt.retain(|known| known.administered().is_none());
        for neighbour in &mut learnt {
            neighbour.state = libc::NUD_STALE;
        }
        if !learnt.is_empty() {
            self.add(Step::CopyNeighbours {
                link: self.uplink.bridge.clone(),
                neighbours: learnt,
            });
        }
    }

    /// Points routes and nexthop objects to the bridge: first those on the link, because the kernel refuses a
    /// gateway that no route on the link leads to (`fib_check_nh`, net/ipv4/fib_semantics.c;
    /// `ip6_route_check_nh`, net/ipv6/route.c); the old ones go in the opposite order. What is chosen before
    /// others of its rank is added before them, and so the last of several comes first.
    fn move_routes(&mut self) -> Result<(), PlanRefusal> {
        self.keep_preferences()?;
        let (nic, bridge) = (self.uplink.nic.as_str(), self.uplink.bridge.as_str());
        let (leading, mut old): (Vec<_>, Vec<_>) = self
            .state
            .routes
            .iter()
            .filter(|route| route.leaves_by(nic))
            .map(|route| (!route.v6 && self.overtaken_by(route).is_some(), route))
            .partition(|(leads, _)| *leads);
        old.extend(leading.into_iter().rev());
        // those of one rank keep their order
        let by_router = |route: &KernelRoute| {
            let mut alike = self.state.routes.iter();
            let has_router = |hop: &super::Hop| hop.gateway.is_some();
            alike.any(|other| {
                let counts = other.leaves_by(nic) && other.rank() == route.rank();
                counts && other.hops.iter().any(has_router)
            })
        };
        old.sort_by_key(|(_, route)| by_router(route));
        for &(first, route) in &old {
            let route = match self.placeholder(route) {
                Some(placeholder) => redirect(&placeholder, nic, bridge),
                None => redirect(route, nic, bridge),
            };
            if !self.state.routes.contains(&route) {
                self.add(Step::AddRoute { route, first });
            }
        }
        for from in &self.state.nexthops {
            if from.device.as_deref() == Some(nic) {
                let to = super::NextHop {
                    device: Some(bridge.to_owned()),
                    ..from.clone()
                };
                self.add(Step::SetNextHop {
                    from: from.clone(),
                    to,
                });
            }
        }
        for (first, route) in old.into_iter().rev() {
            let placeholder = self.placeholder(route);
            let route = route.clone();
            self.add(match placeholder {
                Some(placeholder) => Step::RetireRoute { route, placeholder },
                None => Step::RemoveRoute { route, first },
            });
        }
        Ok(())
    }

    /// The kernel adds a route of IPv6 after others of the same metric, with `NLM_F_APPEND` and without
    /// (`fib6_add_rt2node`, net/ipv6/ip6_fib.c; of IPv4 it adds before them without): refuses where that would have it
    /// choose another device, and notes it where a router advertises the route again anyway.
    fn keep_preferences(&mut self) -> Result<(), PlanRefusal> {
        let (state, nic) = (self.state, self.nic.name.as_str());
        let ours = |route: &&KernelRoute| route.v6 && route.leaves_by(nic) && competes(route);
        for route in state.routes.iter().filter(ours) {
            let Some(other) = self.overtaken_by(route) else {
                continue;
            };
            if route.is_shared() && other.is_shared() {
                continue;
            }
            if self.placeholder(route).is_none() {
                return Err(PlanRefusal::Tie {
                    route: route.to_string(),
                    other: other.to_string(),
                });
            }
            self.note(format!(
                "the route {other} has the metric of the route {route}, and will be chosen before it"
            ));
        }
        Ok(())
    }

    /// Returns the first route of the same rank that leaves by another device, where this one is listed before it.
    fn overtaken_by(&self, route: &KernelRoute) -> Option<&KernelRoute> {
        let (nic, routes) = (self.nic.name.as_str(), &self.state.routes);
        let is_other = |other: &KernelRoute| {
            other.rank() == route.rank()
                && !other.leaves_by(nic)
                && !other.leaves_by(self.uplink.bridge.as_str())
        };
        let other = routes.iter().position(is_other)?;
        let own = routes.iter().position(|known| known == route)?;
        (own < other).then(|| &routes[other])
    }

    /// Returns the placeholder of a default route that the kernel made of an advertisement, until it makes one of
    /// the next: the same, one metric higher, for no longer than was advertised. The kernel recognises its own
    /// by `RTF_ADDRCONF` (`rt6_get_dflt_router`, net/ipv6/route.c), which netlink cannot set, and could not add
    /// it beside a copy of the same metric (`EEXIST`).
    fn placeholder(&self, route: &KernelRoute) -> Option<KernelRoute> {
        let accepts_ra = self.nic.sysctls.get("ipv6/accept_ra");
        let advertised = route.v6 && route.is_default() && route.protocol == RTPROT_RA;
        (advertised && accepts_ra.is_some_and(|mode| mode != "0")).then(|| KernelRoute {
            metric: route.metric.map(|metric| metric.saturating_add(1)),
            expires: route.expires.or(Some(ROUTER_LIFETIME)),
            ..route.clone()
        })
    }

    fn move_rules(&mut self) {
        let (nic, bridge) = (self.uplink.nic.as_str(), self.uplink.bridge.as_str());
        let renamed = |name: &Option<String>| match name {
            Some(name) if name == nic => Some(bridge.to_owned()),
            other => other.clone(),
        };
        for old in &self.state.rules {
            let mut rule = old.clone();
            rule.input = renamed(&old.input);
            rule.output = renamed(&old.output);
            if rule == *old {
                continue;
            }
            if !self.state.rules.contains(&rule) {
                self.add(Step::AddRule { rule });
            }
            self.add(Step::RemoveRule { rule: old.clone() });
        }
    }

    /// Removes from the NIC what the bridge has now; addresses from the last to the first, because a
    /// primary IPv4 address takes its secondaries with it unless `promote_secondaries` is set
    /// (`__inet_del_ifa`, net/ipv4/devinet.c).
    fn clear_nic(&mut self, moving: &[Address]) {
        let (nic, bridge) = (&self.uplink.nic, &self.uplink.bridge);
        let known = self.nic.neighbours.iter();
        let administered: Vec<_> = known.filter_map(Neighbour::administered).collect();
        for neighbour in administered {
            self.add(Step::AddNeighbour {
                link: bridge.clone(),
                neighbour: neighbour.clone(),
            });
            self.add(Step::RemoveNeighbour {
                link: nic.clone(),
                neighbour,
            });
        }
        for address in moving.iter().rev() {
            self.add(Step::RemoveAddress {
                link: nic.clone(),
                address: address.clone(),
            });
        }
    }

    fn announce(&mut self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            self.add(Step::Announce {
                link: self.uplink.bridge.clone(),
                addresses,
            });
        }
    }
}

fn redirect(route: &KernelRoute, from: &str, to: &str) -> KernelRoute {
    let mut route = route.clone();
    for hop in &mut route.hops {
        if hop.device.as_deref() == Some(from) {
            hop.device = Some(to.to_owned());
        }
    }
    route
}

/// An address without an end, as `ip address add` makes it.
fn static_address(network: IpNetwork) -> Address {
    let broadcast = match network {
        IpNetwork::V4(network) if network.prefix() < 31 => Some(network.broadcast()),
        _ => None,
    };
    Address {
        ip: network.ip(),
        len: network.prefix(),
        peer: None,
        broadcast,
        label: None,
        scope: 0,
        flags: 0,
        lifetimes: None,
        other: Vec::new(),
    }
}
