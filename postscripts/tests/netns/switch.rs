//! An uplink by Open vSwitch: the switch has the NIC, and a veth pair connects it to the bridge.

use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use postscripts::bridge::net::Step;

use crate::lab::{Place, assert_same, text};
use crate::openvswitch::SwitchLab;
use crate::ping::{Stream, Watch};

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    ("ping_and_tcp_pass_a_switch_that_is_made", made),
    ("whatever_is_struck_everything_is_put_back", struck),
    ("a_switch_that_exists_keeps_its_ports_and_flows", existing),
    (
        "a_boot_brings_the_same_up_and_a_kill_leaves_no_file",
        booted,
    ),
    ("what_cannot_be_is_refused_and_nothing_changed", refused),
    (
        "a_switch_process_that_ends_meanwhile_loses_nothing",
        restarted,
    ),
    (
        "a_database_that_ends_meanwhile_loses_nothing",
        database_lost,
    ),
];

const WORDS: &str = "eth0:mydocker0 --switch ovs:sw0:netdev";
const REACH: &[&str] = &["10.0.0.5", "2001:db8::5"];

fn lab() -> SwitchLab {
    let lab = SwitchLab::new(
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
    lab.lab.wait_for_detection();
    lab.lab.assert_reachable(REACH);
    lab
}

/// Insists that a run ends so.
#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// Insists that a further run finds nothing to do, and changes nothing.
#[track_caller]
fn settled(lab: &SwitchLab, words: &str) {
    let before = lab.snapshot();
    let said = ends(&lab.run(words, ""), 0);
    assert!(said.starts_with("nothing to do\n"), "{said}");
    assert_same(&before, &lab.snapshot());
}

/// Waits until the host is as it was; the kernel takes a second to notice that a bridge has lost its last port.
#[track_caller]
fn restored(lab: &SwitchLab, before: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while lab.snapshot() != before && Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
    }
    assert_same(before, &lab.snapshot());
}

fn made() {
    let lab = lab();
    let (watch, stream) = (
        Watch::start(&lab.lab, "10.0.0.5"),
        Stream::start(&lab.lab, "10.0.0.5"),
    );
    ends(&lab.run(WORDS, ""), 0);
    let gap = stream.stop();
    let seen = watch.stop();
    assert!(seen.gap < Duration::from_secs(2), "{seen:?}");
    assert!(gap < Duration::from_secs(3), "{gap:?}");
    lab.lab.assert_reachable(REACH);
    // by the switch alone: what the kernel gets beside it would be answered twice
    let name = lab.lab.name(Place::Gateway);
    let words = [
        "netns", "exec", &name, "ping", "-c", "5", "-i", "0.2", "10.0.0.5",
    ];
    let pings = std::process::Command::new("ip")
        .args(words)
        .output()
        .unwrap();
    let said = text(&pings);
    assert!(said.contains("5 received, 0% packet loss"), "{said}");
    assert!(
        lab.lab
            .ip(Place::Host, "-o addr show dev mydocker0")
            .contains("10.0.0.5/24")
    );
    assert!(
        lab.lab
            .ip(Place::Host, "-o link show master mydocker0")
            .contains("vb-mydocker0@vs-mydocker0")
    );
    assert_eq!(lab.vsctl("list-ports sw0"), "eth0\nvs-mydocker0\n");
    settled(&lab, WORDS);
    // its name is found again by the NIC in it
    settled(&lab, "eth0:mydocker0 --switch ovs");
    settled(&lab, "mydocker0 --switch ovs");
    let said = ends(&lab.run("eth0:mydocker0", ""), 1);
    assert_eq!(
        said,
        "bridgeprereq: mydocker0 is connected to Open vSwitch by vb-mydocker0, and the NIC beside it would be a loop: \
         pass --switch ovs\n"
    );
    // a process that begins anew does as the database says, and the host stays where it is
    let mut lab = lab;
    lab.stop_switch();
    lab.start_switch();
    lab.lab.wait_for("the switch", || {
        lab.run(WORDS, "").stdout == b"nothing to do\n"
    });
    lab.lab.assert_reachable(REACH);
}

