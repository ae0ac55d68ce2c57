//! The units under a real systemd, which is the first process of a container of its own, over a copy of this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use lab::Lab;

fn main() -> ExitCode {
    let is_root = nix::unistd::geteuid().is_root();
    lab::main(
        &["systemd-nspawn", "unshare", "curl", "ip"],
        (!is_root).then(|| "root".to_owned()),
        &[("the_units_start_the_daemon_and_restart_it_unnoticed", units)],
    )
}

/// Sets the container up over this machine's files, and boots it until its one job has ended.
const BOOT: &str = r#"
set -eu
lab=$1 units=$2 sysusers=$3
shift 3
mount -t tmpfs tmpfs "$lab/container"
mkdir "$lab/container/upper" "$lab/container/work" "$lab/container/root"
root=$lab/container/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$lab/container/upper,workdir=$lab/container/work" "$root"
install -m755 -t "$root/usr/bin" "$@"
install -m644 -t "$root/usr/lib/systemd/system" "$units"/*.service "$units"/*.socket
install -m644 "$sysusers" "$root/usr/lib/sysusers.d/slipway.conf"
rm -rf "$root/etc/slipway" "$root/install" "$root/var/lib/slipwayd"
mkdir -p "$root/job"
printf '%s\n' '[Unit]' 'After=basic.target' 'SuccessAction=exit' 'FailureAction=exit' '[Service]' 'Type=oneshot' \
    'ExecStart=/bin/bash /job/run' >"$root/etc/systemd/system/job.service"
printf '%s\n' '[Unit]' 'Requires=basic.target job.service' >"$root/etc/systemd/system/job.target"
exec timeout -s KILL 400 systemd-nspawn --quiet --register=no --keep-unit --boot --private-network --link-journal=no \
    --machine=slipway-test --bind "$lab/job:/job" -D "$root" systemd.unit=job.target
"#;

/// What is done there, and what it says.
const JOB: &str = r#"
exec >/job/out 2>&1
ip link set lo up
mkdir -p /install /etc/slipway/nodes
echo content >/install/file
printf 'master = "127.0.0.1"\ndomain = "cluster"\napiwriters = ["alice"]\n' >/etc/slipway/site.toml
printf '[lo]\nnet = "127.0.0.0"\nmask = "/8"\n' >/etc/slipway/networks.toml
printf '[node.n1]\ngroups = ["all"]\nip = "127.0.0.1"\n' >/etc/slipway/nodes/nodes.toml
slipway-trust init >/dev/null
slipway-trust issue alice --out /root/alice >/dev/null
systemd-sysusers
systemctl start slipway-signer.socket slipwayd-editor.socket slipwayd-http.socket slipwayd-tls.socket slipwayd-reports.socket
echo "before: $(systemctl is-active slipwayd slipway-signer slipwayd-editor | tr '\n' ' ')"
get() { curl -sS --max-time 100 "$@"; }
api() { get --cacert /etc/slipway/trust/root.crt --cert /root/alice/cert.pem --key /root/alice/key.pem "$@"; }
code() { api -o /dev/null -w '%{http_code}' "$@"; }
echo "file: $(get http://127.0.0.1/install/file) $(api https://127.0.0.1:8443/install/file)"
echo "report: $(get -d '{"state":"booted"}' http://127.0.0.1/v1/report) $(nodestat n1 | cut -d' ' -f2)"
echo "page: $(code https://127.0.0.1/)"
echo "trust: $(code https://127.0.0.1:8443/v1/trust)"
echo "made: $(code -X PUT -H 'If-None-Match: *' -H 'Content-Type: application/json' -d '{"attributes":{"groups":["all"]}}' https://127.0.0.1:8443/v1/nodes/n2)"
token=$(slipway-trust arm n1 --json | sed -n 's/.*"token": "\(.*\)".*/\1/p')
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout /dev/null -out /root/csr 2>/dev/null
request=$(sed ':a;N;$!ba;s/\n/\\n/g' /root/csr)
echo "enrolled: $(printf '{"node":"n1","token":"%s","request":"%s\\n"}' "$token" "$request" | code --data-binary @- https://127.0.0.1:8443/v1/enrol)"
pid=$(systemctl show -P MainPID slipwayd)
echo "user: $(stat -c %U "/proc/$pid") capabilities: $(grep CapEff "/proc/$pid/status" | cut -f2)"
echo "interfaces: $(nsenter -t "$pid" -n ip -o link | grep -vc ' lo:')"
echo "keys: $(nsenter -t "$pid" -m ls /etc/slipway/trust/nodes.key 2>&1 | grep -c 'No such file\|Permission denied')"
(while [ ! -e /stop ]; do get -f -o /dev/null http://127.0.0.1/install/file || echo "lost: $?"; done) & asking=$!
for _ in 1 2 3 4 5; do systemctl restart slipwayd; sleep 0.3; done
touch /stop
wait $asking
kill -KILL "$(systemctl show -P MainPID slipwayd)"
echo "killed: $(get --retry 9 --retry-all-errors http://127.0.0.1/install/file)"
echo "after: $(systemctl is-active slipwayd slipway-signer slipwayd-editor | tr '\n' ' ')"
"#;

const SAID: &str = "\
before: inactive inactive inactive 
file: content content
report: noted booted
page: 200
trust: 200
made: 201
enrolled: 200
user: slipway capabilities: 0000000000000000
interfaces: 0
keys: 1
killed: content
after: active active active 
";

fn units() {
    let lab = Lab::new("", "");
    for directory in ["container", "job"] {
        fs::create_dir(lab.path(directory)).unwrap();
    }
    lab.write("job/run", JOB);
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("units");
    // What is mounted goes with the namespace.
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", BOOT, "sh"])
        .arg(lab.root())
        .arg(&units)
        .arg(units.join("slipway.sysusers"))
        .args([
            env!("CARGO_BIN_EXE_slipwayd"),
            env!("CARGO_BIN_EXE_slipway-trust"),
            env!("CARGO_BIN_EXE_nodestat"),
        ])
        .stdin(Stdio::null());
    let console = command.output().unwrap();
    let console = String::from_utf8_lossy(&console.stdout).into_owned()
        + &String::from_utf8_lossy(&console.stderr);
    assert_eq!(lab.read("job/out"), SAID, "{console}");
}
