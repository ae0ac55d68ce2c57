//! One run of one script: its own process group, an end to its time, its output bounded.
//!
//! A program and its words come in, how it ended goes out. It runs in its own
//! directory, with the environment that was given and nothing else, with nothing on its standard input, and
//! never through a shell. At the end of its time the whole group gets SIGTERM, then SIGKILL. A process that
//! left the group is left alone, for that was meant: the watchdog of `bridgeprereq` puts the network back when
//! its parent is gone, and a daemon is what the script was there to start.

use std::collections::BTreeMap;
use std::io::{PipeReader, Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgid};

use super::diagnosis;
use super::output::Output;
use super::signals::{Signals, StopRequest};
use super::start;

/// How long a group has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long we read from processes that a script left running.
const DRAIN: Duration = Duration::from_millis(500);

/// What runs, and how long it may.
#[derive(Debug)]
pub(super) struct Script<'a> {
    pub(super) directory: &'a Path,
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) timeout: Duration,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScriptEnding {
    /// By itself or by a signal.
    Itself(ExitStatus),
    /// It could not be started.
    NotStarted(String),
    /// Its time was over.
    TimedOut,
    /// It sent this signal to us.
    AskedUs(i32),
    /// Somebody else asked us to end.
    Stopped(i32),
}

impl Script<'_> {
    /// Runs it to its end; `begun` gets its process ID.
    ///
    /// # Errors
    /// When we cannot watch it.
    pub(super) fn run(
        &self,
        output: &mut Output,
        begun: &mut dyn FnMut(i32),
    ) -> Result<ScriptEnding> {
        // From here on: a script may signal us with its first instruction.
        let signals = Signals::hold()?;
        let (reader, writer) = pipe().context("making a pipe")?;
        let program = self.directory.join(self.program);
        let group = match start::start(&program, self.arguments, self.environment, writer) {
            Ok(pid) => pid,
            Err(error) => {
                return Ok(ScriptEnding::NotStarted(diagnosis::not_started(
                    &program, &error,
                )));
            }
        };
        begun(group.as_raw());
        let mut watch = RunningScript {
            group,
            reader: Some(reader),
            signals,
            stopping: None,
        };
        watch.until_it_ends(Instant::now() + self.timeout, output)
    }
}

/// A script that runs.
struct RunningScript {
    /// Its process group, by the process ID of the script.
    group: Pid,
    /// Until nobody can print any more.
    reader: Option<PipeReader>,
    signals: Signals,
    /// Why it is being ended, and until when politely.
    stopping: Option<(ScriptEnding, Instant)>,
}

impl RunningScript {
    fn until_it_ends(&mut self, deadline: Instant, output: &mut Output) -> Result<ScriptEnding> {
        let status = loop {
            // In this order: what the script sent before its end has come by then.
            let ended = self.ended()?;
            if let Some(selected) = self.signals.read()?
                && self.stopping.is_none()
            {
                let ending = self.ending_of(selected);
                self.stop(ending);
            }
            if let Some(status) = ended {
                break status;
            }
            let now = Instant::now();
            let next = match &self.stopping {
                None if now >= deadline => self.stop(ScriptEnding::TimedOut),
                None => deadline,
                Some((_, until)) if now >= *until => {
                    self.signal(Signal::SIGKILL);
                    now + GRACE
                }
                Some((_, until)) => *until,
            };
            self.wait(next.saturating_duration_since(now), output)?;
        };
        if self.stopping.is_some() {
            // Some of the group may not have listened to SIGTERM.
            self.signal(Signal::SIGKILL);
        }
        waitpid(self.group, None).context("waiting for the script")?;
        self.drain(output)?;
        let stopping = self.stopping.take();
        Ok(stopping.map_or(ScriptEnding::Itself(status), |(ending, _)| ending))
    }

