//! `roll`: another authority for the site, and other keys for trees and what nodes boot, while both count.
//!
//! ```text
//! distributing ─(each host has both roots)─> switched ─(each host has a certificate of the new one)─> the old one is dropped
//!      │ --abort                                │ --abort
//!      └──> the new one is dropped <─(each host has an old one)─ returning
//! ```
//!
//! Each stage is one file that is replaced; a run that is cut off is taken up by the next. A host says by the certificate that
//! it has in use that it has what came with it.

mod generation;
mod progress;
mod signatures;
mod state;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::{Catalog, Lock};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::directory::{Holder, TrustDirectory};
use super::output;
use super::secret::digest;
use super::store::Store;
use super::term::{now, stamp};
use super::x509::Certified;
use progress::{Progress, Target};
pub(super) use signatures::ipxe_step;
pub(crate) use state::{DIRECTORY, Generation, RollState, Stage};

/// What is exited with while hosts are waited for: EX_TEMPFAIL of sysexits.h.
const WAITING: u8 = 75;

/// How long another run is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The most names that a line shows.
const SHOWN: usize = 20;

/// What is asked for.
#[derive(Debug)]
pub(super) struct RollRequest<'a> {
    /// Hosts and clients that are not waited for.
    pub(super) leave: &'a [String],
    pub(super) abort: bool,
    pub(super) status: bool,
}

/// Goes on with the change as far as hosts have come, or says how far that is.
///
/// # Errors
/// When something cannot be written, or the root's key is not here.
pub(super) fn roll(
    catalog: &Catalog,
    wanted: &RollRequest<'_>,
    as_json: bool,
    dry_run: bool,
) -> Result<ExitCode> {
    let run = RollRun {
        catalog,
        directory: TrustDirectory::of(catalog),
        left: wanted.leave.iter().cloned().collect(),
        now: now(),
    };
    let trust = run.directory.existing()?;
    let changes = !(wanted.status || dry_run);
    let _lock = changes
        .then(|| {
            Lock::acquire(&trust.join(".roll.lock"), TIMEOUT, &mut |text| {
                eprintln!("{text}")
            })
        })
        .transpose()?;
    let mut state = RollState::load(trust)?;
    if changes {
        let has_ended = generation::clear(trust)?;
        if has_ended && state.is_none() {
            return run.ended(Progress::default())?.print(as_json);
        }
        state = run.begin(state, wanted.abort)?;
    }
    let Some(state) = state else {
        return nothing(wanted.status, as_json, dry_run);
    };
    let (stage, progress) = if changes {
        run.go_on(state.stage)?
    } else {
        (Some(state.stage), run.progress(state.stage, true)?)
    };
    if stage.is_none() {
        return run.ended(progress)?.print(as_json);
    }
    let report = RollReport {
        stage,
        progress,
        dry_run,
        left: &run.left,
    };
    report.print(as_json)
}

/// What is said where no change is under way.
fn nothing(status: bool, as_json: bool, dry_run: bool) -> Result<ExitCode> {
    let text = if status {
        "no change of the authority is under way\n"
    } else {
        "new authorities would be made, and both roots given to hosts\n"
    };
    output(as_json, text, json!({ "stage": null, "dry_run": dry_run }))?;
    Ok(ExitCode::SUCCESS)
}

/// One run.
struct RollRun<'a> {
    catalog: &'a Catalog,
    directory: TrustDirectory,
    left: BTreeSet<String>,
    now: OffsetDateTime,
}

impl RollRun<'_> {
    /// Makes the new authorities where there are none, or turns back.
    fn begin(&self, state: Option<RollState>, abort: bool) -> Result<Option<RollState>> {
        let trust = self.directory.existing()?;
        match (state, abort) {
            (None, true) => bail!("no change of the authority is under way"),
            (None, false) => generation::make(self.catalog, &self.directory, self.now)?,
            (Some(state), false) => return Ok(Some(state)),
            (Some(state), true) => {
                let stage = match state.stage {
                    Stage::Distributing => Stage::DroppingNew,
                    Stage::Switched => Stage::Returning,
                    Stage::DroppingOld => {
                        bail!(
                            "the old authority counts no more: run slipway-trust roll, which ends this change"
                        )
                    }
                    stage => stage,
                };
                self.enter(stage)?;
            }
        }
        RollState::load(trust)
    }

    fn enter(&self, stage: Stage) -> Result<()> {
        let state = RollState {
            stage,
            since: self.now,
        };
        state.write(&self.directory.path(DIRECTORY))
    }

    /// Goes from stage to stage until hosts are waited for; `None` when the change has ended.
    fn go_on(&self, mut stage: Stage) -> Result<(Option<Stage>, Progress)> {
        let mut changed = false;
        loop {
            changed |= generation::publish(self.catalog, &self.directory, stage, self.now)?;
            if changed && matches!(stage, Stage::DroppingOld | Stage::DroppingNew) {
                // before the other authority's files go: what serves now knows the one that stays
                restart_slipwayd(self.catalog)?;
            }
            let progress = self.progress(stage, false)?;
            let next = match stage {
                Stage::Distributing => Stage::Switched,
                Stage::Switched => Stage::DroppingOld,
                Stage::Returning => Stage::DroppingNew,
                Stage::DroppingOld | Stage::DroppingNew => {
                    generation::drop_other(&self.directory, stage)?;
                    return Ok((None, progress));
                }
            };
            if !progress.is_complete(&self.left) {
                if changed {
                    restart_slipwayd(self.catalog)?;
                }
                return Ok((Some(stage), progress));
            }
            self.enter(next)?;
            stage = next;
        }
    }

    fn progress(&self, stage: Stage, dry_run: bool) -> Result<Progress> {
        let directory = &self.directory;
        let digest_of = |holder| -> Result<String> {
            let certificate = directory.of_generation(holder, Generation::New)?;
            Ok(digest(&Certified::parse(&certificate)?.der))
        };
        let (nodes, clients) = (digest_of(Holder::Nodes)?, digest_of(Holder::Clients)?);
        let store = Store::load(directory.existing()?)?;
        let roots = directory.by_hosts()?.digest();
        let target = Target {
            stage,
            new: [&nodes, &clients],
            roots: &roots,
        };
        let mut progress = Progress::of(&store, &target, self.now);
        signatures::add(&mut progress, self.catalog, directory, stage, dry_run)?;
        let names: BTreeSet<_> = store.issued.values().map(|issued| &issued.name).collect();
        for name in &self.left {
            let is_known = names.contains(name)
                || progress.armed.contains(name)
                || progress.booting.contains(name);
            if !is_known {
                bail!("'{name}' is no host and no client that has a certificate");
            }
        }
        Ok(progress)
    }

    /// Says that the change has ended, and what is left to do then.
    fn ended(&self, progress: Progress) -> Result<RollReport<'_>> {
        let steps = ipxe_step(self.catalog, &self.directory)?;
        Ok(RollReport {
            stage: None,
            progress: Progress {
                steps: steps.into_iter().collect(),
                ..progress
            },
            dry_run: false,
            left: &self.left,
        })
    }
}

