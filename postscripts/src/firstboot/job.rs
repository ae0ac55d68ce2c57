//! A script that has to run, and the phase that it runs in.

use std::fmt;

use definitions::{ScriptLine, ScriptOrigin};
use serde::{Deserialize, Serialize};

/// Which list a script is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScriptPhase {
    /// Inside the installer.
    Postscripts,
    /// After the first boot.
    Postbootscripts,
    /// From neither: an update named it.
    Update,
}

impl ScriptPhase {
    /// Returns what `SLIPWAY_PHASE` holds in the environment of a script.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Postscripts => "postscripts",
            Self::Postbootscripts => "postbootscripts",
            Self::Update => "update",
        }
    }
}

impl fmt::Display for ScriptPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postscripts | Self::Update => "postscript",
            Self::Postbootscripts => "postbootscript",
        })
    }
}

/// One script that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptJob {
    pub(super) phase: ScriptPhase,
    /// Who asked for it; `None` for a script that the list does not name.
    pub(super) origin: Option<ScriptOrigin>,
    pub(super) line: ScriptLine,
}