    /// Returns how the script ended, if it has. It stays a zombie until [`waitpid`], so that its process ID and
    /// its group are its own as long as we ask about them.
    fn ended(&self) -> Result<Option<ExitStatus>> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let raw = match waitid(Id::Pid(self.group), flags) {
            Err(Errno::EINTR) => return Ok(None),
            status => match status.context("waiting for the script")? {
                WaitStatus::Exited(_, code) => (code & 0xff) << 8,
                WaitStatus::Signaled(_, signal, _) => signal as i32,
                _ => return Ok(None),
            },
        };
        Ok(Some(ExitStatus::from_raw(raw)))
    }

    fn ending_of(&self, selected: StopRequest) -> ScriptEnding {
        let sender = Pid::from_raw(selected.sender);
        match getpgid(Some(sender)) {
            Ok(group) if group == self.group => ScriptEnding::AskedUs(selected.signal),
            _ => ScriptEnding::Stopped(selected.signal),
        }
    }

    fn stop(&mut self, ending: ScriptEnding) -> Instant {
        self.signal(Signal::SIGTERM);
        // One that is stopped hears nothing else.
        self.signal(Signal::SIGCONT);
        let until = Instant::now() + GRACE;
        self.stopping = Some((ending, until));
        until
    }

    /// A group that is gone needs no signal.
    fn signal(&self, signal: Signal) {
        let _ = killpg(self.group, signal);
    }

    /// Waits for output, for a signal or for the time to pass; takes what was printed.
    fn wait(&mut self, at_most: Duration, output: &mut Output) -> Result<()> {
        let mut files = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(reader) = &self.reader {
            files.push(PollFd::new(reader.as_fd(), PollFlags::POLLIN));
        }
        await_any(&mut files, at_most)?;
        if files.get(1).is_some_and(|file| file.any() == Some(true)) {
            self.read(output)
        } else {
            Ok(())
        }
    }

    /// Takes what the script printed last. A daemon that it left may hold the pipe open: it is not waited
    /// for.
    fn drain(&mut self, output: &mut Output) -> Result<()> {
        let until = Instant::now() + DRAIN;
        while let Some(reader) = &self.reader {
            let mut files = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            if await_any(&mut files, until.saturating_duration_since(Instant::now()))? == 0 {
                break;
            }
            self.read(output)?;
        }
        Ok(())
    }

    fn read(&mut self, output: &mut Output) -> Result<()> {
        let mut buffer = [0; 16 << 10];
        if let Some(reader) = &mut self.reader {
            match reader.read(&mut buffer).context("reading its output")? {
                0 => self.reader = None,
                n => output.append(&buffer[..n]),
            }
        }
        Ok(())
    }
}

/// Waits until one of the files can be read; returns how many can.
fn await_any(files: &mut [PollFd], at_most: Duration) -> Result<i32> {
    // Rounded up, so that the time has passed when none can.
    let timeout = PollTimeout::try_from(at_most + Duration::from_micros(999));
    match poll(files, timeout.unwrap_or(PollTimeout::MAX)) {
        Err(Errno::EINTR) => Ok(1),
        ready => ready.context("waiting for the script"),
    }
}

/// Ends the group of a script that an earlier run left, if it is that one still.
pub(super) fn end_left_over(pid: i32, ticks: u64) {
    if started(pid) == Some(ticks) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Returns when a process was started, in ticks since the boot: proc_pid_stat(5), field 22.
pub(super) fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, also blanks and brackets.
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Returns the exit code that represents an ending, and the words for what it does not say.
pub(super) fn code(ending: &ScriptEnding, timeout: Duration) -> (i32, Option<String>) {
    match ending {
        ScriptEnding::Itself(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (code, None),
            (None, signal) => {
                let signal = signal.unwrap_or(0);
                (128 + signal, Some(format!("{} ended it", name(signal))))
            }
        },
        ScriptEnding::NotStarted(error) => (126, Some(format!("it could not be run: {error}"))),
        ScriptEnding::TimedOut => {
            let seconds = timeout.as_secs();
            (
                124,
                Some(format!("it did not end within {seconds} s and was killed")),
            )
        }
        ScriptEnding::AskedUs(signal) => {
            let reason = format!(
                "it sent {} to firstboot, which runs it, and was killed",
                name(*signal)
            );
            (128 + signal, Some(reason))
        }
        ScriptEnding::Stopped(signal) => (
            128 + signal,
            Some(format!("firstboot got {}", name(*signal))),
        ),
    }
}

fn name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.to_string())
}
