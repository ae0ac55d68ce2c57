//! Tests that cross rooms. `cargo test -p e2e NAME` runs one; what this machine cannot run is
//! ignored, with what it lacks in brackets before its name.

mod boot;
mod chain;
mod container;
mod diskless;
mod dist;
mod enrol;
mod install;
mod neighbours;
mod netboot;
mod revocation;
mod rules;
mod site_ipxe;
mod survive;
mod update;
mod uplinks;

use libtest_mimic::Arguments;

fn main() {
    // Machines first: each takes minutes, most of which it waits, and the rest runs beside them.
    let trials = [
        boot::trials(),
        netboot::trials(),
        site_ipxe::trials(),
        uplinks::trials(),
        chain::trials(),
        container::trials(),
        diskless::trials(),
        survive::trials(),
        install::trials(),
        dist::trials(),
        enrol::trials(),
        revocation::trials(),
        update::trials(),
        rules::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
