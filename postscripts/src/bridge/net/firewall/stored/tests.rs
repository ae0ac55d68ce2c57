//! Hosts with rules for the next boot, and what is said of each.

use std::fs;

use nix::sys::stat::Mode;
use tempfile::TempDir;

use super::super::tests::moves;
use super::{MAX_BYTES, StoredRules, find};

fn look(files: &[(&str, &str)]) -> StoredRules {
    let root = host(files);
    find(root.path(), &moves())
}

fn host(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (name, text) in files {
        let path = root.path().join(name.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn a_rule_is_settled_by_one_that_says_the_same_of_the_bridge() {
    let cases = [
        ("-A INPUT -i eth0 -j ACCEPT\n-A FORWARD -i br0 -j ACCEPT", 1),
        ("-A INPUT -i eth0 -j ACCEPT\n-A INPUT -i br0 -j ACCEPT", 0),
        (
            "[5:60] -A INPUT -i eth0 -j ACCEPT\n[0:0]  -A INPUT -i br0 -j ACCEPT",
            0,
        ),
        (
            "*nat\n-A OUTPUT -o eth0 -j ACCEPT\nCOMMIT\n*raw\n-A OUTPUT -o br0 -j ACCEPT\nCOMMIT",
            1,
        ),
        ("-A FORWARD -i eth0 -o br0 -j DROP", 1),
        ("-A FORWARD -i br0 -m physdev --physdev-in eth0 -j DROP", 0),
        ("-A INPUT -m comment --comment \"x # y\" -i eth0 -j DROP", 1),
        ("-A INPUT -i br+ -j DROP # not eth0", 0),
        ("chain i {\niifname { \"eth0\", \"br0\" } accept\n}", 0),
        (
            "chain i {\niifname \"eth0\" counter packets 7 bytes 9 accept\n\
             iifname \"br0\" counter packets 0 bytes 0 accept\n}",
            0,
        ),
        (
            "chain i {\niifname \"eth0\" accept\n}\nchain f {\niifname \"br0\" accept\n}",
            1,
        ),
        (
            "table ip f { chain i { iifname \"eth0\" accept; oifname \"br0\" drop; } }",
            1,
        ),
        (
            "table ip f { chain i { iifname eth0 accept; iifname br0 accept } }",
            0,
        ),
        ("iifname != \"eth0\" iifname != \"br0\" drop", 0),
        ("iifname != \"eth0\" drop\niifname != \"br0\" drop", 1),
        ("-A INPUT ! -i eth0 -j DROP\n-A INPUT ! -i br0 -j DROP", 1),
        ("iif != eth0 oifname \"br0\" drop", 1),
        (
            "iifname != { \"lo\", \"eth0\" } drop\niifname != { \"lo\", \"br0\" } drop",
            1,
        ),
        ("iifname != { \"br0\", \"eth0\" } drop", 0),
        (
            "iifname != \"lo\" oifname \"eth0\" drop\niifname != \"lo\" oifname \"br0\" drop",
            0,
        ),
        ("iifname \"eth0\" oifname \"br0\" drop", 1),
        ("elements = { \"eth0\",\n  # the lab\n  \"br0\" }", 0),
        ("elements = {\n\"eth0\",\n\"eth1\"\n}", 1),
        (
            "chain i { type filter hook ingress device \"eth0\" priority 0; }",
            0,
        ),
    ];
    for (text, left) in cases {
        let found = look(&[("/etc/iptables/rules.v4", text)]);
        assert_eq!(found.lines.len(), left, "{text}: {:?}", found.lines);
        assert_eq!(found.unread, [""; 0], "{text}");
    }
}

/// A host's files, and the one line that is found.
type Case = (&'static [(&'static str, &'static str)], &'static str);

const RULE: &str = "-A INPUT -i eth0 -j ACCEPT\n";

const FOLLOWED: [Case; 17] = [
    (
        &[
            (
                "/etc/network/interfaces",
                "iface eth0 inet dhcp\n  pre-up iptables-restore < /etc/lab.rules\n",
            ),
            ("/etc/lab.rules", RULE),
        ],
        "/etc/lab.rules, line 1: -A INPUT -i eth0 -j ACCEPT (loaded by /etc/network/interfaces: the same for br0)",
    ),
    (
        &[
            ("/etc/network/interfaces", "source lab/*.cfg\n"),
            (
                "/etc/network/lab/1.cfg",
                "  up ip6tables-restore </srv/six\nsource lab/*.cfg\n",
            ),
            ("/srv/six", RULE),
        ],
        "/srv/six, line 1: -A INPUT -i eth0 -j ACCEPT (loaded by /etc/network/lab/1.cfg: the same for br0)",
    ),
    (
        &[
            (
                "/etc/network/if-pre-up.d/lab",
                "#!/bin/sh\nRULES=\"/etc/lab.rules\"\n/usr/sbin/iptables-legacy-restore -n \"$RULES\"\n",
            ),
            ("/etc/lab.rules", RULE),
        ],
        "/etc/lab.rules, line 1: -A INPUT -i eth0 -j ACCEPT (loaded by /etc/network/if-pre-up.d/lab: the same for \
         br0)",
    ),
    (
        &[
            (
                "/etc/systemd/system/lab.service",
                "[Service]\nExecStart=-/usr/sbin/nft -f /etc/lab.nft\n",
            ),
            ("/etc/lab.nft", "iif eth0 accept\n"),
        ],
        "/etc/lab.nft, line 1: iif eth0 accept (loaded by /etc/systemd/system/lab.service: the same for br0)",
    ),
    (
        &[
            (
                "/etc/systemd/system/lab.service.d/1.conf",
                "[Service]\nExecStart=/usr/local/sbin/lab\n",
            ),
            (
                "/usr/local/sbin/lab",
                "#!/bin/sh\necho eth0\niptables -A INPUT -i eth0 -j DROP\n",
            ),
        ],
        "/usr/local/sbin/lab, line 3: iptables -A INPUT -i eth0 -j DROP (run by \
         /etc/systemd/system/lab.service.d/1.conf: the same for br0)",
    ),
    (
        &[
            ("/etc/rc.local", "#!/bin/sh\n/opt/lab/up start\n"),
            (
                "/opt/lab/up",
                "#!/bin/sh\ncat /opt/lab/rules | iptables-restore\n",
            ),
            ("/opt/lab/rules", RULE),
        ],
        "/opt/lab/rules, line 1: -A INPUT -i eth0 -j ACCEPT (loaded by /opt/lab/up: the same for br0)",
    ),
    (
        &[(
            "/etc/init.d/lab",
            "#!/bin/sh\nWAN=eth0\nip6tables -A INPUT -i $WAN -j DROP\n",
        )],
        "/etc/init.d/lab, line 2: WAN=eth0 (an init script: the same for br0)",
    ),
    (
        &[
            (
                "/etc/nftables.conf",
                "#!/usr/sbin/nft -f\nflush ruleset\ninclude \"/etc/lab/*.nft\"\n",
            ),
            ("/etc/lab/1.nft", "iifname \"eth0\" accept\n"),
        ],
        "/etc/lab/1.nft, line 1: iifname \"eth0\" accept (included by /etc/nftables.conf: the same for br0)",
    ),
    (
        &[
            ("/etc/nftables.conf", "include \"lab.nft\"\n"),
            (
                "/etc/lab.nft",
                "include './deep/er.nft'; include \"lab.nft\"\n",
            ),
            ("/etc/deep/er.nft", "oif \"eth0\" masquerade\n"),
        ],
        "/etc/deep/er.nft, line 1: oif \"eth0\" masquerade (included by /etc/lab.nft: the same for br0)",
    ),
    (
        &[("/etc/nftables/a/b/c.nft", "iifname eth0 accept\n")],
        "/etc/nftables/a/b/c.nft, line 1: iifname eth0 accept (nftables.service: the same for br0)",
    ),
    (
        &[(
            "/etc/wireguard/wg0.conf",
            "[Interface]\nPrivateKey = eth0\nPostUp = nft list tables; iptables -t nat -A POSTROUTING -o eth0 -j \
             MASQUERADE\n",
        )],
        "/etc/wireguard/wg0.conf, line 3: iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE (wg-quick: the same \
         for br0)",
    ),
    (
        &[("/etc/shorewall/snat", "MASQUERADE 10.1.0.0/16 eth0\n")],
        "/etc/shorewall/snat, line 1: MASQUERADE 10.1.0.0/16 eth0 (shorewall: the same for br0)",
    ),
    (
        &[("/etc/shorewall6/params", "NET_IF=eth0 # uplink\n")],
        "/etc/shorewall6/params, line 1: NET_IF=eth0 (shorewall: the same for br0)",
    ),
    (
        &[
            ("/etc/iptables/lab", RULE),
            ("/etc/iptables/lab.bak", RULE),
            ("/etc/iptables/lab.dpkg-old", RULE),
        ],
        "/etc/iptables/lab, line 1: -A INPUT -i eth0 -j ACCEPT (netfilter-persistent: the same for br0)",
    ),
    (
        &[("/etc/iptables.up.rules", RULE)],
        "/etc/iptables.up.rules, line 1: -A INPUT -i eth0 -j ACCEPT (iptables-restore: the same for br0)",
    ),
    (
        &[("/etc/ip6tables.rules", RULE)],
        "/etc/ip6tables.rules, line 1: -A INPUT -i eth0 -j ACCEPT (iptables-restore: the same for br0)",
    ),
    (
        &[(
            "/etc/ferm/ferm.conf",
            "chain INPUT {\n  interface (eth0 eth1) proto tcp ACCEPT;\n}\n",
        )],
        "/etc/ferm/ferm.conf, line 2: interface (eth0 eth1) proto tcp ACCEPT (ferm: the same for br0)",
    ),
];

#[test]
fn rules_are_found_wherever_a_host_loads_them_from() {
    for (files, line) in FOLLOWED {
        let found = look(files);
        assert_eq!(found.lines, [line], "{files:?}");
        assert_eq!(found.unread, [""; 0], "{files:?}");
        let moved = |text: &str| format!("{text}{}", text.replace("eth0", "br0"));
        let both: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, moved(text)))
            .collect();
        let both: Vec<_> = both.iter().map(|(path, text)| (*path, &text[..])).collect();
        assert_eq!(look(&both), StoredRules::default(), "{files:?}");
    }
}

#[test]
fn what_loads_no_rules_is_not_taken_for_some() {
    let found = look(&[
        (
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n  up /etc/lab/up eth0\n  # iptables-restore < /etc/lab/rules\n",
        ),
        ("/etc/lab/up", "#!/bin/sh\nip link set eth0 up\n"),
        ("/etc/lab/rules", RULE),
        (
            "/etc/systemd/system/lab.service",
            "[Service]\nEnvironmentFile=/etc/lab/env\nExecStart=/usr/sbin/iptables-save -f /etc/lab/rules\n",
        ),
        ("/etc/lab/env", "NIC=eth0\n"),
        ("/etc/init.d/lab", "#!/bin/sh\nNIC=eth0\nifup $NIC\n"),
        ("/etc/nftables.conf", "# include \"/etc/lab/rules\"\n"),
    ]);
    assert_eq!(found, StoredRules::default());
}

#[test]
fn what_is_no_file_of_rules_is_named() {
    let root = host(&[
        (
            "/etc/network/interfaces",
            "  pre-up iptables-restore /etc/lab/pipe\n",
        ),
        ("/etc/lab/big", &"#".repeat(MAX_BYTES as usize + 1)),
        ("/etc/nftables/big", &"#".repeat(MAX_BYTES as usize + 1)),
        ("/etc/ufw/program", "\u{7f}ELF eth0"),
        ("/etc/ufw/latin.rules", ""),
        ("/etc/iptables/x", ""),
        ("/srv/others", RULE),
    ]);
    let at = |path: &str| root.path().join(path);
    for pipe in ["etc/iptables/rules.v4", "etc/nftables.conf", "etc/lab/pipe"] {
        nix::unistd::mkfifo(&at(pipe), Mode::S_IRWXU).unwrap();
    }
    fs::write(at("etc/ufw/latin.rules"), b"# f\xfcr\n-A x -i eth0\n").unwrap();
    std::os::unix::fs::symlink("../../srv/others", at("etc/ufw/linked")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    fs::set_permissions(at("srv/others"), mode(0o666)).unwrap();
    let found = find(root.path(), &moves());
    assert_eq!(
        found.lines,
        ["/etc/ufw/latin.rules, line 2: -A x -i eth0 (ufw: the same for br0)"]
    );
    assert_eq!(
        found.unread,
        [
            "/etc/iptables/rules.v4 is a named pipe: it is not read",
            "/etc/nftables.conf is a named pipe: it is not read",
            "/etc/nftables/big has more than 4194304 bytes: it is not read",
            "/etc/ufw/linked is a link to a file that others may change: it is not read",
            "/etc/ufw/program is a program: it is not read",
            "/etc/lab/pipe is a named pipe: it is not read",
        ]
    );
    fs::set_permissions(at("srv/others"), mode(0o644)).unwrap();
    let found = find(root.path(), &moves());
    assert!(
        found
            .lines
            .iter()
            .any(|line| line.starts_with("/etc/ufw/linked, line 1: ")),
        "{found:?}"
    );
}

#[test]
fn a_rule_about_all_but_the_nic_needs_the_bridge_in_itself() {
    let rules = "-A INPUT ! -i eth0 -j DROP\n-A INPUT ! -i br0 -j DROP\n";
    assert_eq!(
        look(&[("/etc/iptables/rules.v4", rules)]).lines,
        [
            "/etc/iptables/rules.v4, line 1: -A INPUT ! -i eth0 -j DROP (netfilter-persistent: it has to leave out br0 too)"
        ]
    );
}
