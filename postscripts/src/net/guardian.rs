//! The dead man's handle: a second process that takes everything back when the first one does not
//! say in time that all is well.
//!
//! It is started before the first change, in a session of its own, with the journal read and its
//! conversation with the kernel open, so that it needs nothing afterwards that the change could take
//! away. It listens at a socket on its standard input: `done` dismisses it, the end of the stream
//! means that the run died, silence beyond the time limit that it hangs, and then it is killed. The
//! run's lock is its standard output, so that a second run waits for it too.

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

use super::journal::Journal;
use super::{Kernel, apply};
use crate::fault::Fault;
use crate::persist;

/// The first argument that makes a process a guardian.
pub const ARGUMENT: &str = "--guardian";
const READY: &[u8] = b"ready\n";
const DONE: &[u8] = b"done\n";

/// A guardian at work, seen from the run that it guards.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    line: UnixStream,
}

impl Guardian {
    /// Starts one for the journal below the root, and returns when it watches.
    ///
    /// # Errors
    /// When it does not come up; then nothing may be changed.
    pub fn start(root: &Path, timeout: Duration, lock: &File) -> Result<Self> {
        let (mut line, theirs) = UnixStream::pair().context("making a socket pair")?;
        let child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .arg(root)
            .arg(timeout.as_millis().to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(lock.try_clone()?))
            .spawn()
            .context("starting /proc/self/exe")?;
        let mut answer = [0; READY.len()];
        line.read_exact(&mut answer)
            .context("waiting for it to say that it is ready")?;
        Ok(Self { child, line })
    }

    /// Returns its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it that all is well, and waits until it is gone.
    ///
    /// # Errors
    /// When it is gone already: it may have taken everything back.
    pub fn dismiss(mut self) -> Result<()> {
        let told = self.line.write_all(DONE);
        let status = self.child.wait().context("waiting for the guardian")?;
        if told.is_err() || !status.success() {
            bail!("the guardian ended before it was told to ({status})");
        }
        Ok(())
    }

    /// Leaves everything to it: it takes back what the journal tells of.
    ///
    /// # Errors
    /// When it cannot.
    pub fn give_up(mut self) -> Result<()> {
        drop(self.line);
        match self.child.wait()?.code() {
            Some(UNDONE) => Ok(()),
            _ => bail!("the guardian could not either"),
        }
    }
}

/// How a guardian exits that had to take everything back, and could.
const UNDONE: i32 = 3;

/// Is a guardian: the arguments are the root and the milliseconds to wait.
pub fn guard(root: &Path, timeout: Duration) -> ExitCode {
    match watch(root, timeout) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(reason)) => {
            say(&format!("{reason}: everything is as it was"));
            ExitCode::from(UNDONE as u8)
        }
        Err(error) => {
            say(&format!("putting the network back: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits; returns why everything was taken back, if it was.
fn watch(root: &Path, timeout: Duration) -> Result<Option<&'static str>> {
    let run = getppid();
    setsid().context("beginning a session")?;
    // a lost terminal or a stopped session must not end the one who repairs
    SigSet::from_iter([
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGPIPE,
    ])
    .thread_block()
    .context("blocking signals")?;
    let kernel = Kernel::open().context("talking to the kernel")?;
    let journal = Journal::load(root)?.context("finding no journal")?;
    let mut line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    line.write_all(READY).context("saying that we are ready")?;
    let Some(reason) = listen(&mut line, timeout, run)? else {
        return Ok(None);
    };
    if !journal.stands() {
        return Ok(None); // it died after its work was done
    }
    put_back(&kernel, &journal, &Fault::default())?;
    Ok(Some(reason))
}

/// Waits for the word; returns what is wrong when it does not come.
fn listen(line: &mut UnixStream, timeout: Duration, run: Pid) -> Result<Option<&'static str>> {
    let end = Instant::now() + timeout;
    let mut heard = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            if getppid() == run {
                kill(run, Signal::SIGKILL).ok();
                line.set_read_timeout(None)?;
                let _ = line.read(&mut [0; 8]); // returns when the last of it is gone
            }
            return Ok(Some("the change took too long"));
        }
        line.set_read_timeout(Some(left))?;
        let mut bytes = [0; 8];
        match line.read(&mut bytes) {
            Ok(0) => return Ok(Some("the change was cut off")),
            Ok(count) => heard.extend(&bytes[..count]),
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(Some("the change was cut off")),
        }
        if heard.ends_with(DONE) {
            return Ok(None);
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::WouldBlock | K::TimedOut | K::Interrupted)
}

/// Takes back whatever the journal tells of, in the kernel and on disk, and ends it.
///
/// # Errors
/// When something is not back; the journal stays for a later run.
pub fn put_back(kernel: &Kernel, journal: &Journal, fault: &Fault) -> Result<()> {
    let live = apply::undo(kernel, &journal.steps, fault);
    for bridge in &journal.bridges {
        persist::recover(&journal.root, bridge, fault)?;
    }
    live?;
    journal.remove()
}

/// Says it on standard error, if anybody is there still.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "bridgeprereq: guardian: {text}");
}
