//! How long the files and the functions of programs are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::workspace;

use super::strings;

/// The most lines of a file.
const MAX_FILE: usize = 500;

/// A function is long with more lines than this between its braces, without blank ones and comments.
const LONG: usize = 60;

/// The most lines of any function: so many has a match over all steps of a change, an arm each.
const MAX_FUNCTION: usize = 100;

/// How many of a thousand functions may be long.
const MAX_LONG: usize = 7;

/// A function of a source.
#[derive(Debug, PartialEq, Eq)]
struct FunctionSize {
    name: String,
    line: usize,
    lines: usize,
}

/// Reads the sources of all programs: their paths in the workspace, and their texts.
pub(super) fn sources() -> Result<Vec<(String, String)>> {
    let manifest: toml::Table = fs::read_to_string(workspace().join("Cargo.toml"))?.parse()?;
    let mut files = Vec::new();
    for member in strings(&manifest["workspace"]["members"]) {
        let sources = workspace().join(&member).join("src");
        if sources.is_dir() {
            collect(&sources, &mut files)?;
        }
    }
    let mut sources = Vec::new();
    for path in files {
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let shown = path.strip_prefix(workspace())?.display().to_string();
        sources.push((shown, text));
    }
    Ok(sources)
}

pub(super) fn files_and_functions_are_short() -> Result<()> {
    let (mut all, mut long, mut problems) = (0, Vec::new(), Vec::new());
    for (shown, text) in sources()? {
        let lines = text.lines().count();
        if lines > MAX_FILE {
            problems.push(format!("{shown} has {lines} lines, more than {MAX_FILE}"));
        }
        for found in functions(&text) {
            all += 1;
            let FunctionSize { name, line, lines } = found;
            let place = format!("{shown}:{line}: {name} has {lines} lines");
            if lines > MAX_FUNCTION {
                problems.push(format!("{place}, more than {MAX_FUNCTION}"));
            }
            if lines > LONG {
                long.push(place);
            }
        }
    }
    ensure!(all > 0, "no function was found");
    if long.len() * 1000 > all * MAX_LONG {
        problems.push(format!(
            "{} of {all} functions have more than {LONG} lines, and {MAX_LONG} of a thousand may:\n  {}",
            long.len(),
            long.join("\n  ")
        ));
    }
    ensure!(problems.is_empty(), "split these:\n{}", problems.join("\n"));
    Ok(())
}

/// Collects the sources of a directory, without those of tests.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if stem.is_some_and(|stem| stem.ends_with("tests")) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Lists the functions that a formatted source defines before its module of tests. rustfmt puts the last brace of a
/// function below its first word, and nothing else of it there.
fn functions(source: &str) -> Vec<FunctionSize> {
    let lines: Vec<_> = source
        .lines()
        .take_while(|line| *line != "mod tests {")
        .collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = defined(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = &lines[at..];
        // A trait's function has no body.
        let Some(open) = rest.iter().position(|line| line.ends_with(['{', ';', '}'])) else {
            continue;
        };
        if !rest[open].ends_with('{') {
            continue;
        }
        let body = rest[open + 1..].iter();
        let body = body.take_while(|line| line.strip_prefix(indent) != Some("}"));
        let is_code = |line: &&&str| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with("//")
        };
        found.push(FunctionSize {
            name: name.to_owned(),
            line: at + 1,
            lines: body.filter(is_code).count(),
        });
    }
    found
}

/// Returns the name of the function that a line defines.
fn defined(line: &str) -> Option<&str> {
    let mut item = line.trim_start();
    if let Some(rest) = item.strip_prefix("pub(") {
        item = rest.split_once(") ")?.1;
    }
    for word in ["pub ", "const ", "async "] {
        item = item.strip_prefix(word).unwrap_or(item);
    }
    let name = item.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

pub(super) fn functions_are_measured() -> Result<()> {
    let source = "fn a() {\n    one();\n\n    // why\n    if two {\n    }\n}\nimpl B {\n    pub(crate) const fn c<T>(\n        \
                  d: T,\n    ) -> T {\n        d\n    }\n}\ntrait E {\n    fn f(&self);\n}\npub async fn g() {}\n\
                  #[cfg(test)]\nmod tests {\n    fn h() {\n    }\n}\n";
    let found: Vec<_> = functions(source)
        .into_iter()
        .map(|found| (found.name, found.line, found.lines))
        .collect();
    let expected = [("a".to_owned(), 1, 3), ("c".to_owned(), 9, 1)];
    ensure!(found == expected, "expected {expected:?}, got {found:?}");
    Ok(())
}
