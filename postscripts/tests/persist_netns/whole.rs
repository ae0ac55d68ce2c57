//! The whole program on a host with a lease: the client goes on with it, the files and the network move
//! together, and a run that dies is taken back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Inside;
use crate::host::{
    address, bus, count, host, ok, processes, server_log, start, start_networkd, wait_for,
};

const CLIENTS: [(&str, &str); 3] = [
    (
        "dhclient",
        "dhclient -4 -i -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases -I -df \
         /var/lib/dhcp/dhclient6.eth0.leases eth0",
    ),
    ("udhcpc", "udhcpc -b -p /run/udhcpc.eth0.pid -i eth0"),
    ("dhcpcd", "dhcpcd -4 eth0"),
];

pub(crate) fn trials() -> Vec<Inside> {
    let mut trials = Vec::new();
    for (name, line) in CLIENTS {
        let needs: &[&str] = match name {
            "dhclient" => &["dhclient", "dnsmasq", "ifup", "ping"],
            "udhcpc" => &["udhcpc", "dnsmasq", "ifup", "ping"],
            _ => &["dhcpcd", "dnsmasq", "ifup", "ping"],
        };
        for fault in ["", "kill:commit", "both:commit"] {
            let run = move || {
                under_ifupdown(line);
                moves("/etc/network", fault, || client_of(name));
            };
            trials.push(Inside::new(title(name, fault), needs, run));
        }
    }
    let (client, needs) = (CLIENTS[0].1, &["dhclient", "dnsmasq", "ifup", "ping"]);
    let run = move || {
        under_ifupdown(client);
        at_every_part("/etc/network", || client_of("dhclient"));
    };
    let name = "dhclient_survives_a_kill_at_any_part_of_files_and_hand_over";
    trials.push(Inside::new(name, needs, run));
    let needs = &["dnsmasq", "networkctl", "dbus-daemon", "ping"];
    let run = move || {
        under_networkd();
        at_every_part("/etc/systemd/network", networkd);
    };
    let name = "networkd_survives_a_kill_at_any_part_of_files_and_hand_over";
    trials.push(Inside::new(name, needs, run));
    for fault in ["", "kill:commit", "both:commit"] {
        let run = move || {
            under_networkd();
            moves("/etc/systemd/network", fault, networkd);
        };
        trials.push(Inside::new(title("networkd", fault), needs, run));
    }
    trials
}

fn title(name: &str, fault: &str) -> String {
    let what = match fault {
        "" => "moves_by_the_whole_program",
        "kill:commit" => "is_as_it_was_when_the_program_is_killed",
        _ => "moves_by_the_next_run_when_the_watchdog_is_killed_too",
    };
    format!("{name}_{what}")
}

fn under_ifupdown(client: &str) {
    host();
    let text = "auto eth0\niface eth0 inet dhcp\n";
    fs::write("/etc/network/interfaces", text).unwrap();
    ok(client);
    wait_for("a lease", || address("eth0").is_some());
}

fn under_networkd() {
    host();
    bus();
    let text = "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n";
    fs::write("/etc/systemd/network/20-eth0.network", text).unwrap();
    start_networkd();
    wait_for("a lease", || address("eth0").is_some());
    wait_for("networkd", || {
        ok("networkctl list eth0 --no-legend").contains("configured")
    });
}

/// Which device networkd keeps the lease of: it gives up one whose bridge went.
fn networkd() -> String {
    let links = ok("networkctl list --no-legend");
    // one that has come back may wait for its link-local address, with its lease
    let works = |link: &&str| link.contains(" routable ") && !link.contains(" failed");
    let names = links.lines().filter(works);
    let names: Vec<_> = names
        .filter_map(|link| link.split_whitespace().nth(1))
        .collect();
    format!("networkd for {}", names.join(" and "))
}

/// Which device the one client works for.
fn client_of(name: &str) -> String {
    let called = if name == "dhcpcd" { "dhcpcd:" } else { name };
    let running = processes(called).join("\n");
    let devices = ["eth0", "mydocker0"];
    let found: Vec<_> = devices
        .into_iter()
        .filter(|device| running.contains(device))
        .collect();
    format!("{name} for {}", found.join(" and "))
}

fn run(fault: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0", "--timeout", "60"])
        .env_clear()
        .env("SLIPWAY_FAULT", fault)
        .output()
        .unwrap()
}

