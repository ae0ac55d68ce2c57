//! The steps of `otherpkgs`, in order.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use definitions::PackageOrigin;

use super::cli::Args;
use super::detect::detect;
use super::existing;
use super::failure::RetryLater;
use super::installation::{self, Installation};
use super::inventory::Inventory;
use super::package_manager::PackageManager;
use super::repo_files::RepoFiles;
use super::report::Report;
use super::request;
use super::runner::ExclusiveRunner;
use super::sources;
use crate::http::Failure;
use crate::program;

/// The exit code of what another try may fix: sysexits.h.
const EX_TEMPFAIL: u8 = 75;

/// Runs `otherpkgs`.
///
/// # Errors
/// When a name cannot be resolved, and then nothing was changed; or when a transaction fails.
pub fn run(args: Args) -> Result<ExitCode> {
    let name = std::env::args_os().next().unwrap_or_default();
    let origin = match Path::new(&name).file_name() {
        Some(name) if name == "ospkgs" => PackageOrigin::Tree,
        _ => PackageOrigin::Others,
    };
    match act(origin, &args) {
        Ok(report) => {
            report.finish(args.json, args.dry_run)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_temporary(&error) => {
            error_line!("otherpkgs: {error:#}");
            Ok(ExitCode::from(EX_TEMPFAIL))
        }
        Err(error) => Err(error),
    }
}

fn is_temporary(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<RetryLater>() || matches!(cause.downcast_ref(), Some(Failure::Network(_)))
    })
}

fn act(origin: PackageOrigin, args: &Args) -> Result<Report> {
    let variable = |name: &str| std::env::var(name).ok();
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let manager = detect(&os_release, &is_here)?;
    let request = request::read(origin, manager.format(), &variable)?;
    let mut report = Report {
        manager: manager.program(),
        ..Report::default()
    };
    if is_diskless(&variable) {
        report
            .note("a diskless node has its packages in its image: nothing is installed".to_owned());
        return Ok(report);
    }
    let runner = ExclusiveRunner::new(manager.locks(), Duration::from_secs(args.patience));
    let before = installation::inventory(manager, &runner)?;
    let now = recover_unfinished(manager, &runner, &before, args, &mut report)?;
    let mut found = sources::find(manager, origin, &request, &variable)?;
    let superseded = existing::resolve_duplicates(manager, origin, &mut found);
    found.notes.drain(..).for_each(|note| report.note(note));
    let files = RepoFiles::plan(manager, origin, &found, superseded)?;
    let installation = Installation {
        manager,
        runner: &runner,
        request: &request,
        sources: &found.sources,
        files: &files,
        before,
        now,
    };
    installation.run(args, &mut report)?;
    Ok(report)
}

/// A diskless node has its state; an update is meant for what runs.
fn is_diskless(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let state = variable("NODESETSTATE").unwrap_or_default();
    matches!(state.as_str(), "netboot" | "statelite")
        && variable("UPDATENODE").as_deref() != Some("1")
}

/// Completes what an interrupted run left unfinished, as far as possible; returns the packages as they are then.
fn recover_unfinished(
    manager: &dyn PackageManager,
    runner: &ExclusiveRunner,
    before: &Inventory,
    args: &Args,
    report: &mut Report,
) -> Result<Inventory> {
    let unfinished = manager.unfinished_run(before, &installation::list_directory);
    let Some((unfinished, command)) = unfinished.zip(manager.recover()) else {
        return Ok(before.clone());
    };
    report.step(format!(
        "complete what an interrupted run left: {unfinished}: {command}"
    ));
    if args.dry_run {
        return Ok(before.clone());
    }
    // What it cannot complete may depend on what is installed next: only what is unfinished in the end is a failure.
    if is_here(command.program) {
        runner.run(&command, &[])?;
    } else {
        report.note(format!("this node has no {}", command.program));
    }
    installation::inventory(manager, runner)
}

fn is_here(name: &str) -> bool {
    program::find(name).is_some()
}
