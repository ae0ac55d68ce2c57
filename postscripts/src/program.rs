//! Other programs of the host: found where hosts have them, run to their end or up to a time limit.
//!
//! In: a command. Out: what it printed, or an error with its last lines. No shell, no search in a
//! `PATH` that somebody else chose, no program that others than root may change, nothing of our own
//! environment, nothing that waits for ever.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::owner;

const PROGRAM_DIRS: [&str; 6] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];
/// No more is read of what a program prints.
const MAX_BYTES: u64 = 1 << 20;
/// How many of its last lines an error carries.
const TAIL_LINES: usize = 8;

/// Where a program of this name is on this host. It goes by the name that it was found by, for one
/// program may be several by their names.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    PROGRAM_DIRS
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| owner::check(Path::new("/"), path).is_ok())
}

/// Where programs find others.
pub(crate) fn search_path() -> String {
    PROGRAM_DIRS.join(":")
}

/// Runs a program and returns what it printed.
pub(crate) fn run(command: &mut Command, stdin: Stdio, timeout: Duration) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // A file and no pipe: a daemon that the program leaves running would hold a pipe open for ever.
    let mut output = scratch().context("making a temporary file")?;
    let own: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command
        .env_clear()
        .envs(own)
        .env("LC_ALL", "C")
        .env("PATH", search_path());
    let (stdout, stderr) = (output.try_clone()?, output.try_clone()?);
    let child = spawn(command.stdin(stdin).stdout(stdout).stderr(stderr));
    let mut child = child.with_context(|| format!("starting {name}"))?;
    let started = Instant::now();
    let status = loop {
        let status = child.try_wait();
        match status.with_context(|| format!("waiting for {name}"))? {
            Some(status) => break status,
            None if started.elapsed() > timeout => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .with_context(|| format!("stopping {name}"))?;
                bail!("{name} did not end within {} s", timeout.as_secs());
            }
            None => sleep(Duration::from_millis(5)),
        }
    };
    let mut printed = Vec::new();
    output.seek(SeekFrom::Start(0))?;
    output.take(MAX_BYTES).read_to_end(&mut printed)?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if status.success() {
        return Ok(printed);
    }
    bail!("{name} ended with {status}: {}", last_lines(&printed));
}

/// Starts a program that holds no signal back, whoever starts it: a child inherits its parent's mask, and a
/// daemon whose mask has SIGTERM in it never ends on SIGTERM. Reference: signal(7).
///
/// What came for us meanwhile is not for the child, and shall not end us now: it is read off.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let held = SigSet::thread_get_mask()?;
    let waiting = SignalFd::with_flags(&held, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    while waiting.read_signal()?.is_some() {}
    SigSet::empty().thread_set_mask()?;
    let child = command.spawn();
    held.thread_set_mask()?;
    child
}

/// The last lines of a text in one.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ")
}

/// A file without a name, in memory where the host has `/run`.
pub(crate) fn scratch() -> io::Result<File> {
    tempfile::tempfile_in("/run").or_else(|_| tempfile::tempfile())
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    fn sh(script: &str, timeout: Duration) -> Result<String> {
        let mut command = Command::new("/bin/sh");
        run(command.args(["-c", script]), Stdio::null(), timeout)
    }

    #[test]
    fn a_program_is_read_blamed_and_stopped() {
        let long = Duration::from_secs(20);
        assert_eq!(sh("echo a; echo b >&2", long).unwrap(), "a\nb\n");
        assert_eq!(
            sh("seq 9; exit 3", long).unwrap_err().to_string(),
            "/bin/sh ended with exit status: 3: 2; 3; 4; 5; 6; 7; 8; 9"
        );
        assert_eq!(
            sh("sleep 60", Duration::ZERO).unwrap_err().to_string(),
            "/bin/sh did not end within 0 s"
        );
        // a process that it leaves running is not waited for
        assert_eq!(sh("sleep 5 & echo on", long).unwrap(), "on\n");
    }

    #[test]
    fn a_program_has_nothing_of_our_environment() {
        let mut command = Command::new("/usr/bin/env");
        let printed = run(
            command.env("WANTED", "1"),
            Stdio::null(),
            Duration::from_secs(20),
        );
        let mut lines: Vec<_> = printed.unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        let path = format!("PATH={}", PROGRAM_DIRS.join(":"));
        assert_eq!(lines, ["LC_ALL=C", &path, "WANTED=1"]);
    }

    #[test]
    fn what_is_held_back_here_reaches_a_program_and_does_not_end_us() {
        let mut held = SigSet::empty();
        held.add(Signal::SIGTERM);
        held.thread_block().unwrap();
        raise(Signal::SIGTERM).unwrap();
        let printed = sh("kill $$; echo on", Duration::from_secs(20));
        assert_eq!(
            printed.unwrap_err().to_string(),
            "/bin/sh ended with signal: 15 (SIGTERM): "
        );
        assert_eq!(SigSet::thread_get_mask().unwrap(), held);
    }
}
