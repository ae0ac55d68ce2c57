//! Many nodes at a time, in one thread.
//!
//! Jobs come in; sessions are started as long as there is room, whatever their pipes are ready for is
//! done, and an outcome goes out when one ends. A node that is slow, silent or gone keeps its own place
//! and nobody else's. One thread writes, so that no line of one node runs into another's.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::assets::Job;
use crate::outcome::{Outcome, Verdict};
use crate::session::{Pipe, Session};
use crate::show::Show;
use crate::ssh::Ssh;

/// How often deadlines, signals and the bar are looked after.
const TICK: Duration = Duration::from_millis(50);
/// How soon it is looked whether a process has ended whose pipes have.
const SOON: Duration = Duration::from_millis(1);
/// How many files one session has open here, and how many everything else.
const FILES: (u64, u64) = (3, 64);

/// How jobs are worked on.
#[derive(Debug)]
pub(crate) struct Fanout<'a> {
    pub(crate) ssh: &'a Ssh,
    /// How many at a time.
    pub(crate) width: usize,
    /// How long each may take.
    pub(crate) timeout: Duration,
    /// Set when everything is to end.
    pub(crate) stop: &'a AtomicBool,
}

impl Fanout<'_> {
    /// Works on all jobs.
    ///
    /// # Errors
    /// When this process cannot do what it needs to; what nodes do is an outcome and no error.
    pub(crate) fn run(&self, jobs: Vec<Job>, show: &mut Show) -> Result<Vec<Outcome>> {
        self.make_room(jobs.len())?;
        let mut jobs = jobs.into_iter();
        let (mut running, mut outcomes) = (Vec::new(), Vec::new());
        let mut looked = Instant::now();
        loop {
            self.start(&mut jobs, &mut running, &mut outcomes, show);
            if running.is_empty() {
                break;
            }
            wait(&mut running, show)?;
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
            running.retain_mut(|session| {
                let outcome = match due || session.is_silent() {
                    true => session.ended(now),
                    false => None,
                };
                let stays = outcome.is_none();
                outcomes.extend(outcome.inspect(|outcome| show.ended(outcome)));
                stays
            });
            show.flush(due.then(|| running.iter().map(Session::node).collect()));
        }
        let rest = jobs.map(|job| not_begun(&job));
        outcomes.extend(rest.inspect(|outcome| show.ended(outcome)));
        Ok(outcomes)
    }

    /// Starts what there is room for.
    fn start(
        &self,
        jobs: &mut impl Iterator<Item = Job>,
        running: &mut Vec<Session>,
        outcomes: &mut Vec<Outcome>,
        show: &mut Show,
    ) {
        while running.len() < self.width && !self.stop.load(Ordering::Relaxed) {
            let Some(job) = jobs.next() else { return };
            let arguments = self.ssh.arguments(&job.address, &job.command);
            show.started(&job.node, &arguments);
            match Session::start(job.clone(), &arguments, self.timeout) {
                Ok(session) => running.push(session),
                Err(error) => {
                    let verdict = Verdict::Failed {
                        code: 1,
                        reason: format!("{error:#}"),
                    };
                    let outcome = Outcome {
                        verdict,
                        ..not_begun(&job)
                    };
                    show.ended(&outcome);
                    outcomes.push(outcome);
                }
            }
        }
    }

    /// Asks for as many open files as the sessions need.
    fn make_room(&self, jobs: usize) -> Result<()> {
        let needed = self.width.min(jobs) as u64 * FILES.0 + FILES.1;
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

/// Waits until a pipe is ready or a tick is over, and does what the pipes are ready for.
fn wait(running: &mut [Session], show: &mut Show) -> Result<()> {
    let ready: Vec<(usize, Pipe)> = {
        let pipes = running.iter().enumerate();
        let pipes =
            pipes.flat_map(|(at, session)| session.pipes().map(move |(pipe, fd)| (at, pipe, fd)));
        let pipes: Vec<(usize, Pipe, BorrowedFd<'_>)> = pipes.collect();
        let mut polled: Vec<_> = pipes
            .iter()
            .map(|(_, pipe, fd)| PollFd::new(*fd, events(*pipe)))
            .collect();
        let tick = match running.iter().any(Session::is_silent) {
            true => SOON,
            false => TICK,
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
        running[at].ready(pipe, &mut |line| show.line(line));
    }
    Ok(())
}

fn events(pipe: Pipe) -> PollFlags {
    match pipe {
        Pipe::Input => PollFlags::POLLOUT,
        Pipe::Out | Pipe::Err => PollFlags::POLLIN,
    }
}

/// What there is to say of a node that was left out.
fn not_begun(job: &Job) -> Outcome {
    Outcome {
        node: job.node.clone(),
        address: Some(job.address.clone()),
        verdict: Verdict::NotBegun,
        took: Duration::ZERO,
        refreshed: false,
        scripts: Vec::new(),
        output: Default::default(),
    }
}
