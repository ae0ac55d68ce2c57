//! What the chains at a hook do to a packet of which only some is known.
//!
//! Pure. A verdict of "accept" ends its own chain only: every chain at a hook has its say. What a rule asks for and
//! nobody knows makes its verdict one about some packets; what a rule uses and is not read here is named.
//! Reference: net/netfilter/nf_tables_core.c.

use nix::libc;

use super::expression::Expression;
use super::packet::{Loaded, Packet, Tracking};
use super::ruleset::{NftChain, NftRule, NftRuleset};
use super::set::SetElement;
use super::value::{Certainty, Comparison, Value};
use super::verdict::Verdict;
use crate::netlink::uapi::{
    NFT_OBJECT_CONNLIMIT, NFT_OBJECT_LIMIT, NFT_OBJECT_QUOTA, NFTA_CMP_SREG, NFTA_DYNSET_EXPR,
    NFTA_DYNSET_EXPRESSIONS, NFTA_DYNSET_FLAGS, NFTA_IMMEDIATE_DATA, NFTA_LOOKUP_DREG,
    NFTA_LOOKUP_FLAGS, NFTA_LOOKUP_SREG, NFTA_MATCH_NAME, NFTA_OBJREF_IMM_TYPE, NFTA_TARGET_NAME,
};

/// Registers are this many bytes.
const REGISTERS: usize = 80;
/// Chains jump to chains, as deep as the kernel lets them (`NFT_JUMP_STACK_SIZE`).
const MAX_DEPTH: usize = 16;
/// How many rules are gone through, however often chains jump to each other.
const MAX_RULES: usize = 1 << 18;

/// A rule or policy that is in a packet's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `NFPROTO_*`, and the chain it is in.
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) chain: String,
    /// Which one, in words.
    pub(crate) what: String,
    pub(crate) drops: Drops,
}

/// How many of the packets are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drops {
    /// Every new conversation.
    All,
    /// Some of them.
    Some,
    /// It cannot be said: something was not read.
    Unread,
}

/// Says what is in the way of a packet in a base chain, and whether it leaves it tracked as it was.
pub(crate) fn judge(
    ruleset: &NftRuleset,
    chain: &NftChain,
    packet: &Packet,
) -> (Vec<Finding>, Tracking) {
    let mut walk = ChainWalk {
        ruleset,
        packet,
        found: Vec::new(),
        rules: MAX_RULES,
        unread: None,
        tracking: packet.tracking,
    };
    let flow = walk.chain(chain, &Condition::default(), MAX_DEPTH);
    let drops = chain.hook.as_ref().is_some_and(|hook| hook.drops);
    if drops && flow != Flow::Decided {
        walk.drop(
            chain,
            "its policy is drop".to_owned(),
            &Condition::default(),
        );
    }
    (walk.found, walk.tracking)
}

/// The way of one packet through chains.
struct ChainWalk<'a> {
    ruleset: &'a NftRuleset,
    packet: &'a Packet,
    found: Vec<Finding>,
    /// How many more are gone through.
    rules: usize,
    /// A rule that accepts by what was not read: what comes after it may not be reached.
    unread: Option<String>,
    tracking: Tracking,
}

/// Whether a packet comes to a place.
#[derive(Debug, Clone, Default)]
struct Condition {
    is_partial: bool,
    /// What decides and was not read.
    unread: Option<String>,
}

/// Where a packet goes after a rule or a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// On to the next rule.
    On,
    /// Back to where the chain was jumped to from.
    Back,
    /// Nowhere: a verdict was given.
    Decided,
}

/// What an expression does to its rule.
enum Effect {
    Goes(Certainty),
    /// What it asks for is not read here.
    Unread(String),
    /// What it does is not known here.
    Foreign(String),
    /// What it may decide, and whether it surely does.
    Verdicts(Vec<(Certainty, Verdict)>),
}

impl Condition {
    fn with(&self, certainty: Certainty) -> Self {
        Self {
            is_partial: self.is_partial || certainty == Certainty::Maybe,
            unread: self.unread.clone(),
        }
    }
}

