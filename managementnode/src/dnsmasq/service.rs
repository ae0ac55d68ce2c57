//! The dnsmasq that runs: told to read its lists again, or restarted when its settings changed.
//!
//! Lists are read again on SIGHUP, which drops no lease; settings only when it starts, which takes its leases from
//! its own file. Reference: dnsmasq(8) "NOTES", systemctl(1).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How dnsmasq is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DnsmasqService {
    /// As a unit of systemd.
    Unit(String),
    /// As the process of a pid file.
    PidFile(PathBuf),
    /// Not at all.
    Unreached,
}

/// What a change asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Nothing changed.
    Nothing,
    /// Lists changed.
    Reload,
    /// Settings changed.
    Restart,
}

/// What was done, in a word for reports.
pub(crate) type ReloadOutcome = &'static str;

impl DnsmasqService {
    /// Has dnsmasq work with what is published.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn apply(&self, action: Action) -> Result<ReloadOutcome> {
        match (self, action) {
            (_, Action::Nothing) => Ok("untouched"),
            (Self::Unreached, _) => {
                Ok("not reached: this machine has no systemd, and no --pid-file is given")
            }
            (Self::Unit(unit), Action::Restart) => {
                systemctl(&["restart", unit])?;
                Ok("restarted")
            }
            (Self::Unit(unit), Action::Reload) => {
                if !is_active(unit)? {
                    return Ok("not running");
                }
                systemctl(&["kill", "--kill-who=main", "--signal=HUP", unit])?;
                Ok("reloaded")
            }
            (Self::PidFile(path), action) => {
                let Some(pid) = process(path)? else {
                    return Ok("not running");
                };
                if action == Action::Restart {
                    bail!(
                        "process {pid} runs with the settings from before, which it reads only when it starts: restart it"
                    );
                }
                kill(Pid::from_raw(pid), Signal::SIGHUP)
                    .with_context(|| format!("sending SIGHUP to process {pid}"))?;
                Ok("reloaded")
            }
        }
    }
}

/// Reads the process of a pid file, if it runs and is a dnsmasq.
fn process(path: &Path) -> Result<Option<i32>> {
    let Some(text) = crate::replace::read(path)? else {
        return Ok(None);
    };
    let pid: i32 = text
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 1)
        .with_context(|| format!("{} holds no process number", path.display()))?;
    let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) else {
        return Ok(None);
    };
    // Whoever may write the file does not choose which process of root's gets a signal.
    if name.trim() != "dnsmasq" {
        bail!(
            "{} names process {pid}, which is {} and not dnsmasq",
            path.display(),
            name.trim().escape_default()
        );
    }
    Ok(Some(pid))
}

fn is_active(unit: &str) -> Result<bool> {
    let status = Command::new("systemctl")
        .args(["is-active", "--quiet", unit])
        .stdin(Stdio::null())
        .status();
    Ok(status.context("running systemctl")?.success())
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("running systemctl")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!(
        "systemctl {}: {}",
        arguments.join(" "),
        definitions::terminal::escaped(said.trim(), '\n')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dnsmasq_is_signalled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let service = DnsmasqService::PidFile(path.clone());
        assert_eq!(service.apply(Action::Reload).unwrap(), "not running");
        fs::write(&path, "1\n").unwrap();
        assert_eq!(
            service.apply(Action::Reload).unwrap_err().to_string(),
            format!("{} holds no process number", path.display())
        );
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(
            service.apply(Action::Reload).unwrap_err().to_string(),
            format!(
                "{} names process {}, which is {} and not dnsmasq",
                path.display(),
                std::process::id(),
                name.trim()
            )
        );
        assert_eq!(service.apply(Action::Nothing).unwrap(), "untouched");
    }
}
