//! What holds of the house itself: who depends on whom, under which licences, and that what the pages
//! name exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, story, workspace};
use libtest_mimic::Trial;
use serde_json::Value;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story(
            "rules::rooms_form_a_star_on_definitions_and_repodata",
            &[],
            rooms_form_a_star,
        ),
        story(
            "rules::fenced_crates_are_used_by_their_room_alone",
            &[],
            fences_hold,
        ),
        story(
            "rules::every_dependency_has_an_allowed_licence",
            &[],
            licences_are_allowed,
        ),
        story(
            "rules::every_dependency_comes_from_the_registry",
            &[],
            sources_are_known,
        ),
        story(
            "rules::every_member_takes_the_workspace_lints",
            &[],
            lints_are_taken,
        ),
        story(
            "rules::what_the_readme_tells_to_type_exists",
            &[],
            readme_commands_exist,
        ),
        story(
            "rules::links_between_pages_lead_somewhere",
            &[Need::Tools(&["git"])],
            links_lead_somewhere,
        ),
    ]
}

/// What cargo knows of every package, ours and others'.
struct Metadata {
    packages: Vec<Value>,
    members: BTreeSet<String>,
}

impl Metadata {
    fn load() -> Result<Self> {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version=1",
                "--locked",
                "--all-features",
            ])
            .current_dir(workspace())
            .output()
            .context("running cargo metadata")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_slice(&output.stdout)?;
        let ids: BTreeSet<_> = array(&json["workspace_members"]).iter().map(text).collect();
        let packages = array(&json["packages"]).to_vec();
        let is_member = |package: &&Value| ids.contains(&text(&package["id"]));
        let members = packages
            .iter()
            .filter(is_member)
            .map(|package| text(&package["name"]))
            .collect();
        Ok(Self { packages, members })
    }

    /// Every dependency as (user, used, kind): what the manifests say, whether a feature is on or off.
    fn edges(&self) -> impl Iterator<Item = (String, String, Option<String>)> {
        self.packages.iter().flat_map(|package| {
            array(&package["dependencies"]).iter().map(|dependency| {
                let kind = dependency["kind"].as_str().map(str::to_owned);
                (text(&package["name"]), text(&dependency["name"]), kind)
            })
        })
    }
}

fn rooms_form_a_star() -> Result<()> {
    let metadata = Metadata::load()?;
    for (user, used, _) in metadata.edges() {
        let sibling = metadata.members.contains(&user) && metadata.members.contains(&used);
        let readers = ["copycds", "genimage"];
        let on_the_floor =
            used == "definitions" || used == "repodata" && readers.contains(&user.as_str());
        ensure!(
            !sibling || on_the_floor,
            "{user} imports its sibling {used}"
        );
    }
    Ok(())
}

fn fences_hold() -> Result<()> {
    let deny = deny_toml()?;
    let fences: BTreeMap<_, BTreeSet<_>> = deny["bans"]["deny"]
        .as_array()
        .context("deny.toml has no bans.deny")?
        .iter()
        .map(|fence| {
            (
                strings(&fence["name"]).concat(),
                strings(&fence["wrappers"]).into_iter().collect(),
            )
        })
        .collect();
    ensure!(!fences.is_empty(), "deny.toml fences nothing");
    for (user, used, kind) in Metadata::load()?.edges() {
        if let Some(wrappers) = fences.get(&used) {
            let allowed = kind.as_deref() == Some("dev") || wrappers.contains(&user);
            ensure!(allowed, "{user} uses {used}, which belongs to {wrappers:?}");
        }
    }
    Ok(())
}

fn licences_are_allowed() -> Result<()> {
    let deny = deny_toml()?;
    let allowed: BTreeSet<_> = strings(&deny["licenses"]["allow"]).into_iter().collect();
    for package in Metadata::load()?.packages {
        let licence = text(&package["license"]);
        ensure!(
            permits(&licence, &allowed),
            "{} is under '{licence}'",
            package["name"]
        );
    }
    Ok(())
}

/// Whether an SPDX expression can be satisfied by allowed licences: `OR` chooses, `AND` (which binds
/// tighter) and brackets demand. The old form `A/B` means `A OR B`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((before, rest)) = expression.split_once('(') {
        let Some((inner, after)) = rest.split_once(')') else {
            return false;
        };
        let value = if permits(inner, allowed) {
            allowed.first()
        } else {
            None
        };
        let value = value.map_or("none", String::as_str);
        return permits(&format!("{before}{value}{after}"), allowed);
    }
    expression.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|licence| allowed.contains(licence.trim()))
    })
}

fn sources_are_known() -> Result<()> {
    for package in Metadata::load()?.packages {
        let source = package["source"].as_str().unwrap_or("registry+ (ours)");
        ensure!(
            source.starts_with("registry+"),
            "{} comes from {source}",
            package["name"]
        );
    }
    Ok(())
}

fn lints_are_taken() -> Result<()> {
    let members: toml::Table = fs::read_to_string(workspace().join("Cargo.toml"))?.parse()?;
    for member in strings(&members["workspace"]["members"]) {
        let path = workspace().join(&member).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(&path)?.parse()?;
        let takes = manifest
            .get("lints")
            .is_some_and(|lints| lints["workspace"].as_bool() == Some(true));
        ensure!(
            takes,
            "{} does not take the workspace's lints",
            path.display()
        );
    }
    Ok(())
}

/// Every command line in a fenced block of the README: `make VERB` must be a verb of the Makefile,
/// anything else one of our binaries, or a program that every administrator has.
fn readme_commands_exist() -> Result<()> {
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

fn links_lead_somewhere() -> Result<()> {
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

fn deny_toml() -> Result<toml::Table> {
    Ok(fs::read_to_string(workspace().join("deny.toml"))?.parse()?)
}

fn strings(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::Array(values) => values.iter().flat_map(strings).collect(),
        toml::Value::String(value) => vec![value.clone()],
        _ => Vec::new(),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
