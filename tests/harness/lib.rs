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
pub use progress::Progress;
pub use scene::{Medium, Outcome, Scene};
pub use site::{Site, outcome};
pub use tree::{Snapshot, snapshot};

use std::fmt::Debug;

use anyhow::{Result, ensure};
use libtest_mimic::{Failed, Trial};

/// Makes a trial of a story; what the machine lacks of its needs makes it ignored and says why.
pub fn story(
    name: &str,
    needs: &[Need],
    tell: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    let lacking: Vec<_> = needs.iter().filter_map(|need| need.lacking()).collect();
    Trial::test(name, move || {
        tell().map_err(|err| Failed::from(format!("{err:#}")))
    })
    .with_kind(lacking.join(", "))
    .with_ignored_flag(!lacking.is_empty())
}

/// Expects two values to be the same, and shows both when they are not.
pub fn same<T: Debug + PartialEq>(actual: &T, expected: &T) -> Result<()> {
    ensure!(actual == expected, "expected {expected:?}, got {actual:?}");
    Ok(())
}
