//! The registry's units under a real systemd, which is the first process of a container of its own, over a copy of this
//! machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Case;
use crate::lab::{make_certificates, text};

pub(crate) const CASES: &[Case] = &[(
    "the_registrys_units_run_it_and_collect_its_garbage",
    registry,
)];

/// Sets the container up over this machine's files, and boots it until its one job has ended.
const BOOT: &str = r#"
set -eu
lab=$1 units=$2 setupregistry=$3
mount -t tmpfs tmpfs "$lab/container"
mkdir "$lab/container/upper" "$lab/container/work" "$lab/container/root"
root=$lab/container/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$lab/container/upper,workdir=$lab/container/work" "$root"
install -m755 -t "$root/usr/bin" "$setupregistry" "$lab/job/slipway-trust"
install -m644 -t "$root/usr/lib/systemd/system" "$units"/*
rm -rf "$root/etc/slipway" "$root/install" "$root/run/slipway"
mkdir -p "$root/job"
printf '%s\n' '[Unit]' 'After=basic.target' 'SuccessAction=exit' 'FailureAction=exit' '[Service]' 'Type=oneshot' \
    'ExecStart=/bin/bash /job/run' >"$root/etc/systemd/system/job.service"
printf '%s\n' '[Unit]' 'Requires=basic.target job.service' >"$root/etc/systemd/system/job.target"
exec timeout -s KILL 400 systemd-nspawn --quiet --register=no --keep-unit --boot --private-network --link-journal=no \
    --machine=slipway-registry-test --bind "$lab/job:/job" -D "$root" systemd.unit=job.target
"#;

/// What `slipway-trust issue` leaves in the directory that it is given.
const SIGNER: &str =
    "#!/bin/sh\nfor last; do :; done\nmkdir -p $last\ninstall -m600 /job/client/*.pem $last/\n";

/// What is done there, and what it says.
const JOB: &str = r#"
exec >/job/out 2>&1
ip link set lo up
ip addr add 10.73.0.254/32 dev lo
install -d -m700 /etc/slipway/trust
install -m644 /job/authority.pem /etc/slipway/trust/root.crt
install -m644 /job/authority.pem /etc/slipway/trust/clients.crt
install -m644 /job/server/cert.pem /etc/slipway/trust/server.crt
install -m600 /job/server/key.pem /etc/slipway/trust/server.key
printf 'installdir = "/install"\nmaster = "10.73.0.254"\n' >/etc/slipway/site.toml
setupregistry
setupregistry
registry=https://10.73.0.254:5000/v2
get() { curl -sS --max-time 100 --cacert /job/authority.pem "$@"; }
api() { get --cert /job/client/cert.pem --key /job/client/key.pem "$@"; }
code() { api -o /dev/null -w '%{http_code}' "$@"; }
setupregistry --collect-garbage
pid=$(systemctl show -P MainPID slipway-registry)
echo "user: $(stat -c %U "/proc/$pid") capabilities: $(grep CapEff "/proc/$pid/status" | cut -f2)"
echo "keys: $(nsenter -t "$pid" -m ls -A /etc/slipway/trust | wc -l)"
echo "changes: $(nsenter -t "$pid" -m touch /etc/changed 2>&1 | grep -c 'Read-only file system')"
get -o /dev/null $registry/ 2>/dev/null || echo 'nobody: refused'
digest=sha256:$(printf layer | sha256sum | cut -c1-64)
location=$(api -X POST -D - -o /dev/null $registry/app/blobs/uploads/ | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
echo "pushed: $(code -X PUT -H 'Content-Type: application/octet-stream' --data-binary layer "$location&digest=$digest") $(code -I $registry/app/blobs/$digest)"
echo "enabled: $(systemctl is-enabled slipway-registry slipway-registry-garbage.timer | tr '\n' ' ')"
systemctl start slipway-registry-garbage.service
echo "collected: $(systemctl show -P Result slipway-registry-garbage) $(code -I $registry/app/blobs/$digest)"
echo "takes images: $(code -X POST $registry/app/blobs/uploads/)"
systemctl enable --quiet --now slipway-registry-garbage.timer
echo "next: $(systemctl show -P NextElapseUSecRealtime slipway-registry-garbage.timer | cut -d' ' -f1)"
kill -KILL "$(systemctl show -P MainPID slipway-registry)"
echo "killed: $(code --retry 20 --retry-all-errors $registry/ 2>/dev/null)"
"#;

const SAID: &str = "\
10.73.0.254:5000 answers clients of the site's authority, and nobody else
docker hosts use it after: setupdockerhost --registry 10.73.0.254:5000
nothing to do
0 blobs deleted
user: docker-registry capabilities: 0000000000000000
keys: 0
changes: 1
nobody: refused
pushed: 201 200
enabled: enabled disabled 
collected: success 404
takes images: 202
next: Sun
killed: 200
";

fn registry() {
    let lab = tempfile::tempdir().unwrap();
    let path = |name: &str| lab.path().join(name);
    for directory in ["container", "job"] {
        fs::create_dir(path(directory)).unwrap();
    }
    make_certificates(&path("job"));
    fs::write(path("job/slipway-trust"), SIGNER).unwrap();
    fs::write(path("job/run"), JOB).unwrap();
    // What is mounted goes with the namespace.
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", BOOT, "sh"])
        .arg(lab.path())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("units"))
        .arg(env!("CARGO_BIN_EXE_setupregistry"))
        .stdin(Stdio::null());
    let console = command.output().unwrap();
    let console = text(&console.stdout) + &text(&console.stderr);
    let said = fs::read_to_string(path("job/out")).unwrap_or_default();
    assert_eq!(said, SAID, "{console}");
}
