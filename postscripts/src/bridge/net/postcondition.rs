//! What must hold when a change is over: everything that the NIC had is on the bridge, nothing
//! of it is on the port, and no other device has gained or lost any.
//!
//! Pure: the network as the plan leaves it and as the kernel reports it go in, what differs comes out
//! in words. What passes by itself is no difference: lifetimes that count down, addresses that every
//! device makes of itself, temporary ones, what a router advertises anew.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use nix::libc;

use super::plan::is_self_made;
use super::state::RT_TABLE_MAIN;
use super::{Address, Datapath, KernelRoute, Link, NetState, PolicyRule, SwitchWiring, Uplink};
use crate::netlink::uapi::RTPROT_RA;

/// What a device is to the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceRole {
    Bridge,
    Port,
    Other,
}

/// Says what is not as expected; `elapsed` seconds have passed since the expectation was made.
pub fn differences(
    expected: &NetState,
    now: &NetState,
    uplinks: &[Uplink],
    elapsed: u32,
) -> Vec<String> {
    let check = PostconditionCheck {
        expected,
        now,
        uplinks,
        elapsed,
        found: Vec::new(),
    };
    check.all()
}

struct PostconditionCheck<'a> {
    expected: &'a NetState,
    now: &'a NetState,
    uplinks: &'a [Uplink],
    elapsed: u32,
    found: Vec<String>,
}

