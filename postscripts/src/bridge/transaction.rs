//! The change itself: guarded, proven, and taken back when it does not hold.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::Lock;

use super::{Outcome, Report, Request, Upheld, Work, firewall};
use crate::fault::{Fault, Moment};
use crate::net::probe::{self, Target};
use crate::net::{self, Guardian, Journal, Kernel, NetState, Uplink};
use crate::persist;

/// How long nothing may change before the network counts as settled, and how long when daemons were
/// told of it.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_AFTER_HAND_OVER: Duration = Duration::from_secs(3);
/// How long the network may take to be as it was once everything is taken back.
const PUT_BACK: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(50);

/// Changes, proves and ends, or takes everything back.
pub(super) fn change(
    kernel: &Kernel,
    request: &Request,
    work: Work,
    targets: &[Target],
    lock: &Lock,
    say: &mut dyn FnMut(&str),
) -> Result<Report> {
    let mut fault = Fault::from_env();
    let bridges = request
        .uplinks
        .iter()
        .map(|uplink| uplink.bridge.to_string());
    let steps = work.plan.steps.clone();
    let journal = Journal::new(&request.root, bridges.collect(), steps)?;
    journal.save()?;
    let guardian = match Guardian::start(&request.root, request.timeout, lock.file()) {
        Ok(guardian) => guardian,
        Err(error) => {
            journal.remove()?;
            return Err(error.context("starting the guardian; nothing was changed"));
        }
    };
    fault.guarded_by(guardian.id());
    let changed = transact(kernel, request, &work, targets, &journal, &fault);
    if let Err(error) = &changed
        && error.is::<net::NoBridges>()
    {
        take_back(kernel, &journal, guardian, &fault)?;
        bail!("{error}; nothing was changed");
    }
    let steps = work.plan.steps.iter().map(ToString::to_string);
    for step in steps.chain(work.files.iter().cloned()) {
        say(&step);
    }
    let before = Expected::before(&work);
    let mut report = work.report(Outcome::Changed);
    match changed {
        Ok(notes) => {
            guardian.dismiss()?;
            for uplink in &request.uplinks {
                persist::finish(&request.root, uplink.bridge.as_str(), &fault)?;
            }
            report.notes.extend(notes);
            report.reached = targets.iter().map(ToString::to_string).collect();
        }
        Err(error) => {
            take_back(kernel, &journal, guardian, &fault)
                .with_context(|| format!("taking everything back after {error:#}"))?;
            if let Err(differs) = before.hold(kernel, Instant::now() + PUT_BACK, Duration::ZERO) {
                bail!("{error:#}: everything was taken back, but {differs:#}");
            }
            report.outcome = Outcome::RolledBack;
            report.error = Some(format!("{error:#}"));
        }
    }
    Ok(report)
}

/// The part that may fail and is then taken back. The journal's end is the moment of no return.
fn transact(
    kernel: &Kernel,
    request: &Request,
    work: &Work,
    targets: &[Target],
    journal: &Journal,
    fault: &Fault,
) -> Result<Vec<String>> {
    // the guardian needs the last fifth, should this process hang in the middle of taking back
    let deadline = Instant::now() + request.timeout.mul_f32(0.8);
    for upheld in &work.upheld {
        upheld.running().with_fault(fault).pause()?;
    }
    net::apply(kernel, &work.plan.steps, fault)?;
    fault.strike(Moment::Verify);
    probe::after(kernel, targets, deadline)?;
    let expected = Expected::of(work, &request.uplinks);
    expected.hold(kernel, deadline, Duration::ZERO)?;
    let mut notes = write_down(kernel, work, fault)?;
    // a network manager that was told, or that was not, may have ideas of its own
    let quiet = if work.files.is_empty() {
        QUIET
    } else {
        QUIET_AFTER_HAND_OVER
    };
    // the last proof needs its time too
    let settled = expected.hold(kernel, deadline, quiet.min(request.timeout / 5))?;
    notes.extend(net::other_link_locals(
        &expected.state,
        &settled,
        &request.uplinks,
    ));
    probe::after(kernel, targets, deadline)?;
    firewall::confirm(kernel, request, &work.left_behind)?;
    fault.strike(Moment::Commit);
    journal.remove()?;
    Ok(notes)
}

/// The network as the plan leaves it.
struct Expected<'a> {
    state: NetState,
    uplinks: &'a [Uplink],
    began: Instant,
}

impl<'a> Expected<'a> {
    fn of(work: &Work, uplinks: &'a [Uplink]) -> Self {
        Self {
            state: work.state.after(&work.plan.steps),
            uplinks,
            began: work.began,
        }
    }

    /// The network as it was.
    fn before(work: &Work) -> Self {
        Self {
            state: work.state.clone(),
            uplinks: &[],
            began: work.began,
        }
    }

    /// Waits until the network is as expected and has not changed for a while; returns it.
    ///
    /// # Errors
    /// When it is not in the end, with all that differs.
    fn hold(&self, kernel: &Kernel, deadline: Instant, quiet: Duration) -> Result<NetState> {
        let (mut last, mut since) = (None, Instant::now());
        loop {
            let now = kernel.load(&[]).context("reading the network")?;
            let elapsed = u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX);
            let differences = net::differences(&self.state, &now, self.uplinks, elapsed);
            let shape = now.shape();
            if last.as_ref() != Some(&shape) {
                (last, since) = (Some(shape), Instant::now());
            }
            let is_over = Instant::now() >= deadline;
            let is_quiet = since.elapsed() >= quiet || Instant::now() + quiet >= deadline;
            match differences.is_empty() {
                true if is_quiet => return Ok(now),
                false if is_over => {
                    bail!("the network is not as it was: {}", differences.join("; "))
                }
                _ => sleep(AGAIN),
            }
        }
    }
}

/// Hands over what runs and changes the files for the next boot; says where they and the running network differ.
fn write_down(kernel: &Kernel, work: &Work, fault: &Fault) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for upheld in &work.upheld {
        let Upheld::Files(files) = upheld else {
            upheld.running().with_fault(fault).hand_over()?;
            continue;
        };
        // the one before may have changed the same file
        let files = files
            .anew(&work.state)
            .context("planning the files again")?;
        let files = files.with_fault(fault);
        if files.apply()?.is_none() && !files.changes().is_empty() {
            let backend = files.backend();
            notes.push(format!(
                "{backend} has no tool here that reads its files back"
            ));
        }
        files.running().hand_over()?;
        let live = kernel.load(&[]).context("reading the network")?;
        let differences = files.differences(&live).into_iter();
        notes.extend(differences.map(|what| format!("after a boot it will differ: {what}")));
    }
    Ok(notes)
}

fn take_back(kernel: &Kernel, journal: &Journal, guardian: Guardian, fault: &Fault) -> Result<()> {
    match net::put_back(kernel, journal, fault) {
        Ok(()) => guardian.dismiss(),
        Err(_) => guardian.give_up(),
    }
}
