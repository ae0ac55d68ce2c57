//! What runs for the NIC and goes on for the bridge: the daemon of the backend, DHCP clients.
//!
//! The order is: plan, [`pause`](Running::pause) before the NIC loses its addresses,
//! [`hand_over`](Running::hand_over) once the bridge has them and the files are in place. What is done is
//! noted beforehand and undone by [`recover`](super::recover), in this process or a later one.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::handover::Handover;
use super::{detect, journal, leased};
use crate::bridge::net::NetState;
use crate::fault::Fault;

/// What runs for one NIC.
#[derive(Debug, Clone)]
pub struct Running {
    pub(super) root: PathBuf,
    pub(super) hand_over: Handover,
    pub(super) bridge: String,
    pub(super) notes: Vec<String>,
    pub(super) fault: Fault,
}

/// Plans what goes on for the bridge although no file changes; touches nothing.
///
/// # Errors
/// When something runs that would put an address back on the NIC and cannot be moved.
pub fn plan_running(root: &Path, nic: &str, bridge: &str, state: &NetState) -> Result<Running> {
    let hand_over = Handover::plan_clients(root, nic, bridge, leased(state, nic, bridge))?;
    let link = state.link(nic);
    let addresses = link
        .map(|link| link.addresses.as_slice())
        .unwrap_or_default();
    let expiring = addresses
        .iter()
        .find(|address| address.lifetimes.is_some() && address.scope == 0);
    let mut notes = Vec::new();
    match (detect::manager(root, nic)?, expiring) {
        (Some(manager), Some(address)) => bail!(
            "{manager} keeps {} on {nic} by a lease or by advertisements, and would do so on the port: omit \
             --no-persist, or take {nic} from {manager} first",
            address.ip
        ),
        (Some(manager), None) if !addresses.is_empty() => notes.push(format!(
            "{manager} goes on configuring {nic}: its next change may put addresses back on the port"
        )),
        (None, Some(address)) if address.ip.is_ipv4() && !hand_over.has_clients() => {
            notes.push(format!(
                "{} is a lease, and nothing that runs here is known to renew it",
                address.ip
            ));
        }
        _ => {}
    }
    Ok(Running {
        root: root.to_owned(),
        hand_over,
        bridge: bridge.to_owned(),
        notes,
        fault: Fault::default(),
    })
}

impl Running {
    /// Injects the faults that a test plans.
    pub fn with_fault(self, fault: &Fault) -> Self {
        let fault = fault.clone();
        Self { fault, ..self }
    }

    /// The plan in words, a line each.
    pub fn describe(&self) -> Vec<String> {
        self.hand_over.describe()
    }

    /// Notes for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Stops the DHCP clients of the NIC, which would fetch the addresses back that it loses.
    pub fn pause(&self) -> Result<()> {
        if !self.hand_over.has_clients() {
            return Ok(());
        }
        journal(&self.root, &self.bridge, &self.fault).note(&self.hand_over)?;
        self.hand_over.pause(&self.root, &self.fault)
    }

    /// Tells what runs that the bridge has the addresses now. The bridge must have them already and the
    /// files must be in place.
    pub fn hand_over(&self) -> Result<()> {
        if self.hand_over.is_empty() {
            return Ok(());
        }
        journal(&self.root, &self.bridge, &self.fault).note(&self.hand_over)?;
        self.hand_over.forward(&self.root, &self.fault)
    }
}
