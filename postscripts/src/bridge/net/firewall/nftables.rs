//! What nf_tables holds, as values: iptables of today, ip6tables, arptables and ebtables among it.
//!
//! Only sets that are looked up by a device are read to the end: a blocklist of addresses may be long.

use std::ffi::c_int;
use std::io;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::expression::{self, Expression, Registers, byte, number, text, value};
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, attributes, short, take};
use crate::netlink::netfilter::{Netfilter, NetfilterObject, nftables};
use crate::netlink::uapi::{
    NFT_MSG_GETFLOWTABLE, NFT_SET_CONCAT, NFT_SET_ELEM_CATCHALL, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME,
    NFTA_CHAIN_TABLE, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS, NFTA_FLOWTABLE_NAME,
    NFTA_FLOWTABLE_TABLE, NFTA_HOOK_DEV, NFTA_HOOK_DEVS, NFTA_HOOK_HOOKNUM, NFTA_LOOKUP_SET,
    NFTA_LOOKUP_SREG, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_TABLE,
    NFTA_RULE_USERDATA, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_EXPIRATION, NFTA_SET_ELEM_FLAGS,
    NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_KEY_END, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET,
    NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_TIMEOUT, NFTA_SET_FLAGS, NFTA_SET_KEY_LEN,
    NFTA_SET_NAME, NFTA_SET_TABLE,
};

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
        for object in netfilter.dump(nftables(libc::NFT_MSG_GETCHAIN), 0, &[])? {
            all.add_chain(object)?;
        }
        for object in netfilter.dump(nftables(libc::NFT_MSG_GETRULE), 0, &[])? {
            all.rules.extend(decode_rule(object)?);
        }
        for object in netfilter.dump(nftables(libc::NFT_MSG_GETSET), 0, &[])? {
            all.sets.extend(decode_set(object));
        }
        // kernels before 4.16 have none and refuse the question
        for object in netfilter
            .dump(nftables(NFT_MSG_GETFLOWTABLE), 0, &[])
            .unwrap_or_default()
        {
            all.add_flowtable(object)?;
        }
        let wanted = all.looked_up_by_device();
        for set in all.sets.iter_mut().filter(|set| wanted.contains(&set.id())) {
            let body = MessageBuilder::default()
                .text(NFTA_SET_ELEM_LIST_TABLE, &set.table)
                .text(NFTA_SET_ELEM_LIST_SET, &set.name);
            for object in netfilter.dump(
                nftables(libc::NFT_MSG_GETSETELEM),
                set.family,
                &body.into_bytes(),
            )? {
                set.elements.extend(decode_elements(object)?);
            }
        }
        Ok(all)
    }

    fn add_chain(&mut self, object: NetfilterObject) -> io::Result<()> {
        let mut rest = object.attributes;
        let table = take(&mut rest, NFTA_CHAIN_TABLE)
            .map(|table| text(&table))
            .unwrap_or_default();
        let name = take(&mut rest, NFTA_CHAIN_NAME)
            .map(|name| text(&name))
            .unwrap_or_default();
        let mut hook = attributes(&take(&mut rest, NFTA_CHAIN_HOOK).unwrap_or_default())?;
        let mut devices = devices(&mut hook, NFTA_HOOK_DEVS)?;
        devices.extend(take(&mut hook, NFTA_HOOK_DEV).map(|device| text(&device)));
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
            hook: take(&mut hook, NFTA_HOOK_HOOKNUM)
                .as_deref()
                .and_then(number),
        });
        Ok(())
    }

    fn add_flowtable(&mut self, object: NetfilterObject) -> io::Result<()> {
        let mut rest = object.attributes;
        let table = take(&mut rest, NFTA_FLOWTABLE_TABLE)
            .map(|table| text(&table))
            .unwrap_or_default();
        let name = take(&mut rest, NFTA_FLOWTABLE_NAME)
            .map(|name| text(&name))
            .unwrap_or_default();
        let mut hook = attributes(&take(&mut rest, NFTA_FLOWTABLE_HOOK).unwrap_or_default())?;
        let devices = devices(&mut hook, NFTA_FLOWTABLE_HOOK_DEVS)?;
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
                    && let Some(from) = one.number(NFTA_LOOKUP_SREG).and_then(byte)
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
        let name = lookup.text(NFTA_LOOKUP_SET)?;
        self.sets
            .iter()
            .find(|set| (set.family, &set.table, &set.name) == (rule.family, &rule.table, &name))
    }

    /// Reports whether a rule sees frames of a device itself, be it a port or not.
    pub(super) fn is_below(&self, rule: &NftRule) -> bool {
        let ingress = |chain: &NftChain| {
            i32::from(chain.family) == libc::NFPROTO_INET
                && chain.hook == Some(libc::NF_INET_INGRESS as u32)
                && (&chain.table, &chain.name) == (&rule.table, &rule.chain)
        };
        let family = i32::from(rule.family);
        family == libc::NFPROTO_NETDEV
            || family == libc::NFPROTO_INET && self.chains.iter().any(ingress)
    }
}

