//! What runs goes on for the bridge, with the lease it has.

use std::fs;
use std::path::Path;

use postscripts::bridge::persist::{self, Persistence};
use postscripts::fault::Fault;

use crate::Inside;
use crate::host::{
    address, bus, count, host, move_live, ok, plan, processes, server_log, start, start_networkd,
    wait_for,
};

pub(crate) fn trials() -> Vec<Inside> {
    vec![
        Inside::new(
            "dhclient_keeps_its_lease_on_the_bridge",
            &["dhclient", "dnsmasq", "ifup"],
            dhclient,
        ),
        Inside::new(
            "an_undo_brings_dhclient_back",
            &["dhclient", "dnsmasq", "ifup"],
            dhclient_undone,
        ),
        Inside::new(
            "udhcpc_keeps_its_lease_on_the_bridge",
            &["udhcpc", "dnsmasq", "ifup"],
            udhcpc,
        ),
        Inside::new(
            "dhcpcd_keeps_its_lease_on_the_bridge",
            &["dhcpcd", "dnsmasq", "ifup"],
            dhcpcd,
        ),
        Inside::new(
            "networkd_keeps_its_lease_and_loses_no_ping",
            &["dnsmasq", "networkctl", "dbus-daemon", "ping"],
            networkd,
        ),
    ]
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
    let planned = plan();
    assert!(
        planned
            .describe()
            .last()
            .unwrap()
            .starts_with(&format!("move {name} (process ")),
        "{:?}",
        planned.describe()
    );
    move_live(&lease);
    planned.apply().unwrap();
    planned.running().hand_over().unwrap();
    assert_eq!(address("mydocker0"), Some(lease.clone()));
    assert_eq!(address("eth0"), None);
    assert_eq!(count("DHCPRELEASE"), 0, "{}", server_log());
    (lease, planned)
}

const DHCLIENT: &str = "dhclient -4 -i -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases -I \
                        -df /var/lib/dhcp/dhclient6.eth0.leases eth0";

fn dhclient() {
    let (_, planned) = ifupdown_client(DHCLIENT, "dhclient");
    planned.commit().unwrap();
    assert_eq!(
        processes("dhclient"),
        ["/usr/sbin/dhclient -4 -i -pf /run/dhclient.mydocker0.pid -lf /var/lib/dhcp/dhclient.mydocker0.leases -I \
          -df /var/lib/dhcp/dhclient6.mydocker0.leases mydocker0"
            .replace("/usr/sbin/dhclient", processes("dhclient")[0].split(' ').next().unwrap())]
    );
    asked_for_no_new_lease();
    assert_eq!(plan().describe(), Vec::<String>::new());
}

/// Once it had its lease, nobody looked for another. Before, a client asks as often as it has to.
fn asked_for_no_new_lease() {
    let log = server_log();
    let (_, after) = log.split_once("DHCPACK(port)").unwrap();
    assert!(!after.contains("DHCPDISCOVER(port)"), "{log}");
}

fn dhclient_undone() {
    let (lease, plan) = ifupdown_client(DHCLIENT, "dhclient");
    drop(plan);
    // As the watchdog does it: first the live network, then the files and what runs.
    for line in [
        "ip link set eth0 nomaster",
        "ip link del mydocker0",
        &format!("ip address add {lease}/24 dev eth0"),
    ] {
        ok(line);
    }
    assert!(
        persist::recover(
            Path::new("/"),
            &"mydocker0".parse().unwrap(),
            &Fault::default()
        )
        .unwrap()
        .is_some()
    );
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
    bus();
    fs::write(
        "/etc/systemd/network/20-eth0.network",
        "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n",
    )
    .unwrap();
    start_networkd();
    wait_for("a lease", || address("eth0").is_some());
    wait_for("networkd", || {
        ok("networkctl list eth0 --no-legend").contains("configured")
    });
    let lease = address("eth0").unwrap();
    let planned = plan();
    let mut ping = start(
        &format!("ip netns exec gateway ping -q -i 0.01 -c 500 {lease}"),
        "/run/ping.log",
    );
    move_live(&lease);
    let asked = count("DHCPREQUEST(port)");
    ok("mount -o remount,rw,bind /sys");
    planned.apply().unwrap();
    planned.running().hand_over().unwrap();
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
    planned.commit().unwrap();
    assert_eq!(address("mydocker0"), Some(lease));
    assert_eq!(address("eth0"), None);
    assert_eq!(count("DHCPRELEASE"), 0);
    asked_for_no_new_lease();
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
    assert_eq!(plan().describe(), Vec::<String>::new());
}
