//! Processes that are not the host's own, and files that are not root's: nothing of them is started, read
//! or written, and what cannot be moved is refused with its name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::Inside;
use crate::host::{address, host, ok, processes, start, wait_for};

pub(crate) fn trials() -> Vec<Inside> {
    vec![
        Inside::new(
            "a_users_process_is_no_client_whatever_it_calls_itself",
            &["setpriv", "bash", "ifup", "dnsmasq"],
            users,
        ),
        Inside::new(
            "a_containers_client_is_not_the_hosts",
            &["udhcpc", "unshare", "ifup", "dnsmasq"],
            containers,
        ),
        Inside::new(
            "a_client_of_roots_that_cannot_be_vouched_for_is_refused",
            &["udhcpc", "busybox", "unshare", "ifup", "dnsmasq"],
            refused,
        ),
        Inside::new(
            "a_client_whose_program_was_upgraded_meanwhile_moves",
            &["dhclient", "ifup", "dnsmasq"],
            upgraded,
        ),
        Inside::new(
            "a_lease_that_is_a_link_is_refused_and_nothing_is_written",
            &["dhclient", "ifup", "dnsmasq"],
            linked_lease,
        ),
        Inside::new(
            "what_is_no_file_among_the_configuration_is_skipped_and_named",
            &["ifup", "dnsmasq"],
            odd_files,
        ),
        Inside::new("nobody_else_can_hold_the_lock", &["ifup", "dnsmasq"], locks),
    ]
}

/// A host with a fixed address under ifupdown.
fn fixed() {
    host();
    ok("ip address add 10.0.0.9/24 dev eth0");
    let text = "auto eth0\niface eth0 inet static\n    address 10.0.0.9/24\n";
    fs::write("/etc/network/interfaces", text).unwrap();
}

fn run(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeprereq"))
        .args(["eth0:mydocker0", "--timeout", "60"])
        .args(options)
        .env_clear()
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn moves() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(address("mydocker0"), Some("10.0.0.9".to_owned()));
    assert!(!said(&output).contains("process"), "{}", said(&output));
}

