//! A rule of nf_tables in words close to those of nft(8), for whoever has to recognise it.
//!
//! What is not known here shows as its expression's name; nothing is decided by these words.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::{Expression, text, value};
use super::nftables::NftRule;

/// `NFTA_DATA_VERDICT`.
const VERDICT: u16 = 2;

/// The table and chain that a rule stands in.
pub(super) fn place(rule: &NftRule) -> String {
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
    let (mut words, mut loaded) = (Vec::new(), Vec::<String>::new());
    for one in expressions {
        let what = loaded.last().cloned().unwrap_or_default();
        match one.name.as_str() {
            "meta" | "payload" | "ct" | "fib" if one.number(1).is_some() => loaded.push(load(one)),
            "bitwise" if what == "ct state" => {
                loaded.clear();
                loaded.push(format!("ct state {}", states(one)));
            }
            "bitwise" | "byteorder" | "counter" => {}
            "cmp" if what.starts_with("ct state ") => words.append(&mut loaded),
            "cmp" => {
                let not = if one.number(2) == Some(0) { "" } else { "!= " };
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
                let not = if one.number(5) == Some(1) { "!= " } else { "" };
                words.push(format!("{} {not}{}", loaded.join(" . "), set(one)));
                loaded.clear();
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

/// The states of a connection that a mask lets through (`NF_CT_STATE_BIT`).
fn states(mask: &Expression) -> String {
    const STATES: [&str; 4] = ["invalid", "established", "related", "new"];
    let mask = mask.get(4).and_then(value).unwrap_or_default();
    let mask = <[u8; 4]>::try_from(mask).map_or(0, u32::from_ne_bytes);
    let named = STATES
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask & 1 << bit != 0);
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn load(one: &Expression) -> String {
    let numbers = [one.number(2), one.number(3), one.number(4)].map(Option::unwrap_or_default);
    let word = match (one.name.as_str(), numbers) {
        ("meta", [4, ..]) => "iif",
        ("meta", [5, ..]) => "oif",
        ("meta", [6, ..]) => "iifname",
        ("meta", [7, ..]) => "oifname",
        ("meta", [17, ..]) => "meta ibrname",
        ("meta", [18, ..]) => "meta obrname",
        ("meta", [21, ..]) => "iifgroup",
        ("meta", [22, ..]) => "oifgroup",
        ("meta", [26, ..]) => "meta iifkind",
        ("meta", [27, ..]) => "meta oifkind",
        ("meta", [15, ..]) => "meta nfproto",
        ("meta", [16, ..]) => "meta l4proto",
        ("payload", [1, 9, 1]) => "ip protocol",
        ("payload", [1, 6, 1]) => "ip6 nexthdr",
        ("payload", [1, 12, 1..=4]) => "ip saddr",
        ("payload", [1, 16, 1..=4]) => "ip daddr",
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

/// Says what becomes of a packet (`NFT_JUMP` and its siblings).
pub(super) fn verdict(data: &[u8]) -> Option<String> {
    let parts = crate::netlink::attribute::attributes(data).ok()?;
    let verdict = parts.iter().find(|part| part.kind & 0x3fff == VERDICT)?;
    let chain = || {
        let parts = crate::netlink::attribute::attributes(&verdict.value).ok()?;
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
