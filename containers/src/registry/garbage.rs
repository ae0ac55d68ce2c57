//! Frees the space of what no image needs any more, while the registry takes no image.
//!
//! A layer that is pushed while garbage is collected would be deleted with it (distribution's documentation says so). So the
//! registry is restarted read-only, and has to refuse a push before anything is deleted. The next boot and the next
//! `setupregistry` end that, whatever becomes of this run.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::files::RegistryFiles;
use super::service::RegistryService;
use super::{Args, RegistryProof};

/// Collects, and has the registry take images again, whatever became of it.
///
/// # Errors
/// When the registry does not run, or its program fails.
pub(super) fn collect(
    args: &Args,
    files: &RegistryFiles,
    service: &RegistryService,
    proof: impl FnOnce() -> Result<RegistryProof>,
) -> Result<ExitCode> {
    ensure!(
        service.is_active(),
        "{} does not run: run setupregistry first",
        service.unit()
    );
    if args.dry_run {
        println!(
            "restart {} read-only, collect garbage, restart it",
            service.unit()
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !files.has_images() {
        return report(args, 0);
    }
    let proof = proof()?;
    let collected = service.enter_read_only().and_then(|()| {
        // What was being pushed has ended with the restart.
        proof.nobody_pushes()?;
        run(args, files)
    });
    service.leave_read_only()?;
    service
        .start()
        .context("having the registry take images again")?;
    proof.only_clients_get_in()?;
    report(args, collected.context("collecting garbage")?)
}

fn report(args: &Args, deleted: usize) -> Result<ExitCode> {
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "deleted": deleted }))?
        );
    } else {
        println!("{deleted} blobs deleted");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the registry's own collection as its user; returns how many blobs it deleted.
fn run(args: &Args, files: &RegistryFiles) -> Result<usize> {
    let (user, group) = files.owner;
    let mut command = Command::new(&files.engine);
    command.arg("garbage-collect");
    if args.delete_untagged {
        command.arg("--delete-untagged");
    }
    command.arg(&files.config.0).stdin(Stdio::null());
    command
        .uid(user.as_raw())
        .gid(group.as_raw())
        .current_dir("/");
    let output = command
        .output()
        .with_context(|| format!("running {}", files.engine.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "{} garbage-collect: {last}",
        files.engine.display()
    );
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said
        .lines()
        .filter(|line| line.starts_with("blob eligible for deletion"))
        .count())
}
