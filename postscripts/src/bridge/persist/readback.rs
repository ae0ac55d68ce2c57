//! The backend's own tool reads the new files back, in a directory of their own, before they count.
//!
//! In: the files as they shall be. Out: nothing, or the tool's complaint. netplan generates from
//! them, NetworkManager's `nmcli --offline` loads the profiles, ifupdown's `ifquery` reads the
//! stanzas, `wicked show-config` shows what it makes of them. networkd and ifcfg have no tool that
//! reads files without a running daemon. A host without the tool is not held up, and a tool that hangs
//! is stopped.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::backend::Backend;
use super::model::DesiredBridge;
use super::sources::Sources;
use super::{ifupdown, wicked};
use crate::files::{FileChange, under_root};
use crate::program;

/// A tool that takes longer has hung. Nothing is changed yet, and a busy host may take long.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Has the tool read the files; `scratch` is an empty directory for it. Says what read them.
pub(super) fn check(
    backend: &Backend,
    after: &Sources,
    changes: &[FileChange],
    desired: &DesiredBridge,
    scratch: &Path,
) -> Result<Option<&'static str>> {
    match backend {
        Backend::Netplan { .. } => netplan(after, scratch),
        Backend::NetworkManager { .. } => networkmanager(changes, scratch),
        Backend::Ifupdown => ifquery(after, desired, scratch),
        Backend::Wicked => wicked(after, desired, scratch),
        Backend::Networkd { .. } | Backend::Ifcfg { .. } => Ok(None),
    }
}

fn netplan(after: &Sources, scratch: &Path) -> Result<Option<&'static str>> {
    let Some(program) = program::find("netplan") else {
        return Ok(None);
    };
    lay_out(after, scratch, str::to_owned)?;
    let mut command = Command::new(program);
    command.args(["generate", "--root-dir"]).arg(scratch);
    program::run(&mut command, Stdio::null(), TIMEOUT)
        .context("reading the files back with netplan generate")?;
    Ok(Some("netplan generate"))
}

fn networkmanager(changes: &[FileChange], scratch: &Path) -> Result<Option<&'static str>> {
    let Some(program) = program::find("nmcli") else {
        return Ok(None);
    };
    let mut version = Command::new(&program);
    version.args(["--offline", "--version"]);
    // Before 1.40 there is no --offline.
    if program::run(&mut version, Stdio::null(), TIMEOUT).is_err() {
        return Ok(None);
    }
    for change in changes {
        // Others than keyfiles change with them.
        let Some(text) = change.text.as_ref().filter(|_| is_keyfile(&change.path)) else {
            continue;
        };
        let path = scratch.join("profile");
        write(&path, text)?;
        let mut command = Command::new(&program);
        command.args([
            "--offline",
            "connection",
            "modify",
            "connection.autoconnect-slaves",
            "-1",
        ]);
        let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
        program::run(&mut command, file.into(), TIMEOUT)
            .with_context(|| format!("reading {} back with nmcli", change.path.display()))?;
    }
    Ok(Some("nmcli --offline"))
}

fn is_keyfile(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "nmconnection")
}

fn ifquery(
    after: &Sources,
    desired: &DesiredBridge,
    scratch: &Path,
) -> Result<Option<&'static str>> {
    let Some(program) = program::find("ifquery") else {
        return Ok(None);
    };
    // The stanzas' own `source` lines must lead to the new files and not to the ones in force.
    let here = |line: &str| match line.split_whitespace().next() {
        Some("source" | "source-directory") => match line.find('/') {
            Some(at) if line[..at].ends_with(char::is_whitespace) => {
                format!("{}{}{}", &line[..at], scratch.display(), &line[at..])
            }
            _ => line.to_owned(),
        },
        _ => line.to_owned(),
    };
    lay_out(after, scratch, |text| {
        text.split_inclusive('\n').map(here).collect()
    })?;
    for device in [&desired.bridge, &desired.nic] {
        let mut command = Command::new(&program);
        command
            .arg(format!(
                "--interfaces={}",
                under_root(scratch, Path::new(ifupdown::MAIN)).display()
            ))
            .arg(device);
        program::run(&mut command, Stdio::null(), TIMEOUT)
            .with_context(|| format!("reading {device} back with ifquery"))?;
    }
    Ok(Some("ifquery"))
}

/// wicked shows as XML what it makes of the files; of a line that it leaves out it only complains, and
/// ends well all the same.
fn wicked(
    after: &Sources,
    desired: &DesiredBridge,
    scratch: &Path,
) -> Result<Option<&'static str>> {
    let Some(program) = program::find("wicked") else {
        return Ok(None);
    };
    lay_out(after, scratch, str::to_owned)?;
    let here = under_root(scratch, Path::new(wicked::DIR));
    let mut command = Command::new(program);
    command
        .args(["show-config", "--ifconfig"])
        .arg(format!("compat:suse:{}", here.display()))
        .args([&desired.nic, &desired.bridge]);
    // One that is too old to be asked is as good as none.
    let Ok(shown) = program::run(&mut command, Stdio::null(), TIMEOUT) else {
        return Ok(None);
    };
    if let Some(complaint) = shown.lines().find(|line| line.contains("unable to parse")) {
        bail!("reading the files back with wicked show-config: {complaint}");
    }
    if !shown.contains(&format!("<master>{}</master>", desired.bridge)) {
        bail!(
            "reading the files back with wicked show-config: it does not put {} into {}",
            desired.nic,
            desired.bridge
        );
    }
    Ok(Some("wicked show-config"))
}

fn lay_out(after: &Sources, scratch: &Path, adapt: impl Fn(&str) -> String) -> Result<()> {
    for (path, text) in after.iter() {
        write(&under_root(scratch, path), &adapt(text))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(writing)?;
    }
    fs::write(path, text).with_context(writing)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(writing)
}
