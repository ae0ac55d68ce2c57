//! Files that something else writes again at a boot, so that a change of them would not last.
//!
//! In: the backend's files as they shall be. Out: what keeps their writer from them, or an error where
//! nothing does. cloud-init has a documented switch, a file of its own that says to leave the network
//! alone; what the initramfs makes of the kernel's command line comes again as long as that says so.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::backend::Backend;
use super::ini::Ini;
use super::model::DesiredBridge;
use super::names::mentions;
use super::networkmanager;
use super::sources::Sources;
use super::yaml;
use crate::files::{self, Access, FileChange, under_root};

const CLOUD: &str = "/etc/cloud/cloud.cfg";
const CLOUD_DIR: &str = "/etc/cloud/cloud.cfg.d";
/// The name that cloud-init itself tells in the files it writes.
const SWITCH: &str = "99-disable-network-config.cfg";
/// What EL7's initramfs copies over the files of the host at each boot.
const STATE: &str = "/run/initramfs/state/etc/sysconfig/network-scripts";

/// The changes that make the files last.
pub(super) fn stop(
    root: &Path,
    backend: &Backend,
    (before, files): (&Sources, &Sources),
    desired: &DesiredBridge,
) -> Result<Vec<FileChange>> {
    let ours = |text: &str| mentions(text, &desired.nic) || mentions(text, &desired.bridge);
    if let Backend::NetworkManager { uuid, .. } = backend
        && let Some(path) = networkmanager::by_uuid(before, uuid)
        && path.starts_with("/run")
        && before.text(&path).and_then(origin).as_deref() == Some("nm-initrd-generator")
    {
        bail!(
            "{} is generated at each boot from the kernel's command line: take ip= and rd.neednet= out there \
             first, and let a profile below /etc configure {}",
            path.display(),
            desired.nic
        );
    }
    let state = format!("{STATE}/ifcfg-{}", desired.nic);
    if under_root(root, Path::new(&state)).exists() {
        bail!(
            "{state} is copied over the file of the host at each boot: take ip= out of the kernel's command line first"
        );
    }
    match files
        .iter()
        .find(|(path, text)| ours(text) && by_cloud_init(path, text))
    {
        Some((path, _)) => stop_cloud_init(root, path),
        None => Ok(Vec::new()),
    }
}

/// Who made a profile, by its own word.
fn origin(text: &str) -> Option<String> {
    let ini = Ini::parse(text);
    let origin = ini.value("user", "org.freedesktop.NetworkManager.origin");
    origin.map(str::to_owned)
}

fn by_cloud_init(path: &Path, text: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let says = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with('#')
            && (line.contains("cloud-init")
                || line.contains("generated from information provided by"))
    };
    name.contains("cloud-init")
        || text
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with('#'))
            .any(says)
        || origin(text).as_deref() == Some("cloud-init")
}

fn stop_cloud_init(root: &Path, written: &Path) -> Result<Vec<FileChange>> {
    let off = [
        "/etc/cloud/cloud-init.disabled",
        "/var/lib/cloud/data/upgraded-network",
    ];
    if off
        .iter()
        .any(|path| under_root(root, Path::new(path)).exists())
    {
        return Ok(Vec::new());
    }
    // It believes the command line more than its own files.
    let line = files::read(&under_root(root, Path::new("/proc/cmdline")))?.unwrap_or_default();
    let mut words = line.split_whitespace();
    if words
        .clone()
        .any(|word| matches!(word, "network-config=disabled" | "cloud-init=disabled"))
    {
        return Ok(Vec::new());
    }
    if let Some(word) =
        words.find(|word| word.starts_with("network-config=") || word.starts_with("ip="))
    {
        bail!(
            "cloud-init writes {} at each boot by {word} of the kernel's command line: take it out there first",
            written.display()
        );
    }
    let mut paths = vec![PathBuf::from(CLOUD)];
    paths.extend(
        files::names(&under_root(root, Path::new(CLOUD_DIR)))?
            .iter()
            .filter(|name| name.ends_with(".cfg"))
            .map(|name| Path::new(CLOUD_DIR).join(name)),
    );
    let mut stopped = None;
    for path in &paths {
        let text = files::read(&under_root(root, path))?.unwrap_or_default();
        // One that is no YAML is none to cloud-init either.
        let says = yaml::parse(&text).ok().flatten().and_then(|node| {
            let network = node.value("network")?;
            Some(network.string("config") == Some("disabled"))
        });
        // The last one that speaks of the network counts.
        stopped = says.map(|off| (off, path)).or(stopped);
    }
    let switch = Path::new(CLOUD_DIR).join(SWITCH);
    match stopped {
        Some((true, _)) => Ok(Vec::new()),
        Some((false, path)) if path.file_name() >= switch.file_name() => bail!(
            "{} configures the network through cloud-init, which would write {} again: take it out there first",
            path.display(),
            written.display()
        ),
        _ => Ok(vec![FileChange::write(
            switch,
            format!(
                "# bridgeprereq changed {}, which cloud-init would write again.\n\
                 network: {{config: disabled}}\n",
                written.display()
            ),
            Access::Mode(0o644),
        )]),
    }
}
