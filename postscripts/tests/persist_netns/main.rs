//! What the backends write, held against the real backends, each trial in a network of its own.
//!
//! `handover`: clients and daemons that run go on with the lease they have. `boot`: the golden files
//! are brought up by networkd, netplan, ifupdown, NetworkManager and network-scripts. `back`: the
//! backends' own tools read them back. `whole`: the whole program moves a host with a lease. `switch`: the uplink of a
//! switch. `lasting`: a lease goes on. `activating`: a daemon is still at work. `foreign`: what is not the host's own is left
//! alone. `unheard`: a daemon does not answer. `disk`: an `/etc` that cannot be written is left as it was. A
//! trial runs in a network, mount and process namespace and ends with
//! it; one that lacks root or a program is ignored and says so.
#![allow(
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a test may panic, its processes end with its namespaces"
)]

mod activating;
mod back;
mod boot;
mod daemons;
mod disk;
mod foreign;
mod handover;
mod host;
mod lasting;
mod switch;
mod unheard;
mod whole;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};

/// Set for the process that runs inside the namespaces.
const INSIDE: &str = "SLIPWAY_TEST_INSIDE";

/// A trial: its name, the programs it needs, and what it does inside.
pub(crate) struct Inside {
    pub(crate) name: String,
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: Box<dyn Fn()>,
}

impl Inside {
    pub(crate) fn new(
        name: impl Into<String>,
        needs: &'static [&'static str],
        run: impl Fn() + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            needs,
            run: Box::new(run),
        }
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait for clients, servers and leases: all together compute for less than a minute.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let all: Vec<Inside> = [
        // One lease has to end: the rest runs meanwhile.
        lasting::trials(),
        activating::trials(),
        handover::trials(),
        boot::trials(),
        disk::trials(),
        foreign::trials(),
        back::trials(),
        switch::trials(),
        unheard::trials(),
        whole::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Ok(name) = env::var(INSIDE) {
        let inside = all.iter().find(|inside| inside.name == name).unwrap();
        return (inside.run)();
    }
    let trials = all.into_iter().map(|Inside { name, needs, .. }| {
        let reason = missing(needs);
        let kind = reason
            .as_ref()
            .map_or_else(|| "netns".to_owned(), |reason| format!("ignored: {reason}"));
        Trial::test(name.clone(), move || outside(&name))
            .with_kind(kind)
            .with_ignored_flag(reason.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Why the trial cannot run here.
fn missing(needs: &[&str]) -> Option<String> {
    let root = fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        return Some("needs root".to_owned());
    }
    let absent = needs
        .iter()
        .chain(&["unshare", "ip"])
        .find(|name| program(name).is_none());
    absent.map(|name| format!("needs {name}"))
}

fn program(name: &str) -> Option<PathBuf> {
    let places = [
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/lib/systemd",
        "/etc/sysconfig/network-scripts",
    ];
    places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists())
}

/// Runs the trial again, in namespaces of its own that end with it.
fn outside(name: &str) -> Result<(), Failed> {
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(env::current_exe().unwrap())
        .env(INSIDE, name)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&text).into_owned().into())
}
