//! `bridgeprereq`: the uplink into a bridge, as a transaction that cannot strand the host.
//!
//! A [`Request`] comes in, a [`Report`] goes out. The story is [`run`]: undo what an interrupted run left,
//! read, plan, refuse, start the watchdog, change, prove, configure, commit. Whatever goes wrong after the
//! first change is undone: by this process, by its watchdog when this process dies or hangs, by the next run
//! when both die.
//!
//! The rooms, each using only those after it: `cli` parses, `transaction` changes and undoes, [`persist`] is
//! about the files for the next boot and about DHCP clients, [`net`] about the kernel's network.

mod called_files;
mod cli;
mod firewall;
pub mod net;
mod nic;
pub mod persist;
mod planned;
mod report;
mod transaction;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use cli::main;
pub use firewall::Firewall;
pub use nic::default_nic;
pub use report::{Outcome, Report};

use self::net::probe::{self, ProbeTarget, TargetRole};
use self::net::{HostKernel, NetState, Uplink};
use self::planned::PlannedChange;
use self::transaction::{BridgeTransaction, ChangeJournal, lock, undo};
use crate::fault::Fault;

/// What the user wants.
#[derive(Debug, Clone)]
pub struct Request {
    /// The NICs and their bridges.
    pub uplinks: Vec<Uplink>,
    /// Whether only to print what would be done.
    pub dry_run: bool,
    /// What to do about rules of the firewall that name the NIC.
    pub firewall: Firewall,
    /// Whether to change the files for the next boot too.
    pub persist: bool,
    /// How long the whole change may take before the watchdog undoes it.
    pub timeout: Duration,
    /// Hosts that must answer before and after.
    pub probes: Vec<IpAddr>,
    /// The management node, which must answer afterwards if it does before.
    pub master: Option<IpAddr>,
    /// The directory that takes the place of `/` for the configuration and the journal.
    pub root: PathBuf,
}

/// Brings the uplinks into their bridges.
///
/// # Errors
/// When nothing was changed because something is in the way, or when something was changed and could
/// not be undone. A change that failed and was undone is no error but [`Outcome::RolledBack`].
pub fn run(request: &Request, progress: &mut dyn FnMut(&str)) -> Result<Report> {
    let mut kernel = HostKernel::open().context("opening a netlink socket")?;
    if request.uplinks.iter().any(|uplink| uplink.switch.is_some()) {
        kernel = kernel.with_open_vswitch();
    }
    if request.dry_run {
        return Ok(PlannedChange::plan(&kernel, request, progress)?.report(Outcome::Planned));
    }
    if !net::may_change() {
        bail!("changing the network needs root (CAP_NET_ADMIN): nothing was changed");
    }
    let lock = lock(&request.root, request.timeout, progress)?;
    recover(&kernel, request, progress)?;
    let mut planned = PlannedChange::plan(&kernel, request, progress)?;
    if planned.is_empty() {
        return Ok(planned.report(Outcome::Unchanged));
    }
    planned.check()?;
    let targets = reachable(&kernel, &planned.state, request, progress)?;
    let transaction = BridgeTransaction {
        kernel: &kernel,
        request,
        planned,
        targets,
    };
    transaction.run(&lock, progress)
}

/// Undoes what a run left that died together with its watchdog, or ends what it had finished.
fn recover(kernel: &HostKernel, request: &Request, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let Some(journal) = ChangeJournal::load(&request.root)? else {
        for uplink in &request.uplinks {
            persist::finish(&request.root, &uplink.bridge, &Fault::default())?;
        }
        return Ok(());
    };
    let undoing = "undoing the change of a run that was interrupted";
    progress(undoing);
    let unheard = undo(kernel, &journal, &Fault::default()).context(undoing)?;
    unheard.iter().for_each(|what| progress(what));
    Ok(())
}

/// Finds who can be probed afterwards: a target that does not answer before proves nothing after.
fn reachable(
    kernel: &HostKernel,
    state: &NetState,
    request: &Request,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<ProbeTarget>> {
    let host = |role| move |ip| ProbeTarget::Host { ip, role };
    let mut targets = probe::gateways(state, &request.uplinks);
    targets.extend(request.master.map(host(TargetRole::ManagementNode)));
    targets.extend(request.probes.iter().copied().map(host(TargetRole::Probe)));
    let (answering, silent) = probe::before(kernel, targets);
    for target in silent {
        match target {
            ProbeTarget::Host {
                role: TargetRole::Probe,
                ip,
            } => {
                bail!("{ip} does not answer before the change either: nothing was changed")
            }
            target => progress(&format!(
                "{target} does not answer now, so it will not be probed"
            )),
        }
    }
    Ok(answering)
}
