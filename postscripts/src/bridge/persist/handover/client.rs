//! DHCP clients that run for one device: dhclient, dhcpcd and udhcpc.
//!
//! In: the host's own processes. Out: the same client on the bridge, with its arguments and its lease. The
//! old process is stopped before the NIC loses its addresses, lest it fetch them back, and killed with
//! SIGKILL once the new one has its lease, as the gentler signals make some of them release it or take
//! addresses away. A client of NetworkManager's is left to it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::arguments::ClientArguments;
use super::config;
use super::lease::Lease;
use super::options::ClientKind;
use crate::fault::Fault;
use crate::files::under_root;
use crate::owner::{self, HostProcess, HostProgram, View};
use crate::program;

/// How long a client may take to have its lease confirmed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client of the NIC, and what it shall be for the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DhcpClient {
    kind: ClientKind,
    /// The program that is started; busybox is many by their names, and so each goes by the client's.
    program: PathBuf,
    /// As it is started for the NIC, and for the bridge.
    old: Vec<String>,
    new: Vec<String>,
    pid: i32,
    /// The control group that the next one belongs in as well.
    group: Option<PathBuf>,
    leases: Vec<Lease>,
    /// The configuration that its command line names.
    config: Option<PathBuf>,
    /// Whether it does not go to the background.
    in_front: bool,
    nic: String,
    bridge: String,
}

/// Where clients move.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientMove<'a> {
    pub(super) nic: &'a str,
    pub(super) bridge: &'a str,
    /// The leased address, for clients that keep no lease.
    pub(super) address: Option<&'a str>,
}

/// The clients that work for the NIC, each as it shall be for the bridge.
///
/// # Errors
/// When one of them cannot be moved.
pub(super) fn find(root: &Path, to: &ClientMove<'_>) -> Result<Vec<DhcpClient>> {
    let ClientMove { nic, bridge, .. } = *to;
    let of_nic =
        |(_, line): &(HostProcess, ClientArguments)| line.covers(nic) && !line.is_managed();
    let moving = |process: &HostProcess, line: &ClientArguments| {
        let (name, pid) = (line.kind.name(), process.pid);
        format!("moving {name} (process {pid}) from {nic} to {bridge}")
    };
    if let Some((process, line)) = running_untrusted(root)?.into_iter().find(of_nic) {
        let place = process.program.path.display();
        return Err(anyhow!(
            "it runs {place}, which is not a program of this host that root alone can change: end it first"
        )
        .context(moving(&process, &line)));
    }
    let mut clients = Vec::new();
    for (process, line) in running(root)?.into_iter().filter(of_nic) {
        if is_kept_off(root, &line, nic, bridge)? {
            continue;
        }
        let client = DhcpClient::plan(root, &process, &line, to);
        clients.push(client.with_context(|| moving(&process, &line))?);
    }
    Ok(clients)
}

/// The host's DHCP clients, each with what it was started with.
fn running(root: &Path) -> Result<Vec<(HostProcess, ClientArguments)>> {
    let mut found = Vec::new();
    for kind in ClientKind::ALL {
        let programs = kind.programs().iter();
        let programs: Vec<_> = programs
            .flat_map(|name| HostProgram::all(root, name))
            .collect();
        for process in owner::running(root, &programs, owner::is_trusted)? {
            if let Some(line) = ClientArguments::parse(kind, &process.words) {
                found.push((process, line));
            }
        }
    }
    Ok(found)
}

/// Root's DHCP clients that the host has no program of.
fn running_untrusted(root: &Path) -> Result<Vec<(HostProcess, ClientArguments)>> {
    let mut found = Vec::new();
    for kind in ClientKind::ALL {
        let programs = kind.programs().iter();
        let programs: Vec<_> = programs
            .flat_map(|name| HostProgram::all(root, name))
            .collect();
        for process in owner::running_untrusted(root, kind.programs(), &programs)? {
            if let Some(line) = ClientArguments::parse(kind, &process.words) {
                found.push((process, line));
            }
        }
    }
    Ok(found)
}

/// The service that would start a client again as soon as it is killed.
fn restarting(root: &Path, group: Option<&Path>) -> Result<Option<String>> {
    let unit = group
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    let Some(unit) = unit.filter(|unit| unit.ends_with(".service")) else {
        return Ok(None);
    };
    let managed = under_root(root, Path::new("/run/systemd/system")).exists();
    let Some(systemctl) = program::find("systemctl").filter(|_| managed) else {
        return Ok(None);
    };
    let mut command = Command::new(systemctl);
    command.args(["show", "--property=Restart", "--", unit]);
    let shown = program::run(&mut command, Stdio::null(), TIMEOUT)?;
    let restarts = !matches!(shown.trim(), "Restart=no" | "Restart=");
    Ok(restarts.then(|| unit.to_owned()))
}

/// The kinds of clients that run for the NIC, or for all devices.
pub(super) fn kinds(root: &Path, nic: &str) -> Result<Vec<ClientKind>> {
    let mut kinds: Vec<ClientKind> = Vec::new();
    for (_, line) in running(root)? {
        if line.covers(nic) && !kinds.contains(&line.kind) {
            kinds.push(line.kind);
        }
    }
    Ok(kinds)
}

/// A dhcpcd for all devices may be kept off some.
fn is_kept_off(root: &Path, line: &ClientArguments, nic: &str, bridge: &str) -> Result<bool> {
    if line.kind != ClientKind::Dhcpcd || !line.devices.is_empty() {
        return Ok(false);
    }
    if !config::dhcpcd_is_denied(root, nic)? {
        return Ok(false);
    }
    if !config::dhcpcd_is_denied(root, bridge)? {
        bail!(
            "/etc/dhcpcd.conf keeps dhcpcd off {nic} and not off {bridge}: add {bridge} to its denyinterfaces and \
             restart dhcpcd"
        );
    }
    Ok(true)
}

