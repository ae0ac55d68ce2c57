//! Undo: the network and the files as they were, from the journal alone.
//!
//! The same for the run itself, for its watchdog and for the next run.

use anyhow::{Context, Result};

use super::journal::ChangeJournal;
use crate::bridge::net::{self, HostKernel};
use crate::bridge::persist;
use crate::fault::Fault;

/// Undoes whatever the journal lists, in the kernel and on disk, and ends the journal; returns what runs and could not be
/// told, in words. Goes on after a failure, because every bit that is back counts.
///
/// # Errors
/// When something is not back; the journal stays for a later run.
pub(crate) fn undo(
    kernel: &HostKernel,
    journal: &ChangeJournal,
    fault: &Fault,
) -> Result<Vec<String>> {
    let mut result = net::undo(kernel, &journal.steps, fault);
    let mut unheard = Vec::new();
    for bridge in &journal.bridges {
        let recovered = persist::recover(&journal.root, bridge, fault);
        result = result.and(recovered.map(|some| unheard.extend(some.into_iter().flatten())));
    }
    let rules = net::restore_rules(kernel, &journal.steps).context("restoring policy rules");
    result.and(rules)?;
    journal.remove()?;
    Ok(unheard)
}
