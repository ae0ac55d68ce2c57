//! Rules as nf_tables and iptables-save tell of them, and what has to stand beside each.

mod old_tables;

use std::path::Path;

use super::*;
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::MessageBuilder;
use crate::nftables::{Expression, Hook, NftChain, NftRule, Set, SetElement, padded};

const NFPROTO_INET: u8 = libc::NFPROTO_INET as u8;
const NAME_IN: u32 = 6;
const NAME_OUT: u32 = 7;
const INDEX_IN: u32 = 4;
const REGISTER: u32 = 1;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const ANONYMOUS: u32 = 3; // and constant
const INTERVAL: u32 = 4;

pub(super) fn moves() -> Vec<Move> {
    vec![Move {
        nic: "eth0".to_owned(),
        nic_index: 2,
        nic_kind: None,
        nic_group: 10,
        bridge_group: 10,
        bridge: "br0".to_owned(),
        bridge_index: None,
        is_port: false,
    }]
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

fn meta(key: u32, register: u32) -> Expression {
    let (register, key) = (register.to_be_bytes(), key.to_be_bytes());
    expression("meta", &[(1, &register), (2, &key)])
}

fn port(register: u32) -> Expression {
    let numbers = [register, 2, 2, 2].map(u32::to_be_bytes);
    let parts: Vec<_> = (1..)
        .zip(&numbers)
        .map(|(kind, number)| (kind, &number[..]))
        .collect();
    expression("payload", &parts)
}

fn data(bytes: &[u8]) -> Vec<u8> {
    MessageBuilder::default().attribute(1, bytes).into_bytes()
}

fn cmp(operator: u32, bytes: &[u8]) -> Expression {
    let (register, operator) = (REGISTER.to_be_bytes(), operator.to_be_bytes());
    expression("cmp", &[(1, &register), (2, &operator), (3, &data(bytes))])
}

fn lookup(set: &str, inverted: bool) -> Expression {
    let flags = u32::from(inverted).to_be_bytes();
    let name = format!("{set}\0");
    expression(
        "lookup",
        &[
            (1, name.as_bytes()),
            (2, &REGISTER.to_be_bytes()),
            (5, &flags),
        ],
    )
}

fn accept() -> Expression {
    let verdict = data(&1i32.to_be_bytes());
    let verdict = MessageBuilder::default()
        .attribute(2, &verdict)
        .into_bytes();
    expression("immediate", &[(1, &[0; 4]), (2, &verdict)])
}

fn rule(handle: u64, expressions: Vec<Expression>) -> NftRule {
    NftRule {
        family: NFPROTO_INET,
        table: "t".to_owned(),
        chain: "input".to_owned(),
        handle,
        expressions,
        note: None,
    }
}

fn set(name: &str, flags: u32, keys: &[Vec<u8>]) -> Set {
    let element = |key: &Vec<u8>| SetElement {
        attributes: expression("", &[(1, &data(key))]).attributes,
    };
    Set {
        family: NFPROTO_INET,
        table: "t".to_owned(),
        name: name.to_owned(),
        flags,
        key: keys[0].len(),
        parts: Vec::new(),
        elements: Some(keys.iter().map(element).collect()),
    }
}

fn elements(set: &mut Set) -> &mut Vec<SetElement> {
    set.elements.as_mut().unwrap()
}

fn ruleset(rules: Vec<Vec<Expression>>, sets: Vec<Set>) -> NftRuleset {
    NftRuleset {
        rules: (1..)
            .zip(rules)
            .map(|(handle, rule)| self::rule(handle, rule))
            .collect(),
        sets,
        ..NftRuleset::default()
    }
}

/// What is found, and whether it can be translated.
fn found(ruleset: &NftRuleset) -> Vec<(String, bool)> {
    let findings = search::find(ruleset, &moves());
    findings
        .into_iter()
        .map(|one| (one.becomes, one.translation.is_some()))
        .collect()
}

#[test]
fn a_rule_that_names_the_nic_gets_a_twin_in_whatever_way_it_names_it() {
    for (load, bytes, twin) in [
        (
            NAME_IN,
            padded("eth0"),
            "nft inet t input: iifname \"br0\" accept",
        ),
        (
            NAME_IN,
            b"eth0\0".to_vec(),
            "nft inet t input: iifname \"br0\" accept",
        ),
        (
            NAME_OUT,
            padded("eth0"),
            "nft inet t input: oifname \"br0\" accept",
        ),
        // a wildcard
        (
            NAME_IN,
            b"eth".to_vec(),
            "nft inet t input: iifname \"br0\" accept",
        ),
        // a number
        (
            INDEX_IN,
            2u32.to_ne_bytes().to_vec(),
            "nft inet t input: iif \"br0\" accept",
        ),
    ] {
        let expressions = vec![meta(load, REGISTER), cmp(EQUAL, &bytes), accept()];
        let ruleset = ruleset(vec![expressions], Vec::new());
        assert_eq!(found(&ruleset), [(twin.to_owned(), true)], "{bytes:?}");
    }
}

#[test]
fn rules_about_others_or_about_both_are_none_of_ours() {
    let name = |bytes: &[u8]| vec![meta(NAME_IN, REGISTER), cmp(EQUAL, bytes), accept()];
    let rules = vec![
        name(&padded("eth1")),
        name(&padded("eth")),
        name(&padded("eth00")),
        name(b"eth1"),
        name(b""), // every name begins so
        vec![meta(INDEX_IN, REGISTER), cmp(EQUAL, &3u32.to_ne_bytes())],
        // the register holds something else by then
        vec![
            meta(INDEX_IN, REGISTER),
            port(REGISTER),
            cmp(EQUAL, &2u32.to_ne_bytes()),
        ],
        vec![
            meta(NAME_IN, REGISTER),
            cmp(UNEQUAL, &padded("eth0")),
            cmp(UNEQUAL, &padded("br0")),
        ],
        vec![meta(NAME_IN, REGISTER), lookup("both", false)],
        vec![meta(NAME_IN, REGISTER), lookup("both", true)],
        vec![meta(NAME_IN, REGISTER), lookup("unknown", false)],
    ];
    let both = set("both", ANONYMOUS, &[padded("eth0"), padded("br0")]);
    assert_eq!(found(&ruleset(rules, vec![both])), []);
}

#[test]
fn a_rule_whose_twin_stands_already_is_settled() {
    let name = |name: &str| {
        let counted = expression("counter", &[(1, &[0; 8]), (2, name.as_bytes())]);
        vec![
            meta(NAME_IN, REGISTER),
            cmp(EQUAL, &padded(name)),
            counted,
            accept(),
        ]
    };
    let settled = ruleset(vec![name("br0"), name("eth0")], Vec::new());
    assert_eq!(found(&settled), []);
    // in another chain it is another rule
    let mut elsewhere = settled.clone();
    elsewhere.rules[0].chain = "other".to_owned();
    assert_eq!(found(&elsewhere).len(), 1);
}

#[test]
fn what_no_twin_can_say_is_for_the_administrator() {
    let concatenated = |name: &str| [padded(name), vec![0, 22, 0, 0]].concat();
    let sets = vec![
        set("__ports", ANONYMOUS, &[concatenated("eth0")]),
        set("__all", ANONYMOUS, &[padded("lo"), padded("eth0")]),
        set("wild", INTERVAL, &[padded("eth")]),
    ];
    for (expressions, need) in [
        (
            vec![meta(NAME_IN, REGISTER), cmp(UNEQUAL, &padded("eth0"))],
            "has to leave out br0 too",
        ),
        (
            vec![
                meta(INDEX_IN, REGISTER),
                cmp(UNEQUAL, &2u32.to_ne_bytes()),
                accept(),
            ],
            "has to leave out br0 too",
        ),
        (
            vec![meta(NAME_IN, REGISTER), lookup("__all", true)],
            "needs br0 in its set beside eth0",
        ),
        (
            vec![meta(NAME_IN, REGISTER), port(12), lookup("__ports", false)],
            "needs br0 in its set beside eth0",
        ),
        (
            vec![meta(NAME_IN, REGISTER), lookup("wild", false)],
            "needs br0 in its set beside eth0",
        ),
    ] {
        let ruleset = ruleset(vec![expressions], sets.clone());
        assert_eq!(found(&ruleset), [(need.to_owned(), false)]);
    }
}

#[test]
fn a_named_set_gains_an_element_and_an_anonymous_one_a_rule() {
    let key = |name: &str| [padded(name), vec![0, 22, 0, 0]].concat();
    let lan = set("lan", 0, &[key("eth1"), key("eth0")]);
    let rules = vec![vec![
        meta(NAME_IN, REGISTER),
        port(12),
        lookup("lan", false),
        accept(),
    ]];
    let findings = search::find(&ruleset(rules, vec![lan]), &moves());
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(finding.rule, "nft set inet t lan: element \"eth0\"");
    let Some(Translation::Element {
        key: twin,
        numbered: None,
        ..
    }) = &finding.translation
    else {
        panic!("{finding:?}");
    };
    assert_eq!(*twin, key("br0"));

    let anonymous = set("__set0", ANONYMOUS, &[padded("eth1"), padded("eth0")]);
    let rules = vec![vec![
        meta(NAME_IN, REGISTER),
        lookup("__set0", false),
        accept(),
    ]];
    assert_eq!(
        found(&ruleset(rules, vec![anonymous])),
        [("nft inet t input: iifname \"br0\" accept".to_owned(), true)]
    );
}

#[test]
fn a_verdict_map_gives_its_twin_the_same_verdict() {
    let verdict = data(&1i32.to_be_bytes());
    let verdict = MessageBuilder::default()
        .attribute(2, &verdict)
        .into_bytes();
    let mut map = set("__map0", ANONYMOUS | 8, &[padded("eth0")]);
    elements(&mut map)[0]
        .attributes
        .extend(expression("", &[(2, &verdict)]).attributes);
    let mut by_map = lookup("__map0", false);
    by_map.attributes.push(NetlinkAttribute {
        kind: 3,
        value: vec![0; 4],
    });
    let ruleset = ruleset(vec![vec![meta(NAME_IN, REGISTER), by_map]], vec![map]);
    assert_eq!(
        found(&ruleset),
        [("nft inet t input: iifname \"br0\" accept".to_owned(), true)]
    );
}

fn verdict(code: i32) -> Vec<u8> {
    let verdict = data(&code.to_be_bytes());
    MessageBuilder::default()
        .attribute(2, &verdict)
        .into_bytes()
}

fn drop() -> Expression {
    expression("immediate", &[(1, &[0; 4]), (2, &verdict(0))])
}

fn physdev(input: &[u8]) -> Expression {
    let filled = |bytes: &[u8]| [bytes, &[0; 16]].concat()[..16].to_vec();
    let mask = vec![255; input.len()];
    let info = [filled(input), filled(&mask), vec![0; 32], vec![0, 1]].concat();
    expression("match", &[(1, b"physdev\0"), (2, &[0; 4]), (3, &info)])
}

#[test]
fn a_rule_that_changes_its_meaning_with_the_port_is_for_the_administrator() {
    const BEGINS: &[&str] = &["begins to match when the NIC is a port"];
    const ENDS: &[&str] = &["no longer matches when the NIC is a port"];
    const KIND_IN: u32 = 26;
    const GROUP_IN: u32 = 21;
    const LOGICAL_IN: u32 = 17;
    let asked = |load: u32, operator: u32, bytes: &[u8], end: Expression| {
        vec![meta(load, REGISTER), cmp(operator, bytes), end]
    };
    let held =
        |set: &str, inverted: bool| vec![meta(NAME_IN, REGISTER), lookup(set, inverted), drop()];
    let ten = 10u32.to_ne_bytes();
    let sets = [
        set("lan", 0, &[padded("eth1"), padded("br0")]),
        set("both", 0, &[padded("eth0"), padded("br0")]),
    ];
    let cases = [
        (asked(NAME_IN, EQUAL, &padded("br0"), drop()), BEGINS),
        (asked(NAME_OUT, EQUAL, b"br", drop()), BEGINS),
        (asked(LOGICAL_IN, EQUAL, &padded("br0"), drop()), BEGINS),
        (asked(NAME_IN, UNEQUAL, &padded("br0"), drop()), ENDS),
        (held("lan", false), BEGINS),
        (held("lan", true), ENDS),
        (held("both", false), &[]),
        // it lets in what was let in before
        (asked(NAME_IN, EQUAL, &padded("br0"), accept()), &[]),
        (asked(NAME_IN, EQUAL, &padded("br1"), drop()), &[]),
        (asked(NAME_IN, EQUAL, b"", drop()), &[]),
        // hardware has no kind
        (asked(KIND_IN, EQUAL, &padded("bridge"), drop()), BEGINS),
        (asked(KIND_IN, UNEQUAL, &padded("veth"), drop()), BEGINS),
        (asked(KIND_IN, EQUAL, &padded("veth"), drop()), &[]),
        // the bridge gets the NIC's group
        (asked(GROUP_IN, EQUAL, &ten, drop()), &[]),
        (vec![physdev(b"eth0\0"), drop()], BEGINS),
        (vec![physdev(b"eth"), drop()], BEGINS),
        (vec![physdev(b"eth\0"), drop()], &[]),
        (vec![physdev(b"eth0\0"), accept()], &[]),
    ];
    for (expressions, needs) in cases {
        let one = ruleset(vec![expressions], sets.to_vec());
        let needs: Vec<_> = needs.iter().map(|need| (need.to_string(), false)).collect();
        assert_eq!(found(&one), needs, "{:?}", one.rules[0].expressions);
        let mut settled = moves();
        settled[0].is_port = true;
        assert_eq!(search::find(&one, &settled), []);
    }
}

/// `iif 2-5` turns the number around before it compares it.
fn turned_around() -> Expression {
    let numbers = [REGISTER, REGISTER, 1, 4, 4].map(u32::to_be_bytes);
    let parts: Vec<_> = (1..)
        .zip(&numbers)
        .map(|(kind, number)| (kind, &number[..]))
        .collect();
    expression("byteorder", &parts)
}

fn range(operator: u32, first: &[u8], last: &[u8]) -> Expression {
    let (register, operator) = (REGISTER.to_be_bytes(), operator.to_be_bytes());
    let (first, last) = (data(first), data(last));
    expression(
        "range",
        &[(1, &register), (2, &operator), (3, &first), (4, &last)],
    )
}

#[test]
fn ranges_of_devices_are_compared_as_the_kernel_does() {
    const TOO: &[&str] = &["has to be about br0 too"];
    const BEGINS: &[&str] = &["begins to match when the NIC is a port"];
    const LESS: u32 = 2;
    const GREATER_OR_EQUAL: u32 = 5;
    let numbers = |first: u32, last: u32| range(EQUAL, &first.to_be_bytes(), &last.to_be_bytes());
    let name = |end: Expression| vec![meta(NAME_IN, REGISTER), end, drop()];
    let index = |end: Expression| vec![meta(INDEX_IN, REGISTER), turned_around(), end, drop()];
    let shifted = expression(
        "bitwise",
        &[
            (1, &REGISTER.to_be_bytes()),
            (2, &REGISTER.to_be_bytes()),
            (6, &1_u32.to_be_bytes()),
        ],
    );
    for (expressions, needs) in [
        (name(range(EQUAL, &padded("eth0"), &padded("eth9"))), TOO),
        (name(range(UNEQUAL, &padded("br"), &padded("ca"))), TOO),
        (name(range(EQUAL, &padded("br"), &padded("ca"))), BEGINS),
        (name(range(EQUAL, &padded("a"), &padded("f"))), &[]),
        (name(range(EQUAL, &padded("x"), &padded("z"))), &[]),
        (name(cmp(GREATER_OR_EQUAL, &padded("eth0"))), TOO),
        (name(cmp(LESS, &padded("eth0"))), BEGINS),
        (name(cmp(LESS, &padded("a"))), &[]),
        (index(numbers(2, 5)), TOO),
        (index(numbers(4, 5)), &[]),
        (index(cmp(EQUAL, &2_u32.to_be_bytes())), TOO),
        // what is computed is not known
        (
            vec![
                meta(INDEX_IN, REGISTER),
                shifted,
                cmp(EQUAL, &4_u32.to_ne_bytes()),
                drop(),
            ],
            TOO,
        ),
    ] {
        let needs: Vec<_> = needs
            .iter()
            .map(|need| ((*need).to_owned(), false))
            .collect();
        assert_eq!(
            found(&ruleset(vec![expressions.clone()], Vec::new())),
            needs,
            "{expressions:?}"
        );
    }
    let mut ranges = set(
        "__numbers",
        ANONYMOUS | INTERVAL,
        &[2_u32, 6].map(|end| end.to_be_bytes().to_vec()),
    );
    elements(&mut ranges)[1].attributes.push(NetlinkAttribute {
        kind: 3,
        value: 1_u32.to_be_bytes().to_vec(),
    });
    let rule = vec![
        meta(INDEX_IN, REGISTER),
        turned_around(),
        lookup("__numbers", false),
        drop(),
    ];
    let need = "needs br0 in its set beside eth0".to_owned();
    assert_eq!(found(&ruleset(vec![rule], vec![ranges])), [(need, false)]);
}

#[test]
fn a_set_of_devices_that_is_too_long_to_be_read_is_named() {
    let mut long = set("long", 0, &[padded("eth1")]);
    long.elements = None;
    let rule = vec![meta(NAME_IN, REGISTER), lookup("long", false), accept()];
    let need = "has a set that is too long to be read (long)".to_owned();
    assert_eq!(found(&ruleset(vec![rule], vec![long])), [(need, false)]);
}

#[test]
fn a_rule_about_the_bridge_that_stands_beside_one_about_the_nic_is_its_twin() {
    let name = |name: &str| vec![meta(NAME_IN, REGISTER), cmp(EQUAL, &padded(name)), drop()];
    let both = ruleset(vec![name("eth0"), name("br0")], Vec::new());
    assert_eq!(found(&both), []);
}

#[test]
fn what_the_kind_or_the_group_of_the_nic_means_is_named_where_the_bridge_has_another() {
    let mut moves = moves();
    moves[0].nic_kind = Some("bond".to_owned());
    moves[0].bridge_group = 0;
    let ten = 10u32.to_ne_bytes().to_vec();
    for (load, bytes) in [(26, padded("bond")), (21, ten)] {
        let rule = vec![meta(load, REGISTER), cmp(EQUAL, &bytes), accept()];
        let findings = search::find(&ruleset(vec![rule], Vec::new()), &moves);
        let needs: Vec<_> = findings.iter().map(|one| one.becomes.as_str()).collect();
        assert_eq!(needs, ["has to name br0 itself"]);
    }
}

#[test]
fn a_rule_by_group_is_said_for_the_next_boot() {
    let rule = vec![
        meta(21, REGISTER),
        cmp(EQUAL, &10u32.to_ne_bytes()),
        accept(),
    ];
    let ruleset = ruleset(vec![rule], Vec::new());
    let said = "nft inet t input: iifgroup 10 accept (whoever configures br0 has to put it into the group 10, as eth0 is)";
    assert_eq!(search::by_group(&ruleset, &moves()), [said]);
    let mut ungrouped = moves();
    ungrouped[0].nic_group = 0;
    assert_eq!(search::by_group(&ruleset, &ungrouped), Vec::<String>::new());
}

#[test]
fn a_map_that_gives_the_bridge_something_else_is_for_the_administrator() {
    // ends of ranges: what begins with "br", up to "bs"; what begins with "eth", up to "eti"
    let ranges = [
        (b"br".as_slice(), Some(0)),
        (b"bs", None),
        (b"eth", Some(1)),
        (b"eti", None),
    ];
    let mut wild = set("__wild", ANONYMOUS | INTERVAL | 8, &[padded("")]);
    let ends = ranges.into_iter();
    let ends = ends.map(|(key, code)| {
        let mut key = key.to_vec();
        key.resize(16, 0);
        let parts = match code {
            Some(code) => vec![(1, data(&key)), (2, verdict(code))],
            None => vec![(1, data(&key)), (3, 1u32.to_be_bytes().to_vec())],
        };
        let attribute = |(kind, value)| NetlinkAttribute { kind, value };
        SetElement {
            attributes: parts.into_iter().map(attribute).collect(),
        }
    });
    wild.elements = Some(ends.collect());
    let mut plain = set("__plain", ANONYMOUS | 8, &[padded("eth0"), padded("br0")]);
    for (element, code) in elements(&mut plain).iter_mut().zip([1, 0]) {
        let given = NetlinkAttribute {
            kind: 2,
            value: verdict(code),
        };
        element.attributes.push(given);
    }
    let mut alike = wild.clone();
    alike.name = "__alike".to_owned();
    elements(&mut alike)[0].attributes[1].value = verdict(1);
    let other = [("has to give br0 what it gives eth0".to_owned(), false)];
    let (none, other): (&[(String, bool)], _) = (&[], &other[..]);
    for (map, needs) in [(wild, other), (plain, other), (alike, none)] {
        let mut by_map = lookup(&map.name, false);
        by_map.attributes.push(NetlinkAttribute {
            kind: 3,
            value: vec![0; 4],
        });
        let rules = vec![vec![meta(NAME_IN, REGISTER), by_map]];
        assert_eq!(found(&ruleset(rules, vec![map])), needs);
    }
}

#[test]
fn an_element_beside_one_that_expires_expires_with_it() {
    let mut lan = set("lan", 0x10, &[padded("eth0")]);
    let lifetime = expression(
        "",
        &[
            (4, &[0, 0, 0, 0, 0, 0, 0x8c, 0xa0]),
            (5, &[0, 0, 0, 0, 0, 0, 0x13, 0x88]),
        ],
    );
    elements(&mut lan)[0]
        .attributes
        .extend(lifetime.attributes.clone());
    let rules = vec![vec![
        meta(NAME_IN, REGISTER),
        lookup("lan", false),
        accept(),
    ]];
    let findings = search::find(&ruleset(rules, vec![lan]), &moves());
    let Some(Translation::Element {
        lifetime: carried, ..
    }) = &findings[0].translation
    else {
        panic!("{findings:?}");
    };
    assert_eq!(*carried, lifetime.attributes);
}