impl PostconditionCheck<'_> {
    fn all(mut self) -> Vec<String> {
        for uplink in self.uplinks {
            self.port(uplink);
        }
        for link in &self.expected.links {
            match self.now.link(&link.name) {
                Some(now) => self.addresses(link, now),
                // a container or a tunnel that ended took its own device along
                None if self.role(&link.name) == DeviceRole::Other => {}
                None => self.add(format!("{} is gone", link.name)),
            }
        }
        self.newcomers();
        self.routes();
        self.preferences();
        self.rules();
        for hop in &self.expected.nexthops {
            let same = |now: &&super::NextHop| (now.id, &now.device) == (hop.id, &hop.device);
            if !self.now.nexthops.iter().any(|now| same(&now)) {
                self.add(format!("nexthop {} is gone or leads elsewhere", hop.id));
            }
        }
        self.found
    }

    fn add(&mut self, what: String) {
        if !self.found.contains(&what) {
            self.found.push(what);
        }
    }

    fn role(&self, name: &str) -> DeviceRole {
        let is = |uplink: &Uplink| match name {
            name if name == uplink.bridge.as_str() => Some(DeviceRole::Bridge),
            name if name == uplink.nic.as_str() => Some(DeviceRole::Port),
            _ => None,
        };
        self.uplinks
            .iter()
            .find_map(is)
            .unwrap_or(DeviceRole::Other)
    }

    /// The NIC is a port, and both are as they were planned.
    fn port(&mut self, uplink: &Uplink) {
        let (nic, bridge) = (uplink.nic.as_str(), uplink.bridge.as_str());
        let wiring = SwitchWiring::of(uplink, self.expected);
        match &wiring {
            Some(wiring) => self.switched(uplink, wiring),
            None if uplink.is_connected(self.now) => {}
            None => self.add(format!("{nic} is not a port of {bridge}")),
        }
        let ends = wiring
            .iter()
            .flat_map(|one| [one.bridge_end.as_str(), one.switch_end.as_str()]);
        for name in [nic, bridge].into_iter().chain(ends) {
            let (Some(expected), Some(now)) = (self.expected.link(name), self.now.link(name))
            else {
                continue;
            };
            if !now.up {
                self.add(format!("{name} is down"));
            }
            if let (Some(was), Some(is)) = (expected.mac, now.mac)
                && was != is
                && !self.takes_from_ports(name, is)
            {
                self.add(format!("{name} has the hardware address {is}, not {was}"));
            }
            if now.mtu < expected.mtu {
                self.add(format!(
                    "{name} has the MTU {}, not {}",
                    now.mtu, expected.mtu
                ));
            }
        }
    }

    /// The switch has the NIC and one end of the pair, and packets pass both; the bridge has the other end.
    fn switched(&mut self, uplink: &Uplink, wiring: &SwitchWiring) {
        let (nic, bridge) = (uplink.nic.as_str(), uplink.bridge.as_str());
        let (switch, end) = (wiring.switch.as_str(), wiring.bridge_end.as_str());
        let ovs = self.now.open_vswitch.as_ref();
        let known = ovs.and_then(|ovs| ovs.switch(switch));
        let mut found = Vec::new();
        for port in [nic, wiring.switch_end.as_str()] {
            match known.and_then(|known| known.port(port)) {
                None => found.push(format!("{port} is not a port of {switch}")),
                Some(port) => {
                    let fault = port.fault.iter();
                    found.extend(fault.map(|fault| format!("{}: {fault}", port.name)));
                }
            }
        }
        let master = self.now.link(end).and_then(|link| link.master.as_deref());
        if master != Some(bridge) {
            found.push(format!("{end} is not a port of {bridge}"));
        }
        let drops = ovs.is_some_and(|ovs| ovs.drops(nic, bridge));
        if wiring.datapath == Datapath::Netdev && !drops {
            found.push(format!("the kernel receives by {nic} beside {switch}"));
        }
        found.into_iter().for_each(|what| self.add(what));
    }

    /// Reports whether a hardware address is one that a bridge of several ports has from one of them.
    fn takes_from_ports(&self, bridge: &str, mac: super::Mac) -> bool {
        let mut ports = self.now.ports(bridge);
        self.expected.ports(bridge).count() > 1 && ports.any(|port| port.mac == Some(mac))
    }

    fn addresses(&mut self, expected: &Link, now: &Link) {
        let (name, role) = (expected.name.as_str(), self.role(&expected.name));
        for address in &expected.addresses {
            let there = now.addresses.iter().find(|one| one.is_same(address));
            match there {
                Some(there) if is_taken(there) && !is_taken(address) => {
                    self.add(format!("another host on the link has {address}"));
                }
                Some(there) if address.lifetimes.is_none() && there.lifetimes.is_some() => {
                    self.add(format!("{address} on {name} is only leased now"));
                }
                Some(_) => {}
                None if self.may_go(address, expected) => {}
                // a manager of the network makes its own of what it knows the bridge by
                None if is_renewed(address, expected, now) => {}
                None => self.add(format!("{address} is gone from {name}")),
            }
        }
        for address in &now.addresses {
            let known = expected.addresses.iter().any(|one| one.is_same(address));
            if !known && !may_come(address, expected, role) {
                self.add(format!("{name} has {address}"));
            }
        }
    }

    /// Reports whether an address may be gone by itself.
    fn may_go(&self, address: &Address, link: &Link) -> bool {
        is_self_made(address, link) || is_temporary(address) || self.is_over(address)
    }

    fn is_over(&self, address: &Address) -> bool {
        let ended = |left: u32| left <= self.elapsed.saturating_add(1);
        address.lifetimes.is_some_and(|left| ended(left.valid))
    }

    /// Devices that came meanwhile may have what they want, but nothing of ours.
    fn newcomers(&mut self) {
        let bridges = self
            .expected
            .links
            .iter()
            .filter(|link| self.role(&link.name) == DeviceRole::Bridge);
        let ours: BTreeSet<IpAddr> = bridges
            .flat_map(|link| &link.addresses)
            .map(|one| one.ip)
            .collect();
        for link in self
            .now
            .links
            .iter()
            .filter(|link| self.expected.link(&link.name).is_none())
        {
            for address in link
                .addresses
                .iter()
                .filter(|one| !one.is_link_local() && ours.contains(&one.ip))
            {
                self.add(format!("{} has {address}", link.name));
            }
        }
    }

    fn routes(&mut self) {
        for route in &self.expected.routes {
            let expired = |left: u32| left <= self.elapsed.saturating_add(1);
            let lasts = !route.expires.is_some_and(expired);
            let devices = route.hops.iter().filter_map(|hop| hop.device.as_deref());
            let left =
                |name: &str| self.role(name) == DeviceRole::Other && self.now.link(name).is_none();
            let exists = self.now.routes.iter().any(|now| is_same_way(route, now));
            if lasts && !exists && !devices.into_iter().any(left) && !self.is_connected(route) {
                self.add(format!("the route {} is gone", without_metric(route)));
            }
        }
        for route in &self.now.routes {
            let port = self
                .uplinks
                .iter()
                .any(|uplink| route.leaves_by(uplink.nic.as_str()));
            let knows = |known: &KernelRoute| is_same_way(known, route);
            let newcomer = |name: &str| self.expected.link(name).is_none();
            let mut devices = route.hops.iter().filter_map(|hop| hop.device.as_deref());
            let is_ours = !devices.any(newcomer);
            let advertised = route.v6 && route.protocol == RTPROT_RA;
            let surprising = route.is_default() && !advertised && is_ours;
            if (port || surprising) && !self.expected.routes.iter().any(knows) {
                self.add(format!("there is a new route {}", without_metric(route)));
            }
        }
    }

    /// Reports whether the kernel makes such a route of an address that is there.
    fn is_connected(&self, route: &KernelRoute) -> bool {
        let [hop] = route.hops.as_slice() else {
            return false;
        };
        let link = hop.device.as_deref().and_then(|name| self.now.link(name));
        let makes = |address: &Address| {
            let prefix = address
                .prefix()
                .map(|prefix| (prefix.network(), prefix.prefix()));
            let destination = route.destination.map(|to| (to.ip(), to.prefix()));
            destination.is_some()
                && destination == prefix
                && address.flags & libc::IFA_F_NOPREFIXROUTE == 0
        };
        hop.gateway.is_none() && link.is_some_and(|link| link.addresses.iter().any(makes))
    }

    /// Wherever routes compete, the one that is chosen leads by the same devices.
    fn preferences(&mut self) {
        let mut keys = Vec::new();
        for route in self.expected.routes.iter().filter(|route| competes(route)) {
            let key = key(route);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            let [expected, now] = [self.expected, self.now].map(|state| self.chosen(state, key));
            let (Some((route, expected)), Some((_, now))) = (expected, now) else {
                continue;
            };
            if expected != now && expected.iter().all(|name| self.now.link(name).is_some()) {
                let family = if route.v6 { "IPv6" } else { "IPv4" };
                let what = match route.destination {
                    Some(prefix) => format!("route {prefix}"),
                    None => "default route".to_owned(),
                };
                let table = match route.table {
                    RT_TABLE_MAIN => String::new(),
                    table => format!(" in table {table}"),
                };
                let (now, expected) = (now.join(" and "), expected.join(" and "));
                self.add(format!(
                    "the {what} of {family}{table} leads by {now}, not by {expected}"
                ));
            }
        }
    }

    /// The route that the kernel chooses, and the devices that it leads by: of those with the lowest metric the
    /// first, of IPv6 all that have a router.
    fn chosen<'a>(
        &self,
        state: &'a NetState,
        wanted: RouteKey,
    ) -> Option<(&'a KernelRoute, Vec<&'a str>)> {
        let is_known = |hop: &super::Hop| {
            let device = hop.device.as_deref();
            device.is_some_and(|name| self.expected.link(name).is_some())
        };
        let ours =
            |route: &&KernelRoute| key(route) == wanted && route.hops.first().is_some_and(is_known);
        let routes = state.routes.iter().filter(ours);
        let best = routes.min_by_key(|route| route.metric.unwrap_or_default())?;
        let shares = |route: &&KernelRoute| *route == best || best.is_shared() && route.is_shared();
        let alike = state.routes.iter().filter(ours);
        let alike = alike
            .filter(|route| route.rank() == best.rank())
            .filter(shares);
        let hops = alike.flat_map(|route| &route.hops);
        let devices: BTreeSet<&str> = hops.filter_map(|hop| hop.device.as_deref()).collect();
        Some((best, devices.into_iter().collect()))
    }

    fn rules(&mut self) {
        for rule in &self.expected.rules {
            if !self.now.rules.contains(rule) && !self.has_alike(rule) {
                self.add(format!("the rule {rule} is gone"));
            }
        }
        let names = |rule: &PolicyRule, name: &str| {
            let name = Some(name);
            rule.input.as_deref() == name || rule.output.as_deref() == name
        };
        for rule in &self.now.rules {
            let port = self
                .uplinks
                .iter()
                .any(|uplink| names(rule, uplink.nic.as_str()));
            if port && !self.expected.rules.contains(rule) {
                self.add(format!("there is a new rule {rule}"));
            }
        }
    }

    /// Reports whether there is a rule that differs in its priority alone, and after the same others of those that
    /// were expected: a manager of the network has the kernel choose the priority again.
    fn has_alike(&self, rule: &PolicyRule) -> bool {
        let others = |rules: &[PolicyRule]| -> Vec<PolicyRule> {
            let expected =
                |one: &&PolicyRule| one.v6 == rule.v6 && self.expected.rules.contains(one);
            rules.iter().filter(expected).cloned().collect()
        };
        let before = |rules: &[PolicyRule], own: &PolicyRule| {
            let at = rules.iter().position(|one| one == own)?;
            let mut others = others(&rules[..at]);
            // what moved with it counts on neither side
            others.retain(|one| self.now.rules.contains(one));
            Some(others)
        };
        let expected = before(&self.expected.rules, rule);
        let mut alike = self.now.rules.iter().filter(|one| one.is_alike(rule));
        alike.any(|one| before(&self.now.rules, one) == expected)
    }
}

