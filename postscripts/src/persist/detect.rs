//! Which backend is in charge of the NIC: found out from what runs and from what names the NIC.
//!
//! In: the root directory with its `/proc`, `/run` and configuration, and the NIC. Out: the one
//! [`Backend`] that claims it, or an error that says what each of them showed. It never guesses: a
//! backend that is installed but does not name the NIC has no claim, and two claims are an error.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::backend::Backend;
use super::ini::Ini;
use super::model::Wish;
use super::sources::Sources;
use super::{ifcfg, ifupdown, netplan, networkmanager, process, wicked};
use crate::files::{self, beneath};

/// A backend's claim, or why it has none.
type Claim = std::result::Result<Backend, String>;

/// The host as far as detection looks.
struct Host<'a> {
    root: &'a Path,
    wish: &'a Wish,
    /// The names of the processes in our network namespace.
    running: Vec<String>,
    /// The NIC's number.
    index: Option<String>,
}

/// The backend in charge of the NIC.
pub(super) fn detect(root: &Path, wish: &Wish) -> Result<Backend> {
    let index = files::read(&beneath(
        root,
        &Path::new("/sys/class/net").join(&wish.nic).join("ifindex"),
    ))?;
    let host = Host {
        root,
        wish,
        running: process::processes(root)?
            .into_iter()
            .map(|(_, process)| process.name)
            .collect(),
        index: index.map(|text| text.trim().to_owned()),
    };
    let shown = [
        ("netplan", host.netplan()?),
        ("systemd-networkd", host.networkd()?),
        ("NetworkManager", host.networkmanager()?),
        ("ifupdown", host.ifupdown()?),
        ("ifcfg", host.ifcfg()?),
        ("wicked", host.wicked()?),
    ];
    let nic = &wish.nic;
    let advice = "or change the live network alone with --no-persist";
    let names: Vec<&str> = shown
        .iter()
        .filter(|(_, claim)| claim.is_ok())
        .map(|(name, _)| *name)
        .collect();
    if let [first, second, ..] = names.as_slice() {
        bail!("{first} and {second} both configure {nic}: take it out of one of them, {advice}");
    }
    let reasons: Vec<String> = shown
        .iter()
        .filter_map(|(name, claim)| {
            claim
                .as_ref()
                .err()
                .map(|reason| format!("{name}: {reason}"))
        })
        .collect();
    match shown.into_iter().find_map(|(_, claim)| claim.ok()) {
        Some(backend) => Ok(backend),
        None => bail!(
            "nothing that runs configures {nic} ({}): configure it first, {advice}",
            reasons.join("; ")
        ),
    }
}

