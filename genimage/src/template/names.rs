//! The names in templates: which template asks for which other, and for which fields of the context.
//!
//! Tera takes a name that does not exist for false where it is only asked for, and tells no more of a
//! template's fields than their first part. Both are looked up here before anything is rendered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use definitions::best_match;

use super::scan::Scan;
use super::{BUILT_IN, TemplateSource};
use crate::context::ContextFields;
use crate::problem::{FileLine, Problem};

/// Returns the wanted templates and all that they extend or include.
pub(super) fn reachable(
    all: &BTreeMap<String, TemplateSource>,
    wanted: &[&str],
) -> Result<HashMap<String, TemplateSource>, Vec<Problem>> {
    let mut found = HashMap::new();
    let mut problems = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for name in wanted {
        match resolve(name, all) {
            Some(source) => open.push(source.name.clone()),
            None => problems.push(Problem::new(missing(name, all))),
        }
    }
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let source = &all[&name];
        for (line, asked) in Scan::of(&source.text).templates {
            match resolve(&asked, all) {
                Some(other) => open.push(other.name.clone()),
                None => problems.push(at(source, line, missing(&asked, all))),
            }
        }
        found.insert(name, source.clone());
    }
    if problems.is_empty() {
        problems.extend(
            found
                .values()
                .filter_map(|source| include_cycle(source, all)),
        );
    }
    problems.sort();
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Tells of the line by which a template asks, itself or by way of others, for itself.
fn include_cycle(
    source: &TemplateSource,
    all: &BTreeMap<String, TemplateSource>,
) -> Option<Problem> {
    let asked_by = |source: &TemplateSource| {
        let asked = Scan::of(&source.text).templates.into_iter();
        let asked = asked.filter_map(|(line, name)| Some((line, resolve(&name, all)?)));
        asked.collect::<Vec<_>>()
    };
    asked_by(source).into_iter().find_map(|(line, first)| {
        let (mut open, mut seen) = (vec![first], HashSet::new());
        while let Some(one) = open.pop() {
            if one.name == source.name {
                let built_in = format!("{BUILT_IN}{}", source.name);
                let advice = if all.contains_key(&built_in) {
                    format!("write \"{built_in}\" for the one that is built in")
                } else {
                    "leave it out".to_owned()
                };
                return Some(at(
                    source,
                    line,
                    format!("this includes '{}' itself: {advice}", source.name),
                ));
            }
            if seen.insert(one.name.as_str()) {
                open.extend(asked_by(one).into_iter().map(|(_, other)| other));
            }
        }
        None
    })
}

/// Finds the names that are no field of the context.
pub(super) fn unknown(sources: &HashMap<String, TemplateSource>) -> Vec<Problem> {
    let fields = ContextFields::of_context();
    let scans: Vec<_> = sources
        .values()
        .map(|source| (source, Scan::of(&source.text)))
        .collect();
    // What one template sets, those that it includes may ask for.
    let set: HashSet<&str> = scans
        .iter()
        .flat_map(|(_, scan)| scan.set.iter().map(String::as_str))
        .collect();
    let mut problems: Vec<_> = scans
        .iter()
        .flat_map(|(source, scan)| scan.fields.iter().map(move |used| (source, used)))
        .filter(|(_, (_, path))| !set.contains(head(path)))
        .filter(|(_, (_, path))| !fields.has(path))
        .map(|(source, (line, path))| at(source, *line, no_field(path, fields)))
        .collect();
    problems.sort();
    problems.dedup();
    problems
}

/// Lists the fields that a template and all that it extends and includes ask for.
pub(super) fn used(sources: &HashMap<String, TemplateSource>, name: &str) -> BTreeSet<String> {
    let all = sources
        .iter()
        .map(|(name, source)| (name.clone(), source.clone()))
        .collect();
    let Ok(reachable) = reachable(&all, &[name]) else {
        return BTreeSet::new();
    };
    let scans: Vec<_> = reachable.values().map(|s| Scan::of(&s.text)).collect();
    let set: HashSet<&str> = scans
        .iter()
        .flat_map(|scan| scan.set.iter().map(String::as_str))
        .collect();
    scans
        .iter()
        .flat_map(|scan| &scan.fields)
        .filter(|(_, path)| !set.contains(head(path)))
        .map(|(_, path)| path.clone())
        .collect()
}

fn resolve<'a>(
    name: &str,
    all: &'a BTreeMap<String, TemplateSource>,
) -> Option<&'a TemplateSource> {
    all.get(name)
        .or_else(|| all.get(&format!("{BUILT_IN}{name}")))
}

fn no_field(path: &str, fields: &ContextFields) -> String {
    let paths = fields.paths();
    match best_match(path, paths.iter().map(String::as_str)) {
        Some(near) => format!("'{path}' is not a field: did you mean '{near}'?"),
        None => format!("'{path}' is not a field: docs/templates.md lists them"),
    }
}

fn missing(name: &str, all: &BTreeMap<String, TemplateSource>) -> String {
    let known = all.keys().flat_map(|known| {
        [
            known.as_str(),
            known.strip_prefix(BUILT_IN).unwrap_or(known),
        ]
    });
    match best_match(name, known) {
        Some(near) => format!("there is no template '{name}': did you mean '{near}'?"),
        None => format!("there is no template '{name}'"),
    }
}

fn at(source: &TemplateSource, line: usize, message: String) -> Problem {
    let file = source.file.clone();
    Problem::at(FileLine { file, line }, message)
}

fn head(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}
