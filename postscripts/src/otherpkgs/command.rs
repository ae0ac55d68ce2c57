//! Command lines as values, and how they are run: with no terminal, in the C locale, their output bounded.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// How much of a command's output is read.
const MAX_BYTES: u64 = 4 << 20;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageCommand {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(super) struct CommandOutput {
    /// `None`: a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl PackageCommand {
    pub(super) fn new(program: &'static str, arguments: &[&str]) -> Self {
        Self {
            program,
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
        }
    }

    /// Adds arguments.
    pub(super) fn and<T: AsRef<str>>(mut self, more: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(
            more.into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Runs it and returns what it printed.
    pub(super) fn capture(&self, environment: &[(String, String)]) -> Result<CommandOutput> {
        // A file and no pipe: what the command leaves running would hold a pipe open for ever.
        let output = tempfile::tempfile().context("making a temporary file")?;
        let mut command = self.command(environment);
        command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let status = command
            .status()
            .with_context(|| format!("starting {}", self.program))?;
        Ok(CommandOutput {
            code: status.code(),
            text: read(output)?,
        })
    }

    /// Runs it with its output on our standard error; returns its exit code.
    pub(super) fn run(&self, environment: &[(String, String)]) -> Result<Option<i32>> {
        let mut command = self.command(environment);
        command.stdout(io::stderr().as_fd().try_clone_to_owned()?);
        let status = command
            .status()
            .with_context(|| format!("starting {}", self.program))?;
        Ok(status.code())
    }

    fn command(&self, environment: &[(String, String)]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("NEEDRESTART_SUSPEND", "1")
            .stdin(Stdio::null());
        command
    }
}

impl fmt::Display for PackageCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.arguments.join(" "))
    }
}

fn read(mut output: File) -> Result<String> {
    output.rewind()?;
    let mut bytes = Vec::new();
    output.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
