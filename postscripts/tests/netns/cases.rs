//! One story each: what is refused, what is reported, what is put back.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::lab::{Lab, Place, assert_same, text};
use crate::moves::assert_shown;

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    ("a_dry_run_says_what_it_would_do_and_does_nothing", dry_run),
    (
        "what_must_not_be_done_is_refused_before_anything_is",
        refusals,
    ),
    ("what_a_port_cannot_carry_is_named_wherever_it_is", uppers),
    ("a_program_that_hears_the_nic_alone_is_named", listeners),
    (
        "programs_that_receive_frames_or_groups_by_the_nic_are_named",
        receivers,
    ),
    ("what_is_bound_to_the_nic_by_its_number_is_named", bound),
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
const REACH: &[&str] = &["10.0.0.5", "2001:db8::5"];
const WORDS: &str = "eth0:mydocker0";

fn lab() -> Lab {
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
    assert_same(&before, &lab.snapshot());
    assert!(!lab.journal().exists());
}

fn refusals() {
    let lab = lab();
    lab.batch(
        Place::Host,
        &[
            "link add other type bridge",
            "link add eth1 type veth peer name eth2",
            "link set eth1 master other",
            "link add mac0 link eth2 type macvlan",
        ],
    );
    let before = lab.snapshot();
    for (words, expected) in [
        (
            "eth9:br0",
            "there is no NIC 'eth9' on this host, only eth0, eth1, eth2",
        ),
        (
            "lo:br0",
            "lo cannot be a port of a bridge: it is the loopback device",
        ),
        (
            "other:br0",
            "other cannot be a port of a bridge: it is a bridge itself; name the NIC",
        ),
        (
            "eth1:br0",
            "eth1 belongs to other already: take it out first ('ip link set eth1 nomaster')",
        ),
        (
            "eth0:eth1",
            "'eth1' is there already and is a veth device, not a bridge: choose another name",
        ),
        (
            "eth2:br0",
            "eth2 carries mac0, a macvlan device, which a port of a bridge cannot: remove it first",
        ),
        (
            "mac0:br0",
            "mac0 cannot be a port of a bridge: it is a macvlan device",
        ),
        (
            "eth0:br0,lo:br1",
            "lo cannot be a port of a bridge: it is the loopback device",
        ),
        (
            "eth0:br0,eth0:br1",
            "eth0 belongs to br0 already: take it out first ('ip link set eth0 nomaster')",
        ),
    ] {
        let output = lab.run(words);
        assert_eq!(
            text(&output),
            format!("bridgeprereq: {expected}\n"),
            "{words}"
        );
        assert_eq!(output.status.code(), Some(1), "{words}");
    }
    for (words, expected) in [
        (
            "eth0:sixteen-bytes-16",
            "'sixteen-bytes-16' is not the name of a network interface",
        ),
        (
            "eth0:br0 10.0.0.9",
            "10.0.0.9 needs a prefix length, such as 10.0.0.9/24",
        ),
        (
            "eth0:br0 10.0.0.9/24 255.255.255.0",
            "'10.0.0.9/24' has a prefix length: omit the netmask",
        ),
        (
            "eth0:br0 10.0.0.9 255.0.255.0",
            "255.0.255.0 is not a netmask",
        ),
        (
            "eth0:br0 10.0.0.9/33",
            "'10.0.0.9/33' is not an address such as 10.0.0.5/24",
        ),
        (
            "eth0:br0 2001:db8::9 255.255.255.0",
            "2001:db8::9 is an IPv6 address and takes no netmask: give a prefix length, such as 2001:db8::9/64",
        ),
        (
            "eth0:br0,eth1:br1 10.0.0.9/24",
            "an address belongs to one bridge",
        ),
        ("", "required arguments were not provided"),
    ] {
        let output = lab.run(words);
        assert!(
            text(&output).contains(expected),
            "{words}: {}",
            text(&output)
        );
        assert_eq!(output.status.code(), Some(2), "{words}");
    }
    assert_same(&before, &lab.snapshot());
}

