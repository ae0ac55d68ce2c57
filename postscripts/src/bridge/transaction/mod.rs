//! The change itself: watched, proven, and undone when it does not hold.
//!
//! In: a [`PlannedChange`]. Out: a [`Report`]. A [`ChangeJournal`] is on disk and a [`Watchdog`] runs before
//! the first change; the end of the journal is the commit.

mod expected;
mod journal;
mod undo;
mod watchdog;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::Lock;

use self::expected::ExpectedState;
use self::watchdog::Watchdog;
use super::net::probe::{self, ProbeTarget};
use super::net::{self, HostKernel};
use super::planned::{PlannedChange, UplinkConfig};
use super::{Outcome, Report, Request, firewall, persist};
use crate::fault::{Fault, FaultPoint};

pub(super) use journal::{ChangeJournal, lock};
pub(super) use undo::undo;
pub(super) use watchdog::{WATCHDOG, run_watchdog};

/// How long nothing may change before the network counts as settled, and how long when daemons were
/// told of it.
const SETTLE_TIME: Duration = Duration::from_millis(300);
const SETTLE_TIME_AFTER_HANDOVER: Duration = Duration::from_secs(3);
/// How long the network may take to be as it was once everything is undone.
const UNDO_TIMEOUT: Duration = Duration::from_secs(3);

/// One change of the network and its files.
#[derive(Debug)]
pub(super) struct BridgeTransaction<'a> {
    pub(super) kernel: &'a HostKernel,
    pub(super) request: &'a Request,
    pub(super) planned: PlannedChange,
    /// Who answered before and must answer afterwards.
    pub(super) targets: Vec<ProbeTarget>,
}

impl BridgeTransaction<'_> {
    /// Changes, proves and commits, or undoes everything.
    pub(super) fn run(self, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<Report> {
        let mut fault = Fault::from_env();
        let mut journal = self.begin()?;
        let watchdog = Watchdog::start(&self.request.root, self.request.timeout, lock.file());
        let watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                journal.remove()?;
                return Err(error.context("starting the watchdog; nothing was changed"));
            }
        };
        fault.watched_by(watchdog.id());
        let changed = self.change(&mut journal, &fault);
        if let Err(error) = &changed
            && error.is::<net::NoBridges>()
        {
            self.roll_back(&journal, watchdog, &fault)?;
            bail!("{error}; nothing was changed");
        }
        let steps = self.planned.plan.steps.iter().map(ToString::to_string);
        for step in steps.chain(self.planned.files.iter().cloned()) {
            progress(&step);
        }
        match changed {
            Ok(notes) => {
                watchdog.dismiss()?;
                for uplink in &self.request.uplinks {
                    persist::finish(&self.request.root, &uplink.bridge, &fault)?;
                }
                let mut report = self.planned.report(Outcome::Changed);
                report.notes.extend(notes);
                report.reached = self.targets.iter().map(ToString::to_string).collect();
                Ok(report)
            }
            Err(error) => {
                let unheard = self
                    .roll_back(&journal, watchdog, &fault)
                    .with_context(|| format!("putting everything back after {error:#}"))?;
                let before = ExpectedState::before(&self.planned);
                let deadline = Instant::now() + UNDO_TIMEOUT;
                if let Err(differs) = before.wait_for(self.kernel, deadline, Duration::ZERO) {
                    bail!("{error:#}: everything was put back, but {differs:#}");
                }
                let mut report = self.planned.report(Outcome::RolledBack);
                report.error = Some(format!("{error:#}"));
                report.notes.extend(unheard);
                report.is_overtaken = error.is::<net::MadeMeanwhile>();
                Ok(report)
            }
        }
    }

    /// Writes down what is about to change.
    fn begin(&self) -> Result<ChangeJournal> {
        let uplinks = self.request.uplinks.iter();
        let bridges = uplinks.map(|uplink| uplink.bridge.clone()).collect();
        let steps = self.planned.plan.steps.clone();
        let journal = ChangeJournal::new(&self.request.root, bridges, steps)?;
        journal.save()?;
        Ok(journal)
    }

    /// The part that may fail and is then undone. The end of the journal is the commit.
    fn change(&self, journal: &mut ChangeJournal, fault: &Fault) -> Result<Vec<String>> {
        let (kernel, timeout) = (self.kernel, self.request.timeout);
        // what follows the proof needs the last fifth
        let deadline = Instant::now() + timeout.mul_f32(0.8);
        for config in &self.planned.configs {
            config.running().with_fault(fault).pause()?;
        }
        net::apply(kernel, &self.planned.plan.steps, fault).map_err(|refused| {
            // The undo of every other step that never happened does no harm, and takes back what the kernel added by
            // itself: the route of an address.
            if refused.error.is::<net::MadeMeanwhile>() {
                journal.steps.truncate(refused.done);
            }
            refused.error
        })?;
        fault.inject(FaultPoint::Verify);
        probe::after(kernel, &self.targets, deadline)?;
        let expected = ExpectedState::after(&self.planned, &self.request.uplinks);
        expected.wait_for(kernel, deadline, Duration::ZERO)?;
        let mut notes = self.configure(fault)?;
        net::remove_again(kernel, &self.planned.plan.steps)
            .context("removing once more what a daemon put back on the NIC")?;
        // a network manager that was told of the change, or that was not, may change something more
        let settle_time = match self.planned.files.as_slice() {
            [] => SETTLE_TIME,
            _ => SETTLE_TIME_AFTER_HANDOVER,
        };
        // the last proof needs its time too
        let settled = expected.wait_for(kernel, deadline, settle_time.min(timeout / 5))?;
        notes.extend(net::other_link_locals(
            &expected.state,
            &settled,
            &self.request.uplinks,
        ));
        probe::after(kernel, &self.targets, deadline)?;
        firewall::confirm(kernel, self.request, &self.planned.untranslated)?;
        fault.inject(FaultPoint::Commit);
        journal.remove()?;
        Ok(notes)
    }

    /// Hands over what runs and changes the files for the next boot; notes where files and network differ.
    fn configure(&self, fault: &Fault) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for config in &self.planned.configs {
            let UplinkConfig::Persistent(checked) = config else {
                config.running().with_fault(fault).hand_over()?;
                continue;
            };
            let files = checked
                .replan(&self.planned.state)
                .context("planning the files again")?;
            let files = files.with_fault(fault);
            // the uplink before this one may have changed the same file
            if files.changes() != checked.changes() {
                files.check()?;
            }
            files.apply()?;
            files.running().hand_over()?;
            let live = self.kernel.load(&[]).context("reading the network")?;
            let differences = files.differences(&live).into_iter();
            notes.extend(differences.map(|what| format!("after a boot it will differ: {what}")));
        }
        Ok(notes)
    }

    fn roll_back(
        &self,
        journal: &ChangeJournal,
        mut watchdog: Watchdog,
        fault: &Fault,
    ) -> Result<Vec<String>> {
        // the next run is to know as well, should both processes die
        if journal.steps.len() < self.planned.plan.steps.len() {
            let _ = journal.save();
        }
        watchdog.expect_undo(journal.steps.len());
        match undo(self.kernel, journal, fault) {
            Ok(unheard) => watchdog.dismiss().map(|()| unheard),
            Err(_) => watchdog.delegate_undo().map(|()| Vec::new()),
        }
    }
}
