//! Whether containers on a bridge reach the LAN and other docker hosts, and what is in their way.
//!
//! In: the bridge, its subnet, and what the kernel and iptables say. Out: what was found, and what has
//! to be done where something is in the way; nothing is changed. Frames between a container and a port
//! of the bridge are bridged: they pass the rules of bridges, and the IPv4 rules only where `br_netfilter` has
//! them do so (`net/bridge/br_netfilter_hooks.c`); packets to anywhere else are routed by this host when the
//! network's gateway is one of its addresses.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use definitions::DockerNetwork;
use ipnetwork::IpNetwork;
use serde::Serialize;

use super::host_names;
use super::iptables::{FilterTable, Frame, FrameVerdict};
use super::nftables::{Drops, Layer, Obstacle, Passage, Ruleset};
use crate::program;

/// Strict reverse path filtering (`ip-sysctl.rst`).
const STRICT: u8 = 1;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The port of a container on a bridge, which no rule knows by its whole name.
const CONTAINER: &str = "veth";

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
}

/// Looks.
pub(super) fn check(network: &DockerNetwork) -> Forwarding {
    let own = host_names::addresses_v4().unwrap_or_default();
    let routes = own.contains(&network.gateway());
    let bridge = Bridge::load(network.name().as_str(), network.subnet(), routes);
    let looks = bridge.filtered || routes;
    let mut forwarding = bridge.judge(looks.then(load_rules));
    match Ruleset::load() {
        Ok(ruleset) => bridge.judge_nftables(&ruleset, &mut forwarding),
        Err(error) => forwarding.facts.push(format!(
            "what nftables does to what {} forwards cannot be read: {error}",
            bridge.name
        )),
    }
    forwarding
}

/// Reads the filter table by the program that the engine writes it with.
fn load_rules() -> Option<FilterTable> {
    let mut command = Command::new(program::find("iptables")?);
    let shown = program::run(command.args(["-w", "-S"]), Stdio::null(), TIMEOUT).ok()?;
    Some(FilterTable::parse(&shown))
}

impl Bridge {
    fn load(name: &str, subnet: IpNetwork, routes: bool) -> Self {
        let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        let number = |path: String| read(path).trim().parse::<u8>().unwrap_or(0);
        let class = format!("/sys/class/net/{name}");
        let ports = std::fs::read_dir(Path::new(&class).join("brif"));
        let ports = ports.into_iter().flatten().flatten();
        let mut ports = ports.map(|port| port.file_name().to_string_lossy().into_owned());
        let table = read("/proc/net/route".to_owned());
        let conf = |device: &str| number(format!("/proc/sys/net/ipv4/conf/{device}/rp_filter"));
        Self {
            port: ports.find(|port| !host_names::is_made_by_docker(port)),
            filtered: number("/proc/sys/net/bridge/bridge-nf-call-iptables".to_owned()) != 0
                || number(format!("{class}/bridge/nf_call_iptables")) != 0,
            routes,
            forwards: number("/proc/sys/net/ipv4/ip_forward".to_owned()) != 0,
            rp_filter: conf("all").max(conf(name)),
            on_link: routes_of(&table).any(|route| route.device == name && route.covers(subnet)),
            world: routes_of(&table)
                .find(|route| route.mask == 0)
                .map(|route| route.device.to_owned()),
            name: name.to_owned(),
            subnet,
        }
    }

