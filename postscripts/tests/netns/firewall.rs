//! Rules of the host's firewall that name the NIC: refused, translated or kept, and taken back with
//! everything else.

use crate::lab::{Lab, Place, assert_same, text};

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    (
        "rules_that_name_the_nic_are_refused_with_what_they_need",
        refused,
    ),
    ("translated_rules_match_and_need_no_second_run", translated),
    (
        "translated_rules_are_taken_back_with_everything_else",
        taken_back,
    ),
    ("rules_that_are_kept_are_left_alone", kept),
    ("what_cannot_be_translated_is_refused", untranslatable),
    ("rules_of_nft_are_read_in_every_form", by_nft),
    ("what_sends_copies_to_the_nic_is_refused", copies),
    ("rules_that_would_begin_to_match_are_refused", beginning),
    ("what_is_bound_to_the_port_itself_stays_and_is_said", bound),
    (
        "filters_of_traffic_control_about_the_nic_are_refused",
        filters,
    ),
    ("rules_about_others_are_none_of_ours", others),
    ("a_rule_for_the_next_boot_alone_is_refused_too", next_boot),
];

const WORDS: &str = "eth0:mydocker0";

/// The tools of both kinds of tables.
const TOOLS: [&str; 4] = [
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
];

/// A host that lets nobody in but by its NIC.
fn lab() -> Lab {
    let lab = Lab::quick(
        &[
            "addr add 10.0.0.5/24 brd + dev eth0",
            "addr add 2001:db8::5/64 dev eth0 nodad",
            "route add default via 10.0.0.1",
        ],
        &[
            "addr add 10.0.0.1/24 dev eth0",
            "addr add 2001:db8::1/64 dev eth0 nodad",
        ],
    );
    lab.wait_for_detection();
    lab
}

const REACH: &[&str] = &["10.0.0.5", "2001:db8::5"];

/// Nobody comes in but by the NIC; IPv6 finds its neighbours by ICMP.
fn closed(lab: &Lab, nft: bool) {
    let tools = if nft {
        ["iptables-nft", "ip6tables-nft"]
    } else {
        ["iptables-legacy", "ip6tables-legacy"]
    };
    for tool in tools {
        lab.host(&format!("{tool} -A INPUT -i lo -j ACCEPT"));
        lab.host(&format!(
            "{tool} -A INPUT -i eth0 -m comment --comment way-in -j ACCEPT"
        ));
        lab.host(&format!("{tool} -P INPUT DROP"));
    }
}

const TABLES: [&str; 2] = ["filter", "nat"];

/// What all tables hold, without the hints of the tools at each other.
fn rules(lab: &Lab) -> String {
    let mut all = String::new();
    for tool in TOOLS {
        for table in TABLES {
            let text = lab.host(&format!("{tool} -t {table} -S"));
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            all.extend(lines.map(|line| format!("{tool} {line}\n")));
        }
    }
    all
}

fn refused() {
    for tool in TOOLS {
        let lab = lab();
        lab.host(&format!(
            "{tool} -A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT"
        ));
        lab.host(&format!("{tool} -A FORWARD -i eth+ -o tun0 -j DROP"));
        lab.host(&format!(
            "{tool} -t nat -A POSTROUTING -o eth0 -j MASQUERADE"
        ));
        let before = lab.snapshot() + &rules(&lab);
        let shown = tool.trim_end_matches("-nft");
        for words in [WORDS, "eth0:mydocker0 --dry-run"] {
            let output = lab.run(words);
            assert_eq!(output.status.code(), Some(1));
            let said = text(&output);
            let mut lines: Vec<_> = said.lines().collect();
            assert_eq!(
                lines.remove(0),
                "bridgeprereq: the firewall has rules about eth0 that would not match what comes in by \
                 mydocker0; nothing was changed. '--firewall translate' adds the rule to the right of each arrow, \
                 '--firewall keep' leaves the rules alone:"
            );
            lines.sort_unstable();
            let expected = [
                (
                    "filter",
                    "-A FORWARD -i eth+ -o tun0 -j DROP",
                    "-A FORWARD -i mydocker0 -o tun0 -j DROP",
                ),
                (
                    "filter",
                    "-A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT",
                    "-A INPUT -i mydocker0 -p tcp -m tcp --dport 22 -j ACCEPT",
                ),
                (
                    "nat",
                    "-A POSTROUTING -o eth0 -j MASQUERADE",
                    "-A POSTROUTING -o mydocker0 -j MASQUERADE",
                ),
            ];
            let line = |(table, rule, twin)| {
                format!("  {shown} -t {table} {rule} -> {shown} -t {table} {twin}")
            };
            assert_eq!(lines, expected.map(line), "{words}");
        }
        assert_same(&before, &(lab.snapshot() + &rules(&lab)));
    }
}

