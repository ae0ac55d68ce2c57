//! DHCP clients and daemons that run are handed over with their lease, in a network of their own.
//!
//! Each trial runs in a network and mount namespace: `eth0` is wired to a gateway with a real DHCP
//! server, `/run`, `/etc/network`, `/etc/systemd/network` and `/var/lib` are empty and the trial's.
//! A trial that lacks root or a program is ignored and says so.
#![allow(
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a test may panic, and its processes end with its namespaces"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Failed, Trial};
use postscripts::net::{Kind, Link, NetState};
use postscripts::persist::{self, Persistence};

const MAC: &str = "52:54:00:12:34:56";
/// Set for the process that runs inside the namespaces.
const INSIDE: &str = "SLIPWAY_TEST_INSIDE";

type Inside = fn();

const TRIALS: [(&str, &[&str], Inside); 5] = [
    (
        "dhclient_keeps_its_lease_on_the_bridge",
        &["dhclient", "dnsmasq", "ifup"],
        dhclient,
    ),
    (
        "an_undo_brings_dhclient_back",
        &["dhclient", "dnsmasq", "ifup"],
        dhclient_undone,
    ),
    (
        "udhcpc_keeps_its_lease_on_the_bridge",
        &["udhcpc", "dnsmasq", "ifup"],
        udhcpc,
    ),
    (
        "dhcpcd_keeps_its_lease_on_the_bridge",
        &["dhcpcd", "dnsmasq", "ifup"],
        dhcpcd,
    ),
    (
        "networkd_keeps_its_lease_and_loses_no_ping",
        &["dnsmasq", "networkctl", "dbus-daemon", "ping"],
        networkd,
    ),
];

fn main() {
    let arguments = Arguments::from_args();
    if let Ok(name) = env::var(INSIDE) {
        let (_, _, inside) = TRIALS.iter().find(|(known, ..)| *known == name).unwrap();
        return inside();
    }
    let trials = TRIALS.iter().map(|(name, needs, _)| {
        let reason = missing(needs);
        let kind = reason
            .as_ref()
            .map_or_else(|| "netns".to_owned(), |reason| format!("ignored: {reason}"));
        Trial::test(*name, move || outside(name))
            .with_kind(kind)
            .with_ignored_flag(reason.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Why the trial cannot run here.
fn missing(needs: &[&str]) -> Option<String> {
    let root = fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        return Some("needs root".to_owned());
    }
    let absent = needs
        .iter()
        .chain(&["unshare", "ip"])
        .find(|name| program(name).is_none());
    absent.map(|name| format!("needs {name}"))
}

fn program(name: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/lib/systemd"];
    places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists())
}

/// Runs the trial again, in namespaces of its own that end with it.
fn outside(name: &str) -> Result<(), Failed> {
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(env::current_exe().unwrap())
        .env(INSIDE, name)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&text).into_owned().into())
}