    fn judge(&self, rules: Option<Option<FilterTable>>) -> Forwarding {
        let mut forwarding = Forwarding::default();
        let (name, subnet) = (&self.name, self.subnet);
        if self.port.is_none() {
            forwarding.obstacles.push(format!(
                "the bridge {name} has no NIC for a port: its containers do not reach other hosts; join one with \
                 'bridgeprereq NIC:{name}'"
            ));
        }
        if !self.filtered {
            forwarding.facts.push(format!(
                "frames that {name} forwards do not pass iptables (bridge-nf-call-iptables is off)"
            ));
        }
        if self.routes && !self.forwards {
            forwarding.obstacles.push(format!(
                "IPv4 forwarding is off: containers on {name} reach their bridge and nothing beyond \
                 this host; set net.ipv4.ip_forward=1"
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
                "no iptables on this host shows what becomes of what {name} forwards"
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
        let port = self.port.as_deref().unwrap_or(CONTAINER);
        let frames = [(CONTAINER, port), (port, CONTAINER)].map(|(input, output)| {
            let layer = Layer::Ethernet;
            let passage = Passage {
                layer,
                bridge,
                input,
                output,
            };
            (passage, "frames that", "forwards")
        });
        let packets = self.ways().map(|(output, what, verb)| {
            let (layer, input) = (Layer::Ip, bridge);
            let passage = Passage {
                layer,
                bridge,
                input,
                output,
            };
            (passage, what, verb)
        });
        frames.into_iter().chain(packets).collect()
    }

    /// What the chains that iptables does not show do to it.
    fn judge_nftables(&self, ruleset: &Ruleset, forwarding: &mut Forwarding) {
        let name = self.name.as_str();
        for (passage, what, verb) in self.passages() {
            for obstacle in ruleset.judge(passage) {
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
                let (list, text) = match obstacle.drops {
                    Drops::Unread => (
                        &mut forwarding.facts,
                        format!("{subject}, which is not looked at here (chain {chain})"),
                    ),
                    _ => (
                        &mut forwarding.obstacles,
                        format!("{subject} (chain {chain}); let them through with {help}"),
                    ),
                };
                if !list.contains(&text) {
                    list.push(text);
                }
            }
        }
    }

    /// What the rules do to a new conversation, bridged and, where this host is the router, routed.
    fn judge_rules(&self, rules: &FilterTable, forwarding: &mut Forwarding) {
        let name = self.name.as_str();
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
                    "{what} {name} {verb}{by} pass iptables: {why}"
                )),
                FrameVerdict::Dropped(why) => forwarding.obstacles.push(format!(
                    "iptables drops {what} {name} {verb}{by}: {why}; let them through with 'iptables -I \
                     {} -i {name} -o {output} -j ACCEPT'",
                    rules.users_chain()
                )),
            }
            forwarding
                .obstacles
                .extend(doubtful.into_iter().map(|rule| {
                    format!("iptables drops some of the {what} {name} {verb}{by}: {rule}")
                }));
        }
    }
}

/// A line of `/proc/net/route` (`net/ipv4/fib_trie.c`, `fib_route_seq_show`).
struct RouteLine<'a> {
    device: &'a str,
    destination: u32,
    mask: u32,
}

fn routes_of(table: &str) -> impl Iterator<Item = RouteLine<'_>> {
    table.lines().skip(1).filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        // Numbers stand there as they lie in memory.
        let number = |at: usize| {
            let number = u32::from_str_radix(columns.get(at)?, 16).ok()?;
            Some(u32::from_be_bytes(number.to_ne_bytes()))
        };
        Some(RouteLine {
            device: columns.first()?,
            destination: number(1)?,
            mask: number(7)?,
        })
    })
}

