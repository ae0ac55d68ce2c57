//! Which rules of nf_tables name the NIC and not the bridge, and what has to stand beside them.
//!
//! Pure: a ruleset comes in, findings go out.

use super::expression::{Device, Expression, NAME_SIZE, Registers, byte, is_same, padded, text};
use super::nftables::{Element, Rule, Ruleset, Set};
use super::twin::Twin;
use super::{Finding, Move, words};

/// Compared for equality, or for the opposite (`NFT_CMP_*`).
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
/// `NFPROTO_BRIDGE`.
const BRIDGE: u8 = 7;

/// Looks through all rules.
pub(super) fn find(ruleset: &Ruleset, moves: &[Move]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // what is hooked to the port itself still sees its frames
    for rule in ruleset.rules.iter().filter(|rule| !ruleset.is_below(rule)) {
        for finding in Reading::of(ruleset, rule, moves).findings(moves) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// A rule as far as it was looked through.
struct Reading<'a> {
    ruleset: &'a Ruleset,
    rule: &'a Rule,
    /// The expressions of the twin.
    twin: Vec<Expression>,
    /// Those that compare with a bridge's number.
    numbered: Vec<(usize, String)>,
    /// Whether it differs from the rule.
    differs: bool,
    /// Why there can be none, and what the rule needs instead.
    obstacle: Option<String>,
    /// Elements that named sets lack.
    lacking: Vec<Finding>,
}

impl<'a> Reading<'a> {
    fn of(ruleset: &'a Ruleset, rule: &'a Rule, moves: &[Move]) -> Self {
        let mut reading = Self {
            ruleset,
            rule,
            twin: Vec::new(),
            numbered: Vec::new(),
            differs: false,
            obstacle: None,
            lacking: Vec::new(),
        };
        let mut registers = Registers::default();
        for one in &rule.expressions {
            match one.name.as_str() {
                "cmp" => reading.compare(one, &registers, moves),
                "lookup" => reading.look_up(one, &registers, moves),
                _ => reading.twin.push(one.clone()),
            }
            registers.follow(one);
        }
        reading
    }

    fn compare(&mut self, one: &Expression, registers: &Registers, moves: &[Move]) {
        let register = one.number(1);
        let device = register.and_then(byte).and_then(|byte| registers.at(byte));
        let data = one.compared().unwrap_or_default();
        let named = device.and_then(|device| {
            let named = |one: &&Move| one.nic_is(device, &data) && !one.bridge_is(device, &data);
            Some((device, moves.iter().find(named)?))
        });
        match (named, one.number(2)) {
            (Some((device, named)), Some(EQUAL)) => {
                let register = register.unwrap_or_default();
                self.replace(named, device, register, data.len());
            }
            (Some((device, named)), Some(UNEQUAL)) => {
                let excludes = |other: &Expression| {
                    let place = (other.number(1), other.number(2));
                    let data = other.compared().unwrap_or_default();
                    other.name == "cmp"
                        && place == (register, Some(UNEQUAL))
                        && named.bridge_is(device, &data)
                };
                if !self.rule.expressions.iter().any(excludes) {
                    self.obstacle = Some(format!("has to leave out {} too", named.bridge));
                }
                self.twin.push(one.clone());
            }
            _ => self.twin.push(one.clone()),
        }
    }

    /// Compares with the bridge in the twin.
    fn replace(&mut self, named: &Move, device: Device, register: u32, length: usize) {
        self.differs = true;
        let bytes = match device {
            Device::Name(_) if length == NAME_SIZE => padded(&named.bridge),
            Device::Name(_) => format!("{}\0", named.bridge).into_bytes(),
            Device::Index(_) => {
                self.numbered.push((self.twin.len(), named.bridge.clone()));
                named.bridge_index.unwrap_or_default().to_ne_bytes().into()
            }
        };
        self.twin.push(Expression::equals(register, &bytes));
    }

    fn look_up(&mut self, one: &Expression, registers: &Registers, moves: &[Move]) {
        let from = one.number(2).and_then(byte);
        let (Some(from), Some(set)) = (from, self.ruleset.set_of(self.rule, one)) else {
            return self.twin.push(one.clone());
        };
        let mut lacking = Vec::new();
        for (at, device) in registers.within(from, set.key) {
            for named in moves {
                let found = set.lacks(at, device, named).into_iter();
                lacking.extend(found.map(|element| (at, device, named, element)));
            }
        }
        let inverted = one.number(5) == Some(1);
        let is_device = matches!(lacking.as_slice(), [(0, device, ..)] if set.key == device.size());
        match lacking.as_slice() {
            [] => self.twin.push(one.clone()),
            [(_, device, named, element)] if set.is_anonymous() && is_device && !inverted => {
                let length = device.size();
                self.replace(named, *device, one.number(2).unwrap_or_default(), length);
                if let (Some(register), Some(data)) = (one.number(3), element.data()) {
                    self.twin.push(Expression::immediate(register, data));
                }
            }
            all if set.takes_more() => {
                for (at, device, named, element) in all {
                    let finding = self.element(set, *at, *device, named, element);
                    self.lacking.push(finding);
                }
                self.twin.push(one.clone());
            }
            [(.., named, _), ..] => {
                let bridge = &named.bridge;
                self.obstacle = Some(format!("needs {bridge} in its set beside {}", named.nic));
                self.twin.push(one.clone());
            }
        }
    }

    /// What a named set lacks.
    fn element(
        &self,
        set: &Set,
        at: usize,
        device: Device,
        named: &Move,
        element: &Element,
    ) -> Finding {
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
        };
        let family = words::family(set.family);
        let place = format!("nft set {family} {} {}", set.table, set.name);
        let becomes = format!("{place}: element \"{}\"", named.bridge);
        Finding {
            rule: format!("{place}: element \"{}\"", named.nic),
            becomes: becomes.clone(),
            twin: Some(Twin::Element {
                family: set.family,
                table: set.table.clone(),
                set: set.name.clone(),
                key,
                data: element.data().map(<[u8]>::to_vec),
                numbered,
                words: becomes,
            }),
        }
    }

    fn findings(self, moves: &[Move]) -> Vec<Finding> {
        let is_named = self.differs || self.obstacle.is_some() || !self.lacking.is_empty();
        if !is_named {
            return Vec::new();
        }
        let rule = self.words(&self.rule.expressions, moves);
        if self.rule.family == BRIDGE {
            // it was about a port that was none
            return match moves.iter().any(|one| one.is_port) {
                true => Vec::new(),
                false => vec![Finding::by_hand(rule, super::BEGINS)],
            };
        }
        let mut findings = Vec::new();
        if let Some(obstacle) = &self.obstacle {
            findings.push(Finding::by_hand(rule, obstacle));
        } else if self.differs && !self.is_there() {
            let becomes = self.words(&self.twin, moves);
            let twin = Twin::Rule {
                rule: Rule {
                    expressions: self.twin,
                    ..self.rule.clone()
                },
                numbered: self.numbered,
                words: becomes.clone(),
            };
            findings.push(Finding {
                rule,
                becomes,
                twin: Some(twin),
            });
        }
        findings.extend(self.lacking);
        findings
    }

    /// Says whether the twin stands in the chain already.
    fn is_there(&self) -> bool {
        let mut others = self.ruleset.rules.iter();
        others.any(|other| other.is_beside(self.rule) && is_same(&other.expressions, &self.twin))
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
            _ => format!("@{}", lookup.text(1).unwrap_or_default()),
        };
        let place = words::place(self.rule);
        format!("nft {place}: {}", words::rule(expressions, device, set))
    }
}