fn listeners() {
    let lab = lab();
    let bound = |port: u16, device: &'static str| {
        lab.within(Place::Host, move || {
            let listener = std::net::TcpListener::bind(("0.0.0.0", port)).unwrap();
            let device = std::ffi::OsString::from(device);
            nix::sys::socket::setsockopt(
                &listener,
                nix::sys::socket::sockopt::BindToDevice,
                &device,
            )
            .unwrap();
            listener
        })
    };
    let _elsewhere = bound(23, "lo");
    let listener = bound(22, "eth0");
    let before = lab.snapshot();
    let output = lab.run(WORDS);
    assert_eq!(
        text(&output),
        "bridgeprereq: a program listens at TCP port 22 on eth0 alone, and would receive nothing there: have it \
         listen on mydocker0 or at an address, or end it ('ss -lnp' names it)\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_same(&before, &lab.snapshot());
    drop(listener);

    let connection = lab.within(Place::Host, || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:5999").unwrap();
        let device = std::ffi::OsString::from("eth0");
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::BindToDevice, &device)
            .unwrap();
        socket.connect("10.0.0.1:9").unwrap();
        socket
    });
    let output = lab.run(WORDS);
    assert_eq!(
        text(&output),
        "bridgeprereq: a program's UDP connection with 10.0.0.1:9 is bound to eth0 alone, and would receive nothing \
         there: end it, and have it bind itself to mydocker0 or to no device ('ss -np' names it)\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_same(&before, &lab.snapshot());
    drop(connection);
    // What another case starts meanwhile holds it until it is another program.
    lab.wait_for("the connection to end", || {
        lab.host("ss -Hanu sport = :5999").is_empty()
    });
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

/// A program that gets frames of a type from the NIC; it ends with its standard input.
fn receives(lab: &Lab, ether_type: u16) -> std::process::Child {
    let program = format!(
        "import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\n\
         s.bind(('eth0', {ether_type}))\nprint('ready', flush=True)\nsys.stdin.read()"
    );
    let mut child = std::process::Command::new("ip")
        .args([
            "netns",
            "exec",
            &lab.name(Place::Host),
            "python3",
            "-c",
            &program,
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    child
}

fn receivers() {
    let lab = lab();
    // EAPOL passes a bridge by
    let mut harmless = receives(&lab, 0x888e);
    let mut sessions = receives(&lab, 0x8863);
    let before = lab.snapshot();
    let output = lab.run(WORDS);
    assert_eq!(
        text(&output),
        "bridgeprereq: a program receives frames of the type 0x8863 at eth0 itself, and would receive none there: end \
         it first, and have it use mydocker0 then\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_same(&before, &lab.snapshot());
    drop(sessions.stdin.take());
    sessions.wait().unwrap();

    let joined = lab.within(Place::Host, || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:5405").unwrap();
        let (group, own) = ("239.1.1.1".parse().unwrap(), "10.0.0.5".parse().unwrap());
        socket.join_multicast_v4(&group, &own).unwrap();
        // somebody follows links that come, as mDNS does
        socket
            .join_multicast_v4(&"224.0.0.251".parse().unwrap(), &own)
            .unwrap();
        let socket_v6 = std::net::UdpSocket::bind("[::]:5406").unwrap();
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        socket_v6
            .join_multicast_v6(&"ff05::99".parse().unwrap(), index)
            .unwrap();
        (socket, socket_v6)
    });
    let said = lab.succeed(WORDS);
    let notes: Vec<_> = said
        .lines()
        .filter(|line| line.contains("joined the group"))
        .collect();
    let note = |group: &str| {
        format!(
            "bridgeprereq: a program joined the group {group} on eth0 and receives nothing of it there any more: have \
             it join on mydocker0"
        )
    };
    assert_eq!(notes, [note("239.1.1.1"), note("ff05::99")]);
    lab.assert_settled(WORDS);
    drop(joined);
    drop(harmless.stdin.take());
    harmless.wait().unwrap();
}

fn uppers() {
    let lab = lab();
    let elsewhere = lab.name(Place::Gateway);
    let moved = format!("link set mac0 netns {elsewhere}");
    for (commands, gone, expected) in [
        (
            &["link add mac0 link eth0 type macvlan"][..],
            "link del mac0",
            "eth0 carries mac0, a macvlan device, which a port of a bridge cannot: remove it first",
        ),
        (
            &["link add mac0 link eth0 type macvlan", &moved],
            "",
            "eth0 carries mac0, a macvlan device in another network namespace (a container's?), which a port \
             of a bridge cannot: remove it first",
        ),
        (
            &["link add vx0 type vxlan id 7 dev eth0 dstport 4789 remote 10.0.0.1"],
            "link del vx0",
            "vx0, a vxlan device, is bound to eth0, and a port has no route to its other end: bind it to \
             mydocker0 or to no device first",
        ),
        (
            &["link set eth0 arp off"],
            "link set eth0 arp on",
            "eth0 resolves no addresses (NOARP), and nobody would find mydocker0, which does: let it ('ip link \
             set eth0 arp on'), or leave it out",
        ),
    ] {
        lab.batch(Place::Host, commands);
        let before = lab.snapshot();
        let output = lab.run(WORDS);
        assert_eq!(text(&output), format!("bridgeprereq: {expected}\n"));
        assert_eq!(output.status.code(), Some(1));
        assert_same(&before, &lab.snapshot());
        match gone {
            "" => lab.batch(Place::Gateway, &["link del mac0"]),
            gone => lab.batch(Place::Host, &[gone]),
        }
    }
    // one that is bound to no device finds its way
    lab.ip(
        Place::Host,
        "link add vx0 type vxlan id 7 dstport 4789 remote 10.0.0.1",
    );
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

fn bound() {
    let lab = lab();
    for (add, remove, what) in [
        (
            "addrlabel add prefix fd00::/8 dev eth0 label 99",
            "addrlabel del prefix fd00::/8 dev eth0 label 99",
            "the address label 99 of fd00::/8",
        ),
        (
            "mptcp endpoint add 10.0.0.5 dev eth0 subflow id 3",
            "mptcp endpoint delete id 3",
            "the MPTCP endpoint 10.0.0.5 (id 3)",
        ),
        (
            "xfrm policy add src 10.0.0.0/16 dst 10.1.0.0/24 dev eth0 dir out action block",
            "xfrm policy delete src 10.0.0.0/16 dst 10.1.0.0/24 dev eth0 dir out",
            "the IPsec policy for packets from 10.0.0.0/16 to 10.1.0.0/24",
        ),
        (
            "maddr add 01:00:5e:7f:00:01 dev eth0",
            "maddr del 01:00:5e:7f:00:01 dev eth0",
            "the link-layer multicast address 01:00:5e:7f:00:01",
        ),
    ] {
        lab.ip(Place::Host, add);
        let before = lab.snapshot();
        let output = lab.run(WORDS);
        assert_eq!(
            text(&output),
            format!(
                "bridgeprereq: {what} is bound to eth0, which no packet of this host will leave or come in by: remove \
                 it first, and bind it to mydocker0 then\n"
            )
        );
        assert_eq!(output.status.code(), Some(1));
        assert_same(&before, &lab.snapshot());
        lab.ip(Place::Host, remove);
    }
    // what is bound to no device, or to another one, goes on
    for other in [
        "maddr add 01:80:c2:00:00:0e dev eth0",
        "addrlabel add prefix fd00::/8 label 99",
        "mptcp endpoint add 10.0.0.5 subflow id 3",
        "xfrm policy add src 10.0.0.0/16 dst 10.1.0.0/24 dev lo dir fwd action allow",
    ] {
        lab.ip(Place::Host, other);
    }
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
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
    assert_same(&before, &lab.snapshot());
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
    assert_same(&before, &lab.snapshot());
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
    assert_same(&before, &lab.snapshot());
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
    assert_same(&before, &lab.snapshot());
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
    assert_same(&before, &lab.snapshot());
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
    assert_same(&before, &lab.snapshot());
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
