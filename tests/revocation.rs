//! A docker host of the site under a real systemd, which is the first process of a container of its own over a copy of this
//! machine: real `slipwayd`, `enrol`, `setupdockerhost`, `dockerauthz` and dockerd. Renewals refuse nobody, and whom the site
//! revokes is refused at the next request.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::{Need, Sandbox, binary, trial};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Root,
        Need::Tools(&[
            "systemd-nspawn",
            "unshare",
            "ip",
            "curl",
            "openssl",
            "busybox",
            "docker",
            "dockerd",
            "containerd",
        ]),
    ];
    vec![trial(
        "revocation::a_docker_host_renews_unnoticed_and_refuses_whom_the_site_revoked",
        needs,
        revokes,
    )]
}

/// Sets the container up over this machine's files, and boots it until its one job has ended.
const BOOT: &str = r#"
set -eu
lab=$1
mount -t tmpfs tmpfs "$lab/container"
mkdir "$lab/container/upper" "$lab/container/work" "$lab/container/root"
root=$lab/container/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$lab/container/upper,workdir=$lab/container/work" "$root"
rm -rf "$root/etc/slipway" "$root/install" "$root/opt/slipway" "$root/var/lib/slipway" "$root/var/lib/docker" \
    "$root/var/lib/containerd" "$root/etc/docker" "$root/etc/systemd/system/docker.service.d"
install -m755 -t "$root/usr/bin" "$2" "$3"
install -m755 -Dt "$root/opt/slipway/postscripts" "$4" "$5" "$6"
mkdir -p "$root/job" "$root/var/lib/docker" "$root/var/lib/containerd"
printf '%s\n' '[Unit]' 'After=basic.target' 'SuccessAction=exit' 'FailureAction=exit' '[Service]' 'Type=oneshot' \
    'ExecStart=/bin/bash /job/run' >"$root/etc/systemd/system/job.service"
printf '%s\n' '[Unit]' 'Requires=basic.target job.service' >"$root/etc/systemd/system/job.target"
exec timeout -s KILL 600 systemd-nspawn --quiet --register=no --keep-unit --boot --private-network --link-journal=no \
    --machine=slipway-revocation --capability=all --system-call-filter='add_key keyctl bpf' --tmpfs=/var/lib/docker \
    --tmpfs=/var/lib/containerd --bind "$lab/job:/job" -D "$root" systemd.unit=job.target
"#;

/// What is done there, and what it says.
const JOB: &str = r#"
exec >/job/out 2>&1
for c in /sys/fs/cgroup/*; do mount -o remount,bind,rw "$c" 2>/dev/null; done
ip link set lo up
for a in 1 11; do ip addr add 10.77.0.$a/24 dev lo; done
mkdir -p /install /etc/slipway/nodes /var/lib/slipway /run/state /root/c
printf 'installdir = "/install"\nmaster = "10.77.0.1"\ndomain = "cluster"\n' >/etc/slipway/site.toml
printf '[cluster]\nnet = "10.77.0.0"\nmask = "255.255.255.0"\n' >/etc/slipway/networks.toml
printf '[node.host01]\nip = "10.77.0.11"\n' >/etc/slipway/nodes/nodes.toml
slipway-trust init >/dev/null
slipway-trust signer --socket /run/signer.sock 2>/dev/null & 
serve() {
    slipwayd --http 10.77.0.1:80 --tls 10.77.0.1:8443 --reports 10.77.0.1:3002 --state /run/state \
        --signer /run/signer.sock --credentials /etc/slipway/trust 2>/run/slipwayd.log & daemon=$!
    until grep -q serving /run/slipwayd.log; do sleep 0.1; done
}
serve
for c in alice bob carol; do slipway-trust issue $c --out /root/c/$c >/dev/null; done
# how often the list is asked for
mkdir -p /etc/systemd/system/slipway-dockerauthz.service.d
printf '[Service]\nExecStart=\nExecStart=/opt/slipway/postscripts/dockerauthz --serve --every 2\n' \
    >/etc/systemd/system/slipway-dockerauthz.service.d/every.conf
token=$(slipway-trust arm host01 --json | sed -n 's/.*"token": "\(.*\)".*/\1/p')
root=$(sed ':a;N;$!ba;s/\n/\\n/g' /etc/slipway/trust/root.crt)
printf '{"node":"host01","server":"10.77.0.1:8443","name":"10.77.0.1","root":"%s\\n","token":"%s"}' "$root" "$token" \
    >/var/lib/slipway/enrolment.json
