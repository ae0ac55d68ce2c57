//! Somebody interferes while the change is proven: what stood on the NIC has to stand on the bridge in the
//! end, or everything is put back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::Duration;

use crate::lab::{Lab, Place, text};

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    (
        "what_somebody_takes_or_adds_puts_everything_back",
        interfered,
    ),
    (
        "a_daemon_that_takes_the_address_after_the_hand_over_puts_everything_back",
        after_hand_over,
    ),
    (
        "what_cannot_be_put_back_because_somebody_adds_to_it_is_no_success",
        not_put_back,
    ),
    (
        "what_others_do_on_devices_of_their_own_is_theirs",
        strangers,
    ),
    (
        "a_bridge_that_somebody_made_meanwhile_stays_and_another_try_takes_it",
        made_meanwhile,
    ),
    (
        "a_bridge_that_somebody_made_meanwhile_stays_whoever_puts_the_rest_back",
        made_meanwhile_and_killed,
    ),
];

const WORDS: &str = "eth0:mydocker0";
const REACH: &[&str] = &["10.0.0.5"];

fn lab() -> Lab {
    let lab = Lab::quick(
        &[
            "addr add 10.0.0.5/24 brd + dev eth0",
            "route add default via 10.0.0.1",
            "route add 192.0.2.0/24 via 10.0.0.1 table 100",
            "rule add iif eth0 table 100 priority 1001",
        ],
        &["addr add 10.0.0.1/24 dev eth0"],
    );
    lab.wait_for_detection();
    lab.assert_reachable(REACH);
    lab
}

/// Runs with a pause between the last step and the proof, and does something meanwhile.
fn meanwhile(lab: &Lab, commands: &[&str]) -> Output {
    let mut command = lab.command(WORDS);
    command.env("SLIPWAY_FAULT", "pause:verify");
    let run = thread::spawn(move || command.output().unwrap());
    // the NIC's own address goes last of all
    lab.wait_for("the bridge to have it all", || {
        let links = lab.ip(Place::Host, "-o addr show dev eth0");
        lab.ip(Place::Host, "-o link").contains("mydocker0") && !links.contains("10.0.0.5")
    });
    lab.batch(Place::Host, commands);
    run.join().unwrap()
}

fn interfered() {
    for (commands, difference) in [
        (
            &["addr del 10.0.0.5/24 dev mydocker0"][..],
            "10.0.0.5/24 is gone from mydocker0; the route 192.0.2.0/24 via 10.0.0.1 dev mydocker0 table 100 \
             is gone; the route default via 10.0.0.1 dev mydocker0 is gone",
        ),
        (
            &["addr add 10.0.0.77/24 dev mydocker0 valid_lft 90 preferred_lft 90"],
            "mydocker0 has 10.0.0.77/24",
        ),
        (
            &["route del default"],
            "the route default via 10.0.0.1 dev mydocker0 is gone",
        ),
        (
            &["rule del priority 1001"],
            "the rule of IPv4 iif mydocker0 is gone",
        ),
        (
            &["addr add 10.0.0.5/24 brd + dev eth0"],
            "eth0 has 10.0.0.5/24",
        ),
        (
            &["addr change 10.0.0.5/24 brd + dev mydocker0 valid_lft 90 preferred_lft 90"],
            "10.0.0.5/24 on mydocker0 is only leased now",
        ),
    ] {
        let lab = lab();
        let before = lab.snapshot();
        let output = meanwhile(&lab, commands);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{commands:?}: {said}");
        let expected =
            format!("the network is not as planned: {difference}: everything was put back\n");
        assert!(said.ends_with(&expected), "{commands:?}: {said}");
        lab.assert_restored(&before);
        lab.assert_reachable(REACH);
    }
}

/// Has the files below the root say what the kernel says, and returns where they are.
pub(crate) fn configure(root: &Path) -> PathBuf {
    let scripts = root.join("etc/sysconfig/network-scripts");
    for directory in [
        "etc/sysconfig/network-scripts",
        "run",
        "proc",
        "var/lib/slipway",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let text =
        "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.0.0.5\nPREFIX=24\nGATEWAY=10.0.0.1\n";
    fs::write(scripts.join("ifcfg-eth0"), text).unwrap();
    scripts
}

fn after_hand_over() {
    let lab = lab();
    let before = lab.snapshot();
    let scripts = configure(lab.root());
    let written = scripts.join("ifcfg-mydocker0");
    let mut command = lab.persisting(WORDS);
    let run = thread::spawn(move || command.output().unwrap());
    lab.wait_for("the files of the next boot", || written.exists());
    thread::sleep(Duration::from_millis(300));
    lab.ip(Place::Host, "addr del 10.0.0.5/24 dev mydocker0");
    let output = run.join().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("10.0.0.5/24 is gone from mydocker0"),
        "{said}"
    );
    assert!(!written.exists());
    lab.assert_restored(&before);
}

