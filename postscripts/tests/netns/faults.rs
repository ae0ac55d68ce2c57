//! Whatever dies, hangs or is refused, and whenever: the host stays reachable, everything is put
//! back, and the next run converges.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use postscripts::bridge::net::Step;

use crate::advertise::advertise;
use crate::lab::{Lab, Place, assert_same, text};

/// A host whose change is struck, and its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// It has something of everything, and its bridge has to be made.
    Full,
    /// It has a bridge that bridges otherwise, and a router that advertises.
    Bridged,
}

impl Victim {
    const fn host(self) -> &'static [&'static str] {
        match self {
            Self::Full => &[
                "addr add 10.0.0.5/24 brd + dev eth0",
                "addr add 10.0.0.6/24 dev eth0 label eth0:1",
                "addr add 2001:db8::5/64 dev eth0 nodad",
                "route add default via 10.0.0.1 metric 100",
                "route add default via 10.0.0.1 table 100",
                "route add default via 2001:db8::1 metric 50",
                "nexthop add id 7 via 10.0.0.1 dev eth0",
                "route add 192.168.0.0/16 nhid 7",
                "rule add iif eth0 table 100 priority 1001",
                "neigh add 10.0.0.77 lladdr 52:54:00:00:00:77 dev eth0 nud permanent",
            ],
            Self::Bridged => &[
                "link add mydocker0 mtu 1400 type bridge stp_state 1 forward_delay 1500",
                "link set mydocker0 up",
                "addr add 10.0.0.5/24 brd + dev eth0",
                "addr add 2001:db8::5/64 dev eth0 nodad",
                "route add default via 10.0.0.1",
            ],
        }
    }

    const fn gateway(self) -> &'static [&'static str] {
        match self {
            Self::Full => &[
                "addr add 10.0.0.1/24 dev eth0",
                "addr add 2001:db8::1/64 dev eth0 nodad",
            ],
            Self::Bridged => &[
                "addr add 10.0.0.1/24 dev eth0",
                "addr add 2001:db8::1/64 dev eth0 nodad",
                "addr add fe80::1/64 dev eth0 nodad",
            ],
        }
    }

    const fn reach(self) -> &'static [&'static str] {
        match self {
            Self::Full => &["10.0.0.5", "10.0.0.6", "2001:db8::5"],
            Self::Bridged => &["10.0.0.5", "2001:db8::5"],
        }
    }

    fn lab(self) -> Lab {
        let lab = Lab::quick(self.host(), self.gateway());
        match self {
            Self::Full => {
                lab.sysctl(Place::Host, "ipv4/conf/eth0/arp_ignore", "1");
                lab.host("iptables-nft -A INPUT -i eth0 -j ACCEPT");
            }
            Self::Bridged => {
                lab.sysctl(Place::Host, "ipv6/conf/eth0/accept_ra", "1");
                // Else it answers as a host, and the kernel takes away the route that it advertised (rt6_clean_tohost).
                lab.sysctl(Place::Gateway, "ipv6/conf/eth0/forwarding", "1");
                lab.wait_for("an advertised route", || {
                    lab.within(Place::Gateway, || advertise("eth0", 900));
                    lab.ip(Place::Host, "-6 route show default")
                        .contains("proto ra")
                });
            }
        }
        lab.wait_for_detection();
        lab.assert_reachable(self.reach());
        lab
    }

    /// What the host's kernel says, without what comes by itself.
    fn snapshot(self, lab: &Lab) -> String {
        let all = lab.snapshot();
        if self == Self::Full {
            return all + &lab.host("iptables-nft -S INPUT");
        }
        // A bridge makes an address of its own hardware address when it gets a port, or is told again
        // that it may; routes come with it.
        let own = |line: &str| {
            line.contains("mydocker0") && (line.contains("fe80::") || line.contains("ff00::/8"))
        };
        let lines: Vec<_> = all.lines().filter(|line| !own(line)).collect();
        // A route of an advertisement that was taken away comes back as one that gives way to the next
        // advertisement: one metric behind, for the time that was left.
        lines
            .join("\n")
            .replace("proto ra metric 1025", "proto ra metric 1024")
    }
}

const WORDS: &str = "eth0:mydocker0 --firewall translate";

fn plan(victim: Victim) -> Vec<Step> {
    let output = victim.lab().run(&format!("{WORDS} --dry-run --json"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(report["plan"].clone()).unwrap()
}

/// How many steps the plan for a host has, and how many its undo.
pub(crate) fn steps(victim: Victim) -> (usize, usize) {
    let steps = plan(victim);
    (steps.len(), steps.iter().filter_map(Step::undo).count())
}

/// Between the two there is every step that a plan can have.
pub(crate) fn every_kind() {
    let kind = |step: &Step| {
        let step = serde_json::to_value(step).unwrap();
        step["step"].as_str().unwrap().to_owned()
    };
    let steps = [plan(Victim::Full), plan(Victim::Bridged)].concat();
    let undone = steps.iter().filter_map(Step::undo);
    let kinds: BTreeSet<_> = steps
        .iter()
        .cloned()
        .chain(undone)
        .map(|step| kind(&step))
        .collect();
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "add-address",
            "add-neighbour",
            "add-route",
            "add-rule",
            "add-twin",
            "announce",
            "create-bridge",
            "delete-bridge",
            "enslave",
            "release",
            "remove-address",
            "remove-neighbour",
            "remove-route",
            "remove-rule",
            "remove-twin",
            "retire-route",
            "revive-route",
            "set-bridge",
            "set-down",
            "set-mac",
            "set-mtu",
            "set-next-hop",
            "set-sysctl",
            "set-up",
            "teach-neighbours",
        ]
    );
}

/// A run that is slow and then takes its change back is not killed for it.
pub(crate) fn slow_undo() {
    let pauses = |at: &str| {
        (1..=9)
            .map(|step| format!("pause:{at}:{step},"))
            .collect::<String>()
    };
    let (change, undo) = (pauses("before"), pauses("undo"));
    survives(Victim::Full, &format!("refuse:before:12,{change}{undo}"));
}

/// Runs with one fault, then proves that nothing is lost.
pub(crate) fn survives(victim: Victim, fault: &str) {
    let lab = victim.lab();
    let before = victim.snapshot(&lab);
    let output = lab.run_with_fault(WORDS, fault);
    let said = text(&output);
    if fault.starts_with("refuse") && !fault.contains("kill") {
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("Operation not permitted (os error 1): everything was put back"),
            "{said}"
        );
    } else {
        assert_eq!(output.status.code(), None, "{said}");
    }
    lab.wait_for_watchdog();
    lab.assert_reachable(victim.reach());
    if fault.starts_with("both") {
        assert!(lab.journal().exists(), "the journal tells the next run");
    } else {
        assert!(!lab.journal().exists());
        // The kernel takes a second to notice that a bridge has lost its last port.
        let end = Instant::now() + Duration::from_secs(3);
        while victim.snapshot(&lab) != before && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        assert_same(&before, &victim.snapshot(&lab));
    }
    lab.succeed(WORDS);
    lab.assert_reachable(victim.reach());
    lab.wait_for_detection();
    lab.assert_settled(WORDS);
}
