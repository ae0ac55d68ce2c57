//! `rmdocker`: removes containers; their definitions stay.

use std::process::ExitCode;

use anyhow::{Result, bail};
use definitions::Noderange;

use crate::cluster::{Cluster, ClusterArgs};
use crate::engine::{Call, Engine};
use crate::fanout::{Task, Work};
use crate::labels;
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

impl Work for Removal {
    type Item = ();
    type Known = ();
    type Done = Outcome;

    fn prepare(&self, _: &mut Engine) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut Engine,
        (): &(),
        task: &Task<()>,
        _: &dyn Fn(String),
    ) -> Result<Outcome> {
        let node = &task.node;
        let call = Call::get(format!("/containers/{node}/json"));
        let found = engine.ask(&call)?.succeeded()?;
        if !self.force && !labels::is_of(&found["Config"]["Labels"], node) {
            bail!(
                "the container {node} on {} was not made by mkdocker: rmdocker -f removes it all the same",
                task.host.name
            );
        }
        let running = found["State"]["Running"] == true;
        if self.dry_run {
            if running && !self.force {
                bail!("it runs: rmdocker -f would remove it");
            }
            return Ok(Outcome::status("would be removed"));
        }
        let mut call = Call::delete(format!("/containers/{node}"));
        if self.force {
            call = call.query("force", "1");
        }
        engine.ask(&call)?.succeeded()?;
        // Volumes without a name stay: with them, what a container kept would be gone at once.
        Ok(Outcome::status("success"))
    }
}
