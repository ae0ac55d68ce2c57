//! The real commands against real engines: four docker hosts, each in a network namespace, behind one switch.
//!
//! Needs root, dockerd with its client and containerd, openssl, ip, nsenter and a static busybox; what is missing makes
//! every case *ignored*, with the reason in its name. Namespaces, daemons and certificates are this run's own, and go with
//! it; definitions are each case's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod answers;
mod changes;
mod cluster;
mod console;
mod faults;
mod lab;
mod life_cycle;
mod newest;
mod newest_images;
mod pages;
mod reached;
mod registry;
mod site;
mod site_registry;
mod systemd;

use std::process::{Command, ExitCode};
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};

/// A case: its name, and what it does.
type Case = (&'static str, fn());

fn main() -> ExitCode {
    if let Some(directory) = std::env::var_os(registry::SERVE) {
        registry::serve(directory.as_ref());
    }
    if std::env::var_os(pages::MKDEF).is_some() {
        return definitions::command::main(definitions::cli::mkdef::run);
    }
    let mut arguments = Arguments::from_args();
    // The engines are the slow part, and more at once only wait for each other.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let missing = missing();
    let engines = [
        cluster::CASES,
        life_cycle::CASES,
        changes::CASES,
        reached::CASES,
        console::CASES,
        registry::CASES,
        pages::TYPED,
        faults::CASES,
        site_registry::CASES,
    ]
    .concat();
    let engines = engines
        .into_iter()
        .map(|case| trial(case, missing.as_deref(), Engines::Shared));
    let others = lab::RELEASES
        .iter()
        .all(|(host, _)| lab::made_root(host).is_some());
    let lacking = missing
        .clone()
        .or_else(|| (!others).then(|| "tests/media/engine of two releases".to_owned()));
    let releases = cluster::RELEASES.iter().copied();
    let engines =
        engines.chain(releases.map(|case| trial(case, lacking.as_deref(), Engines::Shared)));
    let alone = cluster::ALONE.iter().copied();
    let engines = engines.chain(alone.map(|case| trial(case, missing.as_deref(), Engines::Alone)));
    let without = [
        answers::CASES,
        newest::CASES,
        newest_images::CASES,
        pages::CASES,
    ]
    .concat();
    let count = without.len() + systemd::CASES.len();
    let booted = missing
        .clone()
        .or_else(|| lacks(&["systemd-nspawn", "unshare"]));
    let booted = systemd::CASES
        .iter()
        .map(|case| trial(*case, booted.as_deref(), Engines::None));
    let trials = engines
        .chain(without.iter().map(|case| trial(*case, None, Engines::None)))
        .chain(booted);
    let trials: Vec<_> = trials.collect();
    let wanted = |trial: &Trial| {
        let name = trial.name();
        let filter = arguments.filter.as_deref().unwrap_or_default();
        !trial.has_ignored_flag() && name.contains(filter)
    };
    // By this thread, with which what it starts ends; and not for cases that need no engine.
    let engines = trials.len() - count;
    if !arguments.list && trials[..engines].iter().any(wanted) {
        lab::lab();
    }
    pages::NAMES
        .set(trials.iter().map(|trial| trial.name().to_owned()).collect())
        .unwrap();
    let conclusion = libtest_mimic::run(&arguments, trials);
    lab::end();
    conclusion.exit_code()
}

/// What a case does with the engines of the lab.
#[derive(Clone, Copy)]
enum Engines {
    None,
    Shared,
    /// It restarts all of them.
    Alone,
}

static ENGINES: RwLock<()> = RwLock::new(());

fn trial((name, case): Case, missing: Option<&str>, engines: Engines) -> Trial {
    let shown = missing.map_or(name.to_owned(), |missing| {
        format!("{name} (needs {missing})")
    });
    let run = move || {
        let shared = matches!(engines, Engines::Shared)
            .then(|| ENGINES.read().unwrap_or_else(PoisonError::into_inner));
        let alone = matches!(engines, Engines::Alone)
            .then(|| ENGINES.write().unwrap_or_else(PoisonError::into_inner));
        let _held = (shared, alone);
        std::panic::catch_unwind(case).map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message =
                message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Failed::from(message.unwrap_or_else(|| "it panicked".to_owned()))
        })
    };
    Trial::test(shown, run).with_ignored_flag(missing.is_some())
}

/// Says what this machine lacks.
fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("root".to_owned());
    }
    if lab::busybox().is_none() {
        return Some("a static busybox".to_owned());
    }
    lacks(&[
        "dockerd",
        "docker",
        "containerd",
        "openssl",
        "ip",
        "nsenter",
        "setpriv",
        "setsid",
        "tar",
        "sha256sum",
        "dnsmasq",
        "curl",
        "docker-registry",
    ])
}

fn lacks(tools: &[&str]) -> Option<String> {
    tools
        .iter()
        .find(|tool| Command::new(tool).arg("--help").output().is_err())
        .map(|tool| (*tool).to_owned())
}
