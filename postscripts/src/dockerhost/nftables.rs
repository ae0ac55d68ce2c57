//! What nftables does to a packet or frame that is forwarded, by whomever its rules were made.
//!
//! In: the chains and rules that the kernel lists over netlink (`linux/netfilter/nf_tables.h`), for a host
//! need not have the program `nft`, and a packet of which only the devices are known. Out: the rule or
//! policy of a chain on its way (prerouting, forward, postrouting) that drops a new conversation, or may drop
//! some. A verdict of "accept" ends its own chain only: every chain at a hook has its say. What a map decides
//! is not read, which is reported. Nothing is changed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

const SUBSYSTEM: u16 = 10; // NFNL_SUBSYS_NFTABLES
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const DUMP: u16 = 0x301; // NLM_F_REQUEST | NLM_F_DUMP
const DONE: u16 = 3;
const ERROR: u16 = 2;
// NF_INET_PRE_ROUTING and so on; those of bridges have the same numbers.
const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const INET: u8 = 1;
const IPV4: u8 = 2;
const BRIDGE: u8 = 7;
/// Ether types: without ARP no IPv4 conversation begins.
const IPV4_FRAME: u16 = 0x0800;
const ARP_FRAME: u16 = 0x0806;
/// Chains jump to chains; no real table is deeper.
const MAX_DEPTH: usize = 16;
/// No host has more rules; a longer list is not read.
const MAX_BYTES: usize = 64 << 20;

/// A chain, with its rules in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chain {
    family: u8,
    table: String,
    name: String,
    /// The hook at which packets that are forwarded come here by themselves.
    hook: Option<u32>,
    drops: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rule {
    handle: u64,
    expressions: Vec<NftExpression>,
}

/// One expression: its kind and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NftExpression {
    kind: String,
    data: Vec<u8>,
}

/// The chains on the way of what is forwarded, and those that they lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ruleset(Vec<Chain>);

/// Which rules look at a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Those of bridges (`bridge`), which see its ports.
    Ethernet,
    /// Those of IPv4 (`inet`, `ip`), which see the bridge itself.
    Ip,
}

/// The way of a packet through this host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) layer: Layer,
    /// The bridge that it comes in by.
    pub(super) bridge: &'a str,
    pub(super) input: &'a str,
    pub(super) output: &'a str,
}

/// A packet at one hook.
struct HookPacket<'a> {
    passage: Passage<'a>,
    input: Option<&'a str>,
    output: Option<&'a str>,
    ether_type: u16,
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

/// How much of it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drops {
    /// Every new conversation.
    All,
    /// Some of them.
    Some,
    /// What it drops was not read.
    Unread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NftVerdict {
    Accept,
    Drop,
    Return,
}

/// What a register holds, as far as it is known.
type Register = Option<Vec<u8>>;

impl Ruleset {
    /// Asks the kernel. A kernel without nftables has no rules.
    pub(super) fn load() -> io::Result<Self> {
        let mut chains: Vec<_> = dump(GET_CHAIN)?.iter().filter_map(|m| chain(m)).collect();
        for message in dump(GET_RULE)? {
            let Some((family, table, name, rule)) = rule(&message) else {
                continue;
            };
            let owner = chains
                .iter_mut()
                .find(|chain| (chain.family, &chain.table, &chain.name) == (family, &table, &name));
            if let Some(owner) = owner {
                owner.rules.push(rule);
            }
        }
        Ok(Self(chains))
    }

