//! How dockerd is started on this host: systemd, OpenRC or a SysV script.
//!
//! Detected from what runs, never guessed. Every command is bounded in time; what it printed is in the
//! error when it fails.

use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::paths::Paths;
use super::unit;
use crate::{files, program};

/// How long the service manager may take to restart dockerd.
const RESTART: Duration = Duration::from_secs(120);
/// Who starts dockerd here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// systemd, with the command line that its units give dockerd, ours left out.
    Systemd { command: String },
    /// OpenRC: `rc-service docker …`.
    OpenRc { script: PathBuf },
    /// A script in `/etc/init.d`, which reads `/etc/default/docker`.
    Sysv { script: PathBuf, log: PathBuf },
}

impl Service {
    pub(super) fn detect(paths: &Paths) -> Result<Self> {
        let script = paths.at("/etc/init.d/docker");
        if paths.at("/run/systemd/system").is_dir() {
            let command = unit::exec_start(&load_units(paths)?).context(
                "no systemd unit docker.service with an ExecStart: put the engine there with the \
                 packages of an osimage's dockerhost profile (docker-ce, docker.io or moby-engine)",
            )?;
            return Ok(Self::Systemd { command });
        }
        if !script.exists() {
            bail!(
                "no systemd runs here and {} does not exist: put the engine there with the packages \
                 of an osimage's dockerhost profile (docker-ce, docker.io or moby-engine)",
                script.display()
            );
        }
        Ok(match paths.at("/sbin/openrc-run").exists() {
            true => Self::OpenRc { script },
            false => Self::Sysv {
                script,
                log: paths.at("/var/log/docker.log"),
            },
        })
    }

    /// Returns where dockerd answers locally, as `hosts` in `daemon.json` says it: the socket that
    /// systemd hands over where its command line asked for that, so that owner and mode stay those of
    /// `docker.socket`.
    pub(super) fn local_host(&self, paths: &Paths) -> String {
        match self {
            Self::Systemd { command } if command.contains("fd://") => "fd://".to_owned(),
            _ => format!("unix://{}", paths.socket().display()),
        }
    }

    /// Returns the drop-in that the service needs, if it needs one.
    pub(super) fn drop_in(&self) -> Option<String> {
        match self {
            Self::Systemd { command } => unit::drop_in(command),
            _ => None,
        }
    }

    /// Restarts dockerd, which must be running when this returns.
    pub(super) fn restart(&self) -> Result<()> {
        match self {
            Self::Systemd { .. } => {
                run(Command::new("systemctl").arg("daemon-reload"))?;
                // A start limit that an earlier failure used up is no reason to fail now.
                run(Command::new("systemctl").args(["reset-failed", "docker.service"])).ok();
                run(Command::new("systemctl").args(["restart", "docker.service"]))
            }
            Self::OpenRc { script } | Self::Sysv { script, .. } => {
                run(Command::new(script).arg("restart"))
            }
        }
        .context("restarting dockerd")
        .map(drop)
    }

    /// Returns the last lines that the daemon said, joined.
    pub(super) fn last_words(&self) -> String {
        let text = match self {
            Self::Systemd { .. } => {
                let journal = "-u docker.service -o cat --no-pager -n 8".split(' ');
                run(Command::new("journalctl").args(journal)).unwrap_or_default()
            }
            Self::OpenRc { .. } => tail_of(Path::new("/var/log/docker.log")),
            Self::Sysv { log, .. } => tail_of(log),
        };
        program::last_lines(&text)
    }
}

/// Reads docker.service and its drop-ins in the order in which systemd reads them, without ours.
fn load_units(paths: &Paths) -> Result<Vec<String>> {
    let homes = [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/lib/systemd/system",
    ]
    .into_iter()
    .chain(["/lib/systemd/system"])
    .map(|home| paths.at(home));
    let homes: Vec<_> = homes.collect();
    let vendor = homes
        .iter()
        .map(|home| home.join("docker.service"))
        .find(|unit| unit.exists());
    let Some(vendor) = vendor else {
        return Ok(Vec::new());
    };
    let mut units = vec![text_of(&vendor)?];
    for drop_in in drop_ins(&homes) {
        if drop_in != paths.drop_in() {
            units.push(text_of(&drop_in)?);
        }
    }
    Ok(units)
}

/// Lists the drop-ins by file name; of two of one name the one in the earlier home counts.
fn drop_ins(homes: &[PathBuf]) -> Vec<PathBuf> {
    let mut by_name = std::collections::BTreeMap::new();
    for home in homes.iter().rev() {
        let Ok(entries) = fs::read_dir(home.join("docker.service.d")) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "conf")
            {
                by_name.insert(path.file_name().map(ToOwned::to_owned), path);
            }
        }
    }
    by_name.into_values().collect()
}

fn text_of(path: &Path) -> Result<String> {
    // Distributions link units; a link is fine for a file that is only read.
    let path = fs::canonicalize(path).with_context(|| format!("finding {}", path.display()))?;
    Ok(files::load_text(&path)?.unwrap_or_default())
}

/// Returns the last 8 KiB of a file.
fn tail_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let length = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        file.seek(std::io::SeekFrom::Start(length.saturating_sub(8192)))
            .ok();
        file.take(8192).read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a command that may take as long as a service does.
pub(super) fn run(command: &mut Command) -> Result<String> {
    program::run(command, Stdio::null(), RESTART)
}