impl Set {
    fn id(&self) -> (u8, String, String) {
        (self.family, self.table.clone(), self.name.clone())
    }

    fn has(&self, flag: c_int) -> bool {
        self.flags & flag as u32 != 0
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.has(libc::NFT_SET_ANONYMOUS)
    }

    /// Reports whether elements may come and go.
    pub(super) fn is_open(&self) -> bool {
        !self.has(libc::NFT_SET_CONSTANT)
    }

    pub(super) fn is_map(&self) -> bool {
        self.has(libc::NFT_SET_MAP)
    }

    /// Reports whether its elements are the two ends of ranges.
    pub(super) fn has_ranges(&self) -> bool {
        self.has(libc::NFT_SET_INTERVAL) && !self.has(NFT_SET_CONCAT)
    }
}

impl SetElement {
    pub(super) fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.is(kind));
        found.map(|one| one.value.as_slice())
    }

    pub(super) fn key(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_SET_ELEM_KEY)?)
    }

    /// The last key of a range, in a set whose keys are of several parts.
    pub(super) fn last_key(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_SET_ELEM_KEY_END)?)
    }

    fn has(&self, flag: c_int) -> bool {
        let flags = self.get(NFTA_SET_ELEM_FLAGS).and_then(number);
        flags.unwrap_or_default() & flag as u32 != 0
    }

    pub(super) fn is_end(&self) -> bool {
        self.has(libc::NFT_SET_ELEM_INTERVAL_END)
    }

    pub(super) fn is_catch_all(&self) -> bool {
        self.has(NFT_SET_ELEM_CATCHALL)
    }

    /// How long it lives altogether and from now, as the attributes that say so.
    pub(super) fn lifetime(&self) -> Vec<NetlinkAttribute> {
        let is_lifetime = |one: &&NetlinkAttribute| {
            one.is(NFTA_SET_ELEM_TIMEOUT) || one.is(NFTA_SET_ELEM_EXPIRATION)
        };
        self.attributes
            .iter()
            .filter(is_lifetime)
            .cloned()
            .collect()
    }

    /// What a map gives for it.
    pub(super) fn data(&self) -> Option<&[u8]> {
        self.get(NFTA_SET_ELEM_DATA)
    }
}

/// The device names in a list of them (`NFTA_DEVICE_NAME`).
fn devices(hook: &mut Vec<NetlinkAttribute>, kind: u16) -> io::Result<Vec<String>> {
    let list = attributes(&take(hook, kind).unwrap_or_default())?;
    Ok(list.iter().map(|device| text(&device.value)).collect())
}

fn decode_rule(object: NetfilterObject) -> io::Result<Option<NftRule>> {
    let mut rest = object.attributes;
    let parts =
        [NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE].map(|kind| take(&mut rest, kind));
    let [Some(table), Some(chain), Some(handle)] = parts else {
        return Ok(None);
    };
    let handle = <[u8; 8]>::try_from(handle).map_err(|_| short())?;
    Ok(Some(NftRule {
        family: object.family,
        table: text(&table),
        chain: text(&chain),
        handle: u64::from_be_bytes(handle),
        expressions: expression::decode(
            &take(&mut rest, NFTA_RULE_EXPRESSIONS).unwrap_or_default(),
        )?,
        note: take(&mut rest, NFTA_RULE_USERDATA),
    }))
}

fn decode_set(object: NetfilterObject) -> Option<Set> {
    let mut rest = object.attributes;
    Some(Set {
        family: object.family,
        table: text(&take(&mut rest, NFTA_SET_TABLE)?),
        name: text(&take(&mut rest, NFTA_SET_NAME)?),
        flags: take(&mut rest, NFTA_SET_FLAGS)
            .as_deref()
            .and_then(number)
            .unwrap_or_default(),
        key: take(&mut rest, NFTA_SET_KEY_LEN)
            .as_deref()
            .and_then(number)
            .unwrap_or_default() as usize,
        elements: Vec::new(),
    })
}

fn decode_elements(object: NetfilterObject) -> io::Result<Vec<SetElement>> {
    let mut rest = object.attributes;
    let list = attributes(&take(&mut rest, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default())?;
    list.iter()
        .map(|one| attributes(&one.value).map(|attributes| SetElement { attributes }))
        .collect()
}
