//! One disc into its tree and its osimages: what is done, in which order.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use definitions::OsImage;

use crate::claims::{self, Claims, Coverage};
use crate::copy::{self, Fingerprint, Progress};
use crate::describe::{self, Described, Home};
use crate::disc::Disc;
use crate::setting::Setting;
use crate::show;

/// What an interrupted run ends with.
const STOPPED: &str = "interrupted before anything was written";

/// One disc that will be imported.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    disc: &'a Disc,
    setting: &'a Setting,
    target: PathBuf,
    fingerprint: Fingerprint,
    label: String,
    /// What it says of its files; not asked of a disc that is in the tree already.
    claims: Option<Claims>,
}

/// What was done with a disc, or would be.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) disc: &'a Disc,
    pub(crate) target: PathBuf,
    pub(crate) action: Action,
    /// What was verified, by what; nothing for a disc that was not read.
    pub(crate) coverage: Option<Coverage>,
    pub(crate) osimages: Vec<Described>,
    /// What the user should know besides.
    pub(crate) notes: Vec<String>,
}

/// What was done with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// The disc was copied into it.
    Copied,
    /// It held the disc already.
    Unchanged,
    /// It held the disc already, and nothing was to be done then (`-w`).
    Skipped,
    /// The disc would be copied into it.
    WouldCopy,
}

impl<'a> Import<'a> {
    /// Finds out all that can go wrong before anything is written.
    pub(crate) fn plan(disc: &'a Disc, setting: &'a Setting) -> Result<Self> {
        let target = setting.target(disc);
        let importing = || format!("importing {}", disc.path().display());
        let fingerprint = Fingerprint::of(&disc.medium).with_context(importing)?;
        let mut import = Self {
            label: disc.label(),
            disc,
            setting,
            target,
            fingerprint,
            claims: None,
        };
        show::step(&format!("{} is {}", disc.path().display(), disc.release()));
        if !import.stands().with_context(importing)? {
            show::step("reading what it says of its files");
            let claims = claims::gather(&disc.medium, &setting.keyrings);
            ensure!(!setting.progress.stopped(), STOPPED);
            import.claims = Some(claims.with_context(importing)?);
            copy::preview(&disc.medium, &import.label, &import.target).with_context(importing)?;
        }
        describe::preview(&setting.catalog, &import.images())?;
        Ok(import)
    }

    /// Says what [`Self::run`] would do.
    pub(crate) fn preview(self) -> Result<Outcome<'a>> {
        let osimages = match self.action(Action::WouldCopy) {
            Action::Skipped => Vec::new(),
            _ => describe::preview(&self.setting.catalog, &self.images())?,
        };
        let action = self.action(Action::WouldCopy);
        Ok(self.outcome(action, osimages))
    }

    /// Copies the disc, unless its tree holds it already, and defines its osimages.
    pub(crate) fn run(mut self) -> Result<Outcome<'a>> {
        // The same disc may have been given twice, or a killed run may have left its staging.
        if self.stands()? {
            copy::clear_dead(&self.target)?;
            self.claims = None;
        }
        let action = self.action(Action::Copied);
        if action == Action::Copied {
            self.copy()
                .with_context(|| format!("importing {}", self.disc.path().display()))?;
        }
        let osimages = match action {
            Action::Skipped => Vec::new(),
            _ => describe::save(&self.setting.catalog, &self.images())?,
        };
        Ok(self.outcome(action, osimages))
    }

    /// Whether the tree that stands at the target holds this very disc.
    fn stands(&self) -> Result<bool> {
        let standing = copy::standing(&self.target)?;
        Ok(standing.is_some_and(|record| record.disc(&self.fingerprint).is_some()))
    }

    fn action(&self, new: Action) -> Action {
        match (&self.claims, self.setting.nonoverwrite) {
            (Some(_), _) => new,
            (None, true) => Action::Skipped,
            (None, false) => Action::Unchanged,
        }
    }

    fn coverage(&self) -> Option<Coverage> {
        let claims = self.claims.as_ref()?;
        Some(Coverage::of(claims, self.disc.medium.entries()))
    }

    fn images(&self) -> Vec<OsImage> {
        let home = Home {
            distro: &self.disc.verdict.distro,
            arch: self.disc.arch,
            tree: &self.target,
            installdir: &self.setting.installdir,
        };
        if self.setting.osimages {
            describe::images(home, &self.disc.holds)
        } else {
            Vec::new()
        }
    }

    fn copy(&self) -> Result<()> {
        let progress = self.setting.progress.as_ref();
        let claims = self
            .claims
            .as_ref()
            .context("reading what the medium says of its files")?;
        self.check_image(claims, progress)?;
        let about = toml::Table::try_from(&self.disc.verdict).context("recording the verdict")?;
        let job = copy::Import {
            medium: &self.disc.medium,
            fingerprint: &self.fingerprint,
            claims,
            label: &self.label,
            about: &about,
            target: &self.target,
            hash: self.setting.hash,
        };
        show::step(&format!("Copying media to {}", self.target.display()));
        show::while_running(progress, || copy::import(&job, progress))?;
        show::step("Media copy operation successful");
        Ok(())
    }

    /// Checks the MD5 of the whole image when it alone speaks of some file.
    fn check_image(&self, claims: &Claims, progress: &Progress) -> Result<()> {
        let uncovered = self
            .coverage()
            .is_some_and(|coverage| coverage.uncovered > 0);
        match (claims.implanted(), self.disc.medium.image()) {
            (Some(implanted), Some(image)) if uncovered && self.setting.hash => {
                show::step("checking the MD5 that is implanted in the image");
                implanted.check(image, || !progress.stopped())
            }
            _ => Ok(()),
        }
    }

    fn outcome(self, action: Action, osimages: Vec<Described>) -> Outcome<'a> {
        let coverage = self.coverage();
        let mut notes = self
            .claims
            .map_or_else(Vec::new, |claims| claims.notes().to_vec());
        if action != Action::Skipped && self.setting.osimages {
            notes.extend(self.disc.holds.remarks());
        }
        Outcome {
            disc: self.disc,
            target: self.target,
            action,
            coverage,
            osimages,
            notes,
        }
    }
}