/// Says which link-local addresses of the bridges are others than expected: whoever manages the network may make
/// them of its own name for the device, and nothing reaches a host by them but what asks the link for it.
pub fn other_link_locals(expected: &NetState, now: &NetState, uplinks: &[Uplink]) -> Vec<String> {
    let bridges = uplinks.iter().filter_map(|uplink| {
        let name = uplink.bridge.as_str();
        expected.link(name).zip(now.link(name))
    });
    let notes = bridges.flat_map(|(expected, now)| {
        let gone = expected.addresses.iter().filter(|address| {
            let there = now.addresses.iter().any(|one| one.is_same(address));
            !there && is_renewed(address, expected, now)
        });
        gone.filter_map(|address| {
            let other = now.addresses.iter().find(|one| one.is_link_local())?;
            let name = &now.name;
            Some(format!(
                "the link-local address of {name} is {other}, no longer {address}"
            ))
        })
    });
    notes.collect()
}

/// Reports whether another link-local address has come for one that is gone.
fn is_renewed(address: &Address, expected: &Link, now: &Link) -> bool {
    let count = |link: &Link| {
        link.addresses
            .iter()
            .filter(|one| one.is_link_local())
            .count()
    };
    address.is_link_local() && count(now) >= count(expected)
}

/// Reports whether a device may have an address that nobody planned.
fn may_come(address: &Address, expected: &Link, role: DeviceRole) -> bool {
    if address.is_link_local() {
        return true;
    }
    if role == DeviceRole::Port || address.ip.is_ipv4() || address.lifetimes.is_none() {
        return false;
    }
    // another address where there is one of its kind already is another identity
    let prefix = |one: &Address| one.prefix().map(|prefix| prefix.network());
    let has_one = expected.addresses.iter().any(|one| {
        let is_alike = one.len == address.len && prefix(one) == prefix(address);
        one.lifetimes.is_some() && !is_temporary(one) && is_alike
    });
    is_temporary(address) || address.len < 128 && !has_one
}

