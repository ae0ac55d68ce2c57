//! What the kernel's firewall of today holds, and what it does to a packet.
//!
//! In: what nf_tables lists by netlink (`linux/netfilter/nf_tables.h`), whoever made it: nft(8), firewalld, ufw,
//! Docker, iptables-nft, ebtables-nft. Out: tables, chains, rules and sets as values ([`NftRuleset`]); what a rule
//! says ([`words`]); what becomes of a packet of which only some is known ([`judge`]). What cannot be read is
//! named, and never taken for an answer. Only [`NftRuleset::load`] asks the kernel; nothing is changed.

mod evaluation;
mod expression;
mod packet;
mod ruleset;
mod set;
#[cfg(test)]
mod tests;
mod value;
mod verdict;
mod words;

pub(crate) use evaluation::{Drops, Finding, judge};
pub(crate) use expression::{
    Expression, NAME_SIZE, byte, encode, is_same, padded, protocol, text, value,
};
pub(crate) use packet::{ARP_FRAME, IPV4_FRAME, IPV6_FRAME, Interface, Packet, Tracking};
pub(crate) use ruleset::{Hook, NftChain, NftRule, NftRuleset};
pub(crate) use set::{Set, SetElement};
pub(crate) use value::{Certainty, Comparison, Value};
pub(crate) use verdict::Verdict;
pub(crate) use words::{family, place, rule as rule_words};