impl Device {
    /// How many bytes a register needs for it.
    fn size(self) -> usize {
        match self {
            Self::Name(_) => NAME_SIZE,
            Self::Index(_) => 4,
        }
    }
}

impl Move {
    fn nic_is(&self, device: Device, data: &[u8]) -> bool {
        match device {
            Device::Name(_) => !data.is_empty() && padded(&self.nic).starts_with(data),
            Device::Index(_) => data == self.nic_index.to_ne_bytes(),
        }
    }

    fn bridge_is(&self, device: Device, data: &[u8]) -> bool {
        match device {
            Device::Name(_) => padded(&self.bridge).starts_with(data),
            Device::Index(_) => self
                .bridge_index
                .is_some_and(|index| data == index.to_ne_bytes()),
        }
    }

    /// The bridge as a key holds it, once it has a number.
    fn bridge_key(&self, device: Device) -> Option<Vec<u8>> {
        match device {
            Device::Name(_) => Some(padded(&self.bridge)),
            Device::Index(_) => Some(self.bridge_index?.to_ne_bytes().into()),
        }
    }

    fn nic_key(&self, device: Device) -> Vec<u8> {
        match device {
            Device::Name(_) => padded(&self.nic),
            Device::Index(_) => self.nic_index.to_ne_bytes().into(),
        }
    }
}

