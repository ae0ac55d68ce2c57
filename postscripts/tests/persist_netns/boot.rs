//! The golden files, brought up by the backend they are for, as at the next boot.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Inside;
use crate::host::{MAC, address, bus, host, ok, start, start_networkd, wait_for};

const NETWORKD: &[&str] = &["dnsmasq", "networkctl", "dbus-daemon"];
const NETPLAN: &[&str] = &["netplan", "dnsmasq", "networkctl", "dbus-daemon"];
const IFUPDOWN: &[&str] = &["ifup", "dnsmasq", "dhclient"];
const IFCFG: &[&str] = &["ifup-eth", "ipcalc", "arping", "dnsmasq", "dhclient"];
const NETWORKMANAGER: &[&str] = &["NetworkManager", "nmcli", "dnsmasq", "dbus-daemon"];

/// Every trial: which golden files, and what the bridge must have once they are up.
const TRIALS: [(&str, &str, &[&str]); 25] = [
    ("networkd", "dhcp", &["lease"]),
    (
        "networkd",
        "static4",
        &["10.0.0.5/24", "default via 10.0.0.1"],
    ),
    ("networkd", "static46", &STATIC46),
    ("networkd", "mtu9000", &["lease", "mtu 9000"]),
    (
        "networkd",
        "several-nics",
        &["10.0.0.5/24", "default via 10.0.0.1"],
    ),
    ("networkd", "group", &["lease"]),
    (
        "netplan",
        "static4",
        &["10.0.0.5/24", "10.0.0.6/24", "default via 10.0.0.1"],
    ),
    ("netplan", "static46", &STATIC46),
    ("netplan", "mtu9000", &["lease", "mtu 9000"]),
    ("netplan", "several-nics", &["lease"]),
    ("netplan", "group", &["lease"]),
    ("ifupdown", "dhcp", &["lease"]),
    (
        "ifupdown",
        "static4",
        &["10.0.0.5/24", "default via 10.0.0.1"],
    ),
    ("ifupdown", "static46", &STATIC46),
    ("ifupdown", "mtu9000", &["lease", "mtu 9000"]),
    ("ifupdown", "several-nics", &["lease"]),
    ("ifcfg", "dhcp", &["lease"]),
    (
        "ifcfg",
        "static4",
        &["10.0.0.5/24", "10.0.0.6/24", "default via 10.0.0.1"],
    ),
    // GATEWAY0, as it stood, is a key of NetworkManager's alone.
    (
        "ifcfg",
        "static46",
        &[
            "10.0.0.5/24",
            "10.0.0.7/24",
            "2001:db8::5/64",
            "default via 2001:db8::1",
            "10.9.0.0/16 via 10.0.0.254",
            "10.8.0.0/16 via 10.0.0.253 dev mydocker0 table 100",
        ],
    ),
    ("ifcfg", "mtu9000", &["lease", "mtu 9000"]),
    ("ifcfg", "several-nics", &["lease"]),
    ("networkmanager", "dhcp", &["lease"]),
    ("networkmanager", "static46", &STATIC46),
    ("networkmanager", "mtu9000", &["lease", "mtu 9000"]),
    ("networkmanager", "made-at-boot", &["lease"]),
];

const STATIC46: [&str; 6] = [
    "10.0.0.5/24",
    "2001:db8::5/64",
    "default via 10.0.0.1",
    "default via 2001:db8::1",
    "10.9.0.0/16 via 10.0.0.254",
    "10.8.0.0/16 via 10.0.0.253",
];

pub(crate) fn trials() -> Vec<Inside> {
    let trial =
        |(backend, case, expected): (&'static str, &'static str, &'static [&'static str])| {
            let (needs, up): (_, fn()) = match backend {
                "networkd" => (NETWORKD, networkd),
                "netplan" => (NETPLAN, netplan),
                "ifupdown" => (IFUPDOWN, ifupdown),
                "ifcfg" => (IFCFG, ifcfg),
                _ => (NETWORKMANAGER, networkmanager),
            };
            let run = move || {
                host();
                lay_out(backend, case);
                up();
                expect(expected);
            };
            Inside::new(
                format!("{backend}_brings_{}_up", case.replace('-', "_")),
                needs,
                run,
            )
        };
    TRIALS.into_iter().map(trial).collect()
}

/// Puts the golden files where the backend reads them.
fn lay_out(backend: &str, case: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(backend)
        .join(case)
        .join("after/etc");
    for place in [
        "netplan",
        "network",
        "systemd/network",
        "NetworkManager/system-connections",
        "sysconfig/network-scripts",
    ] {
        let (from, to) = (golden.join(place), Path::new("/etc").join(place));
        if !to.exists() {
            continue;
        }
        // Where the backend's own scripts stand they are needed too.
        if !["network", "sysconfig/network-scripts"].contains(&place) {
            ok(&format!("mount -t tmpfs tmpfs {}", to.display()));
        }
        if from.exists() {
            ok(&format!("cp -r {}/. {}", from.display(), to.display()));
        }
        ok(&format!("chmod -R u+rwX,go=rX {}", to.display()));
    }
}

fn networkd() {
    let files = "/run/files";
    ok(&format!("cp -r /etc/systemd/network {files}"));
    bus();
    ok(&format!("cp -r {files}/. /etc/systemd/network"));
    start_networkd();
}

fn netplan() {
    let files = "/run/files";
    ok(&format!("cp -r /etc/systemd/network {files}"));
    bus();
    ok(&format!("cp -r {files}/. /etc/systemd/network"));
    ok("chmod -R go= /etc/netplan");
    ok("netplan generate");
    start_networkd();
}

fn ifupdown() {
    // It ends with an error where the files name other NICs, as those do not exist here.
    let _ = Command::new("ifup").arg("-a").output().unwrap();
}

fn ifcfg() {
    fs::create_dir_all("/var/lib/dhclient").unwrap();
    for device in ["eth0", "mydocker0"] {
        let output = Command::new("./ifup")
            .current_dir("/etc/sysconfig/network-scripts")
            .arg(format!("ifcfg-{device}"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn networkmanager() {
    bus();
    ok("chmod -R go= /etc/NetworkManager/system-connections");
    ok("mount -o remount,ro,bind /sys");
    fs::write(
        "/run/nm.conf",
        "[main]\nplugins=keyfile\nrc-manager=unmanaged\n",
    )
    .unwrap();
    start(
        "NetworkManager --no-daemon --config=/run/nm.conf",
        "/run/nm.log",
    );
}

fn expect(expected: &[&str]) {
    let state = || {
        let text = [
            "-d link show dev mydocker0",
            "address show dev mydocker0",
            "route show table all",
            "-6 route show table all",
        ];
        text.map(|line| ok(&format!("ip {line}"))).join("")
    };
    wait_for("the bridge", || {
        Path::new("/sys/class/net/mydocker0").exists()
    });
    for expected in expected {
        let holds = || match *expected {
            "lease" => address("mydocker0").is_some_and(|lease| lease.starts_with("10.0.0.")),
            text => state().contains(text),
        };
        wait_for(&format!("{expected} in\n{}", state()), holds);
    }
    let text = state();
    // Without STP the forward delay counts for nothing, and NetworkManager does not set it then.
    for setting in [format!("link/ether {MAC}"), "stp_state 0 ".to_owned()] {
        assert!(text.contains(&setting), "{setting} in\n{text}");
    }
    assert!(ok("ip link show dev eth0").contains("master mydocker0"));
    assert_eq!(address("eth0"), None);
}