/// The numbers of the steps that a switch needs, and of the last one.
fn steps(lab: &SwitchLab, words: &str) -> (Vec<usize>, usize) {
    let output = lab.run(&format!("{words} --dry-run --json"), "");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps: Vec<Step> = serde_json::from_value(report["plan"].clone()).unwrap();
    let of_switch = |step: &Step| {
        matches!(
            step,
            Step::CreateSwitch { .. }
                | Step::SetSwitchMac { .. }
                | Step::CreateVeth { .. }
                | Step::StopOffload { .. }
                | Step::AddSwitchPort { .. }
                | Step::StartDropping { .. }
        )
    };
    let numbered = steps.iter().enumerate().filter(|(_, step)| of_switch(step));
    (numbered.map(|(at, _)| at + 1).collect(), steps.len())
}

fn struck() {
    let lab = lab();
    let before = lab.snapshot();
    let (of_switch, last) = steps(&lab, WORDS);
    assert_eq!(of_switch.len(), 6);
    for step in of_switch {
        let kill = lab.run(WORDS, &format!("kill:after:{step}"));
        assert_eq!(kill.status.code(), None, "{}", text(&kill));
        lab.lab.wait_for_watchdog();
        assert!(!lab.lab.journal().exists(), "{step}");
        restored(&lab, &before);
    }
    // the next run finds the journal of one that died with its watchdog, undoes it and is refused its first step
    for fault in ["both:verify".to_owned(), format!("both:before:{last}")] {
        let both = lab.run(WORDS, &fault);
        assert_eq!(both.status.code(), None, "{}", text(&both));
        assert!(lab.lab.journal().exists());
        lab.lab.assert_reachable(REACH);
        let said = ends(&lab.run(WORDS, "refuse:before:1"), 3);
        assert!(
            said.contains("undoing the change of a run that was interrupted"),
            "{said}"
        );
        restored(&lab, &before);
    }
    ends(&lab.run(WORDS, &format!("refuse:before:{last}")), 3);
    restored(&lab, &before);
    lab.lab.assert_reachable(REACH);
    after_a_boot(&lab, &before);
}

/// The database outlasts a boot, and so does what a run was doing to it.
fn after_a_boot(lab: &SwitchLab, before: &str) {
    lab.run(WORDS, "both:verify");
    let journal = std::fs::read_to_string(lab.lab.journal()).unwrap();
    let mut journal: serde_json::Value = serde_json::from_str(&journal).unwrap();
    // what the kernel forgets by itself
    ends(&lab.run(WORDS, "refuse:before:1"), 3);
    restored(lab, before);
    lab.vsctl("add-br sw0 -- set Bridge sw0 datapath_type=netdev external_ids:slipway=mydocker0");
    lab.vsctl("add-port sw0 eth0 -- set Port eth0 external_ids:slipway=mydocker0");
    journal["boot"] = "another".into();
    std::fs::write(lab.lab.journal(), journal.to_string()).unwrap();
    let said = ends(&lab.run(WORDS, "refuse:before:1"), 3);
    assert!(
        said.contains("undoing the change of a run that was interrupted"),
        "{said}"
    );
    restored(lab, before);
}

fn existing() {
    const WORDS: &str = "eth0:mydocker0 --switch ovs:br0";
    let lab = lab();
    lab.lab.batch(
        Place::Host,
        &[
            "link add guest0 type veth peer name guest1",
            "link set guest0 addrgenmode none up",
            "link set guest1 addrgenmode none up",
        ],
    );
    lab.vsctl("add-br br0 -- set Bridge br0 datapath_type=netdev");
    lab.vsctl("add-port br0 guest0 tag=7");
    lab.lab.wait_for("a hardware address", || {
        let mac = lab.vsctl("get Interface br0 mac_in_use");
        mac.contains(':')
    });
    let flow = "priority=9,in_port=guest0,udp,tp_dst=9,actions=drop";
    lab.succeed("ovs-ofctl", &["add-flow", "br0", flow]);
    let flows = || {
        let all = lab.succeed("ovs-ofctl", &["--no-stats", "dump-flows", "br0"]);
        let mut all: Vec<_> = all.lines().map(str::to_owned).collect();
        all.sort();
        all
    };
    let (before, own) = (lab.snapshot(), flows());
    assert_eq!(own.len(), 2, "{own:?}");
    let mac = lab.vsctl("get Interface br0 mac_in_use");
    let (_, last) = steps(&lab, WORDS);
    ends(&lab.run(WORDS, &format!("refuse:before:{last}")), 3);
    restored(&lab, &before);
    assert_eq!(flows(), own);
    let said = ends(&lab.run(WORDS, ""), 0);
    assert!(
        said.contains("br0 keeps its other ports: guest0\n"),
        "{said}"
    );
    lab.lab.assert_reachable(REACH);
    assert_eq!(lab.vsctl("list-ports br0"), "eth0\nguest0\nvs-mydocker0\n");
    assert_eq!(lab.vsctl("get Port guest0 tag"), "7\n");
    assert_eq!(lab.vsctl("get Interface br0 mac_in_use"), mac);
    assert_eq!(flows(), own);
    settled(&lab, WORDS);
}

