//! The backend's own tool reads the new files back, in a directory of their own, before they count.
//!
//! In: the files as they shall be. Out: nothing, or the tool's complaint. netplan generates from
//! them, NetworkManager's `nmcli --offline` loads the profiles, ifupdown's `ifquery` reads the
//! stanzas. networkd, ifcfg and wicked have no tool that reads files without a running daemon. A
//! host without the tool is not held up, and a tool that hangs is stopped.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::backend::Backend;
use super::ifupdown;
use super::model::Wish;
use super::sources::Sources;
use crate::files::{Change, beneath};

/// A tool that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(20);
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where a program of this name stands on this host.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    PLACES
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.is_file())
}

/// Has the tool read the files; `scratch` is an empty directory for it. Says what read them.
pub(super) fn check(
    backend: &Backend,
    after: &Sources,
    changes: &[Change],
    wish: &Wish,
    scratch: &Path,
) -> Result<Option<&'static str>> {
    match backend {
        Backend::Netplan { .. } => netplan(after, scratch),
        Backend::NetworkManager { .. } => networkmanager(changes, scratch),
        Backend::Ifupdown => ifquery(after, wish, scratch),
        Backend::Networkd { .. } | Backend::Ifcfg { .. } | Backend::Wicked => Ok(None),
    }
}

fn netplan(after: &Sources, scratch: &Path) -> Result<Option<&'static str>> {
    let Some(program) = program("netplan") else {
        return Ok(None);
    };
    lay_out(after, scratch, str::to_owned)?;
    let mut command = Command::new(program);
    command.args(["generate", "--root-dir"]).arg(scratch);
    run(command, Stdio::null(), scratch).context("reading the files back with netplan generate")?;
    Ok(Some("netplan generate"))
}

fn networkmanager(changes: &[Change], scratch: &Path) -> Result<Option<&'static str>> {
    let Some(program) = program("nmcli") else {
        return Ok(None);
    };
    let mut version = Command::new(&program);
    version.args(["--offline", "--version"]);
    // Before 1.40 there is no --offline.
    if run(version, Stdio::null(), scratch).is_err() {
        return Ok(None);
    }
    for change in changes {
        let Some(text) = &change.text else { continue };
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
        run(command, file.into(), scratch)
            .with_context(|| format!("reading {} back with nmcli", change.path.display()))?;
    }
    Ok(Some("nmcli --offline"))
}

fn ifquery(after: &Sources, wish: &Wish, scratch: &Path) -> Result<Option<&'static str>> {
    let Some(program) = program("ifquery") else {
        return Ok(None);
    };
    // The stanzas' own `source` lines must lead to the new files and not to the ones in force.
    let here = scratch.join("etc/network").display().to_string();
    lay_out(after, scratch, |text| text.replace("/etc/network", &here))?;
    for device in [&wish.bridge, &wish.nic] {
        let mut command = Command::new(&program);
        command
            .arg(format!(
                "--interfaces={}",
                beneath(scratch, Path::new(ifupdown::MAIN)).display()
            ))
            .arg(device);
        run(command, Stdio::null(), scratch)
            .with_context(|| format!("reading {device} back with ifquery"))?;
    }
    Ok(Some("ifquery"))
}

fn lay_out(after: &Sources, scratch: &Path, adapt: impl Fn(&str) -> String) -> Result<()> {
    for (path, text) in after.iter() {
        write(&beneath(scratch, path), &adapt(text))?;
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

/// Runs a program to its end and returns what it printed, which passes through a file in `scratch`;
/// a failure carries its last words.
pub(super) fn run(mut command: Command, stdin: Stdio, scratch: &Path) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log = scratch.join(format!(".slipway-{}.output", std::process::id()));
    let out = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let err = out
        .try_clone()
        .with_context(|| format!("writing {}", log.display()))?;
    command.env("LC_ALL", "C").env("PATH", PLACES.join(":"));
    command.stdin(stdin).stdout(out).stderr(err);
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let began = Instant::now();
    let status = loop {
        match child
            .try_wait()
            .with_context(|| format!("waiting for {name}"))?
        {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .with_context(|| format!("stopping {name}"))?;
                bail!("{name} did not end within {} s", PATIENCE.as_secs());
            }
            None => sleep(Duration::from_millis(5)),
        }
    };
    let said = fs::read(&log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    fs::remove_file(&log).with_context(|| format!("removing {}", log.display()))?;
    if !status.success() {
        let last: Vec<&str> = said.trim().lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{name} ended with {status}: {}", last.join(" | "));
    }
    Ok(said)
}