impl Host<'_> {
    fn runs(&self, name: &str) -> bool {
        // The kernel keeps 15 bytes of a name.
        let short = &name[..name.len().min(15)];
        self.running.iter().any(|running| running == short)
    }

    fn netplan(&self) -> Result<Claim> {
        let sources = Sources::load(self.root, &netplan::DIRS, netplan::wanted)?;
        Ok(match netplan::definition(&sources, self.wish)? {
            Some(definition) => Ok(Backend::Netplan {
                renderer: definition.renderer,
            }),
            None if sources.iter().next().is_none() => Err("no file".to_owned()),
            None => Err("no file names it".to_owned()),
        })
    }

    fn networkd(&self) -> Result<Claim> {
        if !self.runs("systemd-networkd") {
            return Ok(Err("does not run".to_owned()));
        }
        let index = self.index.as_deref().unwrap_or("none");
        Ok(match network_file(self.root, index)? {
            None => Err("does not manage it".to_owned()),
            Some(file) if generated_by_netplan(&file) => Err("follows netplan".to_owned()),
            Some(file) => Ok(Backend::Networkd { file }),
        })
    }

    fn networkmanager(&self) -> Result<Claim> {
        if !self.runs("NetworkManager") {
            return Ok(Err("does not run".to_owned()));
        }
        let sources = Sources::load(self.root, &networkmanager::DIRS, networkmanager::wanted)?;
        let file = match self.device() {
            Some((false, _)) => return Ok(Err("does not manage it".to_owned())),
            Some((true, Some(uuid))) => networkmanager::by_uuid(&sources, &uuid),
            Some((true, None)) | None => networkmanager::by_name(&sources, &self.wish.nic),
        };
        Ok(match file {
            Some(file) if generated_by_netplan(&file) => Err("follows netplan".to_owned()),
            Some(file) => match networkmanager::uuid(&sources, &file) {
                Some(uuid) => Ok(Backend::NetworkManager {
                    uuid,
                    shared: networkmanager::is_shared(&sources, &file),
                }),
                None => Err(format!("{} has no uuid", file.display())),
            },
            None => Err("has no keyfile for it".to_owned()),
        })
    }

    /// What NetworkManager notes of the device: whether it manages it, and by which profile.
    fn device(&self) -> Option<(bool, Option<String>)> {
        let path = format!("/run/NetworkManager/devices/{}", self.index.as_deref()?);
        let ini = Ini::parse(&files::read(&beneath(self.root, Path::new(&path))).ok()??);
        let managed = ini.value("device", "managed") == Some("true");
        Some((
            managed,
            ini.value("device", "connection-uuid").map(str::to_owned),
        ))
    }

    fn ifupdown(&self) -> Result<Claim> {
        let mut sources = Sources::load(self.root, &ifupdown::DIRS, ifupdown::wanted)?;
        sources.load_file(self.root, Path::new(ifupdown::MAIN))?;
        let installed = ["/sbin/ifup", "/usr/sbin/ifup"]
            .iter()
            .any(|path| beneath(self.root, Path::new(path)).exists());
        Ok(match ifupdown::defines(&sources, &self.wish.nic) {
            Some(_) if installed => Ok(Backend::Ifupdown),
            Some(_) => Err("is not installed, though a stanza names it".to_owned()),
            None => Err("no stanza names it".to_owned()),
        })
    }

    fn ifcfg(&self) -> Result<Claim> {
        let sources = Sources::load(self.root, &[ifcfg::DIR], ifcfg::wanted)?;
        let Some(file) = ifcfg::find(&sources, self.wish) else {
            return Ok(Err("no file names it".to_owned()));
        };
        if self.runs("NetworkManager")
            && let Some((true, Some(uuid))) = self.device()
        {
            let keyfiles = Sources::load(self.root, &networkmanager::DIRS, networkmanager::wanted)?;
            if networkmanager::by_uuid(&keyfiles, &uuid).is_some() {
                return Ok(Err("a keyfile is in force instead".to_owned()));
            }
        }
        Ok(Ok(Backend::Ifcfg { file }))
    }

    fn wicked(&self) -> Result<Claim> {
        if !self.runs("wickedd") {
            return Ok(Err("does not run".to_owned()));
        }
        let file = wicked::path(&self.wish.nic);
        Ok(match files::read(&beneath(self.root, &file))? {
            Some(_) => Ok(Backend::Wicked),
            None => Err("no file names it".to_owned()),
        })
    }
}

/// The file that networkd says it configures a device by, if it does.
pub(super) fn network_file(root: &Path, index: &str) -> Result<Option<PathBuf>> {
    let link = Path::new("/run/systemd/netif/links").join(index);
    let text = files::read(&beneath(root, &link))?.unwrap_or_default();
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

/// The identity association (RFC 4361) that the running DHCP client tells the server, if it does.
pub(super) fn iaid(root: &Path, nic: &str) -> Result<Option<u32>> {
    let index = files::read(&beneath(
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
        files::names(&beneath(root, dir))?
            .iter()
            .filter(|name| internal(name))
            .map(|name| dir.join(name)),
    );
    for lease in leases {
        let text = files::read(&beneath(root, &lease))?.unwrap_or_default();
        let client = text
            .lines()
            .find_map(|line| line.strip_prefix("CLIENTID=ff")?.get(..8));
        if let Some(iaid) = client.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
            return Ok(Some(iaid));
        }
    }
    Ok(None)
}
