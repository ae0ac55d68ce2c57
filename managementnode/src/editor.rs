//! `slipwayd editor`: changes definitions for clients of the API.
//!
//! What slipwayd read from a client comes in, on a local socket; the definitions change as by `mkdef`, `chdef` and
//! `rmdef`: under the same lock, with the same checks. This process may write definitions and talks to no network;
//! slipwayd talks to the network and may write none. The site says which clients may change anything (`apiwriters`).

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use definitions::{Catalog, CatalogEdit, Object, ObjectKind, Site};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::local;

/// The longest question: what slipwayd takes from a client, as JSON within JSON.
const MAX_LINE: u64 = 256 << 10;

/// A change that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeQuestion {
    /// The name of the client, by its certificate.
    pub(crate) client: String,
    /// The kind of the object: `node`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) condition: Condition,
    /// What the object is to say; nothing removes it.
    pub(crate) attributes: Option<Map<String, Value>>,
}

/// What must be so for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// There is no such object.
    Absent,
    /// The object is as one of these tags says.
    Tagged(Vec<String>),
    /// There is such an object.
    Present,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChangeAnswer {
    /// There was none before.
    Created {
        tag: String,
        object: Value,
    },
    Replaced {
        tag: String,
        object: Value,
    },
    Removed,
    Refused {
        why: Refusal,
        detail: String,
    },
}

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refusal {
    /// The client may not.
    Forbidden,
    /// The object is not as the client thinks.
    Stale,
    /// An attribute or a name is not right.
    Invalid,
}

/// Answers until it is ended.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn run(catalog: &Catalog, socket: Option<&Path>) -> Result<()> {
    local::serve("slipwayd", socket, MAX_LINE, |question: ChangeQuestion| {
        let (kind, name) = (&question.kind, &question.name);
        let answer = change(catalog, &question)
            .with_context(|| format!("changing the {kind} '{name}' for {}", question.client))?;
        let done = match &answer {
            ChangeAnswer::Created { .. } => "made",
            ChangeAnswer::Replaced { .. } => "changed",
            ChangeAnswer::Removed => "removed",
            ChangeAnswer::Refused { .. } => "was refused",
        };
        let line = format!("slipwayd: {} {done} the {kind} '{name}'", question.client);
        eprintln!("{}", escaped(&line, '\t'));
        Ok(answer)
    })
}

fn refused(why: Refusal, detail: impl Into<String>) -> ChangeAnswer {
    let detail = detail.into();
    ChangeAnswer::Refused { why, detail }
}

/// Makes one change, or says why not.
///
/// # Errors
/// When the definitions cannot be read or written.
fn change(catalog: &Catalog, question: &ChangeQuestion) -> Result<ChangeAnswer> {
    let mut edit = catalog.edit()?;
    let client = &question.client;
    if !edit.site()?.apiwriters.contains(client) {
        let detail = format!(
            "the site does not let '{client}' change definitions: on the management node, as root: \
             chdef -t site -p apiwriters={client}"
        );
        return Ok(refused(Refusal::Forbidden, detail));
    }
    match changed(&mut edit, question) {
        Ok(answer @ ChangeAnswer::Refused { .. }) => return Ok(answer),
        Ok(answer) => match edit.commit() {
            Ok(()) => return Ok(answer),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
    .or_else(|error: anyhow::Error| {
        // What cannot be read or written is not the client's to correct.
        let is_ours = error.chain().any(|cause| cause.is::<io::Error>());
        if is_ours {
            return Err(error);
        }
        Ok(refused(Refusal::Invalid, format!("{error:#}")))
    })
}

/// Makes the change, which is not written yet.
fn changed(edit: &mut CatalogEdit<'_>, question: &ChangeQuestion) -> Result<ChangeAnswer> {
    let (kind, name) = (question.kind.parse::<ObjectKind>()?, &question.name);
    let mut before = edit.find(kind, name)?.cloned();
    if before.is_none() && kind == ObjectKind::Site {
        // The site is always there, if only with its defaults.
        before = Some(Object::new(kind, Site::NAME)?);
    }
    let holds = match (&question.condition, &before) {
        (Condition::Absent, before) => before.is_none(),
        (_, None) => false,
        (Condition::Present, Some(_)) => true,
        (Condition::Tagged(tags), Some(before)) => tags.contains(&tag(before)),
    };
    if !holds {
        let detail = match &before {
            Some(_) => format!("the {kind} '{name}' is not as it was: read it again"),
            None => format!("there is no {kind} '{name}'"),
        };
        return Ok(refused(Refusal::Stale, detail));
    }
    let Some(attributes) = &question.attributes else {
        edit.remove(kind, name)?;
        return Ok(ChangeAnswer::Removed);
    };
    let mut object = Object::new(kind, name.as_str())?;
    for (attribute, value) in attributes {
        object.set_json(attribute, value)?;
    }
    edit.keep_secrets(&mut object)?;
    if before.is_none() {
        object.check_new()?;
    }
    edit.put(&object)?;
    let (tag, object) = (tag(&object), document(&object));
    Ok(match before {
        None => ChangeAnswer::Created { tag, object },
        Some(_) => ChangeAnswer::Replaced { tag, object },
    })
}

/// Writes what an object says itself, without what is secret of it.
pub(crate) fn document(object: &Object) -> Value {
    let kind = object.kind();
    let mut attributes = object.to_json();
    attributes.retain(|name, _| kind.attribute(name).is_ok_and(|known| !known.secret));
    json!({ "name": object.name(), "attributes": attributes })
}

/// Names the version of an object, which secrets do not count for: they are not shown, nor is a digest of theirs.
pub(crate) fn tag(object: &Object) -> String {
    let text = format!("{} {}", object.kind(), document(object));
    let digest = Sha256::digest(text.as_bytes());
    format!("\"{}\"", definitions::hex(&digest[..16]))
}
