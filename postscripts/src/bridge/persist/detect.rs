//! Which backend is in charge of the NIC: found out from what runs and from what names the NIC.
//!
//! In: the root directory with its `/proc`, `/run` and configuration, and the NIC. Out: the one
//! [`Backend`] that has it, or an error that names the evidence of each. It never guesses: a
//! backend that is installed but does not name the NIC has no matched, and two claims are an error.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::backend::Backend;
use super::ini::Ini;
use super::model::DesiredBridge;
use super::sources::Sources;
use super::{at_work, ifcfg, ifupdown, netplan, networkmanager, wicked};
use crate::files::{self, under_root};
use crate::owner::{self, HostProgram, RootOnlyDirectory};

/// A backend's matched, or why it has none.
type BackendMatch = std::result::Result<Backend, String>;

/// The host as far as detection looks.
struct HostConfiguration<'a> {
    root: &'a Path,
    nic: &'a str,
    /// The daemons that run.
    running: Vec<String>,
    /// The NIC's number.
    index: Option<String>,
    netplan: Sources,
    keyfiles: Sources,
    interfaces: Sources,
    ifcfg: Sources,
}

/// The backend in charge of the NIC, and what was not read meanwhile.
pub(super) fn detect(root: &Path, desired: &DesiredBridge) -> Result<(Backend, Vec<String>)> {
    let host = HostConfiguration::look(root, &desired.nic)?;
    let shown = [
        ("netplan", host.netplan(desired)?),
        ("systemd-networkd", host.networkd()?),
        ("NetworkManager", host.networkmanager()?),
        ("ifupdown", host.ifupdown()?),
        ("ifcfg", host.ifcfg(desired)?),
        ("wicked", host.wicked()?),
    ];
    let nic = &desired.nic;
    let advice = "or change the live network alone with --no-persist";
    let names: Vec<&str> = shown
        .iter()
        .filter(|(_, matched)| matched.is_ok())
        .map(|(name, _)| *name)
        .collect();
    if let [first, second, ..] = names.as_slice() {
        bail!("{first} and {second} both configure {nic}: take it out of one of them, {advice}");
    }
    let reasons: Vec<String> = shown
        .iter()
        .filter_map(|(name, matched)| {
            matched
                .as_ref()
                .err()
                .map(|reason| format!("{name}: {reason}"))
        })
        .collect();
    match shown.into_iter().find_map(|(_, matched)| matched.ok()) {
        Some(backend) => Ok((backend, host.skipped())),
        None => bail!(
            "nothing that runs configures {nic} ({}): configure it first, {advice}",
            reasons
                .into_iter()
                .chain(host.skipped())
                .collect::<Vec<_>>()
                .join("; ")
        ),
    }
}

/// The daemon that manages the NIC as it runs, whatever the files say.
pub(super) fn manager(root: &Path, nic: &str) -> Result<Option<&'static str>> {
    let host = HostConfiguration::look(root, nic)?;
    let index = host.index.as_deref().unwrap_or("none");
    Ok(
        if host.runs(NETWORKD) && network_file(root, index)?.is_some() {
            Some(NETWORKD)
        } else if host.runs(NETWORK_MANAGER) && matches!(host.noted(), Some((true, _))) {
            Some(NETWORK_MANAGER)
        } else if host.wicked()?.is_ok() {
            Some("wicked")
        } else {
            None
        },
    )
}

pub(super) const NETWORKD: &str = "systemd-networkd";

/// What networkd notes of each device.
pub(super) const LINKS: &str = "/run/systemd/netif/links";
pub(super) const NETWORK_MANAGER: &str = "NetworkManager";
const WICKED: &str = "wickedd";

