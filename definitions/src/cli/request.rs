//! What a command line or a stanza asks for: which objects, and their attributes.

use std::collections::HashSet;
use std::io::Read;

use anyhow::{Context, Result, bail};

use super::assignment::Assignment;
use super::spread;
use crate::catalog::CatalogEdit;
use crate::{Chosen, Error, Group, Noderange, Nodes, Object, ObjectKind, Site, stanza};

/// The longest stanza.
const MAX_BYTES: u64 = 256 << 20;

/// What is said of one object.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: ObjectKind,
    pub(super) name: String,
    pub(super) assignments: Vec<Assignment>,
}

/// The operands of a command that changes definitions.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Operands {
    /// The type of the objects: node, group, osimage, network or site
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value_t = ObjectKind::Node)]
    kind: ObjectKind,
    /// The objects, in place of the first operand
    #[arg(short = 'o', value_name = "NAMES")]
    objects: Option<String>,
    /// Read stanzas from standard input
    #[arg(short = 'z', long = "stanza", conflicts_with_all = ["objects", "operands"])]
    pub(super) stanza: bool,
    /// A node range, or names joined by commas; then the attributes
    #[arg(value_name = "NAMES | ATTR=VALUE")]
    operands: Vec<String>,
}

impl Operands {
    /// Parts the operands into the objects' names and their attributes.
    fn split(&self) -> Result<(Option<&str>, Vec<Assignment>)> {
        let mut names = self.objects.as_deref();
        let mut assignments = Vec::new();
        for operand in &self.operands {
            if Assignment::is_one(operand) {
                assignments.push(operand.parse()?);
            } else if let Some(names) = names {
                bail!("'{operand}' is neither the objects, which are '{names}', nor attr=value");
            } else {
                names = Some(operand);
            }
        }
        Ok((names, assignments))
    }

    /// Reads all that is to be read before the catalog is locked.
    pub(super) fn asked(&self) -> Result<Query> {
        if self.stanza {
            let requests = from_stanza()?;
            if requests.is_empty() {
                bail!(
                    "the stanza on standard input names no object: expected lines of 'name:' and 'attr=value'"
                );
            }
            return Ok(Query::Stanzas(requests));
        }
        let (names, assignments) = self.split()?;
        let names = match (names, self.kind) {
            (Some(names), _) => names.to_owned(),
            (None, ObjectKind::Site) => Site::NAME.to_owned(),
            (None, kind) => bail!("no object is named: give {}", what_names(kind)),
        };
        Ok(Query::Named {
            kind: self.kind,
            names,
            assignments,
        })
    }
}

/// What is asked for, as it was read.
#[derive(Debug)]
pub(super) enum Query {
    /// Objects with what their stanzas say.
    Stanzas(Vec<Request>),
    /// Objects that all get the same.
    Named {
        kind: ObjectKind,
        names: String,
        assignments: Vec<Assignment>,
    },
}

/// Which objects a command may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestScope {
    /// Those that exist.
    Existing,
    /// Those to be made; of nodes, no group has their name.
    New,
    /// Both.
    Any,
}

impl Query {
    /// Lists the objects; which nodes a range names, the catalog knows.
    pub(super) fn requests(
        self,
        edit: &mut CatalogEdit<'_>,
        scope: RequestScope,
    ) -> Result<Vec<Request>> {
        let requests = match self {
            Self::Stanzas(requests) => requests,
            Self::Named {
                kind,
                names,
                assignments,
            } => {
                let mut names = match kind {
                    ObjectKind::Node => nodes(&names, &edit.nodes()?, scope)?,
                    _ => listed(&names),
                };
                let assignments = match kind {
                    ObjectKind::Node => spread::over(&mut names, &assignments)?,
                    _ => vec![assignments; names.len()],
                };
                let request = |(name, assignments)| Request {
                    kind,
                    name,
                    assignments,
                };
                names.into_iter().zip(assignments).map(request).collect()
            }
        };
        if scope == RequestScope::Existing {
            check_existing(edit, &requests)?;
        }
        Ok(requests)
    }
}

/// Refuses what does not exist, with the nearest name that does.
fn check_existing(edit: &mut CatalogEdit<'_>, requests: &[Request]) -> Result<()> {
    let mut undefined = Vec::new();
    for Request { kind, name, .. } in requests {
        if *kind != ObjectKind::Site && edit.find(*kind, name)?.is_none() {
            undefined.push((*kind, name));
        }
    }
    if undefined.is_empty() {
        return Ok(());
    }
    let nodes = edit.nodes()?;
    let groups = nodes.groups();
    for (kind, name) in undefined {
        if kind != ObjectKind::Group {
            let objects = edit.objects(kind)?;
            return Err(Error::not_found(kind, name, objects.iter().map(Object::name)).into());
        }
        if name != Group::EVERYONE && !groups.contains_key(name.as_str()) {
            return Err(Error::not_found(kind, name, groups.into_keys()).into());
        }
    }
    Ok(())
}

/// Says how objects of a kind are named on a command line.
pub(super) fn what_names(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Node => "a node range",
        _ => "names joined by commas",
    }
}

/// Reads requests from standard input; groups come last, since they may name nodes as members.
pub(super) fn from_stanza() -> Result<Vec<Request>> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MAX_BYTES + 1);
    input
        .read_to_string(&mut text)
        .context("reading the stanza from standard input")?;
    if text.len() as u64 > MAX_BYTES {
        bail!("the stanza on standard input has more than {MAX_BYTES} bytes: give it in parts");
    }
    let requests = stanza::parse(&text)?.into_iter().map(|block| Request {
        kind: block.kind,
        name: block.name,
        assignments: block
            .attributes
            .into_iter()
            .map(|(attribute, value)| Assignment { attribute, value })
            .collect(),
    });
    let mut requests: Vec<_> = requests.collect();
    requests.sort_by_key(|request| request.kind == ObjectKind::Group);
    Ok(requests)
}

/// Lists the nodes that a range names.
fn nodes(range: &str, nodes: &Nodes, scope: RequestScope) -> Result<Vec<String>> {
    let parsed = range.parse::<Noderange>()?;
    let Chosen {
        nodes: existing,
        unknown,
        groups,
    } = match scope {
        RequestScope::Existing => Chosen {
            nodes: parsed.select(nodes)?,
            ..Chosen::default()
        },
        RequestScope::New | RequestScope::Any => parsed.choose(nodes)?,
    };
    if scope == RequestScope::New
        && let Some(group) = groups.first()
    {
        bail!(
            "'{group}' is a group, and nodes are to be made: name them; chdef changes a group's members"
        );
    }
    if existing.is_empty() && unknown.is_empty() {
        bail!("the node range '{range}' names no node");
    }
    Ok(existing.into_iter().chain(unknown).collect())
}

/// Parts names joined by commas, each once.
pub(super) fn listed(names: &str) -> Vec<String> {
    let names = names.split(',').map(str::trim);
    let mut seen = HashSet::new();
    let listed = names.filter(|name| !name.is_empty() && seen.insert(*name));
    listed.map(str::to_owned).collect()
}
