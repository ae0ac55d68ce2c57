//! One story each: what is reported, what is put back.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::lab::{Lab, Place, text};
use crate::moves::assert_shown;

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    ("a_dry_run_says_what_it_would_do_and_does_nothing", dry_run),
    (
        "a_gateway_that_is_gone_afterwards_puts_everything_back",
        gateway_gone,
    ),
    (
        "a_cable_pulled_in_the_middle_puts_everything_back",
        cable_pulled,
    ),
    (
        "a_gateway_that_was_silent_before_is_not_asked",
        silent_gateway,
    ),
    (
        "a_probe_that_is_silent_before_changes_nothing",
        silent_probe,
    ),
    ("a_probe_is_asked_before_and_after", probe),
    ("a_run_that_hangs_is_killed_and_taken_back", hangs),
    (
        "a_switch_that_knows_one_hardware_address_keeps_it",
        filtering_switch,
    ),
    ("a_bridge_without_the_nic_gains_it", bridge_without_nic),
    ("other_ports_of_the_bridge_stay", other_ports),
    ("addresses_that_strayed_back_move_again", strayed),
    ("a_second_nic_keeps_what_it_has", second_nic),
    (
        "of_two_default_routes_the_one_that_was_chosen_stays_first",
        first_route,
    ),
    ("two_bridges_are_one_change", two_bridges),
    ("an_address_of_the_users_is_added", own_address),
    ("the_nic_is_the_one_of_the_default_route", default_nic),
    ("xcats_name_for_it_works", xhrm),
    ("an_advertised_address_stays_and_is_renewed", advertised),
    ("json_says_the_same", json),
    ("json_says_why_it_was_taken_back", json_of_a_failure),
    ("no_right_to_change_the_network_is_said", no_permission),
    ("the_neighbourhood_is_told_once", announced),
    (
        "a_bond_or_a_vlan_by_name_is_refused_with_the_modern_way",
        old_forms,
    ),
];

const HOST: &[&str] = &[
    "addr add 10.0.0.5/24 brd + dev eth0",
    "addr add 2001:db8::5/64 dev eth0 nodad",
    "route add default via 10.0.0.1",
    "route add default via 2001:db8::1",
];
const GATEWAY: &[&str] = &[
    "addr add 10.0.0.1/24 dev eth0",
    "addr add 2001:db8::1/64 dev eth0 nodad",
];
pub(crate) const REACH: &[&str] = &["10.0.0.5", "2001:db8::5"];
pub(crate) const WORDS: &str = "eth0:mydocker0";

pub(crate) fn lab() -> Lab {
    let lab = Lab::new(HOST, GATEWAY);
    lab.wait_for_detection();
    lab.assert_reachable(REACH);
    lab
}

fn dry_run() {
    let lab = lab();
    let before = lab.snapshot();
    let output = lab.run("eth0:mydocker0 --dry-run");
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output);
    assert!(said.contains("putting eth0 into mydocker0\n"), "{said}");
    assert!(said.contains("removing 10.0.0.5/24 from eth0\n"), "{said}");
    lab.assert_restored(&before);
    assert!(!lab.journal().exists());
}

/// Runs with a pause before the proof, and does something meanwhile.
fn disturbed(lab: &Lab, meanwhile: impl FnOnce()) {
    let before = lab.snapshot();
    let mut command = lab.command(WORDS);
    command.env("SLIPWAY_FAULT", "pause:verify");
    let run = thread::spawn(move || command.output().unwrap());
    while !lab.ip(Place::Host, "-o link").contains("mydocker0") {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(100));
    meanwhile();
    let output = run.join().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("no answer any more from gateway 10.0.0.1")
            && said.contains("everything was put back"),
        "{said}"
    );
    lab.batch(Place::Switch, &["link set port1 up", "link set port2 up"]);
    lab.assert_reachable(REACH);
    lab.wait_for_detection();
    lab.assert_restored(&before);
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

fn gateway_gone() {
    let lab = lab();
    disturbed(&lab, || lab.batch(Place::Switch, &["link set port2 down"]));
}

