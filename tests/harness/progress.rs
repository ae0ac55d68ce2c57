//! How far a long trial is, and how long each part of it took.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// The stages so far.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    stages: Vec<(String, Duration)>,
}

impl Progress {
    /// Begins with the first stage.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// Says that a stage is over; the next one begins.
    pub fn done(&mut self, stage: &str) {
        let whole = self.began.elapsed();
        let before: Duration = self.stages.iter().map(|(_, took)| *took).sum();
        self.stages
            .push((stage.to_owned(), whole.saturating_sub(before)));
        println!("[{:7.1} s] {stage}", whole.as_secs_f64());
    }
}

impl Display for Progress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (stage, took) in &self.stages {
            writeln!(f, "  {:8.1} s  {stage}", took.as_secs_f64())?;
        }
        write!(f, "  {:8.1} s  in all", self.began.elapsed().as_secs_f64())
    }
}