impl DhcpClient {
    fn plan(
        root: &Path,
        process: &HostProcess,
        line: &ClientArguments,
        to: &ClientMove<'_>,
    ) -> Result<Self> {
        let ClientMove {
            nic,
            bridge,
            address,
        } = *to;
        if process.view == View::Other {
            bail!(
                "it runs in a mount namespace of its own, so that its files are not the host's: end it first"
            );
        }
        let moved = line.moved(nic, bridge)?;
        if let Some(unit) = restarting(root, process.group.as_deref())? {
            bail!("{unit} starts it again when it ends: stop and disable {unit} first");
        }
        for script in &moved.scripts {
            owner::check(root, script).context("looking at the program that it runs")?;
        }
        let mut new = moved.words.clone();
        if let (ClientKind::Udhcpc, Some(address)) = (line.kind, address) {
            new.extend(["-r".to_owned(), address.to_owned()]);
        }
        Ok(Self {
            kind: line.kind,
            program: process.program.path.clone(),
            old: line.moved(nic, nic)?.words,
            new,
            pid: process.pid,
            group: process.group.clone(),
            leases: Lease::plan(line.kind, &moved, nic, bridge)?,
            config: moved.config,
            in_front: line.stays_in_front(),
            nic: nic.to_owned(),
            bridge: bridge.to_owned(),
        })
    }

    pub(super) fn kind(&self) -> ClientKind {
        self.kind
    }

    /// The configuration that its command line names.
    pub(super) fn config(&self) -> Option<(ClientKind, PathBuf)> {
        self.config.clone().map(|path| (self.kind, path))
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "move {} (process {}) from {} to {} with its lease",
            self.kind.name(),
            self.pid,
            self.nic,
            self.bridge
        )
    }

    fn moving(&self) -> String {
        format!(
            "moving {} from {} to {}",
            self.kind.name(),
            self.nic,
            self.bridge
        )
    }

    /// Stops the client on the NIC, so that it does not react when the addresses go: dhcpcd listens to netlink and
    /// would configure the NIC again. A stopped process keeps its sockets and its lease, and an undo continues it.
    pub(super) fn pause(&self, root: &Path) -> Result<()> {
        let moving = || self.moving();
        for process in self.processes(root, &self.nic).with_context(moving)? {
            process.signal(Signal::SIGSTOP).with_context(moving)?;
        }
        Ok(())
    }

    /// Starts the client on the bridge and, once it has its lease, ends the one on the NIC.
    pub(super) fn forward(&self, root: &Path, fault: &Fault) -> Result<()> {
        let moving = || self.moving();
        for lease in &self.leases {
            lease
                .carry(root, self.kind, &self.nic, &self.bridge)
                .with_context(moving)?;
        }
        fault.part().with_context(moving)?;
        self.start(root, &self.new).with_context(moving)?;
        fault.part().with_context(moving)?;
        self.end(root, &self.nic).with_context(moving)
    }

    /// Ends the client on the bridge and sees that one runs on the NIC.
    pub(super) fn undo(&self, root: &Path) -> Result<()> {
        let moving = || format!("moving {} back to {}", self.kind.name(), self.nic);
        self.end(root, &self.bridge).with_context(moving)?;
        let running = self.processes(root, &self.nic).with_context(moving)?;
        for process in &running {
            process.signal(Signal::SIGCONT).with_context(moving)?;
        }
        if running.is_empty() {
            self.start(root, &self.old).with_context(moving)
        } else {
            Ok(())
        }
    }

    /// Starts the client and waits until it has gone to the background with a lease.
    fn start(&self, root: &Path, arguments: &[String]) -> Result<()> {
        let place = owner::check(root, &self.program)?;
        let mut command = Command::new(under_root(root, &place));
        command
            .arg0(self.kind.name())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let mut child = program::spawn(&mut command)
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.join_group(root, &child);
        let began = Instant::now();
        loop {
            match child.try_wait().context("waiting for it")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}"),
                None if began.elapsed() > TIMEOUT && self.in_front => return Ok(()),
                None if began.elapsed() > TIMEOUT => {
                    child
                        .kill()
                        .and_then(|()| child.wait())
                        .context("stopping it")?;
                    bail!("it had no lease after {} s", TIMEOUT.as_secs());
                }
                None => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// A client in our own control group would end with the unit that runs us.
    fn join_group(&self, root: &Path, child: &Child) {
        if let Some(group) = &self.group {
            let procs = under_root(root, Path::new("/sys/fs/cgroup"))
                .join(group)
                .join("cgroup.procs");
            // Best effort: where there are no control groups nothing ends the client either.
            let _ = fs::write(procs, child.id().to_string());
        }
    }

    /// Kills every process of this client for the device. SIGKILL and no other signal: at SIGTERM dhcpcd removes
    /// the addresses (dhcpcd(8)), which the bridge has by now, and a stopped process handles no other.
    fn end(&self, root: &Path, device: &str) -> Result<()> {
        for process in self.processes(root, device)? {
            process.end()?;
        }
        Ok(())
    }

    /// The processes of this client for the device: of dhcpcd, root's one and those that gave its rights up.
    fn processes(&self, root: &Path, device: &str) -> Result<Vec<HostProcess>> {
        let mut found = Vec::new();
        for (process, line) in running(root)? {
            let same = line.kind == self.kind && line.devices == [device];
            let both =
                |option: &str| line.has(option) == self.new.iter().any(|word| word == option);
            if !same || !both("-4") || !both("-6") {
                continue;
            }
            if self.kind == ClientKind::Dhcpcd {
                found.extend(process.companions(root)?);
            }
            found.push(process);
        }
        Ok(found)
    }
}
