//! Hands the NIC's addresses over to the bridge in the programs that run, so that none puts them back on the NIC.
//!
//! In: the backend whose files are in place, and the live network with the bridge already up. Out:
//! [`Handover`], a plan that can be shown, carried out, and undone by a later process.
//!
//! - systemd-networkd reloads (`networkctl reload`; `netplan generate` first where netplan is in
//!   charge). A drop-in below `/run` has it keep the addresses until the next boot, so that no packet
//!   is lost while it asks for the lease again, which it gets by its old identity.
//! - NetworkManager loads both profiles and activates the bridge's, then the port's.
//! - wicked reloads both devices.
//! - dhclient, dhcpcd and udhcpc are stopped before the NIC loses its addresses, started on the bridge with
//!   the lease of the NIC, and once that lease is confirmed the old process is killed outright: it neither
//!   releases nor deconfigures. The settings for the NIC in their configuration move with the other files.

mod arguments;
mod client;
mod config;
mod lease;
mod names;
mod options;
#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::backend::Backend;
use super::detect::network_file;
use super::model::DesiredBridge;
use super::netplan::Renderer;
use super::networkmanager;
use crate::fault::Fault;
use crate::files::{FileChange, under_root};
use crate::owner::HostProgram;
use crate::program;
use client::{ClientMove, DhcpClient};
use options::ClientKind;

/// A daemon's command that takes longer has hung.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The programs that run and have to be notified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handover {
    nic: String,
    bridge: String,
    /// A drop-in for networkd that lives until the next boot. Without `KeepConfiguration=` networkd removes
    /// addresses that it did not add when it takes a device over (systemd.network(5)).
    keep: Option<PathBuf>,
    /// Commands that make the daemon read the files.
    forward: Vec<Vec<String>>,
    /// Commands that make it read the previous ones again.
    back: Vec<Vec<String>>,
    /// DHCP clients of the NIC.
    clients: Vec<DhcpClient>,
}

impl Handover {
    /// Plans the notifications; `address` is the leased one, for clients that keep no lease.
    pub(super) fn plan(
        root: &Path,
        backend: &Backend,
        desired: &DesiredBridge,
        address: Option<String>,
    ) -> Result<Self> {
        let DesiredBridge { nic, bridge, .. } = desired;
        let words = |line: String| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let mut plan = Self {
            nic: nic.clone(),
            bridge: bridge.clone(),
            ..Self::default()
        };
        let keep = |name: &str| {
            PathBuf::from(format!(
                "/run/systemd/network/{name}.network.d/handover.conf"
            ))
        };
        match backend {
            Backend::Netplan {
                renderer: Renderer::Networkd,
            } => {
                plan.keep = Some(keep(&format!("10-netplan-{bridge}")));
                let reload = [
                    "netplan generate".to_owned(),
                    "networkctl reload".to_owned(),
                ];
                plan.forward = reload.map(words).into();
                plan.back.clone_from(&plan.forward);
            }
            Backend::Networkd { .. } => {
                plan.keep = Some(keep(&format!("10-{bridge}")));
                plan.forward = vec![words("networkctl reload".to_owned())];
                plan.back.clone_from(&plan.forward);
            }
            Backend::Netplan {
                renderer: Renderer::NetworkManager,
            } => {
                plan.forward = [
                    "netplan generate".to_owned(),
                    "nmcli connection reload".to_owned(),
                    format!("nmcli --wait 30 connection up netplan-{bridge}"),
                ]
                .map(words)
                .into();
                plan.back = ["netplan generate", "nmcli connection reload"]
                    .map(|line| words(line.to_owned()))
                    .into();
            }
            Backend::NetworkManager { uuid, shared } => {
                let port_uuid = networkmanager::port_uuid(uuid, *shared, nic);
                let bridge_uuid = networkmanager::derived_uuid(uuid, bridge);
                plan.forward = [
                    "nmcli connection reload".to_owned(),
                    format!("nmcli --wait 30 connection up uuid {bridge_uuid}"),
                    format!("nmcli --wait 30 connection up uuid {port_uuid}"),
                ]
                .map(words)
                .into();
                plan.back = [
                    "nmcli connection reload".to_owned(),
                    format!("nmcli --wait 30 connection up uuid {uuid} ifname {nic}"),
                ]
                .map(words)
                .into();
            }
            Backend::Wicked => {
                plan.forward = vec![words(format!("wicked ifreload {nic} {bridge}"))];
                plan.back = vec![words(format!("wicked ifreload {nic}"))];
            }
            Backend::Ifupdown | Backend::Ifcfg { .. } => {}
        }
        let to = ClientMove {
            nic,
            bridge,
            address: address.as_deref(),
        };
        plan.clients = client::find(root, &to)?;
        Ok(plan)
    }

