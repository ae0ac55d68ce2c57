//! One disc into its tree and its osimages: what is done, in which order.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use definitions::OsImage;

use crate::claims::{self, Claims, Coverage, Trust, Unverified, Whole};
use crate::copy::{self, Fingerprint, Progress};
use crate::describe::{self, Described, Home};
use crate::disc::Disc;
use crate::media::Entry;
use crate::setting::Setting;
use crate::show;

/// What an interrupted run ends with.
const STOPPED: &str = "interrupted before anything was written";

/// What an unsigned medium is worth.
const NOBODY: &str = "no signature vouches for it: its publisher's signed list of images (--sums) or the image's \
                      digest (--sha256) would";

/// One disc that will be imported.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    disc: &'a Disc,
    setting: &'a Setting,
    target: PathBuf,
    fingerprint: Fingerprint,
    label: String,
    about: toml::Table,
    /// What is said of its image as a whole.
    whole: Option<Whole>,
    /// What it says of its files, and how far it is believed; not asked of a disc that is in the tree
    /// already.
    news: Option<News>,
}

/// What is known of a disc that is new to its tree.
#[derive(Debug)]
struct News {
    claims: Claims,
    trust: Trust,
}

/// What was done with a disc, or would be.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) disc: &'a Disc,
    pub(crate) target: PathBuf,
    pub(crate) action: Action,
    /// What was verified, by what; nothing for a disc that was not read.
    pub(crate) coverage: Option<Coverage>,
    /// How far it is believed; nothing for a disc that was not read.
    pub(crate) trust: Option<Trust>,
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
        let importing = || format!("importing {}", disc.path().display());
        Self::planned(disc, setting).with_context(importing)
    }

    fn planned(disc: &'a Disc, setting: &'a Setting) -> Result<Self> {
        show::step(&format!("{} is {}", disc.path().display(), disc.release()));
        let keys = setting.keyrings.of(disc.verdict.distro.family())?;
        let told = setting.told();
        let whole = match disc.medium.image() {
            Some(_) => Whole::find(disc.path(), told, &keys, setting.unverified())?,
            None if told.is_said() => bail!(
                "it is a directory, and --sums and --sha256 are of images: give the image itself"
            ),
            None => None,
        };
        let mut import = Self {
            label: disc.label(),
            target: setting.target(disc),
            fingerprint: Fingerprint::of(&disc.medium)?,
            about: toml::Table::try_from(&disc.verdict).context("recording the verdict")?,
            disc,
            setting,
            whole,
            news: None,
        };
        if !import.stands()? {
            show::step("reading what it says of its files");
            // The image as a whole says more than any signature in it.
            let vouched = import.whole.as_ref().is_some_and(Whole::is_vouched);
            let unverified = match vouched {
                true => Unverified::Accept,
                false => setting.unverified(),
            };
            let claims = claims::gather(&disc.medium, &keys, unverified);
            ensure!(!setting.progress.stopped(), STOPPED);
            let claims = claims?;
            let entries = disc.medium.entries();
            let trust = Trust::of(&claims, import.whole.as_ref(), entries, unverified)?;
            let news = News { claims, trust };
            copy::preview(&import.job(&news))?;
            import.news = Some(news);
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
            self.news = None;
        }
        let action = self.action(Action::Copied);
        let done = match &self.news {
            Some(news) => self.copy(news),
            None => self.check_whole(),
        };
        done.with_context(|| format!("importing {}", self.disc.path().display()))?;
        let osimages = match action {
            Action::Skipped => Vec::new(),
            _ => describe::save(&self.setting.catalog, &self.images())?,
        };
        Ok(self.outcome(action, osimages))
    }

    /// Whether the tree that stands at the target holds this very disc, and as well vouched for.
    fn stands(&self) -> Result<bool> {
        let standing = copy::standing(&self.target)?;
        let vouched = self.whole.as_ref().is_some_and(Whole::is_vouched);
        let disc = standing
            .as_ref()
            .and_then(|record| record.disc(&self.fingerprint));
        Ok(disc.is_some_and(|disc| disc.trust.is_vouched() || !vouched))
    }

    fn action(&self, new: Action) -> Action {
        match (&self.news, self.setting.nonoverwrite) {
            (Some(_), _) => new,
            (None, true) => Action::Skipped,
            (None, false) => Action::Unchanged,
        }
    }

    fn coverage(&self) -> Option<Coverage> {
        let News { claims, .. } = self.news.as_ref()?;
        let entries = self.disc.medium.entries();
        Some(Coverage::of(claims, self.whole.as_ref(), entries))
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

    fn job<'b>(&'b self, news: &'b News) -> copy::Import<'b> {
        copy::Import {
            medium: &self.disc.medium,
            fingerprint: &self.fingerprint,
            claims: &news.claims,
            whole: self.whole.as_ref(),
            trust: news.trust,
            lower: self.setting.accept_unsigned,
            label: &self.label,
            about: &self.about,
            target: &self.target,
            hash: self.setting.hash,
        }
    }

    fn copy(&self, news: &News) -> Result<()> {
        let progress = self.setting.progress.as_ref();
        self.check_implanted(&news.claims, progress)?;
        show::step(&format!("Copying media to {}", self.target.display()));
        let job = self.job(news);
        show::while_running(progress, || copy::import(&job, progress))?;
        show::step("Media copy operation successful");
        Ok(())
    }

    /// Checks the image of a disc that is in its tree already, when the user says what it must be.
    fn check_whole(&self) -> Result<()> {
        let progress = self.setting.progress.as_ref();
        match (&self.whole, self.disc.medium.image()) {
            (Some(whole), Some(image)) if self.setting.told().is_said() => {
                show::step("checking the image as a whole");
                whole.check(image, || !progress.stopped())
            }
            _ => Ok(()),
        }
    }

    /// Checks the MD5 of the whole image when it alone speaks of some file.
    fn check_implanted(&self, claims: &Claims, progress: &Progress) -> Result<()> {
        let uncovered = self
            .coverage()
            .is_some_and(|coverage| coverage.uncovered > 0 && coverage.whole.is_none());
        match (claims.implanted(), self.disc.medium.image()) {
            (Some(implanted), Some(image)) if uncovered && self.setting.hash => {
                show::step("checking the MD5 that is implanted in the image");
                implanted.check(image, || !progress.stopped())
            }
            _ => Ok(()),
        }
    }

    /// Returns what the user should know besides.
    fn notes(&self, action: Action) -> Vec<String> {
        let mut notes = left_out(self.disc.medium.left_out());
        notes.extend(self.whole.iter().flat_map(|whole| whole.notes.clone()));
        if let Some(news) = &self.news {
            notes.extend_from_slice(news.claims.notes());
            if !news.trust.is_vouched() {
                notes.push(NOBODY.to_owned());
            }
        }
        if action != Action::Skipped && self.setting.osimages {
            notes.extend(self.disc.holds.remarks());
        }
        notes
    }

    fn outcome(self, action: Action, osimages: Vec<Described>) -> Outcome<'a> {
        let (coverage, notes) = (self.coverage(), self.notes(action));
        let trust = self.news.map(|news| news.trust);
        Outcome {
            disc: self.disc,
            target: self.target,
            action,
            coverage,
            trust,
            osimages,
            notes,
        }
    }
}

/// Names the links that were left out: some of them, and how many more.
fn left_out(links: &[Entry]) -> Vec<String> {
    const SHOWN: usize = 5;
    let note = |link: &Entry| {
        let path = &link.path;
        format!("the link {path} leads out of the medium and is left out")
    };
    let mut notes: Vec<_> = links.iter().take(SHOWN).map(note).collect();
    if links.len() > SHOWN {
        let more = links.len() - SHOWN;
        notes.push(format!(
            "{more} more links lead out of the medium and are left out"
        ));
    }
    notes
}
