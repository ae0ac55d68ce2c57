//! Stories that cross rooms. `cargo test -p e2e NAME` runs one; what this machine cannot tell is
//! ignored, with what it lacks in brackets before its name.

mod rules;

use libtest_mimic::Arguments;

fn main() {
    let trials = [rules::stories()].into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
