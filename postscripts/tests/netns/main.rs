//! `bridgeprereq` against real kernels' bridges: hosts in network namespaces, wired by veth to a
//! switch and a gateway.
//!
//! Runs as root, or in a user namespace where one may be made; where neither can be, every test is
//! listed as ignored, with the reason.

#![allow(clippy::unwrap_used)] // tests may, but clippy looks for #[test]

mod advertise;
mod cases;
mod faults;
mod files;
mod firewall;
mod lab;
mod moves;
mod obstacles;
mod openvswitch;
mod ping;
mod switch;
mod upheld;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

use faults::Victim;

const INSIDE: &str = "SLIPWAY_NETNS_INSIDE";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time they wait for the kernel or for each other.
    arguments.test_threads = arguments.test_threads.or(Some(4));
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

/// Whether the kernel has routes that encapsulate: IPv4 in IPv4, and segment routing.
fn has_tunnels() -> bool {
    let routes = [
        "-4 route add 192.0.2.0/24 encap ip id 7 dst 10.0.0.9 dev lo",
        "-6 route add 2001:db8:8::/48 encap seg6 mode encap segs ::1 dev lo",
    ];
    let _ = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    routes.iter().all(|route| {
        let made = Command::new("ip").args(route.split(' ')).output();
        let gone = route.replace(" add ", " del ");
        let _ = Command::new("ip").args(gone.split(' ')).output();
        made.is_ok_and(|made| made.status.success())
    })
}

fn trials(missing: Option<&str>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut push = |name: String, missing: Option<&str>, test: Box<dyn FnOnce() + Send>| {
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
        let tunnels = name == "encapsulation" && missing.is_none() && !has_tunnels();
        let missing = if tunnels {
            Some("needs a kernel with routes that encapsulate")
        } else {
            missing
        };
        let moves = Box::new(|| moves::moves(host));
        push(format!("moves::{name}"), missing, moves);
        let restores = Box::new(|| moves::restores(host));
        push(format!("restores::{name}"), missing, restores);
    }
    let mut add = |name, test| push(name, missing, test);
    for (name, test) in cases::CASES {
        add(format!("cases::{name}"), Box::new(test));
    }
    for (name, test) in files::CASES {
        add(format!("files::{name}"), Box::new(test));
    }
    for (name, test) in firewall::CASES {
        add(format!("firewall::{name}"), Box::new(test));
    }
    for (name, test) in obstacles::CASES {
        add(format!("obstacles::{name}"), Box::new(test));
    }
    for (name, test) in upheld::CASES {
        add(format!("upheld::{name}"), Box::new(test));
    }
    let lacks_switch = missing.or(openvswitch::missing());
    for (name, test) in switch::CASES {
        push(format!("switch::{name}"), lacks_switch, Box::new(test));
    }
    let mut add = |name, test| push(name, missing, test);
    add(
        "faults::every_kind_of_step_is_struck".to_owned(),
        Box::new(faults::every_kind),
    );
    add(
        "faults::a_slow_run_that_takes_its_change_back_is_not_killed".to_owned(),
        Box::new(faults::slow_undo),
    );
    for victim in [Victim::Full, Victim::Bridged] {
        let (steps, undone) = match missing {
            None => faults::steps(victim),
            Some(_) => (1, 1),
        };
        for fault in faults(steps, undone) {
            let name = format!("faults::{victim:?}::{fault}").to_lowercase();
            add(name, Box::new(move || faults::survives(victim, &fault)));
        }
    }
    trials
}

/// A kill before and after every step, of the run and of both processes, a refusal of every step, and a
/// kill before every step of the way back.
fn faults(steps: usize, undone: usize) -> Vec<String> {
    let mut faults = Vec::new();
    for step in 1..=steps {
        for kind in [
            "kill:before",
            "kill:after",
            "both:before",
            "both:after",
            "refuse:before",
        ] {
            faults.push(format!("{kind}:{step}"));
        }
    }
    let ends = ["kill:verify", "both:verify", "kill:commit", "both:commit"];
    faults.extend(ends.map(str::to_owned));
    faults.extend((1..=undone).map(|step| format!("refuse:before:{steps},kill:undo:{step}")));
    faults
}
