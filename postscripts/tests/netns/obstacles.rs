//! What keeps a NIC from being a port is refused by its name, before anything is changed.

use crate::cases::{REACH, WORDS, lab};
use crate::lab::{Lab, Place, text};

type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
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
        "a_socket_for_a_protocol_that_is_bound_to_the_nic_is_named",
        protocols,
    ),
];

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
    lab.assert_restored(&before);
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
    lab.assert_restored(&before);
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
    lab.assert_restored(&before);
    drop(connection);
    // What another case starts meanwhile holds it until it is another program.
    lab.wait_for("the connection to end", || {
        lab.host("ss -Hanu sport = :5999").is_empty()
    });
    lab.succeed(WORDS);
    lab.assert_reachable(REACH);
}

/// Routers and keepalived have sockets for a whole protocol, which the kernel lists without their device.
fn protocols() {
    let lab = lab();
    let holds = |family: &str, protocol: u8, device: &str| {
        let socket = format!("socket.{family}, socket.SOCK_RAW, {protocol}");
        holds_socket(&lab, &socket, &format!("s.setsockopt(1, 25, b'{device}')"))
    };
    let mut elsewhere = [
        holds("AF_INET", 112, "lo"),
        holds("AF_INET", 112, ""),
        holds("AF_INET6", 58, "eth0"),
    ];
    let before = lab.snapshot();
    for (family, protocol) in [("AF_INET", 112), ("AF_INET6", 89)] {
        let mut socket = holds(family, protocol, "eth0");
        let pid = socket.id();
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        let output = lab.run(WORDS);
        assert_eq!(
            text(&output),
            format!(
                "bridgeprereq: the socket of {} (process {pid}) for packets of IP protocol {protocol} is bound to eth0, \
                 which no packet of this host will leave or come in by: remove it first, and bind it to mydocker0 then\n",
                comm.trim()
            )
        );
        assert_eq!(output.status.code(), Some(1));
        lab.assert_restored(&before);
        drop(socket.stdin.take());
        socket.wait().unwrap();
    }
    let said = lab.succeed(WORDS);
    let pid = elsewhere[2].id();
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let note = format!(
        "bridgeprereq: {} (process {pid}) asks by ICMP on eth0 alone and receives no answer there any more: have it \
         ask on mydocker0\n",
        comm.trim()
    );
    assert!(said.contains(&note), "{said}");
    for other in &mut elsewhere {
        drop(other.stdin.take());
        other.wait().unwrap();
    }
}

/// A program that gets frames of a type from the NIC; it ends with its standard input.
fn receives(lab: &Lab, ether_type: u16) -> std::process::Child {
    let bind = format!("s.bind(('eth0', {ether_type}))");
    holds_socket(lab, "socket.AF_PACKET, socket.SOCK_RAW, 0", &bind)
}

/// A program with a socket, once it has done something with it; it ends with its standard input.
fn holds_socket(lab: &Lab, socket: &str, act: &str) -> std::process::Child {
    let program = format!(
        "import socket, sys\ns = socket.socket({socket})\n{act}\nprint('ready', flush=True)\nsys.stdin.read()"
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
    lab.assert_restored(&before);
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
        lab.assert_restored(&before);
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
        lab.assert_restored(&before);
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
