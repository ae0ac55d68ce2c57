//! Undo: the network and the files as they were, from the journal alone.
//!
//! The same for the run itself, for its watchdog and for the next run.

use anyhow::{Context, Result};

use super::journal::ChangeJournal;
use crate::bridge::net::{self, HostKernel};
use crate::bridge::persist;
use crate::fault::Fault;

/// Undoes whatever the journal lists, in the kernel and on disk, and ends the journal.
///
/// # Errors
/// When something is not back; the journal stays for a later run.
pub(crate) fn undo(kernel: &HostKernel, journal: &ChangeJournal, fault: &Fault) -> Result<()> {
    let live = net::undo(kernel, &journal.steps, fault);
    for bridge in &journal.bridges {
        persist::recover(&journal.root, bridge, fault)?;
    }
    live?;
    net::restore_rules(kernel, &journal.steps).context("restoring policy rules")?;
    journal.remove()
}
