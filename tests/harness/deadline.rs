//! How long a machine is waited for: as long as it makes progress, up to a limit.
//!
//! On a loaded machine everything takes several times as long, so no deadline counts seconds alone: a wait ends when the
//! machine has shown nothing new for a while.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// A wait ends after this many idle times, whatever the machine prints.
const MAX_FACTOR: u32 = 6;

/// This machine had too little time for a trial: it says nothing of what the trial is about.
#[derive(Debug)]
pub struct OutOfTime(pub(crate) String);

impl Display for OutOfTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::error::Error for OutOfTime {}

/// The deadline of one wait.
#[derive(Debug)]
pub(crate) struct IdleDeadline {
    idle: Duration,
    began: Instant,
    /// What the machine showed last, and since when.
    shown: (String, Instant),
}

impl IdleDeadline {
    /// Begins a wait that ends when the machine shows nothing new for this long.
    pub(crate) fn new(idle: Duration) -> Self {
        let now = Instant::now();
        Self {
            idle,
            began: now,
            shown: (String::new(), now),
        }
    }

    /// Checks the deadline with what the machine shows now: the length of its output, or its state.
    ///
    /// # Errors
    /// When the deadline is over, with what the machine did not do and its last output.
    pub(crate) fn check(
        &mut self,
        shows: String,
        what: &str,
        last_words: impl Fn() -> String,
    ) -> Result<(), OutOfTime> {
        match self.over(shows, Instant::now()) {
            None => Ok(()),
            Some(why) => Err(OutOfTime(format!("{what}: {why}: {}", last_words()))),
        }
    }

    fn over(&mut self, shows: String, now: Instant) -> Option<String> {
        if shows != self.shown.0 {
            self.shown = (shows, now);
        }
        if now - self.began > self.idle * MAX_FACTOR {
            return Some(format!("it took {} s", (now - self.began).as_secs()));
        }
        let silent = now - self.shown.1;
        (silent > self.idle).then(|| format!("it shows nothing new for {} s", silent.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_nothing_new_is_shown_and_not_before() {
        let mut deadline = IdleDeadline::new(Duration::from_secs(10));
        let began = deadline.began;
        let mut over = |seconds: u64, shows: &str| {
            deadline.over(shows.to_owned(), began + Duration::from_secs(seconds))
        };
        assert_eq!(over(9, "1"), None);
        assert_eq!(over(19, "1"), None);
        assert_eq!(over(20, "2"), None);
        assert_eq!(
            over(31, "2").as_deref(),
            Some("it shows nothing new for 11 s")
        );
        assert_eq!(over(61, "3").as_deref(), Some("it took 61 s"));
    }
}
