//! One ssh process: what it prints is read as it comes, what it is to be sent is written as it takes it.
//!
//! Nothing here waits: [`crate::fanout`] says when there is something to read or room to write. The process
//! has a group of its own, so that what it starts (a jump, a proxy) ends with it, and so that the terminal's
//! Ctrl-C reaches this program alone.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::assets::Job;
use crate::dialogue::{Answer, Dialogue, Stream};
use crate::lines::Lines;
use crate::outcome::{Outcome, Verdict};

/// How long a node may take to run anything: to be reached, to let us in, and to start a shell.
const GREETING: Duration = Duration::from_secs(45);
/// How long ssh has to end when it is told to.
const GRACE: Duration = Duration::from_secs(2);
/// How long the connection may stay once the node has said all: what a script left running holds it open.
const LINGERING: Duration = Duration::from_secs(5);

/// An ssh process and the conversation through it.
#[derive(Debug)]
pub(crate) struct Session {
    job: Job,
    dialogue: Dialogue,
    started: Instant,
    /// Until when the next thing that counts is to come.
    deadline: Instant,
    /// Until when all is to be done.
    limit: Instant,
    child: Child,
    input: Option<ChildStdin>,
    /// What is being sent, and how much of it was.
    parcel: Option<(Arc<[u8]>, usize)>,
    /// Whether nothing is sent after that.
    last: bool,
    out: Option<(ChildStdout, Lines)>,
    err: Option<(ChildStderr, Lines)>,
    /// Why it was told to end, if it was.
    stopped: Option<Why>,
    /// When its end is no longer waited for but forced.
    force: Option<Instant>,
}

/// Why a session is stopped before ssh ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    TooLong,
    Interrupted,
    /// The node has said all, and the connection stays.
    Lingering,
}

/// A line that a node printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) node: &'a str,
    pub(crate) stream: Stream,
    /// Whether it came before anything was run.
    pub(crate) held: bool,
    pub(crate) text: &'a str,
}