fn cable_pulled() {
    let lab = lab();
    disturbed(&lab, || lab.batch(Place::Switch, &["link set port1 down"]));
}

fn silent_gateway() {
    let lab = Lab::new(
        &[
            "addr add 10.0.0.5/24 dev eth0",
            "route add default via 10.0.0.99",
        ],
        GATEWAY,
    );
    lab.wait_for_detection();
    let said = lab.succeed(WORDS);
    assert!(
        said.contains("gateway 10.0.0.99 does not answer now, so it will not be probed"),
        "{said}"
    );
    assert!(
        said.contains("done; there was nobody to ask whether the network works"),
        "{said}"
    );
    lab.assert_reachable(&["10.0.0.5"]);
}

fn silent_probe() {
    let lab = lab();
    let before = lab.snapshot();
    let output = lab.run("eth0:mydocker0 --probe 10.0.0.99");
    let expected = "10.0.0.99 does not answer before the change either: nothing was changed";
    assert_eq!(text(&output), format!("bridgeprereq: {expected}\n"));
    assert_eq!(output.status.code(), Some(1));
    lab.assert_restored(&before);
}

fn probe() {
    let lab = lab();
    let mut command = lab.command("eth0:mydocker0 --probe 2001:db8::1");
    let output = command.env("MASTER", "10.0.0.1").output().unwrap();
    let said = text(&output);
    let expected = "done; reached gateway 10.0.0.1, gateway 2001:db8::1, \
                    management node 10.0.0.1, probe 2001:db8::1\n";
    assert!(said.contains(expected), "{said}");
}