impl<'a> ChainWalk<'a> {
    /// Goes through the rules of a chain.
    fn chain(&mut self, chain: &'a NftChain, condition: &Condition, depth: usize) -> Flow {
        let ruleset = self.ruleset;
        for rule in ruleset.rules_of(chain) {
            if self.rules == 0 || depth == 0 {
                let what = "its rules are too many to be gone through".to_owned();
                self.add(chain, what, Drops::Unread);
                return Flow::Decided;
            }
            self.rules -= 1;
            match self.rule(chain, rule, condition.clone(), depth) {
                Flow::On => {}
                flow => return flow,
            }
        }
        Flow::Back
    }

    /// Applies a rule.
    fn rule(
        &mut self,
        chain: &'a NftChain,
        rule: &'a NftRule,
        mut condition: Condition,
        depth: usize,
    ) -> Flow {
        // whether a verdict of this rule is one about every packet that came to it
        let mut is_about_all = true;
        let mut registers = Value::unknown(REGISTERS);
        for one in &rule.expressions {
            match self.apply(rule, one, &mut registers) {
                Effect::Goes(Certainty::No) => return Flow::On,
                Effect::Goes(certainty) => {
                    condition = condition.with(certainty);
                    is_about_all &= certainty == Certainty::Yes;
                }
                Effect::Unread(what) => {
                    condition
                        .unread
                        .get_or_insert(format!("rule {} uses {what}", rule.handle));
                    is_about_all = false;
                }
                Effect::Foreign(what) => {
                    let what = format!("rule {} uses {what}", rule.handle);
                    self.add(chain, what.clone(), Drops::Unread);
                    condition.unread.get_or_insert(what);
                    is_about_all = false;
                }
                Effect::Verdicts(verdicts) => {
                    for (certainty, verdict) in verdicts {
                        let under = condition.with(certainty);
                        let flow = self.decide((chain, rule.handle), &verdict, &under, depth);
                        if flow != Flow::On && is_about_all && certainty == Certainty::Yes {
                            return flow;
                        }
                    }
                }
            }
        }
        Flow::On
    }

    /// Follows a verdict of the rule with this handle.
    fn decide(
        &mut self,
        (chain, handle): (&'a NftChain, u64),
        verdict: &Verdict,
        condition: &Condition,
        depth: usize,
    ) -> Flow {
        match verdict {
            Verdict::Continue => Flow::On,
            Verdict::Return => Flow::Back,
            Verdict::Accept => {
                if let Some(unread) = &condition.unread {
                    self.unread.get_or_insert_with(|| unread.clone());
                }
                Flow::Decided
            }
            Verdict::Drop => {
                self.drop(chain, format!("rule {handle} drops them"), condition);
                Flow::Decided
            }
            Verdict::Queue | Verdict::Other(_) => {
                let what = format!("rule {handle} leaves it to others (\"{verdict}\")");
                self.add(chain, what, Drops::Unread);
                Flow::Decided
            }
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let target = self.ruleset.chain_beside(chain, name);
                let flow = target.map_or(Flow::Back, |target| {
                    self.chain(target, condition, depth - 1)
                });
                match (flow, verdict) {
                    (Flow::Back, Verdict::Jump(_)) => Flow::On,
                    (flow, _) => flow,
                }
            }
        }
    }

    fn drop(&mut self, chain: &NftChain, what: String, condition: &Condition) {
        match condition.unread.as_ref().or(self.unread.as_ref()) {
            Some(unread) => {
                let what = format!("{what}, and {unread}");
                self.add(chain, what, Drops::Unread);
            }
            None if condition.is_partial => self.add(chain, what, Drops::Some),
            None => self.add(chain, what, Drops::All),
        }
    }

