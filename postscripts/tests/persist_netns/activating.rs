//! A NIC whose daemon is still at work when the program comes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::Inside;
use crate::host::{bus, host_with, ok, start, wait_for};

pub(crate) fn trials() -> Vec<Inside> {
    vec![Inside::new(
        "networkmanagers_profile_that_is_being_activated_is_the_one_that_moves",
        &["NetworkManager", "nmcli", "dnsmasq", "dbus-daemon"],
        activating,
    )]
}

const PROFILES: &str = "/etc/NetworkManager/system-connections";
const LEASED: &str = "0e1c7a5e-6a0b-4b5c-8f0e-000000000001";

/// Writes a profile; each is for every NIC, or for eth0.
fn profile(name: &str, connection: &str, ipv4: &str) {
    let path = format!("{PROFILES}/{name}.nmconnection");
    let text = format!(
        "[connection]\nid={name}\ntype=ethernet\n{connection}\n\n[ethernet]\n\n[ipv4]\n{ipv4}\n\n[ipv6]\n\
         method=disabled\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A profile that names the NIC would be taken for its own, while one of a higher priority waits for a lease.
fn activating() {
    host_with("--dhcp-ignore=tag:!known");
    bus();
    ok(&format!("mkdir -p {PROFILES}"));
    for place in [PROFILES, "/usr/lib/NetworkManager/system-connections"] {
        if fs::exists(place).unwrap() {
            ok(&format!("mount -t tmpfs tmpfs {place}"));
        }
    }
    ok("mount -o remount,ro,bind /sys");
    let leased = format!("uuid={LEASED}\nautoconnect-priority=10");
    profile("leased", &leased, "method=auto\ndhcp-timeout=600");
    let fixed = "uuid=0e1c7a5e-6a0b-4b5c-8f0e-000000000002\ninterface-name=eth0";
    profile("fixed", fixed, "method=manual\naddress1=10.0.0.5/24");
    let configuration = "[main]\nplugins=keyfile\nrc-manager=unmanaged\nno-auto-default=*\n";
    fs::write("/run/nm.conf", configuration).unwrap();
    start(
        "NetworkManager --no-daemon --config=/run/nm.conf",
        "/run/nm.log",
    );
    wait_for("the lease to be asked for", || {
        let mut state = Command::new("nmcli");
        state.args(["-t", "-f", "GENERAL.STATE", "device", "show", "eth0"]);
        let output = state.output().unwrap();
        String::from_utf8_lossy(&output.stdout).starts_with("GENERAL.STATE:70 ")
    });
    let output = Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0", "--dry-run"])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for expected in [
        &format!(
            "NetworkManager is configuring eth0 by the profile {LEASED}: waiting for at most 10 s"
        ),
        "(does a DHCP server answer?): going on with the network as it is",
        &format!("change {PROFILES}/leased.nmconnection (NetworkManager)"),
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("fixed.nmconnection"), "{said}");
}
