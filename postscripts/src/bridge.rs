//! `bridgeprereq`: the uplink into a bridge, as a transaction that cannot strand the host.
//!
//! A [`Request`] comes in, a [`Report`] goes out. The story is [`run`]: take back what a dead run
//! left, read, plan, refuse, guard, change, prove, write down, end the watch. Whatever goes wrong
//! after the first change is taken back: by this process, by its guardian when this process dies or
//! hangs, by the next run when both die.

mod firewall;
mod nic;
mod report;
mod transaction;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub use firewall::Firewall;
pub use nic::default_nic;
pub use report::{Outcome, Report};

use crate::fault::Fault;
use crate::net::firewall::Finding;
use crate::net::probe::{self, Target};
use crate::net::{self, Journal, Kernel, NetState, Plan, Uplink};
use crate::persist::{self, Persistence, Running};

/// What the user wants.
#[derive(Debug, Clone)]
pub struct Request {
    /// The NICs and their bridges.
    pub uplinks: Vec<Uplink>,
    /// Whether to say only what would be done.
    pub dry_run: bool,
    /// What to do about rules of the firewall that name the NIC.
    pub firewall: Firewall,
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
    transaction::change(&kernel, request, work, &targets, &lock, say)
}

/// All that is to be done, planned before anything is.
struct Work {
    state: NetState,
    /// When the state was read.
    began: Instant,
    plan: Plan,
    /// Rules of the firewall that are left behind knowingly.
    left_behind: Vec<Finding>,
    /// How each uplink is upheld, in their order.
    upheld: Vec<Upheld>,
    /// What changes on disk for the next boot and what is handed over, in words.
    files: Vec<String>,
}

/// What upholds one uplink's bridge once it stands. Planned once: daemons that see the change happen note
/// something else of the NIC.
enum Upheld {
    /// Until the next boot.
    Running(Box<Running>),
    /// And from then on.
    Files(Box<Persistence>),
}

impl Work {
    fn plan(kernel: &Kernel, request: &Request) -> Result<Self> {
        let devices = |uplink: &Uplink| [uplink.nic.to_string(), uplink.bridge.to_string()];
        let devices: Vec<_> = request.uplinks.iter().flat_map(devices).collect();
        let devices: Vec<_> = devices.iter().map(String::as_str).collect();
        let began = Instant::now();
        let state = kernel.load(&devices).context("reading the network")?;
        let mut plan = net::plan(&state, &request.uplinks)?;
        let upheld = request.uplinks.iter();
        let upheld: Vec<_> = upheld
            .map(|uplink| Upheld::plan(request, uplink, &state))
            .collect::<Result<_>>()?;
        let files = upheld.iter().flat_map(Upheld::describe).collect();
        plan.notes.extend(upheld.iter().flat_map(Upheld::notes));
        // files first: what cannot be kept there is to be said even where the firewall is in the way too
        let left_behind = firewall::plan(kernel, request, &state, &mut plan)?;
        Ok(Self {
            state,
            began,
            plan,
            left_behind,
            upheld,
            files,
        })
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

impl Upheld {
    fn plan(request: &Request, uplink: &Uplink, state: &NetState) -> Result<Self> {
        let (root, nic, bridge) = (&request.root, uplink.nic.as_str(), uplink.bridge.as_str());
        if !request.persist {
            let running = persist::plan_running(root, nic, bridge, state).with_context(|| {
                format!("planning how {nic} is looked after until the next boot")
            })?;
            return Ok(Self::Running(Box::new(running)));
        }
        let address = uplink
            .address
            .map(|(address, length)| persist::Net { address, length });
        let files = persist::plan(root, nic, bridge, address, state)
            .with_context(|| format!("planning how {bridge} comes up at boot"))?;
        Ok(Self::Files(Box::new(files)))
    }

    /// What runs for the NIC.
    fn running(&self) -> Running {
        match self {
            Self::Running(running) => Running::clone(running),
            Self::Files(files) => files.running(),
        }
    }

    fn describe(&self) -> Vec<String> {
        match self {
            Self::Running(running) => running.describe(),
            Self::Files(files) => files.describe(),
        }
    }

    fn notes(&self) -> Vec<String> {
        match self {
            Self::Running(running) => running.notes().to_vec(),
            Self::Files(files) => files.skipped().to_vec(),
        }
    }
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