    /// Says what is in the way of a packet, but for the chains that `iptables` shows.
    pub(super) fn judge(&self, passage: Passage<'_>) -> Vec<Obstacle> {
        let is_shown = |chain: &Chain| {
            chain.family == IPV4 && chain.table == "filter" && chain.name == "FORWARD"
        };
        let (families, types): (&[u8], &[u16]) = match passage.layer {
            Layer::Ethernet => (&[BRIDGE], &[IPV4_FRAME, ARP_FRAME]),
            Layer::Ip => (&[INET, IPV4], &[IPV4_FRAME]),
        };
        let mut found: Vec<Obstacle> = Vec::new();
        for chain in &self.0 {
            let Some(hook) = chain.hook.filter(|_| families.contains(&chain.family)) else {
                continue;
            };
            for ether_type in types.iter().filter(|_| !is_shown(chain)) {
                let packet = passage.at(hook, *ether_type);
                for obstacle in self.judge_chain(chain, &packet) {
                    if !found.contains(&obstacle) {
                        found.push(obstacle);
                    }
                }
            }
        }
        found
    }

    fn judge_chain(&self, chain: &Chain, packet: &HookPacket<'_>) -> Vec<Obstacle> {
        let mut walk = ChainWalk {
            ruleset: self,
            packet,
            found: Vec::new(),
        };
        let decided = walk.chain(chain, true, MAX_DEPTH);
        if !matches!(decided, Some(NftVerdict::Accept | NftVerdict::Drop)) && chain.drops {
            walk.add(chain, "its policy is drop".to_owned(), Drops::All);
        }
        walk.found
    }
}

/// The way of one packet through chains.
struct ChainWalk<'a> {
    ruleset: &'a Ruleset,
    packet: &'a HookPacket<'a>,
    found: Vec<Obstacle>,
}

impl ChainWalk<'_> {
    fn add(&mut self, chain: &Chain, what: String, drops: Drops) {
        self.found.push(chain.obstacle(what, drops, self.packet));
    }

    /// Goes through a chain; `None` and `Return` lead back to where it came from.
    fn chain(&mut self, chain: &Chain, is_sure: bool, depth: usize) -> Option<NftVerdict> {
        for rule in chain.rules.iter().filter(|_| depth > 0) {
            let mut is_sure = is_sure;
            let decided = self.rule(chain, rule, &mut is_sure, depth);
            if is_sure && decided.is_some() {
                return decided;
            }
        }
        None
    }

    /// Applies a rule; clears `is_sure` where the rule looks at what is not known.
    fn rule(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        is_sure: &mut bool,
        depth: usize,
    ) -> Option<NftVerdict> {
        let mut registers = BTreeMap::new();
        for expression in &rule.expressions {
            match expression.apply(self.packet, &mut registers) {
                Effect::Goes => {}
                Effect::Ends => return None,
                Effect::Unknown => *is_sure = false,
                Effect::Map => {
                    let what = format!("rule {} decides by a map", rule.handle);
                    self.add(chain, what, Drops::Unread);
                    *is_sure = false;
                }
                Effect::Jump(name) => match self.jump(chain, &name, *is_sure, depth) {
                    Some(NftVerdict::Return) | None => {}
                    decided => return decided,
                },
                Effect::Verdict(NftVerdict::Drop) => {
                    let drops = if *is_sure { Drops::All } else { Drops::Some };
                    self.add(chain, format!("rule {} drops them", rule.handle), drops);
                    return Some(NftVerdict::Drop);
                }
                Effect::Verdict(verdict) => return Some(verdict),
            }
        }
        None
    }

    /// Goes through another chain of the same table.
    fn jump(
        &mut self,
        from: &Chain,
        name: &str,
        is_sure: bool,
        depth: usize,
    ) -> Option<NftVerdict> {
        let mut chains = self.ruleset.0.iter();
        let target = chains.find(|other| {
            (other.family, other.table.as_str(), other.name.as_str())
                == (from.family, from.table.as_str(), name)
        });
        self.chain(target?, is_sure, depth - 1)
    }
}

impl Chain {
    fn obstacle(&self, what: String, drops: Drops, packet: &HookPacket<'_>) -> Obstacle {
        let family = match self.family {
            INET => "inet",
            BRIDGE => "bridge",
            _ => "ip",
        };
        Obstacle {
            what,
            drops,
            chain: format!("{family} {} {}", self.table, self.name),
            accept: packet.accept(),
        }
    }
}