fn ok(line: &str) -> String {
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

fn start(line: &str, log: &str) -> Child {
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

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
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
fn host() {
    for place in ["/run", "/etc/network", "/var/lib"] {
        ok(&format!("mount -t tmpfs tmpfs {place}"));
    }
    ok("mount -t sysfs sysfs /sys");
    for place in ["/var/lib/dhcp", "/run/network", "/run/netns"] {
        fs::create_dir_all(place).unwrap();
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
    start(
        "ip netns exec gateway dnsmasq --no-daemon --port=0 --dhcp-range=10.0.0.50,10.0.0.99,2m --interface=port \
         --bind-interfaces --leasefile-ro --log-dhcp --conf-file=/dev/null --pid-file= --user=root",
        "/run/dnsmasq.log",
    );
    wait_for("the DHCP server", || {
        server_log().contains("DHCP, IP range")
    });
}

fn server_log() -> String {
    fs::read_to_string("/run/dnsmasq.log").unwrap_or_default()
}

/// The messages of clients that the server has had so far.
fn count(message: &str) -> usize {
    server_log().matches(message).count()
}

fn address(device: &str) -> Option<String> {
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
fn move_live(lease: &str) {
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

fn plan() -> Persistence {
    let link = Link {
        name: "eth0".to_owned(),
        kind: Kind::Ethernet,
        mac: Some(MAC.parse().unwrap()),
        mtu: 1500,
        up: true,
        carrier: true,
        master: None,
        parent: None,
        bridge: None,
        addresses: address("eth0")
            .or_else(|| address("mydocker0"))
            .map(|ip| postscripts::net::Address {
                ip: ip.parse().unwrap(),
                len: 24,
                peer: None,
                broadcast: None,
                label: None,
                scope: 0,
                flags: 0,
                lifetimes: None,
                other: Vec::new(),
            })
            .into_iter()
            .collect(),
        neighbours: Vec::new(),
        sysctls: BTreeMap::new(),
    };
    let state = NetState {
        links: vec![link],
        ..NetState::default()
    };
    persist::plan(Path::new("/"), "eth0", "mydocker0", None, &state).unwrap()
}

fn processes(name: &str) -> Vec<String> {
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

/// A client of ifupdown's runs, moves, and goes on renewing on the bridge.
fn ifupdown_client(line: &str, name: &str) -> (String, Persistence) {
    host();
    fs::write(
        "/etc/network/interfaces",
        "auto eth0\niface eth0 inet dhcp\n",
    )
    .unwrap();
    ok(line);
    wait_for("a lease", || address("eth0").is_some());
    let lease = address("eth0").unwrap();
    let plan = plan();
    assert!(
        plan.describe()
            .last()
            .unwrap()
            .starts_with(&format!("move {name} (process ")),
        "{:?}",
        plan.describe()
    );
    move_live(&lease);
    plan.apply().unwrap();
    plan.hand_over().unwrap();
    assert_eq!(address("mydocker0"), Some(lease.clone()));
    assert_eq!(address("eth0"), None);
    assert_eq!(count("DHCPRELEASE"), 0, "{}", server_log());
    (lease, plan)
}

const DHCLIENT: &str = "dhclient -4 -i -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases -I \
                        -df /var/lib/dhcp/dhclient6.eth0.leases eth0";

fn dhclient() {
    let (_, plan) = ifupdown_client(DHCLIENT, "dhclient");
    plan.commit().unwrap();
    assert_eq!(
        processes("dhclient"),
        ["/usr/sbin/dhclient -4 -i -pf /run/dhclient.mydocker0.pid -lf /var/lib/dhcp/dhclient.mydocker0.leases -I \
          -df /var/lib/dhcp/dhclient6.mydocker0.leases mydocker0"
            .replace("/usr/sbin/dhclient", processes("dhclient")[0].split(' ').next().unwrap())]
    );
    // It asked for the lease it had, and never for a new one.
    assert_eq!(count("DHCPDISCOVER(port)"), 1, "{}", server_log());
    assert_eq!(self::plan().describe(), Vec::<String>::new());
}

fn dhclient_undone() {
    let (lease, plan) = ifupdown_client(DHCLIENT, "dhclient");
    drop(plan);
    // As the guardian does it: first the live network, then the files and what runs.
    for line in [
        "ip link set eth0 nomaster",
        "ip link del mydocker0",
        &format!("ip address add {lease}/24 dev eth0"),
    ] {
        ok(line);
    }
    assert!(persist::recover(Path::new("/"), "mydocker0").unwrap());
    let running = processes("dhclient");
    assert_eq!(running.len(), 1, "{running:?}");
    assert!(running[0].ends_with(" eth0"), "{running:?}");
    assert_eq!(
        fs::read_to_string("/etc/network/interfaces").unwrap(),
        "auto eth0\niface eth0 inet dhcp\n"
    );
    assert_eq!(address("eth0"), Some(lease));
}

fn udhcpc() {
    let (_, plan) = ifupdown_client("udhcpc -b -p /run/udhcpc.eth0.pid -i eth0", "udhcpc");
    plan.commit().unwrap();
    let running = processes("udhcpc");
    assert_eq!(running.len(), 1, "{running:?}");
    assert!(
        running[0].contains("-p /run/udhcpc.mydocker0.pid -i mydocker0 -r 10.0.0."),
        "{running:?}"
    );
}

fn dhcpcd() {
    let (_, plan) = ifupdown_client("dhcpcd -4 eth0", "dhcpcd");
    plan.commit().unwrap();
    // The helpers of the old one end with it, by themselves.
    wait_for("the old client to be gone", || {
        !processes("dhcpcd:")
            .iter()
            .any(|line| line.contains("eth0"))
    });
    let running = processes("dhcpcd:");
    assert!(
        running.contains(&"dhcpcd: mydocker0 [ip4]".to_owned()),
        "{running:?}"
    );
}

fn networkd() {
    host();
    ok("mount -t tmpfs tmpfs /etc/systemd/network");
    for place in [
        "/run/dbus",
        "/run/systemd/netif/links",
        "/run/systemd/netif/leases",
        "/run/systemd/netif/lldp",
        "/run/systemd/network",
    ] {
        fs::create_dir_all(place).unwrap();
    }
    ok("chown -R systemd-network /run/systemd/netif");
    fs::write(
        "/etc/systemd/network/20-eth0.network",
        "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n",
    )
    .unwrap();
    start("dbus-daemon --system --nofork --nopidfile", "/run/dbus.log");
    wait_for("the bus", || {
        Path::new("/run/dbus/system_bus_socket").exists()
    });
    // networkd waits for udev, unless /sys is read-only: there is none in here.
    ok("mount -o remount,ro,bind /sys");
    start("systemd-networkd", "/run/networkd.log");
    wait_for("a lease", || address("eth0").is_some());
    wait_for("networkd", || {
        ok("networkctl list eth0 --no-legend").contains("configured")
    });
    let lease = address("eth0").unwrap();
    let plan = plan();
    let mut ping = start(
        &format!("ip netns exec gateway ping -q -i 0.01 -c 500 {lease}"),
        "/run/ping.log",
    );
    move_live(&lease);
    let asked = count("DHCPREQUEST(port)");
    ok("mount -o remount,rw,bind /sys");
    plan.apply().unwrap();
    plan.hand_over().unwrap();
    wait_for("the lease on the bridge", || {
        count("DHCPREQUEST(port)") > asked
    });
    wait_for("networkd to be done", || {
        let list = ok("networkctl list --no-legend");
        let state = |name: &str| {
            list.lines()
                .find(|line| line.contains(name))
                .is_some_and(|line| line.ends_with(" configured"))
        };
        state("eth0") && state("mydocker0")
    });
    plan.commit().unwrap();
    assert_eq!(address("mydocker0"), Some(lease));
    assert_eq!(address("eth0"), None);
    assert_eq!(count("DHCPRELEASE"), 0);
    assert_eq!(count("DHCPDISCOVER(port)"), 1, "{}", server_log());
    let client = |index: &str| {
        let text =
            fs::read_to_string(format!("/run/systemd/netif/leases/{index}")).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("CLIENTID=").map(str::to_owned))
    };
    let index = fs::read_to_string("/sys/class/net/mydocker0/ifindex").unwrap();
    wait_for("the lease file", || client(index.trim()).is_some());
    ping.wait().unwrap();
    let log = fs::read_to_string("/run/ping.log").unwrap();
    assert!(
        log.contains("500 packets transmitted, 500 received"),
        "{log}"
    );
    assert_eq!(self::plan().describe(), Vec::<String>::new());
}
