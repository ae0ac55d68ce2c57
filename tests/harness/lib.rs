//! The harness of the tests that cross rooms: binaries built once, media built by other people's tools, and trials that
//! are ignored, with the reason, where a machine lacks what they need.
//!
//! Tests use binaries and files only, never a room's library, so that they prove what a user installs.

mod bin;
mod commands;
mod deadline;
mod disk;
mod docker;
mod machine;
mod need;
mod once;
mod progress;
mod qemu;
mod sandbox;
mod site;
mod tree;

pub use bin::{binary, static_programs, workspace};
pub use commands::{Installed, commands};
pub use deadline::OutOfTime;
pub use disk::{Disk, RootImage};
pub use docker::{DockerHost, typed};
pub use machine::{BareMachine, Machine};
pub use need::Need;
pub use once::MadeOnce;
pub use progress::Progress;
pub use sandbox::{Medium, Outcome, Sandbox};
pub use site::{Site, outcome};
pub use tree::{Snapshot, snapshot};

use std::fmt::Debug;

use anyhow::{Result, ensure};
use libtest_mimic::{Failed, Trial};

/// Makes a trial of a test; if the machine lacks one of its needs, it is ignored and says why. A test that runs out of
/// time on a loaded machine says so, and runs a second time.
pub fn trial(name: &str, needs: &[Need], test: impl Fn() -> Result<()> + Send + 'static) -> Trial {
    let lacking: Vec<_> = needs.iter().filter_map(|need| need.lacking()).collect();
    let shown = name.to_owned();
    Trial::test(name, move || {
        let result = match test() {
            Err(err) if err.chain().any(|cause| cause.is::<OutOfTime>()) => {
                eprintln!("{shown}: ran out of time, runs a second time: {err:#}");
                test()
            }
            result => result,
        };
        result.map_err(|err| Failed::from(format!("{err:#}")))
    })
    .with_kind(lacking.join(", "))
    .with_ignored_flag(!lacking.is_empty())
}

/// Expects two values to be the same, and shows both when they are not.
pub fn same<T: Debug + PartialEq>(actual: &T, expected: &T) -> Result<()> {
    ensure!(actual == expected, "expected {expected:?}, got {actual:?}");
    Ok(())
}