fn translated() {
    for nft in [true, false] {
        let lab = lab();
        closed(&lab, nft);
        lab.assert_reachable(REACH);
        lab.succeed("eth0:mydocker0 --firewall translate");
        lab.assert_reachable(REACH);
        lab.assert_settled(WORDS);
        lab.assert_settled("eth0:mydocker0 --firewall translate");
        let rules = rules(&lab);
        let tools = if nft { &TOOLS[..2] } else { &TOOLS[2..] };
        for tool in tools {
            let chain = [
                "lo -j",
                "eth0 -m comment --comment way-in -j",
                "mydocker0 -m comment --comment way-in -j",
            ];
            let chain = chain.map(|rule| format!("{tool} -A INPUT -i {rule} ACCEPT\n"));
            assert!(rules.contains(&chain.concat()), "{rules}");
        }
    }
}

fn taken_back() {
    for nft in [true, false] {
        let lab = lab();
        closed(&lab, nft);
        let before = lab.snapshot() + &rules(&lab);
        let words = "eth0:mydocker0 --firewall translate";
        for fault in ["kill:verify", "both:verify"] {
            let output = lab.run_with_fault(words, fault);
            assert_eq!(output.status.code(), None, "{}", text(&output));
            lab.wait_for_watchdog();
            if fault.starts_with("both") {
                assert!(
                    rules(&lab).contains("-i mydocker0"),
                    "the next run finds them"
                );
                lab.succeed(words);
                lab.assert_reachable(REACH);
                lab.assert_settled(WORDS);
            } else {
                lab.wait_for("the bridge to be gone", || {
                    lab.snapshot() + &rules(&lab) == before
                });
            }
        }
    }
}

fn kept() {
    let lab = lab();
    lab.host("iptables-nft -A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT");
    let before = rules(&lab);
    let said = lab.succeed("eth0:mydocker0 --firewall keep");
    assert!(
        said.contains("not translated: iptables -t filter -A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT -> "),
        "{said}"
    );
    assert_eq!(rules(&lab), before);
    // what was settled once is not asked about again
    let again = lab.run(WORDS);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(String::from_utf8_lossy(&again.stdout), "nothing to do\n");
}

fn untranslatable() {
    for tool in TOOLS {
        let lab = lab();
        lab.host(&format!("{tool} -A INPUT -i eth0 -j ACCEPT"));
        lab.host(&format!("{tool} -A INPUT ! -i eth0 -j DROP"));
        let before = lab.snapshot() + &rules(&lab);
        let output = lab.run("eth0:mydocker0 --firewall translate");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(
            said.contains("these rules of the firewall cannot be translated; nothing was changed"),
            "{said}"
        );
        assert!(
            said.ends_with("-> has to leave out mydocker0 too\n"),
            "{said}"
        );
        assert_same(&before, &(lab.snapshot() + &rules(&lab)));
    }
}

fn copies() {
    for (tool, gateway) in TOOLS
        .into_iter()
        .zip(["10.0.0.9", "2001:db8::9"].into_iter().cycle())
    {
        let lab = lab();
        lab.host(&format!(
            "{tool} -t mangle -A PREROUTING -j TEE --gateway {gateway} --oif eth0"
        ));
        let before = lab.snapshot() + &rules(&lab);
        for words in [WORDS, "eth0:mydocker0 --firewall translate"] {
            let output = lab.run(words);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{tool}: {said}");
            assert!(
                said.ends_with("-> has to send to mydocker0 in place of eth0\n"),
                "{said}"
            );
        }
        assert_same(&before, &(lab.snapshot() + &rules(&lab)));
    }
}

