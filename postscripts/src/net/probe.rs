//! Who must be reachable before and after: the default gateways by ARP and neighbour discovery, the
//! management node, and whoever the user names.

use std::fmt;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Kernel, NetState, Route, Uplink, echo};

/// How long somebody may take to answer before the change.
const BEFORE: Duration = Duration::from_millis(1500);
/// How long to wait for one answer before asking again.
const AGAIN: Duration = Duration::from_millis(500);

/// Somebody who must be reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
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
        /// What it is to us: `management node`, `probe`.
        role: &'static str,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway { ip, .. } => write!(f, "gateway {ip}"),
            Self::Host { ip, role } => write!(f, "{role} {ip}"),
        }
    }
}

/// Names the routers of the default routes that leave by the uplinks.
pub fn gateways(state: &NetState, uplinks: &[Uplink]) -> Vec<Target> {
    let mut targets = Vec::new();
    for uplink in uplinks {
        let devices = [uplink.nic.as_str(), uplink.bridge.as_str()];
        let defaults = state.routes.iter().filter(|route| route.is_default());
        for (ip, before) in defaults.flat_map(|route| ways(state, route)) {
            let target = Target::Gateway {
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
fn ways<'a>(state: &'a NetState, route: &'a Route) -> Vec<(IpAddr, &'a str)> {
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
pub fn before(kernel: &Kernel, targets: Vec<Target>) -> (Vec<Target>, Vec<Target>) {
    let silent = wait(kernel, &targets, Place::Before, Instant::now() + BEFORE);
    targets.into_iter().partition(|t| !silent.contains(t))
}

/// Waits until every target answers after the change.
///
/// # Errors
/// When one of them does not before the deadline.
pub fn after(kernel: &Kernel, targets: &[Target], deadline: Instant) -> Result<()> {
    let silent = wait(kernel, targets, Place::After, deadline);
    if silent.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = silent.iter().map(ToString::to_string).collect();
    bail!("no answer any more from {}", names.join(", "));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    After,
}

/// Asks until all have answered or time is up; returns who has not.
fn wait(kernel: &Kernel, targets: &[Target], place: Place, end: Instant) -> Vec<Target> {
    let mut silent = targets.to_vec();
    if place == Place::Before {
        // what the kernel has heard lately is good enough
        silent.retain(|target| !is_known(kernel, target, place));
    }
    let mut asked: Option<Instant> = None;
    let mut pause = Duration::from_micros(200);
    loop {
        if asked.is_none_or(|at| at.elapsed() > AGAIN) {
            asked = Some(Instant::now());
            silent.retain(|target| !ask(kernel, target, place));
        }
        silent.retain(|target| !is_known(kernel, target, place));
        let left = end.saturating_duration_since(Instant::now());
        if silent.is_empty() || left.is_zero() {
            return silent;
        }
        sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Asks a target; says whether it has answered already.
fn ask(kernel: &Kernel, target: &Target, place: Place) -> bool {
    match target {
        Target::Gateway { ip, .. } => {
            // a device that is not there (yet) has nobody to ask
            kernel.ask_neighbour(target.device(place), *ip).ok();
            false
        }
        Target::Host { ip, .. } => echo::answers(*ip, AGAIN),
    }
}

/// Says whether the kernel knows of itself that a target answers.
fn is_known(kernel: &Kernel, target: &Target, place: Place) -> bool {
    match target {
        Target::Gateway { ip, .. } => kernel
            .neighbour_answers(target.device(place), *ip)
            .unwrap_or(false),
        Target::Host { .. } => false,
    }
}

impl Target {
    fn device(&self, place: Place) -> &str {
        match (self, place) {
            (Self::Gateway { before, .. }, Place::Before) => before,
            (Self::Gateway { after, .. }, Place::After) => after,
            (Self::Host { .. }, _) => "",
        }
    }
}
