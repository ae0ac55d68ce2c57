//! What nf_tables holds, as values: iptables of today, ip6tables, arptables and ebtables among it.
//!
//! Only sets that are looked up by a device are read to the end: a blocklist of addresses may be long.

use std::io;

use serde::{Deserialize, Serialize};

use super::expression::{self, Expression, Registers, byte, number, text, value};
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, attributes, short, take};
use crate::netlink::netfilter::{NFTABLES, Netfilter, NetfilterObject};

/// `NFT_MSG_*`.
const GET_CHAIN: u16 = NFTABLES | 4;
const GET_RULE: u16 = NFTABLES | 7;
const GET_SET: u16 = NFTABLES | 10;
const GET_ELEMENT: u16 = NFTABLES | 13;
const GET_FLOWTABLE: u16 = NFTABLES | 23;
/// `NFT_SET_*`.
const ANONYMOUS: u32 = 1;
const CONSTANT: u32 = 2;
const INTERVAL: u32 = 4;
const MAP: u32 = 8;
const CONCATENATED: u32 = 0x80;
/// `NFPROTO_*`.
const AF_INET: u8 = 1;
const NETDEV: u8 = 5;

/// All of it, at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct NftRuleset {
    pub(super) chains: Vec<NftChain>,
    pub(super) rules: Vec<NftRule>,
    pub(super) sets: Vec<Set>,
    /// What is bound to devices by name: a flowtable, or a chain that hooks one.
    pub(super) hooks: Vec<(String, Vec<String>)>,
}

/// A chain, and the hook that packets come in by.
#[derive(Debug, Clone)]
pub(super) struct NftChain {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) hook: Option<u32>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NftRule {
    /// `NFPROTO_*`.
    pub family: u8,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its number, which no other rule of the table ever has.
    pub handle: u64,
    /// What it consists of.
    pub expressions: Vec<Expression>,
    /// What user space noted of it: a comment.
    pub note: Option<Vec<u8>>,
}

/// A set, map or verdict map.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) flags: u32,
    pub(super) key: usize,
    pub(super) elements: Vec<SetElement>,
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetElement {
    pub(super) attributes: Vec<NetlinkAttribute>,
}

impl NftRuleset {
    /// Reads it.
    pub(super) fn load(netfilter: &Netfilter) -> io::Result<Self> {
        let mut all = Self::default();
        for object in netfilter.dump(GET_CHAIN, 0, &[])? {
            all.add_chain(object)?;
        }
        for object in netfilter.dump(GET_RULE, 0, &[])? {
            all.rules.extend(decode_rule(object)?);
        }
        for object in netfilter.dump(GET_SET, 0, &[])? {
            all.sets.extend(decode_set(object));
        }
        // kernels before 4.16 have none and refuse the question
        for object in netfilter.dump(GET_FLOWTABLE, 0, &[]).unwrap_or_default() {
            all.add_flowtable(object)?;
        }
        let wanted = all.looked_up_by_device();
        for set in all.sets.iter_mut().filter(|set| wanted.contains(&set.id())) {
            let body = MessageBuilder::default()
                .text(1, &set.table)
                .text(2, &set.name);
            for object in netfilter.dump(GET_ELEMENT, set.family, &body.into_bytes())? {
                set.elements.extend(decode_elements(object)?);
            }
        }
        Ok(all)
    }

    fn add_chain(&mut self, object: NetfilterObject) -> io::Result<()> {
        let mut rest = object.attributes;
        let table = take(&mut rest, 1)
            .map(|table| text(&table))
            .unwrap_or_default();
        let name = take(&mut rest, 3)
            .map(|name| text(&name))
            .unwrap_or_default();
        let mut hook = attributes(&take(&mut rest, 4).unwrap_or_default())?;
        let mut devices = devices(&mut hook, 4)?;
        devices.extend(take(&mut hook, 3).map(|device| text(&device)));
        devices.dedup();
        if !devices.is_empty() {
            let family = super::words::family(object.family);
            self.hooks
                .push((format!("chain {family} {table} {name}"), devices));
        }
        self.chains.push(NftChain {
            family: object.family,
            table,
            name,
            hook: take(&mut hook, 1).as_deref().and_then(number),
        });
        Ok(())
    }

    fn add_flowtable(&mut self, object: NetfilterObject) -> io::Result<()> {
        let mut rest = object.attributes;
        let table = take(&mut rest, 1)
            .map(|table| text(&table))
            .unwrap_or_default();
        let name = take(&mut rest, 2)
            .map(|name| text(&name))
            .unwrap_or_default();
        let mut hook = attributes(&take(&mut rest, 3).unwrap_or_default())?;
        let devices = devices(&mut hook, 3)?;
        let family = super::words::family(object.family);
        self.hooks
            .push((format!("flowtable {family} {table} {name}"), devices));
        Ok(())
    }

