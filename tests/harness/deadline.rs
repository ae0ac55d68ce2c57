//! How long a machine is waited for: as long as it gets on, and not for ever.
//!
//! Beside other work a machine takes several times as long for everything, so no deadline counts the seconds of
//! the host alone: one ends when the machine has shown nothing new for a while.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// How many times the allowed silence a machine may take in all, however much it says.
const MOST: u32 = 6;

/// This machine had too little time for a story: it says nothing of what the story is about.
#[derive(Debug)]
pub struct OutOfTime(pub(crate) String);

impl Display for OutOfTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::error::Error for OutOfTime {}

/// The patience of one wait.
#[derive(Debug)]
pub(crate) struct Patience {
    silence: Duration,
    began: Instant,
    /// What the machine showed last, and since when.
    shown: (String, Instant),
}

impl Patience {
    /// Begins a wait that may go on for as long as the machine is silent for no longer than that.
    pub(crate) fn new(silence: Duration) -> Self {
        let now = Instant::now();
        Self {
            silence,
            began: now,
            shown: (String::new(), now),
        }
    }

    /// Takes what the machine shows now: how much it has said, or where it is.
    ///
    /// # Errors
    /// When patience has ended, with what the machine did not do and what it said last.
    pub(crate) fn go_on(
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
        if now - self.began > self.silence * MOST {
            return Some(format!("it took {} s", (now - self.began).as_secs()));
        }
        let silent = now - self.shown.1;
        (silent > self.silence).then(|| format!("it shows nothing new for {} s", silent.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_nothing_new_is_shown_and_not_before() {
        let mut patience = Patience::new(Duration::from_secs(10));
        let began = patience.began;
        let mut over = |seconds: u64, shows: &str| {
            patience.over(shows.to_owned(), began + Duration::from_secs(seconds))
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