fn beginning() {
    for tool in TOOLS {
        let lab = lab();
        for rule in ["-i mydocker+", "-m physdev --physdev-in eth0"] {
            lab.host(&format!("{tool} -A INPUT {rule} -j DROP"));
            let before = lab.snapshot() + &rules(&lab);
            for words in [WORDS, "eth0:mydocker0 --firewall translate"] {
                let output = lab.run(words);
                let said = text(&output);
                assert_eq!(output.status.code(), Some(1), "{tool} {rule}: {said}");
                assert!(
                    said.ends_with("-> begins to match when the NIC is a port\n"),
                    "{said}"
                );
            }
            assert_same(&before, &(lab.snapshot() + &rules(&lab)));
            lab.host(&format!("{tool} -F INPUT"));
        }
        lab.host(&format!("{tool} -A INPUT -i mydocker+ -j ACCEPT"));
        lab.succeed(WORDS);
        lab.host(&format!("{tool} -A FORWARD -i mydocker+ -j DROP"));
        lab.assert_settled(WORDS);
    }
}

/// Rules as nft(8) makes them, and what each has to become; nothing where it is about others.
const NFT: &[(&str, Option<&str>)] = &[
    (
        "iifname \"eth0\" drop",
        Some("nft inet t c: iifname \"mydocker0\" drop"),
    ),
    (
        "iifname \"eth*\" drop",
        Some("nft inet t c: iifname \"mydocker0\" drop"),
    ),
    (
        "iifname { \"eth0\", \"eth1\" } drop",
        Some("nft inet t c: iifname \"mydocker0\" drop"),
    ),
    (
        "iifname { \"eth*\", \"lo\", \"wl*\" } drop",
        Some("nft inet t c: iifname \"mydocker0\" drop"),
    ),
    (
        "iifname . tcp dport { \"eth0\" . 22 } accept",
        Some("needs mydocker0 in its set beside eth0"),
    ),
    (
        "iifname . ip saddr { \"eth0\" . 10.0.0.0/8 } accept",
        Some("needs mydocker0 in its set beside eth0"),
    ),
    (
        "iifname vmap { \"eth0\" : accept, \"lo\" : accept }",
        Some("nft inet t c: iifname \"mydocker0\" accept"),
    ),
    (
        "iifname != \"eth0\" drop",
        Some("has to leave out mydocker0 too"),
    ),
    (
        "iifname >= \"eth0\" iifname <= \"eth9\" drop",
        Some("has to be about mydocker0 too"),
    ),
    (
        "iif 2-9999 iif \"eth0\" drop",
        Some("has to be about mydocker0 too"),
    ),
    ("iif < 2 drop", None),
    ("iifname < \"a\" drop", None),
    ("iifname \"wl*\" drop", None),
    ("iifname { \"eth1\", \"lo\" } drop", None),
    ("ip saddr 10.0.0.0-10.0.0.255 accept", None),
];

fn by_nft() {
    let lab = lab();
    for (rule, becomes) in NFT {
        lab.host("nft add table inet t");
        let chain = "type filter hook prerouting priority 0";
        let file = lab.root().join("rules.nft");
        let made = format!("table inet t {{\nchain c {{\n{chain};\n{rule}\n}}\n}}\n");
        std::fs::write(&file, made).unwrap();
        lab.host(&format!("nft -f {}", file.display()));
        let output = lab.run("eth0:mydocker0 --dry-run");
        let said = text(&output);
        match becomes {
            Some(becomes) => {
                assert_eq!(output.status.code(), Some(1), "{rule}: {said}");
                assert!(
                    said.ends_with(&format!(" -> {becomes}\n")),
                    "{rule}: {said}"
                );
                // whoever has to find the rule knows its wildcards by their stars
                let stars = |text: &str| text.matches("*\"").count();
                assert_eq!(stars(&said), stars(rule), "{rule}: {said}");
            }
            None => assert_eq!(output.status.code(), Some(0), "{rule}: {said}"),
        }
        lab.host("nft delete table inet t");
    }
}

