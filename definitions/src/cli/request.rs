//! What a command line or a stanza asks for: which objects, and what is said of them.

use std::io::Read;

use anyhow::{Context, Result, bail};

use super::assignment::Assignment;
use crate::catalog::Edit;
use crate::{Chosen, Kind, Noderange, Nodes, Site, stanza};

/// The longest stanza.
const LONGEST: u64 = 256 << 20;

/// What is said of one object.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) assignments: Vec<Assignment>,
}

/// The operands of a command that changes definitions.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Operands {
    /// The type of the objects: node, group, osimage, network or site
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value_t = Kind::Node)]
    kind: Kind,
    /// The objects, in place of the first operand
    #[arg(short = 'o', value_name = "NAMES")]
    objects: Option<String>,
    /// Read stanzas from standard input
    #[arg(short = 'z', long = "stanza", conflicts_with_all = ["objects", "operands"])]
    stanza: bool,
    /// A node range, or names joined by commas; then the attributes
    #[arg(value_name = "NAMES | ATTR=VALUE")]
    operands: Vec<String>,
}

impl Operands {
    /// Parts the operands into the objects' names and what is said of them.
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
    pub(super) fn asked(&self) -> Result<Asked> {
        if self.stanza {
            return Ok(Asked::Stanzas(from_stanza()?));
        }
        let (names, assignments) = self.split()?;
        let names = match (names, self.kind) {
            (Some(names), _) => names.to_owned(),
            (None, Kind::Site) => Site::NAME.to_owned(),
            (None, kind) => bail!("no object is named: give {}", what_names(kind)),
        };
        Ok(Asked::Named {
            kind: self.kind,
            names,
            assignments,
        })
    }
}

/// What is asked for, as it was read.
#[derive(Debug)]
pub(super) enum Asked {
    /// Objects with what their stanzas say.
    Stanzas(Vec<Request>),
    /// Objects that are all told the same.
    Named {
        kind: Kind,
        names: String,
        assignments: Vec<Assignment>,
    },
}

impl Asked {
    /// Lists the objects; which nodes a range names, the catalog tells.
    pub(super) fn requests(self, edit: &mut Edit<'_>) -> Result<Vec<Request>> {
        let (kind, names, assignments) = match self {
            Self::Stanzas(requests) => return Ok(requests),
            Self::Named {
                kind,
                names,
                assignments,
            } => (kind, names, assignments),
        };
        let names = match kind {
            Kind::Node => any_nodes(&names, &edit.nodes()?)?,
            _ => listed(&names),
        };
        let requests = names.into_iter().map(|name| Request {
            kind,
            name,
            assignments: assignments.clone(),
        });
        Ok(requests.collect())
    }
}

/// Says how objects of a kind are named on a command line.
pub(super) fn what_names(kind: Kind) -> &'static str {
    match kind {
        Kind::Node => "a node range",
        _ => "names joined by commas",
    }
}

/// Reads requests from standard input; groups come last, since they may name nodes as members.
pub(super) fn from_stanza() -> Result<Vec<Request>> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(LONGEST);
    input
        .read_to_string(&mut text)
        .context("reading the stanza from standard input")?;
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
    requests.sort_by_key(|request| request.kind == Kind::Group);
    Ok(requests)
}

/// Takes a node range for the nodes that exist and for those to be made.
fn any_nodes(range: &str, nodes: &Nodes) -> Result<Vec<String>> {
    let Chosen { nodes, unknown } = range.parse::<Noderange>()?.choose(nodes)?;
    if nodes.is_empty() && unknown.is_empty() {
        bail!("the node range '{range}' names no node");
    }
    Ok(nodes.into_iter().chain(unknown).collect())
}

/// Parts names joined by commas, each once.
pub(super) fn listed(names: &str) -> Vec<String> {
    let mut listed = Vec::<String>::new();
    for name in names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if !listed.iter().any(|known| known == name) {
            listed.push(name.to_owned());
        }
    }
    listed
}
