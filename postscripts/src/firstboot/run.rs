//! The tasks of `firstboot`, each a table of its steps.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::{Results, Runlist, ScriptResult};

use super::cli::{Args, Stage};
use super::journal::{self, boot_id, now};
use super::list::{self, Job};
use super::paths::Paths;
use super::record::{Phase, Progress, Record, State, Status};
use super::report::{result, step};
use super::work::Work;
use super::{programs, script, show, state, unit};
use crate::files;

/// Runs `firstboot`.
///
/// # Errors
/// When there is no list, or another run is at work.
pub fn run(args: Args) -> Result<ExitCode> {
    let paths = Paths::new(&args.root);
    match args {
        Args {
            status: true, json, ..
        } => show::show(&paths, json),
        Args { enable: true, .. } => unit::enable(&paths),
        Args { disable: true, .. } => unit::disable(&paths),
        Args { fetch: true, .. } => fetch(&paths, &args),
        Args { update: true, .. } => update(&paths, &args),
        Args {
            phase: Some(Stage::Installer),
            ..
        } => installer(&paths, &args),
        _ => boot(&paths, &args),
    }
}

/// Fetches and verifies everything, and runs nothing.
fn fetch(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let _lock = journal::lock(paths)?;
    let list = list::load(paths)?;
    let missing = programs::ensure_all(paths, &list, Instant::now() + args.patience(30));
    for (name, refusal) in &missing {
        step(format!("{name}: {}", refusal.reason));
    }
    let here = list.programs.len() - missing.len();
    result(format!(
        "{here} of {} programs are here and verified",
        list.programs.len()
    ));
    Ok(code(
        missing.values().last().map_or(0, |refusal| refusal.code),
    ))
}

/// Runs the postscripts inside the installer.
fn installer(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let _lock = journal::lock(paths)?;
    let list = list::load(paths)?;
    let mut status = settle(paths, &list)?;
    enter(paths, &list, &mut status, State::Installing);
    let jobs = list::jobs(&list, Phase::Postscripts);
    let outcome = work(paths, &list, &mut status, args, 30).run(&jobs)?;
    if !outcome.stopped {
        give_up_waiting(&mut status, &jobs);
        enter(paths, &list, &mut status, State::Booting);
        journal::save(paths, &mut status)?;
    }
    Ok(code(outcome.code))
}

