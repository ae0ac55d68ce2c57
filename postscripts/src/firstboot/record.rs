//! What came of every script: the values that `status.json` holds.
//!
//! Events come in (begun, ended, interrupted), the next state goes out. Pure: [`super::status_file`] puts the
//! values on the disk.

use std::fmt;

use definitions::{Runlist, ScriptOrigin};
use serde::{Deserialize, Serialize};

use super::job::{ScriptJob, ScriptPhase};

/// How often a script may be interrupted by a machine that goes down before it counts as failed.
pub(super) const INTERRUPTIONS: u32 = 3;

/// At how many boots a script may end with [`EX_TEMPFAIL`] to the last before it counts as failed.
pub(super) const BOOTS: u32 = 10;

/// The exit code of what another try may fix, a lack of network above all: EX_TEMPFAIL of sysexits.h.
pub(super) const EX_TEMPFAIL: i32 = 75;

/// How far the node is; the words are xCAT's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum InstallStatus {
    /// The installer runs.
    #[default]
    Installing,
    /// The installer is done; the node starts from its disk next.
    Booting,
    /// The postbootscripts run.
    Postbooting,
    /// Everything has ended well.
    Booted,
    /// Something has failed.
    Failed,
}

impl fmt::Display for InstallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Installing => "installing",
            Self::Booting => "booting",
            Self::Postbooting => "postbooting",
            Self::Booted => "booted",
            Self::Failed => "failed",
        })
    }
}

/// How far one script is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScriptState {
    /// It has not run, or was interrupted.
    #[default]
    Pending,
    /// It runs.
    Running,
    /// It had no network, or asked for another try.
    Waiting,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
}

/// What names one run of one process group on this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScriptProcess {
    /// The boot, as the kernel names it.
    pub(super) boot: String,
    /// The process, once it is there.
    pub(super) pid: Option<i32>,
    /// When it was started, in the kernel's ticks: a number may be given twice.
    pub(super) ticks: Option<u64>,
}

/// One script and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ScriptRecord {
    pub(super) phase: ScriptPhase,
    pub(super) origin: Option<ScriptOrigin>,
    pub(super) line: String,
    #[serde(default)]
    pub(super) state: ScriptState,
    /// Its exit code, or the one that represents what ended it.
    #[serde(default)]
    pub(super) code: Option<i32>,
    /// Why it failed, where its exit code does not say it.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// How often it was begun.
    #[serde(default)]
    pub(super) attempts: u32,
    /// How often it was interrupted by a machine that went down.
    #[serde(default)]
    pub(super) interruptions: u32,
    /// At how many boots it asked for another try to the last.
    #[serde(default)]
    pub(super) boots: u32,
    #[serde(default)]
    pub(super) start: Option<String>,
    #[serde(default)]
    pub(super) end: Option<String>,
    #[serde(default)]
    pub(super) milliseconds: Option<u64>,
    /// The bytes that it printed, and those of them that its log does not hold.
    #[serde(default)]
    pub(super) printed: u64,
    #[serde(default)]
    pub(super) dropped: u64,
    /// The last lines that it printed.
    #[serde(default)]
    pub(super) tail: Vec<String>,
    #[serde(default)]
    pub(super) process: Option<ScriptProcess>,
}

impl ScriptRecord {
    pub(super) fn new(job: &ScriptJob) -> Self {
        Self {
            phase: job.phase,
            origin: job.origin,
            line: job.line.to_string(),
            state: ScriptState::Pending,
            code: None,
            reason: None,
            attempts: 0,
            interruptions: 0,
            boots: 0,
            start: None,
            end: None,
            milliseconds: None,
            printed: 0,
            dropped: 0,
            tail: Vec::new(),
            process: None,
        }
    }

    pub(super) fn is_of(&self, job: &ScriptJob) -> bool {
        self.phase == job.phase && self.line == job.line.to_string()
    }

    /// It begins now.
    pub(super) fn begin(&mut self, now: String, boot: &str) {
        *self = Self {
            state: ScriptState::Running,
            attempts: self.attempts + 1,
            start: Some(now),
            code: None,
            reason: None,
            end: None,
            milliseconds: None,
            printed: 0,
            dropped: 0,
            tail: Vec::new(),
            process: Some(ScriptProcess {
                boot: boot.to_owned(),
                pid: None,
                ticks: None,
            }),
            ..self.clone()
        };
    }

    /// It has ended with a code; `wait` says that it is tried again.
    pub(super) fn end(&mut self, now: String, code: i32, reason: Option<String>, wait: bool) {
        self.state = match (code, wait) {
            (0, _) => ScriptState::Done,
            (_, true) => ScriptState::Waiting,
            (_, false) => ScriptState::Failed,
        };
        self.code = Some(code);
        self.reason = reason;
        self.end = Some(now);
        self.process = None;
    }

    /// This boot's tries are over. One that asks for another try at every boot has failed in the end; one for
    /// which there was no network waits for as long as that takes.
    pub(super) fn end_boot(&mut self) {
        let asks = self.code == Some(EX_TEMPFAIL) && self.reason.is_none();
        if self.state != ScriptState::Waiting || !asks {
            return;
        }
        self.boots += 1;
        if self.boots >= BOOTS {
            self.state = ScriptState::Failed;
            self.reason = Some(format!("it asked for another try at {BOOTS} boots"));
        }
    }