impl Set {
    /// Returns the elements about the NIC that have none beside them about the bridge.
    fn lacks(&self, at: usize, device: Device, named: &Move) -> Vec<&Element> {
        let nic = named.nic_key(device);
        let bridge = named.bridge_key(device);
        if self.has_ranges() {
            let lacks = bridge.is_none_or(|bridge| self.range(&bridge).is_none());
            return self.range(&nic).filter(|_| lacks).into_iter().collect();
        }
        let place = at..at + nic.len();
        let about = |element: &&Element| {
            let (Some(first), last) = (element.key(), element.last_key()) else {
                return false;
            };
            let last = last.unwrap_or_else(|| first.clone());
            let ends = (first.get(place.clone()), last.get(place.clone()));
            !element.is_catch_all()
                && matches!(ends, (Some(first), Some(last)) if first <= &nic[..] && &nic[..] <= last)
        };
        let covered = |element: &Element| {
            let Some(bridge) = &bridge else {
                return false;
            };
            let moved = |key: Option<Vec<u8>>| {
                let mut key = key?;
                key.splice(place.clone(), bridge.iter().copied());
                Some(key)
            };
            let wanted = (
                moved(element.key()),
                moved(element.last_key()),
                element.data(),
            );
            let within = |key: &[u8]| key.get(place.clone()).is_some_and(|key| key == &bridge[..]);
            self.elements.iter().any(|other| {
                let is_same = (other.key(), other.last_key(), other.data()) == wanted;
                is_same && other.key().as_deref().is_some_and(within)
            })
        };
        let mut found: Vec<_> = self.elements.iter().filter(about).collect();
        found.retain(|element| !covered(element));
        found
    }

    /// Returns the beginning of the range that a key falls into.
    fn range(&self, key: &[u8]) -> Option<&Element> {
        let ends = |element: &&Element| element.key().is_some_and(|end| end.as_slice() <= key);
        let below = self.elements.iter().filter(ends);
        let last = below.max_by_key(|element| (element.key(), !element.is_end()));
        last.filter(|element| !element.is_end())
    }

    /// Says whether an element can be added to it as it is.
    fn takes_more(&self) -> bool {
        let is_plain = |element: &Element| element.last_key().is_none();
        !self.is_anonymous()
            && self.is_open()
            && !self.has_ranges()
            && self.elements.iter().all(is_plain)
    }

    /// Its elements in words.
    fn names(&self) -> String {
        let shown = self
            .elements
            .iter()
            .filter(|element| !element.is_end())
            .map(|element| {
                let key = element.key().unwrap_or_default();
                let name = match key.len() {
                    ..NAME_SIZE => format!("{key:02x?}"),
                    _ => format!("\"{}\"", text(&key)),
                };
                let verdict = element.data().and_then(words::verdict);
                verdict.map_or(name.clone(), |verdict| format!("{name} : {verdict}"))
            });
        let shown: Vec<_> = shown.collect();
        match self.is_map() {
            true => format!("vmap {{ {} }}", shown.join(", ")),
            false => format!("{{ {} }}", shown.join(", ")),
        }
    }
}
