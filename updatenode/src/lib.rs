//! Runs the postscripts of nodes again, over ssh.
//!
//! A node range comes in, and the lists and programs that lie in the install directory; what nodes print and
//! what became of each goes out. One module a step:
//!
//! ```text
//! request (what is asked for?) ─> assets (which lines, with which list and programs?) ─> fanout (who, when?)
//!      ─> session (one ssh process) ─> dialogue (what does the node say?) ─> outcome ─> show, report
//! ```
//!
//! One session does all on a node: the shell there compares the program that runs the scripts with the one
//! here ([`remote`]), takes it if need be, and becomes it; the rest that has changed the program fetches itself.
//! Nothing here renders a list, asks for a password, or changes anything on the management node.
//! Reference: xCAT's updatenode(8), ssh(1).

mod assets;
mod cli;
mod dialogue;
mod fanout;
mod lines;
mod marks;
mod outcome;
mod remote;
mod report;
mod request;
mod session;
mod show;
mod ssh;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::Node;

use assets::{Job, Shelf};
pub use cli::Args;
use fanout::Fanout;
use outcome::{Outcome, Verdict};
use request::Request;
use show::Show;
use ssh::Ssh;

/// Runs `updatenode`.
///
/// # Errors
/// When no node can be begun with; what becomes of nodes is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let started = Instant::now();
    let request = Request::parse(&args.scripts, args.software)?;
    let ssh = Ssh::new(
        args.ssh_config.as_deref(),
        args.user.as_deref(),
        args.persist,
    )?;
    let catalog = args.config.catalog();
    let mut shelf = Shelf::open(catalog.site()?.install_dir())?;
    let nodes = chosen(&args)?;
    let (jobs, settled) = prepared(&nodes, &mut shelf, &request);
    if args.dry_run {
        report::preview(&jobs, &settled, &shelf.firstboot().sha256, args.json)?;
        return Ok(worst(&settled));
    }
    let mut show = Show::new(nodes.len(), args.json, args.verbose);
    settled.iter().for_each(|outcome| show.ended(outcome));
    let stop = stop_on_signals()?;
    let fanout = Fanout {
        ssh: &ssh,
        width: args.fanout.into(),
        timeout: Duration::from_secs(args.timeout.into()),
        stop: &stop,
    };
    let mut outcomes = fanout.run(jobs, &mut show)?;
    outcomes.extend(settled);
    outcomes.sort_by(|a, b| a.node.cmp(&b.node));
    show.finish(&report::summary(&outcomes, started.elapsed()));
    if args.json {
        report::print(&outcomes, started.elapsed())?;
    }
    Ok(worst(&outcomes))
}

/// Lists the nodes, with all that they have.
fn chosen(args: &Args) -> Result<Vec<Node>> {
    let nodes = args.config.catalog().nodes()?;
    let names = args.nodes.select(&nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    names.iter().map(|name| Ok(nodes.node(name)?)).collect()
}

/// Prepares every node, and says what became of those on which there is nothing to begin.
fn prepared(nodes: &[Node], shelf: &mut Shelf, request: &Request) -> (Vec<Job>, Vec<Outcome>) {
    let (mut jobs, mut settled) = (Vec::new(), Vec::new());
    for node in nodes {
        let verdict = match shelf.job(node, request) {
            Ok(Some(job)) => {
                jobs.push(job);
                continue;
            }
            Ok(None) => Verdict::Ok,
            Err(error) => Verdict::Unprepared(format!("{error:#}")),
        };
        settled.push(Outcome {
            node: node.name.clone(),
            address: None,
            verdict,
            took: Duration::ZERO,
            refreshed: false,
            scripts: Vec::new(),
            output: lines::Tail::default(),
        });
    }
    (jobs, settled)
}

/// Lets SIGINT, SIGTERM and SIGHUP end the sessions, which is then said of each node.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))
        .context("setting a handler for signals")?;
    Ok(stop)
}

/// Returns the exit code of the node that ended worst.
fn worst(outcomes: &[Outcome]) -> ExitCode {
    let codes = outcomes.iter().map(|outcome| outcome.verdict.code());
    ExitCode::from(codes.max().unwrap_or(0))
}
