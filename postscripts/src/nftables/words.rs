//! A rule of nf_tables in words close to those of nft(8), for whoever has to recognise it.
//!
//! What is not known here shows as its expression's name; nothing is decided by these words.

use std::ffi::c_int;
use std::net::{Ipv4Addr, Ipv6Addr};

use nix::libc;

use super::expression::{Expression, text, value};
use super::ruleset::NftRule;
use super::verdict::Verdict;
use crate::netlink::uapi::{
    NFT_FIB_RESULT_OIF, NFT_FIB_RESULT_OIFNAME, NFT_META_IIFKIND, NFT_META_OIFKIND,
    NFTA_BITWISE_MASK, NFTA_CMP_OP, NFTA_CT_KEY, NFTA_FIB_RESULT, NFTA_IMMEDIATE_DATA,
    NFTA_LOOKUP_FLAGS, NFTA_MATCH_NAME, NFTA_META_DREG, NFTA_META_KEY, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, NFTA_TARGET_NAME,
};

/// The table and chain of a rule.
pub(crate) fn place(rule: &NftRule) -> String {
    let family = family(rule.family);
    format!("{family} {} {}", rule.table, rule.chain)
}

/// A family as nft(8) calls it.
pub(crate) fn family(number: u8) -> &'static str {
    match i32::from(number) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_ARP => "arp",
        libc::NFPROTO_NETDEV => "netdev",
        libc::NFPROTO_BRIDGE => "bridge",
        libc::NFPROTO_IPV6 => "ip6",
        _ => "unknown",
    }
}

/// A rule in words; `device` names a device by its number, `set` says what a set holds.
pub(crate) fn rule(
    expressions: &[Expression],
    device: impl Fn(u32) -> String,
    set: impl Fn(&Expression) -> String,
) -> String {
    let (mut words, mut loaded) = (Vec::new(), Vec::<String>::new());
    for one in expressions {
        let what = loaded.last().cloned().unwrap_or_default();
        match one.name.as_str() {
            // all four name their destination first
            "meta" | "payload" | "ct" | "fib" if one.number(NFTA_META_DREG).is_some() => {
                loaded.push(load(one));
            }
            "bitwise" if what == "ct state" => {
                loaded.clear();
                loaded.push(format!("ct state {}", states(one)));
            }
            "bitwise" | "byteorder" | "counter" => {}
            "cmp" if what.starts_with("ct state ") => words.append(&mut loaded),
            "cmp" => {
                let is_equal = one.key(NFTA_CMP_OP) == Some(libc::NFT_CMP_EQ);
                let not = if is_equal { "" } else { "!= " };
                let compared = one.compared().unwrap_or_default();
                let compared = shown(&what, &compared, &device);
                // the port says which protocol it is of
                match (what.as_str(), words.last().map(String::as_str)) {
                    ("sport" | "dport", Some(last)) if last.starts_with("meta l4proto ") => {
                        let protocol = last.trim_start_matches("meta l4proto ").to_owned();
                        words.pop();
                        words.push(format!("{protocol} {what} {not}{compared}"));
                    }
                    _ => words.push(format!("{what} {not}{compared}")),
                }
                loaded.clear();
            }
            "lookup" => {
                let is_inverted = one.key(NFTA_LOOKUP_FLAGS) == Some(libc::NFT_LOOKUP_F_INV);
                let not = if is_inverted { "!= " } else { "" };
                words.push(format!("{} {not}{}", loaded.join(" . "), set(one)));
                loaded.clear();
            }
            "immediate" => {
                let verdict = one.get(NFTA_IMMEDIATE_DATA).and_then(Verdict::parse);
                words.extend(verdict.map(|verdict| verdict.to_string()));
            }
            "match" => words.extend(one.text(NFTA_MATCH_NAME)),
            "target" => words.extend(one.text(NFTA_TARGET_NAME)),
            "masq" => words.push("masquerade".to_owned()),
            "redir" => words.push("redirect".to_owned()),
            name => words.push(name.to_owned()),
        }
    }
    words.join(" ")
}

/// The states of a connection that a mask lets through (`NF_CT_STATE_BIT`).
fn states(mask: &Expression) -> String {
    const STATES: [&str; 4] = ["invalid", "established", "related", "new"];
    let mask = mask
        .get(NFTA_BITWISE_MASK)
        .and_then(value)
        .unwrap_or_default();
    let mask = <[u8; 4]>::try_from(mask).map_or(0, u32::from_ne_bytes);
    let named = STATES
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask & 1 << bit != 0);
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

