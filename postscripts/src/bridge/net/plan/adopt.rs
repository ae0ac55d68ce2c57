//! How the bridge becomes what the NIC is: hardware address, MTU, settings, link-local address.

use std::net::{IpAddr, Ipv6Addr};

use definitions::IfName;
use nix::libc;

use super::{FORWARD_AT_ONCE, Planner};
use crate::bridge::net::{Address, Link, Mac, Step, sysctl};
use crate::netlink::uapi::{IFA_PROTO, IFAPROT_KERNEL_LL};

/// Duplicate address detection: held back while addresses move. Until it ends an address is tentative and
/// cannot be used (RFC 4862 §5.4), which would cost a second; and while the NIC has the address too, our own
/// NIC could be taken for the other host.
const DAD: &str = "ipv6/accept_dad";
/// How a device makes its link-local address, and the mode in which it makes none (`IN6_ADDR_GEN_MODE_*`,
/// linux/if_link.h).
const GENERATION: &str = "ipv6/addr_gen_mode";
const BY_MAC: &str = "0";
const NONE: &str = "1";
const OFF: &str = "0";

impl Planner<'_> {
    /// Makes the bridge, or makes it right when no other port depends on how it is.
    pub(super) fn make_bridge(&mut self) {
        let mac = self.nic.mac.unwrap_or(Mac([0; 6]));
        let link = || self.uplink.bridge.clone();
        let Some(bridge) = self.bridge else {
            self.add(Step::CreateBridge {
                bridge: link(),
                mac,
                mtu: self.nic.mtu,
                group: self.nic.group,
                settings: FORWARD_AT_ONCE,
            });
            self.adopt_settings();
            self.hold_back_detection();
            return self.add(Step::SetUp { link: link() });
        };
        if self.is_free() {
            // no address is to be made of the NIC's hardware address, neither now nor by the undo
            self.adopt_settings();
            self.correct(bridge, mac);
        }
        self.hold_back_detection();
        if !bridge.up {
            self.add(Step::SetUp { link: link() });
        }
    }

    /// Reports whether the bridge is ours to shape: it is new, or has no port yet.
    fn is_free(&self) -> bool {
        let bridge = self.uplink.bridge.as_str();
        self.state.ports(bridge).next().is_none()
    }

    fn correct(&mut self, bridge: &Link, mac: Mac) {
        let link = || self.uplink.bridge.clone();
        match bridge.bridge {
            Some(from) if from != FORWARD_AT_ONCE => self.add(Step::SetBridge {
                bridge: link(),
                from,
                to: FORWARD_AT_ONCE,
            }),
            _ => {}
        }
        if bridge.group != self.nic.group {
            self.add(Step::SetGroup {
                link: link(),
                from: bridge.group,
                to: self.nic.group,
            });
        }
        match bridge.mac {
            Some(from) if from != mac => self.add(Step::SetMac {
                link: link(),
                from,
                to: mac,
            }),
            _ => {}
        }
        if bridge.mtu != self.nic.mtu {
            self.add(Step::SetMtu {
                link: link(),
                from: bridge.mtu,
                to: self.nic.mtu,
            });
        }
    }

    /// Makes the bridge accept, answer and forward as the NIC did.
    fn adopt_settings(&mut self) {
        let detection_later = self.moves_v6();
        for (key, value) in &self.nic.sysctls {
            let is_read_only = sysctl::MULTICAST_ROUTING.contains(&key.as_str());
            if key == sysctl::MTU || is_read_only || key == sysctl::TOKEN && !self.is_advertised() {
                continue;
            }
            if key == GENERATION && value != NONE {
                // with the NIC's own address to be given, none is to be made
                self.set(&self.uplink.bridge, self.bridge, key, NONE);
            } else if key != DAD || !detection_later {
                self.set(&self.uplink.bridge, self.bridge, key, value);
            }
        }
    }

    /// Reports whether the NIC makes addresses of what routers advertise: nothing else can have a token
    /// (`inet6_set_iftoken`, net/ipv6/addrconf.c).
    fn is_advertised(&self) -> bool {
        let setting = |key: &str| self.nic.sysctls.get(key).map_or("", String::as_str);
        let is_router = setting("ipv6/forwarding") != "0";
        let accepts = match setting("ipv6/accept_ra") {
            "0" => false,
            "2" => true,
            _ => !is_router,
        };
        accepts && setting("ipv6/router_solicitations") != "0"
    }

    /// Holds detection back on both, so that neither the move nor its undo waits for it.
    fn hold_back_detection(&mut self) {
        if !self.moves_v6() {
            return;
        }
        self.set(&self.uplink.nic, Some(self.nic), DAD, OFF);
        self.set(&self.uplink.bridge, self.bridge, DAD, OFF);
    }

    /// Reports whether an IPv6 address will be added to the bridge.
    fn moves_v6(&self) -> bool {
        let there = self.bridge.map_or(&[][..], |bridge| &bridge.addresses);
        let lacking = |address: &&Address| {
            address.ip.is_ipv6() && !there.iter().any(|known| known.is_same(address))
        };
        let own = link_local(self.nic, self.bridge);
        let moving = self
            .nic
            .addresses
            .iter()
            .filter(|a| !is_self_made(a, self.nic));
        own.is_some() || moving.filter(lacking).count() > 0
    }

    /// Lets detection and address generation be again what they are on the NIC.
    pub(super) fn settle(&mut self) {
        let nic = self.nic;
        let Some(detection) = nic.sysctls.get(DAD) else {
            return;
        };
        if self.moves_v6() {
            if detection != OFF {
                let held = Some(OFF);
                self.push_setting(&self.uplink.nic, DAD, held, detection);
            }
            let before = self.bridge.and_then(|bridge| bridge.sysctls.get(DAD));
            let wanted = if self.is_free() {
                Some(detection)
            } else {
                before
            };
            match wanted {
                Some(wanted) if wanted != OFF => {
                    self.push_setting(&self.uplink.bridge, DAD, self.held(OFF), wanted);
                }
                _ => {}
            }
        }
        let generation = nic.sysctls.get(GENERATION);
        if self.is_free() && generation.is_some_and(|mode| mode == BY_MAC) {
            self.push_setting(&self.uplink.bridge, GENERATION, self.held(NONE), BY_MAC);
        }
    }

    /// Returns what a setting of the bridge goes back to: nothing on a bridge that goes itself.
    fn held(&self, value: &'static str) -> Option<&'static str> {
        self.bridge.map(|_| value)
    }

    /// Plans a setting unless the device has it so already, or will have it from its first moment,
    /// or the kernel has no such setting.
    fn set(&mut self, link: &IfName, known: Option<&Link>, key: &str, value: &str) {
        let from = known.and_then(|link| link.sysctls.get(key));
        let differs = match known {
            Some(_) => from.is_some_and(|from| from != value),
            None => self
                .state
                .defaults
                .get(key)
                .is_none_or(|from| from != value),
        };
        if differs && self.nic.sysctls.contains_key(key) {
            self.push_setting(link, key, from.map(String::as_str), value);
        }
    }

    pub(super) fn push_setting(&mut self, link: &IfName, key: &str, from: Option<&str>, to: &str) {
        self.add(Step::SetSysctl {
            link: link.clone(),
            key: key.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
        });
    }
}