/// Has slipwayd, where systemd runs it, take what it answers with: its sockets stay open meanwhile.
fn restart_slipwayd(catalog: &Catalog) -> Result<()> {
    let is_ours = catalog.path() == Path::new(Catalog::DEFAULT);
    if !is_ours || !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let mut command = Command::new("systemctl");
    let status = command
        .args(["try-restart", "slipwayd.service"])
        .stdin(Stdio::null())
        .status()
        .context("restarting slipwayd")?;
    if !status.success() {
        bail!(
            "restarting slipwayd: systemctl ended with {status}: restart it, then run slipway-trust roll again"
        );
    }
    Ok(())
}

/// Says in one line how far a change is; `None` where none is under way.
///
/// # Errors
/// When it cannot be read.
pub(super) fn status_line(directory: &TrustDirectory) -> Result<Option<(String, Value)>> {
    let Some(state) = RollState::load(directory.existing()?)? else {
        return Ok(None);
    };
    let (stage, since) = (state.stage.name(), stamp(state.since));
    let text = format!("roll: {stage} since {since}; slipway-trust roll goes on with it\n");
    Ok(Some((text, json!({ "stage": stage, "since": since }))))
}

/// What is said of a change.
struct RollReport<'a> {
    /// `None` when it has ended.
    stage: Option<Stage>,
    progress: Progress,
    dry_run: bool,
    left: &'a BTreeSet<String>,
}

impl RollReport<'_> {
    fn print(&self, as_json: bool) -> Result<ExitCode> {
        let missing = self.progress.missing(self.left);
        let all = self.progress.moved.len() + self.progress.waiting.len();
        let mut text = match self.stage {
            None => "the change of the authority has ended: run nodeset for nodes that are armed, and give others that hold \
                     the root or the key of trees 'slipway-trust export root' and 'export trees'\n"
                .to_owned(),
            Some(stage) => format!("{}: {}\n", stage.name(), self.words(stage, all)),
        };
        if self.stage.is_some() {
            let listed = |names: &BTreeSet<String>| {
                let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
                let more = names.len().saturating_sub(SHOWN);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                shown.join(", ") + &more
            };
            for (what, names) in [
                ("waiting for hosts", &self.progress.waiting),
                ("clients of the other authority", &self.progress.clients),
                ("armed before: run nodeset for", &self.progress.armed),
                (
                    "boot what the other key signed: run nodeset for",
                    &self.progress.booting,
                ),
            ] {
                if !names.is_empty() {
                    text += &format!("{what}: {}\n", listed(names));
                }
            }
        }
        for step in &self.progress.steps {
            text += &format!("to do: {step}\n");
        }
        if self.stage.is_some() {
            text += "hosts come by themselves within two hours, at once by updatenode NODERANGE -P enrol; then run slipway-trust \
                     roll again\n";
        }
        let document = json!({
            "stage": self.stage.map(Stage::name),
            "moved": self.progress.moved,
            "waiting": self.progress.waiting,
            "clients": self.progress.clients,
            "armed": self.progress.armed,
            "booting": self.progress.booting,
            "steps": self.progress.steps,
            "missing": missing,
            "dry_run": self.dry_run,
        });
        output(as_json, &text, document)?;
        Ok(if self.stage.is_some() {
            ExitCode::from(WAITING)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn words(&self, stage: Stage, all: usize) -> String {
        let moved = self.progress.moved.len();
        match stage {
            Stage::Distributing => format!("{moved} of {all} hosts have both roots"),
            Stage::Switched => {
                format!("{moved} of {all} hosts have certificates of the new authority")
            }
            Stage::Returning => {
                format!("{moved} of {all} hosts have certificates of the old authority")
            }
            Stage::DroppingOld => "the old authority is being dropped".to_owned(),
            Stage::DroppingNew => "the new authority is being dropped".to_owned(),
        }
    }
}
