//! Faults on purpose, for the tests: `SLIPWAY_FAULT=kill:before:3`. Compiled into debug builds alone.

use std::io;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where in a run something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before a step, counted from 1.
    Before(usize),
    /// After a step.
    After(usize),
    /// Before a step of the undo.
    Undo(usize),
    /// Between the last step and the proof that the network answers.
    Verify,
    /// Between the proof and the end of the guardian's watch.
    Commit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// This process is killed.
    Kill,
    /// This process and its guardian are killed.
    Both,
    /// This process hangs.
    Hang,
    /// This process pauses, so that a test can change the world meanwhile.
    Pause,
    /// The kernel refuses the step.
    Refuse,
}

/// What goes wrong in this run: nothing, unless a test asks for it.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    planned: Vec<(Kind, Moment)>,
    guardian: Option<Pid>,
}

impl Fault {
    /// Reads what a test asked for: `KIND:WHERE[:STEP]`, several joined by commas.
    pub fn from_env() -> Self {
        if !cfg!(debug_assertions) {
            return Self::default();
        }
        let asked = std::env::var("SLIPWAY_FAULT").unwrap_or_default();
        Self {
            planned: asked.split(',').filter_map(parse).collect(),
            guardian: None,
        }
    }

    /// Says who guards this run.
    pub fn guarded_by(&mut self, guardian: u32) {
        self.guardian = i32::try_from(guardian).ok().map(Pid::from_raw);
    }

    /// Goes wrong here, if it was asked to.
    pub fn strike(&self, now: Moment) {
        for (kind, at) in &self.planned {
            if *at != now {
                continue;
            }
            match kind {
                Kind::Hang => std::thread::sleep(Duration::from_secs(3600)),
                Kind::Pause => std::thread::sleep(Duration::from_millis(700)),
                _ => {}
            }
            if *kind == Kind::Both {
                // the guardian first: it would notice our death
                self.guardian.map(|pid| kill(pid, Signal::SIGKILL));
            }
            if matches!(kind, Kind::Kill | Kind::Both) {
                let _ = kill(Pid::this(), Signal::SIGKILL);
            }
        }
    }

    /// Refuses a step, if it was asked to.
    pub fn refusal(&self, step: usize) -> io::Result<()> {
        match self.planned.contains(&(Kind::Refuse, Moment::Before(step))) {
            true => Err(io::Error::from_raw_os_error(libc::EPERM)),
            false => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<(Kind, Moment)> {
    let mut parts = text.split(':');
    let kind = match parts.next()? {
        "kill" => Kind::Kill,
        "both" => Kind::Both,
        "hang" => Kind::Hang,
        "pause" => Kind::Pause,
        "refuse" => Kind::Refuse,
        _ => return None,
    };
    let place = parts.next()?;
    let mut step = || parts.next()?.parse().ok();
    let moment = match place {
        "before" => Moment::Before(step()?),
        "after" => Moment::After(step()?),
        "undo" => Moment::Undo(step()?),
        "verify" => Moment::Verify,
        "commit" => Moment::Commit,
        _ => return None,
    };
    Some((kind, moment))
}