impl<'a> Passage<'a> {
    /// What a packet shows at a hook: before the routing it has no way out yet, and after it a frame no longer
    /// shows where it came from (`net/bridge/br_forward.c`, `br_netfilter_hooks.c`).
    fn at(self, hook: u32, ether_type: u16) -> HookPacket<'a> {
        let is_bridged = self.layer == Layer::Ethernet || self.input == self.output;
        let has_input = hook != POSTROUTING || !is_bridged;
        HookPacket {
            passage: self,
            input: has_input.then_some(self.input),
            output: (hook != PREROUTING).then_some(self.output),
            ether_type,
        }
    }
}

impl HookPacket<'_> {
    /// A rule that lets this packet through.
    fn accept(&self) -> String {
        let Passage { layer, bridge, .. } = self.passage;
        match (layer, self.input, self.output) {
            (Layer::Ethernet, Some(_), _) => format!("meta ibrname {bridge} accept"),
            (Layer::Ethernet, None, _) => format!("meta obrname {bridge} accept"),
            (_, Some(input), Some(output)) => format!("iifname {input} oifname {output} accept"),
            (_, Some(input), None) => format!("iifname {input} accept"),
            (_, None, output) => format!("oifname {} accept", output.unwrap_or(bridge)),
        }
    }

    /// What a "meta" expression reads (`enum nft_meta_keys`); `None` where it reads nothing, and its rule ends.
    fn meta(&self, key: Option<u32>) -> Option<Register> {
        let layer = self.passage.layer;
        let bridge = || (layer == Layer::Ethernet).then_some(self.passage.bridge);
        let family = match layer {
            Layer::Ethernet => BRIDGE,
            Layer::Ip => IPV4,
        };
        Some(Some(match key {
            Some(1) => self.ether_type.to_be_bytes().to_vec(),
            Some(6) => device(self.input?),
            Some(7) => device(self.output?),
            Some(15) => vec![family],
            Some(17) => device(self.input.and_then(|_| bridge())?),
            Some(18) => device(self.output.and_then(|_| bridge())?),
            _ => return Some(None),
        }))
    }
}

/// What an expression does to its rule.
enum Effect {
    Goes,
    Ends,
    Unknown,
    /// A verdict from a map, by what the packet is.
    Map,
    Jump(String),
    Verdict(NftVerdict),
}