/// Returns the NIC's own link-local address when the bridge has none yet: the one by which routers
/// and neighbours know this host.
pub(super) fn link_local(nic: &Link, bridge: Option<&Link>) -> Option<Address> {
    let there = bridge.map_or(&[][..], |bridge| &bridge.addresses);
    if there.iter().any(Address::is_link_local) {
        return None;
    }
    let own = nic
        .addresses
        .iter()
        .find(|address| is_self_made(address, nic));
    own.cloned()
}

/// Reports whether a device has this address of itself: it is the link-local one that the kernel makes.
pub(in crate::bridge::net) fn is_self_made(address: &Address, link: &Link) -> bool {
    let by_kernel = || {
        let stated = address.other.iter().find(|other| other.kind == IFA_PROTO);
        stated.is_some_and(|other| other.value == [IFAPROT_KERNEL_LL])
    };
    let by_mac = || link.mac.map(eui64).is_some_and(|ip| address.ip == ip);
    address.is_link_local()
        && (address.flags & libc::IFA_F_STABLE_PRIVACY != 0 || by_mac() || by_kernel())
}

/// The link-local address that RFC 4291 appendix A makes of a hardware address.
fn eui64(Mac([a, b, c, d, e, f]): Mac) -> IpAddr {
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let (first, second) = (pair(a ^ 2, b), pair(c, 0xff));
    Ipv6Addr::new(0xfe80, 0, 0, 0, first, second, pair(0xfe, d), pair(e, f)).into()
}
