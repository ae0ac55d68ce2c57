//! `sign-image`: the site's signatures of what vouches for root images: their records, and the manifests of bundles.
//!
//! Such a file has the digests of all that it is about, as JSON; its detached signature goes out, by the key of trees.
//! `roll` signs the records of root images again. Nothing but JSON is signed, so that no such signature is one of a repository's index.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{Catalog, InstallDir};
use serde_json::{Map, Value, json};

use super::directory::TrustDirectory;
use super::openpgp::{self, SignatureForm};
use super::secret::digest;
use super::{output, trees};
use crate::replace;

/// No record and no manifest is larger.
const MAX_BYTES: u64 = 16 << 20;

/// Where the records of root images are below the install directory, how deep, and what each is called.
const IMAGES: &str = "netboot";
const LEVELS: usize = 3;
const RECORD: &str = "rootimg.json";

/// Signs the records of root images again that another of the site's keys signed; returns why one is not.
///
/// # Errors
/// When they cannot be listed.
pub(super) fn sign_again(
    directory: &TrustDirectory,
    installdir: &InstallDir,
    dry_run: bool,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for image in trees::below(&installdir.path().join(IMAGES), LEVELS)? {
        if let Err(error) = sign_one_again(directory, &image, dry_run) {
            problems.push(format!(
                "signing the root image in {} again: {error:#}",
                image.display()
            ));
        }
    }
    Ok(problems)
}

/// Signs a record again; one that nobody signed, as nodes boot it at sites that sign none, stays as it is.
fn sign_one_again(directory: &TrustDirectory, image: &Path, dry_run: bool) -> Result<()> {
    let record = image.join(RECORD);
    if !record.exists() {
        return Ok(());
    }
    let bytes = trees::read_bounded(&record, MAX_BYTES)?;
    let path = image.join(format!("rootimg.{}.asc", &digest(&bytes)[..16]));
    if !path.exists() {
        return Ok(());
    }
    let signature = trees::read_bounded(&path, MAX_BYTES)?;
    if openpgp::is_signed_by(&trees::public_key(directory)?, &bytes, &signature)? {
        return Ok(());
    }
    if !openpgp::is_signed_by(&trees::public_keys(directory)?, &bytes, &signature)? {
        bail!("no key of the site signed it: run packimage, or imgimport, again");
    }
    if dry_run {
        return Ok(());
    }
    let signature = trees::signer(directory)?.sign(&bytes, SignatureForm::Detached)?;
    replace::write(&path, signature.as_bytes(), 0o644)
}

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