impl RouteLine<'_> {
    /// Whether it leads to all of a network, and to more than everything.
    fn covers(&self, subnet: IpNetwork) -> bool {
        let IpNetwork::V4(subnet) = subnet else {
            return false;
        };
        let first = subnet.network().to_bits();
        let narrower = subnet.mask().to_bits() & self.mask == self.mask;
        self.mask != 0 && narrower && first & self.mask == self.destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge() -> Bridge {
        Bridge {
            name: "mydocker0".to_owned(),
            subnet: "10.1.0.0/16".parse().unwrap(),
            port: Some("eth0".to_owned()),
            filtered: false,
            routes: false,
            forwards: true,
            rp_filter: 2,
            on_link: true,
            world: Some("mydocker0".to_owned()),
        }
    }

    fn judged(bridge: Bridge, rules: Option<Option<&str>>) -> (Vec<String>, Vec<String>) {
        let Forwarding { facts, obstacles } =
            bridge.judge(rules.map(|text| text.map(FilterTable::parse)));
        (facts, obstacles)
    }

    #[test]
    fn an_unfiltered_bridge_with_a_port_has_nothing_in_its_way() {
        let fact =
            "frames that mydocker0 forwards do not pass iptables (bridge-nf-call-iptables is off)";
        assert_eq!(judged(bridge(), None), (vec![fact.to_owned()], vec![]));
    }

    #[test]
    fn what_is_in_the_way_is_said_with_what_to_do() {
        let lonely = Bridge {
            port: None,
            ..bridge()
        };
        let router = Bridge {
            routes: true,
            forwards: false,
            ..bridge()
        };
        let strict = Bridge {
            rp_filter: STRICT,
            on_link: false,
            ..bridge()
        };
        for (bridge, obstacle) in [
            (
                lonely,
                "the bridge mydocker0 has no NIC for a port: its containers do not reach other hosts; join one with \
                 'bridgeprereq NIC:mydocker0'",
            ),
            (
                router,
                "IPv4 forwarding is off: containers on mydocker0 reach their bridge and nothing beyond \
                 this host; set net.ipv4.ip_forward=1",
            ),
            (
                strict,
                "this host has no address in 10.1.0.0/16 on mydocker0 and rp_filter is strict there: it drops \
                 what containers send it; give mydocker0 an address of 10.1.0.0/16, or set \
                 net.ipv4.conf.mydocker0.rp_filter=2",
            ),
        ] {
            assert_eq!(judged(bridge, None).1, [obstacle]);
        }
    }

    #[test]
    fn the_rules_are_asked_for_each_way() {
        let router = || Bridge {
            filtered: true,
            routes: true,
            world: Some("eth1".to_owned()),
            ..bridge()
        };
        let rules = "-P FORWARD DROP\n-A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT\n";
        assert_eq!(
            judged(router(), Some(Some(rules))),
            (
                vec![
                    "frames that mydocker0 forwards pass iptables: -A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT"
                        .to_owned()
                ],
                vec![
                    "iptables drops packets that mydocker0 sends out by eth1: the policy of FORWARD; let them \
                     through with 'iptables -I FORWARD -i mydocker0 -o eth1 -j ACCEPT'"
                        .to_owned()
                ]
            )
        );
        let rules = "-P FORWARD ACCEPT\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n\
                     -A DOCKER-USER -p tcp -j DROP\n";
        let filtered = Bridge {
            filtered: true,
            ..bridge()
        };
        assert_eq!(
            judged(filtered, Some(Some(rules))).1,
            [
                "iptables drops some of the frames that mydocker0 forwards: -A DOCKER-USER -p tcp -j DROP"
            ]
        );
        assert_eq!(
            judged(router(), Some(None)).0,
            ["no iptables on this host shows what becomes of what mydocker0 forwards"]
        );
    }

    #[test]
    fn a_routing_table_is_read_as_the_kernel_prints_it() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     mydocker0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     cut short\n";
        let on = |device: &str, subnet: &str| {
            let subnet = subnet.parse().unwrap();
            let mut routes = routes_of(table);
            routes.any(|route| route.device == device && route.covers(subnet))
        };
        assert!(on("mydocker0", "10.1.0.0/16") && on("mydocker0", "10.1.7.0/24"));
        assert!(!on("mydocker0", "10.0.0.0/8") && !on("mydocker0", "10.2.0.0/16"));
        assert!(!on("eth1", "10.1.0.0/16") && !on("mydocker0", "fd00::/64"));
        let world = routes_of(table).find(|route| route.mask == 0);
        assert_eq!(world.unwrap().device, "eth1");
    }
}
