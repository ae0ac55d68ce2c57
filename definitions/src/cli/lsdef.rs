//! `lsdef`: lists definitions.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::listing::{self, ListingFormat};
use super::{groups, request};
use crate::command::Config;
use crate::states;
use crate::{AttributeValue, Catalog, Error, MASK, Noderange, Object, ObjectKind, Selection, Site};

const EXAMPLES: &str = "\
Examples:
  lsdef                                    the names of all nodes
  lsdef host01                             what host01 has, from itself and from its groups
  lsdef 'compute,-n[3-4]' -i ip,os -c      two attributes of some nodes, one a line
  lsdef -w os==debian12 -w 'mac!='         the nodes that meet both conditions
  lsdef all -i status,statustime -c        how nodes are, by what they reported last
  lsdef -t osimage                         the names of all osimages
  lsdef -t osimage -l                      all that the osimages say
  lsdef -a -z > all.stanza                 everything, to be read by mkdef -z
  lsdef -t osimage --attributes            what an osimage can say

What a node has: its own attributes beat those of its groups, and an earlier group in 'groups' beats
a later one. 'postscripts' and 'postbootscripts' are joined: those of the group xcatdefaults, which
every node is in, then of the node's groups, then its own. The stanza form holds what the node says itself.";

/// List definitions
#[derive(Debug, clap::Parser)]
#[command(name = "lsdef", version, after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// A node range, or names joined by commas
    #[arg(value_name = "NAMES")]
    names: Vec<String>,
    /// The same
    #[arg(short = 'o', value_name = "NAMES")]
    objects: Vec<String>,
    /// The types of the objects: node, group, osimage, network, site [default: node]
    #[arg(
        short = 't',
        long = "type",
        value_name = "TYPES",
        value_delimiter = ','
    )]
    kinds: Vec<ObjectKind>,
    /// Objects of every type
    #[arg(short, long, conflicts_with_all = ["names", "objects", "kinds"])]
    all: bool,
    /// All that the objects say, even where no object is named
    #[arg(short, long)]
    long: bool,
    /// Names alone, even where objects are named
    #[arg(short, long, conflicts_with = "long")]
    short: bool,
    /// These attributes alone, set or not
    #[arg(short = 'i', value_name = "ATTRS", value_delimiter = ',')]
    only: Vec<String>,
    /// With -i: one line for each attribute, with the object's name
    #[arg(short, long, requires = "only")]
    compress: bool,
    /// Objects that meet a condition: attr==value, attr!=value, attr=~pattern, attr!~pattern
    #[arg(short = 'w', value_name = "CONDITION")]
    conditions: Vec<Selection>,
    /// In xCAT's stanza form, what the objects say themselves
    #[arg(short = 'z', long, conflicts_with_all = ["long", "short", "compress", "json"])]
    stanza: bool,
    /// As a JSON array of {"type", "name", "attributes"}
    #[arg(long, conflicts_with_all = ["long", "short", "compress"])]
    json: bool,
    /// Secrets as they are; without it they are masked, and left out of stanzas
    #[arg(long)]
    secrets: bool,
    /// The attributes that objects of the types can have, and what they mean
    #[arg(long)]
    attributes: bool,
    /// The directory in which slipwayd keeps how nodes are: their status and statustime
    #[arg(long, value_name = "DIR", env = "SLIPWAY_STATE", default_value = states::DIRECTORY)]
    state: PathBuf,
}