/// What an expression loads into its register.
fn load(one: &Expression) -> String {
    let word = match one.name.as_str() {
        "meta" => one.key(NFTA_META_KEY).and_then(meta),
        "payload" => payload(one),
        "ct" if one.key(NFTA_CT_KEY) == Some(libc::NFT_CT_STATE) => Some("ct state"),
        "fib" => match one.key(NFTA_FIB_RESULT) {
            Some(NFT_FIB_RESULT_OIF) => Some("fib oif"),
            Some(NFT_FIB_RESULT_OIFNAME) => Some("fib oifname"),
            _ => None,
        },
        _ => None,
    };
    word.unwrap_or(&one.name).to_owned()
}

fn meta(key: c_int) -> Option<&'static str> {
    Some(match key {
        libc::NFT_META_IIF => "iif",
        libc::NFT_META_OIF => "oif",
        libc::NFT_META_IIFNAME => "iifname",
        libc::NFT_META_OIFNAME => "oifname",
        libc::NFT_META_BRI_IIFNAME => "meta ibrname",
        libc::NFT_META_BRI_OIFNAME => "meta obrname",
        libc::NFT_META_IIFGROUP => "iifgroup",
        libc::NFT_META_OIFGROUP => "oifgroup",
        NFT_META_IIFKIND => "meta iifkind",
        NFT_META_OIFKIND => "meta oifkind",
        libc::NFT_META_NFPROTO => "meta nfproto",
        libc::NFT_META_L4PROTO => "meta l4proto",
        _ => return None,
    })
}

/// A field of a header by its offset and its length (RFC 791, RFC 8200; ports are first in TCP and UDP).
fn payload(one: &Expression) -> Option<&'static str> {
    let base = one.key(NFTA_PAYLOAD_BASE)?;
    let field = (
        one.number(NFTA_PAYLOAD_OFFSET)?,
        one.number(NFTA_PAYLOAD_LEN)?,
    );
    Some(match (base, field) {
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (9, 1)) => "ip protocol",
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (6, 1)) => "ip6 nexthdr",
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (12, 1..=4)) => "ip saddr",
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (16, 1..=4)) => "ip daddr",
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (8, 16)) => "ip6 saddr",
        (libc::NFT_PAYLOAD_NETWORK_HEADER, (24, 16)) => "ip6 daddr",
        (libc::NFT_PAYLOAD_TRANSPORT_HEADER, (0, 2)) => "sport",
        (libc::NFT_PAYLOAD_TRANSPORT_HEADER, (2, 2)) => "dport",
        _ => return None,
    })
}

fn shown(loaded: &str, compared: &[u8], device: impl Fn(u32) -> String) -> String {
    match (loaded, compared) {
        ("iif" | "oif" | "fib oif", &[a, b, c, d]) => {
            format!("\"{}\"", device(u32::from_ne_bytes([a, b, c, d])))
        }
        ("iifgroup" | "oifgroup", &[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]).to_string(),
        (
            "iifname" | "oifname" | "fib oifname" | "meta ibrname" | "meta obrname"
            | "meta iifkind" | "meta oifkind",
            name,
        ) => match name.last() {
            Some(0) => format!("\"{}\"", text(name)),
            _ => format!("\"{}*\"", text(name)),
        },
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [1]) => "icmp".to_owned(),
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [6]) => "tcp".to_owned(),
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [17]) => "udp".to_owned(),
        ("sport" | "dport", &[a, b]) => u16::from_be_bytes([a, b]).to_string(),
        ("ip saddr" | "ip daddr", &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        ("ip saddr" | "ip daddr", &[a, b, c]) => format!("{}/24", Ipv4Addr::new(a, b, c, 0)),
        ("ip saddr" | "ip daddr", &[a, b]) => format!("{}/16", Ipv4Addr::new(a, b, 0, 0)),
        ("ip saddr" | "ip daddr", &[a]) => format!("{}/8", Ipv4Addr::new(a, 0, 0, 0)),
        ("ip6 saddr" | "ip6 daddr", bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ipv6Addr::from(bytes).to_string(),
            Err(_) => hexadecimal(bytes),
        },
        (_, bytes) => hexadecimal(bytes),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}
