//! `mkdocker`: makes the containers that nodes are, and brings those that are there to their definitions.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::{
    EngineOptions, Error, ImageReference, Noderange, Object, ObjectKind, ProcessArguments,
};

use crate::address::AddressRegister;
use crate::cluster::{Cluster, ClusterArgs};
use crate::converge::Converge;
use crate::declaration::Declaration;
use crate::images::Pull;
use crate::names::ClusterNames;
use crate::registries::{Registries, RegistryArgs};
use crate::report::Report;

/// Make the containers that nodes are, or bring those that are there to their definitions
///
/// A container that is what its definition says is left alone. What can be changed while it goes on is; all else needs a
/// new one, which --replace allows, with a way back. image=, command= and dockerflag= are stored in the definitions first.
#[derive(Debug, clap::Parser)]
#[command(name = "mkdocker", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The containers: nodes with mgt=docker
    #[arg(value_name = "NODERANGE")]
    nodes: Noderange,

    /// image=IMAGE, command=COMMAND (with an image), dockerflag=JSON
    #[arg(value_name = "ATTR=VALUE")]
    assignments: Vec<StoredAttribute>,

    /// Say what would be done, and change nothing, neither on hosts nor in definitions
    #[arg(long)]
    dry_run: bool,

    /// Show each value that differs, as it is and as it is declared
    #[arg(long)]
    diff: bool,

    /// Allow to replace containers: new beside old, old stopped, new started and watched, old removed
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    registries: RegistryArgs,

    /// When to pull images
    #[arg(long, value_name = "WHEN", value_enum, default_value = "missing")]
    pull: Pull,

    /// How many seconds a replacement must run before the old one is removed
    #[arg(long, value_name = "S", default_value = "5", value_parser = clap::value_parser!(u16).range(0..=3600))]
    settle: u16,

    /// Print results as JSON, in the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  mkdef web01 groups=web,docker mgt=docker dockerhost=host01 ip=10.1.2.1
  mkdocker web01 image=nginx:1.27            made, not started: rpower web01 start
  mkdocker web01 image=ubuntu:22.04 command=/bin/bash dockerflag='{\"OpenStdin\":true,\"Tty\":true}'
  mkdocker web                               all members of a group; a second run changes nothing
  mkdocker web --dry-run                     what differs from the definitions, field by field
  mkdocker web --replace --pull always       new ones of the newest image of that tag

Exit status: 0 all are as declared, 1 a container is not, 2 wrong usage.";

/// One `attr=value` that is stored first.
#[derive(Debug, Clone)]
struct StoredAttribute {
    attribute: &'static str,
    value: String,
}

impl std::str::FromStr for StoredAttribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let known = ["image", "command", "dockerflag"];
        let attribute = known.into_iter().find(|known| *known == name);
        let attribute =
            attribute.ok_or_else(|| format!("Option {name} is not supported for mkdocker"))?;
        if value.is_empty() {
            return Err(format!("Must set value for {name}"));
        }
        let checked = match attribute {
            "image" => value.parse::<ImageReference>().map(drop),
            "command" => value.parse::<ProcessArguments>().map(drop),
            _ => value.parse::<EngineOptions>().map(drop),
        };
        checked.map_err(|error: Error| error.to_string())?;
        let value = value.to_owned();
        Ok(Self { attribute, value })
    }
}

/// Runs `mkdocker`.
///
/// # Errors
/// When no container can be begun with; what becomes of each is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    check(&args.assignments)?;
    let mut cluster = Cluster::load(&args.cluster)?;
    let names = args.nodes.select(&cluster.nodes)?;
    if !args.assignments.is_empty() {
        store(&mut cluster, &names, &args)?;
    }
    let book = AddressRegister::of(&cluster)?;
    let nodes = cluster.select(&args.nodes)?;
    let mut report = Report::new(args.json);
    let converge = Converge {
        pull: args.pull,
        registries: Arc::new(Registries::load(&args.registries, cluster.catalog.path())?),
        dry_run: args.dry_run,
        diff: args.diff,
        replace: args.replace,
        settle: Duration::from_secs(args.settle.into()),
    };
    let names = ClusterNames::new(&cluster.nodes, book.networks());
    let mut declarations = BTreeMap::new();
    for node in &nodes {
        let declaration = book
            .check(node)
            .and_then(|()| Declaration::of(node, &names));
        if let Ok(declaration) = &declaration {
            for remark in &declaration.remarks {
                report.note(&node.name, remark)?;
            }
        }
        declarations.insert(node.name.clone(), declaration);
    }
    report.work(&converge, (&cluster, &args.cluster), &nodes, |node| {
        let declaration = declarations.remove(&node.name);
        declaration.context("declaring it")?
    })?;
    report.finish()
}

fn check(assignments: &[StoredAttribute]) -> Result<()> {
    let has = |name| assignments.iter().any(|given| given.attribute == name);
    if has("command") && !has("image") {
        bail!("Must set 'image' if use 'command'");
    }
    Ok(())
}

/// Stores what is given in the definitions, or, where nothing is to change, in those that were read.
fn store(cluster: &mut Cluster, names: &[String], args: &Args) -> Result<()> {
    let catalog = cluster.catalog.clone();
    let mut edit = catalog.edit()?;
    for name in names {
        let Some(object) = edit.find(ObjectKind::Node, name)? else {
            return Err(Error::not_found(ObjectKind::Node, name, []).into());
        };
        let mut object: Object = object.clone();
        if !args
            .assignments
            .iter()
            .any(|given| given.attribute == "command")
        {
            // As in xCAT, an image without a command runs its own.
            let image = args
                .assignments
                .iter()
                .any(|given| given.attribute == "image");
            if image {
                object.set("command", "")?;
            }
        }
        for StoredAttribute { attribute, value } in &args.assignments {
            object.set(attribute, value)?;
        }
        edit.put(&object)?;
    }
    cluster.nodes = edit.nodes()?;
    if !args.dry_run {
        edit.commit()?;
    }
    Ok(())
}
