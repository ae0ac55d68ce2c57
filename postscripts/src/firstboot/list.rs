//! The node's list: where it comes from, and which of its entries are selected.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use definitions::{Results, Runlist, ScriptLine, ScriptOrigin};

use super::job::{ScriptJob, ScriptPhase};
use super::paths::NodePaths;
use crate::files;
use crate::owner::load_state;

/// Loads the node's list.
pub(super) fn load(paths: &NodePaths) -> Result<Runlist> {
    let path = paths.list();
    let Some(bytes) = load_state(&path)? else {
        bail!(
            "there is no {}: it belongs to the node's assets; 'nodeset' writes them, and the installer or \
             'updatenode' brings it here",
            path.display()
        );
    };
    parse(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// Reads a new list from a file or, for `-`, from standard input, and keeps it on the node; also returns the nonce, if
/// a line before the list holds one.
///
/// One for another node, or one that cannot be read, changes nothing.
pub(super) fn receive(from: &Path, paths: &NodePaths) -> Result<(Runlist, String)> {
    let mut bytes = Vec::new();
    let reading = || format!("reading the new list from {}", from.display());
    let source: Box<dyn Read> = match from.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(from).with_context(reading)?),
    };
    source
        .take(Runlist::LIMIT + Results::MAX_NONCE_LENGTH as u64 + 2)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    let (nonce, bytes) = split(&bytes).with_context(reading)?;
    let list = parse(bytes).with_context(reading)?;
    if let Ok(old) = load(paths)
        && old.node != list.node
    {
        bail!(
            "the new list is for {} and this node is {}",
            list.node,
            old.node
        );
    }
    // Variables may be secrets of the site.
    if !matches!(files::load(&paths.list()), Ok(Some((old, 0o600))) if old == bytes) {
        let path = paths.list();
        files::replace(&path, bytes, 0o600)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok((list, nonce.to_owned()))
}

/// Splits the nonce, in a line of its own, from the list, which begins with a brace.
fn split(bytes: &[u8]) -> Result<(&str, &[u8])> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let is_nonce = (1..=Results::MAX_NONCE_LENGTH).contains(&line.len())
        && line.iter().all(u8::is_ascii_alphanumeric);
    if !is_nonce || line.len() == bytes.len() {
        return Ok(("", bytes));
    }
    Ok((std::str::from_utf8(line)?, &bytes[line.len() + 1..]))
}

fn parse(bytes: &[u8]) -> Result<Runlist> {
    if bytes.len() as u64 > Runlist::LIMIT {
        bail!("it has more than {} bytes", Runlist::LIMIT);
    }
    let list: Runlist = serde_json::from_slice(bytes)?;
    list.check()?;
    Ok(list)
}

/// Returns the entries of a phase in order; of equal ones the first.
pub(super) fn jobs(list: &Runlist, phase: ScriptPhase) -> Vec<ScriptJob> {
    let entries = match phase {
        ScriptPhase::Postscripts => list.postscripts.as_slice(),
        ScriptPhase::Postbootscripts => list.postbootscripts.as_slice(),
        ScriptPhase::Update => &[],
    };
    let mut jobs: Vec<ScriptJob> = Vec::new();
    for entry in entries {
        if jobs.iter().all(|job| job.line != entry.line) {
            jobs.push(ScriptJob {
                phase,
                origin: Some(entry.origin),
                line: entry.line.clone(),
            });
        }
    }
    jobs
}

/// Returns the entries of both phases.
pub(super) fn all(list: &Runlist) -> Vec<ScriptJob> {
    let mut all = jobs(list, ScriptPhase::Postscripts);
    all.extend(jobs(list, ScriptPhase::Postbootscripts));
    all
}

/// Returns what an update runs: what was asked for in the order in which it was, or everything.
pub(super) fn select(list: &Runlist, requested: &[String]) -> Result<Vec<ScriptJob>> {
    let all = all(list);
    if requested.is_empty() {
        return Ok(all);
    }
    let mut chosen: Vec<ScriptJob> = Vec::new();
    for text in requested {
        // A line of the list may hold commas of its own.
        let whole = all.iter().any(|job| job.line.to_string() == text.trim());
        let parts: Vec<_> = if whole {
            vec![text.as_str()]
        } else {
            ScriptLine::parts(text).collect()
        };
        for part in parts.into_iter().filter(|part| !part.trim().is_empty()) {
            for job in matching(&all, part)? {
                if !chosen.contains(&job) {
                    chosen.push(job);
                }
            }
        }
    }
    Ok(chosen)
}

