//! What nf_tables holds, as values: iptables of today, ip6tables, arptables and ebtables among it.
//!
//! Read from the kernel by netlink, for a host need not have the program `nft`. Only sets that somebody asks for
//! are read, and only up to a bound: a blocklist of addresses may be long.

use std::ffi::c_int;
use std::io;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::expression::{self, Expression, number, text};
use super::set::{self, Set};
use super::words;
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, attributes, short, take};
use crate::netlink::netfilter::{Netfilter, NetfilterObject, nftables};
use crate::netlink::uapi::{
    NFT_MSG_GETFLOWTABLE, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE,
    NFTA_CHAIN_TYPE, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS, NFTA_FLOWTABLE_NAME,
    NFTA_FLOWTABLE_TABLE, NFTA_HOOK_DEV, NFTA_HOOK_DEVS, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
    NFTA_LOOKUP_SET, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_TABLE,
    NFTA_RULE_USERDATA, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
};

/// `NF_INET_INGRESS`.
const INGRESS: u32 = libc::NF_INET_INGRESS as u32;

/// The largest ruleset that is read.
const MAX_BYTES: usize = 64 << 20;

/// How much of one set is read.
const MAX_SET_BYTES: usize = 8 << 20;

/// What is listed; nothing where it is too much.
type DumpResult = io::Result<Option<Vec<NetfilterObject>>>;

/// Asks by a message's number, a family, a body and how much is too much.
type DumpRequest<'a> = dyn FnMut(c_int, u8, &[u8], usize) -> DumpResult + 'a;

/// All of it, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct NftRuleset {
    pub(crate) chains: Vec<NftChain>,
    pub(crate) rules: Vec<NftRule>,
    pub(crate) sets: Vec<Set>,
    /// What is bound to devices by name: a flowtable, or a chain that hooks one.
    pub(crate) hooks: Vec<(String, Vec<String>)>,
}

/// A chain, and the hook that packets come in by where it is one's base.
#[derive(Debug, Clone)]
pub(crate) struct NftChain {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
}

/// Where packets come into a chain, and what becomes of those that none of its rules decides over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) number: u32,
    pub(crate) priority: i32,
    /// `filter`, `nat` or `route`.
    pub(crate) kind: String,
    pub(crate) drops: bool,
    /// The devices that it is bound to, in the families that see these themselves.
    pub(crate) devices: Vec<String>,
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

impl NftRuleset {
    /// Reads it, with the elements of the sets that are wanted.
    pub(crate) fn load(
        netfilter: &Netfilter,
        is_wanted: impl Fn(&Self, &Set) -> bool,
    ) -> io::Result<Self> {
        let mut ask = |kind, family, body: &[u8], bytes| {
            netfilter.dump_up_to(bytes, nftables(kind), family, body)
        };
        Self::read(&mut ask, is_wanted)
    }

