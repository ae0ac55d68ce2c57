//! Which rules of nf_tables name the NIC and not the bridge, and what has to be added beside them.
//!
//! Pure: a ruleset comes in, findings go out.

use std::ffi::c_int;

use nix::libc;

use super::device::{Destination, Device, HeldDevice, Registers, destination};
use super::named::Lack;
use super::translation::Translation;
use super::{Move, RuleFinding, physdev};
use crate::netlink::uapi::{
    NFTA_CMP_OP, NFTA_CMP_SREG, NFTA_CT_DREG, NFTA_IMMEDIATE_DATA, NFTA_LOOKUP_DREG,
    NFTA_LOOKUP_FLAGS, NFTA_LOOKUP_SET, NFTA_LOOKUP_SREG, NFTA_MATCH_NAME, NFTA_META_DREG,
    NFTA_META_KEY, NFTA_META_SREG, NFTA_PAYLOAD_DREG,
};
use crate::nftables::{
    Certainty, Comparison, Expression, NAME_SIZE, NftRule, NftRuleset, Set, SetElement, Verdict,
    byte, family, is_same, padded, place, rule_words,
};

/// Looks through all rules.
pub(super) fn find(ruleset: &NftRuleset, moves: &[Move]) -> Vec<RuleFinding> {
    let mut findings = Vec::new();
    // what is hooked to the port itself still sees its frames
    for rule in ruleset.rules.iter().filter(|rule| !ruleset.is_below(rule)) {
        for finding in RuleReading::of(ruleset, rule, moves).findings(moves) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// Reports whether a rule looks into a set by a key with a device in it.
pub(super) fn is_looked_up_by_device(ruleset: &NftRuleset, set: &Set) -> bool {
    ruleset.rules.iter().any(|rule| {
        let mut registers = Registers::default();
        rule.expressions.iter().any(|one| {
            let from = one.number(NFTA_LOOKUP_SREG).and_then(byte);
            let is_sought = rule.looks_into(one, set);
            let has_device = |from| !registers.within(from, set.key).is_empty();
            let found = is_sought && from.is_some_and(has_device);
            registers.follow(one);
            found
        })
    })
}

/// Rules that ask for the group of a device, which a bridge has only until the next boot: whoever configures it then
/// has to put it there.
pub(super) fn by_group(ruleset: &NftRuleset, moves: &[Move]) -> Vec<String> {
    const GROUPS: [Option<c_int>; 2] =
        [Some(libc::NFT_META_IIFGROUP), Some(libc::NFT_META_OIFGROUP)];
    let asks = |one: &Expression| match one.name.as_str() {
        "meta" => GROUPS.contains(&one.key(NFTA_META_KEY)),
        "match" => one.text(NFTA_MATCH_NAME).as_deref() == Some("devgroup"),
        _ => false,
    };
    let mut found = Vec::new();
    for rule in ruleset.rules.iter().filter(|rule| !ruleset.is_below(rule)) {
        let grouped = moves
            .iter()
            .filter(|one| one.nic_group != 0 && !one.is_port);
        for one in grouped.filter(|_| rule.expressions.iter().any(asks)) {
            let words = RuleReading::of(ruleset, rule, moves).words(&rule.expressions, moves);
            let (bridge, nic, group) = (&one.bridge, &one.nic, one.nic_group);
            found.push(format!(
                "{words} (whoever configures {bridge} has to put it into the group {group}, as {nic} is)"
            ));
        }
    }
    found
}

/// A rule as far as it was looked through.
struct RuleReading<'a> {
    ruleset: &'a NftRuleset,
    rule: &'a NftRule,
    /// The expressions of the translation.
    translated: Vec<Expression>,
    /// Those that compare with a bridge's number.
    numbered: Vec<(usize, String)>,
    /// Whether it differs from the rule.
    differs: bool,
    /// Why there can be none, and what the rule needs instead.
    obstacle: Option<String>,
    /// Elements that named sets lack.
    lacking: Vec<RuleFinding>,
    /// What becomes of a rule that names no NIC, but its bridge or what the NIC is as a port.
    changes: Option<&'static str>,
}

impl<'a> RuleReading<'a> {
    fn of(ruleset: &'a NftRuleset, rule: &'a NftRule, moves: &[Move]) -> Self {
        let mut reading = Self {
            ruleset,
            rule,
            translated: Vec::new(),
            numbered: Vec::new(),
            differs: false,
            obstacle: None,
            lacking: Vec::new(),
            changes: None,
        };
        let mut registers = Registers::default();
        for (at, one) in rule.expressions.iter().enumerate() {
            if let Some(destination) = destination(one, &rule.expressions[..at]) {
                reading.send(&destination, moves);
            }
            match one.name.as_str() {
                "cmp" | "range" => reading.compare(one, &registers, moves),
                "lookup" => reading.look_up(one, &registers, moves),
                "match" => reading.extend(one, moves),
                _ => reading.translated.push(one.clone()),
            }
            registers.follow(one);
        }
        reading
    }

    fn compare(&mut self, one: &Expression, registers: &Registers<'_>, moves: &[Move]) {
        let register = one.number(NFTA_CMP_SREG);
        let held = register.and_then(byte).and_then(|byte| registers.at(byte));
        let is_equality = matches!(
            one.key(NFTA_CMP_OP),
            Some(libc::NFT_CMP_EQ | libc::NFT_CMP_NEQ)
        );
        match held {
            Some(held) if held.is_plain() && is_equality && one.name == "cmp" => {
                let data = one.compared().unwrap_or_default();
                self.compare_device(one, held.device, &data, moves);
            }
            Some(held) => {
                self.compare_order(one, held, moves);
                self.translated.push(one.clone());
            }
            None => self.translated.push(one.clone()),
        }
    }

    /// What is said of ranges, or of something computed, no rule beside it can say of the bridge alone.
    fn compare_order(&mut self, one: &Expression, held: &HeldDevice<'_>, moves: &[Move]) {
        let comparison = Comparison::of(one);
        let holds = |key: Vec<u8>| {
            let comparison = comparison.as_ref();
            comparison.map_or(Certainty::Maybe, |one| one.holds(&held.value(&key)))
        };
        for named in moves.iter().filter(|one| one.nic != one.bridge) {
            // what has no kind is compared with nothing
            let nic = named.nic_key(held.device).map_or(Certainty::No, holds);
            let bridge = named
                .bridge_key(held.device)
                .map_or(Certainty::Maybe, holds);
            match (nic, bridge) {
                (Certainty::No, Certainty::Yes) if !named.is_port => {
                    self.changes = Some(super::BEGINS);
                }
                (Certainty::No, _) | (Certainty::Yes, Certainty::Yes) => {}
                _ => {
                    self.obstacle = Some(format!("has to be about {} too", named.bridge));
                }
            }
        }
    }

    fn compare_device(&mut self, one: &Expression, device: Device, data: &[u8], moves: &[Move]) {
        let (register, operator) = (one.number(NFTA_CMP_SREG), one.key(NFTA_CMP_OP));
        let means = |one: &Move| (one.nic_is(device, data), one.bridge_is(device, data));
        let excludes = |is: fn(&Move, Device, &[u8]) -> bool, named: &Move| {
            self.rule.expressions.iter().any(|other| {
                let data = other.compared().unwrap_or_default();
                other.name == "cmp"
                    && other.number(NFTA_CMP_SREG) == register
                    && other.key(NFTA_CMP_OP) == Some(libc::NFT_CMP_NEQ)
                    && is(named, device, &data)
            })
        };
        let named = moves.iter().find(|one| means(one) == (true, false));
        let other = moves
            .iter()
            .find(|one| !one.is_port && means(one) == (false, true));
        match (named, operator) {
            (Some(named), Some(libc::NFT_CMP_EQ)) => {
                return self.replace(named, device, register.unwrap_or_default(), data.len());
            }
            (Some(named), Some(libc::NFT_CMP_NEQ)) if !excludes(Move::bridge_is, named) => {
                self.obstacle = Some(format!("has to leave out {} too", named.bridge));
            }
            (None, Some(libc::NFT_CMP_EQ)) if other.is_some() => self.changes = Some(super::BEGINS),
            (None, Some(libc::NFT_CMP_NEQ)) => {
                if other.is_some_and(|other| !excludes(Move::nic_is, other)) {
                    self.changes = Some(super::ENDS);
                }
                // what has no kind is not unequal to one
                let without = |one: &Move| !one.is_port && one.nic_key(device).is_none();
                if other.is_none() && moves.iter().any(without) {
                    self.changes = Some(super::BEGINS);
                }
            }
            _ => {}
        }
        self.translated.push(one.clone());
    }

    /// What is sent to a NIC that is a port passes its bridge by, and has no route there.
    fn send(&mut self, destination: &Destination, moves: &[Move]) {
        if let Some(one) = moves.iter().find(|one| one.is_destination(destination)) {
            self.obstacle = Some(format!(
                "has to send to {} in place of {}",
                one.bridge, one.nic
            ));
        }
    }

    /// An extension of iptables that asks for ports of bridges.
    fn extend(&mut self, one: &Expression, moves: &[Move]) {
        if physdev::begins(one, moves) {
            self.changes = Some(super::BEGINS);
        }
        self.translated.push(one.clone());
    }

    /// Compares with the bridge in the translation.
    fn replace(&mut self, named: &Move, device: Device, register: u32, length: usize) {
        self.differs = true;
        let bytes = match device {
            Device::Name(_) if length == NAME_SIZE => padded(&named.bridge),
            Device::Name(_) => format!("{}\0", named.bridge).into_bytes(),
            Device::Index(_) => {
                self.numbered
                    .push((self.translated.len(), named.bridge.clone()));
                named.bridge_index.unwrap_or_default().to_ne_bytes().into()
            }
            Device::Kind | Device::Group => {
                self.obstacle = Some(format!("has to name {} itself", named.bridge));
                named.bridge_key(device).unwrap_or_default()
            }
        };
        self.translated.push(Expression::equals(register, &bytes));
    }

    fn look_up(&mut self, one: &Expression, registers: &Registers<'_>, moves: &[Move]) {
        let from = one.number(NFTA_LOOKUP_SREG).and_then(byte);
        let (Some(from), Some(set)) = (from, self.ruleset.set_of(self.rule, one)) else {
            return self.translated.push(one.clone());
        };
        let inverted = one.key(NFTA_LOOKUP_FLAGS) == Some(libc::NFT_LOOKUP_F_INV);
        let held = registers.within(from, set.key);
        if set.elements.is_none() && !held.is_empty() {
            self.obstacle = Some(format!(
                "has a set that is too long to be read ({})",
                set.name
            ));
        }
        let mut lacking = Vec::new();
        for (at, held) in held {
            for named in moves {
                let keys = [named.nic_key(held.device), named.bridge_key(held.device)];
                let computed = |key: Vec<u8>| held.value(&key).whole().map(<[u8]>::to_vec);
                let [nic, bridge] = keys.map(|key| key.and_then(computed));
                let found = set.lacks(at, nic.clone(), bridge.clone()).into_iter();
                lacking.extend(found.map(|lack| (at, held, named, lack)));
                // what takes the place of another is seen above
                let found = set.lacks(at, bridge, nic).into_iter();
                let is_effective = |lack: &Lack<'_>| !lack.element.data().is_some_and(is_accept);
                let mut begin = found.filter(|lack| !lack.is_taken).filter(is_effective);
                if !named.is_port && begin.next().is_some() {
                    self.changes = Some(if inverted { super::ENDS } else { super::BEGINS });
                }
            }
        }
        let is_device = matches!(lacking.as_slice(), [(0, held, ..)] if held.is_plain() && set.key == held.device.size());
        match lacking.as_slice() {
            [] => self.translated.push(one.clone()),
            all if all.iter().any(|(.., lack)| lack.is_taken) => {
                let (_, _, named, _) = &all[0];
                let (bridge, nic) = (&named.bridge, &named.nic);
                self.obstacle = Some(format!("has to give {bridge} what it gives {nic}"));
                self.translated.push(one.clone());
            }
            [(_, held, named, Lack { element, .. })]
                if set.is_anonymous() && is_device && !inverted =>
            {
                let length = held.device.size();
                let register = one.number(NFTA_LOOKUP_SREG).unwrap_or_default();
                self.replace(named, held.device, register, length);
                if let (Some(register), Some(data)) = (one.number(NFTA_LOOKUP_DREG), element.data())
                {
                    self.translated.push(Expression::immediate(register, data));
                }
            }
            all if set.takes_more() && all.iter().all(|(_, held, ..)| held.is_one()) => {
                for (at, held, named, lack) in all {
                    let finding = self.element(set, (*at, held.device), named, lack.element);
                    self.lacking.push(finding);
                }
                self.translated.push(one.clone());
            }
            [(.., named, _), ..] => {
                let bridge = &named.bridge;
                self.obstacle = Some(format!("needs {bridge} in its set beside {}", named.nic));
                self.translated.push(one.clone());
            }
        }
    }

    /// What a named set lacks: the element about the NIC, with the bridge in the part of its key that is a device.
    fn element(
        &self,
        set: &Set,
        (at, device): (usize, Device),
        named: &Move,
        element: &SetElement,
    ) -> RuleFinding {
        let mut key = element.key().unwrap_or_default();
        let place = at..at + device.size();
        let numbered = match device {
            Device::Name(_) => {
                key.splice(place, padded(&named.bridge));
                None
            }
            Device::Index(_) => {
                let index = named.bridge_index.unwrap_or_default();
                key.splice(place, index.to_ne_bytes());
                Some((at, named.bridge.clone()))
            }
            Device::Kind | Device::Group => None,
        };
        let place = format!("nft set {} {} {}", family(set.family), set.table, set.name);
        let becomes = format!("{place}: element \"{}\"", named.bridge);
        RuleFinding {
            rule: format!("{place}: element \"{}\"", named.nic),
            becomes: becomes.clone(),
            translation: Some(Translation::Element {
                family: set.family,
                table: set.table.clone(),
                set: set.name.clone(),
                key,
                data: element.data().map(<[u8]>::to_vec),
                lifetime: element.lifetime(),
                numbered,
                words: becomes,
            }),
        }
    }

    fn findings(self, moves: &[Move]) -> Vec<RuleFinding> {
        if !self.is_named() {
            return match self.changes {
                Some(change) if !is_harmless(self.rule) && !self.is_translation(moves) => {
                    let rule = self.words(&self.rule.expressions, moves);
                    vec![RuleFinding::by_hand(rule, change)]
                }
                _ => Vec::new(),
            };
        }
        let rule = self.words(&self.rule.expressions, moves);
        if i32::from(self.rule.family) == libc::NFPROTO_BRIDGE {
            // it was about a port that was none
            return if moves.iter().any(|one| one.is_port) {
                Vec::new()
            } else {
                vec![RuleFinding::by_hand(rule, super::BEGINS)]
            };
        }
        let mut findings = Vec::new();
        if let Some(obstacle) = &self.obstacle {
            findings.push(RuleFinding::by_hand(rule, obstacle));
        } else if self.differs && !self.is_there() {
            let becomes = self.words(&self.translated, moves);
            let translation = Translation::Rule {
                rule: NftRule {
                    expressions: self.translated,
                    ..self.rule.clone()
                },
                numbered: self.numbered,
                words: becomes.clone(),
            };
            findings.push(RuleFinding {
                rule,
                becomes,
                translation: Some(translation),
            });
        }
        findings.extend(self.lacking);
        findings
    }

    /// Reports whether the rule names a NIC.
    fn is_named(&self) -> bool {
        self.differs || self.obstacle.is_some() || !self.lacking.is_empty()
    }

    /// Reports whether the rule is what another one of its chain needs beside it.
    fn is_translation(&self, moves: &[Move]) -> bool {
        let mut others = self.ruleset.rules.iter();
        others.any(|other| {
            other.is_beside(self.rule) && other.handle != self.rule.handle && {
                let reading = RuleReading::of(self.ruleset, other, moves);
                reading.differs && is_same(&reading.translated, &self.rule.expressions)
            }
        })
    }

    /// Reports whether the translation is in the chain already.
    fn is_there(&self) -> bool {
        let mut others = self.ruleset.rules.iter();
        others.any(|other| {
            other.is_beside(self.rule) && is_same(&other.expressions, &self.translated)
        })
    }

    fn words(&self, expressions: &[Expression], moves: &[Move]) -> String {
        let device = |index: u32| {
            let nic = moves.iter().find(|one| one.nic_index == index);
            let bridge = moves
                .iter()
                .find(|one| one.bridge_index.unwrap_or_default() == index);
            match (nic, bridge) {
                (Some(one), _) => one.nic.clone(),
                (None, Some(one)) => one.bridge.clone(),
                (None, None) => index.to_string(),
            }
        };
        let set = |lookup: &Expression| match self.ruleset.set_of(self.rule, lookup) {
            Some(set) if set.is_anonymous() => set.names(),
            _ => format!("@{}", lookup.text(NFTA_LOOKUP_SET).unwrap_or_default()),
        };
        let place = place(self.rule);
        format!("nft {place}: {}", rule_words(expressions, device, set))
    }
}

/// Reports whether a rule lets packets go on, whichever it matches: it accepts them, or only counts.
fn is_harmless(rule: &NftRule) -> bool {
    const MATCHES: [&str; 13] = [
        "bitwise",
        "byteorder",
        "cmp",
        "counter",
        "ct",
        "fib",
        "last",
        "limit",
        "lookup",
        "match",
        "meta",
        "payload",
        "range",
    ];
    let verdicts = rule
        .expressions
        .iter()
        .filter(|one| one.name == "immediate");
    let is_plain = |one: &Expression| match one.name.as_str() {
        // one that loads has a destination
        "meta" => one.number(NFTA_META_DREG).is_some() && one.number(NFTA_META_SREG).is_none(),
        "ct" => one.number(NFTA_CT_DREG).is_some(),
        "payload" => one.number(NFTA_PAYLOAD_DREG).is_some(),
        "lookup" => one.number(NFTA_LOOKUP_DREG).is_none(),
        "immediate" => one.get(NFTA_IMMEDIATE_DATA).is_some_and(is_accept),
        name => MATCHES.contains(&name),
    };
    let accepts = verdicts
        .clone()
        .any(|one| one.get(NFTA_IMMEDIATE_DATA).is_some_and(is_accept));
    accepts || rule.expressions.iter().all(is_plain)
}

/// Reports whether data of a map or of a rule is the verdict to accept.
fn is_accept(data: &[u8]) -> bool {
    Verdict::parse(data) == Some(Verdict::Accept)
}