    /// The sets whose keys have a device in them.
    fn looked_up_by_device(&self) -> Vec<(u8, String, String)> {
        let mut found = Vec::new();
        for rule in &self.rules {
            let mut registers = Registers::default();
            for one in &rule.expressions {
                if one.name == "lookup"
                    && let Some(set) = self.set_of(rule, one)
                    && let Some(from) = one.number(2).and_then(byte)
                    && !registers.within(from, set.key).is_empty()
                {
                    found.push(set.id());
                }
                registers.follow(one);
            }
        }
        found
    }

    /// The set that a lookup looks into.
    pub(super) fn set_of(&self, rule: &NftRule, lookup: &Expression) -> Option<&Set> {
        let name = lookup.text(1)?;
        self.sets
            .iter()
            .find(|set| (set.family, &set.table, &set.name) == (rule.family, &rule.table, &name))
    }

    /// Says whether a rule sees frames of a device itself, be it a port or not.
    pub(super) fn is_below(&self, rule: &NftRule) -> bool {
        const INGRESS: u32 = 5;
        let ingress = |chain: &NftChain| {
            chain.family == AF_INET
                && chain.hook == Some(INGRESS)
                && (&chain.table, &chain.name) == (&rule.table, &rule.chain)
        };
        rule.family == NETDEV || rule.family == AF_INET && self.chains.iter().any(ingress)
    }
}

impl Set {
    fn id(&self) -> (u8, String, String) {
        (self.family, self.table.clone(), self.name.clone())
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.flags & ANONYMOUS != 0
    }

    /// Says whether elements may come and go.
    pub(super) fn is_open(&self) -> bool {
        self.flags & CONSTANT == 0
    }

    pub(super) fn is_map(&self) -> bool {
        self.flags & MAP != 0
    }

    /// Says whether its elements are the two ends of ranges.
    pub(super) fn has_ranges(&self) -> bool {
        self.flags & INTERVAL != 0 && self.flags & CONCATENATED == 0
    }
}

impl SetElement {
    pub(super) fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.kind & 0x3fff == kind);
        found.map(|one| one.value.as_slice())
    }

    pub(super) fn key(&self) -> Option<Vec<u8>> {
        value(self.get(1)?)
    }

    /// The last key of a range, in a set whose keys are of several parts.
    pub(super) fn last_key(&self) -> Option<Vec<u8>> {
        value(self.get(10)?)
    }

    /// `NFT_SET_ELEM_INTERVAL_END`.
    pub(super) fn is_end(&self) -> bool {
        self.get(3).and_then(number).unwrap_or_default() & 1 != 0
    }

    /// `NFT_SET_ELEM_CATCHALL`.
    pub(super) fn is_catch_all(&self) -> bool {
        self.get(3).and_then(number).unwrap_or_default() & 2 != 0
    }

    /// How long it lives altogether and from now, as the attributes that say so.
    pub(super) fn lifetime(&self) -> Vec<NetlinkAttribute> {
        const TIMEOUT: u16 = 4;
        const EXPIRATION: u16 = 5;
        let says = |one: &&NetlinkAttribute| matches!(one.kind & 0x3fff, TIMEOUT | EXPIRATION);
        self.attributes.iter().filter(says).cloned().collect()
    }

    /// What a map gives for it.
    pub(super) fn data(&self) -> Option<&[u8]> {
        self.get(2)
    }
}

/// The device names in a list of them (`NFTA_DEVICE_NAME`).
fn devices(hook: &mut Vec<NetlinkAttribute>, kind: u16) -> io::Result<Vec<String>> {
    let list = attributes(&take(hook, kind).unwrap_or_default())?;
    Ok(list.iter().map(|device| text(&device.value)).collect())
}

fn decode_rule(object: NetfilterObject) -> io::Result<Option<NftRule>> {
    let mut rest = object.attributes;
    let parts = [1, 2, 3].map(|kind| take(&mut rest, kind));
    let [Some(table), Some(chain), Some(handle)] = parts else {
        return Ok(None);
    };
    let handle = <[u8; 8]>::try_from(handle).map_err(|_| short())?;
    Ok(Some(NftRule {
        family: object.family,
        table: text(&table),
        chain: text(&chain),
        handle: u64::from_be_bytes(handle),
        expressions: expression::decode(&take(&mut rest, 4).unwrap_or_default())?,
        note: take(&mut rest, 7),
    }))
}

fn decode_set(object: NetfilterObject) -> Option<Set> {
    let mut rest = object.attributes;
    Some(Set {
        family: object.family,
        table: text(&take(&mut rest, 1)?),
        name: text(&take(&mut rest, 2)?),
        flags: take(&mut rest, 3)
            .as_deref()
            .and_then(number)
            .unwrap_or_default(),
        key: take(&mut rest, 5)
            .as_deref()
            .and_then(number)
            .unwrap_or_default() as usize,
        elements: Vec::new(),
    })
}

fn decode_elements(object: NetfilterObject) -> io::Result<Vec<SetElement>> {
    let mut rest = object.attributes;
    let list = attributes(&take(&mut rest, 3).unwrap_or_default())?;
    list.iter()
        .map(|one| attributes(&one.value).map(|attributes| SetElement { attributes }))
        .collect()
}