fn hangs() {
    let lab = lab();
    let before = lab.snapshot();
    let mut command = lab.command("eth0:mydocker0");
    // the last --timeout counts
    let output = command
        .args(["--timeout", "1"])
        .env("SLIPWAY_FAULT", "hang:before:9")
        .output();
    let output = output.unwrap();
    lab.wait_for_watchdog();
    assert_eq!(output.status.code(), None, "{}", text(&output));
    assert!(text(&output).contains("watchdog: the change took too long: everything was put back"));
    lab.assert_restored(&before);
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

/// A port that lets only the NIC's own hardware address in, and never learns another.
fn filtering_switch() {
    let lab = lab();
    let shown = lab.ip(Place::Host, "-o link show eth0");
    let mac = shown
        .split_whitespace()
        .skip_while(|word| *word != "link/ether")
        .nth(1)
        .unwrap();
    let switch = lab.name(Place::Switch);
    lab.ip(
        Place::Switch,
        "link set port1 type bridge_slave learning off locked on",
    );
    let fdb = [
        "-n", &switch, "fdb", "replace", mac, "dev", "port1", "master", "static",
    ];
    assert!(Command::new("bridge").args(fdb).status().unwrap().success());
    lab.assert_reachable(REACH);
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

fn bridge_without_nic() {
    let lab = lab();
    lab.batch(
        Place::Host,
        &[
            "link add mydocker0 type bridge stp_state 1 forward_delay 1500",
            "link set mydocker0 up",
        ],
    );
    let shown = || {
        let addresses = lab.ip(Place::Host, "-o addr show eth0");
        let bridge = lab.ip(Place::Host, "-d -o link show mydocker0");
        let settings = bridge
            .split_whitespace()
            .skip_while(|word| *word != "link/ether");
        addresses
            + &settings
                .take_while(|w| *w != "bridge_id")
                .collect::<Vec<_>>()
                .join(" ")
    };
    let before = shown();
    let output = lab.run_with_fault(WORDS, "kill:commit");
    assert_eq!(output.status.code(), None);
    lab.wait_for_watchdog();
    assert_eq!(shown(), before);
    assert!(before.contains("forward_delay 1500") && before.contains("stp_state 1"));
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
    assert_shown(&lab, "-d link show mydocker0", "forward_delay 0");
    assert_shown(&lab, "-d link show mydocker0", "stp_state 0");
    lab.assert_settled(WORDS);
}

fn other_ports() {
    let lab = lab();
    lab.batch(
        Place::Host,
        &[
            "link add mydocker0 type bridge forward_delay 0",
            "link add vm0 type veth peer name vm0peer",
            "link set vm0 master mydocker0",
            "link set vm0 up",
            "link set mydocker0 up",
        ],
    );
    let said = lab.succeed(WORDS);
    assert!(
        said.contains("mydocker0 keeps its other ports: vm0"),
        "{said}"
    );
    lab.assert_reachable(REACH);
    assert_shown(&lab, "link show master mydocker0", "vm0@vm0peer");
    lab.assert_settled(WORDS);
}

fn strayed() {
    let lab = lab();
    lab.succeed(WORDS);
    lab.batch(
        Place::Host,
        &[
            "addr del 10.0.0.5/24 dev mydocker0",
            "addr add 10.0.0.5/24 dev eth0",
            "route add default via 10.0.0.1 dev eth0",
        ],
    );
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
    assert_shown(&lab, "route show", "default via 10.0.0.1 dev mydocker0");
    lab.assert_settled(WORDS);
}

fn second_nic() {
    let lab = lab();
    lab.wire(Place::Host, "eth1", "port3");
    lab.batch(
        Place::Host,
        &[
            "addr add 10.1.0.5/24 dev eth1",
            "route add default via 10.1.0.1 dev eth1 metric 500",
            "route append default via fe80::1 dev eth1 metric 1024",
            "route add 2001:db8:9::/48 via fe80::1 dev eth0 metric 1024",
            "route append 2001:db8:9::/48 via fe80::1 dev eth1 metric 1024",
        ],
    );
    lab.wait_for_detection();
    let shown = |words: &str| lab.ip(Place::Host, words);
    let before = (shown("-o addr show eth1"), shown("route show dev eth1"));
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
    assert_eq!(
        before,
        (shown("-o addr show eth1"), shown("route show dev eth1"))
    );
    for device in ["eth1", "mydocker0"] {
        assert_shown(
            &lab,
            "-6 route show 2001:db8:9::/48",
            &format!("dev {device}"),
        );
    }
    assert_shown(&lab, "-6 route show default", "via fe80::1 dev eth1");
    lab.assert_settled(WORDS);
}

fn first_route() {
    let lab = lab();
    lab.wire(Place::Host, "eth1", "port3");
    let other = [
        "addr add 10.1.0.5/24 dev eth1",
        "addr add 10.1.0.6/24 dev eth1",
    ];
    lab.batch(Place::Host, &other);
    lab.batch(
        Place::Host,
        &[
            "route append default via 10.1.0.1 dev eth1",
            "route append 10.7.0.0/16 via 10.1.0.1 dev eth1",
            "route append 10.7.0.0/16 via 10.0.0.1 dev eth0",
            "route append 10.8.0.0/16 via 10.0.0.1 dev eth0",
            "route append 10.8.0.0/16 via 10.0.0.2 dev eth0",
            "route append 10.8.0.0/16 via 10.1.0.1 dev eth1",
        ],
    );
    lab.wait_for_detection();
    let before = lab.snapshot();
    let output = lab.run_with_fault(WORDS, "kill:verify");
    assert_eq!(output.status.code(), None);
    lab.wait_for_watchdog();
    lab.assert_restored(&before);
    let shown = |to: &str| lab.ip(Place::Host, &format!("route show {to}"));
    let routes = ["default", "10.7.0.0/16", "10.8.0.0/16"].map(shown);
    lab.succeed(WORDS);
    for (to, was) in ["default", "10.7.0.0/16", "10.8.0.0/16"]
        .into_iter()
        .zip(&routes)
    {
        assert_eq!(shown(to), was.replace("eth0", "mydocker0"));
    }
    lab.assert_settled(WORDS);
}

fn two_bridges() {
    let lab = lab();
    lab.wire(Place::Host, "eth1", "port3");
    lab.batch(Place::Host, &["addr add 10.0.0.8/32 dev eth1"]);
    lab.wait_for_detection();
    let before = lab.snapshot();
    let output = lab.run_with_fault("eth0:mydocker0,eth1:br1", "kill:verify");
    assert_eq!(output.status.code(), None);
    lab.wait_for_watchdog();
    lab.assert_restored(&before);
    lab.succeed("eth0:mydocker0,eth1:br1");
    lab.assert_reachable(REACH);
    assert_shown(&lab, "addr show br1", "inet 10.0.0.8/32 scope global br1");
    lab.assert_settled("eth0:mydocker0,eth1:br1");
}

fn own_address() {
    let lab = lab();
    lab.succeed("eth0:mydocker0 10.0.0.9 255.255.255.0");
    lab.assert_reachable(&["10.0.0.5", "10.0.0.9"]);
    assert_shown(
        &lab,
        "addr show mydocker0",
        "inet 10.0.0.9/24 brd 10.0.0.255 scope global",
    );
    lab.assert_settled("eth0:mydocker0 10.0.0.9/24");
}

fn default_nic() {
    let lab = lab();
    lab.wire(Place::Host, "eth1", "port3");
    lab.succeed("mydocker0");
    assert_shown(&lab, "link show master mydocker0", "eth0@");
    lab.assert_settled("mydocker0");
    let named = |variable: &str, value: &str| {
        let mut command = lab.command("br1 --dry-run");
        text(&command.env(variable, value).output().unwrap())
    };
    assert!(named("INSTALLNIC", "eth1").contains("putting eth1 into br1\n"));
    assert!(named("PRIMARYNIC", "eth1").contains("putting eth1 into br1\n"));
    assert!(named("INSTALLNIC", "eth").contains("there is no NIC 'eth' on this host"));
    let shown = lab.ip(Place::Host, "-o link show eth1");
    let mac = shown
        .split_whitespace()
        .skip_while(|word| *word != "link/ether")
        .nth(1)
        .unwrap();
    let mut command = lab.command("br1 --dry-run");
    command
        .env("INSTALLNIC", "mac")
        .env("MACADDRESS", format!("{mac}!host01"));
    let said = text(&command.output().unwrap());
    assert!(said.contains("putting eth1 into br1\n"), "{said}");
}

fn xhrm() {
    let lab = lab();
    let link = lab.root().join("xHRM");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bridgeprereq"), &link).unwrap();
    let xhrm = |words: &str| {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &lab.name(Place::Host)])
            .arg(&link)
            .args(words.split(' '))
            .arg(lab.root())
            .env_clear();
        command.output().unwrap()
    };
    // by its name, as the seeds of postscripts call it
    let output = xhrm("bridgeprereq eth0:mydocker0 --no-persist --root");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    lab.assert_reachable(REACH);
    lab.assert_settled("xHRM bridgeprereq eth0:mydocker0");
    let output = xhrm("storageprereq");
    assert_eq!(output.status.code(), Some(2));
    let output = lab.run("xHRM storageprereq nfs://server/path");
    assert_eq!(output.status.code(), Some(2));
    let expected = "xHRM: 'storageprereq' is not known here: the one command is bridgeprereq\n";
    assert_eq!(text(&output), expected);
}

