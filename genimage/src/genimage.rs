//! `genimage`: what an osimage installs, rendered and checked with a stand-in for a node.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use definitions::{Node, Nodes, OsImage};

use crate::cli::genimage::{Action, Args};
use crate::library::{Exported, Kind, Origin};
use crate::prepare::Workshop;
use crate::problem::Problem;
use crate::render;

/// Runs `genimage`.
///
/// # Errors
/// When the definitions cannot be read or something cannot be written; what is wrong with the osimage is
/// reported, and makes the exit code 1.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let nodes = catalog.nodes()?;
    let workshop = Workshop::open(&catalog, &nodes)?;
    match args.action()? {
        Action::List(None) => list_all(&workshop),
        Action::List(Some(name)) => list_for(&workshop, &catalog.load(name)?),
        Action::Export(directory) => export(&workshop, directory),
        Action::Context(name) => {
            let (ready, said) = workshop.prepare(&catalog, name)?;
            let Some(ready) = ready else {
                return complain(&said.problems);
            };
            let desk = workshop.desk(&nodes);
            match desk.brief(&stand_in(&nodes), &ready.image, &ready.environment) {
                Ok(brief) => print(&[serde_json::to_string_pretty(&brief.context)?])?,
                Err(problems) => return complain(&problems),
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Check(name) => {
            let (ready, mut said) = workshop.prepare(&catalog, name)?;
            let mut assets = None;
            if let Some(ready) = &ready {
                let rendered = render::assets(
                    &workshop.desk(&nodes),
                    &stand_in(&nodes),
                    &ready.image,
                    &ready.environment,
                );
                match rendered {
                    Ok((rendered, notes)) => {
                        said.notes.extend(notes);
                        assets = Some(rendered);
                    }
                    Err(problems) => said.problems.extend(problems),
                }
            }
            args.tell(name, &said, assets.as_ref())
        }
    }
}

/// A node that could be one of the site's, and is none.
fn stand_in(nodes: &Nodes) -> Node {
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
fn list_all(workshop: &Workshop) -> Result<ExitCode> {
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for kind in [Kind::Template, Kind::PkgList] {
        match workshop.library().custom(kind) {
            Ok(files) => lines.extend(files.iter().map(|(_, asset)| asset.origin.to_string())),
            Err(problems) => wrong.extend(problems),
        }
        let embedded = workshop.library().embedded(kind);
        lines.extend(embedded.map(|(name, _)| Origin::Embedded(name).to_string()));
    }
    print(&lines)?;
    complain(&wrong)
}

/// Names the files that an osimage is made of: who won, why, and who stands in the shadow.
fn list_for(workshop: &Workshop, image: &OsImage) -> Result<ExitCode> {
    let (target, family) = match crate::image::target(image) {
        Ok(found) => found,
        Err(problems) => return complain(&problems),
    };
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    let named = [
        ("template", Kind::Template, image.template.as_slice()),
        ("pkglist", Kind::PkgList, &image.pkglist),
        ("otherpkglist", Kind::OtherPkgList, &image.otherpkglist),
    ];
    for (attribute, kind, names) in named {
        lines.push(format!("{attribute}:"));
        if !names.is_empty() {
            for name in names {
                match workshop.library().named(kind, family, name) {
                    Ok(asset) => lines.push(format!("  {}: the osimage names it", asset.origin)),
                    Err(problem) => wrong.push(problem),
                }
            }
            continue;
        }
        match workshop.library().found(kind, &target) {
            Ok(found) if found.is_empty() => {
                lines.push(format!("  none for {family}", family = family.name()))
            }
            Ok(found) => lines.extend(found.iter().enumerate().map(|(at, found)| {
                let shadowed = if at == 0 { "" } else { "shadowed: " };
                format!("  {shadowed}{}: {}", found.origin, found.rung)
            })),
            Err(problem) => wrong.push(problem),
        }
    }
    print(&lines)?;
    complain(&wrong)
}

/// Writes what is built in where it can be edited.
fn export(workshop: &Workshop, directory: &std::path::Path) -> Result<ExitCode> {
    let exported = workshop.library().export(directory)?;
    let lines: Vec<_> = exported
        .iter()
        .map(|file| match file {
            Exported::Written(path) => format!("{}: written", path.display()),
            Exported::Same(path) => format!("{}: there already", path.display()),
            Exported::Kept(path) => format!("{}: was edited, and stays", path.display()),
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

fn complain(problems: &[Problem]) -> Result<ExitCode> {
    for problem in problems {
        eprintln!("genimage: {problem}");
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
