//! A medium into a published tree, whole or not at all.
//!
//! An opened [`Medium`], what it says of its own files ([`ExpectedDigests`]) and what was recognised come
//! in; a tree at its place under the install directory goes out, with its record and its manifest in it
//! (`.slipway/tree.toml`, `.slipway/SHA256SUMS`). [`plan`] finds what can go wrong before anything is
//! written; [`import`] stages, keeps, copies and verifies, records, publishes. A published tree is never
//! written to: a new tree grows beside it, takes over unchanged files as hard links, and is exchanged for
//! it in one rename.
//!
//! Published modes are 0755 for directories and for files that anyone may run on the medium, 0644 for
//! others, whatever the umask; owners are whoever runs this; set-uid bits, devices and ownership of the
//! medium are not taken over. Nothing here needs privilege.

mod byte_progress;
mod copier;
mod disc_metadata;
mod file_copy;
mod fingerprint;
mod manifest;
mod plan;
mod publish;
mod published_tree;
mod record;
mod room;
mod staging;
#[cfg(test)]
mod tests;
mod tree_dir;
mod verify;
mod walk;
mod write_back;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;

pub use byte_progress::ByteProgress;
pub use disc_metadata::is_disc_metadata;
pub use fingerprint::Fingerprint;
pub use manifest::{DiscManifest, Manifest};
pub use plan::{FileAction, Plan, Step};
pub use published_tree::{PublishedTree, TreeContents};
pub use record::{DIR, DiscRecord, MANIFEST, RECORD, TreeRecord};
pub use verify::{Differences, verify};

use crate::checksums::{Coverage, ExpectedDigests, ImageDigests, MediumTrust};
use crate::digest::Digest;
use crate::media::Medium;
use file_copy::CopyContext;
use room::ensure_room;
use staging::StagingDir;
use tree_dir::TreeDir;

/// One import of a medium, which lives for `'m`.
#[derive(Debug)]
pub struct ImportJob<'m, 'a> {
    /// Where the bytes come from.
    pub medium: &'m Medium,
    /// The medium's fingerprint.
    pub fingerprint: &'a Fingerprint,
    /// What the medium says of its files.
    pub checksums: &'a ExpectedDigests,
    /// What is said of its image as a whole; the image is compared with it during the copy.
    pub image_digests: Option<&'a ImageDigests>,
    /// How far it is trusted.
    pub trust: MediumTrust,
    /// Whether a tree that somebody vouches for may become one that nobody does.
    pub accept_unsigned: bool,
    /// The name of the disc among the discs of its release; one line.
    pub label: &'a str,
    /// What was recognised, for the record.
    pub about: &'a toml::Table,
    /// Where the tree is published.
    pub target: &'a Path,
    /// Whether to hash; `false` is for measuring only, and such a tree has no record.
    pub hash: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What was verified, by what.
    pub coverage: Coverage,
    /// How many files were copied.
    pub copied: usize,
    /// How many files of the tree that was published there were taken over.
    pub kept: usize,
    /// The discs that the tree is made of now.
    pub discs: Vec<String>,
}

/// An import as it was planned, and the tree that it was planned for.
#[derive(Debug)]
pub struct PlannedImport<'m> {
    /// What will be done.
    pub plan: Plan<'m>,
    tree: Option<PublishedTree>,
}

impl PlannedImport<'_> {
    /// Returns whether the tree at `target` is still the one that this was planned for, by its record.
    ///
    /// # Errors
    /// When something else is there now.
    pub fn is_for(&self, target: &Path) -> Result<bool> {
        match &self.tree {
            Some(tree) => Ok(tree.is_published()),
            None => Ok(!published_tree::is_occupied(target)?),
        }
    }

    /// Returns whether the plan holds: nothing of that tree has changed.
    fn is_current(&self, target: &Path) -> Result<bool> {
        match &self.tree {
            Some(tree) => tree.is_current(),
            None => self.is_for(target),
        }
    }
}

/// Removes what a killed import of the tree at `target` left beside it.
///
/// # Errors
/// When it cannot be removed.
pub fn clear_dead(target: &Path) -> Result<()> {
    StagingDir::clear_dead(target)
}