fn bound() {
    let lab = lab();
    lab.host("tc qdisc add dev eth0 root tbf rate 8mbit burst 10k latency 10ms");
    let said = lab.succeed(WORDS);
    assert!(
        said.contains("tc: tbf of eth0 stays there and is about all that passes the port"),
        "{said}"
    );
    assert!(lab.host("tc qdisc show dev eth0").contains("tbf"));
    lab.assert_reachable(REACH);
    lab.assert_settled(WORDS);
}

/// What a filter of another device asks about the NIC is asked in vain; what it sends there goes on.
fn filters() {
    let lab = lab();
    lab.ip(Place::Host, "link add eth1 type veth peer name eth2");
    lab.host("tc qdisc add dev eth1 clsact");
    lab.host("tc qdisc add dev eth2 root handle 1: htb");
    lab.host("tc qdisc add dev eth2 ingress");
    let send = "u32 match u32 0 0 action mirred egress mirror dev eth0";
    lab.host(&format!(
        "tc filter add dev eth1 ingress pref 8 protocol ip {send}"
    ));
    let before = lab.snapshot();
    for (on, pref) in [
        ("eth1 egress", 7),
        ("eth2 parent 1:", 9),
        ("eth2 parent ffff:", 10),
    ] {
        let rest = format!("dev {on} pref {pref} protocol ip u32");
        lab.host(&format!(
            "tc filter add {rest} match u32 0 0 indev eth0 action mirred egress mirror dev lo"
        ));
        let output = lab.run(WORDS);
        let device = &on[..4];
        let line = format!(
            "\n  tc: the u32 filter with preference {pref} of {device} compares with eth0 -> needs the same with mydocker0\n"
        );
        let said = text(&output);
        assert!(said.ends_with(&line), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(
            lab.run(&format!("{WORDS} --firewall translate"))
                .status
                .code(),
            Some(1)
        );
        lab.assert_restored(&before);
        lab.host(&format!(
            "tc filter del dev {on} pref {pref} protocol ip u32"
        ));
    }
    let said = lab.succeed(WORDS);
    let note = "tc: the u32 filter with preference 8 of eth1 goes on to send to eth0, as a port\n";
    assert!(said.contains(note), "{said}");
    lab.assert_reachable(REACH);
    lab.assert_settled(WORDS);
}

fn others() {
    for tool in TOOLS {
        let lab = lab();
        for rule in [
            "-A INPUT -i eth1 -j DROP",
            "-A FORWARD -i eth00 -j DROP",
            "-A FORWARD ! -i docker0 -o docker0 -j DROP",
            "-A FORWARD -m physdev --physdev-in eth0 -j ACCEPT",
            "-A OUTPUT -p tcp -j ACCEPT",
        ] {
            lab.host(&format!("{tool} {rule}"));
        }
        lab.succeed(WORDS);
        lab.assert_reachable(REACH);
    }
}

fn next_boot() {
    let lab = lab();
    let root = lab.root();
    crate::upheld::configure(root);
    std::fs::create_dir_all(root.join("etc/iptables")).unwrap();
    let saved = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n";
    std::fs::write(root.join("etc/iptables/rules.v4"), saved).unwrap();
    let place = "/etc/iptables/rules.v4, line 3: -A INPUT -i eth0 -j ACCEPT (netfilter-persistent: the same for \
                 mydocker0)\n";
    let output = lab.persisting(WORDS).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).ends_with(&format!("\n  {place}")),
        "{}",
        text(&output)
    );
    let output = lab
        .persisting("eth0:mydocker0 --firewall translate")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let expected = format!("for the next boot, change {place}");
    assert!(text(&output).contains(&expected), "{}", text(&output));
}
