//! `nodeset`: what nodes fetch while they install, rendered, checked and published.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use definitions::{Catalog, EnrolmentToken, Nodes, ObjectKind, in_parallel};
use nix::sys::stat::Mode;

use crate::arming::TrustProgram;
use crate::assets::{Assets, AssetsDir, AssetsWriter, FileDifference};
use crate::cli::nodeset::Args;
use crate::context::BootSigners;
use crate::node_archive::NodeArchive;
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
    let trust = TrustProgram::of(&catalog);
    if site.signs {
        for image in checked.values_mut() {
            image.sign(&trust, site.installdir())?;
        }
    }
    let enrolment = enrolment(&args, &site)?;
    let mut renderer = site.renderer(&nodes);
    renderer.enrolment = enrolment.as_ref();
    let assets_dir = site.assets_dir();
    let provisioning = Provisioning {
        args: &args,
        trust,
        has_problems: !report.problems.is_empty(),
        renderer,
        assets_dir: &assets_dir,
        checked,
    };
    let mut staged = StagedNodes::default();
    for batch in chosen.chunks(BATCH) {
        let nodes = provisioning.batch(batch, &mut staged);
        let nodes = nodes.map_err(|error| provisioning.disarm(&staged.armed, error))?;
        report.nodes.extend(nodes);
    }
    let has_authority = provisioning.renderer.authority.is_some();
    if report.nodes.iter().any(NodeReport::differs) {
        report.notes.push(level_note(has_authority, site.signs));
    }
    if !args.dry_run {
        if args.disarm && has_authority {
            let trust = &provisioning.trust;
            trust.disarm(&report.sound()).context("disarming nodes")?;
        }
        if let Some(writer) = staged.writer {
            writer.publish(&report.written())?;
        }
        for checked in provisioning.checked.values() {
            site.keep_record(&checked.image);
        }
        record_provmethod(&catalog, &nodes, &report)?;
    }
    args.print(&report)
}

/// How many nodes are rendered, armed, staged and signed at a time: the files of no more nodes are in memory.
const BATCH: usize = 500;

/// What makes the files of nodes, and where they go.
struct Provisioning<'a> {
    args: &'a Args,
    trust: TrustProgram,
    /// Whether something is wrong with the site: its nodes are checked all the same, and nothing is written.
    has_problems: bool,
    renderer: NodeRenderer<'a>,
    assets_dir: &'a AssetsDir,
    checked: BTreeMap<String, CheckedImage>,
}

/// What was staged so far.
#[derive(Debug, Default)]
struct StagedNodes<'a> {
    writer: Option<AssetsWriter<'a>>,
    /// The nodes that were armed for it.
    armed: Vec<String>,
}

/// A node with its files, before they are staged.
struct RenderedNode {
    report: NodeReport,
    /// Those of a node whose files differ from the published ones.
    assets: Assets,
}

