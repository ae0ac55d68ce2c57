//! The real dnsmasq with what `makedhcp` and `makedns` write, and real DHCP clients, in a network namespace.
//!
//! Needs root; what is missing makes a case *ignored*, with the reason in its name. Nothing of the machine's own
//! network is touched.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::process::{Command, ExitCode};

use lab::Lab;

const RACK: &str = "[rack]\nnet = \"10.1.0.0\"\nmask = \"255.255.0.0\"\ndynamicrange = \"10.1.200.1-10.1.200.9\"\n";

const NODES: &str = "[node.n1]\nip = \"10.1.0.11\"\nmac = \"5254.0000.0001\"\n[node.n2]\nip = \"10.1.0.12\"\n\
                     mac = \"52:54:00:00:00:02\"\n[node.c1]\nmgt = \"docker\"\nip = \"10.1.3.1\"\n";

/// What every case runs first: a wire between this machine (eth1) and a node, dnsmasq, and `ask MAC [OPTION…]`.
const BEGIN: &str = r#"
# Names of namespaces are this lab's alone.
mkdir -p /run/netns
mount -t tmpfs none /run/netns
ip link set lo up
ip link add eth1 type veth peer name node
ip address add 10.1.0.1/16 dev eth1
ip link set eth1 up
dhcp() { "$MAKEDHCP" "$@" --directory "$LAB/dnsmasq.d" --pid-file "$LAB/dnsmasq.pid"; }
dns() { "$MAKEDNS" "$@" --directory "$LAB/dnsmasq.d" --pid-file "$LAB/dnsmasq.pid"; }
start() {
    dnsmasq --conf-file=/dev/null --conf-dir="$LAB/dnsmasq.d" --user=root --no-hosts \
        --pid-file="$LAB/dnsmasq.pid" --dhcp-leasefile="$LAB/leases" --log-facility="$LAB/log"
}
# Another one could not listen before this one has ended.
stop() {
    local before
    before=$(cat "$LAB/dnsmasq.pid")
    kill "$before"
    while kill -0 "$before" 2>/dev/null; do sleep 0.05; done
}
printf '%s\n' '#!/bin/sh' '[ "$1" != bound ] || echo "$ip $boot_file $siaddr router=$router${opt60:+ $opt60}${vendor:+ $vendor}"' >"$LAB/lease"
chmod 755 "$LAB/lease"
ask() {
    ip link set node down
    ip link set node address "$1"
    ip link set node up
    shift
    busybox udhcpc -i node -f -q -n -t 20 -T 1 -s "$LAB/lease" "$@" 2>/dev/null || echo nothing
}
dhcp -n --loaders "$LAB/loaders" >/dev/null
dhcp -a >/dev/null
dns >/dev/null
start
"#;

fn main() -> ExitCode {
    lab::main(
        &["unshare", "ip", "dnsmasq", "busybox", "dhclient"],
        missing(),
        &[
            (
                "each_firmware_of_a_node_gets_its_address_and_its_boot_file",
                boots,
            ),
            ("a_changed_list_is_in_force_and_no_lease_is_lost", reload),
            ("settings_that_need_a_restart_are_said_to", restart),
            ("nodes_and_containers_have_names", names),
            ("a_node_gets_its_ipv6_address_and_no_router", six),
            ("another_server_on_the_wire_is_said", another),
            (
                "a_unit_is_restarted_for_settings_and_put_back_where_it_does_not_start",
                unit,
            ),
        ],
    )
}

fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("root".to_owned());
    }
    let namespace = Command::new("unshare")
        .args(["--net", "--pid", "--mount", "--fork", "true"])
        .output();
    (!namespace.is_ok_and(|output| output.status.success()))
        .then(|| "network namespaces".to_owned())
}

/// Runs a script in a namespace of its own, which ends with all that it started.
fn script(lab: &Lab, text: &str) -> String {
    let mut command = Command::new("unshare");
    command
        .args([
            "--net",
            "--pid",
            "--mount-proc",
            "--fork",
            "--kill-child",
            "bash",
            "-euc",
        ])
        .arg(format!("{BEGIN}{text}"))
        .env("LAB", lab.path("."))
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .env("MAKEDHCP", env!("CARGO_BIN_EXE_makedhcp"))
        .env("MAKEDNS", env!("CARGO_BIN_EXE_makedns"));
    let ended = lab::ended(&mut command, &lab.path("."));
    assert_eq!(
        ended.code,
        Some(0),
        "{}{}{}",
        ended.stdout,
        ended.stderr,
        lab.read("log")
    );
    ended.stdout
}