impl NftExpression {
    fn apply(&self, packet: &HookPacket<'_>, registers: &mut BTreeMap<u32, Register>) -> Effect {
        let number = |kind: u16| attribute(&self.data, kind).and_then(big_endian);
        match self.kind.as_str() {
            // META: 1 is the register, 2 the key.
            "meta" => {
                let Some(value) = packet.meta(number(2)) else {
                    return Effect::Ends;
                };
                registers.insert(number(1).unwrap_or_default(), value);
                Effect::Goes
            }
            // The state of a new conversation (NF_CT_STATE_BIT(IP_CT_NEW)).
            "ct" => {
                let value = (number(2) == Some(0)).then(|| 8_u32.to_ne_bytes().to_vec());
                registers.insert(number(1).unwrap_or_default(), value);
                Effect::Goes
            }
            "bitwise" => {
                let held = number(1).and_then(|at| registers.get(&at).cloned().flatten());
                let data = |kind| attribute(&self.data, kind).and_then(|data| attribute(data, 1));
                let value = held.zip(data(4).zip(data(5))).map(|(held, (mask, xor))| {
                    let bits = held.iter().zip(mask).zip(xor);
                    bits.map(|((held, mask), xor)| (held & mask) ^ xor)
                        .collect()
                });
                registers.insert(number(2).unwrap_or_default(), value);
                Effect::Goes
            }
            "cmp" => {
                let held = number(1).and_then(|at| registers.get(&at).cloned().flatten());
                let data = attribute(&self.data, 3).and_then(|data| attribute(data, 1));
                let Some((held, data)) = held.zip(data) else {
                    return Effect::Unknown;
                };
                // A name with a star is compared as far as it goes.
                let is_equal = held.get(..data.len()) == Some(data);
                match number(2) {
                    Some(0) if is_equal => Effect::Goes,
                    Some(1) if !is_equal => Effect::Goes,
                    Some(0 | 1) => Effect::Ends,
                    _ => Effect::Unknown,
                }
            }
            "immediate" => self.verdict(),
            "reject" => Effect::Verdict(NftVerdict::Drop),
            // The ether type: LL_HEADER, at 12, two bytes.
            "payload"
                if packet.passage.layer == Layer::Ethernet
                    && [2, 3, 4].map(number) == [Some(0), Some(12), Some(2)] =>
            {
                let value = packet.ether_type.to_be_bytes().to_vec();
                registers.insert(number(1).unwrap_or_default(), Some(value));
                Effect::Goes
            }
            // The register of verdicts is 0.
            "lookup" if number(3) == Some(0) => Effect::Map,
            "payload" | "fib" | "rt" | "socket" | "exthdr" | "numgen" | "hash" | "osf" => {
                registers.clear();
                Effect::Unknown
            }
            "counter" | "log" | "notrack" | "dynset" | "objref" | "flow_offload" | "last" => {
                Effect::Goes
            }
            _ => Effect::Unknown,
        }
    }

    /// The verdict of an "immediate", where it is one (`NFTA_DATA_VERDICT`).
    fn verdict(&self) -> Effect {
        let verdict = attribute(&self.data, 2).and_then(|data| attribute(data, 2));
        let Some(verdict) = verdict else {
            return Effect::Unknown;
        };
        let code = attribute(verdict, 1)
            .and_then(big_endian)
            .unwrap_or_default();
        match code.cast_signed() {
            0 => Effect::Verdict(NftVerdict::Drop),
            1 => Effect::Verdict(NftVerdict::Accept),
            -3 | -4 => Effect::Jump(attribute(verdict, 2).map(name_text).unwrap_or_default()),
            -5 => Effect::Verdict(NftVerdict::Return),
            _ => Effect::Unknown,
        }
    }
}

/// Reads a chain of the families that frames and IPv4 pass.
fn chain(message: &[u8]) -> Option<Chain> {
    let (family, data) = (*message.first()?, message.get(4..)?);
    let hook = attribute(data, 4);
    let number = hook
        .and_then(|hook| attribute(hook, 1))
        .and_then(big_endian);
    let families = [INET, IPV4, BRIDGE];
    let family = families.into_iter().find(|known| *known == family)?;
    let on_the_way = |hook: &u32| [PREROUTING, FORWARD, POSTROUTING].contains(hook);
    // Of a chain at a hook only a filter decides; others translate addresses.
    let filters = attribute(data, 7).is_none_or(|kind| name_text(kind) == "filter");
    Some(Chain {
        family,
        table: name_text(attribute(data, 1)?),
        name: name_text(attribute(data, 3)?),
        hook: number.filter(on_the_way).filter(|_| filters),
        drops: attribute(data, 5).and_then(big_endian) == Some(0) && hook.is_some(),
        rules: Vec::new(),
    })
}

/// Reads a rule: the chain that it is in, and itself.
fn rule(message: &[u8]) -> Option<(u8, String, String, Rule)> {
    let (family, data) = (*message.first()?, message.get(4..)?);
    let handle = <[u8; 8]>::try_from(attribute(data, 3)?).ok()?;
    let expressions = attributes(attribute(data, 4).unwrap_or_default());
    let expression = |(_, element): (u16, &[u8])| NftExpression {
        kind: attribute(element, 1).map(name_text).unwrap_or_default(),
        data: attribute(element, 2).unwrap_or_default().to_vec(),
    };
    let rule = Rule {
        handle: u64::from_be_bytes(handle),
        expressions: expressions.map(expression).collect(),
    };
    Some((
        family,
        name_text(attribute(data, 1)?),
        name_text(attribute(data, 2)?),
        rule,
    ))
}

