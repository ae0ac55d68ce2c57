//! Faults on purpose, for the tests: `SLIPWAY_FAULT=kill:before:3`. Compiled into debug builds alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A point of a run at which a test can make something go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Before a step of a plan for the network, counted from 1.
    Before(usize),
    /// After such a step.
    After(usize),
    /// Before a step of its undo.
    Undo(usize),
    /// Between the last step and the proof that the network answers.
    Verify,
    /// Between the proof and the end of the watchdog's watch.
    Commit,
    /// Before a part of the work that nobody numbers beforehand: they are counted from 1 as they come.
    Part(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    /// This process is killed.
    Kill,
    /// This process and its watchdog are killed.
    Both,
    /// This process hangs.
    Hang,
    /// This process pauses, so that a test can change the world meanwhile.
    Pause,
    /// The kernel refuses it.
    Refuse,
}

/// The faults of this run: none, unless a test plans some.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    planned: Vec<(FaultKind, FaultPoint)>,
    watchdog: Option<Pid>,
    /// How many parts have come.
    parts: Arc<AtomicUsize>,
}

impl Fault {
    /// Reads the faults that a test plans: `KIND:WHERE[:NUMBER]`, several joined by commas.
    pub fn from_env() -> Self {
        if !cfg!(debug_assertions) {
            return Self::default();
        }
        Self::parse(&std::env::var("SLIPWAY_FAULT").unwrap_or_default())
    }

    /// Reads the same from a text.
    pub fn parse(text: &str) -> Self {
        Self {
            planned: text.split(',').filter_map(parse).collect(),
            ..Self::default()
        }
    }

    /// Names the process that watches this run.
    pub fn watched_by(&mut self, watchdog: u32) {
        self.watchdog = i32::try_from(watchdog).ok().map(Pid::from_raw);
    }

    /// Injects what is planned for this point: this process is killed, hangs or pauses.
    pub fn inject(&self, point: FaultPoint) {
        for (kind, at) in &self.planned {
            if *at != point {
                continue;
            }
            match kind {
                FaultKind::Hang => std::thread::sleep(Duration::from_secs(3600)),
                FaultKind::Pause => std::thread::sleep(Duration::from_millis(700)),
                _ => {}
            }
            if *kind == FaultKind::Both {
                // the watchdog first: it would notice our death
                self.watchdog.map(|pid| kill(pid, Signal::SIGKILL));
            }
            if matches!(kind, FaultKind::Kill | FaultKind::Both) {
                let _ = kill(Pid::this(), Signal::SIGKILL);
            }
        }
    }

    /// Returns the error that is planned for this point, if there is one.
    pub fn error_at(&self, point: FaultPoint) -> io::Result<()> {
        if self.planned.contains(&(FaultKind::Refuse, point)) {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        Ok(())
    }

    /// Injects what is planned before the next part of the work, or returns its error.
    pub fn part(&self) -> io::Result<()> {
        let point = FaultPoint::Part(self.parts.fetch_add(1, Ordering::Relaxed) + 1);
        self.inject(point);
        self.error_at(point)
    }
}

fn parse(text: &str) -> Option<(FaultKind, FaultPoint)> {
    let mut parts = text.split(':');
    let kind = match parts.next()? {
        "kill" => FaultKind::Kill,
        "both" => FaultKind::Both,
        "hang" => FaultKind::Hang,
        "pause" => FaultKind::Pause,
        "refuse" => FaultKind::Refuse,
        _ => return None,
    };
    let place = parts.next()?;
    let mut number = || parts.next()?.parse().ok();
    let point = match place {
        "before" => FaultPoint::Before(number()?),
        "after" => FaultPoint::After(number()?),
        "undo" => FaultPoint::Undo(number()?),
        "verify" => FaultPoint::Verify,
        "commit" => FaultPoint::Commit,
        "part" => FaultPoint::Part(number()?),
        _ => return None,
    };
    Some((kind, point))
}
