//! The signals that matter while a script runs, as something to wait for: signalfd(2).
//!
//! Outside of a script they do what they always do.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that ask a program to end.
const STOP_SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Signals that are held back and can be read, as long as it lives.
#[derive(Debug)]
pub(super) struct Signals {
    set: SigSet,
    file: SignalFd,
}

/// A signal that asks us to end, and the process that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopRequest {
    pub(super) signal: i32,
    pub(super) sender: i32,
}

impl Signals {
    /// Begins. What is started meanwhile inherits what is held back: [`start`](super::start) sees to it that a
    /// script does not, because it would hand that on to its daemons, which then could never be asked to end.
    pub(super) fn hold() -> Result<Self> {
        let mut set: SigSet = STOP_SIGNALS.into_iter().collect();
        set.add(Signal::SIGCHLD);
        set.thread_block().context("holding signals back")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let file = SignalFd::with_flags(&set, flags).context("making a signalfd")?;
        Ok(Self { set, file })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads all that have come; returns the last one that asks us to end. A child's end only wakes us.
    pub(super) fn read(&self) -> Result<Option<StopRequest>> {
        let mut selected = None;
        while let Some(info) = self.file.read_signal().context("reading a signal")? {
            if info.ssi_signo != Signal::SIGCHLD as u32 {
                selected = Some(StopRequest {
                    signal: info.ssi_signo as i32,
                    sender: info.ssi_pid as i32,
                });
            }
        }
        Ok(selected)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What came meanwhile takes its course now.
        let _ = self.set.thread_unblock();
    }
}
