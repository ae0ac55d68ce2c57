//! One ssh process: its output is read as it arrives, its input is written as it accepts it.
//!
//! Nothing here blocks: [`crate::fanout`] polls the pipes. The process has a process group of its own, so that what it
//! starts (a jump host, a proxy) ends with it, and so that the terminal's Ctrl-C reaches this program alone.

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

use crate::assets::NodeJob;
use crate::lines::LineReader;
use crate::outcome::{NodeStatus, Outcome};
use crate::protocol::{LineAction, OutputStream, Protocol};

/// How long a node may take until its shell runs: connection, login and start of the shell; and how long the shell may
/// take to accept bytes of the program or, after the last one, to say that it has arrived.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// How long ssh has to end after SIGTERM.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the connection may stay open after the results: a process that a script left running holds it open.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// An ssh process and the state of the protocol through it.
#[derive(Debug)]
pub(crate) struct Session {
    job: NodeJob,
    protocol: Protocol,
    started: Instant,
    /// When the current step of the protocol times out.
    deadline: Instant,
    /// When the whole session times out.
    limit: Instant,
    child: Child,
    input: Option<ChildStdin>,
    /// What is being sent, and how many bytes of it are sent.
    sending: Option<(Arc<[u8]>, usize)>,
    /// Whether the input is closed after that.
    close_after_sending: bool,
    out: Option<(ChildStdout, LineReader)>,
    err: Option<(ChildStderr, LineReader)>,
    /// Why it was stopped, if it was.
    stopped: Option<StopReason>,
    /// When it is killed.
    force: Option<Instant>,
    /// The outcome of the session that was lost, where this one reads what became of it.
    lost: Option<Outcome>,
}

/// StopReason a session is stopped before ssh ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopReason {
    TooLong,
    Interrupted,
    /// The results are there, and the connection stays open.
    Lingering,
}

/// A line that a node printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeLine<'a> {
    pub(crate) node: &'a str,
    pub(crate) stream: OutputStream,
    /// Whether it arrived before anything ran.
    pub(crate) held: bool,
    pub(crate) text: &'a str,
}

/// What the session does after a line.
#[derive(Debug, Clone, Copy)]
enum SessionAction {
    SendProgram,
    SendList,
    /// Wait for [`LINGER_TIMEOUT`] at most.
    Linger,
}

/// A pipe of the ssh process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipe {
    Input,
    Out,
    Err,
}

impl Session {
    /// Starts ssh.
    pub(crate) fn start(job: NodeJob, arguments: &[OsString], timeout: Duration) -> Result<Self> {
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
        let mark = definitions::Results::mark(job.markers.results_nonce());
        let lines = || LineReader::with_mark(mark.clone());
        let started = Instant::now();
        Ok(Self {
            protocol: Protocol::new(job.markers.clone()),
            started,
            deadline: started + timeout.min(CONNECT_TIMEOUT),
            limit: started + timeout,
            input,
            sending: None,
            close_after_sending: false,
            out: child.stdout.take().map(|pipe| (pipe, lines())),
            err: child.stderr.take().map(|pipe| (pipe, lines())),
            child,
            stopped: None,
            force: None,
            lost: None,
            job,
        })
    }

    /// Returns the job that finds out what became of a session that was lost.
    pub(crate) fn inquiry(&self, outcome: &Outcome) -> Option<NodeJob> {
        let is_lost = matches!(outcome.status, NodeStatus::Lost(_));
        (is_lost && self.lost.is_none()).then(|| self.job.inquiry())
    }

    /// Makes this the session that finds out what became of a lost one.
    pub(crate) fn after(self, lost: Outcome) -> Self {
        Self {
            lost: Some(lost),
            ..self
        }
    }

    /// Returns the node's name.
    pub(crate) fn node(&self) -> &str {
        &self.job.node
    }

    /// Lists the pipes to poll.
    pub(crate) fn pipes(&self) -> impl Iterator<Item = (Pipe, BorrowedFd<'_>)> {
        let input = self.input.as_ref().filter(|_| self.sending.is_some());
        let input = input.map(|pipe| (Pipe::Input, pipe.as_fd()));
        let out = self.out.as_ref().map(|(pipe, _)| (Pipe::Out, pipe.as_fd()));
        let err = self.err.as_ref().map(|(pipe, _)| (Pipe::Err, pipe.as_fd()));
        [input, out, err].into_iter().flatten()
    }

