//! `otherpkgs` with the real apt, dnf and zypper of this machine, each on a machine of its own.
//!
//! Such a machine is this one below a layer that takes every change: nothing is downloaded, and nothing stays.
//! What is missing makes a test *ignored*, with the reason in its name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod apt;
mod apt_sources;
mod busy;
mod clock;
mod half_done;
mod machine;
mod rpm;
mod surroundings;
mod web;

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

/// A test, and the programs that it needs.
type Test = (&'static str, &'static [&'static str], fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let layers = machine::can_be_made();
    let tests = [
        apt::TESTS,
        apt_sources::TESTS,
        busy::TESTS,
        clock::TESTS,
        half_done::TESTS,
        rpm::TESTS,
        surroundings::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, programs, test)| {
        let lacking = programs
            .iter()
            .find(|program| !works(program))
            .map(|&program| program.to_owned());
        let lacking = (!layers)
            .then(|| "root and overlay mounts".to_owned())
            .or(lacking);
        trial(name, lacking, test)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn works(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok()
}

fn trial(name: &'static str, lacking: Option<String>, test: fn()) -> Trial {
    let shown = lacking
        .as_ref()
        .map_or(name.to_owned(), |what| format!("{name} (needs {what})"));
    let run = move || {
        std::panic::catch_unwind(test).map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message =
                message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Failed::from(message.unwrap_or_else(|| "it panicked".to_owned()))
        })
    };
    Trial::test(shown, run).with_ignored_flag(lacking.is_some())
}
