//! `genimage`: what an osimage installs, rendered and checked with a placeholder for a node.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use definitions::{Catalog, Node, Nodes, OsImage, ProvMethod};
use nix::sys::stat::Mode;

use crate::cli::genimage::{Args, GenimageAction};
use crate::library::{AssetKind, AssetOrigin, Exported};
use crate::problem::Problem;
use crate::render;
use crate::rootimg;
use crate::site_context::SiteContext;

/// Runs `genimage`.
///
/// # Errors
/// When the definitions cannot be read or something cannot be written; what is wrong with the osimage is
/// reported, and makes the exit code 1.
pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(stage) = args.stage() {
        return rootimg::inside::run(stage);
    }
    let catalog = args.config.catalog();
    let nodes = catalog.nodes()?;
    let site = SiteContext::open(&catalog, &nodes)?;
    let action = args.action()?;
    if !matches!(action, GenimageAction::Check(_)) {
        site.check()?;
    }
    match action {
        GenimageAction::List(None) => list_all(&site),
        GenimageAction::List(Some(name)) => list_for(&site, &catalog.load(name)?),
        GenimageAction::Export(directory) => export(&site, directory),
        GenimageAction::Context(name) => {
            let (checked, report) = site.prepare(&catalog, name)?;
            let Some(checked) = checked else {
                return print_problems(&report.problems);
            };
            let renderer = site.renderer(&nodes);
            match renderer.context(
                &placeholder_node(&nodes),
                &checked.image,
                &checked.environment,
            ) {
                Ok(context) => print(&[serde_json::to_string_pretty(&context.context)?])?,
                Err(problems) => return print_problems(&problems),
            }
            Ok(ExitCode::SUCCESS)
        }
        GenimageAction::Check(name) if is_netboot(&catalog, name)? => {
            // What nodes fetch is read by a web server, however careful the umask of who publishes it.
            nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
            let options = args.build_options();
            let unsigned = if options.dry_run || options.diff {
                None
            } else {
                site.sign_tree(&catalog, name)?
            };
            let (spec, mut report) = site.prepare_root(&catalog, name, args.from())?;
            report.notes.extend(unsigned);
            let built = spec.map(|spec| rootimg::build::build(&spec, options));
            args.print_root(name, &report, built)
        }
        GenimageAction::Check(name) => {
            args.ensure_no_root(name)?;
            let (checked, mut report) = site.prepare(&catalog, name)?;
            report.problems.splice(0..0, site.problems.iter().cloned());
            let mut assets = None;
            if let Some(checked) = &checked {
                let rendered = render::assets(
                    &site.renderer(&nodes),
                    &placeholder_node(&nodes),
                    &checked.image,
                    &checked.environment,
                );
                match rendered {
                    Ok((rendered, notes)) => {
                        report.notes.extend(notes);
                        assets = Some(rendered);
                    }
                    Err(problems) => report.problems.extend(problems),
                }
            }
            args.print(name, &report, assets.as_ref())
        }
    }
}

fn is_netboot(catalog: &Catalog, name: &str) -> Result<bool> {
    let image: OsImage = catalog.load(name)?;
    Ok(image.provmethod == Some(ProvMethod::Netboot))
}

/// A node with a name that no node of the site has.
fn placeholder_node(nodes: &Nodes) -> Node {
    let names = (0..).map(|number| {
        if number == 0 {
            "node".to_owned()
        } else {
            format!("node{number}")
        }
    });
    let mut free = names.filter(|name| nodes.own(name).is_none());
    Node {
        name: free.next().unwrap_or_default(),
        mac: "02:00:00:00:00:00".parse().ok(), // locally administered: no vendor gives it out
        ..Node::default()
    }
}

/// Names every list and template there is, the administrator's own first.
fn list_all(site: &SiteContext) -> Result<ExitCode> {
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for kind in [AssetKind::Template, AssetKind::PkgList] {
        match site.library().custom(kind) {
            Ok(files) => lines.extend(files.iter().map(|(_, asset)| asset.origin.to_string())),
            Err(problems) => wrong.extend(problems),
        }
        let embedded = site.library().embedded(kind);
        lines.extend(embedded.map(|(name, _)| AssetOrigin::Embedded(name).to_string()));
    }
    print(&lines)?;
    print_problems(&wrong)
}

/// Names the files that an osimage is made of: which one wins, why, and which are shadowed.
fn list_for(site: &SiteContext, image: &OsImage) -> Result<ExitCode> {
    let (target, family) = match crate::image::target(image) {
        Ok(found) => found,
        Err(problems) => return print_problems(&problems),
    };
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    let named = [
        ("template", AssetKind::Template, image.template.as_slice()),
        ("pkglist", AssetKind::PkgList, &image.pkglist),
        ("otherpkglist", AssetKind::OtherPkgList, &image.otherpkglist),
    ];
    for (attribute, kind, names) in named {
        lines.push(format!("{attribute}:"));
        if !names.is_empty() {
            for name in names {
                match site.library().named(kind, family, name) {
                    Ok(asset) => lines.push(format!("  {}: the osimage names it", asset.origin)),
                    Err(problem) => wrong.push(problem),
                }
            }
            continue;
        }
        match site.library().found(kind, &target) {
            Ok(found) if found.is_empty() => {
                lines.push(format!("  none for {family}", family = family.name()))
            }
            Ok(found) => lines.extend(found.iter().enumerate().map(|(at, found)| {
                let shadowed = if at == 0 { "" } else { "shadowed: " };
                format!("  {shadowed}{}: {}", found.origin, found.name_found)
            })),
            Err(problem) => wrong.push(problem),
        }
    }
    print(&lines)?;
    print_problems(&wrong)
}

/// Writes what is built in where it can be edited.
fn export(site: &SiteContext, directory: &std::path::Path) -> Result<ExitCode> {
    let exported = site.library().export(directory)?;
    let lines: Vec<_> = exported
        .iter()
        .map(|file| match file {
            Exported::Written(path) => format!("{}: written", path.display()),
            Exported::Same(path) => format!("{}: exists already", path.display()),
            Exported::Kept(path) => format!("{}: was edited, and is kept", path.display()),
        })
        .collect();
    print(&lines)?;
    Ok(ExitCode::SUCCESS)
}

fn print(lines: &[String]) -> Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush().context("printing")
}

fn print_problems(problems: &[Problem]) -> Result<ExitCode> {
    for problem in problems {
        eprintln!("genimage: {problem}");
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
