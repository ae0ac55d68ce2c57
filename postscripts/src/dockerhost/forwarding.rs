//! Whether containers on a bridge reach the LAN and other docker hosts, and what is in their way.
//!
//! In: the bridge, its subnet, and what the kernel and iptables say. Out: what was found, and what has
//! to be done where something is in the way; nothing is changed. Frames between a container and a port
//! of the bridge are bridged: they pass the rules of bridges, and the IPv4 rules only where `br_netfilter` has
//! them do so (`net/bridge/br_netfilter_hooks.c`); packets to anywhere else are routed by this host when the
//! network's gateway is one of its addresses.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use definitions::DockerNetwork;
use ipnetwork::IpNetwork;
use serde::Serialize;

use super::host_names;
use super::iptables::{FilterTable, Frame, FrameVerdict};
use super::nftables::{self, Layer, Obstacle, Passage, PassageDevice};
use crate::nftables::{Drops, NftRuleset};
use crate::program;

/// Strict reverse path filtering (`ip-sysctl.rst`).
const STRICT: u8 = 1;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Forwarding {
    /// How frames and packets go.
    pub(super) facts: Vec<String>,
    /// What is in their way, and what to do about it.
    pub(super) obstacles: Vec<String>,
}

impl Forwarding {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().chain(&self.obstacles).map(String::as_str)
    }
}

/// The bridge of a docker network, and what this host's kernel says of it.
struct Bridge {
    name: String,
    subnet: IpNetwork,
    /// What is on it and no container's.
    port: Option<String>,
    /// Whether bridged frames pass the IPv4 rules.
    filtered: bool,
    /// Whether this host is the network's router.
    routes: bool,
    forwards: bool,
    /// The reverse path filter, where it looks at this bridge.
    rp_filter: u8,
    /// Whether this host itself is on the network by the bridge.
    on_link: bool,
    /// The device that packets leave to the world by.
    world: Option<String>,
    names: &'static FamilyNames,
}

/// What one family of addresses has by other names than the other.
struct FamilyNames {
    family: &'static str,
    iptables: &'static str,
    bridge_calls: &'static str,
    forwarding: &'static str,
}

const IPV4: FamilyNames = FamilyNames {
    family: "IPv4",
    iptables: "iptables",
    bridge_calls: "call_iptables",
    forwarding: "net.ipv4.ip_forward",
};
const IPV6: FamilyNames = FamilyNames {
    family: "IPv6",
    iptables: "ip6tables",
    bridge_calls: "call_ip6tables",
    forwarding: "net.ipv6.conf.all.forwarding",
};

/// Looks at each subnet of a docker network.
pub(super) fn check(subnets: &[DockerNetwork]) -> Forwarding {
    let mut all = Forwarding::default();
    let ruleset = nftables::load();
    for network in subnets {
        let bridge = Bridge::load(network);
        let looks = bridge.filtered || bridge.routes;
        let mut forwarding = bridge.judge(looks.then(|| bridge.load_rules()));
        match &ruleset {
            Ok(ruleset) => bridge.judge_nftables(ruleset, &mut forwarding),
            Err(error) => forwarding.obstacles.push(format!(
                "what nftables does to what {} forwards cannot be read: {error}",
                bridge.name
            )),
        }
        let add = |to: &mut Vec<String>, from: Vec<String>| {
            for text in from {
                if !to.contains(&text) {
                    to.push(text);
                }
            }
        };
        add(&mut all.facts, forwarding.facts);
        add(&mut all.obstacles, forwarding.obstacles);
    }
    all
}