fn boots() {
    let lab = Lab::new(RACK, NODES);
    let printed = script(
        &lab,
        r#"
n1=52:54:00:00:00:01
ask $n1 -x 0x5d:0000 -V PXEClient:Arch:00000:UNDI:002001
ask $n1 -x 0x5d:0007 -V PXEClient:Arch:00007:UNDI:003016
ask $n1 -x 0x5d:0009
ask $n1 -x 0x5d:000b
ask $n1 -x 0x5d:0010 -V HTTPClient:Arch:00016:UNDI:003001
ask $n1 -x 0x5d:0013 -V HTTPClient:Arch:00019:UNDI:003001
ask $n1 -x 0x5d:0007 -x 0xaf:01
ask 52:54:00:00:00:99 -x 0x5d:0000
ask 52:54:00:00:00:98 -x 0x5d:0007 -x 0xaf:01 | sed 's/^10\.1\.200\.[1-9] /dynamic /'
"#,
    );
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[..7],
        [
            "10.1.0.11 undionly.kpxe 10.1.0.1 router=",
            "10.1.0.11 ipxe-x86_64.efi 10.1.0.1 router=",
            "10.1.0.11 ipxe-x86_64.efi 10.1.0.1 router=",
            "10.1.0.11 ipxe-aarch64.efi 10.1.0.1 router=",
            "10.1.0.11 http://10.1.0.1/install/ipxe/ipxe-x86_64.efi 10.1.0.1 router= HTTPClient",
            "10.1.0.11 http://10.1.0.1/install/ipxe/ipxe-aarch64.efi 10.1.0.1 router= HTTPClient",
            "10.1.0.11 http://10.1.0.1/install/autoinst/${hostname}/boot.ipxe 10.1.0.1 router=",
        ]
    );
    // A machine that is not defined gets iPXE and an address, and no boot script.
    assert!(
        lines[7].starts_with("10.1.200.") && lines[7].ends_with(" undionly.kpxe 10.1.0.1 router="),
        "{}",
        lines[7]
    );
    assert_eq!(lines[8], "dynamic  10.1.0.1 router=");
}

fn reload() {
    let lab = Lab::new(RACK, NODES);
    let printed = script(
        &lab,
        r#"
ask 52:54:00:00:00:01
ask 52:54:00:00:00:02
before=$(cat "$LAB/dnsmasq.pid")
sed -i 's/10\.1\.0\.11/10.1.0.111/' "$LAB/config/nodes/nodes.toml"
dhcp n1
for try in $(seq 50); do
    case $(ask 52:54:00:00:00:01) in 10.1.0.111*) echo moved; break ;; esac
    sleep 0.1
done
[ "$before" = "$(cat "$LAB/dnsmasq.pid")" ] && kill -0 "$before" && echo 'the same process'
grep -o '10\.1\.0\.12 n2' "$LAB/leases"
dhcp n1 -d
for try in $(seq 50); do
    case $(ask 52:54:00:00:00:01) in 10.1.200.*) echo 'not known any more'; break ;; esac
    sleep 0.1
done
"#,
    );
    assert_eq!(
        printed,
        "10.1.0.11  10.1.0.1 router=\n10.1.0.12  10.1.0.1 router=\n\
         n1: changed: 52:54:00:00:00:01,10.1.0.111,n1\n1 node: 1 changed; dnsmasq: reloaded\n\
         moved\nthe same process\n10.1.0.12 n2\n\
         n1: removed\n1 node: 1 removed; dnsmasq: reloaded\nnot known any more\n"
    );
}

fn restart() {
    let lab = Lab::new(RACK, NODES);
    let printed = script(
        &lab,
        r#"
ask 52:54:00:00:00:02
printf 'gateway = "10.1.0.254"\n' >>"$LAB/config/networks.toml"
dhcp -n --loaders "$LAB/loaders" 2>&1 | sed 's/process [0-9]*/process N/' || true
stop
start
grep -o '10\.1\.0\.12 n2' "$LAB/leases"
ask 52:54:00:00:00:02
"#,
    );
    assert_eq!(
        printed,
        "10.1.0.12  10.1.0.1 router=\n\
         makedhcp: process N runs with the settings from before, which it reads only when it starts: restart it\n\
         10.1.0.12 n2\n10.1.0.12  10.1.0.1 router=10.1.0.254\n"
    );
}

fn names() {
    let lab = Lab::new(RACK, NODES);
    lab.site("domain = \"lab\"\n");
    let printed = script(
        &lab,
        r#"
ask() { busybox nslookup "$1" 10.1.0.1 2>/dev/null | sed -n 's/^Address[ 0-9]*: *//p; s/.*name = //p' | tail -n 1; }
ask n1.lab
ask c1.lab
ask 10.1.0.12
sed -i 's/10\.1\.3\.1/10.1.3.2/' "$LAB/config/nodes/nodes.toml"
dns c1
for try in $(seq 50); do
    case $(ask c1.lab) in 10.1.3.2) echo moved; break ;; esac
    sleep 0.1
done
"#,
    );
    assert_eq!(
        printed,
        "10.1.0.11\n10.1.3.1\nn2.lab\n<lab>/dnsmasq.d/slipway-dns.conf: unchanged\n\
         c1: changed: 10.1.3.2 c1.lab c1\n1 node: 1 changed; dnsmasq: reloaded\nmoved\n"
    );
}