    fn add(&mut self, chain: &NftChain, what: String, drops: Drops) {
        let finding = Finding {
            family: chain.family,
            table: chain.table.clone(),
            chain: chain.name.clone(),
            what,
            drops,
        };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    fn apply(&mut self, rule: &NftRule, one: &Expression, registers: &mut Value) -> Effect {
        match one.name.as_str() {
            "cmp" | "range" => compare(one, registers),
            "lookup" => self.look_up(rule, one, registers),
            "bitwise" | "byteorder" => {
                let Some((from, into)) = one.computes_from().zip(one.loads_into()) else {
                    return Effect::Unread(format!("\"{}\"", one.name));
                };
                let value = registers.part(from, MAX_VALUE).computed(one);
                put(registers, into, &value);
                Effect::Goes(Certainty::Yes)
            }
            "immediate" => match one.get(NFTA_IMMEDIATE_DATA) {
                Some(data) => match (Verdict::parse(data), super::value(data), one.loads_into()) {
                    (Some(verdict), ..) => Effect::Verdicts(vec![(Certainty::Yes, verdict)]),
                    (None, Some(value), Some(into)) => {
                        put(registers, into, &Value::of(&value));
                        Effect::Goes(Certainty::Yes)
                    }
                    _ => Effect::Unread("\"immediate\"".to_owned()),
                },
                None => Effect::Unread("\"immediate\"".to_owned()),
            },
            // one of iptables may do the same
            "notrack" | "target"
                if one.name == "notrack"
                    || matches!(
                        one.text(NFTA_TARGET_NAME).as_deref(),
                        Some("CT" | "NOTRACK")
                    ) =>
            {
                self.tracking = Tracking::Unknown;
                Effect::Goes(Certainty::Yes)
            }
            name => self.load(name, one, registers),
        }
    }

    /// What loads, matches or ends by its name alone.
    fn load(&self, name: &str, one: &Expression, registers: &mut Value) -> Effect {
        let goes = Effect::Goes(Certainty::Yes);
        let some = Effect::Goes(Certainty::Maybe);
        if let Some(into) = one.loads_into() {
            let loaded = match name {
                "meta" | "ct" | "payload" => self.packet.load(one),
                "fib" | "rt" | "socket" | "exthdr" | "numgen" | "hash" | "osf" | "xfrm"
                | "tunnel" => Loaded::Perhaps,
                _ => return Effect::Foreign(format!("\"{name}\"")),
            };
            return match loaded {
                Loaded::Value(value) => {
                    put(registers, into, &value);
                    goes
                }
                Loaded::Nothing => Effect::Goes(Certainty::No),
                Loaded::Perhaps => {
                    put(registers, into, &Value::unknown(MAX_VALUE));
                    some
                }
            };
        }
        let verdict = |verdict| Effect::Verdicts(vec![(Certainty::Yes, verdict)]);
        match name {
            "counter" | "log" | "last" | "flow_offload" | "dup" => goes,
            // those that set something load nothing
            "meta" | "ct" | "payload" | "exthdr" => goes,
            "limit" | "quota" | "connlimit" => some,
            "dynset" if is_conditional(one) => some,
            "dynset" => goes,
            "objref" => match one.number(NFTA_OBJREF_IMM_TYPE) {
                Some(NFT_OBJECT_LIMIT | NFT_OBJECT_QUOTA | NFT_OBJECT_CONNLIMIT) | None => some,
                Some(_) => goes,
            },
            "reject" => verdict(Verdict::Drop),
            "nat" | "masq" | "redir" | "tproxy" => verdict(Verdict::Accept),
            "queue" => verdict(Verdict::Queue),
            "match" => match one.text(NFTA_MATCH_NAME).as_deref() {
                Some("comment") => goes,
                _ => some,
            },
            "target" => target(&one.text(NFTA_TARGET_NAME).unwrap_or_default()),
            _ => Effect::Foreign(format!("\"{name}\"")),
        }
    }

    fn look_up(&self, rule: &NftRule, one: &Expression, registers: &mut Value) -> Effect {
        let from = one.number(NFTA_LOOKUP_SREG).and_then(super::byte);
        let set = self.ruleset.set_of(rule, one);
        let (Some(from), Some(set)) = (from, set) else {
            return Effect::Unread("a set that the kernel does not list".to_owned());
        };
        if set.elements.is_none() {
            return Effect::Unread(format!(
                "the set {}, which is too long to be read",
                set.name
            ));
        }
        let found = set.find(&registers.part(from, set.key));
        let is_there = found.iter().map(|(certainty, _)| *certainty).max();
        let is_there = is_there.unwrap_or(Certainty::No);
        match (one.get(NFTA_LOOKUP_DREG), one.loads_into()) {
            (None, _) => {
                let is_inverted = one.key(NFTA_LOOKUP_FLAGS) == Some(libc::NFT_LOOKUP_F_INV);
                Effect::Goes(if is_inverted {
                    is_there.not()
                } else {
                    is_there
                })
            }
            // the value that a map gives is known where there is only one
            (Some(_), Some(into)) => {
                let given = |element: &SetElement| element.data().and_then(super::value);
                let value = match found.as_slice() {
                    [(_, element)] => given(element).map(|value| Value::of(&value)),
                    _ => None,
                };
                put(registers, into, &value.unwrap_or(Value::unknown(MAX_VALUE)));
                Effect::Goes(is_there)
            }
            (Some(_), None) => {
                let verdict = |(certainty, element): (Certainty, &SetElement)| {
                    let verdict = element.data().and_then(Verdict::parse);
                    (certainty, verdict.unwrap_or(Verdict::Other(0)))
                };
                let verdicts: Vec<_> = found.into_iter().map(verdict).collect();
                if verdicts.is_empty() {
                    Effect::Goes(Certainty::No)
                } else {
                    Effect::Verdicts(verdicts)
                }
            }
        }
    }
}

/// Reports whether an expression that adds to a set ends its rule for some packets, by a limit or when it is there.
fn is_conditional(dynset: &Expression) -> bool {
    let nested = [NFTA_DYNSET_EXPR, NFTA_DYNSET_EXPRESSIONS];
    dynset
        .number(NFTA_DYNSET_FLAGS)
        .is_some_and(|flags| flags != 0)
        || nested.iter().any(|kind| dynset.get(*kind).is_some())
}

/// No register holds more, and no key is longer.
const MAX_VALUE: usize = 64;

fn compare(one: &Expression, registers: &Value) -> Effect {
    let from = one.number(NFTA_CMP_SREG).and_then(super::byte);
    let comparison = Comparison::of(one);
    match from.zip(comparison) {
        Some((from, comparison)) => {
            Effect::Goes(comparison.holds(&registers.part(from, comparison.length())))
        }
        None => Effect::Unread(format!("\"{}\"", one.name)),
    }
}

/// What a target of iptables does (iptables-extensions(8)).
fn target(name: &str) -> Effect {
    let verdict = |verdict| Effect::Verdicts(vec![(Certainty::Yes, verdict)]);
    match name {
        "REJECT" => verdict(Verdict::Drop),
        "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" | "TPROXY" => {
            verdict(Verdict::Accept)
        }
        "NFQUEUE" => verdict(Verdict::Queue),
        "AUDIT" | "CHECKSUM" | "CLASSIFY" | "CONNMARK" | "CONNSECMARK" | "DSCP" | "ECN" | "HL"
        | "HMARK" | "IDLETIMER" | "LED" | "LOG" | "MARK" | "NFLOG" | "RATEEST" | "SECMARK"
        | "SET" | "TCPMSS" | "TCPOPTSTRIP" | "TEE" | "TOS" | "TRACE" | "TTL" => {
            Effect::Goes(Certainty::Yes)
        }
        _ => Effect::Foreign(format!("the target {name}")),
    }
}

/// Loads a value, and what the kernel fills a register of four bytes up with.
fn put(registers: &mut Value, at: usize, value: &Value) {
    let length = value.length();
    let filled = length.next_multiple_of(libc::NFT_REG32_SIZE as usize);
    registers.put(at, value);
    registers.put(at + length, &Value::of(&vec![0; filled - length]));
}
