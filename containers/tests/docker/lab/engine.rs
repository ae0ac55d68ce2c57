//! The daemons of the lab: a containerd for each release, and an engine for each host.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::release::{containerd_socket, rooted};
use super::{eventually, namespace};

pub(super) fn start_containerd(path: &Path, host: &str) -> Child {
    let socket = containerd_socket(path, host);
    let directory = socket.with_extension("d");
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "TERM"])
        .args(rooted(path, host))
        .arg("containerd")
        .arg("--address")
        .arg(&socket)
        .arg("--root")
        .arg(directory.join("root"))
        .arg("--state")
        .arg(directory.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("containerd answers", || {
        UnixStream::connect(&socket).is_ok()
    });
    child
}

/// Starts the engine of a host: with its socket, and over TLS for clients of the authority.
pub(super) fn start_daemon(
    path: &Path,
    (host, address): (&str, &str),
    mounts_of: Option<u32>,
) -> Child {
    let directory = path.join(host);
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file("log"))
        .unwrap();
    let tag = format!("{host}-{}", std::process::id());
    // A download that fails is the case's to see, and not tried for minutes.
    fs::write(file("daemon.json"), "{\"max-download-attempts\":1}").unwrap();
    // `ip netns exec` would hide the control groups below a /sys of its own.
    Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", namespace(host)))
        .args(mounts_of.map(|id| format!("--mount=/proc/{id}/ns/mnt")))
        .args(["setpriv", "--pdeathsig", "TERM", "dockerd"])
        .args(["--config-file", &file("daemon.json")])
        .args(["-H", &format!("unix://{}", file("docker.sock"))])
        .args(["-H", &format!("tcp://{address}:2376"), "--tlsverify"])
        .args([
            "--tlscacert",
            &file("ca.pem"),
            "--tlscert",
            &file("cert.pem"),
            "--tlskey",
            &file("key.pem"),
        ])
        .args([
            "--data-root",
            &file("data"),
            "--exec-root",
            &file("exec"),
            "--pidfile",
            &file("docker.pid"),
        ])
        .arg("--containerd")
        .arg(containerd_socket(path, host))
        .args([
            "--containerd-namespace",
            &tag,
            "--containerd-plugins-namespace",
            &format!("{tag}-plugins"),
        ])
        .args(["--bridge=none", "--iptables=false", "--live-restore"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
