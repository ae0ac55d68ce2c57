//! One step, as the request that the kernel makes it by.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use definitions::IfName;
use nix::libc;
use nix::net::if_::if_nameindex;

use super::super::message::{self, DeviceNames, LinkChange, NewBridge};
use super::super::{Address, KernelRoute, Neighbour, Step, announce, openvswitch, sysctl};
use super::{HostKernel, REPLACE, index, switch};
use crate::netlink::uapi::RTM_NEWNEXTHOP;
use crate::netlink::{AF_INET, AF_INET6};

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
/// After what is there already: never in its place, and never refused because of it.
const APPEND: u16 = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
/// Before what is there already; of IPv6 the kernel adds after it all the same.
const PREPEND: u16 = libc::NLM_F_CREATE as u16;
/// How long the kernel may take to notice a carrier.
const CARRIER_TIMEOUT: Duration = Duration::from_millis(200);

impl HostKernel {
    /// Makes one step happen.
    ///
    /// # Errors
    /// When the kernel refuses, with its number.
    pub fn perform(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::CreateBridge { .. }
            | Step::DeleteBridge { .. }
            | Step::SetBridge { .. }
            | Step::SetMac { .. }
            | Step::SetMtu { .. }
            | Step::SetGroup { .. }
            | Step::SetUp { .. }
            | Step::SetDown { .. }
            | Step::Enslave { .. }
            | Step::Release { .. }
            | Step::CreateVeth { .. }
            | Step::DeleteVeth { .. } => self.perform_on_link(step),
            Step::AddRoute { .. }
            | Step::RemoveRoute { .. }
            | Step::RetireRoute { .. }
            | Step::ReviveRoute { .. }
            | Step::SetNextHop { .. }
            | Step::AddRule { .. }
            | Step::RemoveRule { .. } => self.perform_on_route(step),
            Step::CreateSwitch { .. }
            | Step::DeleteSwitch { .. }
            | Step::SetSwitchMac { .. }
            | Step::AddSwitchPort { .. }
            | Step::RemoveSwitchPort { .. } => {
                self.perform_on_switch(step).map_err(switch::in_words)
            }
            Step::SetSysctl { link, key, to, .. } => self.set_sysctl(link, key, to),
            Step::AddAddress { link, address } => {
                self.change(libc::RTM_NEWADDR, CREATE, address_body(link, address)?)
            }
            Step::RemoveAddress { link, address } => {
                self.change(libc::RTM_DELADDR, 0, address_body(link, address)?)
            }
            Step::AddNeighbour { link, neighbour } => {
                let body = neighbour_body(link, neighbour)?;
                self.change(libc::RTM_NEWNEIGH, REPLACE, body)
            }
            Step::RemoveNeighbour { link, neighbour } => {
                self.change(libc::RTM_DELNEIGH, 0, neighbour_body(link, neighbour)?)
            }
            Step::CopyNeighbours { link, neighbours } => self.copy_neighbours(link, neighbours),
            Step::AddTranslation { translation } => translation.add(),
            Step::RemoveTranslation { translation } => translation.remove(),
            Step::StopOffload { link } => switch::stop_offload(link.as_str()),
            Step::StartDropping { nic, bridge } => {
                switch::start_dropping(nic.as_str(), bridge.as_str())
            }
            Step::StopDropping { bridge, .. } => switch::stop_dropping(bridge.as_str()),
            Step::Announce { link, addresses } => {
                self.wait_until_operational(link.as_str())?;
                announce::announce(link.as_str(), addresses)
            }
        }
    }

    /// Makes or deletes a device, or changes its attributes.
    fn perform_on_link(&self, step: &Step) -> io::Result<()> {
        let none = LinkChange::default();
        match step {
            Step::CreateBridge {
                bridge,
                mac,
                mtu,
                group,
                settings,
            } => {
                let body = message::encode_bridge(NewBridge {
                    name: bridge.as_str(),
                    mac: *mac,
                    mtu: *mtu,
                    group: *group,
                    settings: *settings,
                });
                self.change(libc::RTM_NEWLINK, CREATE, body)
            }
            Step::CreateVeth { link, peer, mtu } => {
                let body = message::encode_veth(link.as_str(), peer.as_str(), *mtu);
                self.change(libc::RTM_NEWLINK, CREATE, body)
            }
            Step::DeleteBridge { bridge: link } | Step::DeleteVeth { link } => {
                let body = message::encode_link_name(index(link.as_str())?);
                self.change(libc::RTM_DELLINK, 0, body)
            }
            Step::SetBridge { bridge, to, .. } => {
                let index = index(bridge.as_str())?;
                let [first, second] = message::encode_bridge_settings(index, *to);
                self.change(libc::RTM_NEWLINK, 0, first)?;
                self.change(libc::RTM_NEWLINK, 0, second)
            }
            Step::SetMac { link, to, .. } => {
                let mac = Some(*to);
                self.change_link(link, LinkChange { mac, ..none })
            }
            Step::SetMtu { link, to, .. } => {
                let mtu = Some(*to);
                self.change_link(link, LinkChange { mtu, ..none })
            }
            Step::SetGroup { link, to, .. } => {
                let group = Some(*to);
                self.change_link(link, LinkChange { group, ..none })
            }
            Step::SetUp { link } => self.set_up(link, true),
            Step::SetDown { link } => self.set_up(link, false),
            Step::Enslave { port, bridge } => self.set_master(port, index(bridge.as_str())?),
            Step::Release { port, .. } => self.set_master(port, 0),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Adds, changes or removes a route, a nexthop or a rule.
    fn perform_on_route(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::AddRoute { route, first } => {
                let place = if *first { PREPEND } else { APPEND };
                self.change(libc::RTM_NEWROUTE, place, route_body(route)?)
            }
            Step::RemoveRoute { route, .. } | Step::RetireRoute { route, .. } => {
                self.change(libc::RTM_DELROUTE, 0, route_body(route)?)
            }
            Step::ReviveRoute { route, .. } if self.has(route)? => Ok(()),
            Step::ReviveRoute { placeholder, .. } => {
                self.change(libc::RTM_NEWROUTE, APPEND, route_body(placeholder)?)
            }
            Step::SetNextHop { to, .. } => {
                let body = message::encode_nexthop(to, &names()?)?;
                self.change(RTM_NEWNEXTHOP, REPLACE, body)
            }
            Step::AddRule { rule } => {
                self.change(libc::RTM_NEWRULE, CREATE, message::encode_rule(rule)?)
            }
            Step::RemoveRule { rule } => {
                self.change(libc::RTM_DELRULE, 0, message::encode_rule(rule)?)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Changes the database of Open vSwitch.
    fn perform_on_switch(&self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::CreateSwitch {
                switch,
                bridge,
                datapath,
                mac,
            } => openvswitch::create_switch(switch.as_str(), bridge.as_str(), *datapath, *mac),
            Step::DeleteSwitch { switch, bridge } => {
                openvswitch::delete_switch(switch.as_str(), bridge.as_str())
            }
            Step::SetSwitchMac { switch, to, .. } => {
                openvswitch::set_switch_mac(switch.as_str(), *to)
            }
            Step::AddSwitchPort {
                port,
                switch,
                bridge,
            } => openvswitch::add_port(self, switch.as_str(), port.as_str(), bridge.as_str()),
            Step::RemoveSwitchPort {
                port,
                switch,
                bridge,
            } => openvswitch::remove_port(self, switch.as_str(), port.as_str(), bridge.as_str()),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        }
    }

    fn change(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<()> {
        self.netlink.change(kind, flags, body)
    }

    fn change_link(&self, name: &IfName, what: LinkChange) -> io::Result<()> {
        let body = message::encode_link_change(index(name.as_str())?, what);
        self.change(libc::RTM_NEWLINK, 0, body)
    }

    fn set_up(&self, name: &IfName, up: bool) -> io::Result<()> {
        let up = Some(up);
        self.change_link(
            name,
            LinkChange {
                up,
                ..LinkChange::default()
            },
        )
    }

    fn set_master(&self, port: &IfName, index: u32) -> io::Result<()> {
        let master = Some(index);
        self.change_link(
            port,
            LinkChange {
                master,
                ..LinkChange::default()
            },
        )
    }

    /// Sets a value that the kernel keeps in `/proc/sys`, or the token of IPv6, which it takes by netlink alone.
    fn set_sysctl(&self, link: &IfName, key: &str, to: &str) -> io::Result<()> {
        if key != sysctl::TOKEN {
            return sysctl::save(link.as_str(), key, to);
        }
        let token = to.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let body = message::encode_token(index(link.as_str())?, token);
        self.change(libc::RTM_NEWLINK, 0, body)
    }

    /// Reports whether a route is there, whatever its lifetime.
    fn has(&self, route: &KernelRoute) -> io::Result<bool> {
        let names = names()?;
        let family = if route.v6 { AF_INET6 } else { AF_INET };
        let request = message::encode_routes_request(family);
        for body in self.netlink.dump(libc::RTM_GETROUTE, request)? {
            let lasting = |known: KernelRoute| KernelRoute {
                expires: route.expires,
                ..known
            };
            let mut known = message::decode_routes(&body, &names)?.into_iter();
            if known.any(|known| lasting(known) == *route) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for the kernel to notice that a device has got a carrier (`net/core/link_watch.c`): until
    /// then it drops, without a word, whatever is sent. One without a carrier is not waited for long.
    fn wait_until_operational(&self, name: &str) -> io::Result<()> {
        let end = Instant::now() + CARRIER_TIMEOUT;
        let index = index(name)?;
        while !self.is_operational(index)? && Instant::now() < end {
            sleep(Duration::from_micros(500));
        }
        // The state comes first and the queue after it, under one lock: a change of nothing waits for it.
        let nothing = message::encode_link_change(index, LinkChange::default());
        self.netlink.change(libc::RTM_NEWLINK, 0, nothing)
    }

    fn is_operational(&self, index: u32) -> io::Result<bool> {
        let all = message::encode_link_name(0);
        for body in self.netlink.dump(libc::RTM_GETLINK, all)? {
            let link = message::decode_link(&body)?;
            if link.index == index {
                return Ok(link.is_operational);
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// Copies what is known of the neighbours; what the kernel refuses it can resolve itself.
    fn copy_neighbours(&self, link: &IfName, neighbours: &[Neighbour]) -> io::Result<()> {
        let index = index(link.as_str())?;
        for neighbour in neighbours {
            let body = message::encode_neighbour(index, neighbour);
            self.netlink.change(libc::RTM_NEWNEIGH, CREATE, body).ok();
        }
        Ok(())
    }
}

fn names() -> io::Result<DeviceNames> {
    let mut names = DeviceNames::default();
    for interface in &if_nameindex()? {
        names.insert(interface.index(), &interface.name().to_string_lossy());
    }
    Ok(names)
}

fn address_body(link: &IfName, address: &Address) -> io::Result<Vec<u8>> {
    let name = link.as_str();
    Ok(message::encode_address(index(name)?, name, address))
}

fn neighbour_body(link: &IfName, neighbour: &Neighbour) -> io::Result<Vec<u8>> {
    let index = index(link.as_str())?;
    Ok(message::encode_neighbour(index, neighbour))
}

fn route_body(route: &KernelRoute) -> io::Result<Vec<u8>> {
    let mut names = DeviceNames::default();
    for device in route.hops.iter().filter_map(|hop| hop.device.as_deref()) {
        names.insert(index(device)?, device);
    }
    message::encode_route(route, &names)
}
