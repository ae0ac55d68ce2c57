//! `ipxe`: an iPXE of the site, which runs nothing that the site did not sign.
//!
//! ```text
//! source (the distribution's, or a directory) ─> build (root, script, options ─> make) ─> <installdir>/ipxe, ipxe.json
//! ```
//!
//! The first thing that a machine loads comes by TFTP or HTTP, since its firmware checks nothing. All that follows is
//! checked by it: boot script, kernel, initrd and boot archive by detached signatures below `boot.crt`, its only root; two of
//! them while `roll` changes it.
//! Signatures and not TLS alone: iPXE as Debian 12 and 13 package it knows no cipher suite that slipwayd speaks.

mod build;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::Catalog;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::directory::{Holder, TrustDirectory};
use super::{init, output, secret};
use crate::replace;
pub(super) use build::FirmwareKind;
use build::Recipe;
pub(super) use source::SourcePlace;

/// What was built, in the directory of the authorities.
const RECORD: &str = "ipxe.json";

/// No loader is as large.
const MAX_LOADER: u64 = 16 << 20;

/// What is asked for.
#[derive(Debug)]
pub(super) struct IpxeRequest<'a> {
    pub(super) source: &'a SourcePlace,
    pub(super) firmware: &'a [FirmwareKind],
    pub(super) out: Option<&'a Path>,
    pub(super) shell: bool,
}

/// The iPXE that the site's nodes boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SiteIpxe {
    /// The SHA-256 of all that it was built from.
    inputs: String,
    /// That of the certificates of its roots.
    #[serde(default)]
    roots: String,
    /// The SHA-256 of each loader, by its file's name.
    loaders: BTreeMap<String, String>,
}

