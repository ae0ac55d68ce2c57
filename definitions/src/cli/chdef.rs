//! `chdef`: changes definitions; only `--create` makes those that do not exist.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::assignment::Mode;
use super::object_errors::ObjectErrors;
use super::request::{Operands, Request, RequestScope};
use super::{groups, report};
use crate::catalog::CatalogEdit;
use crate::command::Config;
use crate::{Nodes, Object, ObjectKind};

const EXAMPLES: &str = "\
Examples:
  chdef host01 ip=10.1.0.5                     set an attribute
  chdef host01 ip=                             unset it
  chdef host01 -p postbootscripts='xHRM bridgeprereq eth0:mydocker0'
                                               add to a list
  chdef compute -m groups=old                  take from a list, for all members of a group
  chdef -t group compute -p members=n[11-20]   nodes join a group
  chdef -t osimage old -n new                  another name
  chdef --create host07 groups=all ip=10.1.0.7 set, on a node that is made where there is none";

/// Change definitions
#[derive(Debug, clap::Parser)]
#[command(name = "chdef", version, after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    operands: Operands,
    /// Add the values to lists
    #[arg(short, long, conflicts_with = "minus")]
    plus: bool,
    /// Take the values from lists
    #[arg(short, long)]
    minus: bool,
    /// Give the one object that is named another name
    #[arg(short = 'n', value_name = "NEW", conflicts_with_all = ["plus", "minus", "stanza"])]
    name: Option<String>,
    /// Make the objects that do not exist, too
    #[arg(long, conflicts_with_all = ["name", "minus"])]
    create: bool,
    /// Name each object
    #[arg(short, long)]
    verbose: bool,
}

/// Runs `chdef`.
///
/// # Errors
/// When an object or an attribute does not exist, an attribute does not accept its value, or a file cannot be read or written;
/// then nothing is changed.
pub fn run(args: Args) -> Result<ExitCode> {
    let asked = args.operands.asked()?;
    let catalog = args.config.catalog();
    let mut edit = catalog.edit()?;
    let scope = if args.create {
        RequestScope::Any
    } else {
        RequestScope::Existing
    };
    let mut requests = asked.requests(&mut edit, scope)?;
    if let Some(new) = &args.name {
        rename(&mut edit, &mut requests, new)?;
    } else if requests
        .iter()
        .all(|request| request.assignments.is_empty())
    {
        bail!("nothing is to be changed: give attr=value");
    }
    let nodes = edit.nodes()?;
    let mut created = Vec::new();
    let mut errors = ObjectErrors::default();
    for request in &requests {
        let changed = args.change(&mut edit, request, &nodes, &mut errors);
        if errors.check(request, changed) == Some(true) {
            created.push(request.name.as_str());
        }
    }
    errors.finish()?;
    edit.commit()?;
    if !created.is_empty() {
        let created = created.join(",");
        report::lines_out(&[format!(
            "New object definitions '{created}' have been created."
        )])?;
    }
    report::changed(&requests, args.verbose)
}

impl Args {
    fn mode(&self) -> Mode {
        match (self.plus, self.minus) {
            (true, _) => Mode::Append,
            (_, true) => Mode::Remove,
            _ => Mode::Set,
        }
    }

    /// Changes one object; says whether it was made.
    fn change(
        &self,
        edit: &mut CatalogEdit<'_>,
        request: &Request,
        nodes: &Nodes,
        errors: &mut ObjectErrors,
    ) -> Result<bool> {
        let Request { kind, name, .. } = request;
        let found = edit.find(*kind, name)?.cloned();
        let known = found.is_some() || *kind == ObjectKind::Group && groups::exists(nodes, name);
        let mut object = match found {
            Some(object) => object,
            None => Object::new(*kind, name.as_str())?,
        };
        let mut is_wrong = false;
        for assignment in &request.assignments {
            if *kind == ObjectKind::Group && assignment.attribute == groups::MEMBERS {
                let changed = groups::change_members(edit, name, self.mode(), &assignment.value);
                is_wrong |= errors.check(request, changed).is_none();
                continue;
            }
            let applied = assignment.apply(&mut object, self.mode(), nodes);
            let missing = errors.check(request, applied);
            is_wrong |= missing.is_none();
            for entry in missing.unwrap_or_default() {
                let attribute = &assignment.attribute;
                eprintln!("chdef: '{entry}' is not in {attribute} of the {kind} '{name}' itself");
            }
        }
        if is_wrong {
            return Ok(false);
        }
        if !known {
            object.check_new()?;
        }
        edit.put(&object)?;
        Ok(!known && *kind != ObjectKind::Site)
    }
}

/// Renames the one object that is asked for.
fn rename(edit: &mut CatalogEdit<'_>, requests: &mut [Request], new: &str) -> Result<()> {
    let [request] = requests else {
        bail!("-n renames one object, and {} are named", requests.len());
    };
    let kind = request.kind;
    if kind == ObjectKind::Group {
        groups::rename(edit, &request.name, Some(new))?;
    }
    if kind != ObjectKind::Group || edit.find(kind, &request.name)?.is_some() {
        edit.rename(kind, &request.name, new)?;
    }
    new.clone_into(&mut request.name);
    Ok(())
}
