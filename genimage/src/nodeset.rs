//! `nodeset`: what nodes fetch while they install, rendered, checked and published.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use definitions::{Catalog, EnrolmentToken, Nodes, ObjectKind};
use nix::sys::stat::Mode;

use crate::arming::TrustProgram;
use crate::assets::{Assets, AssetsDir, FileDifference};
use crate::cli::nodeset::Args;
use crate::node_context::{NodeRenderer, SiteEnrolment};
use crate::problem::Problem;
use crate::render;
use crate::report::{NodeReport, NodeState, Report};
use crate::site_context::{CheckedImage, SiteContext};

/// Runs `nodeset`.
///
/// # Errors
/// When the definitions cannot be read or something cannot be written; what is wrong with osimages and
/// nodes is reported, and makes the exit code 1.
pub fn run(args: Args) -> Result<ExitCode> {
    // What nodes fetch is read by a web server, however careful the umask of who publishes it.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let catalog = args.config.catalog();
    let nodes = catalog.nodes()?;
    let chosen = select(&args, &nodes)?;
    let site = SiteContext::open(&catalog, &nodes)?;
    let mut report = Report {
        programs: site.programs(args.dry_run || !site.problems.is_empty())?,
        problems: site.problems.clone(),
        ..Report::default()
    };
    let mut checked = BTreeMap::new();
    for name in chosen.iter().filter_map(|choice| choice.osimage.as_deref()) {
        if !report.osimages.contains_key(name) {
            let unsigned = if args.dry_run {
                None
            } else {
                site.sign_tree(&catalog, name)?
            };
            let (image, mut found) = site.prepare(&catalog, name)?;
            found.notes.extend(unsigned);
            report.osimages.insert(name.to_owned(), found);
            checked.extend(image.map(|image| (name.to_owned(), image)));
        }
    }
    let enrolment = enrolment(&args, &site)?;
    let mut renderer = site.renderer(&nodes);
    renderer.enrolment = enrolment.as_ref();
    let assets_dir = site.assets_dir();
    report.nodes = in_parallel(&chosen, |choice| {
        let image = choice.osimage.as_ref().and_then(|name| checked.get(name));
        choice.outcome(&renderer, &assets_dir, image)
    });
    if !report.problems.is_empty() {
        report.fail_nodes();
    }
    if !report.ready().is_empty() {
        report.notes.push(level_note(renderer.authority.is_some()));
    }
    if args.dry_run {
        report
            .nodes
            .iter_mut()
            .filter(|node| node.state == NodeState::Written)
            .for_each(|node| {
                node.state = NodeState::WouldWrite;
            });
    } else {
        let trust = TrustProgram::of(&catalog);
        if enrolment.is_some() {
            arm(&trust, args.term(), &mut report, |assets, osimage| {
                let image = checked.get(osimage);
                image.map_or(Ok(()), |image| renderer.archive(&image.image).add(assets))
            })?;
        } else if args.disarm && renderer.authority.is_some() {
            trust.disarm(&report.sound()).context("disarming nodes")?;
        }
        publish(&assets_dir, &report)?;
        checked
            .values()
            .for_each(|checked| site.keep_record(&checked.image));
        record_provmethod(&catalog, &nodes, &report)?;
    }
    args.print(&report)
}

/// Says how nodes are to enrol: as the site has it, unless they shall not.
fn enrolment(args: &Args, site: &SiteContext) -> Result<Option<SiteEnrolment>> {
    if args.disarm {
        return Ok(None);
    }
    let enrolment = site.enrolment()?;
    if enrolment.is_none() && args.arm.is_some() {
        bail!("the site has no authority that nodes could enrol at: run slipway-trust init");
    }
    Ok(enrolment)
}

/// Says what nodes trust before anything vouches for it.
fn level_note(has_authority: bool) -> Problem {
    Problem::new(if has_authority {
        "boot script, kernel and boot archive travel by plain HTTP: whoever answers on the nodes' network in this machine's \
         place while they boot is root on them, and whoever reads an archive first can enrol as its node, which raises an \
         alarm: keep that network separate"
    } else {
        "the site has no authority (slipway-trust init): nodes do not enrol, and whoever answers on their network in this \
         machine's place while they boot is root on them: keep that network separate"
    })
}

/// Arms the nodes that get files, and puts what each of them enrols with into its own.
///
/// # Errors
/// When they cannot be armed; nothing is published then.
fn arm(
    trust: &TrustProgram,
    term: &str,
    report: &mut Report,
    archive: impl Fn(&mut Assets, &str) -> Result<()>,
) -> Result<()> {
    let ready = report.ready();
    let armed = trust.arm(&ready, term).context("arming nodes")?;
    let placeholder = EnrolmentToken::placeholder().reveal();
    for node in &mut report.nodes {
        if let Some(armed) = armed.get(&node.node) {
            node.assets.replace(&placeholder, &armed.token.reveal());
            archive(&mut node.assets, &node.osimage)?;
            node.armed_until = Some(armed.until.clone());
        }
    }
    Ok(())
}

