//! The watchdog: a second process that undoes the change when the first one does not report success in time.
//!
//! It is started before the first change, in a session of its own, with the journal read and its netlink
//! socket open, so that it needs nothing afterwards that the change could take away. It reads a socket on its
//! standard input: `done` ends it, the end of the stream means that the run died, and no word before the time
//! limit means that the run hangs, which is then killed. `undo N` begins the time anew: a run that takes its own
//! change back is no run that hangs, however late it begins; only the first N steps are to be undone. The run's lock is its standard output, so that a
//! second run waits for it too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid, setsid};

use super::journal::ChangeJournal;
use super::undo::undo;
use crate::bridge::net::HostKernel;
use crate::fault::Fault;

/// The first argument that makes a process a watchdog.
pub(crate) const WATCHDOG: &str = "--watchdog";
const READY: &[u8] = b"ready\n";
const DONE: &[u8] = b"done\n";
const UNDO: &str = "undo ";
/// How a watchdog exits that had to undo the change, and did.
const UNDONE: u8 = 3;

/// A watchdog, seen from the run that it watches.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
    stream: UnixStream,
}

impl Watchdog {
    /// Starts one for the journal below the root, and returns once it watches.
    ///
    /// # Errors
    /// When it does not come up; then nothing may be changed.
    pub(crate) fn start(root: &Path, timeout: Duration, lock: &File) -> Result<Self> {
        let (mut stream, theirs) = UnixStream::pair().context("making a socket pair")?;
        let child = Command::new("/proc/self/exe")
            .arg(WATCHDOG)
            .arg(root)
            .arg(timeout.as_millis().to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(lock.try_clone()?))
            .spawn()
            .context("starting /proc/self/exe")?;
        let mut answer = [0; READY.len()];
        stream
            .read_exact(&mut answer)
            .context("waiting until it is ready")?;
        Ok(Self { child, stream })
    }

    /// Returns its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it: the change holds, or is undone.
    ///
    /// # Errors
    /// When it has ended already: it may have undone everything.
    pub(crate) fn dismiss(mut self) -> Result<()> {
        let sent = self.stream.write_all(DONE);
        let status = self.child.wait().context("waiting for the watchdog")?;
        if sent.is_err() || !status.success() {
            bail!("the watchdog ended early ({status}) and may have put the network back");
        }
        Ok(())
    }

    /// Says that the run undoes the change itself, which may take as long as the change, and how many steps were begun:
    /// what never happened may be somebody else's, and is not to be undone by the watchdog either.
    pub(crate) fn expect_undo(&mut self, begun: usize) {
        // one that has ended is seen when it is dismissed
        let _ = self.stream.write_all(format!("{UNDO}{begun}\n").as_bytes());
    }

    /// Leaves the undo to it.
    ///
    /// # Errors
    /// When it fails too.
    pub(crate) fn delegate_undo(mut self) -> Result<()> {
        drop(self.stream);
        let status = self.child.wait().context("waiting for the watchdog")?;
        if status.code() != Some(i32::from(UNDONE)) {
            bail!("the watchdog failed to put it back too ({status})");
        }
        Ok(())
    }
}

/// Runs as a watchdog: the arguments are the root and the time to wait.
pub(crate) fn run_watchdog(root: &Path, timeout: Duration) -> ExitCode {
    match watch(root, timeout) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(reason)) => {
            log(&format!("{reason}: everything was put back"));
            ExitCode::from(UNDONE)
        }
        Err(error) => {
            log(&format!("putting the network back: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits; returns why everything was undone, if it was.
fn watch(root: &Path, timeout: Duration) -> Result<Option<&'static str>> {
    let run = getppid();
    setsid().context("beginning a session")?;
    // a lost terminal or a stopped session must not end the process that repairs the network
    SigSet::from_iter([
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGPIPE,
    ])
    .thread_block()
    .context("blocking signals")?;
    let kernel = HostKernel::open().context("opening a netlink socket")?;
    let journal = ChangeJournal::load(root)?.context("finding no journal")?;
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream
        .write_all(READY)
        .context("reporting that the watchdog is ready")?;
    let mut journal = journal;
    let Some(reason) = wait_for_end(&mut stream, timeout, run, &mut journal)? else {
        return Ok(None);
    };
    if !journal.exists() {
        return Ok(None); // the run died after its work was done
    }
    for unheard in undo(&kernel, &journal, &Fault::default())? {
        log(&unheard);
    }
    Ok(Some(reason))
}

/// Waits for the run to end; returns what is wrong when it does not report success. The run shortens the journal when it
/// undoes its change itself.
fn wait_for_end(
    stream: &mut UnixStream,
    timeout: Duration,
    run: Pid,
    journal: &mut ChangeJournal,
) -> Result<Option<&'static str>> {
    let mut end = Instant::now() + timeout;
    let mut received = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            if getppid() == run {
                kill(run, Signal::SIGKILL).ok();
                stream.set_read_timeout(None)?;
                let _ = stream.read(&mut [0; 8]); // returns once every thread of it has ended
            }
            return Ok(Some("the change took too long"));
        }
        stream.set_read_timeout(Some(left))?;
        let mut bytes = [0; 32];
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(Some("the change was interrupted")),
            Ok(count) => received.extend(&bytes[..count]),
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(Some("the change was interrupted")),
        }
        if received.ends_with(DONE) {
            return Ok(None);
        }
        if let Some(begun) = undone_steps(&received) {
            received.clear();
            journal.steps.truncate(begun);
            end = Instant::now() + timeout;
        }
    }
}

/// Reads `undo N`, once the line is whole.
fn undone_steps(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    line.strip_prefix(UNDO)?.parse().ok()
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::WouldBlock | K::TimedOut | K::Interrupted)
}

/// Writes to standard error, if it is still open.
fn log(text: &str) {
    let _ = writeln!(io::stderr(), "bridgeprereq: watchdog: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_how_many_steps_it_began() {
        for (line, expected) in [
            ("undo 0\n", Some(0)),
            ("undo 12\n", Some(12)),
            ("undo 1", None),
            ("undo \n", None),
            ("done\n", None),
            ("", None),
        ] {
            assert_eq!(undone_steps(line.as_bytes()), expected, "{line:?}");
        }
    }
}