/// What a line asks for.
#[derive(Debug, Clone, Copy)]
enum Todo {
    SendProgram,
    SendList,
    /// Wait no longer than [`LINGERING`].
    Linger,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipe {
    Input,
    Out,
    Err,
}

impl Session {
    /// Starts ssh.
    pub(crate) fn start(job: Job, arguments: &[OsString], timeout: Duration) -> Result<Self> {
        let mut child = Command::new("ssh")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting ssh")?;
        let input = child.stdin.take();
        if let Some(input) = &input {
            fcntl(input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("setting up a pipe")?;
        }
        let started = Instant::now();
        Ok(Self {
            dialogue: Dialogue::new(job.marks.clone()),
            started,
            deadline: started + timeout.min(GREETING),
            limit: started + timeout,
            input,
            parcel: None,
            last: false,
            out: child.stdout.take().map(|pipe| {
                let mark = definitions::Results::mark(job.marks.results());
                (pipe, Lines::with_mark(mark))
            }),
            err: child.stderr.take().map(|pipe| (pipe, Lines::default())),
            child,
            stopped: None,
            force: None,
            job,
        })
    }

    /// Returns the node's name.
    pub(crate) fn node(&self) -> &str {
        &self.job.node
    }

    /// Lists the pipes that are to be waited for.
    pub(crate) fn pipes(&self) -> impl Iterator<Item = (Pipe, BorrowedFd<'_>)> {
        let input = self.input.as_ref().filter(|_| self.parcel.is_some());
        let input = input.map(|pipe| (Pipe::Input, pipe.as_fd()));
        let out = self.out.as_ref().map(|(pipe, _)| (Pipe::Out, pipe.as_fd()));
        let err = self.err.as_ref().map(|(pipe, _)| (Pipe::Err, pipe.as_fd()));
        [input, out, err].into_iter().flatten()
    }

    /// Reads or writes what a pipe is ready for, and hands out the lines that it ends.
    pub(crate) fn ready(&mut self, pipe: Pipe, show: &mut impl FnMut(Line<'_>)) {
        match pipe {
            Pipe::Input => self.send(),
            Pipe::Out => self.hear(Stream::Out, show),
            Pipe::Err => self.hear(Stream::Err, show),
        }
    }

    /// Reads once.
    fn hear(&mut self, stream: Stream, show: &mut impl FnMut(Line<'_>)) {
        let mut buffer = [0; 32 << 10];
        let (read, lines) = match (stream, &mut self.out, &mut self.err) {
            (Stream::Out, Some((pipe, lines)), _) => (pipe.read(&mut buffer), lines),
            (Stream::Err, _, Some((pipe, lines))) => (pipe.read(&mut buffer), lines),
            _ => return,
        };
        let mut todo = Vec::new();
        let mut each = |text: &str| {
            let (text, held) = match self.dialogue.hear(stream, text) {
                Answer::Show(text) => (text, false),
                Answer::Hold(text) => (text, true),
                Answer::SendProgram => return todo.push(Todo::SendProgram),
                Answer::SendList => return todo.push(Todo::SendList),
                Answer::Done(before) => {
                    todo.push(Todo::Linger);
                    if before.is_empty() {
                        return;
                    }
                    (before, false)
                }
            };
            show(Line {
                node: &self.job.node,
                stream,
                held,
                text,
            });
        };
        match read {
            Ok(0) => {
                lines.end(&mut each);
                self.close(stream);
            }
            Ok(read) => lines.take(&buffer[..read], &mut each),
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => self.close(stream),
        }
        for act in todo {
            self.act(act);
        }
    }

    /// Closes a pipe that has ended.
    fn close(&mut self, stream: Stream) {
        match stream {
            Stream::Out => self.out = None,
            Stream::Err => self.err = None,
        }
    }

    /// Does what a line asks for.
    fn act(&mut self, act: Todo) {
        match act {
            Todo::SendProgram => {
                self.parcel = Some((Arc::clone(&self.job.firstboot), 0));
                self.deadline = self.limit;
            }
            Todo::SendList => {
                self.deadline = self.limit;
                self.parcel = Some((Arc::clone(&self.job.list), 0));
                self.last = true;
            }
            Todo::Linger => self.deadline = self.deadline.min(Instant::now() + LINGERING),
        }
    }

    /// Writes what there is room for; the pipe is closed behind the last byte.
    fn send(&mut self) {
        let (Some(input), Some((bytes, sent))) = (&mut self.input, &mut self.parcel) else {
            return;
        };
        match input.write(&bytes[*sent..]) {
            Ok(written) => *sent += written,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                return;
            }
            // ssh has ended, and says itself why.
            Err(_) => {
                (self.input, self.parcel) = (None, None);
                return;
            }
        }
        if *sent == bytes.len() {
            self.parcel = None;
            if self.last {
                self.input = None;
            }
        }
    }

    /// Has the session end.
    pub(crate) fn interrupt(&mut self, now: Instant) {
        self.stop(Why::Interrupted, now);
    }

    fn stop(&mut self, why: Why, now: Instant) {
        if self.stopped.is_none() {
            self.stopped = Some(why);
            self.force = Some(now + GRACE);
            self.signal(Signal::SIGTERM);
        }
    }

    /// Says whether nothing more is to be read.
    pub(crate) fn is_silent(&self) -> bool {
        self.out.is_none() && self.err.is_none()
    }

    /// Returns what became of the node, once the session has ended.
    pub(crate) fn ended(&mut self, now: Instant) -> Option<Outcome> {
        if !self.is_silent() && now >= self.deadline {
            let all_said = self.dialogue.results.is_some();
            self.stop(
                if all_said {
                    Why::Lingering
                } else {
                    Why::TooLong
                },
                now,
            );
        }
        if self.is_silent() || self.has_exited() {
            self.force.get_or_insert(now + GRACE);
        }
        if self.force.is_some_and(|at| now >= at) {
            self.signal(Signal::SIGKILL);
            (self.out, self.err) = (None, None);
        }
        if !self.is_silent() {
            return None;
        }
        let status = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(status) => status,
            Err(_) => None,
        };
        Some(self.outcome(status, now))
    }

    /// Says whether ssh has ended, without forgetting it: its group is ours to signal until it is waited for.
    fn has_exited(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let status = waitid(Id::Pid(self.pid()), flags);
        !matches!(status, Ok(WaitStatus::StillAlive))
    }

    /// Signals ssh and what it started.
    fn signal(&self, signal: Signal) {
        // A group that has ended needs no signal.
        let _ = killpg(self.pid(), signal);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sums up.
    fn outcome(&mut self, status: Option<ExitStatus>, now: Instant) -> Outcome {
        let verdict = match self.stopped {
            Some(Why::TooLong) => Verdict::TimedOut {
                after: self.deadline - self.started,
                before: self.dialogue.waits_for(),
            },
            Some(Why::Interrupted) => Verdict::Interrupted,
            Some(Why::Lingering) => self.dialogue.verdict(None),
            None => self.dialogue.verdict(status),
        };
        Outcome {
            node: self.job.node.clone(),
            address: Some(self.job.address.clone()),
            verdict,
            took: now - self.started,
            refreshed: self.dialogue.refreshed,
            scripts: self.dialogue.results.take().unwrap_or_default().scripts,
            output: std::mem::take(&mut self.dialogue.output),
        }
    }
}
