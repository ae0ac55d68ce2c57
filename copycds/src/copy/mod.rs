//! A medium into a published tree, whole or not at all.
//!
//! An opened [`Medium`], what it says of its own files ([`ExpectedDigests`]) and what was recognised come in; a
//! tree at its place under the install directory goes out, with its record and its manifest in it
//! (`.slipway/tree.toml`, `.slipway/SHA256SUMS`). The steps are those of [`import`]: plan, room, stage,
//! keep, copy and verify, record, publish. What stands published is never written to: a new tree grows
//! beside it, takes over unchanged files as hard links, and is exchanged for it in one rename.
//!
//! Published modes are 0755 for directories and for files that anyone may run on the medium, 0644 for
//! others, whatever the umask; owners are whoever runs this; set-uid bits, devices and ownership of the
//! medium are not taken over. Nothing here needs privilege.

mod byte_progress;
mod copier;
mod file_copy;
mod fingerprint;
mod lanes;
mod manifest;
mod plan;
mod publish;
mod record;
mod staging;
mod verify;
mod walk;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::errno::Errno;

pub use byte_progress::ByteProgress;
pub use fingerprint::Fingerprint;
pub use manifest::{DiscManifest, Manifest};
pub use plan::{FileAction, OldTree, Plan, Step, is_disc_metadata};
pub use record::{DIR, DiscRecord, MANIFEST, Published, RECORD, TreeRecord};
pub use verify::{Differences, verify};

use crate::checksums::{Coverage, ExpectedDigests, ImageDigests, MediumTrust};
use crate::digest::Digest;
use crate::media::{Medium, MediumPath};
use copier::FileCopier;
use staging::{StagingDir, TreeDir};

/// One import.
#[derive(Debug)]
pub struct ImportJob<'a> {
    /// Where the bytes come from.
    pub medium: &'a Medium,
    /// The medium's fingerprint.
    pub fingerprint: &'a Fingerprint,
    /// What the medium says of its files.
    pub checksums: &'a ExpectedDigests,
    /// What is said of its image as a whole; the image is held against it during the copy.
    pub whole: Option<&'a ImageDigests>,
    /// How far it is believed.
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
    /// How many files of the tree that stood there were taken over.
    pub kept: usize,
    /// The discs that the tree is made of now.
    pub discs: Vec<String>,
}

/// Returns the record of the tree that stands at `target`, when one made here does.
///
/// # Errors
/// When something else stands there, or its record cannot be read.
pub fn standing(target: &Path) -> Result<Option<TreeRecord>> {
    if !is_tree(target)? {
        return Ok(None);
    }
    match TreeRecord::load(target)? {
        Some(record) => Ok(Some(record)),
        None => bail!(
            "{} stands there and was not made by copycds (it has no {RECORD}): move it away and run \
             again",
            target.display()
        ),
    }
}

/// Returns whether a directory with something in it stands at `target`.
fn is_tree(target: &Path) -> Result<bool> {
    let reading = || format!("reading {}", target.display());
    let meta = match fs::symlink_metadata(target) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(reading),
    };
    let is = match meta.file_type() {
        kind if kind.is_dir() => {
            return Ok(fs::read_dir(target).with_context(reading)?.next().is_some());
        }
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_file() => "a file",
        _ => "no directory",
    };
    bail!(
        "{} is {is}, where the tree would stand: move it away and run again",
        target.display()
    );
}

/// Removes what a killed import of the tree at `target` left beside it.
///
/// # Errors
/// When it cannot be removed.
pub fn clear_dead(target: &Path) -> Result<()> {
    StagingDir::clear_dead(target)
}

/// Says what an import would do; nothing is written.
///
/// # Errors
/// As [`import`], for what names, sizes and signatures alone can show.
pub fn preview<'a>(job: &ImportJob<'a>) -> Result<Plan<'a>> {
    let old = load_standing(job.target)?;
    let standing = old.as_ref().map(|(standing, _)| standing);
    ensure_not_lowered(job, standing)?;
    let plan = Plan::new(job.medium.entries(), job.label, standing)?;
    ensure_room(job.target, &plan)?;
    Ok(plan)
}

