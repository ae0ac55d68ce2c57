//! Hosts that must be reachable before and after: the default gateways by ARP and neighbour discovery, the
//! management node, and whoever the user names.

use std::fmt;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{HostKernel, KernelRoute, NetState, Uplink, echo};

/// How long somebody may take to answer before the change.
const BEFORE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long to wait for one answer before asking again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Somebody who must be reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// A router on the link, found by ARP or neighbour discovery.
    Gateway {
        /// Its address.
        ip: IpAddr,
        /// The device that it is found by before the change.
        before: String,
        /// The bridge that it must be found by afterwards.
        after: String,
    },
    /// A host anywhere.
    Host {
        /// Its address.
        ip: IpAddr,
        /// What it is to us.
        role: TargetRole,
    },
}

/// Why a host must be reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRole {
    /// The management node.
    ManagementNode,
    /// A host that the user names.
    Probe,
}

impl fmt::Display for TargetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManagementNode => "management node",
            Self::Probe => "probe",
        })
    }
}

impl fmt::Display for ProbeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway { ip, .. } => write!(f, "gateway {ip}"),
            Self::Host { ip, role } => write!(f, "{role} {ip}"),
        }
    }
}

/// Names the routers of the default routes that leave by the uplinks.
pub fn gateways(state: &NetState, uplinks: &[Uplink]) -> Vec<ProbeTarget> {
    let mut targets = Vec::new();
    for uplink in uplinks {
        let devices = [uplink.nic.as_str(), uplink.bridge.as_str()];
        let defaults = state.routes.iter().filter(|route| route.is_default());
        for (ip, before) in defaults.flat_map(|route| ways(state, route)) {
            let target = ProbeTarget::Gateway {
                ip,
                before: before.to_owned(),
                after: uplink.bridge.to_string(),
            };
            if devices.contains(&before) && !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

/// Returns the routers that a route goes by and the devices they are found by, be they its own or a
/// nexthop object's.
fn ways<'a>(state: &'a NetState, route: &'a KernelRoute) -> Vec<(IpAddr, &'a str)> {
    let own = route
        .hops
        .iter()
        .map(|hop| (hop.gateway, hop.device.as_deref()));
    let objects = state
        .nexthops
        .iter()
        .filter(|hop| route.nexthop == Some(hop.id));
    own.chain(objects.map(|hop| (hop.gateway, hop.device.as_deref())))
        .filter_map(|(gateway, device)| Some((gateway?, device?)))
        .collect()
}

/// Splits targets into those that answer now and those that do not.
pub fn before(
    kernel: &HostKernel,
    targets: Vec<ProbeTarget>,
) -> (Vec<ProbeTarget>, Vec<ProbeTarget>) {
    let silent = wait(
        kernel,
        &targets,
        ProbePhase::Before,
        Instant::now() + BEFORE_TIMEOUT,
    );
    targets.into_iter().partition(|t| !silent.contains(t))
}

/// Waits until every target answers after the change.
///
/// # Errors
/// When one of them does not before the deadline.
pub fn after(kernel: &HostKernel, targets: &[ProbeTarget], deadline: Instant) -> Result<()> {
    let silent = wait(kernel, targets, ProbePhase::After, deadline);
    if silent.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = silent.iter().map(ToString::to_string).collect();
    bail!("no answer any more from {}", names.join(", "));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbePhase {
    Before,
    After,
}

/// Asks until all have answered or time is up; returns who has not.
fn wait(
    kernel: &HostKernel,
    targets: &[ProbeTarget],
    phase: ProbePhase,
    end: Instant,
) -> Vec<ProbeTarget> {
    let mut silent = targets.to_vec();
    if phase == ProbePhase::Before {
        // what the kernel has learnt lately is good enough
        silent.retain(|target| !is_known(kernel, target, phase));
    }
    let mut last_probe: Option<Instant> = None;
    let mut pause = Duration::from_micros(200);
    loop {
        if last_probe.is_none_or(|at| at.elapsed() > PROBE_INTERVAL) {
            last_probe = Some(Instant::now());
            silent.retain(|target| !ask(kernel, target, phase));
        }
        silent.retain(|target| !is_known(kernel, target, phase));
        let left = end.saturating_duration_since(Instant::now());
        if silent.is_empty() || left.is_zero() {
            return silent;
        }
        sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Asks a target; reports whether it has answered already.
fn ask(kernel: &HostKernel, target: &ProbeTarget, phase: ProbePhase) -> bool {
    match target {
        ProbeTarget::Gateway { ip, .. } => {
            // a device that is not there (yet) has nobody to ask
            kernel.ask_neighbour(target.device(phase), *ip).ok();
            false
        }
        ProbeTarget::Host { ip, .. } => echo::answers(*ip, PROBE_INTERVAL),
    }
}

/// Reports whether the kernel knows of itself that a target answers.
fn is_known(kernel: &HostKernel, target: &ProbeTarget, phase: ProbePhase) -> bool {
    match target {
        ProbeTarget::Gateway { ip, .. } => kernel
            .neighbour_answers(target.device(phase), *ip)
            .unwrap_or(false),
        ProbeTarget::Host { .. } => false,
    }
}

impl ProbeTarget {
    fn device(&self, phase: ProbePhase) -> &str {
        match (self, phase) {
            (Self::Gateway { before, .. }, ProbePhase::Before) => before,
            (Self::Gateway { after, .. }, ProbePhase::After) => after,
            (Self::Host { .. }, _) => "",
        }
    }
}