fn is_temporary(address: &Address) -> bool {
    address.ip.is_ipv6() && address.flags & libc::IFA_F_TEMPORARY != 0
}

fn is_taken(address: &Address) -> bool {
    address.ip.is_ipv6() && address.flags & libc::IFA_F_DADFAILED != 0
}

/// The packets that a route is for: its family, table, destination, source and type of service.
type RouteKey = (bool, u32, Option<IpNetwork>, Option<IpNetwork>, u8);

fn key(route: &KernelRoute) -> RouteKey {
    let KernelRoute {
        v6,
        table,
        destination,
        from,
        tos,
        ..
    } = route;
    (*v6, *table, *destination, *from, *tos)
}

/// Reports whether a route may compete with one by another device: every device has its own link-local network.
pub(super) fn competes(route: &KernelRoute) -> bool {
    let is_own = |prefix: IpNetwork| match prefix.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast(),
    };
    !route.destination.is_some_and(is_own)
}

/// Reports whether a route leads where the expected one does, whoever made it and whatever its metric: a
/// manager of the network has metrics of its own for bridges.
fn is_same_way(expected: &KernelRoute, now: &KernelRoute) -> bool {
    let place = |route: &KernelRoute| {
        let KernelRoute {
            v6,
            destination,
            from,
            table,
            kind,
            tos,
            nexthop,
            ..
        } = route;
        (*v6, *destination, *from, *table, *kind, *tos, *nexthop)
    };
    let ways = |route: &KernelRoute| {
        let way = |hop: &super::Hop| (hop.device.clone(), hop.gateway, hop.weight);
        let mut ways: Vec<_> = route.hops.iter().map(way).collect();
        ways.sort();
        ways
    };
    let source = expected.source.is_none() || expected.source == now.source;
    place(expected) == place(now) && ways(expected) == ways(now) && source
}

fn without_metric(route: &KernelRoute) -> KernelRoute {
    KernelRoute {
        metric: None,
        ..route.clone()
    }
}

#[cfg(test)]
mod tests;
