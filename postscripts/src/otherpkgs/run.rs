//! The steps of `otherpkgs`, in order.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::cli::Args;
use super::inventory::Inventory;
use super::manager::Manager;
use super::places;
use super::report::Report;
use super::request::{self, Subject};
use super::standing;
use super::trouble::Later;
use super::turn::Turn;
use super::view::Wanted;
use super::work::{self, Job};
use crate::http::Failure;

/// The exit code of what another try may mend: EX_TEMPFAIL of sysexits.h.
const LATER: u8 = 75;

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
        Err(error) if may_pass(&error) => {
            eprintln!("otherpkgs: {error:#}");
            Ok(ExitCode::from(LATER))
        }
        Err(error) => Err(error),
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Later>() || matches!(cause.downcast_ref(), Some(Failure::Network(_)))
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
    let turn = Turn::new(manager.locks(), Duration::from_secs(args.patience));
    let before = work::inventory(manager, &turn)?;
    let now = finish_earlier(manager, &turn, &before, args, &mut report)?;
    let mut found = places::find(manager, subject, &request, &variable)?;
    let room = standing::settle(manager, subject, &mut found);
    found.notes.drain(..).for_each(|note| report.note(note));
    let wanted = Wanted::plan(manager, subject, &found, room)?;
    let job = Job {
        manager,
        turn: &turn,
        request: &request,
        sources: &found.sources,
        wanted: &wanted,
        before,
        now,
    };
    job.work(args, &mut report)?;
    Ok(report)
}

/// A diskless node is told by its state; an update is meant for what runs.
fn is_diskless(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let state = variable("NODESETSTATE").unwrap_or_default();
    matches!(state.as_str(), "netboot" | "statelite")
        && variable("UPDATENODE").as_deref() != Some("1")
}

/// Ends what a run that was cut short left half done, as far as that goes; returns the packages as they are then.
fn finish_earlier(
    manager: Manager,
    turn: &Turn,
    before: &Inventory,
    args: &Args,
    report: &mut Report,
) -> Result<Inventory> {
    let Some(left) = manager.left_over(before, &work::journal) else {
        return Ok(before.clone());
    };
    let line = manager.recover();
    report.step(format!("end what was left half done, {left}: {line}"));
    if args.dry_run {
        return Ok(before.clone());
    }
    // What it cannot end may lack what is installed below: whatever is left in the end is a failure then.
    match in_path(line.program) {
        true => drop(turn.run(&line, &[])?),
        false => report.note(format!("this node has no {}", line.program)),
    }
    work::inventory(manager, turn)
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}
