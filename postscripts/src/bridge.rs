//! `bridgeprereq`: the uplink into a bridge, as a transaction that cannot strand the host.
//!
//! A [`Request`] comes in, a [`Report`] goes out. The story is [`run`]: take back what a dead run
//! left, read, plan, refuse, guard, change, prove, write down, end the watch. Whatever goes wrong
//! after the first change is taken back: by this process, by its guardian when this process dies or
//! hangs, by the next run when both die.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{IfName, Lock};
use serde::Serialize;

use crate::fault::{Fault, Moment};
use crate::net::probe::{self, Target};
use crate::net::{self, Guardian, Journal, Kernel, NetState, Plan, Uplink};
use crate::persist::{self, Persistence, Running};

/// What the user wants.
#[derive(Debug, Clone)]
pub struct Request {
    /// The NICs and their bridges.
    pub uplinks: Vec<Uplink>,
    /// Whether to say only what would be done.
    pub dry_run: bool,
    /// Whether the next boot shall know of it too.
    pub persist: bool,
    /// How long the whole change may take before the guardian takes it back.
    pub timeout: Duration,
    /// Hosts that must answer before and after.
    pub probes: Vec<IpAddr>,
    /// The management node, which must answer afterwards if it does before.
    pub master: Option<IpAddr>,
    /// The directory that the configuration and the journal lie below.
    pub root: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What was the matter, in one word.
    pub outcome: Outcome,
    /// The steps in words.
    pub steps: Vec<String>,
    /// What changes on disk for the next boot and what runs for the bridge from now on, in words.
    pub files: Vec<String>,
    /// What was left alone, and why; what somebody should know.
    pub notes: Vec<String>,
    /// Who was proven to answer.
    pub reached: Vec<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The steps themselves.
    pub plan: Vec<net::Step>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It stood already.
    #[default]
    Unchanged,
    /// A dry run that found something to do.
    Planned,
    /// It was changed and proven.
    Changed,
    /// It was changed, failed, and is as it was.
    RolledBack,
}