/// The same at the next boot, by ifupdown.
fn booted() {
    let mut lab = SwitchLab::new(
        &[
            "addr add 10.0.0.5/24 brd + dev eth0",
            "route add default via 10.0.0.1",
        ],
        &["addr add 10.0.0.1/24 dev eth0"],
    );
    lab.lab.wait_for_detection();
    let interfaces =
        "auto eth0\niface eth0 inet static\n    address 10.0.0.5/24\n    gateway 10.0.0.1\n";
    for (path, text) in [
        ("etc/network/interfaces", interfaces),
        ("sbin/ifup", ""),
        ("usr/sbin/nft", ""),
        ("sys/class/net/eth0/ifindex", "2\n"),
        ("run/ifup/state", ""),
    ] {
        let path = lab.lab.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let files = |lab: &SwitchLab| {
        let words = format!("-r . {}", lab.lab.root().join("etc").display());
        lab.succeed("grep", &words.split(' ').collect::<Vec<_>>())
    };
    let (before, own) = (lab.snapshot(), files(&lab));
    let killed = lab
        .program(WORDS)
        .env("SLIPWAY_FAULT", "kill:commit")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None, "{}", text(&killed));
    lab.lab.wait_for_watchdog();
    restored(&lab, &before);
    assert_eq!(files(&lab), own);
    ends(&lab.program(WORDS).output().unwrap(), 0);
    let said = ends(&lab.program(WORDS).output().unwrap(), 0);
    assert_eq!(said, "nothing to do\n");
    // the kernel forgets, the database and the files do not
    lab.stop_switch();
    lab.lab.batch(
        Place::Host,
        &[
            "link del mydocker0",
            "link del vb-mydocker0",
            "addr flush dev eth0",
            "link set eth0 down",
        ],
    );
    lab.lab.host("nft delete table netdev slipway-mydocker0");
    let etc = lab.lab.root().join("etc");
    lab.succeed(
        "nft",
        &[
            "-f",
            &etc.join("openvswitch/slipway-mydocker0.nft")
                .to_string_lossy(),
        ],
    );
    lab.start_switch();
    let interfaces = format!("--interfaces={}", etc.join("network/interfaces").display());
    let state = format!("--state-dir={}", lab.lab.root().join("run/ifup").display());
    lab.succeed("ifup", &["-a", &interfaces, &state]);
    // as udev does by the .link file
    lab.succeed("ethtool", &["-K", "vb-mydocker0", "tx", "off"]);
    lab.lab.assert_reachable(&["10.0.0.5"]);
    let stream = Stream::start(&lab.lab, "10.0.0.5");
    stream.stop();
    let said = ends(&lab.program(WORDS).output().unwrap(), 0);
    assert_eq!(said, "nothing to do\n");
}

