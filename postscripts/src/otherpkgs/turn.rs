//! Our turn: every command of a package manager waits until no other one is at work, for so long and no longer.

use std::cell::RefCell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::command::{Answer, Line};
use super::locks::{Holder, Locks};
use super::trouble::Later;

/// How often a lock is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// The patience of one run with other package managers.
#[derive(Debug)]
pub(super) struct Turn {
    locks: &'static Locks,
    patience: Duration,
    end: Instant,
    /// Who was said to be waited for last.
    said: RefCell<Option<Holder>>,
}

impl Turn {
    pub(super) fn new(locks: &'static Locks, patience: Duration) -> Self {
        Self {
            locks,
            patience,
            end: Instant::now() + patience,
            said: RefCell::default(),
        }
    }

    /// Runs a command when nobody else is at work, and returns what it printed. One that fails while somebody
    /// is at work again was in that one's way, and runs once more.
    pub(super) fn ask(&self, line: &Line, environment: &[(String, String)]) -> Result<Answer> {
        loop {
            self.wait()?;
            let answer = line.ask(environment)?;
            if answer.code == Some(0) || self.holder()?.is_none() {
                return Ok(answer);
            }
        }
    }

    /// The same with its output on our standard error; returns its exit code.
    pub(super) fn run(&self, line: &Line, environment: &[(String, String)]) -> Result<Option<i32>> {
        loop {
            self.wait()?;
            let code = line.run(environment)?;
            if code == Some(0) || self.holder()?.is_none() {
                return Ok(code);
            }
        }
    }

    fn holder(&self) -> Result<Option<Holder>> {
        self.locks
            .holder()
            .context("waiting for other package managers")
    }

    fn wait(&self) -> Result<()> {
        while let Some(holder) = self.holder()? {
            let seconds = self.patience.as_secs();
            if Instant::now() >= self.end {
                let message = format!(
                    "{holder}: it was waited for, for {seconds} s in all: run this again once it has ended"
                );
                return Err(Later(message).into());
            }
            let mut said = self.said.borrow_mut();
            if said.as_ref() != Some(&holder) {
                eprintln!("otherpkgs: {holder}: waiting for it to end, {seconds} s at most");
                *said = Some(holder);
            }
            sleep(PAUSE);
        }
        Ok(())
    }
}