/// Brings the uplinks into their bridges.
///
/// # Errors
/// When nothing was changed because something is in the way, or when something was changed and could
/// not be taken back. A change that failed and was taken back is no error but
/// [`Outcome::RolledBack`].
pub fn run(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Report> {
    let kernel = Kernel::open().context("talking to the kernel")?;
    if request.dry_run {
        return Ok(Work::plan(&kernel, request)?.report(Outcome::Planned));
    }
    if !net::may_change() {
        bail!("changing the network needs root (CAP_NET_ADMIN): nothing was changed");
    }
    let lock = net::lock(&request.root, request.timeout, say)?;
    recover(&kernel, request, say)?;
    let work = Work::plan(&kernel, request)?;
    if work.is_empty() {
        return Ok(work.report(Outcome::Unchanged));
    }
    let targets = reachable(&kernel, &work.state, request, say)?;
    change(&kernel, request, work, &targets, &lock, say)
}

/// All that is to be done, planned before anything is.
struct Work {
    state: NetState,
    plan: Plan,
    /// What changes on disk for the next boot and what is handed over, in words.
    files: Vec<String>,
}

impl Work {
    fn plan(kernel: &Kernel, request: &Request) -> Result<Self> {
        let devices = |uplink: &Uplink| [uplink.nic.to_string(), uplink.bridge.to_string()];
        let devices: Vec<_> = request.uplinks.iter().flat_map(devices).collect();
        let devices: Vec<_> = devices.iter().map(String::as_str).collect();
        let state = kernel.load(&devices).context("reading the network")?;
        let plan = net::plan(&state, &request.uplinks)?;
        let mut plan = plan;
        let mut files = Vec::new();
        for uplink in &request.uplinks {
            if request.persist {
                let persistence = persistence(request, uplink, &state)?;
                files.extend(persistence.describe());
                plan.notes.extend(persistence.skipped().iter().cloned());
            } else {
                let running = running(request, uplink, &state)?;
                files.extend(running.describe());
                plan.notes.extend(running.notes().iter().cloned());
            }
        }
        Ok(Self { state, plan, files })
    }

    fn is_empty(&self) -> bool {
        self.plan.steps.is_empty() && self.files.is_empty()
    }

    fn report(self, outcome: Outcome) -> Report {
        let outcome = match self.is_empty() {
            true => Outcome::Unchanged,
            false => outcome,
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

/// Plans one uplink's files.
fn persistence(request: &Request, uplink: &Uplink, state: &NetState) -> Result<Persistence> {
    let address = uplink
        .address
        .map(|(address, length)| persist::Net { address, length });
    let (nic, bridge) = (uplink.nic.as_str(), uplink.bridge.as_str());
    persist::plan(&request.root, nic, bridge, address, state)
        .with_context(|| format!("planning how {bridge} comes up at boot"))
}

/// Plans what goes on for one uplink's bridge.
fn running(request: &Request, uplink: &Uplink, state: &NetState) -> Result<Running> {
    if request.persist {
        return Ok(persistence(request, uplink, state)?.running());
    }
    let (nic, bridge) = (uplink.nic.as_str(), uplink.bridge.as_str());
    persist::plan_running(&request.root, nic, bridge, state)
        .with_context(|| format!("planning how {nic} is looked after until the next boot"))
}

/// Takes back what a run left that died together with its guardian, or ends what it had finished.
fn recover(kernel: &Kernel, request: &Request, say: &mut dyn FnMut(&str)) -> Result<()> {
    let Some(journal) = Journal::load(&request.root)? else {
        for uplink in &request.uplinks {
            persist::finish(&request.root, uplink.bridge.as_str(), &Fault::default())?;
        }
        return Ok(());
    };
    say("taking back what a run that was cut off had begun");
    net::put_back(kernel, &journal, &Fault::default())
        .context("taking back what a run that was cut off had begun")
}

/// Finds out who can be asked afterwards: what does not answer before proves nothing after.
fn reachable(
    kernel: &Kernel,
    state: &NetState,
    request: &Request,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Target>> {
    let host = |role| move |ip| Target::Host { ip, role };
    let mut targets = probe::gateways(state, &request.uplinks);
    targets.extend(request.master.map(host("management node")));
    targets.extend(request.probes.iter().copied().map(host("probe")));
    let (answering, silent) = probe::before(kernel, targets);
    for target in silent {
        match target {
            Target::Host { role: "probe", ip } => {
                bail!("{ip} does not answer before the change either: nothing was changed")
            }
            target => say(&format!(
                "{target} does not answer now, so it will not be asked"
            )),
        }
    }
    Ok(answering)
}

/// Changes, proves and ends, or takes everything back.
fn change(
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
    for uplink in &request.uplinks {
        running(request, uplink, &work.state)?
            .with_fault(fault)
            .pause()?;
    }
    net::apply(kernel, &work.plan.steps, fault)?;
    fault.strike(Moment::Verify);
    probe::after(kernel, targets, deadline)?;
    let notes = write_down(kernel, request, work, fault)?;
    // a network manager that was told may have had ideas of its own
    probe::after(kernel, targets, deadline)?;
    fault.strike(Moment::Commit);
    journal.remove()?;
    Ok(notes)
}

/// Hands over what runs and changes the files for the next boot; says where they and the running network differ.
fn write_down(
    kernel: &Kernel,
    request: &Request,
    work: &Work,
    fault: &Fault,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for uplink in &request.uplinks {
        if !request.persist {
            running(request, uplink, &work.state)?
                .with_fault(fault)
                .hand_over()?;
            continue;
        }
        // planned anew: the one before may have changed the same file
        let files = persistence(request, uplink, &work.state)?.with_fault(fault);
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

/// Names the bridge's NIC when the user does not, as xCAT's script did: `INSTALLNIC`, `PRIMARYNIC`,
/// else the interface that holds the default route. `mac` stands for the NIC with `MACADDRESS`.
///
/// # Errors
/// When there is none, or the one that is named is not here.
pub fn default_nic(
    state: &NetState,
    bridge: &IfName,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<IfName> {
    let named = ["INSTALLNIC", "PRIMARYNIC"]
        .into_iter()
        .find_map(|variable| Some((variable, environment(variable).filter(|v| !v.is_empty())?)));
    let name = match named {
        Some((_, value)) if value == "mac" => {
            let mac = environment("MACADDRESS").unwrap_or_default();
            by_mac(state, &mac)
                .with_context(|| format!("finding the NIC with MACADDRESS '{mac}'"))?
        }
        Some((variable, value)) if value.contains(':') => by_mac(state, &value)
            .with_context(|| format!("finding the NIC with {variable} '{value}'"))?,
        Some((_, value)) => value,
        None => by_default_route(state, bridge)
            .context("finding the NIC of the default route: say NIC:BRIDGE")?,
    };
    Ok(name.parse()?)
}

/// Finds the NIC itself among all that share its hardware address.
fn by_mac(state: &NetState, text: &str) -> Result<String> {
    // xCAT lists several as 'MAC!host|MAC!host', the first being the node's own
    let first = text.split(['|', '!']).next().unwrap_or(text);
    let mac = first.parse::<net::Mac>()?;
    let fits = |link: &&net::Link| {
        link.mac == Some(mac) && link.kind != net::Kind::Bridge && link.parent.is_none()
    };
    match state.links.iter().find(fits) {
        Some(link) => Ok(link.name.clone()),
        None => bail!("no NIC has it"),
    }
}

fn by_default_route(state: &NetState, bridge: &IfName) -> Result<String> {
    const MAIN: u32 = 254;
    let mut defaults: Vec<_> = state.routes.iter().collect();
    defaults.retain(|route| route.is_default() && route.table == MAIN);
    defaults.sort_by_key(|route| (route.v6, route.metric.unwrap_or(0)));
    let device = |route: &&net::Route| route.hops.iter().find_map(|hop| hop.device.clone());
    let Some(device) = defaults.iter().find_map(device) else {
        bail!("there is no default route");
    };
    if device != bridge.as_str() {
        return Ok(device);
    }
    // it has moved already: the port that gave the bridge its hardware address
    let mac = state.link(&device).and_then(|link| link.mac);
    match state.ports(&device).find(|port| port.mac == mac) {
        Some(port) => Ok(port.name.clone()),
        None => bail!("{device} holds it, and none of its ports has its hardware address"),
    }
}