/// Every file of a directory with its time and bytes.
fn files(dir: &str) -> BTreeMap<PathBuf, (i64, i64, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                dirs.push(path)
            } else {
                let bytes = fs::read(&path).unwrap();
                files.insert(path, (meta.mtime(), meta.mtime_nsec(), bytes));
            }
        }
    }
    files
}

/// Waits until neither a run nor its watchdog is at work.
pub(crate) fn wait_for_watchdog() {
    let lock = Path::new("/var/lib/slipway/bridgeprereq/lock");
    let lock = fs::File::options().append(true).open(lock).unwrap();
    wait_for("the watchdog", || lock.try_lock().is_ok());
}

/// Kills the run at each part of its work on files and clients, until there is none left.
fn at_every_part(dir: &str, client: impl Fn() -> String) {
    let lease = address("eth0").unwrap();
    let (before, for_nic) = (files(dir), client());
    let mut parts = 0;
    loop {
        let output = run(&format!("kill:part:{}", parts + 1));
        wait_for_watchdog();
        if Path::new("/sys/class/net/mydocker0").exists() {
            // Killed after the end, or not at all.
            assert_eq!(address("mydocker0"), Some(lease.clone()));
            assert!(output.status.success() || parts > 8);
            break;
        }
        assert_eq!(output.status.code(), None);
        parts += 1;
        assert_eq!(files(dir), before, "{parts}");
        wait_for("the lease on the NIC", || {
            address("eth0").as_ref() == Some(&lease)
        });
        wait_for("the client on the NIC", || client() == for_nic);
        assert!(answers(&lease), "{parts}");
    }
    println!("killed at {parts} parts");
    assert!(parts > 8, "{parts} parts");
    assert!(run("").status.success());
    assert_eq!(String::from_utf8_lossy(&run("").stdout), "nothing to do\n");
    assert_eq!(count("DHCPRELEASE"), 0, "{}", server_log());
    assert!(answers(&lease));
}

/// Moves the host, struck by a fault or not; the lease stays its own all the while.
fn moves(dir: &str, fault: &str, client: impl Fn() -> String) {
    let lease = address("eth0").unwrap();
    let (before, for_nic) = (files(dir), client());
    if !fault.is_empty() {
        let output = run(fault);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), None, "{said}");
        wait_for_watchdog();
    }
    if fault.starts_with("kill") {
        assert_eq!(files(dir), before);
        wait_for("the lease on the NIC", || {
            address("eth0").as_ref() == Some(&lease)
        });
        wait_for("the client on the NIC", || client() == for_nic);
        assert!(!Path::new("/sys/class/net/mydocker0").exists());
        assert!(answers(&lease));
    }
    let watch = start(
        &format!("ip netns exec gateway ping -q -i 0.01 -c 400 {lease}"),
        "/run/ping.log",
    );
    let output = run("");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "done; reached gateway 10.0.0.1\n",
        "{said}"
    );
    assert!(!said.contains("after a boot it will differ"), "{said}");
    assert_eq!(address("mydocker0"), Some(lease.clone()));
    assert_eq!(address("eth0"), None);
    wait_for("the client on the bridge", || {
        client() == for_nic.replace("eth0", "mydocker0")
    });
    assert_eq!(count("DHCPRELEASE"), 0, "{}", server_log());
    let mut watch = watch;
    watch.wait().unwrap();
    let log = fs::read_to_string("/run/ping.log").unwrap();
    let received = log.split(" packets transmitted, ").nth(1);
    let received = received.and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    // A busy machine may delay a ping, but nothing else may lose one; what died with its watchdog is
    // taken back first, and the script of udhcpc takes the address off for a moment whenever it starts.
    let least = match (fault, for_nic.starts_with("udhcpc")) {
        ("both:commit", _) => 0,
        (_, true) => 350,
        (_, false) => 397,
    };
    assert!(received >= Some(least), "{log}");

    let settled = files(dir);
    let output = run("");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing to do\n");
    assert_eq!(files(dir), settled);
    assert!(answers(&lease));
}

fn answers(address: &str) -> bool {
    let ping = format!("netns exec gateway ping -q -c 3 -i 0.2 -W 1 {address}");
    let output = Command::new("ip").args(ping.split(' ')).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains(" 0% packet loss")
}
