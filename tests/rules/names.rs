//! One name, one thing: how many type names are defined more than once in the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::workspace;

use super::strings;

/// The most repeated names, in percent of all: well-kept projects of this size have 2 to 10.
const MAX_REPEATED: usize = 10;

/// Names that each command or room has for its own instance of the same thing: its arguments, what they ask for, what
/// it prints, how it ended, its error type, and what it decides to do before it does it.
const PARALLELS: [&str; 8] = [
    "Args", "Error", "Outcome", "Plan", "Report", "Request", "Status", "Step",
];

/// The places where each type name is defined, as `file:line`.
type Definitions = BTreeMap<String, Vec<String>>;

pub(super) fn few_are_repeated() -> Result<()> {
    let manifest: toml::Table = fs::read_to_string(workspace().join("Cargo.toml"))?.parse()?;
    let mut definitions = Definitions::new();
    for member in strings(&manifest["workspace"]["members"]) {
        let sources = workspace().join(&member).join("src");
        if sources.is_dir() {
            collect(&sources, &mut definitions)?;
        }
    }
    ensure!(!definitions.is_empty(), "no type was found");
    let repeated: Vec<_> = definitions
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .collect();
    let parallels = BTreeSet::from(PARALLELS);
    let to_rename: Vec<_> = repeated
        .iter()
        .filter(|(name, _)| !parallels.contains(name.as_str()))
        .map(|(name, places)| format!("  {name}: {}", places.join(", ")))
        .collect();
    ensure!(
        repeated.len() * 100 < definitions.len() * MAX_REPEATED,
        "{} of {} type names are defined more than once, which is not under {MAX_REPEATED} %; give each of these a \
         name of its own:\n{}",
        repeated.len(),
        definitions.len(),
        to_rename.join("\n")
    );
    Ok(())
}

/// Collects the types of a directory, without those of tests.
fn collect(directory: &Path, definitions: &mut Definitions) -> Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if stem.is_some_and(|stem| stem.ends_with("tests")) {
            continue;
        }
        if path.is_dir() {
            collect(&path, definitions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let shown = path.strip_prefix(workspace())?.display();
            for (number, name) in types(&text) {
                let place = format!("{shown}:{number}");
                definitions.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    Ok(())
}

/// Lists the types that a source defines before its module of tests, with their lines. An indented `type` belongs to a
/// trait, where its name is the trait's.
fn types(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.lines().enumerate();
    let lines = lines.take_while(|(_, line)| *line != "#[cfg(test)]");
    lines.filter_map(|(at, line)| Some((at + 1, defined(line)?)))
}

/// Returns the name of the type that a line defines.
fn defined(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let item = match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.strip_prefix(' ')?,
        None => item,
    };
    let (keyword, rest) = item.split_once(' ')?;
    let defines = match keyword {
        "struct" | "enum" | "union" | "trait" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    (defines && name.starts_with(char::is_uppercase)).then_some(name)
}

pub(super) fn types_are_found() -> Result<()> {
    let source = "pub struct A;\n    pub(crate) enum B<T> {\nenum C {\n    type D = u8;\ntype E = u8;\ntrait F: Sized {}\n\
                  // struct G\nstructure H\npub fn i() {}\n#[cfg(test)]\nmod tests {\n    struct J;\n}\n";
    let found: Vec<_> = types(source).collect();
    let expected = [(1, "A"), (2, "B"), (3, "C"), (5, "E"), (6, "F")];
    ensure!(found == expected, "expected {expected:?}, got {found:?}");
    Ok(())
}