/// Refuses to let a tree that somebody vouches for become one that nobody does.
fn ensure_not_lowered(job: &ImportJob<'_>, standing: Option<&OldTree>) -> Result<()> {
    let vouched = standing.is_some_and(|standing| standing.published.record.is_vouched());
    ensure!(
        !vouched || job.trust.is_vouched() || job.accept_unsigned,
        "{} is a tree that is vouched for, and nobody vouches for '{}': give its publisher's signed list \
         (--sums) or its digest (--sha256), or lower the tree to one that nobody vouches for \
         (--accept-unsigned)",
        job.target.display(),
        job.label
    );
    Ok(())
}

/// Imports a medium.
///
/// # Errors
/// Whatever went wrong: then nothing is published, nothing is left beside the target, and what stood
/// there stands.
pub fn import(job: &ImportJob<'_>, progress: &ByteProgress) -> Result<Done> {
    standing(job.target)?;
    let mut stage = StagingDir::open(job.target)?;
    let old = load_standing(job.target)?;
    let standing = old.as_ref().map(|(standing, _)| standing);
    ensure_not_lowered(job, standing)?;
    let plan = Plan::new(job.medium.entries(), job.label, standing)?;
    ensure_room(job.target, &plan)?;
    progress.expect(plan.bytes());

    make_dirs(&stage.tree, &plan)?;
    if let Some((_, dir)) = &old {
        keep(&plan, dir, &stage.tree)?;
    }
    let engine = FileCopier {
        medium: job.medium,
        checksums: job.checksums,
        tree: &stage.tree,
        label: job.label,
        hash: job.hash,
        progress,
    };
    let digests = copy_and_check(job, &engine, &plan).map_err(explain_full_disk)?;
    for (path, target) in &plan.links {
        stage.tree.make_link(path, target)?;
    }
    let coverage = Coverage::of(job.checksums, job.whole, job.medium.entries());
    let mut discs = Vec::new();
    if job.hash {
        let published = updated_record(job, &plan, &digests, &coverage, standing);
        write_record(&stage.tree, &published)?;
        discs = published
            .record
            .discs
            .into_iter()
            .map(|disc| disc.label)
            .collect();
    }
    set_times(&stage.tree, &plan)?;
    ensure!(!progress.stopped(), "it was stopped before it was done");
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

/// Copies the files of a plan, and meanwhile holds the image against what is said of it as a whole: both
/// go through it from its beginning to its end, so that the disk is read once.
fn copy_and_check(
    job: &ImportJob<'_>,
    engine: &FileCopier<'_>,
    plan: &Plan<'_>,
) -> Result<Vec<Option<Digest>>> {
    let failed = AtomicBool::new(false);
    let digests = thread::scope(|scope| {
        let whole = job.whole.zip(job.medium.image()).filter(|_| job.hash);
        let check = whole.map(|(whole, image)| {
            let go_on = || !engine.progress.stopped() && !failed.load(Ordering::Relaxed);
            scope.spawn(move || whole.check(image, go_on))
        });
        let digests = engine.run(&plan.files);
        failed.store(digests.is_err(), Ordering::Relaxed);
        let checked = check.map_or(Ok(Ok(())), thread::ScopedJoinHandle::join);
        let digests = digests?;
        checked.map_err(|_| anyhow!("the thread that hashes the image panicked"))??;
        Ok::<_, anyhow::Error>(digests)
    })?;
    job.medium.ensure_unchanged()?;
    Ok(digests)
}

/// Loads what stands at the target: what it holds, and the directory itself.
fn load_standing(target: &Path) -> Result<Option<(OldTree, TreeDir)>> {
    if standing(target)?.is_none() {
        return Ok(None);
    }
    let Some(published) = Published::load(target)? else {
        return Ok(None);
    };
    let dir = TreeDir::open(target)?;
    let (dirs, others) = walk::walk(&dir)?;
    Ok(Some((
        OldTree {
            published,
            dirs,
            others,
        },
        dir,
    )))
}

/// Holds what a plan needs against what the file system has left.
fn ensure_room(target: &Path, plan: &Plan<'_>) -> Result<()> {
    let there = target
        .ancestors()
        .find(|dir| *dir == Path::new("") || dir.exists());
    let there = match there {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let room = nix::sys::statvfs::statvfs(there)
        .with_context(|| format!("asking for the free space of {}", there.display()))?;
    let block = room.fragment_size().max(1);
    let files = plan
        .copied()
        .map(|step| step.size.div_ceil(block) * block)
        .sum::<u64>();
    let names = plan.copied().count() + plan.dirs.len() + plan.links.len();
    let need = files
        + (plan.dirs.len() + plan.links.len()) as u64 * block
        + (plan.files.len() as u64) * 256;
    let free = room.blocks_available().saturating_mul(block);
    ensure!(
        need <= free,
        "{} has room for {} more, and the tree needs {}: free some or import elsewhere (-p)",
        there.display(),
        megabytes(free),
        megabytes(need)
    );
    // File systems that make inodes as they go say that they have none at all.
    ensure!(
        room.files() == 0 || names as u64 <= room.files_available(),
        "{} has room for {} more files, and the tree has {names}: free some or import elsewhere (-p)",
        there.display(),
        room.files_available()
    );
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

fn make_dirs(tree: &TreeDir, plan: &Plan<'_>) -> Result<()> {
    tree.set_mode(None)?;
    for (path, _) in &plan.dirs {
        tree.make_dir(path)?;
        tree.set_mode(Some(path))?;
    }
    Ok(())
}

/// Gives every kept file of the standing tree a second name in the new one. What may not be linked
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

/// Returns what the tree is with this disc in it.
fn updated_record(
    job: &ImportJob<'_>,
    plan: &Plan<'_>,
    digests: &[Option<Digest>],
    coverage: &Coverage,
    standing: Option<&OldTree>,
) -> Published {
    let mut section = DiscManifest {
        label: job.label.to_owned(),
        links: plan.links.clone(),
        ..DiscManifest::default()
    };
    section.files = plan
        .files
        .iter()
        .map(|step| step.path.clone())
        .zip(digests)
        .filter_map(|(path, digest)| Some((path, (*digest)?)))
        .collect();
    let disc = DiscRecord {
        label: job.label.to_owned(),
        fingerprint: job.fingerprint.clone(),
        files: plan.files.len() as u64,
        bytes: plan.bytes(),
        verified: coverage.lines(),
        trust: job.trust,
    };
    let (mut discs, mut sections) = standing.map_or_else(Default::default, |standing| {
        let Published { record, manifest } = &standing.published;
        (record.discs.clone(), manifest.discs.clone())
    });
    if plan.disc < discs.len() {
        (discs[plan.disc], sections[plan.disc]) = (disc, section);
    } else {
        discs.push(disc);
        sections.push(section);
    }
    // The tree is what its first disc says: later discs of a set know less of it.
    let tree = match standing {
        Some(standing) if plan.disc > 0 => standing.published.record.tree.clone(),
        _ => job.about.clone(),
    };
    Published {
        record: TreeRecord { tree, discs },
        manifest: Manifest { discs: sections },
    }
}

fn write_record(tree: &TreeDir, published: &Published) -> Result<()> {
    let path = |path: &str| MediumPath::new(path).map_err(anyhow::Error::msg);
    if !tree.path().join(DIR).is_dir() {
        tree.make_dir(&path(DIR)?)?;
        tree.set_mode(Some(&path(DIR)?))?;
    }
    let texts = [
        (MANIFEST, published.manifest.render()),
        (RECORD, published.record.render()?.into_bytes()),
    ];
    for (name, text) in texts {
        let mut file = tree
            .create(&path(name)?)
            .with_context(|| format!("writing {name}"))?;
        file.write_all(&text)
            .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
            .with_context(|| format!("writing {name}"))?;
    }
    Ok(())
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
