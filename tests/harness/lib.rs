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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::{Context, anyhow};
    use libtest_mimic::Arguments;

    use super::*;

    /// Returns how often a test ran, and whether its trial passed.
    fn ran(test: impl Fn(usize) -> Result<()> + Send + 'static) -> (usize, bool) {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let trial = trial("a_trial", &[], move || {
            test(1 + counted.fetch_add(1, Ordering::SeqCst))
        });
        // Its totals are none of these tests'.
        let quietly = Arguments {
            logfile: Some("/dev/null".to_owned()),
            ..Arguments::default()
        };
        let ended = libtest_mimic::run(&quietly, vec![trial]);
        (runs.load(Ordering::SeqCst), !ended.has_failed())
    }

    fn out_of_time() -> Result<()> {
        Err(OutOfTime("it shows nothing new".to_owned())).context("booting a machine")
    }

    #[test]
    fn what_runs_out_of_time_runs_a_second_time_and_nothing_else_does() {
        let once = |run: usize| if run == 1 { out_of_time() } else { Ok(()) };
        assert_eq!(ran(once), (2, true));
        assert_eq!(ran(|_| out_of_time()), (2, false));
        assert_eq!(ran(|_| Err(anyhow!("it is wrong"))), (1, false));
        assert_eq!(ran(|_| Ok(())), (1, true));
    }
}