    /// Reads from or writes to a ready pipe, and hands out the complete lines.
    pub(crate) fn ready(&mut self, pipe: Pipe, show: &mut impl FnMut(NodeLine<'_>)) {
        match pipe {
            Pipe::Input => self.send(),
            Pipe::Out => self.on_line(OutputStream::Out, show),
            Pipe::Err => self.on_line(OutputStream::Err, show),
        }
    }

    /// Reads once from a pipe.
    fn on_line(&mut self, stream: OutputStream, show: &mut impl FnMut(NodeLine<'_>)) {
        let mut buffer = [0; 32 << 10];
        let (read, lines) = match (stream, &mut self.out, &mut self.err) {
            (OutputStream::Out, Some((pipe, lines)), _) => (pipe.read(&mut buffer), lines),
            (OutputStream::Err, _, Some((pipe, lines))) => (pipe.read(&mut buffer), lines),
            _ => return,
        };
        let mut todo = Vec::new();
        let mut each = |text: &str| {
            let (text, held) = match self.protocol.on_line(stream, text) {
                LineAction::OutputPrinter(text) => (text, false),
                LineAction::Hold(text) => (text, true),
                LineAction::SendProgram => return todo.push(SessionAction::SendProgram),
                LineAction::SendList => return todo.push(SessionAction::SendList),
                LineAction::Done(before) => {
                    todo.push(SessionAction::Linger);
                    if before.is_empty() {
                        return;
                    }
                    (before, false)
                }
            };
            show(NodeLine {
                node: &self.job.node,
                stream,
                held,
                text,
            });
        };
        match read {
            Ok(0) => {
                lines.finish(&mut each);
                self.close(stream);
            }
            Ok(read) => lines.feed(&buffer[..read], &mut each),
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => self.close(stream),
        }
        for act in todo {
            self.act(act);
        }
    }

    /// Closes a pipe that has ended.
    fn close(&mut self, stream: OutputStream) {
        match stream {
            OutputStream::Out => self.out = None,
            OutputStream::Err => self.err = None,
        }
    }

    /// Performs an action.
    fn act(&mut self, act: SessionAction) {
        match act {
            SessionAction::SendProgram => {
                self.sending = Some((Arc::clone(&self.job.firstboot), 0));
                self.deadline = self.limit.min(Instant::now() + CONNECT_TIMEOUT);
            }
            SessionAction::SendList => {
                self.deadline = self.limit;
                self.sending = Some((Arc::clone(&self.job.list), 0));
                self.close_after_sending = true;
            }
            SessionAction::Linger => {
                self.deadline = self.deadline.min(Instant::now() + LINGER_TIMEOUT)
            }
        }
    }

    /// Writes as much as the pipe accepts; closes it after the last byte.
    fn send(&mut self) {
        let (Some(input), Some((bytes, sent))) = (&mut self.input, &mut self.sending) else {
            return;
        };
        match input.write(&bytes[*sent..]) {
            Ok(written) => {
                *sent += written;
                if !self.close_after_sending {
                    self.deadline = self.limit.min(Instant::now() + CONNECT_TIMEOUT);
                }
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                return;
            }
            // ssh has ended, and prints the reason itself.
            Err(_) => {
                (self.input, self.sending) = (None, None);
                return;
            }
        }
        if *sent == bytes.len() {
            self.sending = None;
            if self.close_after_sending {
                self.input = None;
            }
        }
    }

    /// Ends the session at the administrator's request.
    pub(crate) fn interrupt(&mut self, now: Instant) {
        self.stop(StopReason::Interrupted, now);
    }

    fn stop(&mut self, why: StopReason, now: Instant) {
        if self.stopped.is_none() {
            self.stopped = Some(why);
            self.force = Some(now + TERMINATE_TIMEOUT);
            self.signal(Signal::SIGTERM);
        }
    }

    /// Returns whether both output pipes are closed.
    pub(crate) fn is_silent(&self) -> bool {
        self.out.is_none() && self.err.is_none()
    }

    /// Returns the outcome of the node once the session has ended.
    pub(crate) fn ended(&mut self, now: Instant) -> Option<Outcome> {
        if !self.is_silent() && now >= self.deadline {
            let has_results = self.protocol.results.is_some();
            self.stop(
                if has_results {
                    StopReason::Lingering
                } else {
                    StopReason::TooLong
                },
                now,
            );
        }
        if self.is_silent() || self.has_exited() {
            self.force.get_or_insert(now + TERMINATE_TIMEOUT);
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

    /// Returns whether ssh has exited, without reaping it: until it is reaped, no other process can have its group's id.
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

    /// Builds the outcome.
    fn outcome(&mut self, status: Option<ExitStatus>, now: Instant) -> Outcome {
        let node_status = match self.stopped {
            Some(StopReason::TooLong) => NodeStatus::TimedOut {
                after: self.deadline - self.started,
                before: self.protocol.pending_event(),
            },
            Some(StopReason::Interrupted) => NodeStatus::Interrupted,
            Some(StopReason::Lingering) => self.protocol.status(None),
            None => self.protocol.status(status),
        };
        if let Some(mut lost) = self.lost.clone() {
            if let NodeStatus::Lost(how) = &lost.status
                && let Some(status) = self.protocol.status_of_lost(how)
            {
                lost.status = status;
            }
            lost.took += now - self.started;
            return lost;
        }
        Outcome {
            node: self.job.node.clone(),
            address: Some(self.job.address.clone()),
            status: node_status,
            took: now - self.started,
            refreshed: self.protocol.refreshed,
            scripts: self.protocol.results.take().unwrap_or_default().scripts,
            output: std::mem::take(&mut self.protocol.output),
        }
    }
}
