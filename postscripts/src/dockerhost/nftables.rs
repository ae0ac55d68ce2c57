//! What nftables does to a packet or frame that a bridge of containers forwards, by whomever its rules were made.
//!
//! In: what the kernel lists ([`crate::nftables`]), and a way through this host. Out: the rule or policy of a chain
//! on it (prerouting, forward, postrouting) that drops a new conversation, or may drop some. Nothing is changed.

use std::io;

use ipnetwork::IpNetwork;
use nix::libc;
use nix::net::if_::if_nametoindex;

use crate::netlink::netfilter::Netfilter;
use crate::nftables::{
    ARP_FRAME, Drops, Finding, Hook, IPV4_FRAME, IPV6_FRAME, Interface, NftChain, NftRuleset,
    Packet, Tracking, family, judge,
};

// NF_INET_PRE_ROUTING and so on; those of bridges have the same numbers.
const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const HOOKS: [u32; 3] = [PREROUTING, FORWARD, POSTROUTING];
/// What is before this at prerouting sees no conversation yet (`NF_IP_PRI_CONNTRACK`).
const CONNECTION_TRACKING: i32 = -200;
const INET: u8 = libc::NFPROTO_INET as u8;
const IPV4: u8 = libc::NFPROTO_IPV4 as u8;
const IPV6: u8 = libc::NFPROTO_IPV6 as u8;
const BRIDGE: u8 = libc::NFPROTO_BRIDGE as u8;

/// Which rules look at a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Those of bridges (`bridge`), which see its ports.
    Ethernet,
    /// Those of IPv4 and IPv6 (`inet`, `ip`, `ip6`), which see the bridge itself.
    Ip,
}

/// The way of a packet through this host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) layer: Layer,
    /// The bridge that it comes in by.
    pub(super) bridge: &'a str,
    pub(super) input: PassageDevice<'a>,
    pub(super) output: PassageDevice<'a>,
    /// The network that it comes from, and the one that it goes to where that is known.
    pub(super) source: IpNetwork,
    pub(super) destination: Option<IpNetwork>,
}

/// A device on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassageDevice<'a> {
    Named(&'a str),
    /// The port of a container, which no rule knows by its whole name.
    Container,
}

/// A rule or policy that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// Which one, in words.
    pub(super) what: String,
    pub(super) drops: Drops,
    /// The family and name of its table, and its chain, as `nft` wants them.
    pub(super) chain: String,
    /// A rule that lets the packet through.
    pub(super) accept: String,
}

/// Asks the kernel. A kernel without nftables has no rules.
pub(super) fn load() -> io::Result<NftRuleset> {
    match Netfilter::open()? {
        Some(netfilter) => NftRuleset::load(&netfilter, NftRuleset::is_looked_up),
        None => Ok(NftRuleset::default()),
    }
}

/// Says what is in the way of a packet, but for the chains that `iptables` shows.
pub(super) fn obstacles(ruleset: &NftRuleset, passage: Passage<'_>) -> Vec<Obstacle> {
    let mut found: Vec<Obstacle> = Vec::new();
    for ether_type in passage.ether_types() {
        let mut tracking = passage.tracking(*ether_type);
        for (hook, chain) in passage.chains(ruleset) {
            let packet = passage.at(hook.number, *ether_type, tracking);
            let is_early = hook.number == PREROUTING && hook.priority < CONNECTION_TRACKING;
            let judged = Packet {
                tracking: if is_early {
                    Tracking::Invalid
                } else {
                    tracking
                },
                ..packet.clone()
            };
            let (findings, after) = judge(ruleset, chain, &judged);
            if after == Tracking::Unknown {
                tracking = after;
            }
            let obstacles = findings
                .into_iter()
                .map(|finding| obstacle(finding, passage.accept(&packet)));
            for obstacle in obstacles {
                if !found.contains(&obstacle) {
                    found.push(obstacle);
                }
            }
        }
    }
    found
}

fn obstacle(finding: Finding, accept: String) -> Obstacle {
    // for people: nothing in a name moves a terminal's cursor
    let shown = |text: String| text.replace(char::is_control, "?");
    let (table, chain) = (shown(finding.table), shown(finding.chain));
    Obstacle {
        what: shown(finding.what),
        drops: finding.drops,
        chain: format!("{} {table} {chain}", family(finding.family)),
        accept,
    }
}