/// Runs `lsdef`.
///
/// # Errors
/// When an object is named that does not exist, or a file cannot be read.
pub fn run(mut args: Args) -> Result<ExitCode> {
    args.only.sort();
    args.only.dedup();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let kinds = args.kinds();
    if args.attributes {
        write_attributes(&mut out, &kinds).context("writing the attributes")?;
        return Ok(ExitCode::SUCCESS);
    }
    args.check(&kinds)?;
    let mut objects = Vec::new();
    for kind in &kinds {
        objects.extend(args.load(&args.config.catalog(), *kind)?);
    }
    let form = args.form(kinds.len() > 1);
    if objects.is_empty() && !matches!(form, ListingFormat::Stanza | ListingFormat::Json) {
        eprintln!("Could not find any object definitions to display.");
        return Ok(ExitCode::SUCCESS);
    }
    if !args.secrets {
        hide_secrets(&mut objects, form);
    }
    listing::write(&mut out, form, &objects, &args.only)
        .and_then(|()| out.flush())
        .context("writing the listing")?;
    mem::forget(objects); // the process ends: to free 10,000 of them one by one takes longer than to write them
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Lists the types to be shown.
    fn kinds(&self) -> Vec<ObjectKind> {
        match self.kinds.as_slice() {
            _ if self.all => ObjectKind::ALL.to_vec(),
            [] => vec![ObjectKind::Node],
            kinds => kinds.to_vec(),
        }
    }

    /// Joins what is named on the command line.
    fn named(&self) -> Option<String> {
        let named: Vec<_> = self.names.iter().chain(&self.objects).cloned().collect();
        (!named.is_empty()).then(|| named.join(","))
    }

    /// Chooses how to write.
    fn form(&self, typed: bool) -> ListingFormat {
        if self.stanza {
            ListingFormat::Stanza
        } else if self.json {
            ListingFormat::Json
        } else if self.compress {
            ListingFormat::Compact
        } else if !self.short && (self.long || self.named().is_some() || !self.only.is_empty()) {
            ListingFormat::Long { typed }
        } else {
            ListingFormat::Names
        }
    }

    /// Checks that one of the types has each attribute that is asked for.
    fn check(&self, kinds: &[ObjectKind]) -> Result<(), Error> {
        let conditions = self.conditions.iter().map(Selection::attribute);
        for name in self.only.iter().map(String::as_str).chain(conditions) {
            let members = name == groups::MEMBERS && kinds.contains(&ObjectKind::Group);
            if !members && !kinds.iter().any(|kind| kind.attribute(name).is_ok()) {
                kinds[0].attribute(name)?;
            }
        }
        Ok(())
    }

    /// Says whether attributes meet all conditions.
    fn meet(&self, value: impl Fn(&str) -> Option<AttributeValue>) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| condition.selects(value(condition.attribute()).as_ref()))
    }

    /// Loads the objects of one type that are asked for.
    fn load(&self, catalog: &Catalog, kind: ObjectKind) -> Result<Vec<Object>> {
        let named = self.named();
        let mut objects = match kind {
            ObjectKind::Node => return self.load_nodes(catalog, named.as_deref()),
            ObjectKind::Group if self.stanza => catalog.objects(kind)?,
            ObjectKind::Group => groups::shown(&catalog.nodes()?)?,
            ObjectKind::Site => match catalog.objects(kind)? {
                none if none.is_empty() && !self.all => vec![Object::new(kind, Site::NAME)?],
                site => site,
            },
            _ => catalog.objects(kind)?,
        };
        if let Some(named) = named {
            let known = objects
                .into_iter()
                .map(|object| (object.name().to_owned(), object));
            let mut known: BTreeMap<_, _> = known.collect();
            let mut chosen = Vec::new();
            for name in request::listed(&named) {
                let names = known.keys().map(String::as_str);
                let missing = Error::not_found(kind, &name, names.collect::<Vec<_>>());
                chosen.push(known.remove(&name).ok_or(missing)?);
            }
            objects = chosen;
        }
        objects.retain(|object| self.meet(|attribute| object.value(attribute).cloned()));
        Ok(objects)
    }

    /// Loads nodes: what they have, or for the stanza what they say themselves.
    fn load_nodes(&self, catalog: &Catalog, range: Option<&str>) -> Result<Vec<Object>> {
        let mut nodes = catalog.nodes()?;
        if !self.stanza {
            nodes.report(states::load(&self.state)?.values());
        }
        let mut names = match range {
            Some(range) => range.parse::<Noderange>()?.select(&nodes)?,
            None => nodes.names().map(str::to_owned).collect(),
        };
        // Most nodes meet no condition: it is asked before their groups' attributes are copied.
        names.retain(|name| {
            let node = nodes.own(name);
            node.is_some_and(|node| self.meet(|attribute| nodes.value(node, attribute)))
        });
        let form = self.form(false);
        let objects = names.iter().filter_map(|name| match form {
            ListingFormat::Names | ListingFormat::Stanza => nodes.take(name),
            _ => nodes.take_effective(name),
        });
        Ok(objects.collect())
    }
}

/// Masks what is secret; a stanza, which is read back, is left without and it is said.
fn hide_secrets(objects: &mut [Object], form: ListingFormat) {
    let mut count = 0;
    for object in objects.iter_mut().filter(|object| object.has_secrets()) {
        let secrets = object.part(true);
        *object = object.part(false);
        count += 1;
        if form != ListingFormat::Stanza {
            let masked = secrets
                .attributes()
                .keys()
                .map(|name| (*name, AttributeValue::Text(MASK.to_owned())));
            object.attributes_mut().extend(masked);
        }
    }
    if form == ListingFormat::Stanza && count > 0 {
        eprintln!("lsdef: secrets of {count} objects are left out: --secrets writes them, too");
    }
}

/// Writes what objects can say.
fn write_attributes(out: &mut impl Write, kinds: &[ObjectKind]) -> std::io::Result<()> {
    for kind in kinds {
        for attribute in kind.attributes() {
            let about = attribute.about.trim();
            let list = match attribute.shape {
                crate::AttributeShape::List => " (a list)",
                crate::AttributeShape::Text => "",
            };
            writeln!(out, "{kind}.{}{list}: {about}", attribute.name)?;
        }
    }
    out.flush()
}
