//! A lease goes on for the bridge: by its client's configuration, without a change of files, and when the
//! first lease is long over.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use crate::Inside;
use crate::host::{
    address, bus, host, host_with, ok, processes, server_log, start_networkd, wait_for,
};
use crate::whole::wait_for_watchdog;

pub(crate) fn trials() -> Vec<Inside> {
    vec![
        Inside::new(
            "without_files_the_host_answers_when_its_lease_has_ended",
            &["dhclient", "dnsmasq", "ping"],
            without_files,
        ),
        Inside::new(
            "without_files_a_run_that_is_killed_leaves_the_client_at_work",
            &["dhclient", "dnsmasq"],
            without_files_killed,
        ),
        Inside::new(
            "without_files_networkd_with_a_lease_is_refused",
            &["dnsmasq", "networkctl", "dbus-daemon"],
            networkd,
        ),
        Inside::new(
            "what_dhclient_is_told_of_the_nic_moves_with_it",
            &["dhclient", "ifup", "dnsmasq"],
            configured,
        ),
        Inside::new(
            "without_files_what_dhclient_is_told_of_the_nic_is_refused",
            &["dhclient", "dnsmasq"],
            configured_without_files,
        ),
        Inside::new(
            "dhcpcd_that_probes_for_nothing_does_not_fetch_its_address_back",
            &["dhcpcd", "ifup", "dnsmasq"],
            hasty_dhcpcd,
        ),
    ]
}

fn run(options: &[&str], fault: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0", "--timeout", "60"])
        .args(options)
        .env_clear()
        .env("SLIPWAY_FAULT", fault)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn leased(client: &str) -> String {
    ok(client);
    wait_for("a lease", || address("eth0").is_some());
    address("eth0").unwrap()
}

fn without_files() {
    host();
    let lease = leased("dhclient -4 eth0");
    let output = run(&["--no-persist"], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(processes("dhclient"), ["dhclient -4 mydocker0"]);
    let output = run(&["--no-persist"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing to do\n");
    // The shortest lease that dnsmasq gives has two minutes.
    sleep(Duration::from_secs(130));
    assert_eq!(address("mydocker0"), Some(lease.clone()));
    assert_eq!(address("eth0"), None);
    ok(&format!("ip netns exec gateway ping -q -c 1 -W 5 {lease}"));
    assert_eq!(processes("dhclient"), ["dhclient -4 mydocker0"]);
}

fn without_files_killed() {
    host();
    let lease = leased("dhclient -4 eth0");
    for part in 1.. {
        let output = run(&["--no-persist"], &format!("kill:part:{part}"));
        wait_for_watchdog();
        if Path::new("/sys/class/net/mydocker0").exists() {
            // Killed after the end, or not at all.
            assert_eq!(address("mydocker0"), Some(lease));
            assert_eq!(processes("dhclient"), ["dhclient -4 mydocker0"]);
            assert!(part > 6, "{part} parts: {}", said(&output));
            return;
        }
        wait_for("the lease on the NIC", || {
            address("eth0").as_ref() == Some(&lease)
        });
        wait_for("the client at work", || {
            processes("dhclient") == ["dhclient -4 eth0"] && !is_stopped()
        });
    }
}

/// Whether some dhclient is stopped by a signal.
fn is_stopped() -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        stat.contains("(dhclient) T")
    })
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
    let output = run(&["--no-persist"], "");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(
        said(&output),
        format!(
            "bridgeprereq: planning how eth0 is configured until the next boot: systemd-networkd keeps {lease} on \
             eth0 by a lease or by advertisements, and would do so on the port: omit --no-persist, or take \
             eth0 from systemd-networkd first\n"
        )
    );
    assert_eq!(address("eth0"), Some(lease));
}

const CONFIGURATION: &str = "request subnet-mask, routers;\ninterface \"eth0\" {\n  send dhcp-client-identifier \
                             \"shelf4\";\n}\n";

fn configured_host() {
    host_with("--dhcp-host=id:shelf4,10.0.0.44");
    fs::write("/etc/dhcp/dhclient.conf", CONFIGURATION).unwrap();
    let lease = leased(
        "dhclient -4 -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases eth0",
    );
    assert_eq!(lease, "10.0.0.44", "{}", server_log());
}

fn configured() {
    configured_host();
    let text = "auto eth0\niface eth0 inet dhcp\n";
    fs::write("/etc/network/interfaces", text).unwrap();
    let output = run(&[], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("change /etc/dhcp/dhclient.conf (DHCP client)\n"),
        "{}",
        said(&output)
    );
    assert_eq!(address("mydocker0").as_deref(), Some("10.0.0.44"));
    assert_eq!(address("eth0"), None);
    assert_eq!(
        fs::read_to_string("/etc/dhcp/dhclient.conf").unwrap(),
        CONFIGURATION.replace("eth0", "mydocker0")
    );
    let output = run(&[], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing to do\n");
}

fn configured_without_files() {
    configured_host();
    let output = run(&["--no-persist"], "");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).trim_end().ends_with(
            "/etc/dhcp/dhclient.conf names eth0, and its settings would not apply to mydocker0: omit \
             --no-persist, so that they move too"
        ),
        "{}",
        said(&output)
    );
    assert_eq!(address("eth0").as_deref(), Some("10.0.0.44"));
    assert_eq!(
        fs::read_to_string("/etc/dhcp/dhclient.conf").unwrap(),
        CONFIGURATION
    );
}

fn hasty_dhcpcd() {
    host();
    let text = "auto eth0\niface eth0 inet dhcp\n";
    fs::write("/etc/network/interfaces", text).unwrap();
    let mut text = fs::read_to_string("/etc/dhcpcd.conf").unwrap();
    text += "\nnoarp\n";
    fs::write("/etc/dhcpcd.conf", text).unwrap();
    let lease = leased("dhcpcd -4 eth0");
    let output = run(&[], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    sleep(Duration::from_secs(3));
    assert_eq!(address("mydocker0"), Some(lease));
    assert_eq!(address("eth0"), None);
}
