//! `rmdef`: removes definitions.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::request::{self, Request, what_names};
use super::{groups, report};
use crate::catalog::CatalogEdit;
use crate::command::Config;
use crate::{Error, Noderange, ObjectKind};

const EXAMPLES: &str = "\
Examples:
  rmdef host01
  rmdef 'compute,-n1'                     the members of a group but one
  rmdef -t osimage debian11-x86_64-install-compute
  lsdef -z -w os==debian11 | rmdef -z     the nodes that meet a condition
  rmdef -a -f                             everything";

/// Remove definitions
#[derive(Debug, clap::Parser)]
#[command(name = "rmdef", version, after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// The type of the objects: node, group, osimage, network or site
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    kind: Option<ObjectKind>,
    /// The objects
    #[arg(short = 'o', value_name = "NAMES")]
    objects: Vec<String>,
    /// A node range, or names joined by commas
    #[arg(value_name = "NAMES")]
    names: Vec<String>,
    /// All objects of the type, or of every type; wants -f
    #[arg(short, long, requires = "force", conflicts_with_all = ["names", "objects"])]
    all: bool,
    /// Do what -a says
    #[arg(short, long)]
    force: bool,
    /// The objects of the stanzas on standard input
    #[arg(short = 'z', long, conflicts_with_all = ["names", "objects", "all", "kind"])]
    stanza: bool,
}

/// Runs `rmdef`.
///
/// # Errors
/// When an object is named that does not exist, or a file cannot be read or written; then nothing is
/// removed.
pub fn run(args: Args) -> Result<ExitCode> {
    let stanzas = if args.stanza {
        request::from_stanza()?
    } else {
        Vec::new()
    };
    let catalog = args.config.catalog();
    let mut edit = catalog.edit()?;
    let doomed = args.doomed(&mut edit, stanzas)?;
    for (kind, name) in &doomed {
        remove(&mut edit, *kind, name)?;
    }
    edit.commit()?;
    let count = doomed.len();
    report::lines_out(&[format!("{count} object definitions have been removed.")])
}

impl Args {
    /// Lists the objects to be removed.
    fn doomed(
        &self,
        edit: &mut CatalogEdit<'_>,
        stanzas: Vec<Request>,
    ) -> Result<Vec<(ObjectKind, String)>> {
        if self.stanza {
            let requests = stanzas.into_iter();
            return Ok(requests
                .map(|request| (request.kind, request.name))
                .collect());
        }
        if self.all {
            let kinds = self
                .kind
                .map_or_else(|| ObjectKind::ALL.to_vec(), |kind| vec![kind]);
            let mut doomed = Vec::new();
            for kind in kinds {
                let objects = edit.objects(kind)?.into_iter();
                doomed.extend(objects.map(|object| (kind, object.name().to_owned())));
            }
            return Ok(doomed);
        }
        let kind = self.kind.unwrap_or(ObjectKind::Node);
        let named: Vec<_> = self.names.iter().chain(&self.objects).cloned().collect();
        if named.is_empty() {
            bail!("no object is named: give {}", what_names(kind));
        }
        let named = named.join(",");
        let names = match kind {
            ObjectKind::Node => named.parse::<Noderange>()?.select(&edit.nodes()?)?,
            _ => request::listed(&named),
        };
        if names.is_empty() {
            bail!("'{named}' names no {kind}");
        }
        Ok(names.into_iter().map(|name| (kind, name)).collect())
    }
}

/// Removes one object; nodes leave a group that is removed.
fn remove(edit: &mut CatalogEdit<'_>, kind: ObjectKind, name: &str) -> Result<()> {
    if kind != ObjectKind::Group {
        return edit.remove(kind, name);
    }
    let nodes = edit.nodes()?;
    let groups = nodes.groups();
    if !groups.contains_key(name) {
        return Err(Error::not_found(kind, name, groups.into_keys()).into());
    }
    groups::rename(edit, name, None)?;
    match nodes.group(name) {
        Some(_) => edit.remove(kind, name),
        None => Ok(()),
    }
}
