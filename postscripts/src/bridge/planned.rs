//! All that a run is about to do, planned before anything is done.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::net::firewall::RuleFinding;
use super::net::{self, Datapath, HostKernel, NetState, Plan, PortObstacle, SwitchWiring, Uplink};
use super::persist::{self, Persistence, Running};
use super::{Outcome, Report, Request, firewall};

/// The plan for the network and for its files.
#[derive(Debug)]
pub(super) struct PlannedChange {
    pub(super) state: NetState,
    /// When the state was read.
    pub(super) began: Instant,
    pub(super) plan: Plan,
    /// Rules of the firewall that are not translated, which the user knows.
    pub(super) untranslated: Vec<RuleFinding>,
    /// How each uplink is configured from now on, in their order.
    pub(super) configs: Vec<UplinkConfig>,
    /// What changes on disk for the next boot and what is handed over, in words.
    pub(super) files: Vec<String>,
}

/// What keeps one uplink's bridge configured once it exists. Planned once: daemons that see the change happen
/// note something else of the NIC.
#[derive(Debug)]
pub(super) enum UplinkConfig {
    /// Until the next boot.
    UntilBoot(Box<Running>),
    /// And from then on.
    Persistent(Box<Persistence>),
}

impl PlannedChange {
    pub(super) fn plan(
        kernel: &HostKernel,
        request: &Request,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let devices = |uplink: &Uplink| [uplink.nic.to_string(), uplink.bridge.to_string()];
        let devices: Vec<_> = request.uplinks.iter().flat_map(devices).collect();
        let devices: Vec<_> = devices.iter().map(String::as_str).collect();
        for uplink in &request.uplinks {
            persist::wait_for_daemons(&request.root, uplink.nic.as_str(), progress)?;
        }
        let began = Instant::now();
        let mut state = kernel.load(&devices).context("reading the network")?;
        drop_endpoints_that_follow(request, &mut state)?;
        let mut plan = net::plan(&state, &request.uplinks)?;
        let configs = request.uplinks.iter();
        let configs: Vec<_> = configs
            .map(|uplink| UplinkConfig::plan(request, uplink, &state))
            .collect::<Result<_>>()?;
        let files = configs.iter().flat_map(UplinkConfig::describe).collect();
        plan.notes
            .extend(configs.iter().flat_map(UplinkConfig::notes));
        // files first: what cannot be kept there is reported even where the firewall is in the way too
        let untranslated = firewall::plan(kernel, request, &state, &mut plan)?;
        Ok(Self {
            state,
            began,
            plan,
            untranslated,
            configs,
            files,
        })
    }

    /// Checks that the files can be changed as planned, before anything is; notes where no tool reads them.
    pub(super) fn check(&mut self) -> Result<()> {
        for config in &self.configs {
            let UplinkConfig::Persistent(files) = config else {
                continue;
            };
            let checked = files.check().context("nothing was changed")?;
            if checked.is_none() && !files.changes().is_empty() {
                let backend = files.backend();
                self.plan.notes.push(format!(
                    "{backend} has no tool here that reads its files back"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plan.steps.is_empty() && self.files.is_empty()
    }

    pub(super) fn report(self, outcome: Outcome) -> Report {
        let outcome = if self.is_empty() {
            Outcome::Unchanged
        } else {
            outcome
        };
        Report {
            outcome,
            steps: self.plan.steps.iter().map(ToString::to_string).collect(),
            files: self.files,
            notes: self.plan.notes,
            plan: self.plan.steps,
            ..Report::default()
        }
    }
}

/// NetworkManager makes endpoints of MPTCP for the devices that it manages, and moves them with the addresses
/// (`connection.mptcp-flags`, nm-settings(5)): they do not keep the NIC from becoming a port.
fn drop_endpoints_that_follow(request: &Request, state: &mut NetState) -> Result<()> {
    for uplink in &request.uplinks {
        let nic = uplink.nic.as_str();
        let is_endpoint = |(of, obstacle): &(String, PortObstacle)| {
            of == nic && matches!(obstacle, PortObstacle::MptcpEndpoint { .. })
        };
        if state.obstacles.iter().any(is_endpoint)
            && persist::is_networkmanagers(&request.root, nic)?
        {
            state.obstacles.retain(|obstacle| !is_endpoint(obstacle));
        }
    }
    Ok(())
}

/// The database of Open vSwitch outlasts a boot: the kernel's datapath would take what the NIC receives then, and no
/// bridge would be there to get it. What the userspace datapath gets, the kernel has too.
fn refuse_lasting_switch(uplink: &Uplink, state: &NetState) -> Result<()> {
    match SwitchWiring::of(uplink, state) {
        Some(wiring) if wiring.datapath == Datapath::System => bail!(
            "Open vSwitch keeps {} and its ports over a boot, when {} would have no {} to receive by: omit --no-persist",
            wiring.switch,
            uplink.nic,
            uplink.bridge
        ),
        _ => Ok(()),
    }
}

impl UplinkConfig {
    fn plan(request: &Request, uplink: &Uplink, state: &NetState) -> Result<Self> {
        let (root, nic, bridge) = (&request.root, uplink.nic.as_str(), uplink.bridge.as_str());
        if !request.persist {
            refuse_lasting_switch(uplink, state)?;
            let running = persist::plan_running(root, nic, bridge, state)
                .with_context(|| format!("planning how {nic} is configured until the next boot"))?;
            return Ok(Self::UntilBoot(Box::new(running)));
        }
        let wiring = SwitchWiring::of(uplink, state);
        let files = persist::plan_with_switch(root, (nic, bridge), uplink.address, wiring, state)
            .with_context(|| format!("planning how {bridge} comes up at boot"))?;
        Ok(Self::Persistent(Box::new(files)))
    }

    /// What runs for the NIC.
    pub(super) fn running(&self) -> Running {
        match self {
            Self::UntilBoot(running) => Running::clone(running),
            Self::Persistent(files) => files.running(),
        }
    }

    fn describe(&self) -> Vec<String> {
        match self {
            Self::UntilBoot(running) => running.describe(),
            Self::Persistent(files) => files.describe(),
        }
    }

    fn notes(&self) -> Vec<String> {
        match self {
            Self::UntilBoot(running) => running.notes().to_vec(),
            Self::Persistent(files) => files.skipped().to_vec(),
        }
    }
}
