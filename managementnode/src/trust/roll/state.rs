//! How far a change of the authority is: one file, whose replacement is each step.
//!
//! ```text
//! <trust>/roll/state.json        the stage
//! <trust>/roll/old/NAME.crt, trees.asc      the authorities of before; their keys are where they were
//! <trust>/roll/new/NAME.{crt,key}, trees.{asc,key}, ssh_host_ca
//! <trust>/roll/{old,new}/cross.crt   that root's key, certified by the other root
//! ```
//!
//! What is in `<trust>` itself then is what others trust: both generations, the one that signs first.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::replace;

/// The directory of a change that is under way.
pub(crate) const DIRECTORY: &str = "roll";

const FILE: &str = "state.json";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Old,
    New,
}

impl Generation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// Hosts get both roots; the old authorities sign.
    Distributing,
    /// The new authorities sign; hosts get certificates of theirs.
    Switched,
    /// The old authorities sign again; hosts get certificates of theirs.
    Returning,
    /// The old ones count no more.
    DroppingOld,
    /// The new ones count no more.
    DroppingNew,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Distributing => "distributing",
            Self::Switched => "switched",
            Self::Returning => "returning",
            Self::DroppingOld => "dropping-old",
            Self::DroppingNew => "dropping-new",
        }
    }

    /// Whose keys sign.
    pub(crate) fn signing(self) -> Generation {
        match self {
            Self::Switched | Self::DroppingOld => Generation::New,
            Self::Distributing | Self::Returning | Self::DroppingNew => Generation::Old,
        }
    }

    /// Who counts, the one that signs first.
    pub(crate) fn trusted(self) -> Vec<Generation> {
        let signing = self.signing();
        match self {
            Self::DroppingOld | Self::DroppingNew => vec![signing],
            _ => vec![signing, signing.other()],
        }
    }

    /// Whether somebody may know the root alone that does not sign: what is signed then comes with the other's word for it.
    pub(crate) fn is_crossed(self) -> bool {
        matches!(self, Self::Switched | Self::Returning)
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollState {
    pub(crate) stage: Stage,
    #[serde(with = "rfc3339")]
    pub(crate) since: OffsetDateTime,
}

impl RollState {
    /// Reads it; `None` where no change is under way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn load(trust: &Path) -> Result<Option<Self>> {
        let path = trust.join(DIRECTORY).join(FILE);
        let Some(text) = replace::read(&path)? else {
            return Ok(None);
        };
        let state = serde_json::from_str(&text);
        state
            .with_context(|| format!("reading {}", path.display()))
            .map(Some)
    }

    /// Writes it into the directory of a change.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context("writing how far the change is")?;
        replace::write(&directory.join(FILE), (text + "\n").as_bytes(), 0o600)
    }
}
