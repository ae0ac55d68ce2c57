//! The real `updatenode` against real sshd: one server on loopback addresses, a node for each address.
//!
//! A node is a directory that takes the place of `/opt` in the mount namespace of its sessions, so this needs
//! root and unshare; what is missing makes a case *ignored*, with the reason in its name. Keys, servers and
//! configuration are each case's own, and go with it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod accounts;
mod connections;
mod lab;
mod many;
mod noise;
mod refresh;
mod refused;
mod selection;
mod shells;
mod sudo;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

/// A case: its name, the programs that it needs, what it does.
type Case = (&'static str, &'static [&'static str], fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Handshakes are the work here: more at once than this only wait for each other.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let lab = missing();
    let cases = [
        selection::CASES,
        refused::CASES,
        refresh::CASES,
        accounts::CASES,
        connections::CASES,
        many::CASES,
        noise::CASES,
        shells::CASES,
        sudo::CASES,
    ]
    .concat();
    let trials = cases.into_iter().map(|(name, tools, case)| {
        let tool = tools
            .iter()
            .find(|tool| !found(tool))
            .map(|tool| (*tool).to_owned());
        trial(name, case, lab.clone().or(tool).as_deref())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn trial(name: &'static str, case: fn(), missing: Option<&str>) -> Trial {
    let shown = missing.map_or(name.to_owned(), |missing| {
        format!("{name} (needs {missing})")
    });
    let run = move || {
        std::panic::catch_unwind(case).map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message =
                message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Failed::from(message.unwrap_or_else(|| "it panicked".to_owned()))
        })
    };
    Trial::test(shown, run).with_ignored_flag(missing.is_some())
}

/// Says what this machine lacks for any node.
fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("root".to_owned());
    }
    if let Some(tool) = ["ssh", "ssh-keygen", "unshare", "mount", "/usr/sbin/sshd"]
        .into_iter()
        .find(|tool| !found(tool))
    {
        return Some(tool.to_owned());
    }
    let namespace = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/opt"])
        .output();
    (!namespace.is_ok_and(|output| output.status.success())).then(|| "mount namespaces".to_owned())
}

fn found(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}
