//! Results on stdout: lines for people as each disc is done, or one JSON document in the end.
//!
//! The JSON is stable: `docs/copycds-json.md` says what each key means, keys may be added and none
//! changes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::checksums::Coverage;
use crate::describe::{DefinitionChange, Described};
use crate::import::{ImportAction, Outcome};
use crate::progress;
use crate::recognise::MediumIdentity;

/// What was done so far.
#[derive(Debug)]
pub(crate) struct Report {
    /// The documents of the discs, when JSON is wanted.
    documents: Option<Vec<Value>>,
}

impl Report {
    pub(crate) fn new(as_json: bool) -> Self {
        Self {
            documents: as_json.then(Vec::new),
        }
    }

    /// Takes what `-i` found.
    pub(crate) fn inspected(&mut self, path: &Path, identity: &MediumIdentity) -> Result<()> {
        match &mut self.documents {
            Some(documents) => documents.push(Value::Object(recognised(path, identity)?)),
            None => print(&identity.render(path))?,
        }
        Ok(())
    }

    /// Takes what an import did or would do.
    pub(crate) fn imported(&mut self, outcome: &Outcome<'_>) -> Result<()> {
        match &mut self.documents {
            Some(documents) => documents.push(document(outcome)?),
            None => {
                outcome.notes.iter().for_each(|note| {
                    progress::step(&format!("{}: {note}", outcome.disc.path().display()));
                });
                print(&render(outcome))?;
            }
        }
        Ok(())
    }

    /// Prints the document, if that is what was wanted.
    pub(crate) fn finish(self) -> Result<()> {
        match self.documents {
            Some(media) => {
                let text = serde_json::to_string_pretty(&json!({ "media": media }));
                print(&(text.context("writing JSON")? + "\n"))
            }
            None => Ok(()),
        }
    }
}

/// Prints to stdout what cannot steer a terminal; a reader that has gone is an error, not a panic.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(progress::printable(text).as_bytes())
        .and_then(|()| out.flush())
        .context("writing the results")
}

fn render(outcome: &Outcome<'_>) -> String {
    let release = outcome.disc.release();
    let tree = outcome.target.display();
    let mut text = match outcome.action {
        ImportAction::Copied => format!("{release}: {tree}\n"),
        ImportAction::WouldCopy => format!("{release}: would be copied to {tree}\n"),
        ImportAction::Unchanged => format!("{release}: {tree} holds this disc already\n"),
        ImportAction::Skipped => "The disc iso has already been copied in!\n".to_owned(),
    };
    if let Some(coverage) = &outcome.coverage {
        let verb = if outcome.action == ImportAction::Copied {
            "verified"
        } else {
            "would verify"
        };
        let _ = writeln!(text, "{verb} {coverage}");
    }
    for image in &outcome.osimages {
        let change = match (image.change, outcome.action) {
            (DefinitionChange::Created, ImportAction::WouldCopy) => "would be created",
            (DefinitionChange::Created, _) => "created",
            (DefinitionChange::Unchanged, _) => "unchanged",
            (DefinitionChange::Kept, _) => "kept as it was edited:",
        };
        let _ = writeln!(text, "osimage {} {change}", image.name);
        image.diff.iter().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    text
}

/// Returns what a disc was recognised as, the first keys of every document.
fn recognised(path: &Path, identity: &MediumIdentity) -> Result<Map<String, Value>> {
    let mut keys = Map::new();
    keys.insert("medium".to_owned(), json!(path));
    let identity = serde_json::to_value(identity).context("writing JSON")?;
    if let Value::Object(identity) = identity {
        keys.extend(identity);
    }
    Ok(keys)
}

fn document(outcome: &Outcome<'_>) -> Result<Value> {
    let mut keys = recognised(outcome.disc.path(), &outcome.disc.identity)?;
    let value = |described: &[Described]| serde_json::to_value(described).context("writing JSON");
    keys.insert("tree".to_owned(), json!(outcome.target));
    keys.insert("action".to_owned(), json!(outcome.action));
    if let Some(trust) = outcome.trust {
        keys.insert("trust".to_owned(), json!(trust));
    }
    if let Some(coverage) = &outcome.coverage {
        keys.insert("verified".to_owned(), verified(coverage));
    }
    keys.insert("osimages".to_owned(), value(&outcome.osimages)?);
    keys.insert("notes".to_owned(), json!(outcome.notes));
    Ok(Value::Object(keys))
}

fn verified(coverage: &Coverage) -> Value {
    let by = coverage.by.iter().map(
        |cover| json!({ "how": cover.how, "signed_by": cover.signed_by, "files": cover.files }),
    );
    json!({
        "files": coverage.files,
        "bytes": coverage.bytes,
        "by": by.collect::<Vec<_>>(),
        "uncovered": coverage.uncovered,
        "implanted_md5": coverage.implanted,
        "image": coverage.image.as_ref().map(|(how, signed_by)| json!({ "how": how, "signed_by": signed_by })),
    })
}
