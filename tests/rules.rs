//! What holds of the house itself: who depends on whom, under which licences, and that what the pages
//! name exists.

mod names;
mod pages;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, same, trial, workspace};
use libtest_mimic::Trial;
use serde_json::Value;

/// The sources that have an exception from the lint against `unsafe`, which says its reason.
const UNSAFE: [&str; 1] = ["postscripts/src/netboot/device_mapper.rs"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "rules::rooms_form_a_star_around_definitions",
            &[],
            rooms_form_a_star,
        ),
        trial(
            "rules::fenced_crates_are_used_by_their_room_alone",
            &[],
            fences_hold,
        ),
        trial(
            "rules::every_dependency_has_an_allowed_licence",
            &[],
            licences_are_allowed,
        ),
        trial(
            "rules::every_dependency_comes_from_the_registry",
            &[],
            sources_are_known,
        ),
        trial(
            "rules::every_member_takes_the_workspace_lints",
            &[],
            lints_are_taken,
        ),
        trial(
            "rules::programs_have_no_tests_of_their_own",
            &[],
            programs_have_no_tests,
        ),
        trial(
            "rules::what_the_readme_tells_to_type_exists",
            &[],
            pages::readme_commands_exist,
        ),
        trial(
            "rules::links_between_pages_lead_somewhere",
            &[Need::Tools(&["git"])],
            pages::links_lead_somewhere,
        ),
        trial(
            "rules::every_page_begins_with_what_it_teaches_and_a_command",
            &[],
            pages::begin_with_what_they_teach,
        ),
        trial(
            "rules::every_page_is_in_the_summary",
            &[],
            pages::are_in_the_summary,
        ),
        trial(
            "rules::messages_that_troubleshooting_quotes_exist",
            &[],
            pages::quoted_messages_exist,
        ),
        trial(
            "rules::the_picture_is_rendered_from_its_source",
            &[],
            pages::picture_is_current,
        ),
        trial(
            "rules::type_names_are_found_in_sources",
            &[],
            names::types_are_found,
        ),
        trial(
            "rules::few_type_names_are_repeated",
            &[],
            names::few_are_repeated,
        ),
        trial(
            "rules::functions_are_measured_in_sources",
            &[],
            sizes::functions_are_measured,
        ),
        trial(
            "rules::files_and_functions_of_programs_are_short",
            &[],
            sizes::files_and_functions_are_short,
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
        ensure!(
            !sibling
                || used == "definitions"
                || (used == "repodata" && ["copycds", "genimage"].contains(&user.as_str())),
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
    let mut exceptions = sizes::sources()?;
    exceptions.retain(|(_, text)| text.contains("unsafe_code"));
    let exceptions: Vec<_> = exceptions.into_iter().map(|(path, _)| path).collect();
    same(&exceptions, &UNSAFE.map(str::to_owned).to_vec())
}

/// `tests/run` builds no program for tests of its own: one that had some would not be run by it.
fn programs_have_no_tests() -> Result<()> {
    for package in Metadata::load()?.packages {
        if !package["source"].is_null() {
            continue; // others'
        }
        for target in array(&package["targets"]) {
            if target["kind"] != serde_json::json!(["bin"]) {
                continue;
            }
            let path = text(&target["src_path"]);
            let source = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            ensure!(
                !source.contains("#[test]") && !source.contains("cfg(test)"),
                "{path} has tests, which tests/run would not run: move them to the library of its room"
            );
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
