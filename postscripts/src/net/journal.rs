//! What a run is about to change, on disk before it changes anything.
//!
//! The journal holds the whole plan; since the undo of a step that never happened does no harm, it
//! need not say how far the run came, and nothing is written while packets wait. It is removed when
//! the run is over, one way or the other: a journal that is there when a run starts is of a run that
//! died together with its guardian. After a boot the kernel has forgotten all it tells of, so a
//! journal of another boot is only thrown away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::files;

/// Where journals and locks lie, below the root.
const PLACE: &str = "var/lib/slipway/bridgeprereq";
const NAME: &str = "live.json";

/// The plan of a run that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Which boot of the kernel it tells of.
    boot: String,
    /// The root that the configuration lies below.
    pub root: PathBuf,
    /// The bridges whose configuration the run may change.
    pub bridges: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Journal {
    /// Begins one, in memory.
    pub fn new(root: &Path, bridges: Vec<String>, steps: Vec<Step>) -> Result<Self> {
        Ok(Self {
            boot: boot()?,
            root: root.to_owned(),
            bridges,
            steps,
        })
    }

    /// Loads the one that is there, if it is of this boot; steps of another boot are left out.
    pub fn load(root: &Path) -> Result<Option<Self>> {
        let path = path(root);
        let reading = || format!("reading {}", path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(reading),
        };
        let mut journal: Self = serde_json::from_str(&text).with_context(reading)?;
        if journal.boot != boot()? {
            journal.steps.clear();
        }
        Ok(Some(journal))
    }

    /// Writes it so that it survives a loss of power.
    pub fn save(&self) -> Result<()> {
        let path = path(&self.root);
        let writing = || format!("writing {}", path.display());
        let text = serde_json::to_vec(self).with_context(writing)?;
        files::replace(&path, &text, 0o600).with_context(writing)
    }

    /// Ends the run.
    pub fn remove(&self) -> Result<()> {
        let path = path(&self.root);
        files::remove(&path)
            .and_then(|()| files::sync_parent(&path))
            .with_context(|| format!("removing {}", path.display()))
    }

    /// Says whether it is still there, that is, whether the run is not over.
    pub fn stands(&self) -> bool {
        path(&self.root).exists()
    }
}

/// Takes what one run at a time holds, and its guardian; makes its place if need be.
pub fn lock(root: &Path, patience: Duration, waiting: &mut dyn FnMut(&str)) -> Result<Lock> {
    Lock::acquire_private(&root.join(PLACE).join("lock"), patience, waiting)
}

fn path(root: &Path) -> PathBuf {
    root.join(PLACE).join(NAME)
}

fn boot() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(text.trim().to_owned())
}
