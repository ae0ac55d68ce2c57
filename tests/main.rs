//! Stories that cross rooms. `cargo test -p e2e NAME` runs one; what this machine cannot tell is
//! ignored, with what it lacks in brackets before its name.

mod boot;
mod chain;
mod dist;
mod install;
mod rules;
mod survive;
mod update;
mod uplinks;

use libtest_mimic::Arguments;

fn main() {
    let trials = [
        boot::stories(),
        chain::stories(),
        survive::stories(),
        install::stories(),
        dist::stories(),
        update::stories(),
        uplinks::stories(),
        rules::stories(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
