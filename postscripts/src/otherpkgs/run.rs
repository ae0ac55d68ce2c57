//! The steps of `otherpkgs`, in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::cli::Args;
use super::command::Line;
use super::manager::Manager;
use super::places;
use super::report::Report;
use super::request::{self, Subject};
use super::standing;
use super::view::Wanted;
use super::work::{Job, Offline};
use crate::http::Failure;

/// The exit code of what failed for want of a network: EX_TEMPFAIL of sysexits.h.
const NO_NETWORK: u8 = 75;

/// Runs `otherpkgs`.
///
/// # Errors
/// When a name cannot be resolved, and then nothing was changed; or when a transaction fails.
pub fn run(args: Args) -> Result<ExitCode> {
    let name = std::env::args_os().next().unwrap_or_default();
    let subject = match Path::new(&name).file_name() {
        Some(name) if name == "ospkgs" => Subject::Os,
        _ => Subject::Others,
    };
    match act(subject, &args) {
        Ok(report) => {
            report.finish(args.json, args.dry_run)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_offline(&error) => {
            eprintln!("otherpkgs: {error:#}");
            Ok(ExitCode::from(NO_NETWORK))
        }
        Err(error) => Err(error),
    }
}

fn is_offline(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Offline>() || matches!(cause.downcast_ref(), Some(Failure::Network(_)))
    })
}

fn act(subject: Subject, args: &Args) -> Result<Report> {
    let variable = |name: &str| std::env::var(name).ok();
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let manager = Manager::detect(&os_release, &in_path)?;
    let request = request::read(subject, &variable)?;
    let mut report = Report {
        manager: manager.program(),
        ..Report::default()
    };
    if is_diskless(&variable) {
        report
            .note("a diskless node has its packages in its image: nothing is installed".to_owned());
        return Ok(report);
    }
    if let Some(line) = manager.recover(&|path| Path::new(path).exists()) {
        finish_earlier(&line, args, &mut report)?;
    }
    let mut found = places::find(manager, subject, &request, &variable)?;
    let room = standing::settle(manager, subject, &mut found);
    found.notes.drain(..).for_each(|note| report.note(note));
    let wanted = Wanted::plan(manager, subject, &found, room)?;
    let mut job = Job {
        manager,
        request: &request,
        sources: &found.sources,
        wanted: &wanted,
        before: BTreeMap::new(),
    };
    job.before = job.installed()?;
    job.work(args, &mut report)?;
    Ok(report)
}

/// A diskless node is told by its state; an update is meant for what runs.
fn is_diskless(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let state = variable("NODESETSTATE").unwrap_or_default();
    matches!(state.as_str(), "netboot" | "statelite")
        && variable("UPDATENODE").as_deref() != Some("1")
}

/// Ends what a run that was cut short left half done.
fn finish_earlier(line: &Line, args: &Args, report: &mut Report) -> Result<()> {
    report.step(format!("end what was cut short: {line}"));
    if !args.dry_run && line.run(&[])? != Some(0) {
        bail!("{line} did not succeed: mend what it says above, then run this again");
    }
    Ok(())
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}
