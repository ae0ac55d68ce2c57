//! The registry as systemd runs it, and how it is made read-only for a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use definitions::write_atomic;

/// The drop-in that makes a registry refuse pushes and deletions; gone with the next boot. systemd removes quotes that are
/// not themselves within quotes.
const READ_ONLY: &str = "\
# Made by setupregistry --collect-garbage, which removes it.
[Service]
Environment='REGISTRY_STORAGE_MAINTENANCE_READONLY={\"enabled\":true}'
";

/// The unit of a registry.
#[derive(Debug)]
pub(super) struct RegistryService {
    unit: String,
    drop_in: PathBuf,
}

impl RegistryService {
    /// Names it.
    ///
    /// # Errors
    /// When this machine has no systemd.
    pub(super) fn new(root: &Path, instance: &str) -> Result<Self> {
        let unit = format!("slipway-{instance}.service");
        let drop_in = root.join(format!("run/systemd/system/{unit}.d/read-only.conf"));
        let found = Command::new("systemctl")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        ensure!(
            found.is_ok_and(|status| status.success()),
            "this machine has no systemctl, and a registry is run by systemd"
        );
        Ok(Self { unit, drop_in })
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    /// Says whether it runs.
    pub(super) fn is_active(&self) -> bool {
        self.systemctl(&["is-active", "--quiet", &self.unit])
            .is_ok()
    }

    /// Starts it with what is on disk now, and at each boot.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(&self) -> Result<()> {
        self.systemctl(&["daemon-reload"])?;
        self.systemctl(&["enable", "--quiet", &self.unit])?;
        let advice = || format!("starting it: journalctl -u {} says why not", self.unit);
        self.systemctl(&["restart", &self.unit])
            .with_context(advice)
    }

    /// Says whether a collection that was killed left it read-only.
    pub(super) fn is_read_only(&self) -> bool {
        self.drop_in.exists()
    }

    /// Has it refuse whatever changes an image.
    ///
    /// # Errors
    /// When it does not start so.
    pub(super) fn enter_read_only(&self) -> Result<()> {
        let writing = || format!("writing {}", self.drop_in.display());
        if let Some(above) = self.drop_in.parent() {
            fs::create_dir_all(above).with_context(writing)?;
        }
        write_atomic(&self.drop_in, READ_ONLY.as_bytes(), 0o644).with_context(writing)?;
        self.start().context("making the registry read-only")
    }

    /// Removes what makes it read-only; it counts from the next start on.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn leave_read_only(&self) -> Result<()> {
        match fs::remove_file(&self.drop_in) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.drop_in.display()))
            }
            _ => Ok(()),
        }
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("systemctl")
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let output = output.context("running systemctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "systemctl {}: {}",
            arguments.join(" "),
            said.trim()
        );
        Ok(())
    }
}