chmod 600 /var/lib/slipway/enrolment.json
PATH=/opt/slipway/postscripts:$PATH
last() { tail -n1 | cut -c1-160; }
of() { curl -sS --max-time 100 --cacert /etc/slipway/trust/root.crt --cert "/root/c/$1/cert.pem" --key "/root/c/$1/key.pem" \
    -o /dev/null -w '%{http_code}' https://10.77.0.11:2376/info; }
serial() { openssl x509 -noout -serial -in /etc/docker/tls/cert.pem; }
served() { openssl s_client -connect 10.77.0.11:2376 </dev/null 2>/dev/null | openssl x509 -noout -serial; }
plugin() { systemctl show -P MainPID slipway-dockerauthz.service; }

echo "enrol: $(enrol 2>&1 | cut -d' ' -f1-3)"
systemctl start docker.service
setupdockerhost >/run/setup 2>&1
echo "setup: $? $(last </run/setup)"
echo "again: $(setupdockerhost 2>&1)"
echo "plan: $(setupdockerhost --dry-run 2>&1)"
echo "settings: $(tr -d ' \n' </etc/docker/daemon.json)"
echo "asked: $(of alice) $(of bob) $(of carol)"

mkdir -p /run/image/bin && cp "$(command -v busybox)" /run/image/bin/busybox
tar -C /run/image -c bin | docker import - busybox >/dev/null
docker run -d --network none --name counts busybox /bin/busybox sh -c 'while :; do echo x; /bin/busybox sleep 0.1; done' >/dev/null
of_container() { docker inspect -f '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' counts; }
container=$(of_container)
before=$(serial) dockerd=$(systemctl show -P MainPID docker.service)
(while [ ! -e /run/stop ]; do of carol 2>/dev/null; echo " $?"; sleep 0.01; done >/run/asked) & asking=$!
for _ in 1 2 3; do
    enrol --renew >/run/renewed 2>&1 || cat /run/renewed
    [ "$(serial)" = "$(served)" ] || echo 'dockerd has not taken its certificate'
done
touch /run/stop
wait $asking
echo "renewed: $([ "$(serial)" != "$before" ] && echo yes) restarted: $([ "$(systemctl show -P MainPID docker.service)" != "$dockerd" ] && echo yes)"
# what dockerd has begun to answer, or to shake hands for, ends with it: once a restart where one is asked after the other
echo "refused: $(grep -cvE '^200 0$|^000 (35|52|55|56)$' /run/asked) cut: $([ "$(grep -cv '^200 0$' /run/asked)" -le 3 ] && echo once a renewal at most)"
echo "asked: $([ "$(grep -c '^200 0$' /run/asked)" -gt 50 ] && echo often)"
echo "container: $([ "$(of_container)" = "$container" ] && echo runs on)"

mkfifo /run/in
openssl s_client -quiet -connect 10.77.0.11:2376 -CAfile /etc/slipway/trust/root.crt -cert /root/c/alice/cert.pem \
    -key /root/c/alice/key.pem </run/in >/run/kept 2>/dev/null & kept=$!
exec 9>/run/in
ask() { printf 'GET /info HTTP/1.1\r\nHost: x\r\n\r\n' >&9; for _ in $(seq 300); do [ "$(grep -c ^HTTP /run/kept)" -lt "$1" ] || return 0; sleep 0.1; done; }
ask 1
slipway-trust revoke alice >/dev/null
for _ in $(seq 300); do [ "$(of alice)" = 200 ] || break; sleep 0.1; done
ask 2
echo "kept open: $(grep ^HTTP /run/kept | cut -d' ' -f2 | tr '\n' ' ')"
exec 9>&-
kill $kept
echo "revoked: $(docker --tlsverify --tlscacert /root/c/alice/ca.pem --tlscert /root/c/alice/cert.pem --tlskey /root/c/alice/key.pem \
    -H tcp://10.77.0.11:2376 ps 2>&1)"
echo "others: $(of bob) $(of carol) here: $(docker ps -q | wc -l)"

kill -STOP "$(plugin)"
slipway-trust revoke bob >/dev/null
echo "told: $(dockerauthz | cut -d, -f1)"
kill -CONT "$(plugin)"
echo "asked: $(of alice) $(of bob) $(of carol)"

first=$(plugin)
kill -KILL "$first"
echo "killed: $(of bob) $(of carol) here: $(docker ps -q | wc -l)"
systemctl stop slipway-dockerauthz.service 2>/dev/null
echo "stopped: $(of bob) $(of carol)"
systemctl restart docker.socket docker.service
echo "started again: $(of bob) $(of carol)"

setupdockerhost --status >/run/status
echo "status: $? $(grep '^revoked' /run/status | cut -d, -f1)"
kill $daemon
for _ in $(seq 300); do setupdockerhost --status >/run/status || break; sleep 0.1; done
echo "alone: $(of bob) $(of carol) $(grep '^wrong' /run/status)"
rm /var/lib/slipway/dockerauthz/revocations.pem
echo "without: $(of carol) here: $(docker ps -q | wc -l)"
serve
for _ in $(seq 300); do [ "$(of carol)" != 200 ] || break; sleep 0.1; done
echo "again: $(of bob) $(of carol)"
docker rm -f counts >/dev/null
systemctl stop docker.socket docker.service containerd.service
"#;

const SAID: &str = "\
enrol: enrolled as host01
setup: 0 dockerd answers trusted clients on [::]:2376
again: nothing to do
plan: nothing to do
settings: {\"hosts\":[\"fd://\"],\"tlsverify\":true,\"tlscacert\":\"/etc/docker/tls/ca.pem\",\"tlscert\":\"/etc/docker/tls/cert.pem\",\"tlskey\":\"/etc/docker/tls/key.pem\",\"live-restore\":true,\"authorization-plugins\":[\"slipway\"]}
asked: 200 200 200
renewed: yes restarted: yes
refused: 0 cut: once a renewal at most
asked: often
container: runs on
kept open: 200 403 
revoked: Error response from daemon: authorization denied by plugin slipway: the certificate of 'alice' is revoked
others: 200 200 here: 1
told: 2 certificate(s) revoked
asked: 403 403 200
killed: 403 200 here: 1
stopped: 403 200
started again: 403 200
status: 0 revoked clients: 2
alone: 403 200 wrong: getting the list of what is revoked: connecting to slipwayd on 10.77.0.1:8443: Connection refused (os error 111): the last list holds
without: 403 here: 1
again: 403 200
";

fn revokes() -> Result<()> {
    let lab = Sandbox::new()?;
    for directory in ["container", "job"] {
        fs::create_dir(lab.path(directory))?;
    }
    fs::write(lab.path("job/run"), JOB)?;
    let programs = [
        ("managementnode", "slipway-trust"),
        ("managementnode", "slipwayd"),
        ("postscripts", "enrol"),
        ("postscripts", "setupdockerhost"),
        ("postscripts", "dockerauthz"),
    ];
    let programs = programs.map(|(package, name)| binary(package, name));
    let programs = programs.into_iter().collect::<Result<Vec<PathBuf>>>()?;
    // What is mounted goes with the namespace.
    let console = Command::new("unshare")
        .args(["--mount", "sh", "-c", BOOT, "sh"])
        .arg(lab.path(""))
        .args(programs)
        .stdin(Stdio::null())
        .output()
        .context("booting a docker host")?;
    let said = fs::read_to_string(lab.path("job/out")).unwrap_or_default();
    ensure!(
        said == SAID,
        "it says\n{said}\nand not\n{SAID}\n{}{}",
        String::from_utf8_lossy(&console.stdout),
        String::from_utf8_lossy(&console.stderr)
    );
    Ok(())
}