    /// The same for a host whose files stay as they are: DHCP clients alone.
    ///
    /// # Errors
    /// When one of them cannot be moved, or its configuration names the NIC.
    pub(super) fn plan_clients(
        root: &Path,
        nic: &str,
        bridge: &str,
        address: Option<String>,
    ) -> Result<Self> {
        let to = ClientMove {
            nic,
            bridge,
            address: address.as_deref(),
        };
        let plan = Self {
            nic: nic.to_owned(),
            bridge: bridge.to_owned(),
            clients: client::find(root, &to)?,
            ..Self::default()
        };
        let kinds: Vec<ClientKind> = plan.clients.iter().map(DhcpClient::kind).collect();
        if let Some(change) = plan.configuration(root, &kinds)?.first() {
            anyhow::bail!(
                "{} names {nic}, and its settings would not apply to {bridge}: omit --no-persist, so that they \
                 move too",
                change.path.display()
            );
        }
        Ok(plan)
    }

    /// The settings for the NIC in the configuration of DHCP clients, moved to the bridge: that of clients that run
    /// for it, and of the one that the backend starts at boot.
    ///
    /// # Errors
    /// When it has settings that cannot be moved.
    pub(super) fn changes(&self, root: &Path, backend: &Backend) -> Result<Vec<FileChange>> {
        let mut kinds = client::kinds(root, &self.nic)?;
        if matches!(backend, Backend::Ifupdown | Backend::Ifcfg { .. }) {
            let installed = |kind: &ClientKind| {
                let mut names = kind.programs().iter();
                names.any(|name| HostProgram::find(root, name).is_some())
            };
            let started = [ClientKind::Dhclient, ClientKind::Dhcpcd]
                .into_iter()
                .find(installed);
            kinds.extend(started);
        }
        self.configuration(root, &kinds)
    }

    fn configuration(&self, root: &Path, kinds: &[ClientKind]) -> Result<Vec<FileChange>> {
        let given: Vec<_> = self.clients.iter().filter_map(DhcpClient::config).collect();
        let files = config::files(kinds, &given, &self.nic);
        config::changes(root, &files, &self.nic, &self.bridge)
    }

    /// Stops the clients of the NIC, until they are moved or the change is undone.
    pub(super) fn pause(&self, root: &Path, fault: &Fault) -> Result<()> {
        self.clients.iter().try_for_each(|client| {
            fault.part().context("stopping the running programs")?;
            client.pause(root)
        })
    }

    /// Whether a DHCP client of the NIC is moved.
    pub(super) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// networkd's file for the bridge, whose name depends on the others there.
    pub(super) fn keep_beside(&mut self, file: &Path) {
        if self.keep.is_some() {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let dir = Path::new("/run/systemd/network").join(format!("{name}.d"));
            self.keep = Some(dir.join("handover.conf"));
        }
    }

    /// The files did not change: there is nothing for a daemon to read.
    pub(super) fn leave_daemons(&mut self) {
        self.keep = None;
        self.forward.clear();
        self.back.clear();
    }

    /// Whether nothing has to be notified.
    pub(super) fn is_empty(&self) -> bool {
        self.forward.is_empty() && self.clients.is_empty()
    }

    /// The plan in words, a line each.
    pub(super) fn describe(&self) -> Vec<String> {
        let commands = self
            .forward
            .iter()
            .map(|words| format!("run {}", words.join(" ")));
        commands
            .chain(self.clients.iter().map(DhcpClient::describe))
            .collect()
    }

    /// Notifies them. After an error [`undo`](Self::undo) is due.
    pub(super) fn forward(&self, root: &Path, fault: &Fault) -> Result<()> {
        if let Some(path) = &self.keep {
            let place = under_root(root, path);
            let writing = || format!("writing {}", place.display());
            fault.part().with_context(writing)?;
            fs::create_dir_all(place.parent().unwrap_or(root)).with_context(writing)?;
            let text = "# Until the next boot: the bridge had its addresses before networkd knew it.\n\
                        [Network]\nKeepConfiguration=yes\n";
            fs::write(&place, text).with_context(writing)?;
        }
        for words in &self.forward {
            fault.part().context("notifying the running daemon")?;
            command(words)?;
        }
        fault.part().context("notifying the running programs")?;
        if self.keep.is_some() {
            self.announce(root)?;
        }
        self.clients
            .iter()
            .try_for_each(|client| client.forward(root, fault))
    }

