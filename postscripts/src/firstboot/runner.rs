//! Runs the scripts of a list: each one that is pending, in order, and again what waits for another try.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use definitions::Runlist;

use super::diagnosis;
use super::job::ScriptJob;
use super::output::Output;
use super::paths::NodePaths;
use super::programs::{self, MAX_PAUSE};
use super::record::{EX_TEMPFAIL, ScriptRecord, ScriptState, Status};
use super::report::{result, step};
use super::script::{self, Script, ScriptEnding};
use super::status_file::{self, now};
use crate::http::Url;

/// What a command line has before ours: where a root's programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the first script waits for the programs of the later ones.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the management node has to show that there is a network.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A list being run.
#[derive(Debug)]
pub(super) struct ScriptRunner<'a> {
    pub(super) paths: &'a NodePaths,
    pub(super) list: &'a Runlist,
    pub(super) status: &'a mut Status,
    pub(super) boot: String,
    pub(super) updating: bool,
    pub(super) timeout: Duration,
    pub(super) patience: Duration,
}

/// How it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RunOutcome {
    /// The code of the last script that failed.
    pub(super) code: i32,
    /// Somebody asked us to end; the rest was not run.
    pub(super) stopped: bool,
}

impl ScriptRunner<'_> {
    /// Runs the scripts that are pending, then again those that wait for the network, until they have
    /// ended or patience has.
    pub(super) fn run(&mut self, jobs: &[ScriptJob]) -> Result<RunOutcome> {
        let deadline = Instant::now() + self.patience;
        self.fetch(jobs, deadline.min(Instant::now() + FETCH_TIMEOUT));
        let mut pause = Duration::from_secs(1);
        let mut ran = Vec::new();
        loop {
            if let Some(code) = self.round(jobs, &mut ran)? {
                return Ok(RunOutcome {
                    code,
                    stopped: true,
                });
            }
            let code = self.last_code(jobs, &ran);
            let waiting = self.open(jobs).len();
            if waiting == 0 || Instant::now() + pause > deadline {
                if waiting > 0 {
                    let seconds = self.patience.as_secs();
                    step(format!("{waiting} did not end within {seconds} s"));
                }
                return Ok(RunOutcome {
                    code,
                    stopped: false,
                });
            }
            let seconds = pause.as_secs();
            step(format!(
                "{waiting} had no network, or asked for another try: trying again in {seconds} s"
            ));
            std::thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Fetches the programs before the first script, because some need others in their directory.
    fn fetch(&self, jobs: &[ScriptJob], deadline: Instant) {
        if self.open(jobs).is_empty() {
            return;
        }
        for (name, error) in programs::ensure_all(self.paths, self.list, deadline) {
            step(format!("{name}: {}", error.reason));
        }
    }

    /// Runs what is still to run, once each; returns a code if somebody asked us to end.
    fn round(&mut self, jobs: &[ScriptJob], ran: &mut Vec<usize>) -> Result<Option<i32>> {
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
    fn open<'j>(&self, jobs: &'j [ScriptJob]) -> Vec<&'j ScriptJob> {
        jobs.iter().filter(|job| self.is_open(job)).collect()
    }

    /// Says whether a script is still to run.
    fn is_open(&self, job: &ScriptJob) -> bool {
        let mut records = self.status.scripts.iter();
        let state = records
            .find(|record| record.is_of(job))
            .map(|record| record.state);
        matches!(
            state,
            None | Some(ScriptState::Pending | ScriptState::Waiting)
        )
    }

    /// Returns the code of the script that failed last: of those that ran now, or of those before. One that
    /// was tried until it succeeded has not failed.
    fn last_code(&self, jobs: &[ScriptJob], ran: &[usize]) -> i32 {
        let now = ran.iter().rev().map(|&index| &self.status.scripts[index]);
        let of_these = |record: &&ScriptRecord| jobs.iter().any(|job| record.is_of(job));
        let before = self.status.scripts.iter().rev().filter(of_these);
        let last = now.chain(before).find(|record| record.is_failed());
        last.and_then(|record| record.code).unwrap_or(0)
    }

    /// Saves the status. A full disk is reported, and no reason not to run what may fix it.
    fn keep(&mut self) {
        if let Err(error) = status_file::save(self.paths, self.status) {
            step(format!("{error:#}"));
        }
    }

    /// Runs one script; returns its code if somebody asked us to end.
    fn one(&mut self, job: &ScriptJob, index: usize) -> Result<Option<i32>> {
        let begun = Instant::now();
        result(format!("{} start..: {}", job.phase, job.line));
        self.status.scripts[index].begin(now(), &self.boot);
        self.keep();
        let (code, reason, stopped) =
            match programs::ensure(self.paths, self.list, job.line.program()) {
                Err(error) => (error.code, Some(error.reason), false),
                Ok(()) => self.execute(job, index)?,
            };
        let wait = !stopped && code != 0 && self.is_network_failure(code, reason.is_none());
        let record = &mut self.status.scripts[index];
        if stopped {
            record.state = ScriptState::Pending
        } else {
            record.end(now(), code, reason.clone(), wait)
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
    fn execute(&mut self, job: &ScriptJob, index: usize) -> Result<(i32, Option<String>, bool)> {
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
            if let Err(error) = status_file::save(paths, status) {
                step(format!("{error:#}"));
            }
        })?;
        let (code, reason) = script::code(&ending, self.timeout);
        let failed = code != 0 && code != EX_TEMPFAIL;
        let diagnosis = || diagnosis::of_script(&directory.join(job.line.program()));
        let reason = reason.or_else(|| failed.then(diagnosis).flatten());
        let printed = output.close(&end(code, reason.as_deref(), false));
        let record = &mut self.status.scripts[index];
        (record.printed, record.dropped, record.tail) =
            (printed.bytes, printed.dropped, printed.tail);
        Ok((code, reason, matches!(ending, ScriptEnding::Stopped(_))))
    }

    /// Says whether a failure is one of the network, so that another try may help: it says so itself, or
    /// there is no way to the management node.
    fn is_network_failure(&self, code: i32, by_itself: bool) -> bool {
        if code == EX_TEMPFAIL {
            return true;
        }
        let Ok(url) = self.list.source.parse::<Url>() else {
            return false;
        };
        let refused = io::ErrorKind::ConnectionRefused;
        by_itself
            && !self.updating
            && matches!(TcpStream::connect_timeout(&url.server, PROBE_TIMEOUT), Err(e) if e.kind() != refused)
    }

    /// Returns the environment of a script: the list's, and what only the node knows.
    fn environment(&self, job: &ScriptJob) -> BTreeMap<String, String> {
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
        set("SLIPWAY_PHASE", job.phase.variable());
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
