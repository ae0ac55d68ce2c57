//! `sign-image`: the site's signatures of what vouches for root images: their records, and the manifests of bundles.
//!
//! Such a file has the digests of all that it is about, as JSON; its detached signature goes out, by the key of trees.
//! Nothing but JSON is signed, so that no such signature is one of a repository's index.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::Catalog;
use serde_json::{Map, Value, json};

use super::directory::TrustDirectory;
use super::openpgp::SignatureForm;
use super::{output, trees};
use crate::replace;

/// No record and no manifest is larger.
const MAX_BYTES: u64 = 16 << 20;

/// Signs files: `FILE.asc` beside each, or in a directory.
///
/// # Errors
/// The first that is no JSON, or cannot be read or signed; nothing is written then.
pub(super) fn sign(
    catalog: &Catalog,
    files: &[PathBuf],
    out: Option<&Path>,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
    let signer = trees::signer(&directory)?;
    let mut signatures = Vec::new();
    for file in files {
        let bytes = trees::read_bounded(file, MAX_BYTES)?;
        serde_json::from_slice::<Map<String, Value>>(&bytes).with_context(|| {
            format!(
                "{} is neither the record of a root image nor the manifest of a bundle",
                file.display()
            )
        })?;
        let signature = signer
            .sign(&bytes, SignatureForm::Detached)
            .with_context(|| format!("signing {}", file.display()))?;
        let name = file.file_name().unwrap_or_default();
        let mut target = out.map_or_else(|| file.clone(), |out| out.join(name));
        target.as_mut_os_string().push(".asc");
        signatures.push((target, signature));
    }
    let (mut text, mut paths) = (String::new(), Vec::new());
    for (target, signature) in signatures {
        if !dry_run {
            replace::write(&target, signature.as_bytes(), 0o644)?;
        }
        let would = if dry_run { "would be " } else { "" };
        text += &format!("{}: {would}written\n", target.display());
        paths.push(target);
    }
    output(
        as_json,
        &text,
        json!({ "signatures": paths, "dry_run": dry_run }),
    )
}
