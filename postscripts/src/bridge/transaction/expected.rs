//! The network as it has to be after the plan, or after its undo, and the wait until it is.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bridge::net::{self, HostKernel, NetState, Uplink};
use crate::bridge::planned::PlannedChange;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The network that is waited for.
#[derive(Debug)]
pub(super) struct ExpectedState<'a> {
    pub(super) state: NetState,
    uplinks: &'a [Uplink],
    /// When the state was read that this one is made from: its lifetimes have counted down since.
    began: Instant,
    /// What the network is not when it differs.
    name: &'static str,
}

impl<'a> ExpectedState<'a> {
    /// The network as the plan leaves it.
    pub(super) fn after(planned: &PlannedChange, uplinks: &'a [Uplink]) -> Self {
        Self {
            state: planned.state.after(&planned.plan.steps),
            uplinks,
            began: planned.began,
            name: "as planned",
        }
    }

    /// The network as it was.
    pub(super) fn before(planned: &PlannedChange) -> Self {
        Self {
            state: planned.state.clone(),
            uplinks: &[],
            began: planned.began,
            name: "as it was",
        }
    }

    /// Waits until the network is as expected and has not changed for a while; returns it.
    ///
    /// # Errors
    /// When it is not in the end, with all that differs.
    pub(super) fn wait_for(
        &self,
        kernel: &HostKernel,
        deadline: Instant,
        settle_time: Duration,
    ) -> Result<NetState> {
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
            let is_settled =
                since.elapsed() >= settle_time || Instant::now() + settle_time >= deadline;
            if differences.is_empty() && is_settled {
                return Ok(now);
            }
            if !differences.is_empty() && is_over {
                let name = self.name;
                bail!("the network is not {name}: {}", differences.join("; "));
            }
            sleep(POLL_INTERVAL);
        }
    }
}
