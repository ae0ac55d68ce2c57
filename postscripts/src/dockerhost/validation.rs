//! What dockerd itself says of its configuration, before it has to start with it.
//!
//! In: the text of `daemon.json` and the options of the command line. Out: nothing, or dockerd's own error.
//! Engines from 23.0 on have `--validate`. Older ones read all of their configuration and only then ask
//! whether they are root (`cmd/dockerd/daemon.go`, `start`): started as an ordinary user they check it too,
//! and end before they make a file.

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::daemon;
use super::dockerd_command::Flag;
use super::preflight::Installed;
use crate::program;

const TIMEOUT: Duration = Duration::from_secs(30);

/// An id that no user of a host has (systemd, "Users, Groups, UIDs and GIDs").
const NOBODY_ELSE: u32 = 65_533;

/// What an engine without `--validate` prints once it has found no fault.
const NOT_ROOT: &str = "needs to be started with root";

/// Where dockerd finds a text that is in no file yet.
const STDIN: &str = "/proc/self/fd/0";

/// Has dockerd check a `daemon.json` as it will be, but for its listeners on TCP and its certificates, which
/// may not be there yet.
pub(super) fn check_text(installed: &Installed, text: &str) -> Result<()> {
    let checking = || {
        format!(
            "having dockerd check {} as it would be",
            installed.config.display()
        )
    };
    let mut file = program::scratch().with_context(checking)?;
    file.write_all(daemon::without_tls(text).as_bytes())
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o444)))
        .with_context(checking)?;
    let has_validate = installed.major >= 23;
    // One whose way there is for root alone is still found by another user.
    let dockerd = installed.dockerd.canonicalize().with_context(checking)?;
    let mut command = Command::new(dockerd);
    command.args(["--config-file", STDIN]);
    command.args(options(installed.service.flags(), |flag| {
        !flag.name.starts_with("tls")
    }));
    if has_validate {
        command.arg("--validate")
    } else {
        command
            .uid(NOBODY_ELSE)
            .gid(NOBODY_ELSE)
            .current_dir(Path::new("/"))
    };
    let Err(error) = program::run(&mut command, Stdio::from(file), TIMEOUT) else {
        return Ok(());
    };
    let said = format!("{error:#}");
    if !has_validate && said.contains(NOT_ROOT) {
        return Ok(());
    }
    if !has_validate && cannot_be_started(&error) {
        error_line!("setupdockerhost: {}: {said}: left out", checking());
        return Ok(());
    }
    let said = said.replace(STDIN, &installed.config.display().to_string());
    Err(anyhow!(said)).with_context(checking)
}

/// Has dockerd check the present `daemon.json`, with its certificates, where it can.
pub(super) fn check_file(installed: &Installed) -> Result<()> {
    if installed.major < 23 {
        return Ok(());
    }
    let mut command = Command::new(&installed.dockerd);
    command
        .arg("--validate")
        .arg("--config-file")
        .arg(&installed.config)
        .args(options(installed.service.flags(), |_| true));
    program::run(&mut command, Stdio::null(), TIMEOUT)
        .context("having dockerd check its configuration")
        .map(drop)
}

/// The options of the service: all but listeners, which `daemon.json` has, and those that are not known.
fn options<'a>(
    flags: &'a [Flag],
    also: impl Fn(&Flag) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let is_there = move |flag: &&Flag| {
        !["host", "config-file"].contains(&flag.name.as_str()) && flag.name.len() > 1 && also(flag)
    };
    let flags = flags.iter().filter(is_there);
    flags.map(|flag| format!("--{}={}", flag.name, flag.value))
}

/// Whether a program was not started for who should have run it: a dockerd for root alone, or a host whose
/// users are few.
fn cannot_be_started(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| {
        [ErrorKind::PermissionDenied, ErrorKind::InvalidInput].contains(&cause.kind())
    })
}
