//! A rule of nf_tables in words close to those of nft(8), for whoever has to recognise it.
//!
//! What is not known here shows as its expression's name; nothing is decided by these words.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::{Expression, text, value};
use super::nftables::Rule;

/// `NFTA_DATA_VERDICT`.
const VERDICT: u16 = 2;

/// The table and chain that a rule stands in.
pub(super) fn place(rule: &Rule) -> String {
    let family = family(rule.family);
    format!("{family} {} {}", rule.table, rule.chain)
}

/// `NFPROTO_*`.
pub(super) fn family(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}

/// What a rule says; `device` names a device by its number, `set` says what a set holds.
pub(super) fn rule(
    expressions: &[Expression],
    device: impl Fn(u32) -> String,
    set: impl Fn(&Expression) -> String,
) -> String {
    let (mut words, mut loaded) = (Vec::new(), String::new());
    for one in expressions {
        match one.name.as_str() {
            "meta" | "payload" | "ct" | "fib" if one.number(1).is_some() => loaded = load(one),
            "bitwise" | "byteorder" | "counter" => {}
            "cmp" => {
                let not = if one.number(2) == Some(0) { "" } else { "!= " };
                let compared = one.compared().unwrap_or_default();
                words.push(format!(
                    "{loaded} {not}{}",
                    shown(&loaded, &compared, &device)
                ));
            }
            "lookup" => {
                let not = if one.number(5) == Some(1) { "!= " } else { "" };
                words.push(format!("{loaded} {not}{}", set(one)));
            }
            "immediate" => words.extend(one.get(2).and_then(verdict)),
            "match" | "target" => words.extend(one.text(1)),
            "masq" => words.push("masquerade".to_owned()),
            "redir" => words.push("redirect".to_owned()),
            name => words.push(name.to_owned()),
        }
    }
    words.join(" ")
}

fn load(one: &Expression) -> String {
    let numbers = [one.number(2), one.number(3), one.number(4)].map(Option::unwrap_or_default);
    let word = match (one.name.as_str(), numbers) {
        ("meta", [4, ..]) => "iif",
        ("meta", [5, ..]) => "oif",
        ("meta", [6, ..]) => "iifname",
        ("meta", [7, ..]) => "oifname",
        ("meta", [15, ..]) => "meta nfproto",
        ("meta", [16, ..]) => "meta l4proto",
        ("payload", [1, 9, 1]) => "ip protocol",
        ("payload", [1, 6, 1]) => "ip6 nexthdr",
        ("payload", [1, 12, 4]) => "ip saddr",
        ("payload", [1, 16, 4]) => "ip daddr",
        ("payload", [1, 8, 16]) => "ip6 saddr",
        ("payload", [1, 24, 16]) => "ip6 daddr",
        ("payload", [2, 0, 2]) => "sport",
        ("payload", [2, 2, 2]) => "dport",
        ("ct", [0, ..]) => "ct state",
        ("fib", [1, ..]) => "fib oif",
        ("fib", [2, ..]) => "fib oifname",
        (name, _) => name,
    };
    word.to_owned()
}

fn shown(loaded: &str, compared: &[u8], device: impl Fn(u32) -> String) -> String {
    match (loaded, compared) {
        ("iif" | "oif" | "fib oif", &[a, b, c, d]) => {
            format!("\"{}\"", device(u32::from_ne_bytes([a, b, c, d])))
        }
        ("iifname" | "oifname" | "fib oifname", name) => match name.last() {
            Some(0) => format!("\"{}\"", text(name)),
            _ => format!("\"{}*\"", text(name)),
        },
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [1]) => "icmp".to_owned(),
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [6]) => "tcp".to_owned(),
        ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [17]) => "udp".to_owned(),
        ("sport" | "dport", &[a, b]) => u16::from_be_bytes([a, b]).to_string(),
        ("ip saddr" | "ip daddr", &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
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

/// Says what becomes of a packet (`NFT_JUMP` and its siblings).
pub(super) fn verdict(data: &[u8]) -> Option<String> {
    let parts = crate::net::message::bytes::attributes(data).ok()?;
    let verdict = parts.iter().find(|part| part.kind & 0x3fff == VERDICT)?;
    let chain = || {
        let parts = crate::net::message::bytes::attributes(&verdict.value).ok()?;
        let chain = parts.iter().find(|part| part.kind & 0x3fff == 2)?;
        Some(text(&chain.value))
    };
    let code = value(&verdict.value)?;
    let word = match i32::from_be_bytes(code.try_into().ok()?) {
        0 => "drop",
        1 => "accept",
        -1 => "continue",
        -2 => "break",
        -3 => return Some(format!("jump {}", chain()?)),
        -4 => return Some(format!("goto {}", chain()?)),
        -5 => "return",
        _ => "queue",
    };
    Some(word.to_owned())
}
