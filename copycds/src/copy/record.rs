//! `<tree>/.slipway/tree.toml`: what a published tree is and which discs it was made of.
//!
//! The record and the manifest lie inside the tree, so that one rename publishes everything. A tree
//! without a record was not made here and is never touched.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::manifest::Manifest;
use crate::checksums::MediumTrust;

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
    /// What tells it from every other disc.
    pub fingerprint: Fingerprint,
    /// How many regular files it holds.
    pub files: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// What was verified, by what: one line for each kind of proof.
    pub verified: Vec<String>,
    /// How far it is believed.
    #[serde(default)]
    pub trust: MediumTrust,
}

/// A tree that stands published: its record and its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// What it is.
    pub record: TreeRecord,
    /// What it holds.
    pub manifest: Manifest,
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

impl Published {
    /// Loads record and manifest of the tree at `tree`; `None` when it has no record.
    ///
    /// # Errors
    /// When either cannot be read, or they do not speak of the same discs.
    pub fn load(tree: &Path) -> Result<Option<Self>> {
        let Some(record) = TreeRecord::load(tree)? else {
            return Ok(None);
        };
        let path = tree.join(MANIFEST);
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let manifest =
            Manifest::parse(&text).with_context(|| format!("reading {}", path.display()))?;
        let labels = record.discs.iter().map(|disc| &disc.label);
        anyhow::ensure!(
            labels.eq(manifest.discs.iter().map(|disc| &disc.label)),
            "{RECORD} and {MANIFEST} in {} do not name the same discs: one of them was changed; \
             move the tree away and import its discs again",
            tree.display()
        );
        Ok(Some(Self { record, manifest }))
    }
}
