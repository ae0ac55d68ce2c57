//! The systemd unit that runs `firstboot` until all is done: written and linked by hand, so that it works in
//! the installer's chroot, where no systemd runs.
//!
//! Reference: systemd.service(5), systemd.unit(5). systemd 219 knows every key but the limit of
//! starts, which it reports as unknown, and uses its own limit.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use definitions::Runlist;

use super::paths::{DONE, NodePaths, UNIT};
use crate::files;

/// Returns the unit's text.
///
/// - `simple` and not `oneshot`: multi-user.target would wait for a oneshot, and a script that starts a
///   service after that target would wait for itself. Old systemd also refuses `Restart=` for it.
/// - `KillMode=process`: what a script leaves running on purpose (a DHCP client, a watchdog) outlives us.
/// - Restarts happen when we are killed. Each one settles the script that ran, so they come to an end,
///   if only its status can be written.
fn render() -> String {
    let (list, program) = (Runlist::ON_NODE, Runlist::FIRSTBOOT);
    format!(
        "# Written by 'firstboot --enable', taken away by 'firstboot --disable'.
[Unit]
Description=Postbootscripts of this node, each once
Wants=network-online.target
After=network-online.target
ConditionPathExists={list}
ConditionPathExists=!{DONE}
StartLimitIntervalSec=3600
StartLimitBurst=20

[Service]
Type=simple
ExecStart={program}
StandardInput=null
StandardOutput=journal
StandardError=journal
SyslogIdentifier=firstboot
TimeoutStartSec=0
KillMode=process
Restart=on-abnormal
RestartForceExitStatus=129 130 143
RestartSec=5

[Install]
WantedBy=multi-user.target
"
    )
}

/// Writes the unit and links it into the boot, and says what was done.
pub(super) fn enable(paths: &NodePaths) -> Result<ExitCode> {
    if ensure(paths)? {
        output_line!("{UNIT} runs at every boot until all is done")
    } else {
        output_line!("nothing to do")
    }
    Ok(ExitCode::SUCCESS)
}

/// Does the same in a system that is not running.
pub(crate) fn enable_below(root: &Path) -> Result<()> {
    ensure(&NodePaths::new(root)).map(drop)
}

fn ensure(paths: &NodePaths) -> Result<bool> {
    let homes = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    if !homes.iter().any(|systemd| paths.at(systemd).exists()) {
        bail!(
            "there is no systemd on this system: have its own boot run {} once the network is up",
            Runlist::FIRSTBOOT
        );
    }
    let (unit, text) = (paths.unit(), render());
    let wrote = !matches!(files::load(&unit)?, Some((old, 0o644)) if old == text.as_bytes());
    if wrote {
        files::ensure_dir(unit.parent().context("a unit is in a directory")?, 0o755)?;
        files::replace(&unit, text.as_bytes(), 0o644)
            .with_context(|| format!("writing {}", unit.display()))?;
    }
    let link = paths.unit_link();
    let target = format!("/etc/systemd/system/{UNIT}");
    let linked = fs::read_link(&link).is_ok_and(|there| there.as_os_str() == target.as_str());
    if !linked {
        let parent = link.parent().context("a link is in a directory")?;
        files::ensure_dir(parent, 0o755)?;
        remove(&link)?;
        symlink(&target, &link).with_context(|| format!("linking {}", link.display()))?;
    }
    Ok(wrote || !linked)
}

/// Removes the unit.
pub(super) fn disable(paths: &NodePaths) -> Result<ExitCode> {
    let removed = [remove(&paths.unit_link())?, remove(&paths.unit())?];
    if removed.contains(&true) {
        output_line!("{UNIT} is gone")
    } else {
        output_line!("nothing to do")
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("removing {}", path.display())),
    }
}