    /// Puts what runs back to the NIC, once the previous files are there again; says which daemons could not be told.
    /// That is no failure: the network and the files are back, and a daemon that does not answer changes nothing.
    ///
    /// # Errors
    /// When a DHCP client is not back.
    pub(super) fn undo(&self, root: &Path) -> Result<Vec<String>> {
        let mut result = Ok(());
        // One that fails must not keep the others from being notified.
        for client in &self.clients {
            result = result.and(client.undo(root));
        }
        if let Some(path) = &self.keep {
            let _ = fs::remove_file(under_root(root, path));
        }
        let mut unheard: Vec<_> = self.back.iter().filter_map(|words| tell(words)).collect();
        if self.keep.is_some() {
            let again = ["networkctl", "reconfigure", &self.nic].map(str::to_owned);
            if !unheard.is_empty() {
                unheard.push(format!("then run '{}'", again.join(" ")));
            } else if self.await_networkd(root) {
                unheard.extend(tell(&again));
            }
        }
        result.map(|()| unheard)
    }

    /// `networkctl reload` returns before networkd has read its files again, and until then its state file
    /// (`/run/systemd/netif/links/INDEX`) reports the NIC as unmanaged, which would make the next run find no
    /// backend. Returns whether networkd gave the NIC up: when the bridge went that it was to put the NIC into; it
    /// does not take a NIC up again by reading other files (seen with 252).
    fn await_networkd(&self, root: &Path) -> bool {
        let class = under_root(root, Path::new("/sys/class/net"));
        let index = fs::read_to_string(class.join(&self.nic).join("ifindex")).unwrap_or_default();
        let links = under_root(root, Path::new("/run/systemd/netif/links"));
        let began = Instant::now();
        loop {
            let state = fs::read_to_string(links.join(index.trim())).unwrap_or_default();
            let is = |line: &str| state.lines().any(|one| one == line);
            let failed = is("ADMIN_STATE=failed");
            let settled = matches!(network_file(root, index.trim()), Ok(Some(_)))
                && (!is("ADMIN_STATE=configuring") || began.elapsed() > TIMEOUT / 20);
            if failed || settled || began.elapsed() > TIMEOUT / 4 {
                return failed;
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// networkd configures a bridge that existed before only at the kernel's next notification about it
    /// (`RTM_NEWLINK`), and leaves its ports half configured until then. Writing `ifalias`, even unchanged, makes
    /// the kernel send one (`ifalias_store`, net/core/net-sysfs.c).
    fn announce(&self, root: &Path) -> Result<()> {
        let path = under_root(root, Path::new("/sys/class/net"))
            .join(&self.bridge)
            .join("ifalias");
        let Ok(alias) = fs::read_to_string(&path) else {
            return Ok(());
        };
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            // A container's /sys is read-only, and its networkd is not ours to tend.
            Err(_) => return Ok(()),
        };
        let alias = if alias.is_empty() {
            "\n"
        } else {
            alias.as_str()
        };
        file.write_all(alias.as_bytes())
            .with_context(|| format!("writing {}", path.display()))
    }
}

/// Has a daemon read the previous files; one that is only starting answers a moment later. Returns why it did not.
fn tell(words: &[String]) -> Option<String> {
    let end = Instant::now() + TIMEOUT / 8;
    loop {
        match command(words) {
            Ok(()) => return None,
            Err(_) if Instant::now() < end => sleep(TIMEOUT / 80),
            Err(error) => {
                let line = words.join(" ");
                return Some(format!(
                    "{error:#}: the files are as they were, and the daemon may not know it: run '{line}' once it answers"
                ));
            }
        }
    }
}

/// Runs one of the daemon's own commands, where the host has it.
fn command(words: &[String]) -> Result<()> {
    let [name, arguments @ ..] = words else {
        return Ok(());
    };
    let Some(path) = program::find(name) else {
        anyhow::bail!("notifying the running daemon: there is no {name} on this host");
    };
    let mut command = Command::new(path);
    program::run(command.args(arguments), Stdio::null(), TIMEOUT)
        .with_context(|| format!("running {}", words.join(" ")))
        .map(drop)
}
