//! `rmdocker`: removes containers; their definitions stay.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use definitions::Noderange;
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterArgs};
use crate::converge::list;
use crate::engine::{Call, EngineApi, container_path};
use crate::fanout::{HostWork, Task};
use crate::labels;
use crate::replace::beside;
use crate::report::{Outcome, Report};

/// Remove containers from their docker hosts; their definitions stay
///
/// What a container keeps in volumes that have a name stays too.
#[derive(Debug, clap::Parser)]
#[command(name = "rmdocker", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The containers
    #[arg(value_name = "NODERANGE")]
    nodes: Noderange,

    /// Remove those that run, and those that have the name of the node and were not made by mkdocker
    #[arg(short, long)]
    force: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Print results as JSON, in the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  rmdocker web01               one that does not run
  rmdocker web -f              all members of a group, also those that run
  rmdocker web --dry-run       what would go

Exit status: 0 all are removed, 1 a container is not, 2 wrong usage.";

/// Runs `rmdocker`.
///
/// # Errors
/// When no container can be begun with; what becomes of each is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::load(&args.cluster)?;
    let mut report = Report::new(args.json);
    let nodes = cluster.select(&args.nodes)?;
    let removal = Removal {
        force: args.force,
        dry_run: args.dry_run,
    };
    report.work(&removal, (&cluster, &args.cluster), &nodes, |_| Ok(()))?;
    report.finish()
}

/// How containers are removed.
#[derive(Debug)]
struct Removal {
    force: bool,
    dry_run: bool,
}

impl HostWork for Removal {
    type Item = ();
    type Known = ();
    type Done = Outcome;

    fn prepare(&self, _: &mut EngineApi) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut EngineApi,
        (): &(),
        task: &Task<()>,
        _: &dyn Fn(String),
    ) -> Result<Outcome> {
        let node = &task.node;
        let left = self.left_over(engine, node)?;
        let found = engine.inspect(node)?.succeeded()?;
        let is_ours = labels::is_of(&found["Config"]["Labels"], node);
        ensure!(
            is_ours || self.force,
            "the container {node} on {} was not made by mkdocker: rmdocker -f removes it all the same",
            task.host.name
        );
        let running = found["State"]["Running"] == true;
        if self.dry_run {
            ensure!(
                !running || self.force,
                "it runs: rmdocker -f would remove it"
            );
            return Ok(Outcome::status(task, "would be removed"));
        }
        for name in left {
            let call = Call::delete(format!("/containers/{name}")).query("force", "1");
            let removed = engine.ask(&call)?.succeeded();
            removed.context("removing what an interrupted replacement left")?;
        }
        let mut call = Call::delete(container_path(&found)?);
        if self.force {
            call = call.query("force", "1");
        }
        engine.ask(&call)?.succeeded()?;
        // Volumes without a name stay: with them, what a container kept would be gone at once.
        Ok(Outcome::status(task, "success"))
    }
}

impl Removal {
    /// Lists what an interrupted replacement of a node's container left.
    fn left_over(&self, engine: &mut EngineApi, node: &str) -> Result<Vec<String>> {
        let filter = json!({ "label": [format!("{}={node}", labels::NODE)] }).to_string();
        let call = Call::get("/containers/json")
            .query("all", "1")
            .query("filters", &filter);
        let listed = engine.ask(&call)?.succeeded()?;
        let names = list(&listed).iter().flat_map(|found| list(&found["Names"]));
        let names: Vec<_> = names.filter_map(Value::as_str).collect();
        let is_left = |name: &String| names.contains(&&*format!("/{name}"));
        Ok(beside(node).into_iter().filter(is_left).collect())
    }
}
