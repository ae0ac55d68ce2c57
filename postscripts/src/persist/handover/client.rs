//! DHCP clients that run for one device: dhclient, dhcpcd and udhcpc.
//!
//! In: `/proc` and the clients' lease files. Out: the same client on the bridge, with the same
//! arguments and the same lease. The old process is killed with SIGKILL, as the gentler signals make
//! some of them release the lease or take addresses away. A client of NetworkManager's is left to it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::files::beneath;
use crate::persist::process::{Kind, PATIENCE, Process, await_end, processes};
use crate::program;

/// A client of the NIC, and what it shall be for the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    kind: Kind,
    program: PathBuf,
    /// What it was called: busybox is many programs by their names.
    called: String,
    /// As it was started for the NIC, and as it is started for the bridge.
    old: Vec<String>,
    new: Vec<String>,
    pid: i32,
    /// The control group that the next one belongs in as well.
    group: Option<PathBuf>,
    /// Lease files: the NIC's and the bridge's.
    leases: Vec<(PathBuf, PathBuf)>,
    nic: String,
    bridge: String,
}

/// The clients that run for the NIC in our network namespace.
pub(super) fn find(
    root: &Path,
    nic: &str,
    bridge: &str,
    address: Option<&str>,
) -> Result<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::new();
    for (pid, process) in processes(root)? {
        let Some(kind) = process.kind() else {
            continue;
        };
        let managed = process
            .arguments
            .iter()
            .any(|argument| argument.contains("nm-dhcp-helper"));
        // dhcpcd runs as several processes, of which the first is the one that counts.
        let known = clients
            .iter()
            .any(|client| client.kind == Kind::Dhcpcd && kind == Kind::Dhcpcd);
        if process.works_for(nic) && !managed && !known {
            clients.push(process.client(root, kind, pid, nic, bridge, address)?);
        }
    }
    Ok(clients)
}

impl Process {
    fn client(
        self,
        root: &Path,
        kind: Kind,
        pid: i32,
        nic: &str,
        bridge: &str,
        address: Option<&str>,
    ) -> Result<Client> {
        let (old, leases) = match kind {
            Kind::Dhclient => {
                let leases = dhclient_leases(&self.arguments);
                (
                    self.arguments,
                    leases
                        .into_iter()
                        .map(|lease| (lease.clone(), for_bridge(&lease, nic, bridge)))
                        .collect(),
                )
            }
            Kind::Dhcpcd => {
                let title = self.arguments.join(" ");
                let only = match (title.contains("[ip4]"), title.contains("[ip6]")) {
                    (true, false) => Some("-4"),
                    (false, true) => Some("-6"),
                    _ => None,
                };
                let arguments = only.into_iter().chain([nic]).map(str::to_owned).collect();
                (arguments, dhcpcd_leases(root, nic, bridge))
            }
            Kind::Udhcpc => (self.arguments, Vec::new()),
        };
        let mut new: Vec<String> = old.iter().map(|word| rename(word, nic, bridge)).collect();
        if let (Kind::Udhcpc, Some(address)) = (kind, address) {
            new.extend(["-r".to_owned(), address.to_owned()]);
        }
        Ok(Client {
            kind,
            program: self.program,
            called: self.called,
            old,
            new,
            pid,
            group: self.group,
            leases,
            nic: nic.to_owned(),
            bridge: bridge.to_owned(),
        })
    }
}

/// The device's name wherever it stands for itself, as in `/run/dhclient.eth0.pid`.
fn rename(word: &str, nic: &str, bridge: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(nic) {
        let end = at + nic.len();
        let before = rest[..at]
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back());
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        out.push_str(&rest[..at]);
        out.push_str(if inside(before) || inside(rest[end..].chars().next()) {
            nic
        } else {
            bridge
        });
        rest = &rest[end..];
    }
    out + rest
}

fn dhclient_leases(arguments: &[String]) -> Vec<PathBuf> {
    let named = arguments
        .iter()
        .position(|word| word == "-lf")
        .and_then(|at| arguments.get(at + 1));
    vec![named.map_or_else(
        || PathBuf::from("/var/lib/dhcp/dhclient.leases"),
        PathBuf::from,
    )]
}

fn for_bridge(lease: &Path, nic: &str, bridge: &str) -> PathBuf {
    PathBuf::from(rename(&lease.to_string_lossy(), nic, bridge))
}

fn dhcpcd_leases(root: &Path, nic: &str, bridge: &str) -> Vec<(PathBuf, PathBuf)> {
    let places = [
        "/var/lib/dhcpcd/",
        "/var/lib/dhcpcd5/dhcpcd-",
        "/var/db/dhcpcd/",
    ];
    let pairs = places.iter().flat_map(|place| {
        [".lease", ".lease6"].map(|end| {
            (
                format!("{place}{nic}{end}"),
                format!("{place}{bridge}{end}"),
            )
        })
    });
    pairs
        .map(|(from, to)| (PathBuf::from(from), PathBuf::from(to)))
        .filter(|(from, _)| beneath(root, from).exists())
        .collect()
}