    /// Reads it from the answers to what is asked.
    pub(super) fn read(
        ask: &mut DumpRequest<'_>,
        is_wanted: impl Fn(&Self, &Set) -> bool,
    ) -> io::Result<Self> {
        let mut dump = |kind| {
            let objects = ask(kind, 0, &[], MAX_BYTES)?;
            objects.ok_or_else(|| io::Error::other("the rules are too many to be looked through"))
        };
        let mut all = Self::default();
        for object in dump(libc::NFT_MSG_GETCHAIN)? {
            all.add_chain(object)?;
        }
        for object in dump(libc::NFT_MSG_GETRULE)? {
            all.rules.extend(decode_rule(object)?);
        }
        for object in dump(libc::NFT_MSG_GETSET)? {
            all.sets.extend(set::decode(object));
        }
        // kernels before 4.16 have none and refuse the question
        for object in dump(NFT_MSG_GETFLOWTABLE).unwrap_or_default() {
            all.add_flowtable(object)?;
        }
        for at in 0..all.sets.len() {
            let set = &all.sets[at];
            if is_wanted(&all, set) {
                let body = MessageBuilder::default()
                    .text(NFTA_SET_ELEM_LIST_TABLE, &set.table)
                    .text(NFTA_SET_ELEM_LIST_SET, &set.name)
                    .into_bytes();
                let objects = ask(libc::NFT_MSG_GETSETELEM, set.family, &body, MAX_SET_BYTES)?;
                let decoded =
                    |objects: Vec<_>| objects.into_iter().map(set::decode_elements).collect();
                let elements: Option<Vec<_>> = objects.map(decoded).transpose()?;
                all.sets[at].elements = elements.map(|elements| elements.concat());
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
            let family = words::family(object.family);
            let hooked = (format!("chain {family} {table} {name}"), devices.clone());
            self.hooks.push(hooked);
        }
        let mut read = |kind| take(&mut hook, kind).as_deref().and_then(number);
        let (place, priority) = (read(NFTA_HOOK_HOOKNUM), read(NFTA_HOOK_PRIORITY));
        let policy = take(&mut rest, NFTA_CHAIN_POLICY);
        let kind = take(&mut rest, NFTA_CHAIN_TYPE);
        self.chains.push(NftChain {
            family: object.family,
            table,
            name,
            hook: place.map(|place| Hook {
                number: place,
                priority: priority.unwrap_or_default().cast_signed(),
                kind: kind.map(|kind| text(&kind)).unwrap_or_default(),
                drops: policy.as_deref().and_then(number) == Some(libc::NF_DROP as u32),
                devices,
            }),
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
        let family = words::family(object.family);
        self.hooks
            .push((format!("flowtable {family} {table} {name}"), devices));
        Ok(())
    }

    /// Reports whether a rule looks into a set.
    pub(crate) fn is_looked_up(&self, set: &Set) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| {
            let mut expressions = rule.expressions.iter();
            expressions.any(|one| rule.looks_into(one, set))
        })
    }

    /// The set that an expression looks into.
    pub(crate) fn set_of(&self, rule: &NftRule, lookup: &Expression) -> Option<&Set> {
        let mut sets = self.sets.iter();
        sets.find(|set| rule.looks_into(lookup, set))
    }

    /// The rules of a chain in their order.
    pub(crate) fn rules_of<'a>(&'a self, chain: &'a NftChain) -> impl Iterator<Item = &'a NftRule> {
        let id = (chain.family, &chain.table, &chain.name);
        let rules = self.rules.iter();
        rules.filter(move |rule| (rule.family, &rule.table, &rule.chain) == id)
    }

    /// The chain of that name in the same table.
    pub(crate) fn chain_beside(&self, chain: &NftChain, name: &str) -> Option<&NftChain> {
        let id = (chain.family, chain.table.as_str(), name);
        let mut chains = self.chains.iter();
        chains.find(|other| (other.family, other.table.as_str(), other.name.as_str()) == id)
    }

    /// Reports whether a rule sees frames of a device itself, be it a port or not.
    pub(crate) fn is_below(&self, rule: &NftRule) -> bool {
        let ingress = |chain: &NftChain| {
            i32::from(chain.family) == libc::NFPROTO_INET
                && chain
                    .hook
                    .as_ref()
                    .is_some_and(|hook| hook.number == INGRESS)
                && (&chain.table, &chain.name) == (&rule.table, &rule.chain)
        };
        let family = i32::from(rule.family);
        family == libc::NFPROTO_NETDEV
            || family == libc::NFPROTO_INET && self.chains.iter().any(ingress)
    }
}

impl NftRule {
    /// Reports whether one of its expressions looks into a set.
    pub(crate) fn looks_into(&self, one: &Expression, set: &Set) -> bool {
        one.name == "lookup"
            && (self.family, &self.table) == (set.family, &set.table)
            && one.text(NFTA_LOOKUP_SET).as_deref() == Some(&set.name)
    }

    /// Reports whether another rule is in the same chain.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (self.family, &self.table, &self.chain) == (other.family, &other.table, &other.chain)
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
