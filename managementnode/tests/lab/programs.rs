//! `slipway-trust` and other programs, run in the directory of a site.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Ended, Lab, ended};

/// Runs `slipway-trust` on the site.
pub(crate) fn trust(lab: &Lab, arguments: &[&str]) -> Ended {
    let mut command = program(lab);
    ended(command.args(arguments), lab.root())
}

/// Returns `slipway-trust`, to be run on the site, with the programs in the site's `bin` before others.
pub(crate) fn program(lab: &Lab) -> Command {
    let mut path = lab.path("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-trust"));
    command
        .current_dir(lab.root())
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .env("PATH", path);
    command
}

/// Runs what must succeed, and returns what it prints.
pub(crate) fn succeed(lab: &Lab, arguments: &[&str]) -> String {
    let ended = trust(lab, arguments);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    ended.stdout
}

pub(crate) fn json_of(lab: &Lab, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(lab, &[arguments, &["--json"]].concat())).unwrap()
}

/// Runs another program in the site's directory.
pub(crate) fn other(lab: &Lab, program: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    ended(
        command
            .current_dir(lab.root())
            .args(arguments)
            .stdin(Stdio::null()),
        lab.root(),
    )
}
