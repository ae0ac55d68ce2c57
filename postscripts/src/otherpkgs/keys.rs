//! The keys that sign repositories: in the environment, or on this node.
//!
//! An entry comes in, a key goes out: the path of a file that is here, or a text that becomes one. The
//! environment is best: it came with the node's verified list. A file counts only where root alone can have
//! written it. Nothing is fetched: whoever answers would choose what root installs.

use std::path::Path;

use anyhow::{Context, Result, bail};
use definitions::{RepositoryEntry, RepositoryTrust};

use crate::owner;

/// How an armoured key begins: RFC 9580, section 6.2.
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SigningKey {
    /// A file of this node, or an address that rpm reads by itself, over TLS.
    Known(String),
    /// In armour.
    Text(String),
}

/// Finds an entry's key, if it names one: in the variable of the environment that is for it, or as a file.
pub(super) fn find(
    entry: &RepositoryEntry,
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SigningKey>> {
    if let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) {
        return armoured(&text)
            .map(Some)
            .with_context(|| format!("reading the key in {name}"));
    }
    let path = match &entry.trust {
        RepositoryTrust::Key(path) => path,
        RepositoryTrust::KeyUrl(url) => return Ok(Some(SigningKey::Known(url.clone()))),
        RepositoryTrust::Distribution
        | RepositoryTrust::Explicit
        | RepositoryTrust::Unspecified => return Ok(None),
    };
    let shown = path.display();
    if !path.is_file() {
        bail!(
            "the key {shown} is not a file of this node and is not in {name}; it is not downloaded, because \
             anyone could answer: run nodeset for this node, which puts it into the node's list, or copy it to \
             that path here"
        );
    }
    let file =
        owner::check(Path::new("/"), path).with_context(|| format!("trusting the key {shown}"))?;
    Ok(Some(SigningKey::Known(file.display().to_string())))
}

fn armoured(text: &str) -> Result<SigningKey> {
    if !text.trim_start().starts_with(ARMOUR) {
        bail!("it is not an armored OpenPGP public key: make one with 'gpg --armor --export'");
    }
    Ok(SigningKey::Text(format!("{}\n", text.trim())))
}
