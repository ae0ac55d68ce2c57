//! `copycds --verify TREE`: says how a published tree differs from its manifest.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use crate::copy::{self, ByteProgress, Differences};
use crate::media::MediumPath;
use crate::{progress, report};

/// Checks a tree; exit code 1 when it is not what was published.
pub(crate) fn run(tree: &Path, as_json: bool) -> Result<ExitCode> {
    let counters = ByteProgress::new();
    let checked = progress::while_running(&counters, || copy::verify(tree, &counters));
    let found = checked.with_context(|| format!("verifying {}", tree.display()))?;
    report::print(&if as_json {
        document(tree, &found)?
    } else {
        render(tree, &found)
    })?;
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}

fn render(tree: &Path, found: &Differences) -> String {
    let kinds = [
        ("changed", &found.changed),
        ("missing", &found.missing),
        ("added", &found.added),
    ];
    let mut text = String::new();
    for (word, paths) in kinds {
        text.extend(paths.iter().map(|path| format!("{word}: {path}\n")));
    }
    let name = tree.display();
    text + &if found.is_empty() {
        format!(
            "{name}: all {} files are as they were published\n",
            found.checked
        )
    } else {
        let [changed, missing, added] = kinds.map(|(_, paths)| paths.len());
        format!(
            "{name}: of {} files {changed} changed and {missing} are missing, and {added} were added; \
             import the disc again\n",
            found.checked
        )
    }
}

fn document(tree: &Path, found: &Differences) -> Result<String> {
    let texts = |paths: &[MediumPath]| paths.iter().map(MediumPath::to_string).collect::<Vec<_>>();
    let document = json!({
        "tree": tree,
        "intact": found.is_empty(),
        "checked": found.checked,
        "changed": texts(&found.changed),
        "missing": texts(&found.missing),
        "added": texts(&found.added),
    });
    Ok(serde_json::to_string_pretty(&document).context("writing JSON")? + "\n")
}
