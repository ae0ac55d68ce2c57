//! `<tree>/.slipway/tree.toml`: what a published tree is and which discs it was made of.
//!
//! The record and the manifest are inside the tree, so that one rename publishes everything. A tree
//! without a record was not made here and is never touched.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::manifest::Manifest;
use super::tree_dir::TreeDir;
use crate::checksums::MediumTrust;
use crate::media::MediumPath;

/// The directory in a tree that holds what Slipway says of it.
pub const DIR: &str = ".slipway";
/// The record, from the root of the tree.
pub const RECORD: &str = ".slipway/tree.toml";
/// The manifest, from the root of the tree.
pub const MANIFEST: &str = ".slipway/SHA256SUMS";

/// What a published tree is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeRecord {
    /// What was recognised, as recognition words it.
    #[serde(default)]
    pub tree: toml::Table,
    /// The discs it was made of, in the order of import.
    #[serde(default, rename = "disc")]
    pub discs: Vec<DiscRecord>,
}

/// One disc of a published tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscRecord {
    /// Its name, as the manifest and messages have it.
    pub label: String,
    /// What distinguishes it from every other disc.
    pub fingerprint: Fingerprint,
    /// How many regular files it holds.
    pub files: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// What was verified, by what: one line for each kind of proof.
    pub verified: Vec<String>,
    /// How far it is trusted.
    #[serde(default)]
    pub trust: MediumTrust,
}

impl TreeRecord {
    /// Loads the record of the tree at `tree`; `None` when it has none.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub fn load(tree: &Path) -> Result<Option<Self>> {
        let path = tree.join(RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let record =
                    toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
                Ok(Some(record))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Returns the disc with this fingerprint, if the tree was made of it.
    pub fn disc(&self, fingerprint: &Fingerprint) -> Option<&DiscRecord> {
        self.discs
            .iter()
            .find(|disc| disc.fingerprint == *fingerprint)
    }

    /// Returns whether somebody vouches for every disc of the tree.
    pub fn is_vouched(&self) -> bool {
        self.discs.iter().all(|disc| disc.trust.is_vouched())
    }

    /// Writes it as text.
    ///
    /// # Errors
    /// When what recognition said has no form in TOML.
    pub fn render(&self) -> Result<String> {
        toml::to_string(self).context("writing the record of the tree")
    }
}

/// Writes the record and the manifest of a tree into it.
///
/// # Errors
/// When either cannot be written.
pub(super) fn write(tree: &TreeDir, record: &TreeRecord, manifest: &Manifest) -> Result<()> {
    let path = |path: &str| MediumPath::new(path).map_err(anyhow::Error::msg);
    if !tree.path().join(DIR).is_dir() {
        tree.make_dir(&path(DIR)?)?;
        tree.set_mode(Some(&path(DIR)?))?;
    }
    let texts = [
        (MANIFEST, manifest.render()),
        (RECORD, record.render()?.into_bytes()),
    ];
    for (name, text) in texts {
        let mut file = tree
            .create(&path(name)?)
            .with_context(|| format!("writing {name}"))?;
        file.write_all(&text)
            .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
            .with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}
