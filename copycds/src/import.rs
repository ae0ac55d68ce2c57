//! One disc into its tree and its osimages: what is done, in which order.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use definitions::OsImage;

use crate::checksums::{
    self, Coverage, ExpectedDigests, ImageDigests, Keys, MediumTrust, UnverifiedPolicy,
};
use crate::copy::{self, ByteProgress, Fingerprint, ImportJob, PlannedImport, PublishedTree};
use crate::describe::{self, Described, TreeLocation};
use crate::disc::RecognisedDisc;
use crate::media::MediumEntry;
use crate::progress;
use crate::run_config::RunConfig;
use crate::site_signature;

/// What an interrupted run ends with.
const STOPPED: &str = "interrupted before anything was written";

/// What an unsigned medium is worth.
const UNSIGNED_NOTE: &str = "no signature vouches for it: give its publisher's signed list of images (--sums) or the image's \
                      digest (--sha256)";

/// One disc that will be imported.
#[derive(Debug)]
pub(crate) struct DiscImport<'a> {
    disc: &'a RecognisedDisc,
    config: &'a RunConfig,
    target: PathBuf,
    fingerprint: Fingerprint,
    label: String,
    about: toml::Table,
    /// What is said of its image as a whole.
    image_digests: Option<ImageDigests>,
    /// What is said of how they were found.
    digest_notes: Vec<String>,
    /// The copy that is planned; none of a disc that is in the tree already.
    pending: Option<PendingCopy<'a>>,
}

/// What is known of a disc that is new to its tree.
#[derive(Debug)]
struct PendingCopy<'a> {
    /// What it says of its files.
    checksums: ExpectedDigests,
    /// How far it is trusted.
    trust: MediumTrust,
    planned: PlannedImport<'a>,
}

/// What was done with a disc, or would be.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) disc: &'a RecognisedDisc,
    pub(crate) target: PathBuf,
    pub(crate) action: ImportAction,
    /// What was verified, by what; nothing for a disc that was not read.
    pub(crate) coverage: Option<Coverage>,
    /// How far it is trusted; nothing for a disc that was not read.
    pub(crate) trust: Option<MediumTrust>,
    pub(crate) osimages: Vec<Described>,
    /// What the user should know besides.
    pub(crate) notes: Vec<String>,
}

/// What was done with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ImportAction {
    /// The disc was copied into it.
    Copied,
    /// It held the disc already.
    Unchanged,
    /// It held the disc already, and nothing was to be done then (`-w`).
    Skipped,
    /// The disc would be copied into it.
    WouldCopy,
}

impl<'a> DiscImport<'a> {
    /// Finds out all that can go wrong before anything is written.
    pub(crate) fn plan(disc: &'a RecognisedDisc, config: &'a RunConfig) -> Result<Self> {
        let importing = || format!("importing {}", disc.path().display());
        Self::planned(disc, config).with_context(importing)
    }

    fn planned(disc: &'a RecognisedDisc, config: &'a RunConfig) -> Result<Self> {
        progress::step(&format!("{} is {}", disc.path().display(), disc.release()));
        let keys = config.keyrings.of(disc.identity.distro.family())?;
        let digest_options = config.digest_options();
        let (image_digests, digest_notes) = match disc.medium.image() {
            Some(_) => ImageDigests::find(disc.path(), digest_options, &keys, config.unverified())?,
            None if digest_options.is_given() => bail!(
                "it is a directory, and --sums and --sha256 are of images: give the image itself"
            ),
            None => (None, Vec::new()),
        };
        let mut import = Self {
            label: disc.label(),
            target: disc.target(config),
            fingerprint: Fingerprint::of(&disc.medium)?,
            about: toml::Table::try_from(&disc.identity).context("recording what it is")?,
            disc,
            config,
            image_digests,
            digest_notes,
            pending: None,
        };
        let tree = PublishedTree::load_target(&import.target)?;
        if !import.already_imported(tree.as_ref()) {
            import.pending = Some(import.plan_copy(&keys, tree)?);
        }
        describe::preview(&config.catalog, &import.images())?;
        Ok(import)
    }

