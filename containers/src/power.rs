//! `rpower`: starts, stops and pauses containers, and tells their states.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::PossibleValue;
use definitions::Noderange;
use serde_json::Value;

use crate::cluster::{Cluster, ClusterArgs};
use crate::engine::{Call, Engine};
use crate::fanout::{Task, Work};
use crate::report::{Outcome, Report};

/// How long a container has to end when it is stopped, unless its definition says otherwise.
const STOP_TIMEOUT: u32 = 10;

/// Start, stop and pause containers, or tell their states
///
/// The containers are nodes with mgt=docker; their docker hosts are asked over TLS. A container that is so already
/// is no failure.
#[derive(Debug, clap::Parser)]
#[command(name = "rpower", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The containers
    #[arg(value_name = "NODERANGE")]
    nodes: Noderange,

    /// What is to be done; on and boot, off, reset and stat are xCAT's words for machines
    #[arg(value_name = "ACTION")]
    action: Action,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print results as JSON, in the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  rpower web01 start       'web01: success', or 'web01: container already started'
  rpower web stop          all members of a group; each has its stoptimeout to end, then it is killed
  rpower web restart       stopped where it runs, then started
  rpower all state         created, running, paused, restarting, removing, exited or dead

Exit status: 0 all is done or was so, 1 a container failed, 2 wrong usage.";

/// What can be done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Start,
    Stop,
    Restart,
    Pause,
    Unpause,
    State,
}

impl clap::ValueEnum for Action {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Start,
            Self::Stop,
            Self::Restart,
            Self::Pause,
            Self::Unpause,
            Self::State,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name());
        Some(match self {
            Self::Start => value.alias("on"),
            Self::Stop => value.alias("off"),
            Self::Restart => value.aliases(["boot", "reset"]),
            Self::State => value.aliases(["stat", "status"]),
            Self::Pause | Self::Unpause => value,
        })
    }
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::State => "state",
        }
    }
}

/// Runs `rpower`.
///
/// # Errors
/// When no container can be begun with; what becomes of each is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::load(&args.cluster)?;
    let mut report = Report::new(args.json);
    let nodes = cluster.select(&args.nodes)?;
    let power = Power {
        action: args.action,
        dry_run: args.dry_run,
    };
    report.work(&power, (&cluster, &args.cluster), &nodes, |node, _| {
        Ok(node.stoptimeout.unwrap_or(STOP_TIMEOUT))
    })?;
    report.finish()
}

/// What is to be done, if only to be said.
#[derive(Debug)]
struct Power {
    action: Action,
    dry_run: bool,
}

impl Work for Power {
    type Item = u32;
    type Known = ();
    type Done = Outcome;

    fn prepare(&self, _: &mut Engine) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut Engine,
        (): &(),
        task: &Task<u32>,
        _: &dyn Fn(String),
    ) -> Result<Outcome> {
        let path = format!("/containers/{}", task.node);
        let action = self.action;
        if action == Action::State || self.dry_run {
            let call = Call::get(format!("{path}/json"));
            let state = engine.ask(&call)?.succeeded()?["State"]["Status"].take();
            let Value::String(state) = state else {
                bail!("the engine named no state of it")
            };
            return Ok(match action {
                Action::State => Outcome::status(state),
                _ => Outcome::status(format!("would {}, is {state}", action.name())),
            });
        }
        let call = Call::post(format!("{path}/{}", action.name()));
        // A stop waits for what runs to end.
        let answer = engine.ask(&call.patient(Duration::from_secs(task.item.into())))?;
        if answer.status == 304 {
            let state = match action {
                Action::Start => "started",
                _ => "stopped",
            };
            return Ok(Outcome::status(format!("container already {state}")));
        }
        answer.succeeded()?;
        Ok(Outcome::status("success"))
    }
}
