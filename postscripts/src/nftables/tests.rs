//! Rules as the kernel lists them, read and applied to packets.
//!
//! The dump is one of a real kernel that nft(8) gave the rules to: `UPDATE=1` makes it again, as root, in a network
//! namespace.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use nix::libc;

use super::*;
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::MessageBuilder;
use crate::netlink::netfilter::{Netfilter, NetfilterObject, nftables};

const SETS: &str = "\
set lan { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
set hosts { type ipv4_addr; flags dynamic; elements = { 10.1.0.9 }; }
set far { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
set wild { type ifname; flags interval; elements = { \"my*\", \"veth*\" }; }
set pairs { type ifname . ipv4_addr; flags interval; elements = { \"mydocker0\" . 10.1.0.0/16 }; }
set strange { type ifname . ipv4_addr; flags interval; elements = { \"eth9\" . 10.1.0.0/16 }; }
map where { type ifname : verdict; elements = { \"mydocker0\" : jump drops, \"eth0\" : accept }; }
map tones { type ipv4_addr : mark; elements = { 10.1.0.9 : 7 }; }
counter seen { }
limit slow { rate 10/second; }
chain drops { drop; }
chain returns { return; }
chain accepts { accept; }
";

const FORWARD: &str = "filter hook forward priority 0";
const BEFORE_TRACKING: &str = "filter hook prerouting priority -300";

/// A base chain: the family, where it is, its policy and its rules; and what it does to what is forwarded.
struct RuleCase(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Expected,
);

/// What is found: how much is dropped, by which rule of the chain, and the words after its number.
type Expected = &'static [(Drops, &'static str)];

const NOTHING: Expected = &[];
const ALL: Expected = &[(Drops::All, "rule N drops them")];
const SOME: Expected = &[(Drops::Some, "rule N drops them")];
const POLICY: Expected = &[(Drops::All, "its policy is drop")];

/// What the kernel does to a new conversation of 10.1.0.0/16, from mydocker0 to mydocker0.
#[rustfmt::skip]
const CASES: &[RuleCase] = &[
    RuleCase("inet", FORWARD, "drop", "", POLICY),
    RuleCase("inet", FORWARD, "accept", "", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ct state vmap { established : accept, related : accept, new : drop }", ALL),
    RuleCase("inet", FORWARD, "accept", "ct state vmap { established : accept, invalid : drop }", NOTHING),
    RuleCase("inet", FORWARD, "drop", "ct state { new, established } accept", NOTHING),
    RuleCase("inet", FORWARD, "drop", "ct state established,related accept", POLICY),
    RuleCase("inet", FORWARD, "drop", "ct direction original accept", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iifname != { \"eth0\", \"eth1\" } drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iifname vmap @where", &[(Drops::All, "rule N drops them")]),
    RuleCase("inet", FORWARD, "accept", "oifname vmap { \"eth*\" : drop, \"my*\" : accept }", NOTHING),
    RuleCase("inet", FORWARD, "drop", "ip saddr @lan ip daddr @lan accept", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip saddr @hosts drop", SOME),
    RuleCase("inet", FORWARD, "accept", "ip saddr @far drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip saddr != @lan drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "oifname @wild drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iifname . ip saddr @pairs drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iifname . ip saddr @strange drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iifname . ip saddr . ip daddr { \"mydocker0\" . 10.1.0.0/17 . 10.0.0.0/8 } drop", SOME),
    RuleCase("inet", FORWARD, "accept", "ip saddr 10.0.0.0-10.255.255.255 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "ip saddr != 10.0.0.0-10.255.255.255 drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip saddr > 10.2.0.0 drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip saddr < 10.2.0.0 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "ip daddr >= 10.1.128.0 drop", SOME),
    RuleCase("inet", FORWARD, "accept", "iifname >= \"my\" drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iifname < \"my\" drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iif 1-9 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iif 10-20 drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iif { 1-3, 6-9 } drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iif { 1-3, 8-9 } drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iif & 3 == 3 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "ip saddr & 255.0.0.0 == 10.0.0.0 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "ip saddr & 0.0.0.255 == 0.0.0.9 drop", SOME),
    RuleCase("inet", FORWARD, "accept", "ip version 4 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "tcp dport 22 drop", SOME),
    RuleCase("inet", FORWARD, "drop", "tcp dport 22 accept", POLICY),
    RuleCase("inet", FORWARD, "accept", "meta nfproto ipv6 drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip6 saddr fd00:1::/64 drop", NOTHING),
    RuleCase("inet", FORWARD, "drop", "goto returns; accept", POLICY),
    RuleCase("inet", FORWARD, "drop", "jump returns; accept", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iifname \"mydocker0\" goto accepts; drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "iifname \"eth0\" goto accepts; drop", ALL),
    RuleCase("inet", FORWARD, "accept", "meta mark 7 goto accepts; drop", ALL),
    RuleCase("inet", FORWARD, "accept", "limit rate over 5/second drop", SOME),
    RuleCase("inet", FORWARD, "accept", "limit name \"slow\" drop", SOME),
    RuleCase("inet", FORWARD, "accept", "counter name \"seen\" log prefix \"x \" drop", ALL),
    RuleCase("inet", FORWARD, "accept", "iifname \"mydocker0\" reject with icmpx admin-prohibited", ALL),
    RuleCase("inet", FORWARD, "accept", "synproxy mss 1460 wscale 7", &[(Drops::Unread, "rule N uses \"synproxy\"")]),
    RuleCase("inet", FORWARD, "drop", "synproxy accept", &[
        (Drops::Unread, "rule N uses \"synproxy\""),
        (Drops::Unread, "its policy is drop, and rule N uses \"synproxy\""),
    ]),
    RuleCase("inet", FORWARD, "accept", "meta mark set ip saddr map @tones meta mark 7 drop", SOME),
    RuleCase("inet", FORWARD, "accept", "fib daddr type local drop", SOME),
    RuleCase("inet", FORWARD, "accept", "update @hosts { ip saddr } drop", ALL),
    RuleCase("inet", FORWARD, "accept", "update @hosts { ip saddr limit rate over 5/second } drop", SOME),
    RuleCase("inet", FORWARD, "accept", "meta oifkind \"vlan\" drop", SOME),
    RuleCase("inet", BEFORE_TRACKING, "accept", "ct state new accept; oifname != \"eth0\" drop", ALL),
    RuleCase("ip", "nat hook postrouting priority 100", "accept", "masquerade; drop", NOTHING),
];

/// The same for fd00:1::/64.
#[rustfmt::skip]
const CASES_OF_IPV6: &[RuleCase] = &[
    RuleCase("ip6", FORWARD, "drop", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", POLICY),
    RuleCase("ip6", FORWARD, "drop", "iifname \"mydocker0\" oifname \"mydocker0\" accept", NOTHING),
    RuleCase("ip6", FORWARD, "accept", "ip6 saddr fd00::/16 ip6 daddr fd00:1::-fd00:2:: drop", ALL),
    RuleCase("ip6", FORWARD, "accept", "ip6 daddr { fd00:1::7, fd00:2::/64 } drop", SOME),
    RuleCase("ip6", FORWARD, "accept", "ip6 saddr < fd00:1:: drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "ip saddr 10.0.0.0/8 drop; meta nfproto ipv6 drop", ALL),
    RuleCase("inet", FORWARD, "accept", "ct state vmap { new : accept }; drop", NOTHING),
    RuleCase("inet", FORWARD, "accept", "exthdr frag exists drop", SOME),
];

/// What bridges do to ARP, from a container's port to eth0.
#[rustfmt::skip]
const CASES_OF_ARP: &[RuleCase] = &[
    RuleCase("bridge", FORWARD, "drop", "ether type arp accept", NOTHING),
    RuleCase("bridge", FORWARD, "drop", "meta protocol { ip, vlan } accept", POLICY),
    RuleCase("bridge", FORWARD, "accept", "ether type vmap { ip : accept, arp : drop }", ALL),
    RuleCase("bridge", FORWARD, "drop", "arp saddr ip 10.1.0.0/16 accept", NOTHING),
    RuleCase("bridge", FORWARD, "drop", "arp operation request accept", POLICY),
    RuleCase("bridge", FORWARD, "accept", "iifname \"veth12ab\" drop", SOME),
    RuleCase("bridge", FORWARD, "accept", "ether saddr 02:00:00:00:00:00 drop", SOME),
];

fn cases() -> impl Iterator<Item = &'static RuleCase> {
    CASES.iter().chain(CASES_OF_IPV6).chain(CASES_OF_ARP)
}

/// What nft(8) is given: each case has a chain of its own.
fn text() -> String {
    let mut text = String::new();
    for family in ["inet", "ip", "ip6", "bridge"] {
        writeln!(text, "table {family} t {{").unwrap();
        if family == "inet" {
            text.push_str(SETS);
        }
        for (at, RuleCase(_, hook, policy, rules, _)) in
            cases().enumerate().filter(|(_, case)| case.0 == family)
        {
            writeln!(text, "chain c{at} {{\ntype {hook}; policy {policy};").unwrap();
            writeln!(text, "{}\n}}", rules.replace("; ", "\n")).unwrap();
        }
        text.push_str("}\n");
    }
    text
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/nftables")
        .join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Answers of a kernel as text: a line for each question, then one for each object.
fn record() -> String {
    let made = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        nft.stdin
            .take()
            .unwrap()
            .write_all(text().as_bytes())
            .unwrap();
        assert!(nft.wait().unwrap().success());
        let netfilter = Netfilter::open().unwrap().unwrap();
        let mut text = String::new();
        let mut ask = |kind, family, body: &[u8], bytes| {
            let objects = netfilter
                .dump_up_to(bytes, nftables(kind), family, body)?
                .unwrap();
            writeln!(text, "? {kind} {family} {}", hex(body)).unwrap();
            for object in &objects {
                let body = MessageBuilder::default()
                    .others(&object.attributes)
                    .into_bytes();
                writeln!(text, "{} {}", object.family, hex(&body)).unwrap();
            }
            Ok(Some(objects))
        };
        NftRuleset::read(&mut ask, NftRuleset::is_looked_up).unwrap();
        text
    });
    made.join().unwrap()
}

/// Reads what was recorded.
fn replay(text: &str) -> NftRuleset {
    let mut lines: VecDeque<_> = text.lines().collect();
    let mut ask = |kind: i32, family: u8, body: &[u8], _| {
        assert_eq!(
            lines.pop_front().unwrap(),
            format!("? {kind} {family} {}", hex(body))
        );
        let mut objects = Vec::new();
        while let Some(line) = lines.front().filter(|line| !line.starts_with('?')) {
            let (family, body) = line.split_once(' ').unwrap();
            objects.push(NetfilterObject {
                family: family.parse().unwrap(),
                attributes: crate::netlink::attribute::attributes(&unhex(body)).unwrap(),
            });
            lines.pop_front();
        }
        Ok(Some(objects))
    };
    NftRuleset::read(&mut ask, NftRuleset::is_looked_up).unwrap()
}

fn dump() -> NftRuleset {
    static UPDATE: Once = Once::new();
    UPDATE.call_once(|| {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(golden("cases.dump"), record()).unwrap();
            std::fs::write(golden("cases.nft"), text()).unwrap();
        }
    });
    let made_of = std::fs::read_to_string(golden("cases.nft")).unwrap();
    assert_eq!(
        made_of,
        text(),
        "the dump is of other rules: UPDATE=1 makes it again"
    );
    replay(&std::fs::read_to_string(golden("cases.dump")).unwrap())
}

fn bridged(family: i32, ether_type: u16, network: &str) -> Packet {
    let bridge = || Some(Interface::named("mydocker0", Some(7)));
    Packet {
        family: family as u8,
        ether_type,
        input: bridge(),
        output: bridge(),
        input_bridge: None,
        output_bridge: None,
        source: network.parse().ok(),
        destination: network.parse().ok(),
        tracking: Tracking::New,
    }
}

/// What a chain does, with its rules numbered from the place of the case.
fn found(ruleset: &NftRuleset, name: &str, packet: &Packet) -> Vec<(Drops, String)> {
    let mut chains = ruleset.chains.iter();
    let chain = chains.find(|chain| chain.name == name).unwrap();
    let (found, _) = judge(ruleset, chain, packet);
    let unnumbered = |text: &str| {
        let words = text.split(' ').map(|word| {
            if word.parse::<u64>().is_ok() {
                "N"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    found
        .iter()
        .map(|one| (one.drops, unnumbered(&one.what)))
        .collect()
}

#[test]
fn every_rule_is_read_as_the_kernel_applies_it() {
    let ruleset = dump();
    let ipv4 = bridged(libc::NFPROTO_IPV4, IPV4_FRAME, "10.1.0.0/16");
    let ipv6 = bridged(libc::NFPROTO_IPV6, IPV6_FRAME, "fd00:1::/64");
    let arp = Packet {
        input: Some(Interface::beginning("veth", "veth")),
        output: Some(Interface::named("eth0", Some(2))),
        input_bridge: ipv4.input.clone(),
        output_bridge: ipv4.output.clone(),
        tracking: Tracking::Invalid,
        ..bridged(libc::NFPROTO_BRIDGE, ARP_FRAME, "10.1.0.0/16")
    };
    let mut wrong = Vec::new();
    for (at, RuleCase(family, hook, policy, rules, expected)) in cases().enumerate() {
        let mut packet = match at {
            at if at < CASES.len() => ipv4.clone(),
            at if at < CASES.len() + CASES_OF_IPV6.len() => ipv6.clone(),
            _ => arp.clone(),
        };
        if *hook == BEFORE_TRACKING {
            packet.tracking = Tracking::Invalid;
            packet.output = None;
        }
        let found = found(&ruleset, &format!("c{at}"), &packet);
        let expected: Vec<_> = expected
            .iter()
            .map(|(drops, what)| (*drops, (*what).to_owned()))
            .collect();
        if found != expected {
            wrong.push(format!(
                "{family} {policy} {rules}: {found:?}, expected {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn expression(name: &str, parts: &[(u16, &[u8])]) -> Expression {
    let attribute = |(kind, value): &(u16, &[u8])| NetlinkAttribute {
        kind: *kind,
        value: value.to_vec(),
    };
    Expression {
        name: name.to_owned(),
        attributes: parts.iter().map(attribute).collect(),
    }
}

/// A chain of bridges with one rule.
fn bridge_chain(expressions: Vec<Expression>) -> NftRuleset {
    let chain = NftChain {
        family: libc::NFPROTO_BRIDGE as u8,
        table: "t".to_owned(),
        name: "c".to_owned(),
        hook: None,
    };
    let rule = NftRule {
        family: chain.family,
        table: chain.table.clone(),
        chain: chain.name.clone(),
        handle: 1,
        expressions,
        note: None,
    };
    NftRuleset {
        chains: vec![chain],
        rules: vec![rule],
        ..NftRuleset::default()
    }
}

/// What not every kernel has: the state of frames and the names of bridges.
#[test]
fn rules_of_bridges_see_the_bridge_and_what_belongs_to_no_conversation() {
    let load = |name: &str, key: u32| {
        expression(name, &[(1, &1_u32.to_be_bytes()), (2, &key.to_be_bytes())])
    };
    let verdict = |code: i32| {
        let code = MessageBuilder::default()
            .attribute(1, &code.to_be_bytes())
            .into_bytes();
        MessageBuilder::default().attribute(2, &code).into_bytes()
    };
    let drop = || Expression::immediate(0, &verdict(0));
    let invalid = Expression::equals(1, &1_u32.to_ne_bytes());
    let named = |name: &str| Expression::equals(1, &expression::padded(name));
    let frame = Packet {
        input: Some(Interface::beginning("veth", "veth")),
        output: Some(Interface::named("eth0", Some(2))),
        input_bridge: Some(Interface::named("mydocker0", Some(7))),
        output_bridge: Some(Interface::named("mydocker0", Some(7))),
        ..bridged(libc::NFPROTO_BRIDGE, IPV4_FRAME, "10.1.0.0/16")
    };
    let arp = Packet {
        ether_type: ARP_FRAME,
        tracking: Tracking::Invalid,
        ..frame.clone()
    };
    const QUEUED: Expected = &[(Drops::Unread, "rule N leaves it to others (\"queue\")")];
    for (expressions, packet, expected) in [
        (vec![load("ct", 0), invalid.clone(), drop()], &arp, ALL),
        (vec![load("ct", 0), invalid, drop()], &frame, NOTHING),
        (
            vec![load("meta", 17), named("mydocker0"), drop()],
            &frame,
            ALL,
        ),
        (
            vec![load("meta", 18), named("other0"), drop()],
            &frame,
            NOTHING,
        ),
        (vec![expression("queue", &[])], &frame, QUEUED),
        (
            vec![Expression::immediate(0, &verdict(3 << 16 | 3))],
            &frame,
            QUEUED,
        ),
        (
            vec![expression("target", &[(1, b"NFQUEUE\0")])],
            &frame,
            QUEUED,
        ),
        (vec![expression("target", &[(1, b"REJECT\0")])], &frame, ALL),
        (
            vec![expression("target", &[(1, b"LOG\0")]), drop()],
            &frame,
            ALL,
        ),
        (
            vec![expression("match", &[(1, b"comment\0")]), drop()],
            &frame,
            ALL,
        ),
        (
            vec![expression("match", &[(1, b"hashlimit\0")]), drop()],
            &frame,
            SOME,
        ),
        (
            vec![expression("target", &[(1, b"TARPIT\0")])],
            &frame,
            &[(Drops::Unread, "rule N uses the target TARPIT")],
        ),
    ] {
        let ruleset = bridge_chain(expressions.clone());
        let expected: Vec<_> = expected
            .iter()
            .map(|(drops, what)| (*drops, (*what).to_owned()))
            .collect();
        assert_eq!(found(&ruleset, "c", packet), expected, "{expressions:?}");
    }
}

#[test]
fn chains_that_lead_to_each_other_again_and_again_end() {
    let mut ruleset = bridge_chain(Vec::new());
    let jump = |name: &str| {
        let parts = MessageBuilder::default()
            .attribute(1, &(-3_i32).to_be_bytes())
            .text(2, name)
            .into_bytes();
        Expression::immediate(
            0,
            &MessageBuilder::default().attribute(2, &parts).into_bytes(),
        )
    };
    let (chain, rule) = (ruleset.chains[0].clone(), ruleset.rules[0].clone());
    // each of ten chains jumps eight times to the next
    ruleset.rules.clear();
    for at in 0..10 {
        let name = if at == 0 {
            "c".to_owned()
        } else {
            format!("c{at}")
        };
        ruleset.chains.push(NftChain {
            name: name.clone(),
            ..chain.clone()
        });
        let expressions = vec![jump(&format!("c{}", at + 1))];
        let jump = NftRule {
            chain: name,
            expressions,
            ..rule.clone()
        };
        ruleset.rules.extend(vec![jump; 8]);
    }
    let packet = bridged(libc::NFPROTO_BRIDGE, IPV4_FRAME, "10.1.0.0/16");
    let found = found(&ruleset, "c", &packet);
    assert_eq!(
        found,
        [(
            Drops::Unread,
            "its rules are too many to be gone through".to_owned()
        )]
    );
}

#[test]
fn a_set_that_was_not_read_is_named() {
    let mut ruleset = dump();
    for set in &mut ruleset.sets {
        set.elements = None;
    }
    let at = cases()
        .position(|case| case.3 == "ip saddr @hosts drop")
        .unwrap();
    let packet = bridged(libc::NFPROTO_IPV4, IPV4_FRAME, "10.1.0.0/16");
    let what = "rule N drops them, and rule N uses the set hosts, which is too long to be read";
    assert_eq!(
        found(&ruleset, &format!("c{at}"), &packet),
        [(Drops::Unread, what.to_owned())]
    );
}

#[test]
fn what_is_left_out_of_tracking_is_not_known_to_begin_anything() {
    for one in [
        expression("notrack", &[]),
        expression("target", &[(1, b"CT\0")]),
    ] {
        let ruleset = bridge_chain(vec![one]);
        let packet = bridged(libc::NFPROTO_BRIDGE, IPV4_FRAME, "10.1.0.0/16");
        assert_eq!(
            judge(&ruleset, &ruleset.chains[0], &packet).1,
            Tracking::Unknown
        );
    }
}

#[test]
fn expressions_survive_being_read_and_written() {
    let ruleset = dump();
    for rule in &ruleset.rules {
        let encoded = encode(&rule.expressions);
        assert_eq!(
            super::expression::decode(&encoded).unwrap(),
            rule.expressions
        );
        // what is interrupted or does not add up is an error or less, never a panic
        for end in 0..encoded.len() {
            let _ = super::expression::decode(&encoded[..end]);
        }
    }
}

#[test]
fn families_have_the_numbers_of_the_kernel() {
    // linux/netfilter.h
    let families = [1, 2, 3, 5, 7, 10].map(family);
    assert_eq!(families, ["inet", "ip", "arp", "netdev", "bridge", "ip6"]);
}