impl<'a> Passage<'a> {
    fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// Without ARP no IPv4 conversation begins; its like is part of IPv6.
    fn ether_types(&self) -> &'static [u16] {
        match (self.layer, self.is_ipv6()) {
            (_, true) => &[IPV6_FRAME],
            (Layer::Ethernet, false) => &[IPV4_FRAME, ARP_FRAME],
            (Layer::Ip, false) => &[IPV4_FRAME],
        }
    }

    fn tracking(&self, ether_type: u16) -> Tracking {
        if ether_type == ARP_FRAME {
            Tracking::Invalid
        } else {
            Tracking::New
        }
    }

    /// The base chains on the way, in its order.
    fn chains<'b>(&self, ruleset: &'b NftRuleset) -> Vec<(&'b Hook, &'b NftChain)> {
        let own = if self.is_ipv6() { IPV6 } else { IPV4 };
        let is_shown = |chain: &NftChain| {
            chain.family == own && chain.table == "filter" && chain.name == "FORWARD"
        };
        let looks = |chain: &NftChain| match self.layer {
            Layer::Ethernet => chain.family == BRIDGE,
            Layer::Ip => chain.family == INET || chain.family == own && !is_shown(chain),
        };
        let chains = ruleset.chains.iter().filter(|chain| looks(chain));
        let hooked = chains.filter_map(|chain| Some((chain.hook.as_ref()?, chain)));
        let mut found: Vec<(&Hook, &NftChain)> = Vec::new();
        for (hook, chain) in hooked.filter(|(hook, _)| HOOKS.contains(&hook.number)) {
            let key = |hook: &Hook| (hook.number, hook.priority);
            let at = found.partition_point(|(other, _)| key(other) <= key(hook));
            found.insert(at, (hook, chain));
        }
        found
    }

    /// What a packet shows at a hook: before the routing it has no way out yet, and after it a frame no longer
    /// shows where it came from (`net/bridge/br_forward.c`, `br_netfilter_hooks.c`).
    fn at(&self, hook: u32, ether_type: u16, tracking: Tracking) -> Packet {
        let is_bridged = self.layer == Layer::Ethernet || self.input == self.output;
        let has_input = hook != POSTROUTING || !is_bridged;
        let has_output = hook != PREROUTING;
        let is_ethernet = self.layer == Layer::Ethernet;
        let bridge = PassageDevice::Named(self.bridge).interface();
        let family = match (self.layer, self.is_ipv6()) {
            (Layer::Ethernet, _) => BRIDGE,
            (Layer::Ip, true) => IPV6,
            (Layer::Ip, false) => IPV4,
        };
        Packet {
            family,
            ether_type,
            input: has_input.then(|| self.input.interface()),
            output: has_output.then(|| self.output.interface()),
            input_bridge: (has_input && is_ethernet).then(|| bridge.clone()),
            output_bridge: (has_output && is_ethernet).then_some(bridge),
            source: Some(self.source),
            destination: self.destination,
            tracking,
        }
    }

    /// A rule that lets such a packet through.
    fn accept(&self, packet: &Packet) -> String {
        let bridge = self.bridge;
        let devices = [(&packet.input, self.input), (&packet.output, self.output)];
        let [input, output] = devices.map(|(shown, device)| match device {
            PassageDevice::Named(name) => shown.as_ref().map(|_| name),
            PassageDevice::Container => None,
        });
        match (self.layer, input, output) {
            (Layer::Ethernet, ..) if packet.input.is_some() => {
                format!("meta ibrname {bridge} accept")
            }
            (Layer::Ethernet, ..) => format!("meta obrname {bridge} accept"),
            (_, Some(input), Some(output)) => format!("iifname {input} oifname {output} accept"),
            (_, Some(input), None) => format!("iifname {input} accept"),
            (_, None, output) => format!("oifname {} accept", output.unwrap_or(bridge)),
        }
    }
}

impl PassageDevice<'_> {
    fn interface(self) -> Interface {
        match self {
            Self::Named(name) => Interface::named(name, if_nametoindex(name).ok()),
            Self::Container => Interface::beginning("veth", "veth"),
        }
    }
}