/// Returns the entries that one word of the request means; what the list does not name is a script of its
/// own.
fn matching(all: &[ScriptJob], text: &str) -> Result<Vec<ScriptJob>> {
    let line: ScriptLine = text.parse()?;
    let named = |job: &&ScriptJob| {
        job.line == line || line.arguments().is_empty() && job.line.program() == line.program()
    };
    let mut found: Vec<_> = all.iter().filter(named).cloned().collect();
    let origin = match line.to_string().as_str() {
        "xcatdefaults" | "site" => Some(ScriptOrigin::Site),
        "osimage" => Some(ScriptOrigin::Osimage),
        "node" => Some(ScriptOrigin::Node),
        _ => None,
    };
    if found.is_empty() && origin.is_some() {
        found = all
            .iter()
            .filter(|job| job.origin == origin)
            .cloned()
            .collect();
        return Ok(found);
    }
    if found.is_empty() {
        found.push(ScriptJob {
            phase: ScriptPhase::Update,
            origin: None,
            line,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use definitions::RunlistEntry;

    use super::*;

    fn list() -> Runlist {
        let entry = |origin, line: &str| RunlistEntry {
            origin,
            line: line.parse().unwrap(),
        };
        Runlist {
            postscripts: vec![
                entry(ScriptOrigin::Site, "syslog"),
                entry(ScriptOrigin::Node, "syslog"),
            ],
            postbootscripts: vec![
                entry(ScriptOrigin::Site, "otherpkgs"),
                entry(ScriptOrigin::Osimage, "xHRM bridgeprereq eth0:a,eth1:b"),
                entry(ScriptOrigin::Node, "mine x"),
                entry(ScriptOrigin::Node, "mine y"),
                entry(ScriptOrigin::Node, "mine x"),
            ],
            ..Runlist::default()
        }
    }

    #[test]
    fn a_nonce_stands_in_a_line_before_the_list() {
        for (text, nonce, list) in [
            ("0af3\n{\"node\"\n", "0af3", "{\"node\"\n"),
            ("{\n}", "", "{\n}"),
            ("0af3", "", "0af3"),
            ("0a f3\n{}", "", "0a f3\n{}"),
            ("\n{}", "", "\n{}"),
        ] {
            assert_eq!(
                split(text.as_bytes()).unwrap(),
                (nonce, list.as_bytes()),
                "{text:?}"
            );
        }
        let long = format!("{}\n{{}}", "a".repeat(Results::MAX_NONCE_LENGTH + 1));
        assert_eq!(split(long.as_bytes()).unwrap().0, "");
    }

    #[test]
    fn an_update_runs_what_was_asked_for_once_and_in_that_order() {
        let all = "syslog|otherpkgs|xHRM bridgeprereq eth0:a,eth1:b|mine x|mine y";
        for (asked_for, expected) in [
            (&[][..], all),
            (&["mine"][..], "mine x|mine y"),
            (&["mine y,mine"], "mine y|mine x"),
            (&["mine x,otherpkgs", "syslog"], "mine x|otherpkgs|syslog"),
            (
                &["xHRM bridgeprereq eth0:a,eth1:b"],
                "xHRM bridgeprereq eth0:a,eth1:b",
            ),
            (&["xcatdefaults"], "syslog|otherpkgs"),
            (
                &["osimage,node"],
                "xHRM bridgeprereq eth0:a,eth1:b|mine x|mine y",
            ),
            (&["other z"], "other z"),
            (&["other 'y,z',syslog"], "other 'y,z'|syslog"),
            (&["mine z,"], "mine z"),
        ] {
            let asked_for: Vec<_> = asked_for.iter().map(|&text| text.to_owned()).collect();
            let jobs = select(&list(), &asked_for).unwrap();
            let lines: Vec<_> = jobs.iter().map(|job| job.line.to_string()).collect();
            assert_eq!(lines.join("|"), expected, "{asked_for:?}");
        }
        let error = select(&list(), &["../mine".to_owned()]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("'../mine' is not a script and its arguments")
        );
    }
}
