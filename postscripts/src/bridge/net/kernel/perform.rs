//! One step, as the request that the kernel makes it by.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use nix::net::if_::if_nameindex;

use super::super::message::{self, DeviceNames};
use super::super::{Address, Neighbour, Route, Step, announce, sysctl};
use super::{Kernel, REPLACE, index};
use crate::netlink::{AF_INET, AF_INET6};

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
/// Behind what is there already: never in its place, and never refused because of it.
const APPEND: u16 = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
/// Before what is there already; of IPv6 the kernel adds behind it all the same.
const PREPEND: u16 = libc::NLM_F_CREATE as u16;
const NEW_NEXTHOP: u16 = 104;
/// How long the kernel may take to notice a carrier.
const NOTICING: Duration = Duration::from_millis(200);

impl Kernel {
    /// Makes one step happen.
    ///
    /// # Errors
    /// When the kernel refuses, with its number.
    pub fn perform(&self, step: &Step) -> io::Result<()> {
        let change = |kind, flags, body| self.netlink.change(kind, flags, body);
        let set_link = |body| change(libc::RTM_NEWLINK, 0, body);
        let link = message::encode_link_change;
        match step {
            Step::CreateBridge {
                bridge,
                mac,
                mtu,
                group,
                settings,
            } => {
                let body = message::encode_bridge(bridge, *mac, *mtu, *group, *settings);
                change(libc::RTM_NEWLINK, CREATE, body)
            }
            Step::DeleteBridge { bridge } => {
                let body = message::encode_link_name(index(bridge)?);
                change(libc::RTM_DELLINK, 0, body)
            }
            Step::SetBridge { bridge, to, .. } => {
                let [first, second] = message::encode_bridge_settings(index(bridge)?, *to);
                set_link(first)?;
                set_link(second)
            }
            Step::SetMac { link: name, to, .. } => {
                set_link(link(index(name)?, None, Some(*to), None, None))
            }
            Step::SetMtu { link: name, to, .. } => {
                set_link(link(index(name)?, None, None, Some(*to), None))
            }
            Step::SetGroup { link: name, to, .. } => {
                set_link(message::encode_link_group(index(name)?, *to))
            }
            Step::SetSysctl { link, key, to, .. } => sysctl::save(link, key, to),
            Step::SetUp { link: name } => {
                set_link(link(index(name)?, Some(true), None, None, None))
            }
            Step::SetDown { link: name } => {
                set_link(link(index(name)?, Some(false), None, None, None))
            }
            Step::Enslave { port, bridge } => {
                set_link(link(index(port)?, None, None, None, Some(index(bridge)?)))
            }
            Step::Release { port, .. } => set_link(link(index(port)?, None, None, None, Some(0))),
            Step::AddAddress { link, address } => {
                change(libc::RTM_NEWADDR, CREATE, address_body(link, address)?)
            }
            Step::RemoveAddress { link, address } => {
                change(libc::RTM_DELADDR, 0, address_body(link, address)?)
            }
            Step::AddNeighbour { link, neighbour } => {
                let body = message::encode_neighbour(index(link)?, neighbour);
                change(libc::RTM_NEWNEIGH, REPLACE, body)
            }
            Step::RemoveNeighbour { link, neighbour } => {
                let body = message::encode_neighbour(index(link)?, neighbour);
                change(libc::RTM_DELNEIGH, 0, body)
            }
            Step::TeachNeighbours { link, neighbours } => self.teach(link, neighbours),
            Step::AddRoute { route, first } => {
                let place = if *first { PREPEND } else { APPEND };
                change(libc::RTM_NEWROUTE, place, route_body(route)?)
            }
            Step::RemoveRoute { route, .. } | Step::RetireRoute { route, .. } => {
                change(libc::RTM_DELROUTE, 0, route_body(route)?)
            }
            Step::ReviveRoute { route, stand_in } => match self.has(route)? {
                true => Ok(()),
                false => change(libc::RTM_NEWROUTE, APPEND, route_body(stand_in)?),
            },
            Step::SetNextHop { to, .. } => {
                let body = message::encode_nexthop(to, &names()?)?;
                change(NEW_NEXTHOP, REPLACE, body)
            }
            Step::AddTwin { twin } => twin.add(),
            Step::RemoveTwin { twin } => twin.remove(),
            Step::AddRule { rule } => change(libc::RTM_NEWRULE, CREATE, message::encode_rule(rule)),
            Step::RemoveRule { rule } => change(libc::RTM_DELRULE, 0, message::encode_rule(rule)),
            Step::Announce { link, addresses } => {
                self.wait_until_it_sends(link)?;
                announce::announce(link, addresses)
            }
        }
    }

    /// Says whether a route is there, however long it may last.
    fn has(&self, route: &Route) -> io::Result<bool> {
        let names = names()?;
        let mut header = vec![0; 12];
        header[0] = if route.v6 { AF_INET6 } else { AF_INET };
        for body in self.netlink.dump(libc::RTM_GETROUTE, header)? {
            let lasting = |known: Route| Route {
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
    fn wait_until_it_sends(&self, name: &str) -> io::Result<()> {
        let end = Instant::now() + NOTICING;
        let index = index(name)?;
        while !self.sends(index)? && Instant::now() < end {
            sleep(Duration::from_micros(500));
        }
        // The state comes first and the queue after it, under one lock: a change of nothing waits for it.
        let nothing = message::encode_link_change(index, None, None, None, None);
        self.netlink.change(libc::RTM_NEWLINK, 0, nothing)
    }

    fn sends(&self, index: u32) -> io::Result<bool> {
        let all = message::encode_link_name(0);
        for body in self.netlink.dump(libc::RTM_GETLINK, all)? {
            let link = message::decode_link(&body)?;
            if link.index == index {
                return Ok(link.sends);
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// Hands over what is known of the neighbours; what the kernel does not want to hear it may ask
    /// for itself.
    fn teach(&self, link: &str, neighbours: &[Neighbour]) -> io::Result<()> {
        let index = index(link)?;
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

fn address_body(link: &str, address: &Address) -> io::Result<Vec<u8>> {
    Ok(message::encode_address(index(link)?, link, address))
}

fn route_body(route: &Route) -> io::Result<Vec<u8>> {
    let mut names = DeviceNames::default();
    for device in route.hops.iter().filter_map(|hop| hop.device.as_deref()) {
        names.insert(index(device)?, device);
    }
    message::encode_route(route, &names)
}