impl Client {
    pub(super) fn describe(&self) -> String {
        format!(
            "move {} (process {}) from {} to {} with its lease",
            self.name(),
            self.pid,
            self.nic,
            self.bridge
        )
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Dhclient => "dhclient",
            Kind::Dhcpcd => "dhcpcd",
            Kind::Udhcpc => "udhcpc",
        }
    }

    /// Starts the client on the bridge and, once it has its lease, ends the one on the NIC.
    pub(super) fn forward(&self, root: &Path, fault: &Fault) -> Result<()> {
        let moving = || {
            format!(
                "moving {} from {} to {}",
                self.name(),
                self.nic,
                self.bridge
            )
        };
        for (from, to) in &self.leases {
            self.carry(&beneath(root, from), &beneath(root, to))
                .with_context(moving)?;
        }
        fault.part().with_context(moving)?;
        self.start(root, &self.new).with_context(moving)?;
        fault.part().with_context(moving)?;
        self.end(root, &self.nic).with_context(moving)
    }

    /// Ends the client on the bridge and sees that one runs on the NIC.
    pub(super) fn take_back(&self, root: &Path) -> Result<()> {
        let moving = || format!("moving {} back to {}", self.name(), self.nic);
        self.end(root, &self.bridge).with_context(moving)?;
        let running = find(root, &self.nic, &self.bridge, None).with_context(moving)?;
        if running.iter().any(|client| client.kind == self.kind) {
            return Ok(());
        }
        self.start(root, &self.old).with_context(moving)
    }

    /// The bridge's lease file is the NIC's with the device's name changed.
    fn carry(&self, from: &Path, to: &Path) -> Result<()> {
        let bytes = match fs::read(from) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(err).with_context(|| format!("reading {}", from.display())),
        };
        let bytes = match self.kind {
            Kind::Dhclient => {
                let (nic, bridge) = (
                    format!("interface \"{}\";", self.nic),
                    format!("interface \"{}\";", self.bridge),
                );
                String::from_utf8_lossy(&bytes)
                    .replace(&nic, &bridge)
                    .into_bytes()
            }
            Kind::Dhcpcd | Kind::Udhcpc => bytes,
        };
        let mut options = OpenOptions::new();
        // One file for all devices gains the bridge's lease, a file of its own is replaced.
        if from == to {
            options.append(true)
        } else {
            options.write(true).create(true).truncate(true)
        };
        let writing = || format!("writing {}", to.display());
        options
            .open(to)
            .with_context(writing)?
            .write_all(&bytes)
            .with_context(writing)
    }

    /// Starts the client and waits until it has gone to the background with a lease.
    fn start(&self, root: &Path, arguments: &[String]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .arg0(&self.called)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let mut child = program::spawn(&mut command)
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.join_group(root, &child);
        let foreground = arguments
            .iter()
            .any(|word| matches!(word.as_str(), "-d" | "-f" | "-B"));
        let began = Instant::now();
        loop {
            match child.try_wait().context("waiting for it")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}"),
                None if began.elapsed() > PATIENCE && foreground => return Ok(()),
                None if began.elapsed() > PATIENCE => {
                    child
                        .kill()
                        .and_then(|()| child.wait())
                        .context("stopping it")?;
                    bail!("it had no lease after {} s", PATIENCE.as_secs());
                }
                None => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// A client in our own control group would end with the unit that runs us.
    fn join_group(&self, root: &Path, child: &Child) {
        if let Some(group) = &self.group {
            let procs = beneath(root, Path::new("/sys/fs/cgroup"))
                .join(group)
                .join("cgroup.procs");
            // Best effort: where there are no control groups nothing ends the client either.
            let _ = fs::write(procs, child.id().to_string());
        }
    }

    /// Kills every process of this client for the device.
    fn end(&self, root: &Path, device: &str) -> Result<()> {
        for (pid, process) in processes(root)? {
            if process.kind() == Some(self.kind) && process.works_for(device) {
                match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                    Err(err) if err != nix::errno::Errno::ESRCH => {
                        return Err(err).with_context(|| format!("ending process {pid}"));
                    }
                    _ => {}
                }
                await_end(root, pid)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_renamed_where_it_stands_for_itself() {
        let cases = [
            ("eth0", "br0"),
            ("/run/dhclient.eth0.pid", "/run/dhclient.br0.pid"),
            (
                "/var/lib/dhclient/dhclient--eth0.lease",
                "/var/lib/dhclient/dhclient--br0.lease",
            ),
            ("/run/dhclient.eth01.pid", "/run/dhclient.eth01.pid"),
            ("veth0", "veth0"),
        ];
        for (word, expected) in cases {
            assert_eq!(rename(word, "eth0", "br0"), expected);
        }
    }
}
