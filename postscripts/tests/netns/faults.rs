//! Whatever dies, hangs or is refused, and whenever: the host stays reachable, everything is put
//! back, and the next run converges.

use postscripts::net::Step;

use crate::lab::{Lab, Place, assert_same, text};

/// A host with something of everything, so that the plan has every kind of step.
const HOST: &[&str] = &[
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
];
const GATEWAY: &[&str] = &[
    "addr add 10.0.0.1/24 dev eth0",
    "addr add 2001:db8::1/64 dev eth0 nodad",
];
const REACH: &[&str] = &["10.0.0.5", "10.0.0.6", "2001:db8::5"];
const WORDS: &str = "eth0:mydocker0";

fn lab() -> Lab {
    let lab = Lab::new(HOST, GATEWAY);
    lab.sysctl(Place::Host, "ipv4/conf/eth0/arp_ignore", "1");
    lab.wait_for_detection();
    lab.assert_reachable(REACH);
    lab
}

/// How many steps the plan for this host has, and how many its undo.
pub(crate) fn steps() -> (usize, usize) {
    let output = lab().run("eth0:mydocker0 --dry-run --json");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps: Vec<Step> = serde_json::from_value(report["plan"].clone()).unwrap();
    (steps.len(), steps.iter().filter_map(Step::undo).count())
}

/// Runs with one fault, then proves that nothing is lost.
pub(crate) fn survives(fault: &str) {
    let lab = lab();
    let before = lab.snapshot();
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
    lab.wait_for_guardian();
    lab.assert_reachable(REACH);
    if fault.starts_with("both") {
        assert!(lab.journal().exists(), "the journal tells the next run");
    } else {
        assert!(!lab.journal().exists());
        assert_same(&before, &lab.snapshot());
    }
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
    lab.assert_settled(WORDS);
}
