//! What a run is about to change, on disk before it changes anything.
//!
//! The journal holds the whole plan; since the undo of a step that never happened does no harm, it
//! need not say how far the run came, and nothing is written while packets wait. A bridge that somebody
//! else made meanwhile is the exception: the run undoes no step from there on. The journal is removed when
//! the run is over, one way or the other: a journal that is there when a run starts is of a run that
//! died together with its watchdog. After a boot the kernel has forgotten all that it lists, and the database of Open
//! vSwitch has not: that alone is left of the steps of another boot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::{IfName, Lock};
use serde::{Deserialize, Serialize};

use crate::bridge::net::Step;
use crate::files;
use crate::owner::{check_state, lock_state};

/// Where journals and locks lie, below the root.
const STATE_DIR: &str = "var/lib/slipway/bridgeprereq";
const NAME: &str = "live.json";

/// The plan of a run that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeJournal {
    /// The boot of the kernel that it belongs to.
    boot: String,
    /// The root that the configuration lies below.
    pub(crate) root: PathBuf,
    /// The bridges whose configuration the run may change.
    pub(crate) bridges: Vec<IfName>,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
}

impl ChangeJournal {
    /// Begins one, in memory.
    pub(crate) fn new(root: &Path, bridges: Vec<IfName>, steps: Vec<Step>) -> Result<Self> {
        Ok(Self {
            boot: boot()?,
            root: root.to_owned(),
            bridges,
            steps,
        })
    }

    /// Loads the one that is there; of another boot only the steps that outlast it.
    pub(crate) fn load(root: &Path) -> Result<Option<Self>> {
        let path = path(root);
        let reading = || format!("reading {}", path.display());
        check_state(root, &Path::new("/").join(STATE_DIR).join(NAME)).with_context(reading)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(reading),
        };
        let mut journal: Self = serde_json::from_str(&text).with_context(reading)?;
        if journal.boot != boot()? {
            journal.steps.retain(Step::outlasts_boot);
        }
        Ok(Some(journal))
    }

    /// Writes it so that it survives a loss of power.
    pub(crate) fn save(&self) -> Result<()> {
        let path = path(&self.root);
        let writing = || format!("writing {}", path.display());
        let text = serde_json::to_vec(self).with_context(writing)?;
        files::replace(&path, &text, 0o600).with_context(writing)
    }

    /// Ends the run.
    pub(crate) fn remove(&self) -> Result<()> {
        let path = path(&self.root);
        files::remove(&path)
            .and_then(|()| files::sync_parent(&path))
            .with_context(|| format!("removing {}", path.display()))
    }

    /// Reports whether it is still there, that is, whether the run is not over.
    pub(crate) fn exists(&self) -> bool {
        path(&self.root).exists()
    }
}

/// Takes the lock that one run at a time holds, with its watchdog; makes its directory if need be.
pub(crate) fn lock(root: &Path, timeout: Duration, waiting: &mut dyn FnMut(&str)) -> Result<Lock> {
    lock_state(&root.join(STATE_DIR).join("lock"), timeout, waiting)
}

fn path(root: &Path) -> PathBuf {
    root.join(STATE_DIR).join(NAME)
}

fn boot() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(text.trim().to_owned())
}
