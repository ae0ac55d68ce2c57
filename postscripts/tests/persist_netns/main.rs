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