    /// Reads what the medium says of its files and plans its copy into the tree that is published, if
    /// there is one.
    fn plan_copy(&self, keys: &Keys, tree: Option<PublishedTree>) -> Result<PendingCopy<'a>> {
        progress::step("reading its checksums");
        let image_digests = self.image_digests.as_ref();
        // The image as a whole says more than any signature in it.
        let unverified = if image_digests.is_some_and(ImageDigests::is_vouched) {
            UnverifiedPolicy::Accept
        } else {
            self.config.unverified()
        };
        let medium = &self.disc.medium;
        let checksums = checksums::gather(medium, keys, unverified);
        ensure!(!self.config.progress.stopped(), STOPPED);
        let checksums = checksums?;
        let trust = MediumTrust::of(&checksums, image_digests, medium.entries(), unverified)?;
        let planned = copy::plan(&self.job(&checksums, trust), tree)?;
        Ok(PendingCopy {
            checksums,
            trust,
            planned,
        })
    }

    /// Says what [`Self::run`] would do.
    pub(crate) fn preview(self) -> Result<Outcome<'a>> {
        let osimages = match self.action(ImportAction::WouldCopy) {
            ImportAction::Skipped => Vec::new(),
            _ => describe::preview(&self.config.catalog, &self.images())?,
        };
        let action = self.action(ImportAction::WouldCopy);
        Ok(self.outcome(action, osimages))
    }

    /// Copies the disc, unless its tree holds it already, and defines its osimages.
    pub(crate) fn run(mut self) -> Result<Outcome<'a>> {
        if self.imported_since()? {
            self.pending = None;
        }
        if self.pending.is_none() {
            // A run that was killed after it published may have left its staging directory.
            copy::clear_dead(&self.target)?;
        }
        let action = self.action(ImportAction::Copied);
        let done = match &self.pending {
            Some(pending) => self.copy(pending),
            None => self.check_image(),
        };
        done.with_context(|| format!("importing {}", self.disc.path().display()))?;
        let osimages = match action {
            ImportAction::Skipped => Vec::new(),
            _ => describe::save(&self.config.catalog, &self.images())?,
        };
        let config = self.config;
        let mut outcome = self.outcome(action, osimages);
        if action != ImportAction::Skipped && config.hash {
            let (catalog, accept) = (&config.catalog, config.accept_unsigned);
            let unsigned = site_signature::sign(catalog, &outcome.target, accept);
            outcome.notes.extend(unsigned);
        }
        Ok(outcome)
    }

    /// Whether a tree holds this very disc, and as well vouched for.
    fn already_imported(&self, tree: Option<&PublishedTree>) -> bool {
        let vouched = self
            .image_digests
            .as_ref()
            .is_some_and(ImageDigests::is_vouched);
        let disc = tree.and_then(|tree| tree.record.disc(&self.fingerprint));
        disc.is_some_and(|disc| disc.trust.is_vouched() || !vouched)
    }

    /// Whether the disc came into its tree since its copy was planned: it may have been given twice.
    fn imported_since(&self) -> Result<bool> {
        match &self.pending {
            Some(pending) if !pending.planned.is_for(&self.target)? => {
                let tree = PublishedTree::load_target(&self.target)?;
                Ok(self.already_imported(tree.as_ref()))
            }
            _ => Ok(false),
        }
    }

    fn action(&self, new: ImportAction) -> ImportAction {
        match (&self.pending, self.config.nonoverwrite) {
            (Some(_), _) => new,
            (None, true) => ImportAction::Skipped,
            (None, false) => ImportAction::Unchanged,
        }
    }

    fn coverage(&self) -> Option<Coverage> {
        let PendingCopy { checksums, .. } = self.pending.as_ref()?;
        let entries = self.disc.medium.entries();
        Some(Coverage::of(
            checksums,
            self.image_digests.as_ref(),
            entries,
        ))
    }

    fn images(&self) -> Vec<OsImage> {
        let location = TreeLocation {
            distro: &self.disc.identity.distro,
            arch: self.disc.arch,
            tree: &self.target,
            installdir: &self.config.installdir,
        };
        if self.config.osimages {
            describe::images(location, &self.disc.contents)
        } else {
            Vec::new()
        }
    }

    fn job<'b>(&'b self, checksums: &'b ExpectedDigests, trust: MediumTrust) -> ImportJob<'a, 'b> {
        ImportJob {
            medium: &self.disc.medium,
            fingerprint: &self.fingerprint,
            checksums,
            image_digests: self.image_digests.as_ref(),
            trust,
            accept_unsigned: self.config.accept_unsigned,
            label: &self.label,
            about: &self.about,
            target: &self.target,
            hash: self.config.hash,
        }
    }

    fn copy(&self, pending: &PendingCopy<'a>) -> Result<()> {
        let counters = self.config.progress.as_ref();
        self.check_implanted(&pending.checksums, counters)?;
        progress::step(&format!("Copying media to {}", self.target.display()));
        let job = self.job(&pending.checksums, pending.trust);
        progress::while_running(counters, || copy::import(&job, &pending.planned, counters))?;
        progress::step("Media copy operation successful");
        Ok(())
    }

    /// Checks the image of a disc that is in its tree already, when the user says what it must be.
    fn check_image(&self) -> Result<()> {
        let counters = self.config.progress.as_ref();
        match (&self.image_digests, self.disc.medium.image()) {
            (Some(image_digests), Some(image)) if self.config.digest_options().is_given() => {
                progress::step("checking the image as a whole");
                image_digests.check(image, || !counters.stopped())
            }
            _ => Ok(()),
        }
    }

    /// Checks the MD5 of the whole image when nothing else covers some file.
    fn check_implanted(&self, checksums: &ExpectedDigests, counters: &ByteProgress) -> Result<()> {
        let uncovered = self
            .coverage()
            .is_some_and(|coverage| coverage.uncovered > 0 && coverage.image.is_none());
        match (checksums.implanted(), self.disc.medium.image()) {
            (Some(implanted), Some(image)) if uncovered && self.config.hash => {
                progress::step("checking the MD5 that is implanted in the image");
                implanted.check(image, || !counters.stopped())
            }
            _ => Ok(()),
        }
    }

    /// Returns what the user should know besides.
    fn notes(&self, action: ImportAction) -> Vec<String> {
        let mut notes = left_out(self.disc.medium.left_out());
        notes.extend_from_slice(&self.digest_notes);
        if let Some(pending) = &self.pending {
            notes.extend_from_slice(pending.checksums.notes());
            if !pending.trust.is_vouched() {
                notes.push(UNSIGNED_NOTE.to_owned());
            }
        }
        if action != ImportAction::Skipped && self.config.osimages {
            notes.extend(self.disc.contents.remarks());
        }
        notes
    }

    fn outcome(self, action: ImportAction, osimages: Vec<Described>) -> Outcome<'a> {
        let (coverage, notes) = (self.coverage(), self.notes(action));
        let trust = self.pending.map(|pending| pending.trust);
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
fn left_out(links: &[MediumEntry]) -> Vec<String> {
    const SHOWN: usize = 5;
    let note = |link: &MediumEntry| {
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