impl Bridge {
    fn load(network: &DockerNetwork) -> Self {
        let (name, subnet) = (network.name().as_str(), network.subnet());
        let names = if subnet.is_ipv6() { &IPV6 } else { &IPV4 };
        let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        let number = |path: String| read(path).trim().parse::<u8>().unwrap_or(0);
        let sysctl = |name: &str| number(format!("/proc/sys/{}", name.replace('.', "/")));
        let class = format!("/sys/class/net/{name}");
        let ports = std::fs::read_dir(Path::new(&class).join("brif"));
        let ports = ports.into_iter().flatten().flatten();
        let mut ports = ports.map(|port| port.file_name().to_string_lossy().into_owned());
        let own: Vec<_> = match subnet {
            IpNetwork::V4(_) => host_names::addresses_v4().into_iter().flatten().collect(),
            IpNetwork::V6(_) => host_names::addresses_v6().collect(),
        };
        let routes = match subnet {
            IpNetwork::V4(_) => routes_v4(&read("/proc/net/route".to_owned())),
            IpNetwork::V6(_) => routes_v6(&read("/proc/net/ipv6_route".to_owned())),
        };
        let conf = |device: &str| number(format!("/proc/sys/net/ipv4/conf/{device}/rp_filter"));
        Self {
            port: ports.find(|port| !host_names::is_made_by_docker(port)),
            filtered: sysctl(&format!(
                "net.bridge.bridge-nf-{}",
                names.bridge_calls.replace('_', "-")
            )) != 0
                || number(format!("{class}/bridge/nf_{}", names.bridge_calls)) != 0,
            routes: own.contains(&network.gateway()),
            forwards: sysctl(names.forwarding) != 0,
            // IPv6 has none but in rules
            rp_filter: if subnet.is_ipv6() {
                0
            } else {
                conf("all").max(conf(name))
            },
            on_link: routes
                .iter()
                .any(|route| route.device == name && route.covers(subnet)),
            world: routes
                .iter()
                .find(|route| route.destination.prefix() == 0)
                .map(|route| route.device.clone()),
            name: name.to_owned(),
            subnet,
            names,
        }
    }

    /// Reads the filter table by the program that the engine writes it with.
    fn load_rules(&self) -> Option<FilterTable> {
        let mut command = Command::new(program::find(self.names.iptables)?);
        let shown = program::run(command.args(["-w", "-S"]), Stdio::null(), TIMEOUT).ok()?;
        Some(FilterTable::parse(&shown))
    }

    fn judge(&self, rules: Option<Option<FilterTable>>) -> Forwarding {
        let mut forwarding = Forwarding::default();
        let (name, subnet) = (&self.name, self.subnet);
        let FamilyNames {
            family,
            iptables,
            bridge_calls,
            forwarding: sysctl,
        } = self.names;
        if self.port.is_none() {
            forwarding.obstacles.push(format!(
                "the bridge {name} has no NIC for a port: its containers do not reach other hosts; join one with \
                 'bridgeprereq NIC:{name}'"
            ));
        }
        if !self.filtered {
            forwarding.facts.push(format!(
                "frames that {name} forwards do not pass {iptables} (bridge-nf-{} is off)",
                bridge_calls.replace('_', "-")
            ));
        }
        if self.routes && !self.forwards {
            forwarding.obstacles.push(format!(
                "{family} forwarding is off: containers on {name} reach their bridge and nothing beyond \
                 this host; set {sysctl}=1"
            ));
        }
        if self.rp_filter == STRICT && !self.on_link {
            forwarding.obstacles.push(format!(
                "this host has no address in {subnet} on {name} and rp_filter is strict there: it drops \
                 what containers send it; give {name} an address of {subnet}, or set \
                 net.ipv4.conf.{name}.rp_filter=2"
            ));
        }
        match rules {
            None => {}
            Some(None) => forwarding.facts.push(format!(
                "no {iptables} on this host shows what becomes of what {name} forwards"
            )),
            Some(Some(rules)) => self.judge_rules(&rules, &mut forwarding),
        }
        forwarding
    }

    /// Where a new conversation goes out: bridged and, where this host is the router, routed.
    fn ways(&self) -> impl Iterator<Item = (&str, &'static str, &'static str)> {
        let name = self.name.as_str();
        let world = self.world.as_deref().filter(|world| *world != name);
        let bridged = self.filtered.then_some((name, "frames that", "forwards"));
        let routed = world.filter(|_| self.routes && self.forwards);
        let routed = routed.map(|world| (world, "packets that", "sends out"));
        bridged.into_iter().chain(routed)
    }

    /// Each way again as nftables has it: frames pass the rules of bridges too, and there from port to port.
    fn passages(&self) -> Vec<(Passage<'_>, &'static str, &'static str)> {
        let bridge = self.name.as_str();
        let port = self
            .port
            .as_deref()
            .map_or(PassageDevice::Container, PassageDevice::Named);
        let passage = |layer, input, output, is_within: bool| Passage {
            layer,
            bridge,
            input,
            output,
            source: self.subnet,
            destination: is_within.then_some(self.subnet),
        };
        let frames = [
            (PassageDevice::Container, port),
            (port, PassageDevice::Container),
        ];
        let frames = frames.map(|(input, output)| {
            let passage = passage(Layer::Ethernet, input, output, true);
            (passage, "frames that", "forwards")
        });
        let packets = self.ways().map(|(output, what, verb)| {
            let is_within = output == bridge;
            let devices = [bridge, output].map(PassageDevice::Named);
            let passage = passage(Layer::Ip, devices[0], devices[1], is_within);
            (passage, what, verb)
        });
        frames.into_iter().chain(packets).collect()
    }