    /// Settles what an earlier run left as running, which it then was when that run died.
    ///
    /// On the same boot the script ended the run that ran it, so it has failed. On a later one the machine
    /// went down, and the script runs again, unless that happened too often.
    pub(super) fn settle_interrupted(&mut self, boot: &str, now: &str) {
        if self.state != ScriptState::Running {
            return;
        }
        let same_boot = self.process.as_ref().is_some_and(|p| p.boot == boot);
        self.interruptions += 1;
        let failed = |record: &mut Self, reason: String| {
            record.end(now.to_owned(), 1, Some(reason), false);
        };
        if same_boot {
            failed(self, "firstboot was killed while it ran".to_owned());
        } else if self.interruptions >= INTERRUPTIONS {
            let times = self.interruptions;
            failed(
                self,
                format!("the machine went down {times} times while it ran"),
            );
        } else {
            self.state = ScriptState::Pending;
            self.process = None;
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self.state, ScriptState::Failed | ScriptState::Waiting)
    }
}

/// What came of a node's scripts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) node: String,
    pub(super) osimage: String,
    pub(super) state: InstallStatus,
    /// Whether every postbootscript has ended.
    pub(super) complete: bool,
    /// When this was written.
    pub(super) time: String,
    pub(super) scripts: Vec<ScriptRecord>,
}

impl Status {
    /// Makes the records those of the list, in its order; what is known of a script is kept.
    pub(super) fn follow(&mut self, list: &Runlist, jobs: &[ScriptJob]) {
        self.node.clone_from(&list.node);
        self.osimage.clone_from(&list.osimage);
        let mut old = std::mem::take(&mut self.scripts);
        for job in jobs {
            let known = old.iter().position(|record| record.is_of(job));
            let record = known.map_or_else(|| ScriptRecord::new(job), |index| old.remove(index));
            self.scripts.push(ScriptRecord {
                origin: job.origin,
                ..record
            });
        }
        old.retain(|record| record.phase == ScriptPhase::Update);
        self.scripts.extend(old);
    }

    /// Returns the index of a script's record, a new one if there is none.
    pub(super) fn index(&mut self, job: &ScriptJob) -> usize {
        let known = self.scripts.iter().position(|record| record.is_of(job));
        known.unwrap_or_else(|| {
            self.scripts.push(ScriptRecord::new(job));
            self.scripts.len() - 1
        })
    }

    /// Says whether any script failed that is part of the list.
    pub(super) fn has_failed(&self) -> bool {
        let listed = |record: &&ScriptRecord| record.phase != ScriptPhase::Update;
        self.scripts
            .iter()
            .filter(listed)
            .any(ScriptRecord::is_failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ScriptRecord {
        ScriptRecord::new(&ScriptJob {
            phase: ScriptPhase::Postbootscripts,
            origin: None,
            line: "mine".parse().unwrap(),
        })
    }

    #[test]
    fn a_script_that_was_cut_short_runs_again_at_the_next_boot_but_not_for_ever() {
        let mut record = record();
        for boot in 1..INTERRUPTIONS {
            record.begin("t".to_owned(), &boot.to_string());
            record.settle_interrupted(&(boot + 1).to_string(), "t");
            assert_eq!(
                (record.state, record.attempts),
                (ScriptState::Pending, boot)
            );
        }
        record.begin("t".to_owned(), "9");
        record.settle_interrupted("10", "t");
        assert_eq!(record.state, ScriptState::Failed);
        let reason = "the machine went down 3 times while it ran";
        assert_eq!(record.reason.as_deref(), Some(reason));
    }

    #[test]
    fn a_script_that_asks_for_another_try_at_every_boot_has_failed_in_the_end() {
        let away = Some("fetching it: no route".to_owned());
        for (reason, expected) in [(None, ScriptState::Failed), (away, ScriptState::Waiting)] {
            let mut record = record();
            for boot in 1..=BOOTS {
                assert_ne!(record.state, ScriptState::Failed, "{boot}");
                record.begin("t".to_owned(), &boot.to_string());
                record.end("t".to_owned(), EX_TEMPFAIL, reason.clone(), true);
                record.end_boot();
            }
            assert_eq!(record.state, expected);
            let said = reason.unwrap_or_else(|| "it asked for another try at 10 boots".to_owned());
            assert_eq!(record.reason, Some(said));
        }
    }

    #[test]
    fn a_script_that_killed_its_runner_has_failed() {
        let mut record = record();
        record.begin("t".to_owned(), "1");
        record.settle_interrupted("1", "t");
        assert_eq!((record.state, record.code), (ScriptState::Failed, Some(1)));
        assert_eq!(
            record.reason.as_deref(),
            Some("firstboot was killed while it ran")
        );
        let ended = record.clone();
        record.settle_interrupted("2", "t");
        assert_eq!(record.state, ended.state);
    }
}