/// Plans an import into the tree that is published at its target, if there is one; nothing is written.
///
/// # Errors
/// As [`import`], for what names, sizes and signatures alone can show.
pub fn plan<'m>(job: &ImportJob<'m, '_>, tree: Option<PublishedTree>) -> Result<PlannedImport<'m>> {
    ensure_not_lowered(job, tree.as_ref())?;
    let contents = tree.as_ref().map(PublishedTree::contents).transpose()?;
    let plan = Plan::new(job.medium.entries(), job.label, contents)?;
    ensure_room(job.target, &plan)?;
    Ok(PlannedImport { plan, tree })
}

/// Refuses to let a tree that somebody vouches for become one that nobody does.
fn ensure_not_lowered(job: &ImportJob<'_, '_>, tree: Option<&PublishedTree>) -> Result<()> {
    let vouched = tree.is_some_and(|tree| tree.record.is_vouched());
    ensure!(
        !vouched || job.trust.is_vouched() || job.accept_unsigned,
        "{} is a tree that is vouched for, and nobody vouches for '{}': give its publisher's signed list \
         (--sums) or its digest (--sha256), or let the tree become unsigned (--accept-unsigned)",
        job.target.display(),
        job.label
    );
    Ok(())
}

/// Imports a medium as it was planned; anew if the tree has changed since.
///
/// # Errors
/// Whatever went wrong: then nothing is published, nothing is left beside the target, and a tree that was
/// published there is as it was.
pub fn import(
    job: &ImportJob<'_, '_>,
    planned: &PlannedImport<'_>,
    progress: &ByteProgress,
) -> Result<Done> {
    let mut stage = StagingDir::open(job.target)?;
    // Nobody else publishes a tree there while the lock is held.
    let renewed;
    let PlannedImport { plan, tree } = if planned.is_current(job.target)? {
        ensure_room(job.target, &planned.plan)?;
        planned
    } else {
        renewed = self::plan(job, PublishedTree::load_target(job.target)?)?;
        &renewed
    };
    progress.expect(plan.bytes());

    make_dirs(&stage.tree, plan)?;
    if let Some(tree) = tree {
        keep(plan, tree.dir(), &stage.tree)?;
    }
    let context = CopyContext {
        medium: job.medium,
        checksums: job.checksums,
        tree: &stage.tree,
        label: job.label,
        hash: job.hash,
        progress,
    };
    let digests = copy_and_check(job, &context, plan).map_err(explain_full_disk)?;
    for (path, target) in &plan.links {
        stage.tree.make_link(path, target)?;
    }
    let coverage = Coverage::of(job.checksums, job.image_digests, job.medium.entries());
    let mut discs = Vec::new();
    if job.hash {
        let disc = describe(job, plan, &digests, &coverage);
        let (record, manifest) = updated(job, plan.disc, disc, tree.as_ref())?;
        record::write(&stage.tree, &record, &manifest)?;
        discs = record.discs.into_iter().map(|disc| disc.label).collect();
    }
    set_times(&stage.tree, plan)?;
    ensure!(!progress.stopped(), "it was interrupted before it was done");
    publish::publish(&stage, job.target, job.target.exists())?;
    stage.published();
    let copied = plan.copied().count();
    Ok(Done {
        coverage,
        copied,
        kept: plan.keep.len(),
        discs,
    })
}

/// Copies the files of a plan, and meanwhile compares the image with what is said of it as a whole: both
/// go through it from its beginning to its end, so that the disk is read once. What was copied goes to the disk
/// meanwhile, too.
fn copy_and_check(
    job: &ImportJob<'_, '_>,
    context: &CopyContext<'_>,
    plan: &Plan<'_>,
) -> Result<Vec<Option<Digest>>> {
    let failed = AtomicBool::new(false);
    let digests = thread::scope(|scope| {
        let image_digests = job
            .image_digests
            .zip(job.medium.image())
            .filter(|_| job.hash);
        let check = image_digests.map(|(image_digests, image)| {
            let go_on = || !context.progress.stopped() && !failed.load(Ordering::Relaxed);
            scope.spawn(move || image_digests.check(image, go_on))
        });
        let (copying, copied) = mpsc::channel();
        let writing =
            scope.spawn(move || write_back::write_back(context.tree, context.progress, &copied));
        let digests = copier::copy_files(context, &plan.files);
        failed.store(digests.is_err(), Ordering::Relaxed);
        drop(copying);
        let checked = check.map_or(Ok(Ok(())), thread::ScopedJoinHandle::join);
        let digests = digests?;
        checked.map_err(|_| anyhow!("the thread that hashes the image panicked"))??;
        let written = writing.join();
        written.map_err(|_| anyhow!("the thread that writes to the disk panicked"))??;
        Ok::<_, anyhow::Error>(digests)
    })?;
    job.medium.ensure_unchanged()?;
    Ok(digests)
}

