//! What `check` says of installers' files, checked against the installers' own checkers.
//!
//! Every case says what it needs; where that is lacking it is ignored, and its kind says why.

#![allow(clippy::unwrap_used)] // tests may; without #[test] clippy does not see that these are some

mod autoinstall;
mod autoyast;
mod debconf;
mod golden;
mod kickstart;
#[path = "../templates/needs.rs"]
mod needs;
mod repositories;
mod verdicts;

use libtest_mimic::{Arguments, Trial};
use needs::Need;

/// Makes a test of its name, its needs and its proof.
fn trial(name: impl Into<String>, needs: &[Need], proof: impl FnOnce() + Send + 'static) -> Trial {
    let missing = needs::missing(needs);
    let trial = Trial::test(name, move || {
        proof();
        Ok(())
    });
    trial
        .with_kind(missing.clone().unwrap_or_default())
        .with_ignored_flag(missing.is_some())
}

fn main() {
    let trials = [
        golden::trials(),
        repositories::trials(),
        debconf::trials(),
        kickstart::trials(),
        autoinstall::trials(),
        autoyast::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
