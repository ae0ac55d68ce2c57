//! Command lines as values, and how they are run: with no terminal, in the C locale, their output bounded, each by a
//! program that root alone can change.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write, pipe};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::program;

/// How much of a command's output is read.
const MAX_BYTES: u64 = 4 << 20;

/// How long the last of a command's output is waited for.
const DRAIN: Duration = Duration::from_millis(500);

/// What package managers may have of our environment: how the network is reached, and where root is at home. All else may
/// be options of theirs, or of the loader (ld.so(8)).
const KEPT: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "HOME",
];

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
        let output = program::scratch().context("making a temporary file")?;
        let mut command = self.command(environment)?;
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

    /// Runs it and passes what it prints on to our standard error; returns its exit code. It prints to us alone: where
    /// nobody reads what we print any more, it goes on all the same, and no transaction ends in its middle.
    pub(super) fn run(&self, environment: &[(String, String)]) -> Result<Option<i32>> {
        let mut command = self.command(environment)?;
        let (mut reader, writer) = pipe().context("making a pipe")?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn();
        // it has the other end
        drop(command);
        let mut child = child.with_context(|| format!("starting {}", self.program))?;
        let (passed, all) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 8 << 10];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let _ = io::stderr().write_all(&buffer[..length]);
            }
            passed.send(())
        });
        let status = child
            .wait()
            .with_context(|| format!("waiting for {}", self.program))?;
        // What it leaves running may hold the pipe open for ever.
        let _ = all.recv_timeout(DRAIN);
        Ok(status.code())
    }

    /// The command, with nothing of our environment but [`KEPT`].
    fn command(&self, environment: &[(String, String)]) -> Result<Command> {
        let program = program::find(self.program).with_context(|| {
            format!(
                "this node has no {} that root alone can change",
                self.program
            )
        })?;
        let mut command = Command::new(program);
        let kept = KEPT
            .iter()
            .filter_map(|name| Some((name, env::var_os(name)?)));
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", program::search_path())
            .envs(kept)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("APT_LISTBUGS_FRONTEND", "none")
            .env("NEEDRESTART_SUSPEND", "1")
            .stdin(Stdio::null());
        Ok(command)
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