fn script(path: &str, text: &str) {
    fs::write(path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn users() {
    fixed();
    fs::create_dir("/run/evil").unwrap();
    fs::set_permissions("/run/evil", fs::Permissions::from_mode(0o777)).unwrap();
    fs::write("/run/evil/eth0.leases", "its\n").unwrap();
    std::os::unix::fs::symlink("/run/owned", "/run/evil/mydocker0.leases").unwrap();
    for name in ["dhclient", "dhcpcd", "udhcpc", "/usr/sbin/dhclient"] {
        let file = format!("/run/as-{}", name.replace('/', "-"));
        // It gives itself the name, the arguments and the kernel's short name of a client.
        let comm = name.rsplit('/').next().unwrap();
        script(
            &file,
            &format!(
                "exec -a {name} /bin/bash -c 'echo {comm} >/proc/self/comm; [ $UID != 0 ] || touch /run/owned; \
                 read -t 300 <> <(:); :' x -lf /run/evil/eth0.leases eth0"
            ),
        );
        start(
            &format!("setpriv --reuid 65534 --regid 65534 --clear-groups {file}"),
            "/run/evil.log",
        );
    }
    wait_for("the users' processes", || processes("udhcpc").len() == 1);
    moves();
    assert!(!Path::new("/run/owned").exists());
    let output = run(&[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing to do\n");
    assert!(!Path::new("/run/owned").exists());
}

/// A real client that configures nothing: what it would run is `/bin/true`.
const CLIENT: &str = "/usr/sbin/udhcpc -f -i eth0 -s /bin/true -t 10000 -T 30";

fn containers() {
    fixed();
    for (how, log) in [
        ("unshare --pid --fork", "/run/pid.log"),
        ("unshare --mount --pid --fork", "/run/mount.log"),
    ] {
        start(&format!("{how} {CLIENT}"), log);
    }
    wait_for("the containers", || processes("udhcpc").len() == 2);
    let before = processes("udhcpc");
    moves();
    assert_eq!(processes("udhcpc"), before);
}

fn refused() {
    fixed();
    fs::create_dir("/run/opt").unwrap();
    ok("cp /usr/bin/busybox /run/opt/udhcpc");
    for (line, message) in [
        (
            format!("unshare --mount {CLIENT}"),
            "it runs in a mount namespace of its own, so that its files are not the host's: end it first",
        ),
        (
            CLIENT.replace("/usr/sbin", "/run/opt"),
            "it runs /run/opt/udhcpc, which is not a program of this host that root alone can change: end it first",
        ),
    ] {
        // Not by `start`, which looks the program up.
        let mut words = line.split(' ');
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .spawn()
            .unwrap();
        wait_for("the client", || {
            processes("udhcpc").iter().any(|line| line.contains("eth0"))
        });
        for options in [&[][..], &["--no-persist"]] {
            let output = run(options);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(
                said(&output).trim_end().ends_with(&format!(
                    "moving udhcpc (process {}) from eth0 to mydocker0: {message}",
                    child.id()
                )),
                "{}",
                said(&output)
            );
            assert!(!Path::new("/sys/class/net/mydocker0").exists());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Has dhclient get a lease, under ifupdown.
fn leased() -> Option<String> {
    let text = "auto eth0\niface eth0 inet dhcp\n";
    fs::write("/etc/network/interfaces", text).unwrap();
    ok("dhclient -4 -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases eth0");
    wait_for("a lease", || address("eth0").is_some());
    address("eth0")
}

fn upgraded() {
    host();
    // As a package manager does it, in a layer that ends with the trial.
    for place in ["/run/sbin/upper", "/run/sbin/work"] {
        fs::create_dir_all(place).unwrap();
    }
    ok(
        "mount -t overlay overlay -o lowerdir=/usr/sbin,upperdir=/run/sbin/upper,workdir=/run/sbin/work /usr/sbin",
    );
    let lease = leased();
    ok("cp /usr/sbin/dhclient /usr/sbin/dhclient.new");
    ok("mv -f /usr/sbin/dhclient.new /usr/sbin/dhclient");
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(address("mydocker0"), lease);
    let running = processes("dhclient");
    assert!(
        running.len() == 1 && running[0].ends_with(" mydocker0"),
        "{running:?}"
    );
}

fn linked_lease() {
    host();
    let lease = leased();
    ok("mv /var/lib/dhcp/dhclient.eth0.leases /run/elsewhere");
    std::os::unix::fs::symlink("/run/elsewhere", "/var/lib/dhcp/dhclient.eth0.leases").unwrap();
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("/var/lib/dhcp/dhclient.eth0.leases is a symbolic link"),
        "{}",
        said(&output)
    );
    assert_eq!(address("eth0"), lease);
    assert!(!Path::new("/var/lib/dhcp/dhclient.mydocker0.leases").exists());
}

fn odd_files() {
    fixed();
    ok("mount -t tmpfs tmpfs /etc/netplan");
    ok("mkfifo /etc/netplan/pipe.yaml");
    ok("mknod /etc/netplan/device.yaml c 1 5");
    fs::write("/etc/netplan/huge.yaml", vec![b'a'; (1 << 20) + 1]).unwrap();
    fs::write("/run/anyones.yaml", "network:\n").unwrap();
    fs::set_permissions("/run/anyones.yaml", fs::Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::symlink("/run/anyones.yaml", "/etc/netplan/link.yaml").unwrap();
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for line in [
        "/etc/netplan/device.yaml is not a regular file: it is not read",
        "/etc/netplan/huge.yaml has more than 1048576 bytes: it is not read",
        "/etc/netplan/link.yaml is a link to a file that others may change: it is not read",
        "/etc/netplan/pipe.yaml is a named pipe: it is not read",
    ] {
        assert!(said(&output).contains(line), "{}", said(&output));
    }
}

fn locks() {
    fixed();
    moves();
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("/var/lib/slipway/bridgeprereq/lock"), 0o600);
    assert_eq!(mode("/var/lib/slipway/bridgeprereq"), 0o700);
}
