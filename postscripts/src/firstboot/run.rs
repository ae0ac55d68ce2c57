//! The tasks of `firstboot`, each a table of its steps.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::{Results, Runlist, ScriptResult};

use super::cli::{Args, PhaseArgument};
use super::job::{ScriptJob, ScriptPhase};
use super::list;
use super::paths::NodePaths;
use super::record::{InstallStatus, ScriptRecord, ScriptState, Status};
use super::report::{result, step};
use super::runner::ScriptRunner;
use super::status_file::{self, boot_id, now};
use super::{programs, script, show, site_report, unit, xcat_status};
use crate::files;
use crate::owner::load_state;

/// Runs `firstboot`.
///
/// # Errors
/// When there is no list, or another run is at work.
pub fn run(args: Args) -> Result<ExitCode> {
    let paths = NodePaths::new(&args.root);
    match args {
        Args {
            status: true, json, ..
        } => show::show(&paths, json),
        Args { enable: true, .. } => unit::enable(&paths),
        Args { disable: true, .. } => unit::disable(&paths),
        Args { fetch: true, .. } => fetch(&paths, &args),
        Args { update: true, .. } => update(&paths, &args),
        Args {
            phase: Some(PhaseArgument::Installer),
            ..
        } => installer(&paths, &args),
        _ => boot(&paths, &args),
    }
}

/// Fetches and verifies everything, and runs nothing.
fn fetch(paths: &NodePaths, args: &Args) -> Result<ExitCode> {
    let _lock = status_file::lock(paths)?;
    let list = list::load(paths)?;
    let missing = programs::ensure_all(paths, &list, Instant::now() + args.patience(30));
    for (name, error) in &missing {
        step(format!("{name}: {}", error.reason));
    }
    let here = list.programs.len() - missing.len();
    result(format!(
        "{here} of {} programs are here and verified",
        list.programs.len()
    ));
    Ok(code(missing.values().last().map_or(0, |error| error.code)))
}

/// Runs the postscripts inside the installer.
fn installer(paths: &NodePaths, args: &Args) -> Result<ExitCode> {
    let _lock = status_file::lock(paths)?;
    let list = list::load(paths)?;
    let mut status = settle_interrupted(paths, &list)?;
    enter(paths, &list, &mut status, InstallStatus::Installing);
    let jobs = list::jobs(&list, ScriptPhase::Postscripts);
    let outcome = script_runner(paths, &list, &mut status, args, 30).run(&jobs)?;
    if !outcome.stopped {
        give_up_waiting(&mut status, &jobs);
        enter(paths, &list, &mut status, InstallStatus::Booting);
        status_file::save(paths, &mut status)?;
    }
    Ok(code(outcome.code))
}

/// Runs the postbootscripts, until all have ended once. Before them come the postscripts that no installer has
/// run: a diskless node has none.
fn boot(paths: &NodePaths, args: &Args) -> Result<ExitCode> {
    if load_state(&paths.done())?.is_some() {
        result("nothing to do: every postbootscript has ended");
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = status_file::lock(paths)?;
    let list = list::load(paths)?;
    let mut status = settle_interrupted(paths, &list)?;
    enter(paths, &list, &mut status, InstallStatus::Postbooting);
    let jobs = list::all(&list);
    let outcome = script_runner(paths, &list, &mut status, args, 900).run(&jobs)?;
    if outcome.stopped {
        return Ok(code(outcome.code));
    }
    status.scripts.iter_mut().for_each(ScriptRecord::end_boot);
    let waits = |job: &ScriptJob| {
        let mut records = status.scripts.iter();
        records.any(|record| record.is_of(job) && record.state == ScriptState::Waiting)
    };
    status.complete = !jobs.iter().any(waits);
    let end = if status.has_failed() {
        InstallStatus::Failed
    } else {
        InstallStatus::Booted
    };
    enter(paths, &list, &mut status, end);
    status_file::save(paths, &mut status)?;
    if status.complete {
        let mark = paths.done();
        files::replace(&mark, format!("{}\n", now()).as_bytes(), 0o644)
            .with_context(|| format!("writing {}", mark.display()))?;
    }
    summary(&status);
    Ok(code(outcome.code))
}

/// Runs what is asked for again, with a new list if one is given.
fn update(paths: &NodePaths, args: &Args) -> Result<ExitCode> {
    let _lock = status_file::lock(paths)?;
    let (list, nonce) = match &args.list {
        Some(from) => list::receive(from, paths)?,
        None => (list::load(paths)?, String::new()),
    };
    let jobs = list::select(&list, &args.scripts).context("reading --scripts")?;
    let mut status = settle_interrupted(paths, &list)?;
    for job in &jobs {
        let index = status.index(job);
        status.scripts[index].state = ScriptState::Pending;
    }
    let mut runner = script_runner(paths, &list, &mut status, args, 10);
    runner.updating = true;
    let outcome = runner.run(&jobs)?;
    if !outcome.stopped {
        give_up_waiting(&mut status, &jobs);
    }
    if status.complete {
        status.state = if status.has_failed() {
            InstallStatus::Failed
        } else {
            InstallStatus::Booted
        };
    }
    status_file::save(paths, &mut status)?;
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
fn results(status: &Status, jobs: &[ScriptJob]) -> Vec<ScriptResult> {
    let record = |job: &ScriptJob| {
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

/// Loads what is known, and settles what an earlier run left running.
fn settle_interrupted(paths: &NodePaths, list: &Runlist) -> Result<Status> {
    let mut status = status_file::load(paths)?;
    let boot = boot_id(paths);
    for record in &mut status.scripts {
        let left = record
            .process
            .as_ref()
            .filter(|process| process.boot == boot);
        if let Some((pid, ticks)) = left.and_then(|process| process.pid.zip(process.ticks)) {
            script::end_left_over(pid, ticks);
        }
        let ran = record.state == ScriptState::Running;
        record.settle_interrupted(&boot, &now());
        if ran {
            let what = record
                .reason
                .as_deref()
                .unwrap_or("it was interrupted and runs again");
            step(format!("{} {}: {what}", record.phase, record.line));
        }
    }
    status.follow(list, &list::all(list));
    status.complete = paths.done().exists();
    Ok(status)
}

fn script_runner<'a>(
    paths: &'a NodePaths,
    list: &'a Runlist,
    status: &'a mut Status,
    args: &Args,
    patience: u64,
) -> ScriptRunner<'a> {
    ScriptRunner {
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
fn enter(paths: &NodePaths, list: &Runlist, status: &mut Status, to: InstallStatus) {
    status.state = to;
    if let Err(error) = status_file::save(paths, status) {
        step(format!("{error:#}"));
    }
    if !site_report::report(paths, status) {
        xcat_status::report(&list.environment, to);
    }
}

/// What nobody tries again has failed.
fn give_up_waiting(status: &mut Status, jobs: &[ScriptJob]) {
    for record in &mut status.scripts {
        if record.state == ScriptState::Waiting && jobs.iter().any(|job| record.is_of(job)) {
            record.state = ScriptState::Failed;
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