/// A device's name as the kernel compares it: sixteen bytes.
fn device(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

fn attribute(data: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(data)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// The attributes of a message, flags of their kind left out; a truncated one ends them.
fn attributes(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *data.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = data.get(4..length)?;
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

fn big_endian(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// A name, for people: nothing in it moves a terminal's cursor.
fn name_text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).replace(char::is_control, "?")
}

/// Lists all objects of a kind: each one's bytes after the netlink header.
fn dump(kind: u16) -> io::Result<Vec<Vec<u8>>> {
    let netlink = SockProtocol::NetlinkNetFilter;
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, netlink)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(10))?;
    let mut request = 20_u32.to_ne_bytes().to_vec();
    request.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    sendto(
        socket.as_raw_fd(),
        &request,
        &NetlinkAddr::new(0, 0),
        MsgFlags::empty(),
    )?;
    let (mut found, mut read, mut buffer) = (Vec::new(), 0, vec![0; 1 << 18]);
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        read += length;
        if length == 0 || read > MAX_BYTES {
            return Err(io::Error::other("the kernel's list of rules does not end"));
        }
        let mut rest = &buffer[..length];
        while let Some(&[a, b, c, d, k0, k1]) = rest.first_chunk::<6>() {
            let size = u32::from_ne_bytes([a, b, c, d]) as usize;
            let Some(body) = rest.get(16..size) else {
                break;
            };
            match u16::from_ne_bytes([k0, k1]) {
                DONE => return Ok(found),
                ERROR => {
                    let code = body
                        .first_chunk::<4>()
                        .map_or(0, |code| i32::from_ne_bytes(*code));
                    return match -code {
                        libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENOENT => {
                            Ok(found)
                        }
                        code => Err(io::Error::from_raw_os_error(code)),
                    };
                }
                _ => found.push(body.to_vec()),
            }
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn number(kind: u16, value: u32) -> Vec<u8> {
        put(kind, &value.to_be_bytes())
    }

    fn expression(kind: &str, data: Vec<Vec<u8>>) -> NftExpression {
        let (kind, data) = (kind.to_owned(), data.concat());
        NftExpression { kind, data }
    }

    /// `iifname` or `oifname`, and the name or the beginning of one.
    fn named(key: u32, operation: u32, name: &[u8]) -> Vec<NftExpression> {
        vec![
            expression("meta", vec![number(2, key), number(1, 1)]),
            expression(
                "cmp",
                vec![number(1, 1), number(2, operation), put(3, &put(1, name))],
            ),
        ]
    }

    fn verdict(code: i32, chain: &str) -> NftExpression {
        let verdict = [number(1, code.cast_unsigned()), put(2, chain.as_bytes())].concat();
        expression("immediate", vec![number(1, 0), put(2, &put(2, &verdict))])
    }

    /// `ct state` with these bits.
    fn state(bits: u32) -> Vec<NftExpression> {
        let data = |bits: u32| put(1, &bits.to_ne_bytes());
        vec![
            expression("ct", vec![number(2, 0), number(1, 1)]),
            expression(
                "bitwise",
                vec![
                    number(1, 1),
                    number(2, 1),
                    put(4, &data(bits)),
                    put(5, &data(0)),
                ],
            ),
            expression("cmp", vec![number(1, 1), number(2, 1), put(3, &data(0))]),
        ]
    }

    fn chain_of(
        name: &str,
        hook: Option<u32>,
        drops: bool,
        rules: Vec<Vec<NftExpression>>,
    ) -> Chain {
        let rule = |(at, expressions): (usize, Vec<NftExpression>)| Rule {
            handle: at as u64 + 1,
            expressions,
        };
        Chain {
            family: INET,
            table: "fw".to_owned(),
            name: name.to_owned(),
            hook,
            drops,
            rules: rules.into_iter().enumerate().map(rule).collect(),
        }
    }

    const BRIDGED: Passage<'_> = Passage {
        layer: Layer::Ip,
        bridge: "mydocker0",
        input: "mydocker0",
        output: "mydocker0",
    };

    fn judge(drops: bool, rules: Vec<Vec<NftExpression>>) -> Vec<(String, bool)> {
        let other = chain_of("other", None, false, vec![vec![verdict(0, "")]]);
        let forward = chain_of("forward", Some(FORWARD), drops, rules);
        let ruleset = Ruleset(vec![forward, other]);
        let found = ruleset.judge(BRIDGED).into_iter();
        found
            .map(|one| {
                (
                    format!("{}: {}", one.chain, one.what),
                    one.drops == Drops::All,
                )
            })
            .collect()
    }

    #[test]
    fn the_rule_or_policy_that_drops_a_new_conversation_is_named() {
        let with = |mut expressions: Vec<NftExpression>, last: NftExpression| {
            expressions.push(last);
            expressions
        };
        let (accept, drop) = (|| verdict(1, ""), || verdict(0, ""));
        let rule = |number: u32| format!("inet fw forward: rule {number} drops them");
        let policy = "inet fw forward: its policy is drop".to_owned();
        let port = || expression("payload", vec![]);
        for (drops, rules, found) in [
            (false, vec![], vec![]),
            (true, vec![], vec![(policy.clone(), true)]),
            // What is established passes, what is new is rejected.
            (
                false,
                vec![
                    with(state(6), accept()),
                    with(state(1), drop()),
                    vec![expression("reject", vec![])],
                ],
                vec![(rule(3), true)],
            ),
            (true, vec![with(state(8), accept())], vec![]),
            (
                true,
                vec![with(named(6, 0, b"mydocker0\0"), accept())],
                vec![],
            ),
            (true, vec![with(named(7, 0, b"my"), accept())], vec![]),
            (true, vec![with(named(6, 1, b"eth0\0"), accept())], vec![]),
            (
                true,
                vec![with(named(6, 0, b"eth0\0"), accept())],
                vec![(policy.clone(), true)],
            ),
            // Another chain has its say, and what nobody knows of may drop some.
            (
                false,
                vec![vec![verdict(-3, "other")]],
                vec![("inet fw other: rule 1 drops them".to_owned(), true)],
            ),
            (false, vec![vec![port(), drop()]], vec![(rule(1), false)]),
            (true, vec![vec![port(), accept()]], vec![(policy, true)]),
        ] {
            assert_eq!(judge(drops, rules), found);
        }
    }

    #[test]
    fn frames_pass_the_rules_of_bridges_by_their_ports() {
        // `ether type`, as nft and ebtables write it.
        let payload = |kind: u16| {
            vec![
                expression(
                    "payload",
                    vec![number(1, 1), number(2, 0), number(3, 12), number(4, 2)],
                ),
                expression(
                    "cmp",
                    vec![
                        number(1, 1),
                        number(2, 0),
                        put(3, &put(1, &kind.to_be_bytes())),
                    ],
                ),
            ]
        };
        let meta = |key: u32, value: &[u8]| named(key, 0, value);
        let to = |mut expressions: Vec<NftExpression>, code: i32| {
            expressions.push(verdict(code, ""));
            expressions
        };
        let policy = || vec!["its policy is drop".to_owned()];
        let first = || vec!["rule 1 drops them".to_owned()];
        for (drops, rules, found) in [
            (true, vec![], policy()),
            // IPv4 passes, and nobody learns where to send it.
            (true, vec![to(payload(IPV4_FRAME), 1)], policy()),
            (true, vec![to(payload(ARP_FRAME), 1)], policy()),
            (
                true,
                vec![to(payload(ARP_FRAME), 1), to(meta(1, &[8, 0]), 1)],
                vec![],
            ),
            (true, vec![to(meta(17, b"mydocker0\0"), 1)], vec![]),
            (true, vec![to(meta(18, b"other0\0"), 1)], policy()),
            (false, vec![to(meta(7, b"eth0\0"), 0)], first()),
            (false, vec![to(meta(6, b"veth"), 0)], first()),
            (false, vec![to(meta(6, b"mydocker0\0"), 0)], vec![]),
            (false, vec![to(meta(15, &[IPV4]), 0)], vec![]),
        ] {
            let mut chain = chain_of("f", Some(FORWARD), drops, rules);
            chain.family = BRIDGE;
            let ruleset = Ruleset(vec![chain]);
            let frame = Passage {
                layer: Layer::Ethernet,
                input: "veth",
                output: "eth0",
                ..BRIDGED
            };
            let judged = ruleset.judge(frame);
            let whats: Vec<_> = judged.iter().map(|one| one.what.clone()).collect();
            assert_eq!(whats, found);
            for one in judged {
                assert_eq!(one.accept, "meta ibrname mydocker0 accept");
                assert_eq!(one.chain, "bridge fw f");
            }
            assert_eq!(ruleset.judge(BRIDGED), [], "IPv4 does not come there");
        }
    }

    #[test]
    fn every_hook_on_the_way_is_looked_at_with_what_is_known_there() {
        let drop = |mut expressions: Vec<NftExpression>| {
            expressions.push(verdict(0, ""));
            expressions
        };
        let routed = Passage {
            output: "eth1",
            ..BRIDGED
        };
        let (input, output) = (named(6, 0, b"mydocker0\0"), named(7, 0, b"mydocker0\0"));
        let world = named(7, 0, b"eth1\0");
        for (hook, passage, rule, accept) in [
            (
                PREROUTING,
                BRIDGED,
                &input,
                Some("iifname mydocker0 accept"),
            ),
            (PREROUTING, BRIDGED, &output, None),
            (PREROUTING, routed, &input, Some("iifname mydocker0 accept")),
            (
                POSTROUTING,
                BRIDGED,
                &output,
                Some("oifname mydocker0 accept"),
            ),
            (POSTROUTING, BRIDGED, &input, None),
            (
                POSTROUTING,
                routed,
                &input,
                Some("iifname mydocker0 oifname eth1 accept"),
            ),
            (
                FORWARD,
                routed,
                &world,
                Some("iifname mydocker0 oifname eth1 accept"),
            ),
            (FORWARD, BRIDGED, &world, None),
        ] {
            let chain = chain_of("c", Some(hook), false, vec![drop(rule.clone())]);
            let judged = Ruleset(vec![chain]).judge(passage);
            let accepts: Vec<_> = judged.iter().map(|one| one.accept.as_str()).collect();
            assert_eq!(accepts, accept.into_iter().collect::<Vec<_>>());
        }
        // `iifname vmap { … }`
        let mut by_map = named(6, 0, b"my");
        by_map.push(expression("lookup", vec![number(2, 1), number(3, 0)]));
        let chain = chain_of("c", Some(FORWARD), false, vec![by_map]);
        let judged = Ruleset(vec![chain]).judge(BRIDGED);
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].drops, Drops::Unread);
        assert_eq!(judged[0].what, "rule 1 decides by a map");
    }

    #[test]
    fn what_is_cut_short_ends_a_list_and_no_name_moves_a_cursor() {
        assert_eq!(attributes(&[9, 0, 1, 0, 7]).count(), 0);
        assert_eq!(attributes(&put(1, b"abc")).count(), 1);
        assert_eq!(name_text(b"a\x1b[2Jb\0"), "a?[2Jb");
        assert_eq!((chain(&[]), rule(&[1, 0])), (None, None));
    }
}
