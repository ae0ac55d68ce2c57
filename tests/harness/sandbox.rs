//! A management node in a temporary directory: its definitions, its install directory, and our
//! binaries run there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::bin::{binary, workspace};
use crate::commands::commands;

/// A configuration, an install directory and room for media.
#[derive(Debug)]
pub struct Sandbox {
    dir: TempDir,
    install: PathBuf,
}

/// The exit code and the output of a program.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its results.
    pub stdout: String,
    /// Its progress and errors.
    pub stderr: String,
}

/// A small Debian medium made by `tests/media/mini-debian`.
#[derive(Debug)]
pub struct Medium {
    /// The image.
    pub iso: PathBuf,
    /// The key that signed it, among the keyrings of the configuration.
    pub keyring: PathBuf,
}

impl Sandbox {
    /// Makes a sandbox.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let install = dir.path().join("install");
        fs::create_dir(&install)?;
        Self::with_install(dir, install)
    }

    /// Makes a sandbox whose install directory is elsewhere, on a file system of its own.
    pub fn on(install: &Path) -> Result<Self> {
        Self::with_install(tempfile::tempdir()?, install.to_owned())
    }

    fn with_install(dir: TempDir, install: PathBuf) -> Result<Self> {
        let sandbox = Self { dir, install };
        fs::create_dir_all(sandbox.config().join("keyrings"))?;
        let site = format!("installdir = \"{}\"\n", sandbox.install.display());
        fs::write(sandbox.config().join("site.toml"), site)?;
        Ok(sandbox)
    }

    /// Returns a path in the sandbox, outside of its install directory and its configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the configuration directory.
    pub fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// Returns the install directory.
    pub fn install(&self) -> &Path {
        &self.install
    }

    /// Prepares a run of one of our binaries here.
    pub fn command<S: AsRef<OsStr>>(&self, name: &str, args: &[S]) -> Result<Command> {
        let installed = commands()?.iter().find(|command| command.name == name);
        let installed = installed.with_context(|| format!("the Makefile installs no {name}"))?;
        let mut command = Command::new(binary(&installed.package, name)?);
        command
            .args(args)
            .env("SLIPWAY_CONFIG", self.config())
            .env_remove("RUST_BACKTRACE")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs one of our binaries to its end.
    pub fn run<S: AsRef<OsStr>>(&self, name: &str, args: &[S]) -> Result<Outcome> {
        let output = self.command(name, args)?.output().context("running")?;
        Ok(Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Imports a medium and expects that to succeed.
    pub fn import(&self, medium: &Medium) -> Result<Outcome> {
        let outcome = self.run("copycds", &[&medium.iso])?;
        ensure!(
            outcome.code == Some(0),
            "importing {}: {outcome:?}",
            medium.iso.display()
        );
        Ok(outcome)
    }

    /// Builds a medium of Debian 12.9.0; media of another mark hold the same packages with other bytes.
    pub fn medium(&self, mark: &str, bulk_mib: u32) -> Result<Medium> {
        let medium = Medium {
            iso: self.path(&format!("{mark}.iso")),
            keyring: self.config().join(format!("keyrings/{mark}.gpg")),
        };
        let output = Command::new(workspace().join("tests/media/mini-debian"))
            .arg(&medium.iso)
            .arg(&medium.keyring)
            .env("MARK", mark)
            .env("BULK", bulk_mib.to_string())
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(medium)
    }
}