/// Runs the postbootscripts, until all have ended once. Before them come the postscripts that no installer has
/// run: a diskless node has none.
fn boot(paths: &Paths, args: &Args) -> Result<ExitCode> {
    if paths.done().exists() {
        result("nothing to do: every postbootscript has ended");
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = journal::lock(paths)?;
    let list = list::load(paths)?;
    let mut status = settle(paths, &list)?;
    enter(paths, &list, &mut status, State::Postbooting);
    let jobs = list::all(&list);
    let outcome = work(paths, &list, &mut status, args, 900).run(&jobs)?;
    if outcome.stopped {
        return Ok(code(outcome.code));
    }
    status.scripts.iter_mut().for_each(Record::end_boot);
    let waits = |job: &Job| {
        let mut records = status.scripts.iter();
        records.any(|record| record.is_of(job) && record.state == Progress::Waiting)
    };
    status.complete = !jobs.iter().any(waits);
    let end = match status.has_failed() {
        true => State::Failed,
        false => State::Booted,
    };
    enter(paths, &list, &mut status, end);
    journal::save(paths, &mut status)?;
    if status.complete {
        let mark = paths.done();
        files::replace(&mark, format!("{}\n", now()).as_bytes(), 0o644)
            .with_context(|| format!("writing {}", mark.display()))?;
    }
    summary(&status);
    Ok(code(outcome.code))
}

/// Runs what is asked for again, with a new list if one is given.
fn update(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let _lock = journal::lock(paths)?;
    let (list, nonce) = match &args.list {
        Some(from) => list::take(from, paths)?,
        None => (list::load(paths)?, String::new()),
    };
    let jobs = list::asked(&list, &args.scripts).context("reading --scripts")?;
    let mut status = settle(paths, &list)?;
    for job in &jobs {
        let index = status.index(job);
        status.scripts[index].state = Progress::Pending;
    }
    let mut work = work(paths, &list, &mut status, args, 10);
    work.updating = true;
    let outcome = work.run(&jobs)?;
    if !outcome.stopped {
        give_up_waiting(&mut status, &jobs);
    }
    if status.complete {
        status.state = match status.has_failed() {
            true => State::Failed,
            false => State::Booted,
        };
    }
    journal::save(paths, &mut status)?;
    if args.results && !outcome.stopped {
        let results = Results {
            scripts: results(&status, &jobs),
            code: exit_code(outcome.code),
        };
        let json = serde_json::to_string(&results).context("writing the results")?;
        result(format!("{}{json}", Results::mark(&nonce)));
    }
    Ok(code(outcome.code))
}

/// Says what became of each script.
fn results(status: &Status, jobs: &[Job]) -> Vec<ScriptResult> {
    let record = |job: &Job| {
        let mut records = status.scripts.iter();
        let record = records.find(|record| record.is_of(job))?;
        Some(ScriptResult {
            line: job.line.clone(),
            code: u8::try_from(record.code?).unwrap_or(1),
            seconds: Duration::from_millis(record.milliseconds?).as_secs_f64(),
            error: record.reason.clone(),
        })
    };
    jobs.iter().filter_map(record).collect()
}

/// Loads what is known, and settles what an earlier run left behind.
fn settle(paths: &Paths, list: &Runlist) -> Result<Status> {
    let mut status = journal::load(paths)?;
    let boot = boot_id(paths);
    for record in &mut status.scripts {
        let left = record
            .process
            .as_ref()
            .filter(|process| process.boot == boot);
        if let Some((pid, ticks)) = left.and_then(|process| process.pid.zip(process.ticks)) {
            script::end_left_over(pid, ticks);
        }
        let ran = record.state == Progress::Running;
        record.settle(&boot, &now());
        if ran {
            let what = record
                .reason
                .as_deref()
                .unwrap_or("it was cut short and runs again");
            step(format!("{} {}: {what}", record.phase, record.line));
        }
    }
    status.follow(list);
    status.complete = paths.done().exists();
    Ok(status)
}

fn work<'a>(
    paths: &'a Paths,
    list: &'a Runlist,
    status: &'a mut Status,
    args: &Args,
    patience: u64,
) -> Work<'a> {
    Work {
        paths,
        list,
        status,
        boot: boot_id(paths),
        updating: false,
        timeout: args.timeout(),
        patience: args.patience(patience),
    }
}

/// Enters a state: keeps it and reports it. A full disk is said and stops nothing.
fn enter(paths: &Paths, list: &Runlist, status: &mut Status, to: State) {
    status.state = to;
    if let Err(error) = journal::save(paths, status) {
        step(format!("{error:#}"));
    }
    state::report(&list.environment, to);
}

/// What nobody tries again has failed.
fn give_up_waiting(status: &mut Status, jobs: &[Job]) {
    for record in &mut status.scripts {
        if record.state == Progress::Waiting && jobs.iter().any(|job| record.is_of(job)) {
            record.state = Progress::Failed;
        }
    }
}

fn summary(status: &Status) {
    let failed = status
        .scripts
        .iter()
        .filter(|record| record.is_failed())
        .count();
    let all = status.scripts.len();
    let rest = match (failed, status.complete) {
        (0, _) => "all scripts have succeeded".to_owned(),
        (n, true) => format!("{n} of {all} scripts failed"),
        (n, false) => {
            format!("{n} of {all} scripts failed or are tried again at the next boot")
        }
    };
    result(format!("{}: {}: {rest}", status.node, status.state));
}

/// Makes a script's code ours; one that is none is a failure.
fn code(code: i32) -> ExitCode {
    ExitCode::from(exit_code(code))
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}
