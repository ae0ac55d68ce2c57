//! Faults on purpose, for the tests: `SLIPWAY_FAULT=kill:before:3`. Compiled into debug builds alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where in a run something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before a step of a plan for the network, counted from 1.
    Before(usize),
    /// After such a step.
    After(usize),
    /// Before a step of its undo.
    Undo(usize),
    /// Between the last step and the proof that the network answers.
    Verify,
    /// Between the proof and the end of the guardian's watch.
    Commit,
    /// Before a part of the work that nobody numbers beforehand: they are counted from 1 as they come.
    Part(usize),
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
    /// The kernel refuses it.
    Refuse,
}

/// What goes wrong in this run: nothing, unless a test asks for it.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    planned: Vec<(Kind, Moment)>,
    guardian: Option<Pid>,
    /// How many parts have come.
    parts: Arc<AtomicUsize>,
}

impl Fault {
    /// Reads what a test asked for: `KIND:WHERE[:NUMBER]`, several joined by commas.
    pub fn from_env() -> Self {
        match cfg!(debug_assertions) {
            true => Self::parse(&std::env::var("SLIPWAY_FAULT").unwrap_or_default()),
            false => Self::default(),
        }
    }

    /// Reads the same from a text.
    pub fn parse(asked: &str) -> Self {
        Self {
            planned: asked.split(',').filter_map(parse).collect(),
            ..Self::default()
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

    /// Refuses what is due now, if it was asked to.
    pub fn refusal(&self, now: Moment) -> io::Result<()> {
        match self.planned.contains(&(Kind::Refuse, now)) {
            true => Err(io::Error::from_raw_os_error(libc::EPERM)),
            false => Ok(()),
        }
    }

    /// Goes wrong or refuses before the next part of the work, if it was asked to.
    pub fn part(&self) -> io::Result<()> {
        let now = Moment::Part(self.parts.fetch_add(1, Ordering::Relaxed) + 1);
        self.strike(now);
        self.refusal(now)
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
    let mut number = || parts.next()?.parse().ok();
    let moment = match place {
        "before" => Moment::Before(number()?),
        "after" => Moment::After(number()?),
        "undo" => Moment::Undo(number()?),
        "verify" => Moment::Verify,
        "commit" => Moment::Commit,
        "part" => Moment::Part(number()?),
        _ => return None,
    };
    Some((kind, moment))
}
