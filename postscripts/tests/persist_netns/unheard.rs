//! A daemon that cannot be told keeps nothing from being put back: the network, the rules, the files of every uplink.

use std::path::Path;
use std::process::Command;
use std::{fs, os::unix::fs::PermissionsExt};

use crate::Inside;
use crate::host::{address, bus, host, ok, start_networkd, wait_for};

pub(crate) fn trials() -> Vec<Inside> {
    let needs = &["dnsmasq", "networkctl", "dbus-daemon"];
    let name = "what_networkd_cannot_be_told_is_put_back_all_the_same";
    vec![Inside::new(name, needs, put_back)]
}

/// `networkctl` as it is when networkd does not answer any more, after one reload that it did.
const NETWORKCTL: &str = "#!/bin/sh\n\
    if [ \"$1\" = reload ] && ! mkdir /run/reloaded 2>/dev/null && [ ! -e /run/answers ]; then\n\
        echo 'Failed to reload network settings: Connection timed out' >&2\n\
        exit 1\n\
    fi\n\
    exec /run/networkctl.real \"$@\"\n";

const RULE: &str = "from all iif eth0 lookup 100";

fn put_back() {
    host();
    bus();
    ok("ip link add eth1 type veth peer name port1 netns gateway");
    for line in ["ip -n gateway link set port1 up", "ip link set eth1 up"] {
        ok(line);
    }
    let networks = Path::new("/etc/systemd/network");
    let text = |number: u8| {
        format!(
            "[Match]\nName=eth{number}\n\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nAddress=10.0.{number}.5/24\n"
        )
    };
    let file = |number: u8| networks.join(format!("20-eth{number}.network"));
    for number in [0, 1] {
        fs::write(file(number), text(number)).unwrap();
    }
    start_networkd();
    for name in ["eth0", "eth1"] {
        wait_for(name, || {
            ok(&format!("networkctl list {name} --no-legend")).contains("configured")
        });
    }
    ok("ip rule add iif eth0 lookup 100 priority 1000");
    fs::copy("/usr/bin/networkctl", "/run/networkctl.real").unwrap();
    fs::write("/run/networkctl", NETWORKCTL).unwrap();
    fs::set_permissions("/run/networkctl", fs::Permissions::from_mode(0o755)).unwrap();
    ok("mount --bind /run/networkctl /usr/bin/networkctl");

    let output = run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in [
        "Failed to reload network settings: Connection timed out: everything was put back",
        "the files are as they were, and the daemon may not know it: run 'networkctl reload' once it answers",
        "bridgeprereq: then run 'networkctl reconfigure eth0'",
    ] {
        assert!(said.contains(part), "{said}");
    }
    for number in [0, 1] {
        let address = address(&format!("eth{number}"));
        assert_eq!(address, Some(format!("10.0.{number}.5")));
        assert_eq!(fs::read_to_string(file(number)).unwrap(), text(number));
    }
    assert_eq!(fs::read_dir(networks).unwrap().count(), 2);
    assert!(ok("ip rule").contains(RULE));
    assert!(!Path::new("/sys/class/net/mydocker0").exists());
    let state = Path::new("/var/lib/slipway/bridgeprereq");
    assert!(!state.join("live.json").exists());

    // and the next run is not held up by it
    fs::write("/run/answers", "").unwrap();
    ok("networkctl reload");
    ok("networkctl reconfigure eth0");
    wait_for("networkd once it answers", || {
        let links = ok("networkctl list --no-legend");
        links.matches("configured").count() >= 2
    });
    let output = run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(address("mydocker0"), Some("10.0.0.5".to_owned()));
    assert_eq!(address("mydocker1"), Some("10.0.1.5".to_owned()));
}

fn run() -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0,eth1:mydocker1", "--timeout", "60"])
        .env_clear()
        .output()
        .unwrap()
}
