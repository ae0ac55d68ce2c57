//! A host in namespaces of its own: an uplink, a gateway that gives out leases, and the live move.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use postscripts::bridge::net::{Link, LinkKind, NetState};
use postscripts::bridge::persist::{self, Persistence};

use crate::program;

pub(crate) const MAC: &str = "52:54:00:12:34:56";

pub(crate) fn ok(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn start(line: &str, log: &str) -> Child {
    let mut words = line.split_whitespace();
    let log = fs::File::create(log).unwrap();
    let name = program(words.next().unwrap()).unwrap();
    Command::new(name)
        .args(words)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "waited in vain for {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// A host with an uplink and a gateway that gives out leases.
pub(crate) fn host() {
    host_with("");
}

/// The same, with more options for the DHCP server.
pub(crate) fn host_with(options: &str) {
    for place in ["/run", "/var/lib"] {
        ok(&format!("mount -t tmpfs tmpfs {place}"));
    }
    ok("mount -t sysfs sysfs /sys");
    // DHCP clients write /etc/resolv.conf: in here they write to a layer that ends with the trial.
    for place in ["/run/etc/upper", "/run/etc/work"] {
        fs::create_dir_all(place).unwrap();
    }
    ok(
        "mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc",
    );
    ok("mount -t tmpfs tmpfs /etc/network");
    for place in ["/var/lib/dhcp", "/run/network", "/run/netns"] {
        fs::create_dir_all(place).unwrap();
    }
    for hook in ["pre-up", "up", "down", "post-down"] {
        fs::create_dir_all(format!("/etc/network/if-{hook}.d")).unwrap();
    }
    for line in [
        "ip link set lo up",
        "ip netns add gateway",
        &format!("ip link add eth0 address {MAC} type veth peer name port netns gateway"),
        "ip -n gateway address add 10.0.0.1/24 dev port",
        "ip -n gateway link set port up",
        "ip link set eth0 up",
    ] {
        ok(line);
    }
    let server = "ip netns exec gateway dnsmasq --no-daemon --port=0 --dhcp-range=10.0.0.50,10.0.0.99,2m \
                  --interface=port --bind-interfaces --leasefile-ro --log-dhcp --conf-file=/dev/null --pid-file= \
                  --user=root";
    start(&format!("{server} {options}"), "/run/dnsmasq.log");
    wait_for("the DHCP server", || {
        server_log().contains("DHCP, IP range")
    });
}

pub(crate) fn server_log() -> String {
    fs::read_to_string("/run/dnsmasq.log").unwrap_or_default()
}

/// The messages of clients that the server has had so far.
pub(crate) fn count(message: &str) -> usize {
    server_log().matches(message).count()
}

pub(crate) fn address(device: &str) -> Option<String> {
    let text = ok("ip -4 -o address");
    let line = text
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(device))?;
    Some(
        line.split_whitespace()
            .nth(3)?
            .split('/')
            .next()?
            .to_owned(),
    )
}

/// The uplink moves into the bridge, as `bridgeprereq` does it.
pub(crate) fn move_live(lease: &str) {
    for line in [
        &format!("ip link add mydocker0 address {MAC} type bridge stp_state 0 forward_delay 0"),
        "ip link set mydocker0 up",
        "ip link set eth0 master mydocker0",
        &format!("ip address add {lease}/24 dev mydocker0 valid_lft 100 preferred_lft 100"),
        &format!("ip address del {lease}/24 dev eth0"),
        "ip route replace default via 10.0.0.1 dev mydocker0",
        "ip -6 address flush dev eth0",
    ] {
        ok(line);
    }
}

/// What `bridgeprereq` knows of the NIC, with an address if it has one.
pub(crate) fn state(address: Option<String>) -> NetState {
    let address = address.map(|ip| postscripts::bridge::net::Address {
        ip: ip.parse().unwrap(),
        len: 24,
        peer: None,
        broadcast: None,
        label: None,
        scope: 0,
        flags: 0,
        lifetimes: None,
        other: Vec::new(),
    });
    let link = Link {
        name: "eth0".to_owned(),
        kind: LinkKind::Ethernet,
        mac: Some(MAC.parse().unwrap()),
        mtu: 1500,
        up: true,
        carrier: true,
        group: 0,
        master: None,
        parent: None,
        bridge: None,
        addresses: address.into_iter().collect(),
        neighbours: Vec::new(),
        sysctls: BTreeMap::new(),
    };
    NetState {
        links: vec![link],
        ..NetState::default()
    }
}

pub(crate) fn plan() -> Persistence {
    let state = state(address("eth0").or_else(|| address("mydocker0")));
    persist::plan(Path::new("/"), "eth0", "mydocker0", None, &state).unwrap()
}

pub(crate) fn processes(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line
            .split(' ')
            .next()
            .is_some_and(|program| program.ends_with(name))
        {
            found.push(line.trim().to_owned());
        }
    }
    found
}

/// The directories of systemd-networkd, and the bus that its tools talk to it by.
pub(crate) fn bus() {
    ok("mount -t tmpfs tmpfs /etc/systemd/network");
    for place in [
        "dbus",
        "systemd/network",
        "systemd/netif/links",
        "systemd/netif/leases",
        "systemd/netif/lldp",
    ] {
        fs::create_dir_all(Path::new("/run").join(place)).unwrap();
    }
    ok("chown -R systemd-network /run/systemd/netif");
    start("dbus-daemon --system --nofork --nopidfile", "/run/dbus.log");
    wait_for("the bus", || {
        Path::new("/run/dbus/system_bus_socket").exists()
    });
}

/// networkd waits for udev, unless /sys is read-only: there is none in here.
pub(crate) fn start_networkd() {
    ok("mount -o remount,ro,bind /sys");
    start("systemd-networkd", "/run/networkd.log");
}
