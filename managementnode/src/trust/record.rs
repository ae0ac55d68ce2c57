//! How often the store was written, kept where a copy of the authorities is not put back to.
//!
//! A store that was written fewer times than this says was put back from a copy: secrets that were used since would count
//! again. The store is written first, so that a run that is cut off between the two is no such store.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::Catalog;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::replace;

/// Where it is for the site of this machine: `StateDirectory=` of the signer.
const STATE: &str = "/var/lib/slipway-trust";

const FILE: &str = "trust-record.json";

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteRecord {
    /// Which store it is of.
    pub(super) store: String,
    pub(super) writes: u64,
    #[serde(with = "rfc3339")]
    pub(super) time: OffsetDateTime,
}

impl WriteRecord {
    /// Reads it; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn load(trust: &Path) -> Result<Option<Self>> {
        let path = path(trust);
        let Some(text) = replace::read(&path)? else {
            return Ok(None);
        };
        let record = serde_json::from_str(&text);
        record
            .with_context(|| format!("reading {}: remove it if it is damaged", path.display()))
            .map(Some)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, trust: &Path) -> Result<()> {
        let path = path(trust);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("making {}", directory.display()))?;
        }
        let text =
            serde_json::to_string(self).context("writing how often the store was written")?;
        replace::write(&path, (text + "\n").as_bytes(), 0o600)
    }
}

/// Returns where it is: elsewhere than the definitions, but for a site that is not this machine's.
fn path(trust: &Path) -> PathBuf {
    let config = trust.parent().unwrap_or(trust);
    if config == Path::new(Catalog::DEFAULT) {
        Path::new(STATE).join(FILE)
    } else {
        config.join(FILE)
    }
}
