//! Runs the postscripts of nodes again, over ssh.
//!
//! A node range and the lists and programs in the install directory come in; the output and the outcome of each node go
//! out. One module a step:
//!
//! ```text
//! request (which scripts?) ─> assets (which lines, with which list and programs?) ─> fanout (which nodes, when?)
//!      ─> session (one ssh process) ─> protocol (what do its lines mean?) ─> outcome ─> printer, report
//! ```
//!
//! One ssh session does everything on a node: the shell there compares the program that runs the scripts with the one
//! here ([`remote`]), receives it if they differ, and executes it; that program fetches whatever else has changed.
//! Nothing here renders a list, asks for a password, or changes anything on the management node.
//! Reference: xCAT's updatenode(8), ssh(1).

mod assets;
mod cli;
mod fanout;
mod lines;
mod markers;
mod outcome;
mod printer;
mod protocol;
mod remote;
mod report;
mod request;
mod session;
mod ssh;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{KNOWN_HOSTS, Node};

use assets::{NodeAssets, NodeJob};
pub use cli::Args;
use fanout::Fanout;
use outcome::{NodeStatus, Outcome};
use printer::OutputPrinter;
use request::Request;
use ssh::Ssh;

/// Runs `updatenode`.
///
/// # Errors
/// When no node can be started; the outcomes of nodes are printed and determine the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let started = Instant::now();
    let request = Request::parse(&args.scripts, args.software)?;
    let catalog = args.config.catalog();
    let known_hosts = catalog.path().join(KNOWN_HOSTS);
    let ssh = Ssh::new(
        args.ssh_config.as_deref(),
        args.user.as_deref(),
        args.persist,
        known_hosts.exists().then_some(known_hosts.as_path()),
    )?;
    let mut assets = NodeAssets::open(catalog.site()?.install_dir())?;
    let nodes = selected_nodes(&args)?;
    let (jobs, settled) = prepare(&nodes, &mut assets, &request);
    if args.dry_run {
        report::preview(&jobs, &settled, &assets.firstboot().sha256, args.json)?;
        return Ok(worst(&settled));
    }
    let mut printer = OutputPrinter::new(nodes.len(), args.json, args.verbose);
    settled.iter().for_each(|outcome| printer.ended(outcome));
    let stop = stop_on_signals()?;
    let fanout = Fanout {
        ssh: &ssh,
        width: args.fanout.into(),
        timeout: Duration::from_secs(args.timeout.into()),
        stop: &stop,
    };
    let mut outcomes = fanout.run(jobs, &mut printer)?;
    outcomes.extend(settled);
    outcomes.sort_by(|a, b| a.node.cmp(&b.node));
    printer.finish(&report::summary(&outcomes, started.elapsed()));
    if args.json {
        report::print(&outcomes, started.elapsed())?;
    }
    Ok(worst(&outcomes))
}

/// Loads the selected nodes, with all their attributes.
fn selected_nodes(args: &Args) -> Result<Vec<Node>> {
    let nodes = args.config.catalog().nodes()?;
    let names = args.nodes.select(&nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    names.iter().map(|name| Ok(nodes.node(name)?)).collect()
}

/// Prepares every node; returns the jobs, and the outcomes of the nodes that need no session.
fn prepare(
    nodes: &[Node],
    assets: &mut NodeAssets,
    request: &Request,
) -> (Vec<NodeJob>, Vec<Outcome>) {
    let (mut jobs, mut settled) = (Vec::new(), Vec::new());
    for node in nodes {
        let status = match assets.job(node, request) {
            Ok(Some(job)) => {
                jobs.push(job);
                continue;
            }
            Ok(None) => NodeStatus::Ok,
            Err(error) => NodeStatus::Unprepared(format!("{error:#}")),
        };
        settled.push(Outcome {
            node: node.name.clone(),
            address: None,
            status,
            took: Duration::ZERO,
            refreshed: false,
            scripts: Vec::new(),
            output: lines::OutputTail::default(),
        });
    }
    (jobs, settled)
}

/// Makes SIGINT, SIGTERM and SIGHUP end the sessions; each node's outcome then says so.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))
        .context("setting a handler for signals")?;
    Ok(stop)
}

/// Returns the exit code of the node with the worst outcome.
fn worst(outcomes: &[Outcome]) -> ExitCode {
    let codes = outcomes.iter().map(|outcome| outcome.status.code());
    ExitCode::from(codes.max().unwrap_or(0))
}