fn refused() {
    let mut lab = lab();
    lab.lab.batch(
        Place::Host,
        &[
            "link add taken0 type veth peer name taken1",
            "link add plain0 type bridge",
            "link add spare0 type veth peer name spare1",
            "link set spare0 master plain0",
        ],
    );
    lab.vsctl("--no-wait add-br other0 -- set Bridge other0 datapath_type=netdev");
    lab.vsctl("--no-wait add-port other0 taken0");
    let before = lab.snapshot();
    for (words, reason) in [
        (
            "eth0:mydocker0 --switch ovs",
            "this kernel has no datapath of Open vSwitch, and ovs-mydocker0 needs one: let it load the module \
             'openvswitch' (modprobe openvswitch), or boot a kernel that has it",
        ),
        (
            "taken0:mydocker0 --switch ovs:sw0:netdev",
            "taken0 is a port of the Open vSwitch bridge other0 already: pass --switch ovs:other0, or take it out first \
             ('ovs-vsctl del-port other0 taken0'), if sw0 is to have it",
        ),
        (
            "spare0:plain0 --switch ovs:sw0:netdev",
            "spare0 is a port of plain0 itself, without a switch: take it out where this host's network is configured, or \
             choose another bridge",
        ),
        (
            "eth0:mydocker0 --switch ovs:plain0:netdev",
            "plain0 exists and is no bridge of Open vSwitch: choose another name (--switch ovs:BRIDGE)",
        ),
        (
            "eth0:mydocker0 --switch ovs:mydocker0:netdev",
            "mydocker0 is another device of the same uplink: choose another name (--switch ovs:BRIDGE)",
        ),
        (
            "eth0:mydocker0bridge --switch ovs:sw0:netdev",
            "'mydocker0bridge' is too long a name for a bridge with a switch: at most 11 bytes, as devices are named after it",
        ),
    ] {
        let said = ends(&lab.run(words, ""), 1);
        assert_eq!(said, format!("bridgeprereq: {reason}\n"));
    }
    let said = ends(&lab.run("eth0:a,eth1:b --switch ovs", ""), 2);
    assert!(
        said.contains("a switch has one uplink: name one bridge at a time with --switch"),
        "{said}"
    );
    assert_same(&before, &lab.snapshot());
    // the process that forwards does not run: the database takes everything, and nothing comes of it
    lab.stop_switch();
    let said = ends(&lab.run(WORDS, ""), 3);
    assert!(
        said.contains(
            "sw0: ovs-vswitchd has not taken it up: is it running?: everything was put back"
        ),
        "{said}"
    );
    lab.stop_database();
    let said = ends(&lab.run(WORDS, ""), 1);
    assert!(
        said.starts_with(
            "bridgeprereq: reading the network: /usr/bin/ovs-vsctl ended with exit status: 1: "
        ),
        "{said}"
    );
    assert!(
        said.contains("database connection failed (No such file or directory)"),
        "{said}"
    );
    lab.lab.assert_reachable(REACH);
}

/// The switch process ends while a run waits after a step, and begins again.
fn restarted() {
    let mut lab = lab();
    let before = lab.snapshot();
    let (of_switch, _) = steps(&lab, WORDS);
    let at = of_switch[of_switch.len() - 2];
    let run = lab
        .program(&format!("{WORDS} --no-persist"))
        .env(
            "SLIPWAY_FAULT",
            format!("pause:before:{at},pause:after:{at},pause:verify"),
        )
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    lab.lab.wait_for("a port", || {
        lab.vsctl("--no-wait show").contains("vs-mydocker0")
    });
    lab.stop_switch();
    lab.start_switch();
    let output = run.wait_with_output().unwrap();
    // what holds counts, and what does not hold is put back
    match output.status.code() {
        Some(0) => lab.lab.assert_reachable(REACH),
        Some(3) => restored(&lab, &before),
        _ => panic!("{}", text(&output)),
    }
    ends(&lab.run(WORDS, ""), 0);
    lab.lab.assert_reachable(REACH);
    settled(&lab, WORDS);
}

/// The database ends before the run is proven, and is there again for the next one.
fn database_lost() {
    let mut lab = lab();
    let run = lab
        .program(&format!("{WORDS} --no-persist"))
        .env("SLIPWAY_FAULT", "pause:verify")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    lab.lab
        .wait_for("its NIC", || lab.vsctl("--no-wait show").contains("eth0"));
    lab.stop_database();
    let said = ends(&run.wait_with_output().unwrap(), 1);
    assert!(said.contains("putting everything back after"), "{said}");
    assert!(said.contains("database connection failed"), "{said}");
    // the kernel's part is back, and the next run does the rest
    assert!(lab.lab.journal().exists());
    assert!(
        lab.lab
            .ip(Place::Host, "-o addr show dev eth0")
            .contains("10.0.0.5/24")
    );
    lab.lab.assert_reachable(REACH);
    lab.start_database();
    ends(&lab.run(WORDS, ""), 0);
    lab.lab.assert_reachable(REACH);
    settled(&lab, WORDS);
}
