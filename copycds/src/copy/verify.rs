//! `copycds --verify TREE`: a published tree against its own manifest.
//!
//! A tree comes in; what changed, what is missing and what was added since it was published goes out.
//! Files are hashed in parallel; no link is followed and nothing is written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use definitions::InstallDir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::byte_progress::ByteProgress;
use super::published_tree::PublishedTree;
use super::record::{MANIFEST, RECORD};
use super::tree_dir::TreeDir;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::MediumPath;

/// How a tree differs from its manifest. Empty lists: it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// How many files and links the manifest has.
    pub checked: usize,
    /// What is there and is not what was published, sorted.
    pub changed: Vec<MediumPath>,
    /// What was published and is gone, sorted.
    pub missing: Vec<MediumPath>,
    /// What is there and was not published, sorted.
    pub added: Vec<MediumPath>,
}

impl Differences {
    /// Returns whether the tree is as it was published.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.missing.is_empty() && self.added.is_empty()
    }
}

/// Checks the tree at `tree` against its manifest.
///
/// # Errors
/// When it is no published tree, a directory cannot be read, or `progress` was stopped.
pub fn verify(tree: &Path, progress: &ByteProgress) -> Result<Differences> {
    let published = PublishedTree::load(tree)?.with_context(|| {
        format!(
            "{} was not published by copycds: it has no {RECORD}",
            tree.display()
        )
    })?;
    let contents = published.contents()?;
    let files = contents.manifest.files();
    let links = contents.manifest.links();
    let mut report = Differences {
        checked: files.len() + links.len(),
        ..Differences::default()
    };
    let known: BTreeSet<&MediumPath> = files.keys().chain(links.keys()).copied().collect();
    let ours = |path: &MediumPath| {
        [RECORD, MANIFEST, InstallDir::INITRD_RECORD]
            .map(str::as_bytes)
            .contains(&path.as_bytes())
    };
    report.added = contents
        .others
        .iter()
        .filter(|path| !known.contains(path) && !ours(path))
        .cloned()
        .collect();
    let (here, gone): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|path| contents.others.contains(*path));
    report.missing = gone.into_iter().cloned().collect();
    let to_hash: Vec<_> = here
        .iter()
        .filter_map(|path| Some((*path, *files.get(path)?.0)))
        .collect();
    for path in here {
        if let Some((target, _)) = links.get(path)
            && std::fs::read_link(tree.join(path.as_path()))
                .map(|is| is.as_os_str().as_encoded_bytes() != *target)
                .unwrap_or(true)
        {
            report.changed.push(path.clone());
        }
    }
    report
        .changed
        .extend(changed(published.dir(), &to_hash, progress)?);
    report.changed.sort();
    Ok(report)
}

/// Hashes files and returns those that are not what they were.
fn changed(
    dir: &TreeDir,
    files: &[(&MediumPath, Digest)],
    progress: &ByteProgress,
) -> Result<Vec<MediumPath>> {
    let next = AtomicUsize::new(0);
    let result = Mutex::new(Ok(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut buffer = vec![0; 128 << 10];
                while let Some((path, digest)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is = hash(dir, path, &mut buffer, progress);
                    let Ok(mut result) = result.lock() else {
                        return;
                    };
                    match (is, &mut *result) {
                        (Ok(Some(is)), _) if is == *digest => (),
                        (Ok(_), Ok(changed)) => changed.push((*path).clone()),
                        (Err(error), Ok(_)) => *result = Err(error),
                        (_, Err(_)) => return,
                    }
                }
            });
        }
    });
    result
        .into_inner()
        .map_err(|_| anyhow!("a verifying thread panicked"))?
}

/// Hashes one file; `None` when it is no regular file any more.
fn hash(
    dir: &TreeDir,
    path: &MediumPath,
    buffer: &mut [u8],
    progress: &ByteProgress,
) -> Result<Option<Digest>> {
    // Non-blocking, so that a pipe put in the place of a file holds nobody up.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let context = || format!("reading '{path}' in {}", dir.path().display());
    let mut file = match nix::fcntl::openat(dir.fd(), path.as_path(), flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(nix::errno::Errno::ELOOP) => return Ok(None),
        Err(error) => return Err(std::io::Error::from(error)).with_context(context),
    };
    if !file.metadata().with_context(context)?.is_file() {
        return Ok(None);
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    loop {
        ensure!(!progress.stopped(), "it was interrupted before it was done");
        match file.read(buffer).with_context(context)? {
            0 => return Ok(Some(hasher.finish())),
            got => {
                hasher.update(&buffer[..got]);
                progress.add(got as u64);
            }
        }
    }
}
