//! Media as other people's tools make them, as real discs are, and as no disc should be.
//!
//! Every case says what it needs; where that is lacking it is ignored, and its kind says why. Truth is
//! the directory that a medium was made of, or what other readers take out of it.

#![allow(clippy::unwrap_used)] // tests may; without #[test] clippy does not see that these are some

mod built;
mod corpus;
mod directories;
mod listing;
mod malformed;
mod mutated;
mod needs;
mod tools;
mod udf;

use libtest_mimic::{Arguments, Trial};
use needs::Need;

/// One test: a statement, what it needs, and its proof.
struct Case {
    name: &'static str,
    needs: &'static [Need],
    run: fn(),
}

/// Names a case after its function.
macro_rules! cases {
    ($($needs:expr => $($run:ident)+;)+) => {
        &[$($($crate::Case { name: stringify!($run), needs: $needs, run: $run },)+)+]
    };
}
use cases;

fn main() {
    let arguments = Arguments::from_args();
    let groups: [(&str, &[Case]); 6] = [
        ("built", built::CASES),
        ("corpus", corpus::CASES),
        ("directories", directories::CASES),
        ("malformed", malformed::CASES),
        ("mutated", mutated::CASES),
        ("udf", udf::CASES),
    ];
    let trials = groups.into_iter().flat_map(|(group, cases)| {
        cases.iter().map(move |case| {
            let missing = needs::missing(case.needs);
            let run = case.run;
            Trial::test(format!("{group}::{}", case.name), move || {
                run();
                Ok(())
            })
            .with_kind(missing.clone().unwrap_or_default())
            .with_ignored_flag(missing.is_some())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
