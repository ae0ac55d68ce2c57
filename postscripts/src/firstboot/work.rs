//! The work itself: each script that is still to run, in order, and again what waits for another try.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use definitions::Runlist;

use super::fault;
use super::journal::{self, now};
use super::list::Job;
use super::output::Output;
use super::paths::Paths;
use super::programs::{self, LONGEST_PAUSE};
use super::record::{LATER, Phase, Progress, Record, Status};
use super::report::{result, step};
use super::script::{self, Ending, Script};
use crate::http::Url;

/// What a command line has before ours: where a root's programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the first script waits for the programs of those behind it.
const FIRST_WAIT: Duration = Duration::from_secs(120);
/// How long the management node has to show that there is a network.
const PROBING: Duration = Duration::from_secs(3);

/// A list being run.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) paths: &'a Paths,
    pub(super) list: &'a Runlist,
    pub(super) status: &'a mut Status,
    pub(super) boot: String,
    pub(super) updating: bool,
    pub(super) timeout: Duration,
    pub(super) patience: Duration,
}

/// How it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The code of the last script that failed.
    pub(super) code: i32,
    /// Somebody asked us to end; the rest was not run.
    pub(super) stopped: bool,
}

impl Work<'_> {
    /// Runs the scripts that are pending, then again those that wait for the network, until they have
    /// ended or patience has.
    pub(super) fn run(&mut self, jobs: &[Job]) -> Result<Outcome> {
        let deadline = Instant::now() + self.patience;
        self.fetch(jobs, deadline.min(Instant::now() + FIRST_WAIT));
        let mut pause = Duration::from_secs(1);
        let mut ran = Vec::new();
        loop {
            if let Some(code) = self.round(jobs, &mut ran)? {
                return Ok(Outcome {
                    code,
                    stopped: true,
                });
            }
            let code = self.last_code(jobs, &ran);
            let waiting = self.open(jobs).len();
            if waiting == 0 || Instant::now() + pause > deadline {
                if waiting > 0 {
                    let seconds = self.patience.as_secs();
                    step(format!(
                        "{waiting} did not come to an end within {seconds} s"
                    ));
                }
                return Ok(Outcome {
                    code,
                    stopped: false,
                });
            }
            let seconds = pause.as_secs();
            step(format!(
                "{waiting} had no network, or asked for another try: trying again in {seconds} s"
            ));
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes sure of the programs before the first script, for some need others beside them.
    fn fetch(&self, jobs: &[Job], deadline: Instant) {
        if self.open(jobs).is_empty() {
            return;
        }
        for (name, refusal) in programs::ensure_all(self.paths, self.list, deadline) {
            step(format!("{name}: {}", refusal.reason));
        }
    }

    /// Runs what is still to run, once each; returns a code if somebody asked us to end.
    fn round(&mut self, jobs: &[Job], ran: &mut Vec<usize>) -> Result<Option<i32>> {
        for job in self.open(jobs) {
            let index = self.status.index(job);
            ran.retain(|&earlier| earlier != index);
            ran.push(index);
            if let Some(code) = self.one(job, index)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    /// Returns the scripts that are still to run.
    fn open<'j>(&self, jobs: &'j [Job]) -> Vec<&'j Job> {
        jobs.iter().filter(|job| self.is_open(job)).collect()
    }

    /// Says whether a script is still to run.
    fn is_open(&self, job: &Job) -> bool {
        let mut records = self.status.scripts.iter();
        let state = records
            .find(|record| record.is_of(job))
            .map(|record| record.state);
        matches!(state, None | Some(Progress::Pending | Progress::Waiting))
    }

    /// Returns the code of the script that failed last: of those that ran now, or of those before. One that
    /// was tried until it succeeded has not failed.
    fn last_code(&self, jobs: &[Job], ran: &[usize]) -> i32 {
        let now = ran.iter().rev().map(|&index| &self.status.scripts[index]);
        let of_us = |record: &&Record| jobs.iter().any(|job| record.is_of(job));
        let before = self.status.scripts.iter().rev().filter(of_us);
        let last = now.chain(before).find(|record| record.is_failed());
        last.and_then(|record| record.code).unwrap_or(0)
    }

    /// Keeps the status. A full disk is said, and no reason not to run what may mend it.
    fn keep(&mut self) {
        if let Err(error) = journal::save(self.paths, self.status) {
            step(format!("{error:#}"));
        }
    }

    /// Runs one script; returns its code if somebody asked us to end.
    fn one(&mut self, job: &Job, index: usize) -> Result<Option<i32>> {
        let begun = Instant::now();
        result(format!("{} start..: {}", job.phase, job.line));
        self.status.scripts[index].begin(now(), &self.boot);
        self.keep();
        let (code, reason, stopped) =
            match programs::ensure(self.paths, self.list, job.line.program()) {
                Err(refusal) => (refusal.code, Some(refusal.reason), false),
                Ok(()) => self.execute(job, index)?,
            };
        let wait = !stopped && code != 0 && self.is_for_want_of_network(code, reason.is_none());
        let record = &mut self.status.scripts[index];
        match stopped {
            true => record.state = Progress::Pending,
            false => record.end(now(), code, reason.clone(), wait),
        }
        record.milliseconds = u64::try_from(begun.elapsed().as_millis()).ok();
        self.keep();
        result(format!(
            "{} end....: {} {}",
            job.phase,
            job.line,
            end(code, reason.as_deref(), wait)
        ));
        Ok(stopped.then_some(code))
    }

    /// Runs the program; returns its code, the words for what that does not say, and whether somebody
    /// asked us to end.
    fn execute(&mut self, job: &Job, index: usize) -> Result<(i32, Option<String>, bool)> {
        let directory = self.paths.programs();
        let environment = self.environment(job);
        let script = Script {
            directory: &directory,
            program: job.line.program(),
            arguments: job.line.arguments(),
            environment: &environment,
            timeout: self.timeout,
        };
        let line = job.line.to_string();
        let mut output = Output::open(&self.paths.log(job.line.program()), &line);
        let (paths, status) = (self.paths, &mut *self.status);
        let ending = script.run(&mut output, &mut |pid| {
            if let Some(process) = &mut status.scripts[index].process {
                (process.pid, process.ticks) = (Some(pid), script::started(pid));
            }
            // Without it a script that outlives us is not ended by the next run; no reason to stop.
            if let Err(error) = journal::save(paths, status) {
                step(format!("{error:#}"));
            }
        })?;
        let (code, reason) = script::code(&ending, self.timeout);
        let failed = code != 0 && code != LATER;
        let fault = || fault::of_script(&directory.join(job.line.program()));
        let reason = reason.or_else(|| failed.then(fault).flatten());
        let printed = output.close(&end(code, reason.as_deref(), false));
        let record = &mut self.status.scripts[index];
        (record.printed, record.dropped, record.tail) =
            (printed.bytes, printed.dropped, printed.tail);
        Ok((code, reason, matches!(ending, Ending::Stopped(_))))
    }

    /// Says whether a failure is one of the network, so that another try may help: it says so itself, or
    /// there is no way to the management node.
    fn is_for_want_of_network(&self, code: i32, by_itself: bool) -> bool {
        if code == LATER {
            return true;
        }
        let Ok(url) = self.list.source.parse::<Url>() else {
            return false;
        };
        let refused = io::ErrorKind::ConnectionRefused;
        by_itself
            && !self.updating
            && matches!(TcpStream::connect_timeout(&url.server, PROBING), Err(e) if e.kind() != refused)
    }

    /// Returns the environment of a script: the list's, and what only the node knows.
    fn environment(&self, job: &Job) -> BTreeMap<String, String> {
        let mut environment = self.list.environment.clone();
        let mut default = |name: &str, value: &str| {
            environment
                .entry(name.to_owned())
                .or_insert_with(|| value.to_owned());
        };
        default("HOME", "/root");
        default("LANG", "C.UTF-8");
        default("NODE", &self.list.node);
        default("NODESETSTATE", "install");
        let programs = self.paths.programs();
        let path = environment.get("PATH").map_or(PATH, String::as_str);
        let mut path = format!("{path}:{}", programs.display());
        if let Some((directory, _)) = job.line.program().rsplit_once('/') {
            path += &format!(":{}", programs.join(directory).display());
        }
        let mut set = |name: &str, value: &str| {
            environment.insert(name.to_owned(), value.to_owned());
        };
        set("PATH", &path);
        set("UPDATENODE", if self.updating { "1" } else { "0" });
        set(
            "SLIPWAY_PHASE",
            match job.phase {
                Phase::Postscripts => "postscripts",
                Phase::Postbootscripts => "postbootscripts",
                Phase::Update => "update",
            },
        );
        // A node that is installed and runs is in this state for xCAT's own scripts.
        if self.updating
            && environment
                .get("NODESETSTATE")
                .is_some_and(|state| state == "install")
        {
            environment.insert("NODESETSTATE".to_owned(), "boot".to_owned());
        }
        environment
    }
}

/// Says how a script ended, in xCAT's form.
fn end(code: i32, reason: Option<&str>, wait: bool) -> String {
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let wait = if wait { " (it is tried again)" } else { "" };
    format!("exited with code {code}{reason}{wait}")
}
