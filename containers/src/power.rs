//! `rpower`: starts, stops and pauses containers, and tells their states.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::builder::PossibleValue;
use definitions::{Node, Noderange};
use serde_json::Value;

use crate::address::probe;
use crate::cluster::{Cluster, ClusterArgs};
use crate::engine::{Call, EngineApi, container_path};
use crate::fanout::{self, Event, HostWork, Task};
use crate::networks::SiteNetworks;
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
    action: PowerAction,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Start without asking the network whether somebody has the containers' addresses
    #[arg(long)]
    no_probe: bool,

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
enum PowerAction {
    Start,
    Stop,
    Restart,
    Pause,
    Unpause,
    State,
}

impl clap::ValueEnum for PowerAction {
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

impl PowerAction {
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
    let timeout = |node: &Node| Ok(node.stoptimeout.unwrap_or(STOP_TIMEOUT));
    let mut tasks = report.tasks(&cluster, &nodes, timeout)?;
    let starts = matches!(args.action, PowerAction::Start | PowerAction::Restart);
    if starts && !args.no_probe && !args.dry_run {
        tasks = with_free_addresses(tasks, (&cluster, &args.cluster), &nodes, &mut report)?;
    }
    let power = Power {
        action: args.action,
        dry_run: args.dry_run,
    };
    let hosts = args.cluster.fanout.into();
    fanout::run(&power, tasks, hosts, &mut |node, event| {
        report.event(node, event)
    })?;
    report.finish()
}

/// Leaves out the containers that do not run and whose addresses somebody has by now. All are asked for at once.
fn with_free_addresses(
    tasks: Vec<Task<u32>>,
    (cluster, args): (&Cluster, &ClusterArgs),
    nodes: &[Node],
    report: &mut Report,
) -> Result<Vec<Task<u32>>> {
    let state = Power {
        action: PowerAction::State,
        dry_run: false,
    };
    let mut stopped = BTreeSet::new();
    let mut out = BTreeSet::new();
    let asked = tasks.iter().map(Task::clone).collect();
    fanout::run(&state, asked, args.fanout.into(), &mut |node, event| {
        match event {
            Event::Ended(Ok(outcome))
                if ["created", "exited", "dead"].contains(&&*outcome.line) =>
            {
                stopped.insert(node.to_owned());
            }
            Event::Ended(Err(error)) => {
                out.insert(node.to_owned());
                report.error(node, &error)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let address = |node: &Node| match node.ip {
        Some(IpAddr::V4(address)) if stopped.contains(&node.name) => Some(address),
        _ => None,
    };
    let addresses = nodes.iter().filter_map(address).collect();
    let routers = SiteNetworks::load(cluster)?.routers().collect();
    let taken = probe::taken(&addresses, &routers)
        .context("asking the network for the containers' addresses")?;
    for node in nodes {
        let found = address(node).and_then(|address| Some((address, taken.get(&address)?)));
        if let Some((address, owner)) = found {
            let name = &node.name;
            let error = anyhow!(
                "the address {address} is in use on the network by {owner}: find out whose that is, or chdef {name} \
                 ip=ANOTHER; rpower --no-probe starts it all the same"
            );
            out.insert(name.clone());
            report.error(name, &error)?;
        }
    }
    let stays = |task: &Task<u32>| !out.contains(&task.node);
    Ok(tasks.into_iter().filter(stays).collect())
}

/// What is to be done, if only to be said.
#[derive(Debug)]
struct Power {
    action: PowerAction,
    dry_run: bool,
}

impl HostWork for Power {
    type Item = u32;
    type Known = ();
    type Done = Outcome;

    fn prepare(&self, _: &mut EngineApi) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut EngineApi,
        (): &(),
        task: &Task<u32>,
        _: &dyn Fn(String),
    ) -> Result<Outcome> {
        let mut found = engine.inspect(&task.node)?.succeeded()?;
        let path = container_path(&found)?;
        let action = self.action;
        if action == PowerAction::State || self.dry_run {
            let Value::String(state) = found["State"]["Status"].take() else {
                bail!("the engine named no state of it")
            };
            return Ok(match action {
                PowerAction::State => Outcome::status(task, state),
                _ => Outcome::status(task, format!("would {}, is {state}", action.name())),
            });
        }
        let call = Call::post(format!("{path}/{}", action.name()));
        // A stop waits for what runs to end.
        let answer = engine.ask(&call.with_more_time(Duration::from_secs(task.item.into())))?;
        if answer.status == 304 {
            let state = match action {
                PowerAction::Start => "started",
                _ => "stopped",
            };
            return Ok(Outcome::status(task, format!("container already {state}")));
        }
        answer.succeeded()?;
        Ok(Outcome::status(task, "success"))
    }
}
