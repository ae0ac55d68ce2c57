//! `setupdockerhost` against a real dockerd.
//!
//! Needs root, dockerd, the docker client, curl, openssl, docker-registry and a static busybox; what is missing makes
//! every test *ignored*, with the reason in its name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod containerd;
mod expiry;
mod filtered;
mod host;
mod interrupted;
mod network;
mod refusals;
mod registries;
mod site;
mod trust;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Two daemons at once are enough for a small machine.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let missing = missing();
    let runs = missing.is_none() && !arguments.list;
    let _containerd = runs.then(containerd::Containerd::start);
    let filtered = std::path::Path::new("/proc/sys/net/bridge").exists();
    let unfiltered = (!filtered).then(|| "the kernel's br_netfilter".to_owned());
    let unfiltered = missing.clone().or(unfiltered);
    let tests = [
        trust::TESTS,
        expiry::TESTS,
        refusals::TESTS,
        site::TESTS,
        registries::TESTS,
        network::TESTS,
        interrupted::TESTS,
    ]
    .concat();
    let tests = tests.into_iter().map(|test| (test, &missing));
    let trials = tests
        .chain(filtered::TESTS.iter().map(|test| (*test, &unfiltered)))
        .map(|((name, test), missing)| trial(name, test, missing.as_deref()));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn trial(name: &'static str, test: fn(), missing: Option<&str>) -> Trial {
    let shown = missing.map_or(name.to_owned(), |missing| {
        format!("{name} (needs {missing})")
    });
    let run = move || {
        std::panic::catch_unwind(test).map_err(|panic| {
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
    if host::dockerd().is_none() {
        return Some("dockerd".to_owned());
    }
    if host::busybox().is_none() {
        return Some("a static busybox".to_owned());
    }
    [
        "docker",
        "containerd",
        "curl",
        "openssl",
        "ip",
        "docker-registry",
    ]
    .into_iter()
    .find(|tool| Command::new(tool).arg("--help").output().is_err())
    .map(str::to_owned)
}
