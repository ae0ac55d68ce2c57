//! `bridgeprereq` against real kernels' bridges: hosts in network namespaces, wired by veth to a
//! switch and a gateway.
//!
//! Runs as root, or in a user namespace where one may be made; where neither can be, every test is
//! listed as ignored, with the reason.

#![allow(clippy::unwrap_used)] // tests may, but clippy looks for #[test]

mod advertise;
mod cases;
mod faults;
mod lab;
mod moves;
mod ping;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

const INSIDE: &str = "SLIPWAY_NETNS_INSIDE";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = match std::env::var_os(INSIDE) {
        Some(_) => prepare().err(),
        None => match enter() {
            Ok(never) => match never {},
            Err(reason) => Some(reason),
        },
    };
    let trials = trials(missing.as_deref());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Starts this program again in namespaces of its own; returns only if that cannot be.
fn enter() -> Result<std::convert::Infallible, String> {
    let mut words = vec!["--net", "--mount", "--propagation", "private"];
    if !nix::unistd::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    let trial = Command::new("unshare").args(&words).arg("true").output();
    match trial {
        Err(error) => return Err(format!("needs unshare: {error}")),
        Ok(output) if !output.status.success() => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("needs root or user namespaces: {why}"));
        }
        Ok(_) => {}
    }
    let error = Command::new("unshare")
        .args(&words)
        .arg(std::env::current_exe().map_err(|error| error.to_string())?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(format!("needs unshare: {error}"))
}

/// Makes room for namespaces and finds out whether the kernel has what the tests are made of.
fn prepare() -> Result<(), String> {
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return Err("needs a tmpfs on /run".to_owned());
    }
    for device in ["type veth", "type bridge"] {
        let words = ["link", "add", "trial"]
            .into_iter()
            .chain(device.split(' '));
        let made = Command::new("ip").args(words).output();
        let made = made.map_err(|error| format!("needs ip of iproute2: {error}"))?;
        if !made.status.success() {
            return Err(format!("needs a kernel with devices of {device}"));
        }
        let _ = Command::new("ip").args(["link", "del", "trial"]).status();
    }
    Ok(())
}

fn trials(missing: Option<&str>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: String, test: Box<dyn FnOnce() + Send>| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        trials.push(match missing {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        });
    };
    for host in moves::HOSTS {
        let name = host.name;
        add(format!("moves::{name}"), Box::new(|| moves::moves(host)));
        add(
            format!("restores::{name}"),
            Box::new(|| moves::restores(host)),
        );
    }
    for (name, test) in cases::CASES {
        add(format!("cases::{name}"), Box::new(test));
    }
    let (steps, undone) = match missing {
        None => faults::steps(),
        Some(_) => (1, 1),
    };
    for step in 1..=steps {
        for fault in [
            format!("kill:before:{step}"),
            format!("kill:after:{step}"),
            format!("both:before:{step}"),
            format!("both:after:{step}"),
            format!("refuse:before:{step}"),
        ] {
            let name = format!("faults::{fault}");
            add(name, Box::new(move || faults::survives(&fault)));
        }
    }
    for fault in ["kill:verify", "both:verify", "kill:commit", "both:commit"] {
        add(
            format!("faults::{fault}"),
            Box::new(|| faults::survives(fault)),
        );
    }
    for step in 1..=undone {
        let fault = format!("refuse:before:{steps},kill:undo:{step}");
        add(
            format!("faults::{fault}"),
            Box::new(move || faults::survives(&fault)),
        );
    }
    trials
}
