//! Runs package managers one at a time: every command waits until no other package manager holds a lock, up to a limit.

use std::cell::RefCell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::command::{CommandOutput, PackageCommand};
use super::failure::RetryLater;
use super::locks::{LockHolder, Locks};

/// How often the locks are read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Runs commands while no other package manager holds a lock.
#[derive(Debug)]
pub(super) struct ExclusiveRunner {
    locks: &'static Locks,
    patience: Duration,
    end: Instant,
    /// The lock holder that was reported last.
    reported: RefCell<Option<LockHolder>>,
}

impl ExclusiveRunner {
    pub(super) fn new(locks: &'static Locks, patience: Duration) -> Self {
        Self {
            locks,
            patience,
            end: Instant::now() + patience,
            reported: RefCell::default(),
        }
    }

    /// Runs a command when no lock is held, and returns what it printed. One that fails while a lock is held again ran
    /// into that lock, and runs once more.
    pub(super) fn capture(
        &self,
        line: &PackageCommand,
        environment: &[(String, String)],
    ) -> Result<CommandOutput> {
        loop {
            self.wait()?;
            let output = line.capture(environment)?;
            if output.code == Some(0) || self.lock_holder()?.is_none() {
                return Ok(output);
            }
        }
    }

    /// The same with its output on our standard error; returns its exit code.
    pub(super) fn run(
        &self,
        line: &PackageCommand,
        environment: &[(String, String)],
    ) -> Result<Option<i32>> {
        loop {
            self.wait()?;
            let code = line.run(environment)?;
            if code == Some(0) || self.lock_holder()?.is_none() {
                return Ok(code);
            }
        }
    }

    fn lock_holder(&self) -> Result<Option<LockHolder>> {
        self.locks
            .lock_holder()
            .context("waiting for other package managers")
    }

    fn wait(&self) -> Result<()> {
        while let Some(lock_holder) = self.lock_holder()? {
            let seconds = self.patience.as_secs();
            if Instant::now() >= self.end {
                let message = format!(
                    "{lock_holder}, and did not end within {seconds} s: {}",
                    lock_holder.advice()
                );
                return Err(RetryLater(message).into());
            }
            let mut reported = self.reported.borrow_mut();
            if reported.as_ref() != Some(&lock_holder) {
                error_line!("otherpkgs: {lock_holder}: waiting for it to end, {seconds} s at most");
                *reported = Some(lock_holder);
            }
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}