/// The daemons among those that run, root's or the user's whom root gave the state of networkd to.
pub(super) fn daemons(root: &Path) -> Result<Vec<String>> {
    let names = [NETWORKD, NETWORK_MANAGER, WICKED].into_iter();
    let programs: Vec<_> = names
        .flat_map(|name| HostProgram::all(root, name))
        .collect();
    let state = Path::new("/run/systemd");
    let networkd = match RootOnlyDirectory::open(root, state) {
        Ok(Some(_)) => fs::symlink_metadata(under_root(root, &state.join("netif"))).ok(),
        _ => None,
    };
    let networkd = networkd.map(|meta| meta.uid());
    let user = |id| owner::is_trusted(id) || Some(id) == networkd;
    let running = owner::running(root, &programs, user)?;
    Ok(running
        .into_iter()
        .map(|process| process.program.name)
        .collect())
}

/// Whether NetworkManager runs and manages a NIC.
///
/// # Errors
/// When what is configured cannot be read.
pub fn is_networkmanagers(root: &Path, nic: &str) -> Result<bool> {
    let host = HostConfiguration::look(root, nic)?;
    Ok(host.runs(NETWORK_MANAGER) && host.noted().is_some_and(|(managed, _)| managed))
}

impl<'a> HostConfiguration<'a> {
    fn look(root: &'a Path, nic: &'a str) -> Result<Self> {
        let class = Path::new("/sys/class/net").join(nic).join("ifindex");
        let index = files::read(&under_root(root, &class))?;
        Ok(Self {
            root,
            nic,
            running: daemons(root)?,
            index: index.map(|text| text.trim().to_owned()),
            netplan: Sources::load(root, &netplan::DIRS, netplan::wanted)?,
            keyfiles: Sources::load(root, &networkmanager::DIRS, networkmanager::wanted)?,
            interfaces: ifupdown::load(root)?,
            ifcfg: Sources::load(root, &[ifcfg::DIR], ifcfg::wanted)?,
        })
    }

    /// What is among the configuration and is not read, each with the reason.
    fn skipped(&self) -> Vec<String> {
        let all = [&self.netplan, &self.keyfiles, &self.interfaces, &self.ifcfg];
        let skipped = all.into_iter().flat_map(Sources::skipped);
        skipped
            .map(|what| format!("{what}: it is not read"))
            .collect()
    }

    fn runs(&self, name: &str) -> bool {
        self.running.iter().any(|running| running == name)
    }

    fn netplan(&self, desired: &DesiredBridge) -> Result<BackendMatch> {
        Ok(match netplan::definition(&self.netplan, desired)? {
            Some(definition) => Ok(Backend::Netplan {
                renderer: definition.renderer,
            }),
            None if self.netplan.iter().next().is_none() => Err("no file".to_owned()),
            None => Err("no file names it".to_owned()),
        })
    }

    fn networkd(&self) -> Result<BackendMatch> {
        if !self.runs(NETWORKD) {
            return Ok(Err("does not run".to_owned()));
        }
        let index = self.index.as_deref().unwrap_or("none");
        Ok(match network_file(self.root, index)? {
            None => Err("does not manage it".to_owned()),
            Some(file) if generated_by_netplan(&file) => Err("follows netplan".to_owned()),
            Some(file) => Ok(Backend::Networkd { file }),
        })
    }

    fn networkmanager(&self) -> Result<BackendMatch> {
        if !self.runs(NETWORK_MANAGER) {
            return Ok(Err("does not run".to_owned()));
        }
        let sources = &self.keyfiles;
        let file = match self.device() {
            Some((false, _)) => return Ok(Err("does not manage it".to_owned())),
            Some((true, Some(uuid))) => networkmanager::by_uuid(sources, &uuid),
            Some((true, None)) | None => networkmanager::by_name(sources, self.nic),
        };
        Ok(match file {
            Some(file) if generated_by_netplan(&file) => Err("follows netplan".to_owned()),
            Some(file) => match networkmanager::uuid(sources, &file) {
                Some(uuid) => Ok(Backend::NetworkManager {
                    uuid,
                    shared: networkmanager::is_shared(sources, &file),
                }),
                None => Err(format!("{} has no uuid", file.display())),
            },
            None => Err("has no keyfile for it".to_owned()),
        })
    }

