//! Many nodes at a time, in one thread.
//!
//! Jobs come in; sessions are started up to the limit, their pipes are served by poll(2), and an outcome goes out when
//! a session ends. A node that is slow, silent or gone blocks its own slot only. One thread writes, so that no line of one node runs into another's.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::assets::NodeJob;
use crate::outcome::{NodeStatus, Outcome};
use crate::printer::OutputPrinter;
use crate::session::{Pipe, Session};
use crate::ssh::Ssh;

/// How often deadlines, signals and the progress bar are checked.
const TICK: Duration = Duration::from_millis(50);
/// How often a process whose pipes are closed is checked for its end.
const EXIT_TICK: Duration = Duration::from_millis(1);
/// How long it may take to find out what became of a lost session.
const INQUIRY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many files one session has open here.
const FILES_PER_SESSION: u64 = 3;
/// How many files everything else may have open.
const FILES_OTHERWISE: u64 = 64;

/// How jobs are run.
#[derive(Debug)]
pub(crate) struct Fanout<'a> {
    pub(crate) ssh: &'a Ssh,
    /// How many jobs run at a time.
    pub(crate) width: usize,
    /// How long each may take.
    pub(crate) timeout: Duration,
    /// Set when everything is to end.
    pub(crate) stop: &'a AtomicBool,
}

impl Fanout<'_> {
    /// Runs all jobs.
    ///
    /// # Errors
    /// When this process cannot poll or open files; the failure of a node is an outcome, not an error.
    pub(crate) fn run(
        &self,
        jobs: Vec<NodeJob>,
        printer: &mut OutputPrinter,
    ) -> Result<Vec<Outcome>> {
        self.make_room(jobs.len())?;
        let mut jobs = jobs.into_iter();
        let (mut running, mut outcomes) = (Vec::new(), Vec::new());
        let mut looked = Instant::now();
        loop {
            self.start(&mut jobs, &mut running, &mut outcomes, printer);
            if running.is_empty() {
                break;
            }
            wait(&mut running, printer)?;
            let now = Instant::now();
            let due = now - looked >= TICK;
            if due {
                looked = now;
                if self.stop.load(Ordering::Relaxed) {
                    running
                        .iter_mut()
                        .for_each(|session| session.interrupt(now));
                }
            }
            let mut ended = Vec::new();
            running.retain_mut(|session| {
                let outcome = if due || session.is_silent() {
                    session.ended(now)
                } else {
                    None
                };
                let stays = outcome.is_none();
                ended.extend(outcome.map(|outcome| (session.inquiry(&outcome), outcome)));
                stays
            });
            for (inquiry, outcome) in ended {
                match inquiry.and_then(|job| self.inquire(job, &outcome, printer)) {
                    Some(session) => running.push(session),
                    None => {
                        printer.ended(&outcome);
                        outcomes.push(outcome);
                    }
                }
            }
            printer.flush(due.then(|| running.iter().map(Session::node).collect()));
        }
        let rest = jobs.map(|job| not_begun(&job));
        outcomes.extend(rest.inspect(|outcome| printer.ended(outcome)));
        Ok(outcomes)
    }

    /// Starts jobs up to the limit.
    fn start(
        &self,
        jobs: &mut impl Iterator<Item = NodeJob>,
        running: &mut Vec<Session>,
        outcomes: &mut Vec<Outcome>,
        printer: &mut OutputPrinter,
    ) {
        while running.len() < self.width && !self.stop.load(Ordering::Relaxed) {
            let Some(job) = jobs.next() else { return };
            let arguments = self.ssh.arguments(&job.address, &job.command);
            printer.started(&job.node, &arguments);
            match Session::start(job.clone(), &arguments, self.timeout) {
                Ok(session) => running.push(session),
                Err(error) => {
                    let status = NodeStatus::Failed {
                        code: 1,
                        reason: format!("{error:#}"),
                    };
                    let outcome = Outcome {
                        status,
                        ..not_begun(&job)
                    };
                    printer.ended(&outcome);
                    outcomes.push(outcome);
                }
            }
        }
    }

    /// Starts the session that finds out what became of a lost one, unless everything is to end.
    fn inquire(
        &self,
        job: NodeJob,
        lost: &Outcome,
        printer: &mut OutputPrinter,
    ) -> Option<Session> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let arguments = self.ssh.arguments(&job.address, &job.command);
        printer.started(&job.node, &arguments);
        let session = Session::start(job, &arguments, self.timeout.min(INQUIRY_TIMEOUT)).ok()?;
        Some(session.after(lost.clone()))
    }

    /// Asks for as many open files as the sessions need.
    fn make_room(&self, jobs: usize) -> Result<()> {
        let needed = self.width.min(jobs) as u64 * FILES_PER_SESSION + FILES_OTHERWISE;
        let (soft, hard) =
            getrlimit(Resource::RLIMIT_NOFILE).context("asking how many files may be open")?;
        if needed <= soft {
            return Ok(());
        }
        ensure!(
            needed <= hard,
            "{} nodes at a time need {needed} open files, and {hard} are allowed: lower --fanout",
            self.width.min(jobs)
        );
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard).context("asking for more open files")
    }
}

/// Waits until a pipe is ready or a tick is over, and serves the ready pipes.
fn wait(running: &mut [Session], printer: &mut OutputPrinter) -> Result<()> {
    let ready: Vec<(usize, Pipe)> = {
        let pipes = running.iter().enumerate();
        let pipes =
            pipes.flat_map(|(at, session)| session.pipes().map(move |(pipe, fd)| (at, pipe, fd)));
        let pipes: Vec<(usize, Pipe, BorrowedFd<'_>)> = pipes.collect();
        let mut polled: Vec<_> = pipes
            .iter()
            .map(|(_, pipe, fd)| PollFd::new(*fd, events(*pipe)))
            .collect();
        let tick = if running.iter().any(Session::is_silent) {
            EXIT_TICK
        } else {
            TICK
        };
        match poll(
            &mut polled,
            PollTimeout::try_from(tick).unwrap_or(PollTimeout::ZERO),
        ) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error).context("waiting for nodes"),
        }
        // What has ended is ready as well.
        let ready = pipes
            .iter()
            .zip(&polled)
            .filter(|(_, polled)| polled.any().unwrap_or(true));
        ready.map(|((at, pipe, _), _)| (*at, *pipe)).collect()
    };
    for (at, pipe) in ready {
        running[at].ready(pipe, &mut |line| printer.line(line));
    }
    Ok(())
}

fn events(pipe: Pipe) -> PollFlags {
    match pipe {
        Pipe::Input => PollFlags::POLLOUT,
        Pipe::Out | Pipe::Err => PollFlags::POLLIN,
    }
}

/// Returns the outcome of a node whose session was not started.
fn not_begun(job: &NodeJob) -> Outcome {
    Outcome {
        node: job.node.clone(),
        address: Some(job.address.clone()),
        status: NodeStatus::NotBegun,
        took: Duration::ZERO,
        refreshed: false,
        scripts: Vec::new(),
        output: Default::default(),
    }
}
