//! Makes steps happen in order, and takes them back in the opposite order.

use std::io;

use anyhow::anyhow;
use definitions::IfName;
use nix::libc;

use super::{Address, HostKernel, Step};
use crate::fault::{Fault, FaultPoint};

/// The kernel knows no bridges: neither built in nor as a module that may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this kernel cannot make a bridge: let it load the module 'bridge' (modprobe bridge), or boot one that has it"
)]
pub struct NoBridges;

/// The bridge was made since the network was read: dockerd makes those of its networks when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("something else made it meanwhile")]
pub struct MadeMeanwhile;

/// Why not all steps happened.
#[derive(Debug)]
pub struct RefusedStep {
    /// How many steps happened before it.
    pub done: usize,
    /// What the kernel said: [`NoBridges`] when it can make none, [`MadeMeanwhile`] when there is one of that name.
    pub error: anyhow::Error,
}

/// Makes every step happen.
///
/// # Errors
/// At the first step that the kernel refuses; what was done before it stays until it is undone.
pub fn apply(kernel: &HostKernel, steps: &[Step], fault: &Fault) -> Result<(), RefusedStep> {
    for (number, step) in steps.iter().enumerate() {
        fault.inject(FaultPoint::Before(number + 1));
        fault
            .error_at(FaultPoint::Before(number + 1))
            .and_then(|()| perform(kernel, step))
            .map_err(|error| RefusedStep {
                done: number,
                error: refused(step, error),
            })?;
        fault.inject(FaultPoint::After(number + 1));
    }
    Ok(())
}

/// Reports whether a device is made as a whole or not at all.
fn is_whole(step: &Step) -> bool {
    matches!(step, Step::CreateBridge { .. } | Step::CreateVeth { .. })
}

/// Says which step the kernel refused.
fn refused(step: &Step, error: io::Error) -> anyhow::Error {
    let unknown = error.raw_os_error() == Some(libc::EOPNOTSUPP);
    match (step, unknown) {
        (Step::CreateBridge { .. }, true) => NoBridges.into(),
        _ if is_whole(step) && error.raw_os_error() == Some(libc::EEXIST) => {
            anyhow::Error::new(MadeMeanwhile).context(step.to_string())
        }
        (Step::Enslave { port, .. }, _) if error.raw_os_error() == Some(libc::EBUSY) => {
            let why = format!(
                "{port} is held by something that takes all its frames: a macvlan or ipvlan device, maybe of a \
                 container, MACsec, a bond, a team or Open vSwitch ({error})"
            );
            anyhow!(why).context(step.to_string())
        }
        (Step::Enslave { port, .. }, true) => {
            anyhow!("the driver of {port} lets it be no port of a bridge ({error})")
                .context(step.to_string())
        }
        _ => anyhow::Error::new(error).context(step.to_string()),
    }
}

/// Takes steps back, the last first, whether they happened or not; goes on after a failure, because
/// every bit that is back counts.
///
/// # Errors
/// When something is not back, with all that the kernel said.
pub fn undo(kernel: &HostKernel, steps: &[Step], fault: &Fault) -> anyhow::Result<()> {
    let mut refused = Vec::new();
    for (number, step) in steps.iter().rev().filter_map(Step::undo).enumerate() {
        fault.inject(FaultPoint::Undo(number + 1));
        if let Err(error) = perform(kernel, &step) {
            refused.push(format!("{step}: {error}"));
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(anyhow!(refused.join("; ")))
    }
}

/// Removes what the steps removed and is there again: NetworkManager adds addresses and policy rules again that it
/// knows the NIC by, for as long as it does.
///
/// # Errors
/// When the kernel refuses to answer, or to remove one.
pub fn remove_again(kernel: &HostKernel, steps: &[Step]) -> io::Result<()> {
    let now = kernel.load(&[])?;
    let has = |link: &IfName, address: &Address| {
        let addresses = now.link(link.as_str()).map(|link| &link.addresses);
        addresses.is_some_and(|all| all.iter().any(|known| known.is_same(address)))
    };
    for step in steps {
        let is_there = match step {
            Step::RemoveRule { rule } => now.rules.contains(rule),
            Step::RemoveAddress { link, address } => has(link, address),
            _ => false,
        };
        if is_there {
            perform(kernel, step)?;
        }
    }
    Ok(())
}

/// Adds the policy rules that the steps removed and that are gone once all is undone: systemd-networkd takes those
/// along that it knew a device by, and does not add them again.
///
/// # Errors
/// When the kernel refuses to answer, or to add one.
pub fn restore_rules(kernel: &HostKernel, steps: &[Step]) -> io::Result<()> {
    let now = kernel.load(&[])?.rules;
    for step in steps {
        match step {
            Step::RemoveRule { rule } if !now.iter().any(|known| known.is_alike(rule)) => {
                let rule = rule.clone();
                perform(kernel, &Step::AddRule { rule })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a step happen; that it has happened already is fine.
fn perform(kernel: &HostKernel, step: &Step) -> io::Result<()> {
    match kernel.perform(step) {
        Err(error) if stands_already(step, &error) => Ok(()),
        result => result,
    }
}

/// Reports whether the kernel refuses because the step's outcome is there already. A secondary address
/// may have gone with its primary, a lease may have run out, a router may have advertised its route
/// anew, a device may have left with all that hung on it.
fn stands_already(step: &Step, error: &io::Error) -> bool {
    let gone = [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL];
    let codes: &[i32] = match step {
        Step::AddAddress { .. }
        | Step::AddRoute { .. }
        | Step::ReviveRoute { .. }
        | Step::AddRule { .. } => &[libc::EEXIST],
        Step::RemoveAddress { .. }
        | Step::RemoveRoute { .. }
        | Step::RetireRoute { .. }
        | Step::RemoveRule { .. }
        | Step::RemoveTranslation { .. }
        | Step::RemoveNeighbour { .. }
        | Step::DeleteBridge { .. }
        | Step::DeleteVeth { .. }
        | Step::StopDropping { .. }
        | Step::Release { .. }
        | Step::SetDown { .. } => &gone,
        _ => &[],
    };
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}