/// systemd itself is stood in for: a test does not restart what the machine runs.
fn unit() {
    let lab = Lab::new(RACK, NODES);
    let printed = script(
        &lab,
        r#"
mount -t tmpfs none /run
mkdir -p /run/systemd/system "$LAB/bin"
printf '%s\n' '#!/bin/sh' 'echo "systemctl $*"' '[ "$1" != restart ] || [ ! -e "$LAB/broken" ] || { echo "it does not start" >&2; exit 1; }' >"$LAB/bin/systemctl"
chmod 755 "$LAB/bin/systemctl"
PATH=$LAB/bin:$PATH
dhcp() { "$MAKEDHCP" "$@" --directory "$LAB/dnsmasq.d"; }
asked() { cat "$LAB/asked"; : >"$LAB/asked"; }
sed -i 's/^echo.*/echo "$*" >>"$LAB\/asked"/; s/echo "systemctl $\*"/echo "$*" >>"$LAB\/asked"/' "$LAB/bin/systemctl"
: >"$LAB/asked"
dhcp n1 -d
asked
printf 'mtu = 1400\n' >>"$LAB/config/networks.toml"
dhcp -n --loaders "$LAB/loaders"
asked
touch "$LAB/broken"
before=$(cat "$LAB/dnsmasq.d/slipway-dhcp.conf")
sed -i 's/1400/1300/' "$LAB/config/networks.toml"
dhcp -n --loaders "$LAB/loaders" 2>&1 || echo "exit $?"
[ "$before" = "$(cat "$LAB/dnsmasq.d/slipway-dhcp.conf")" ] && echo 'put back'
asked
"#,
    );
    assert_eq!(
        printed,
        "n1: removed\n1 node: 1 removed; dnsmasq: reloaded\n\
         is-active --quiet dnsmasq.service\nkill --kill-who=main --signal=HUP dnsmasq.service\n\
         <lab>/dnsmasq.d/slipway-dhcp.conf: written\ndnsmasq: restarted\nrestart dnsmasq.service\n\
         makedhcp: systemctl restart dnsmasq.service: it does not start\nexit 1\nput back\n\
         restart dnsmasq.service\nrestart dnsmasq.service\n"
    );
}

fn six() {
    let networks = format!(
        "{RACK}[six]\nnet = \"fd00:1::\"\nmask = \"/64\"\nnameservers = [\"<xcatmaster>\"]\nmgtifname = \"eth1\"\n"
    );
    let nodes = "[node.n1]\nip = \"fd00:1::11\"\nmac = \"52:54:00:00:00:01\"\n";
    let lab = Lab::new(&networks, nodes);
    let printed = script(
        &lab,
        r#"
stop
ip address add fd00:1::1/64 dev eth1 nodad
start
cat >"$LAB/lease6" <<'LEASE'
#!/bin/sh
[ "$reason" != BOUND6 ] || echo "$new_ip6_address dns=$new_dhcp6_name_servers" >"$LAB/bound"
LEASE
chmod 755 "$LAB/lease6"
ip link set node down
ip link set node address 52:54:00:00:00:01
# The node is a machine of its own, which hears no packet of its own address.
ip netns add peer
ip link set node netns peer
ip netns exec peer sysctl -qw net.ipv6.conf.node.accept_dad=0
ip -n peer link set lo up
ip -n peer link set node up
export LAB
timeout 60 ip netns exec peer dhclient -6 -1 -d -e LAB="$LAB" -sf "$LAB/lease6" -lf "$LAB/leases6" -pf "$LAB/pid6" node >/dev/null 2>&1 &
for _ in $(seq 500); do [ ! -s "$LAB/bound" ] || break; sleep 0.1; done
cat "$LAB/bound"
kill $!
ip -n peer -6 route show default | wc -l
ip netns del peer
"#,
    );
    assert_eq!(printed, "fd00:1::11 dns=fd00:1::1\n0\n");
}

fn another() {
    let lab = Lab::new(RACK, NODES);
    let printed = script(
        &lab,
        r#"
# It offers what it says, where this machine's own offers an address of its dynamic range.
ip netns add peer
ip link set node netns peer
ip -n peer address add 10.1.0.99/16 dev node
ip -n peer link set node up
ip netns exec peer dnsmasq --conf-file=/dev/null --port=0 --no-ping --user=root --pid-file="$LAB/peer.pid" \
    --dhcp-range=10.1.0.150,10.1.0.150 --dhcp-leasefile="$LAB/peer.leases" --log-facility="$LAB/log"
dhcp --detect --json || echo "exit status $?"
kill "$(cat "$LAB/peer.pid")"
ip netns del peer
"#,
    );
    let expected = "{\n  \"servers\": [\n    {\n      \"interface\": \"eth1\",\n      \"server\": \"10.1.0.99\",\n      \
                    \"offers\": \"10.1.0.150\"\n    }\n  ]\n}\nexit status 1\n";
    assert_eq!(printed, expected);
}