/// A router advertises; the host makes an address of it, moves, and hears the next advertisement.
fn advertised() {
    let lab = Lab::new(
        &[],
        &[
            "addr add fe80::1/64 dev eth0 nodad",
            "addr add 2001:db8:1::1/64 dev eth0 nodad",
        ],
    );
    lab.sysctl(Place::Host, "ipv6/conf/eth0/accept_ra", "1");
    lab.wait_for_detection();
    lab.within(Place::Gateway, || crate::advertise::advertise("eth0", 900));
    thread::sleep(Duration::from_millis(300));
    lab.wait_for_detection();
    let address = lab.ip(Place::Host, "-6 -o addr show eth0 scope global");
    let address = address.split_whitespace().nth(3).unwrap().to_owned();
    let ip = address.split('/').next().unwrap();
    lab.assert_reachable(&[ip]);
    lab.succeed(WORDS);
    lab.assert_reachable(&[ip]);
    assert_shown(
        &lab,
        "addr show mydocker0",
        &format!("inet6 {address} scope global dynamic mngtmpaddr"),
    );
    assert_shown(
        &lab,
        "-6 route show",
        "default via fe80::1 dev mydocker0 proto ra metric 1025 expires",
    );
    lab.within(Place::Gateway, || crate::advertise::advertise("eth0", 9000));
    thread::sleep(Duration::from_millis(300));
    let shown = lab.ip(Place::Host, "-6 addr show mydocker0 scope global");
    assert_eq!(shown.matches("inet6").count(), 1, "{shown}");
    assert!(
        shown.contains("valid_lft 9000sec") || shown.contains("valid_lft 8999sec"),
        "{shown}"
    );
    assert_shown(
        &lab,
        "-6 route show",
        "default via fe80::1 dev mydocker0 proto ra metric 1024 expires",
    );
    lab.assert_settled(WORDS);
}

