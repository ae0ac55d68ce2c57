//! Every template that is built in, rendered for every release that has an installer of its own, and
//! checked against what the installers themselves would say: other people's checkers.
//!
//! Golden files show what comes out (`UPDATE=1` writes them anew). Every case says what it needs; where
//! that is lacking it is ignored, and its kind says why.

#![allow(clippy::unwrap_used)] // tests may; without #[test] clippy does not see that these are some

mod golden;
mod hostile;
mod needs;
mod promises;
mod releases;
mod scripts;
mod validators;

use libtest_mimic::{Arguments, Trial};
use needs::Need;

/// One test: what it states, what it needs, and its proof.
struct Case {
    name: String,
    needs: Vec<Need>,
    run: Box<dyn FnOnce() + Send>,
}

impl Case {
    fn new(name: impl Into<String>, needs: &[Need], run: impl FnOnce() + Send + 'static) -> Self {
        Self {
            name: name.into(),
            needs: needs.to_vec(),
            run: Box::new(run),
        }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let groups = [
        ("golden", golden::cases()),
        ("hostile", hostile::cases()),
        ("promises", promises::cases()),
        ("scripts", scripts::cases()),
        ("validators", validators::cases()),
    ];
    let trials = groups.into_iter().flat_map(|(group, cases)| {
        cases.into_iter().map(move |case| {
            let missing = needs::missing(&case.needs);
            Trial::test(format!("{group}::{}", case.name), move || {
                (case.run)();
                Ok(())
            })
            .with_kind(missing.clone().unwrap_or_default())
            .with_ignored_flag(missing.is_some())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
