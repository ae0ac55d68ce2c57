//! `firstboot` through its binary, with real scripts and a real web server.
//!
//! What needs more than that is *ignored* where the machine lacks it, with the reason in its name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod endings;
mod foreign_state;
mod lists;
mod network;
mod node;
mod order;
mod survival;
mod system;
mod xcat;

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

/// A test, and what it needs of the machine.
type Test = (&'static str, Need, fn());

/// What a machine may lack.
#[derive(Debug, Clone, Copy)]
enum Need {
    Nothing,
    /// A program that answers `--version`.
    Tool(&'static str),
    /// To run as root and make namespaces.
    Namespaces,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tests = [
        order::TESTS,
        endings::TESTS,
        survival::TESTS,
        network::TESTS,
        lists::TESTS,
        system::TESTS,
        xcat::TESTS,
        foreign_state::TESTS,
    ]
    .concat();
    let trials = tests
        .into_iter()
        .map(|(name, need, test)| trial(name, need.lacking(), test));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
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

impl Need {
    fn lacking(self) -> Option<String> {
        let works = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        match self {
            Self::Nothing => None,
            Self::Tool(name) => (!works(name, &["--version"])).then(|| name.to_owned()),
            Self::Namespaces => (!works(
                "unshare",
                &["--mount", "--net", "ip", "link", "set", "lo", "up"],
            ))
            .then(|| "root, unshare and ip".to_owned()),
        }
    }
}