impl<'a> Provisioning<'a> {
    /// Renders some nodes, and stages what differs from what is published, signed where nodes check it; the first that does
    /// begins to write.
    fn batch(
        &self,
        batch: &[NodeSelection<'_>],
        staged: &mut StagedNodes<'a>,
    ) -> Result<Vec<NodeReport>> {
        let mut nodes = in_parallel(batch, |choice| self.rendered(choice));
        let is_written = |node: &&mut RenderedNode| node.report.state == NodeState::Written;
        let mut written: Vec<_> = nodes.iter_mut().filter(is_written).collect();
        if !written.is_empty() {
            let StagedNodes { writer, armed } = staged;
            let writer = match writer {
                Some(writer) => writer,
                none => none.insert(self.assets_dir.writer()?),
            };
            if self.renderer.enrolment.is_some() {
                self.arm(&mut written)?;
                armed.extend(written.iter().map(|node| node.report.node.clone()));
            }
            let stage = |node: &&mut RenderedNode| writer.stage(&node.report.node, &node.assets);
            in_parallel(&written, stage)
                .into_iter()
                .collect::<Result<()>>()?;
            if self.renderer.signs {
                self.sign(&written, writer)?;
            }
        }
        Ok(nodes.into_iter().map(|node| node.report).collect())
    }

    /// Renders and compares; writes nothing.
    fn rendered(&self, choice: &NodeSelection<'_>) -> RenderedNode {
        let image = choice.osimage.as_ref();
        let image = image.and_then(|name| self.checked.get(name));
        let mut node = choice.outcome(&self.renderer, self.assets_dir, image);
        let RenderedNode { report, assets } = &mut node;
        if self.has_problems {
            report.state = NodeState::Failed;
        } else if report.state == NodeState::Written {
            if self.args.diff {
                let published = |file: &str| self.assets_dir.read(&choice.node, file);
                report.diff = report.diff_of(assets, published);
            }
            if self.args.dry_run {
                report.state = NodeState::WouldWrite;
            }
        }
        node
    }

    /// Arms nodes, and puts what each of them enrols with into its files.
    ///
    /// # Errors
    /// When they cannot be armed; nothing is published then.
    fn arm(&self, nodes: &mut [&mut RenderedNode]) -> Result<()> {
        let names: Vec<_> = nodes.iter().map(|node| node.report.node.as_str()).collect();
        let armed = self.trust.arm(&names, self.args.term());
        let armed = armed.context("arming nodes")?;
        let placeholder = EnrolmentToken::placeholder().reveal();
        for RenderedNode { report, assets } in nodes.iter_mut().map(|node| &mut **node) {
            if let Some(armed) = armed.get(&report.node) {
                assets.replace(&placeholder, &armed.token.reveal());
                report.armed_until = Some(armed.until.clone());
            }
        }
        Ok(())
    }

    /// Disarms nodes whose files are not published because of an error, and returns that.
    fn disarm(&self, armed: &[String], error: anyhow::Error) -> anyhow::Error {
        let names: Vec<_> = armed.iter().map(String::as_str).collect();
        match self.trust.disarm(&names) {
            Ok(()) => error,
            Err(why) => anyhow!("{error:#}; then disarming nodes that were armed: {why:#}"),
        }
    }

    /// Has what nodes boot of their own signed, as it is staged.
    ///
    /// # Errors
    /// When it cannot be signed; nothing is published then.
    fn sign(&self, nodes: &[&mut RenderedNode], writer: &AssetsWriter<'_>) -> Result<()> {
        let files = nodes.iter().flat_map(|RenderedNode { report, assets }| {
            let node = &report.node;
            let signer = BootSigners::new("", node).node;
            let files = NodeArchive::BOOTED
                .into_iter()
                .filter(|file| assets.file(file).is_some());
            files.map(move |file| (signer.clone(), writer.staged(node, file)))
        });
        self.trust.sign(&files.collect::<Vec<_>>(), None)
    }
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
fn level_note(has_authority: bool, signs: bool) -> Problem {
    Problem::new(if signs {
        "nodes boot what the site signed alone once its iPXE runs (makedhcp -n). Firmware loads that unchecked: whoever \
         answers in this machine's place then is root on them; and whoever reads an archive first can enrol as its node, \
         which raises an alarm"
    } else if has_authority {
        "boot script, kernel and boot archive travel by plain HTTP: whoever answers on the nodes' network in this machine's \
         place while they boot is root on them, and whoever reads an archive first can enrol as its node, which raises an \
         alarm: keep that network separate"
    } else {
        "the site has no authority (slipway-trust init): nodes do not enrol, and whoever answers on their network in this \
         machine's place while they boot is root on them: keep that network separate"
    })
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
    ) -> RenderedNode {
        let mut assets = Assets::default();
        let mut report = NodeReport {
            node: self.node.clone(),
            osimage: self.osimage.clone().unwrap_or_default(),
            state: NodeState::Failed,
            files: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            armed_until: None,
            diff: String::new(),
        };
        if self.osimage.is_none() {
            let name = &self.node;
            report.problems.push(Problem::new(format!(
                "{name}: no osimage: nodeset {name} osimage=NAME, or chdef {name} provmethod=NAME"
            )));
        }
        // What is wrong with an osimage was reported once, with the osimage.
        let Some(checked) = image else {
            return RenderedNode { report, assets };
        };
        match self.differences(renderer, assets_dir, checked) {
            Ok((rendered, notes, files)) => {
                report.notes = notes;
                report.state = NodeState::Unchanged;
                if !files.is_empty() {
                    report.state = NodeState::Written;
                    assets = rendered;
                }
                report.files = files;
            }
            Err(problems) => report.problems = problems,
        }
        RenderedNode { report, assets }
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
        let (mut assets, notes) =
            render::assets(renderer, &node, &checked.image, &checked.environment)?;
        for (name, signature) in &checked.signatures {
            assets.add(name, signature.as_slice());
        }
        let files = assets_dir
            .compare(&self.node, &assets)
            .map_err(|error| problem(&format!("{error:#}")))?;
        Ok((assets, notes, files))
    }
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