    /// Whether NetworkManager manages the device, and by which profile. It notes a profile once that is activated, and
    /// until then the one before.
    fn device(&self) -> Option<(bool, Option<String>)> {
        let (managed, noted) = self.noted()?;
        let runs = managed && self.runs(NETWORK_MANAGER);
        let activating = runs.then(|| at_work::activating(self.root, self.nic));
        Some((managed, activating.flatten().or(noted)))
    }

    fn noted(&self) -> Option<(bool, Option<String>)> {
        let path = format!("/run/NetworkManager/devices/{}", self.index.as_deref()?);
        let ini = Ini::parse(&files::read(&under_root(self.root, Path::new(&path))).ok()??);
        let managed = ini.value("device", "managed") == Some("true");
        Some((
            managed,
            ini.value("device", "connection-uuid").map(str::to_owned),
        ))
    }

    fn ifupdown(&self) -> Result<BackendMatch> {
        let installed = ["/sbin/ifup", "/usr/sbin/ifup"]
            .iter()
            .any(|path| under_root(self.root, Path::new(path)).exists());
        Ok(match ifupdown::defines(&self.interfaces, self.nic) {
            Some(_) if installed => Ok(Backend::Ifupdown),
            Some(_) => Err("is not installed, though a stanza names it".to_owned()),
            None => Err("no stanza names it".to_owned()),
        })
    }

    fn ifcfg(&self, desired: &DesiredBridge) -> Result<BackendMatch> {
        let Some(file) = ifcfg::find(&self.ifcfg, desired) else {
            return Ok(Err("no file names it".to_owned()));
        };
        if self.runs(NETWORK_MANAGER)
            && let Some((true, Some(uuid))) = self.device()
            && networkmanager::by_uuid(&self.keyfiles, &uuid).is_some()
        {
            return Ok(Err("a keyfile is in force instead".to_owned()));
        }
        Ok(Ok(Backend::Ifcfg { file }))
    }

    fn wicked(&self) -> Result<BackendMatch> {
        if !self.runs(WICKED) {
            return Ok(Err("does not run".to_owned()));
        }
        let file = wicked::path(self.nic);
        Ok(match files::read(&under_root(self.root, &file))? {
            Some(_) => Ok(Backend::Wicked),
            None => Err("no file names it".to_owned()),
        })
    }
}

/// The file that networkd reports to configure a device by, if it does.
pub(super) fn network_file(root: &Path, index: &str) -> Result<Option<PathBuf>> {
    let link = Path::new(LINKS).join(index);
    let text = files::read(&under_root(root, &link))?.unwrap_or_default();
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let managed = value("ADMIN_STATE") != Some("unmanaged");
    Ok(value("NETWORK_FILE").filter(|_| managed).map(PathBuf::from))
}

fn generated_by_netplan(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    path.starts_with("/run") && (name.starts_with("10-netplan-") || name.starts_with("netplan-"))
}

/// The identity association (RFC 4361) that the running DHCP client sends to the server, if it does.
pub(super) fn iaid(root: &Path, nic: &str) -> Result<Option<u32>> {
    let index = files::read(&under_root(
        root,
        &Path::new("/sys/class/net").join(nic).join("ifindex"),
    ))?;
    let mut leases = Vec::new();
    if let Some(index) = index {
        leases.push(PathBuf::from(format!(
            "/run/systemd/netif/leases/{}",
            index.trim()
        )));
    }
    let dir = Path::new("/var/lib/NetworkManager");
    let end = format!("-{nic}.lease");
    let internal = |name: &String| name.starts_with("internal-") && name.ends_with(&end);
    leases.extend(
        files::names(&under_root(root, dir))?
            .iter()
            .filter(|name| internal(name))
            .map(|name| dir.join(name)),
    );
    for lease in leases {
        let text = files::read(&under_root(root, &lease))?.unwrap_or_default();
        let client = text
            .lines()
            .find_map(|line| line.strip_prefix("CLIENTID=ff")?.get(..8));
        if let Some(iaid) = client.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
            return Ok(Some(iaid));
        }
    }
    Ok(None)
}