    /// What the chains that iptables does not show do to it.
    fn judge_nftables(&self, ruleset: &NftRuleset, forwarding: &mut Forwarding) {
        let name = self.name.as_str();
        for (passage, what, verb) in self.passages() {
            for obstacle in nftables::obstacles(ruleset, passage) {
                let Obstacle {
                    chain,
                    what: why,
                    accept,
                    ..
                } = &obstacle;
                let drops = match obstacle.drops {
                    Drops::All => "drops ",
                    Drops::Some => "drops some of the ",
                    Drops::Unread => "may drop ",
                };
                let subject = format!("nftables {drops}{what} {name} {verb}: {why}");
                let help = if chain.starts_with("inet firewalld ") {
                    format!(
                        "'firewall-cmd --permanent --zone=trusted --add-interface={name}' and \
                                 'firewall-cmd --reload'"
                    )
                } else {
                    format!("'nft insert rule {chain} {accept}'")
                };
                let known = match obstacle.drops {
                    Drops::Unread => ", which is not looked at here",
                    Drops::All | Drops::Some => "",
                };
                let text =
                    format!("{subject}{known} (chain {chain}); let them through with {help}");
                let list = &mut forwarding.obstacles;
                if !list.contains(&text) {
                    list.push(text);
                }
            }
        }
    }

    /// What the rules do to a new conversation, bridged and, where this host is the router, routed.
    fn judge_rules(&self, rules: &FilterTable, forwarding: &mut Forwarding) {
        let (name, iptables) = (self.name.as_str(), self.names.iptables);
        for (output, what, verb) in self.ways() {
            let frame = Frame {
                input: name,
                output,
                within: self.subnet,
                is_within: output == name,
            };
            let (outcome, doubtful) = rules.judge(&frame);
            let by = if output == name {
                String::new()
            } else {
                format!(" by {output}")
            };
            match outcome {
                FrameVerdict::Passes(why) => forwarding.facts.push(format!(
                    "{what} {name} {verb}{by} pass {iptables}: {why}"
                )),
                FrameVerdict::Dropped(why) => forwarding.obstacles.push(format!(
                    "{iptables} drops {what} {name} {verb}{by}: {why}; let them through with '{iptables} -I \
                     {} -i {name} -o {output} -j ACCEPT'",
                    rules.users_chain()
                )),
            }
            forwarding
                .obstacles
                .extend(doubtful.into_iter().map(|rule| {
                    format!("{iptables} drops some of the {what} {name} {verb}{by}: {rule}")
                }));
        }
    }
}

/// A route of the main table.
struct RouteLine {
    device: String,
    destination: IpNetwork,
}

/// Reads `/proc/net/route` (`net/ipv4/fib_trie.c`, `fib_route_seq_show`).
fn routes_v4(table: &str) -> Vec<RouteLine> {
    let read = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        // numbers are there as they are in memory
        let address = |at: usize| {
            let number = u32::from_str_radix(columns.get(at)?, 16).ok()?;
            Some(Ipv4Addr::from(number.to_ne_bytes()))
        };
        Some(RouteLine {
            device: (*columns.first()?).to_owned(),
            destination: IpNetwork::with_netmask(address(1)?.into(), address(7)?.into()).ok()?,
        })
    };
    table.lines().skip(1).filter_map(read).collect()
}

/// Reads `/proc/net/ipv6_route` (`net/ipv6/ip6_fib.c`, `ipv6_route_native_seq_show`), but for what is rejected there.
fn routes_v6(table: &str) -> Vec<RouteLine> {
    const RTF_REJECT: u32 = 0x0200;
    let read = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [destination, length, .., flags, device] = columns.as_slice() else {
            return None;
        };
        let bits = u128::from_str_radix(destination, 16).ok()?;
        let length = u8::from_str_radix(length, 16).ok()?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        Some(RouteLine {
            device: (*device).to_owned(),
            destination: IpNetwork::new(Ipv6Addr::from_bits(bits).into(), length).ok()?,
        })
        .filter(|_| flags & RTF_REJECT == 0)
    };
    table.lines().filter_map(read).collect()
}

impl RouteLine {
    /// Whether it leads to all of a network, and to more than everything.
    fn covers(&self, subnet: IpNetwork) -> bool {
        self.destination.prefix() != 0
            && self.destination.prefix() <= subnet.prefix()
            && self.destination.contains(subnet.network())
    }
}

#[cfg(test)]
mod tests;
