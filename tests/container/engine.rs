//! A machine with Docker and nothing else, in a network namespace: its NIC is a cable to a namespace of nodes.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, Site, outcome};
use tempfile::TempDir;

/// How long something is waited for, at most: the machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What the machine needs.
pub(super) const TOOLS: &[&str] = &[
    "busybox",
    "containerd",
    "curl",
    "dnsmasq",
    "docker",
    "docker-compose",
    "dockerd",
    "ip",
    "nsenter",
    "openssl",
    "setpriv",
];

/// Where a program runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// The machine with the engine: 10.1.0.1 on `eth0`.
    Host,
    /// A machine on the other end of its cable, without an address.
    Node,
}

/// An engine of its own, which ends with this process.
pub(super) struct Engine {
    dir: TempDir,
    containerd: Child,
    daemon: Child,
}

impl Engine {
    /// Starts one, with a node beside it.
    pub(super) fn start() -> Result<Self> {
        Self::start_in(make_networks)
    }

    /// Starts one whose machine's NIC is plugged into a site's switch, with this address.
    pub(super) fn start_at(site: &Site, address: &str) -> Result<Self> {
        Self::start_in(|path| {
            let host = namespace(path, Place::Host);
            ip(&format!("netns add {host}"))?;
            ip(&format!("-n {host} link set lo up"))?;
            site.connect(&host)?;
            ip(&format!("-n {host} address add {address} dev eth0"))?;
            ip(&format!("-n {host} link set eth0 up"))
        })
    }

    fn start_in(make_networks: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("img").tempdir_in("/tmp")?;
        make_networks(dir.path())?;
        let socket = dir.path().join("containerd.sock");
        let containerd = quiet(Command::new("setpriv").args(["--pdeathsig", "TERM", "containerd"]))
            .arg("--address")
            .arg(&socket)
            .arg("--root")
            .arg(dir.path().join("containerd/root"))
            .arg("--state")
            .arg(dir.path().join("containerd/state"))
            .spawn()
            .context("starting containerd")?;
        eventually("containerd answers", || {
            Ok(UnixStream::connect(&socket).is_ok())
        })?;
        fs::write(dir.path().join("daemon.json"), "{}")?;
        let daemon = start_daemon(dir.path())?;
        let engine = Self {
            dir,
            containerd,
            daemon,
        };
        engine.answers()?;
        Ok(engine)
    }

    fn answers(&self) -> Result<()> {
        eventually("dockerd answers", || {
            Ok(self.docker(&["version"])?.code == Some(0))
        })
    }

    /// Ends the daemon as a shutdown does, and starts it again.
    pub(super) fn restart(&mut self) -> Result<()> {
        end(&mut self.daemon)?;
        self.daemon = start_daemon(self.dir.path())?;
        self.answers()
    }

    /// Names a file in the engine's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Prepares a program that runs in a place, with the engine at hand.
    pub(super) fn inside(&self, place: Place, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!(
                "--net=/run/netns/{}",
                namespace(self.dir.path(), place)
            ))
            .arg(program)
            .env("DOCKER_HOST", self.socket())
            .stdin(Stdio::null());
        command
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// Runs docker's client to its end.
    pub(super) fn docker(&self, arguments: &[&str]) -> Result<Outcome> {
        outcome(
            Command::new("docker")
                .args(arguments)
                .env("DOCKER_HOST", self.socket())
                .stdin(Stdio::null()),
        )
    }

    /// The same, which must succeed; returns what it prints.
    pub(super) fn succeed(&self, arguments: &[&str]) -> Result<String> {
        succeeded(self.docker(arguments)?).with_context(|| format!("docker {arguments:?}"))
    }

    /// Runs compose in a directory to its end.
    pub(super) fn compose(&self, directory: &Path, arguments: &[&str]) -> Result<Outcome> {
        outcome(
            Command::new("docker-compose")
                .args(arguments)
                .current_dir(directory)
                .env("DOCKER_HOST", self.socket())
                .stdin(Stdio::null()),
        )
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ids = self.docker(&["ps", "--all", "--quiet"]);
        let ids = ids.map(|listed| listed.stdout).unwrap_or_default();
        let ids: Vec<_> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = self.docker(&[&["rm", "--force"], ids.as_slice()].concat());
        }
        let _ = end(&mut self.daemon);
        let _ = end(&mut self.containerd);
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        for line in mounts.lines().rev() {
            let target = line.split_whitespace().nth(1).unwrap_or_default();
            if Path::new(target).starts_with(self.dir.path()) {
                let _ = Command::new("umount").args(["-l", target]).status();
            }
        }
        for place in [Place::Host, Place::Node] {
            let name = namespace(self.dir.path(), place);
            // A site has the nodes of some.
            let _ = quiet(Command::new("ip").args(["netns", "del", &name])).status();
        }
    }
}

/// Names a namespace of an engine, which its directory tells from others.
fn namespace(path: &Path, place: Place) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match place {
        Place::Host => format!("{name}-host"),
        Place::Node => format!("{name}-node"),
    }
}

fn make_networks(path: &Path) -> Result<()> {
    let (host, node) = (namespace(path, Place::Host), namespace(path, Place::Node));
    for line in [
        format!("netns add {host}"),
        format!("netns add {node}"),
        format!("-n {host} link set lo up"),
        format!("-n {node} link set lo up"),
        format!("-n {host} link add eth0 type veth peer name eth0 netns {node}"),
        format!("-n {host} address add 10.1.0.1/16 dev eth0"),
        format!("-n {host} link set eth0 up"),
        format!("-n {node} link set eth0 up"),
    ] {
        ip(&line)?;
    }
    Ok(())
}

fn ip(line: &str) -> Result<()> {
    let made = outcome(Command::new("ip").args(line.split(' ')))?;
    succeeded(made).with_context(|| format!("ip {line}"))?;
    Ok(())
}

fn start_daemon(path: &Path) -> Result<Child> {
    let file = |name: &str| path.join(name).display().to_string();
    let _ = fs::remove_file(path.join("docker.pid"));
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file("log"))?;
    let host = namespace(path, Place::Host);
    // `ip netns exec` would hide the control groups below a /sys of its own.
    Command::new("nsenter")
        .arg(format!("--net=/run/netns/{host}"))
        .args(["setpriv", "--pdeathsig", "TERM", "dockerd", "--bridge=none"])
        .args(["--config-file", &file("daemon.json")])
        .args(["--host", &format!("unix://{}", file("docker.sock"))])
        .args(["--data-root", &file("data"), "--exec-root", &file("exec")])
        .args(["--pidfile", &file("docker.pid")])
        .args(["--containerd", &file("containerd.sock")])
        .args(["--containerd-namespace", &host])
        .args(["--containerd-plugins-namespace", &format!("{host}-plugins")])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting dockerd")
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn end(child: &mut Child) -> Result<()> {
    let id = child.id().to_string();
    Command::new("kill").arg(id).status()?;
    child.wait()?;
    Ok(())
}

/// Expects a program to have succeeded, and returns what it printed.
pub(super) fn succeeded(ended: Outcome) -> Result<String> {
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(ended.stdout)
}

/// Waits until something holds.
pub(super) fn eventually(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + TIMEOUT;
    while !holds()? {
        ensure!(Instant::now() < end, "it did not come true: {what}");
        sleep(Duration::from_millis(200));
    }
    Ok(())
}