fn not_put_back() {
    let lab = lab();
    let strayed = "route add default via 10.0.0.9 dev eth0 metric 5 onlink";
    let output = meanwhile(&lab, &[strayed]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let found = "there is a new route default via 10.0.0.9 dev eth0";
    assert!(
        said.contains(&format!(
            "everything was put back, but the network is not as it was: {found}"
        )),
        "{said}"
    );
    lab.assert_reachable(REACH);
}

fn strangers() {
    let lab = lab();
    let output = meanwhile(
        &lab,
        &[
            "link add veth7 type veth peer name veth8",
            "link set veth7 up",
            "addr add 172.17.0.1/16 dev veth7",
            "addr add 2001:db8:7::1/64 dev veth7 nodad",
            "route add 198.51.100.0/24 via 172.17.0.9 dev veth7 onlink",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    lab.assert_reachable(REACH);
}

/// dockerd makes the bridges of its networks when it starts.
fn made_meanwhile() {
    let lab = lab();
    let mut command = lab.command(WORDS);
    command.env("SLIPWAY_FAULT", "pause:before:1");
    let run = thread::spawn(move || command.output().unwrap());
    lab.wait_for("the plan", || lab.journal().exists());
    lab.batch(
        Place::Host,
        &[
            "link add mydocker0 address 02:42:00:00:00:07 type bridge",
            "addr add 172.18.0.1/16 dev mydocker0",
        ],
    );
    let before = lab.snapshot();
    let output = run.join().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(
        said.contains("bridgeprereq: making bridge mydocker0 with address ")
            && said.ends_with(
                ": something else made it meanwhile: everything was put back: run this again\n"
            ),
        "{said}"
    );
    assert!(!lab.journal().exists());
    lab.assert_restored(&before);
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
    let kept = lab.ip(Place::Host, "-o addr show dev mydocker0");
    assert!(kept.contains("172.18.0.1/16"), "{kept}");
}

/// The run dies while it puts the first uplink back: the watchdog does it, or the next run.
fn made_meanwhile_and_killed() {
    const TWO: &str = "eth0:mydocker0,eth1:mydocker1";
    for dies in ["kill", "both"] {
        let lab = lab();
        lab.wire(Place::Host, "eth1", "port3");
        lab.ip(Place::Host, "addr add 10.1.0.5/24 dev eth1");
        let planned = lab.run(&format!("{TWO} --dry-run --json"));
        let planned: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
        let steps = planned["plan"].as_array().unwrap();
        let makes = |step: &serde_json::Value| step["bridge"] == "mydocker1";
        let number = steps.iter().position(makes).unwrap() + 1;
        let mut command = lab.command(TWO);
        let fault = format!("pause:before:1,pause:before:{number},{dies}:undo:1");
        command.env("SLIPWAY_FAULT", fault);
        let run = thread::spawn(move || command.output().unwrap());
        lab.wait_for("the plan", || lab.journal().exists());
        lab.batch(
            Place::Host,
            &[
                "link add mydocker1 address 02:42:00:00:00:07 up type bridge",
                "addr add 172.18.0.1/16 dev mydocker1",
            ],
        );
        let output = run.join().unwrap();
        assert_eq!(output.status.code(), None, "{dies}: {}", text(&output));
        lab.wait_for_watchdog();
        assert_eq!(lab.journal().exists(), dies == "both");
        if dies == "both" {
            // it begins with what the other left
            lab.succeed("eth1:mydocker2");
        }
        let theirs = lab.ip(Place::Host, "-o addr show dev mydocker1 up");
        assert!(theirs.contains("172.18.0.1/16"), "{dies}: {theirs}");
        let links = lab.ip(Place::Host, "-o link");
        assert!(!links.contains("mydocker0"), "{dies}: {links}");
        lab.assert_reachable(REACH);
    }
}