/// A node, and the osimage that it is to get.
#[derive(Debug)]
struct NodeSelection<'a> {
    node: String,
    osimage: Option<String>,
    nodes: &'a Nodes,
}

/// Chooses the nodes, and each one's osimage: the one that is named, else the node's `provmethod`.
fn select<'a>(args: &Args, nodes: &'a Nodes) -> Result<Vec<NodeSelection<'a>>> {
    let names = args.noderange.select(nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    let choices = names.into_iter().map(|node| {
        let own = || {
            let own = nodes.own(&node)?;
            nodes
                .value(own, "provmethod")
                .map(|value| value.to_string())
        };
        NodeSelection {
            osimage: args.osimage.name().map(str::to_owned).or_else(own),
            node,
            nodes,
        }
    });
    Ok(choices.collect())
}

impl NodeSelection<'_> {
    /// Renders and compares; writes nothing.
    fn outcome(
        &self,
        renderer: &NodeRenderer<'_>,
        assets_dir: &AssetsDir,
        image: Option<&CheckedImage>,
    ) -> NodeReport {
        let mut outcome = NodeReport {
            node: self.node.clone(),
            osimage: self.osimage.clone().unwrap_or_default(),
            state: NodeState::Failed,
            files: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            armed_until: None,
            assets: Assets::default(),
        };
        if self.osimage.is_none() {
            let name = &self.node;
            outcome.problems.push(Problem::new(format!(
                "{name}: no osimage: nodeset {name} osimage=NAME, or chdef {name} provmethod=NAME"
            )));
        }
        // What is wrong with an osimage was reported once, with the osimage.
        let Some(checked) = image else { return outcome };
        match self.differences(renderer, assets_dir, checked) {
            Ok((assets, notes, files)) => {
                outcome.notes = notes;
                let changed = !files.is_empty();
                outcome.state = if changed {
                    NodeState::Written
                } else {
                    NodeState::Unchanged
                };
                outcome.files = files;
                // Ten thousand unchanged nodes need not be kept in memory.
                outcome.assets = if changed { assets } else { Assets::default() };
            }
            Err(problems) => outcome.problems = problems,
        }
        outcome
    }

    fn differences(
        &self,
        renderer: &NodeRenderer<'_>,
        assets_dir: &AssetsDir,
        checked: &CheckedImage,
    ) -> Result<(Assets, Vec<Problem>, Vec<FileDifference>), Vec<Problem>> {
        let problem =
            |error: &dyn std::fmt::Display| vec![Problem::new(format!("{}: {error}", self.node))];
        let node = self
            .nodes
            .node(&self.node)
            .map_err(|error| problem(&error))?;
        let (assets, notes) =
            render::assets(renderer, &node, &checked.image, &checked.environment)?;
        let files = assets_dir
            .compare(&self.node, &assets)
            .map_err(|error| problem(&format!("{error:#}")))?;
        Ok((assets, notes, files))
    }
}

/// Does the same for each, on every processor; the results are in the order of what was given.
fn in_parallel<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = all
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(act).collect::<Vec<_>>()))
            .collect();
        let finished = threads.into_iter().flat_map(|thread| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        finished.collect()
    })
}

/// Writes what differs.
fn publish(assets_dir: &AssetsDir, report: &Report) -> Result<()> {
    let changed = report
        .nodes
        .iter()
        .filter(|node| node.state == NodeState::Written);
    let changed: Vec<_> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    let writer = assets_dir.writer()?;
    let staged = in_parallel(&changed, |node| writer.stage(&node.node, &node.assets));
    staged.into_iter().collect::<Result<()>>()?;
    let names: Vec<_> = changed.iter().map(|node| node.node.as_str()).collect();
    writer.publish(&names)
}

/// Makes the definitions of nodes say what they were given, where they say something else.
fn record_provmethod(catalog: &Catalog, nodes: &Nodes, report: &Report) -> Result<()> {
    let given = report
        .nodes
        .iter()
        .filter(|node| node.state != NodeState::Failed);
    let other = given.filter(|node| {
        let own = nodes.own(&node.node);
        let current = own.and_then(|own| nodes.value(own, "provmethod"));
        current.is_none_or(|current| current.to_string() != node.osimage)
    });
    let other: Vec<_> = other.collect();
    if other.is_empty() {
        return Ok(());
    }
    let mut edit = catalog.edit()?;
    for node in other {
        let Some(mut object) = edit.find(ObjectKind::Node, &node.node)?.cloned() else {
            continue; // somebody removed it meanwhile
        };
        object.set("provmethod", &node.osimage)?;
        edit.put(&object)?;
    }
    edit.commit()
}