fn make_dirs(tree: &TreeDir, plan: &Plan<'_>) -> Result<()> {
    tree.set_mode(None)?;
    for (path, _) in &plan.dirs {
        tree.make_dir(path)?;
        tree.set_mode(Some(path))?;
    }
    Ok(())
}

/// Gives every kept file of the published tree a second name in the new one. What may not be linked
/// (`fs.protected_hardlinks`, too many names) is copied.
fn keep(plan: &Plan<'_>, old: &TreeDir, new: &TreeDir) -> Result<()> {
    for path in &plan.keep {
        let linked = new.hard_link(old, path);
        let refused = |errno: Errno| {
            linked
                .as_ref()
                .is_err_and(|error| error.raw_os_error() == Some(errno as i32))
        };
        let from = old.path().join(path.as_path());
        if [Errno::EPERM, Errno::EMLINK, Errno::EXDEV]
            .into_iter()
            .any(refused)
            && fs::symlink_metadata(&from).is_ok_and(|meta| meta.is_file())
        {
            fs::copy(&from, new.path().join(path.as_path())).map(drop)
        } else {
            linked
        }
        .with_context(|| format!("taking over '{path}' from {}", old.path().display()))?;
    }
    Ok(())
}

/// Returns what the record and the manifest say of this disc.
fn describe(
    job: &ImportJob<'_, '_>,
    plan: &Plan<'_>,
    digests: &[Option<Digest>],
    coverage: &Coverage,
) -> (DiscRecord, DiscManifest) {
    let paths = plan.files.iter().map(|step| step.path.clone());
    let files = paths.zip(digests);
    let manifest = DiscManifest {
        label: job.label.to_owned(),
        files: files
            .filter_map(|(path, digest)| Some((path, (*digest)?)))
            .collect(),
        links: plan.links.clone(),
    };
    let record = DiscRecord {
        label: job.label.to_owned(),
        fingerprint: job.fingerprint.clone(),
        files: plan.files.len() as u64,
        bytes: plan.bytes(),
        verified: coverage.lines(),
        trust: job.trust,
    };
    (record, manifest)
}

/// Returns the record and the manifest of the tree with this disc at its place in it.
fn updated(
    job: &ImportJob<'_, '_>,
    place: usize,
    (record, manifest): (DiscRecord, DiscManifest),
    tree: Option<&PublishedTree>,
) -> Result<(TreeRecord, Manifest)> {
    let (mut records, mut manifests) = match tree {
        Some(tree) => (
            tree.record.discs.clone(),
            tree.contents()?.manifest.discs.clone(),
        ),
        None => Default::default(),
    };
    if place < records.len() {
        (records[place], manifests[place]) = (record, manifest);
    } else {
        records.push(record);
        manifests.push(manifest);
    }
    // The tree is what its first disc says: later discs of a set know less of it.
    let about = match tree {
        Some(tree) if place > 0 => tree.record.tree.clone(),
        _ => job.about.clone(),
    };
    let record = TreeRecord {
        tree: about,
        discs: records,
    };
    Ok((record, Manifest { discs: manifests }))
}

/// Sets the times of directories last, children before parents: each change in one touches it.
fn set_times(tree: &TreeDir, plan: &Plan<'_>) -> Result<()> {
    for (path, time) in plan.dirs.iter().rev() {
        if let Some(time) = time {
            tree.set_time(path, *time)?;
        }
    }
    Ok(())
}

/// Says what to do about a disk that filled up although there was room when the import began.
fn explain_full_disk(error: anyhow::Error) -> anyhow::Error {
    let full = error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            )
        })
    });
    if full {
        error.context("the disk filled up during the import; nothing was published")
    } else {
        error
    }
}
