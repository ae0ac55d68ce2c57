//! What the stories are told with: binaries built once, media built by other people's tools, and
//! trials that are ignored, with the reason in their name, where a machine lacks what they need.
//!
//! Stories see binaries and files only, never a room's library, so that what they prove holds for
//! what a user installs.

mod bin;
mod commands;
mod disk;
mod docker;
mod machine;
mod need;
mod patience;
mod progress;
mod qemu;
mod scene;
mod site;
mod tree;

pub use bin::{binary, static_programs, workspace};
pub use commands::{Installed, commands};
pub use disk::Disk;
pub use docker::{DockerHost, typed};
pub use machine::Machine;
pub use need::Need;
pub use patience::OutOfTime;
pub use progress::Progress;
pub use scene::{Medium, Outcome, Scene};
pub use site::{Site, outcome};
pub use tree::{Snapshot, snapshot};

use std::fmt::Debug;

use anyhow::{Result, ensure};
use libtest_mimic::{Failed, Trial};

/// Makes a trial of a story; what the machine lacks of its needs makes it ignored and says why. A story that ran
/// out of the machine's time says so, and is told once more.
pub fn story(name: &str, needs: &[Need], tell: impl Fn() -> Result<()> + Send + 'static) -> Trial {
    let lacking: Vec<_> = needs.iter().filter_map(|need| need.lacking()).collect();
    let shown = name.to_owned();
    Trial::test(name, move || {
        let told = match tell() {
            Err(err) if err.chain().any(|cause| cause.is::<OutOfTime>()) => {
                eprintln!("{shown}: ran out of time here, and is tried once more: {err:#}");
                tell()
            }
            told => told,
        };
        told.map_err(|err| Failed::from(format!("{err:#}")))
    })
    .with_kind(lacking.join(", "))
    .with_ignored_flag(!lacking.is_empty())
}

/// Expects two values to be the same, and shows both when they are not.
pub fn same<T: Debug + PartialEq>(actual: &T, expected: &T) -> Result<()> {
    ensure!(actual == expected, "expected {expected:?}, got {actual:?}");
    Ok(())
}