fn json() {
    let lab = lab();
    let report = |words: &str, outcome: &str| {
        let output = lab.run(words);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["outcome"], outcome);
        report
    };
    let planned = report("eth0:mydocker0 --json --dry-run", "planned");
    let changed = report("eth0:mydocker0 --json", "changed");
    assert_eq!(planned["steps"], changed["steps"]);
    assert_eq!(changed["reached"][0], "gateway 10.0.0.1");
    assert_eq!(changed["plan"][0]["step"], "create-bridge");
    let unchanged = report("eth0:mydocker0 --json", "unchanged");
    assert_eq!(unchanged["steps"], serde_json::json!([]));
}

/// A change that was taken back has an exit code of its own, and says why.
fn json_of_a_failure() {
    let lab = lab();
    let output = lab.run_with_fault("eth0:mydocker0 --json", "refuse:before:1");
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["outcome"], "rolled-back");
    let error = report["error"].as_str().unwrap();
    assert!(
        error.starts_with("making bridge mydocker0 ")
            && error.ends_with(": Operation not permitted (os error 1)"),
        "{error}"
    );
}

/// Without the right to change the network it says so and changes nothing.
fn no_permission() {
    let lab = lab();
    let before = lab.snapshot();
    let without = "--bounding-set=-net_admin --inh-caps=-net_admin";
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &lab.name(Place::Host), "setpriv"])
        .args(without.split(' '))
        .arg(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args([WORDS, "--no-persist", "--root"])
        .arg(lab.root())
        .env_clear();
    let output = command.output().unwrap();
    assert_eq!(
        text(&output),
        "bridgeprereq: changing the network needs root (CAP_NET_ADMIN): nothing was changed\n"
    );
    assert_eq!(output.status.code(), Some(1));
    lab.assert_restored(&before);
}

/// The neighbourhood hears where the addresses are now, once each.
fn announced() {
    let lab = lab();
    let shown = lab.ip(Place::Host, "-o link show eth0");
    let mac = shown
        .split_whitespace()
        .skip_while(|word| *word != "link/ether")
        .nth(1)
        .unwrap()
        .to_owned();
    let heard = crate::advertise::listen(&lab, Place::Gateway);
    lab.succeed(WORDS);
    let heard = heard.stop();
    for announcement in [
        format!("arp {mac} 10.0.0.5"),
        format!("neighbour advertisement {mac} 2001:db8::5"),
    ] {
        let count = heard.iter().filter(|frame| **frame == announcement).count();
        assert_eq!(count, 1, "{announcement} in {heard:?}");
    }
}

fn old_forms() {
    let lab = lab();
    for (words, expected) in [
        (
            "eth0&eth1:mydocker0",
            "a bond of eth0 and eth1 is no longer made here: configure it as bond0 where this \
             host's network is configured, then pass bond0:mydocker0",
        ),
        (
            "eth0:vlan5",
            "a VLAN is no longer made here by a bridge's name: configure eth0.5 where this host's \
             network is configured, then pass eth0.5:BRIDGE",
        ),
    ] {
        let output = lab.run(words);
        assert!(text(&output).contains(expected), "{}", text(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}
