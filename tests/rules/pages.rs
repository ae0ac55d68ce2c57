//! What holds of the pages: what they name exists, every page can be found, and each begins with what it teaches.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::workspace;

use super::{Metadata, array, strings, text};

/// Every command line in a fenced block of the README: `make VERB` must be a verb of the Makefile,
/// anything else one of our binaries, or a program that every administrator has.
pub(super) fn readme_commands_exist() -> Result<()> {
    let metadata = Metadata::load()?;
    let binaries: BTreeSet<_> = metadata
        .packages
        .iter()
        .filter(|package| metadata.members.contains(&text(&package["name"])))
        .flat_map(|package| array(&package["targets"]))
        .filter(|target| array(&target["kind"]).iter().any(|kind| kind == "bin"))
        .map(|target| text(&target["name"]))
        .collect();
    let makefile = fs::read_to_string(workspace().join("Makefile"))?;
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    let mut seen = 0;
    for line in commands(&readme) {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default();
        let exists = match program {
            "make" => words
                .find(|word| !word.contains('='))
                .is_some_and(|verb| makefile.contains(&format!("\n{verb}:"))),
            "curl" | "docker" | "export" | "ping" | "scp" | "ssh" => true,
            _ => binaries.contains(program),
        };
        ensure!(
            exists,
            "the README tells to type '{line}', which does not exist"
        );
        seen += 1;
    }
    ensure!(seen > 0, "the README tells nothing to type");
    Ok(())
}

/// The lines of fenced blocks that are typed: those after `$ ` where a block has such, else every
/// line that begins with `make`.
fn commands(page: &str) -> Vec<String> {
    page.split("```")
        .skip(1)
        .step_by(2)
        .flat_map(str::lines)
        .filter_map(|line| {
            line.strip_prefix("$ ")
                .or(line.starts_with("make ").then_some(line))
        })
        .map(str::to_owned)
        .collect()
}

pub(super) fn links_lead_somewhere() -> Result<()> {
    let output = Command::new("git")
        .args(["ls-files", "*.md"])
        .current_dir(workspace())
        .output()?;
    for page in String::from_utf8(output.stdout)?.lines() {
        let path = workspace().join(page);
        let content = fs::read_to_string(&path)?;
        for target in content
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let outside = target.starts_with("http") || file.is_empty();
            let exists = outside || path.with_file_name(file).exists();
            ensure!(exists, "{page} links to {target}, which is not there");
        }
    }
    Ok(())
}

/// Returns the pages of the documentation, by name.
fn pages() -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(workspace().join("docs"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            pages.push((name.into_owned(), fs::read_to_string(&path)?));
        }
    }
    ensure!(!pages.is_empty(), "there are no pages");
    Ok(pages)
}

pub(super) fn begin_with_what_they_teach() -> Result<()> {
    for (name, page) in pages()? {
        let mut blocks = page.split("\n\n");
        let title = blocks.next().is_some_and(|title| title.starts_with("# "));
        let taught = blocks
            .next()
            .is_some_and(|lead| lead.starts_with("After reading this page you "));
        let begins = page.lines().take(15).any(|line| line.starts_with("```"));
        ensure!(
            title && taught && begins,
            "docs/{name} does not begin with a title, 'After reading this page you …', and a command to copy"
        );
    }
    Ok(())
}

pub(super) fn are_in_the_summary() -> Result<()> {
    let summary = fs::read_to_string(workspace().join("docs/SUMMARY.md"))?;
    for (name, _) in pages()? {
        ensure!(
            summary.contains(&format!("]({name})")),
            "docs/SUMMARY.md does not name {name}: the site would lack it"
        );
    }
    Ok(())
}

/// Every message in a table of the page about troubleshooting, between its `…`, is in a source or a test of the programs.
pub(super) fn quoted_messages_exist() -> Result<()> {
    let mut sources = String::new();
    for room in rooms()? {
        for part in ["src", "tests"] {
            read_sources(&workspace().join(&room).join(part), &mut sources)?;
        }
    }
    let page = fs::read_to_string(workspace().join("docs/troubleshooting.md"))?;
    let (mut looked_for, mut missing) = (0, Vec::new());
    for row in page.lines().filter_map(|line| line.strip_prefix("| ")) {
        let message = row.split(" | ").next().unwrap_or_default();
        for quoted in message.split('`').skip(1).step_by(2) {
            for part in quoted
                .split('…')
                .map(|part| part.trim_matches([' ', ':', ';', ',', '.', '?']))
            {
                if part.len() < 10 {
                    continue;
                }
                looked_for += 1;
                if !sources.contains(part) {
                    missing.push(format!("  '{part}' of '{quoted}'"));
                }
            }
        }
    }
    ensure!(looked_for > 30, "the page has {looked_for} messages");
    ensure!(
        missing.is_empty(),
        "docs/troubleshooting.md quotes messages that no program prints:\n{}",
        missing.join("\n")
    );
    Ok(())
}

/// Lists the rooms whose programs users see.
fn rooms() -> Result<Vec<String>> {
    let manifest: toml::Table = fs::read_to_string(workspace().join("Cargo.toml"))?.parse()?;
    let mut rooms = strings(&manifest["workspace"]["members"]);
    rooms.retain(|room| room != "tests");
    Ok(rooms)
}

/// Appends all Rust sources of a directory, with string literals that go on in the next line joined.
fn read_sources(directory: &Path, sources: &mut String) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?.replace("\\\"", "\"");
            let mut parts = text.split("\\\n");
            sources.push_str(parts.next().unwrap_or_default());
            parts.for_each(|part| sources.push_str(part.trim_start()));
            sources.push('\n');
        }
    }
    Ok(())
}

pub(super) fn picture_is_current() -> Result<()> {
    let source = workspace().join("docs/chain.dot");
    let output = Command::new("sha256sum").arg(&source).output()?;
    let output = String::from_utf8(output.stdout)?;
    let digest = output
        .split(' ')
        .next()
        .context("sha256sum prints nothing")?;
    let picture = fs::read_to_string(workspace().join("docs/chain.svg"))?;
    ensure!(
        picture.contains(&format!("docs/chain.dot {digest}")),
        "docs/chain.svg is not rendered from docs/chain.dot as it is: run UPDATE=1 make docs"
    );
    Ok(())
}
