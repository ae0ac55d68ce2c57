//! The steps of `setupdockerhost`, in order.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::{DockerNetwork, Lock};
use serde_json::Value;

use super::apply::HostUpdate;
use super::cli::Args;
use super::engine::EngineClient;
use super::network::{self, NetworkAction};
use super::paths::HostPaths;
use super::plan::{Plan, plan};
use super::report::Report;
use super::{apply, authorization, forwarding, preflight, registries, status, uplink};
use crate::fault::Fault;
use crate::owner::lock_state;

/// Runs `setupdockerhost`.
///
/// # Errors
/// When the host cannot be made what it should be; it is then what it was.
pub fn run(args: Args) -> Result<ExitCode> {
    let paths = HostPaths::new(&args.root);
    if args.status {
        return status::show(&paths, args.json);
    }
    let installed = preflight::check(&paths)?;
    let _lock = lock(&paths)?;
    let (engine, fault) = (EngineClient::new(&installed.socket), Fault::from_env());
    let host = HostUpdate {
        paths: &paths,
        installed: &installed,
        engine: &engine,
        journal: paths.journal(&fault),
        fault: &fault,
    };
    if !args.dry_run {
        recover(&host)?;
    }
    if let Some(network) = &args.network {
        check_network(&engine, network, &args)?;
    }
    let plan = plan(&paths, &installed, &engine, &args)?;
    if args.dry_run {
        return show_plan(&host, &plan, &args);
    }
    let mut report = Report {
        names: plan.names.clone(),
        ..Report::default()
    };
    report.listen = plan.listen.to_string();
    host.apply(&plan, &mut report)?;
    authorization::apply(&host, &plan, &mut report)?;
    report.registries = registries::ask(&engine, &plan.registries);
    if let Some(network) = &args.network {
        ensure_network(&engine, network, &fault, &mut report)?;
    }
    report.finish(args.json)
}

/// Takes back what a run left that was cut off, or ends what it had finished.
fn recover(host: &HostUpdate<'_>) -> Result<()> {
    if !host.journal.is_pending() {
        return host.journal.commit();
    }
    let doing = "undoing an interrupted run";
    error_line!("setupdockerhost: {doing}");
    match host.roll_back().context(doing) {
        // The files are restored; that dockerd does not start with them is what this run may fix.
        Err(error) if !host.journal.is_pending() => error_line!("setupdockerhost: {error:#}"),
        outcome => outcome?,
    }
    Ok(())
}

/// One run at a time; the lock goes with the process.
fn lock(paths: &HostPaths) -> Result<Lock> {
    lock_state(&paths.lock(), Duration::ZERO, &mut |_| {})
}

/// Refuses, before anything is touched, a network that cannot be made; then brings its NIC in.
fn check_network(engine: &EngineClient, network: &DockerNetwork, args: &Args) -> Result<()> {
    if network.subnet().is_ipv6() {
        bail!(
            "the docker network {} is IPv6 alone: engines need an IPv4 subnet",
            network.name()
        );
    }
    // An engine that does not answer yet is asked again once it runs.
    if engine.version().is_ok() {
        network::plan(engine, network)?;
    }
    match network.nic() {
        Some(nic) => uplink::join(network, nic, args),
        None => preflight::bridge(Path::new("/sys/class/net"), network.name().as_str()),
    }
}

fn ensure_network(
    engine: &EngineClient,
    network: &DockerNetwork,
    fault: &Fault,
    report: &mut Report,
) -> Result<()> {
    let step_wanted = network::plan(engine, network)?;
    network::apply(engine, network, &step_wanted, fault)?;
    let what = describe(&step_wanted, network);
    if step_wanted.changes() {
        report.changed = true;
        report.step(what.clone());
    }
    report.network = Some(what);
    report.forwarding = forwarding::check(std::slice::from_ref(network));
    for found in report.forwarding.iter() {
        error_line!("setupdockerhost: {found}");
    }
    Ok(())
}

fn describe(step: &NetworkAction, network: &DockerNetwork) -> String {
    let verb = match step {
        NetworkAction::Keep | NetworkAction::KeepInUse(_) => "kept",
        NetworkAction::Create(_) => "created",
        NetworkAction::Replace { .. } => "replaced",
    };
    format!("{verb} the docker network {network}")
}

fn show_plan(host: &HostUpdate<'_>, plan: &Plan, args: &Args) -> Result<ExitCode> {
    let mut steps = Vec::new();
    if host.journal.is_pending() {
        steps.push("undo an interrupted run".to_owned());
    }
    steps.extend(plan.reasons());
    let (due, dockerd_reads_it) = plan.due()?;
    steps.extend(due.iter().map(|change| match change.text {
        Some(_) => format!("write {}", change.path.display()),
        None => format!("remove {}", change.path.display()),
    }));
    let answers = host.engine.version().is_ok();
    if dockerd_reads_it || !answers {
        steps.extend(apply::containers_that_stop(host.engine, plan));
        steps.push("restart dockerd".to_owned());
    }
    steps.extend(authorization::steps(host, plan)?);
    if let Some(network) = &args.network
        && answers
        && network::plan(host.engine, network)?.changes()
    {
        steps.push(format!("make the docker network {network}"));
    }
    match (args.json, steps.is_empty()) {
        (true, _) => output_line!("{}", serde_json::to_string_pretty(&Value::from(steps))?),
        (false, true) => output_line!("nothing to do"),
        (false, false) => steps.iter().for_each(|step| output_line!("{step}")),
    }
    Ok(ExitCode::SUCCESS)
}