impl SiteIpxe {
    /// Reads what was built; `None` where nothing was.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(crate) fn load(catalog: &Catalog) -> Result<Option<Self>> {
        let path = catalog.path().join("trust").join(RECORD);
        let Some(text) = replace::read(&path)? else {
            return Ok(None);
        };
        let record = serde_json::from_str(&text);
        Ok(Some(record.with_context(|| {
            format!("reading {}: run slipway-trust ipxe", path.display())
        })?))
    }

    /// Whether its roots are these, PEM.
    pub(super) fn has_roots(&self, roots: &str) -> bool {
        self.roots == secret::digest(sorted(roots).as_bytes())
    }

    /// Returns a loader below the directory that it is served from; `None` where it was not built.
    ///
    /// # Errors
    /// When the file is another one.
    pub(crate) fn loader(&self, directory: &Path, file: &str) -> Result<Option<PathBuf>> {
        let Some(expected) = self.loaders.get(file) else {
            return Ok(None);
        };
        let path = directory.join(file);
        if digest(&path)?.as_ref() != Some(expected) {
            bail!(
                "{} is not the iPXE that slipway-trust built: run slipway-trust ipxe",
                path.display()
            );
        }
        Ok(Some(path))
    }

    /// Whether the loaders are there as they were built.
    fn is_in(&self, directory: &Path) -> Result<bool> {
        for (file, expected) in &self.loaders {
            if digest(&directory.join(file))?.as_ref() != Some(expected) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Builds the site's iPXE, where it is not built yet.
///
/// # Errors
/// When there is no source or no compiler, or something cannot be written; what was there stays.
pub(super) fn ipxe(
    catalog: &Catalog,
    wanted: &IpxeRequest<'_>,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let trust = TrustDirectory::of(catalog);
    trust.existing()?;
    let site = catalog.site()?;
    let directory = match wanted.out {
        Some(out) => out.to_owned(),
        None => site.install_dir().path().join("ipxe"),
    };
    let targets = build::targets(wanted.firmware)?;
    let scratch = tempfile::Builder::new()
        .prefix("slipway-ipxe-")
        .tempdir()
        .context("making a directory to build iPXE in")?;
    let source = source::fetch(wanted.source, scratch.path())?;
    if !dry_run {
        init::ensure_boot_authority(catalog)?;
    }
    // A dry run of a site that has none yet: what would be made has no certificate.
    let roots = match trust.trusted(Holder::Boot) {
        Err(_) if dry_run => String::new(),
        roots => sorted(&roots?),
    };
    let recipe = Recipe {
        roots,
        timeservers: site.ntpservers.clone(),
        shell: wanted.shell,
    };
    let inputs = recipe.digest(&source.digest, &targets);
    let before = SiteIpxe::load(catalog)?.filter(|before| before.inputs == inputs);
    let is_built = match &before {
        Some(before) => before.is_in(&directory)?,
        None => false,
    };
    let mut loaders = BTreeMap::new();
    if !is_built && !dry_run {
        loaders = publish(&recipe.build(&source.path, &targets)?, &directory)?;
        if wanted.out.is_none() {
            record(
                &trust,
                SiteIpxe {
                    inputs,
                    roots: secret::digest(recipe.roots.as_bytes()),
                    loaders: loaders.clone(),
                },
            )?;
        }
    } else if let Some(before) = before {
        loaders = before.loaders;
    }
    let files: Vec<_> = targets.iter().map(|target| target.file()).collect();
    let (is, then) = match (is_built, dry_run, wanted.out) {
        (true, ..) => ("is built already", ""),
        (false, true, _) => ("would be built", ""),
        (false, false, Some(_)) => ("is built", ""),
        (false, false, None) => (
            "is built",
            "Nodes boot it after makedhcp -n, and what nodeset writes from now on.\n",
        ),
    };
    let text = format!("{}: {} {is}\n{then}", directory.display(), files.join(", "));
    let document = json!({
        "directory": directory,
        "source": source.digest,
        "loaders": loaders,
        "files": files,
        "changed": !is_built,
        "dry_run": dry_run,
    });
    output(as_json, &text, document)
}

/// Removes the site's iPXE: nodes boot that of the distribution again. A loader that is another one by now stays.
///
/// # Errors
/// When there is none, or something of it stays.
pub(super) fn remove(catalog: &Catalog, as_json: bool, dry_run: bool) -> Result<()> {
    let trust = TrustDirectory::of(catalog);
    trust.existing()?;
    let Some(known) = SiteIpxe::load(catalog)? else {
        bail!("the site has no iPXE of its own");
    };
    if !dry_run {
        let directory = catalog.site()?.install_dir().path().join("ipxe");
        for (file, built) in &known.loaders {
            let path = directory.join(file);
            if digest(&path)?.as_ref() == Some(built) {
                replace::remove(&path)?;
            }
        }
        replace::remove(&trust.path(RECORD))?;
    }
    let would = if dry_run { "would be " } else { "" };
    let text = format!(
        "the site's iPXE: {would}removed\nmakedhcp -n and nodeset bring the distribution's back, which checks nothing.\n"
    );
    output(
        as_json,
        &text,
        json!({ "removed": known.loaders, "dry_run": dry_run }),
    )
}

/// Puts the loaders where they are served from; returns their digests.
fn publish(built: &[(&str, PathBuf)], directory: &Path) -> Result<BTreeMap<String, String>> {
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mut loaders = BTreeMap::new();
    for (file, path) in built {
        let reading = || format!("reading {}", path.display());
        let size = fs::metadata(path).with_context(reading)?.len();
        if size > MAX_LOADER {
            bail!("{} has {size} bytes: no loader of iPXE has", path.display());
        }
        let bytes = fs::read(path).with_context(reading)?;
        replace::write(&directory.join(file), &bytes, 0o644)?;
        loaders.insert((*file).to_owned(), secret::digest(&bytes));
    }
    Ok(loaders)
}

/// Returns certificates in an order that does not tell which of them signs: iPXE trusts each.
fn sorted(roots: &str) -> String {
    let mut roots: Vec<_> = roots.split_inclusive(build::END).collect();
    roots.sort_unstable();
    roots.concat()
}

fn record(trust: &TrustDirectory, record: SiteIpxe) -> Result<()> {
    let text = serde_json::to_string_pretty(&record).context("writing JSON")? + "\n";
    replace::write(&trust.path(RECORD), text.as_bytes(), 0o600)
}

fn digest(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(secret::digest(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
