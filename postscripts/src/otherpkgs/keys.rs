//! The keys that sign repositories: in the environment, on this node, or on the management node.
//!
//! An entry comes in, a key goes out: the path of a file that is here, or a text that becomes one. The
//! environment is best: it came with the node's verified list. What is fetched from the management node is as
//! trustworthy as the way there.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::repository::Entry;
use super::server::Server;
use crate::http::Failure;

/// No key is larger.
const LIMIT: u64 = 256 << 10;
/// How an armoured key begins: RFC 9580, section 6.2.
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A file of this node, or an address that rpm reads by itself.
    Known(String),
    /// In armour.
    Text(String),
}

/// Finds an entry's key, if it names one; `given` is what the environment holds for it.
pub(super) fn find(
    entry: &Entry,
    given: Option<String>,
    server: &dyn Fn() -> Result<Server>,
) -> Result<Option<Key>> {
    if let Some(text) = given.filter(|text| !text.trim().is_empty()) {
        return armoured(text)
            .map(Some)
            .context("reading the key in the environment");
    }
    let Some(path) = &entry.signed_by else {
        return Ok(None);
    };
    if path.starts_with("https://") || Path::new(path).is_file() {
        return Ok(Some(Key::Known(path.clone())));
    }
    let fetching =
        || format!("fetching the key {path}, which is no file here, from the management node");
    let mut bytes = Vec::new();
    let fetched = server()
        .with_context(fetching)?
        .load(path, LIMIT, &mut bytes);
    match fetched {
        Ok(_) => {}
        Err(failure @ Failure::Absent(_)) => bail!(
            "{}: {failure}: put it beneath the install directory, where its web server has it",
            fetching()
        ),
        Err(failure) => return Err(failure).with_context(fetching),
    }
    let text = String::from_utf8(bytes).unwrap_or_default();
    armoured(text).map(Some).with_context(fetching)
}

fn armoured(text: String) -> Result<Key> {
    if !text.trim_start().starts_with(ARMOUR) {
        bail!("it is no OpenPGP public key in armour: make one with 'gpg --armor --export'");
    }
    Ok(Key::Text(format!("{}\n", text.trim())))
}
