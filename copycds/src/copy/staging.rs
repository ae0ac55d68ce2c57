//! Where a tree grows before it is published: `.<name>.slipway` beside the target, mode 0700.
//!
//! The target's path comes in; a locked, empty [`StagingDir`] goes out, with the directory `new` in it that
//! becomes the tree. The lock (flock(2)) is on the staging directory, so that it dies with its
//! holder: a staging directory that nobody locks is what a killed import left, and is cleared. Dropping
//! a `StagingDir` removes it with all that is in it, and every directory that was made for it.
//!
//! Inside, everything is reached from the descriptor of `new`, in directories made here, and links are
//! made last: no name on a medium leads out.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::tree_dir::{TreeDir, is_at, open_dir};

/// The directory in it that becomes the tree.
const NEW: &str = "new";

/// A locked staging directory and the new tree in it.
#[derive(Debug)]
pub(super) struct StagingDir {
    locked: LockedDir,
    /// The tree that grows.
    pub(super) tree: TreeDir,
}

/// A directory that is locked, and removed when this is dropped.
#[derive(Debug)]
struct LockedDir {
    path: PathBuf,
    /// The directory itself, which holds the lock.
    dir: File,
    /// The parents that were made for it, outermost first; removed again unless the tree is published.
    created: Vec<PathBuf>,
}

/// Returns the parent of a target and the staging path beside it.
fn staging_path(target: &Path) -> Result<(&Path, PathBuf)> {
    let name = target
        .file_name()
        .with_context(|| format!("'{}' has no name to publish a tree under", target.display()))?;
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut stage = OsString::from(".");
    stage.push(name);
    stage.push(".slipway");
    Ok((parent, parent.join(stage)))
}

impl StagingDir {
    /// Makes and locks the staging directory of a target; what a killed import left in it is removed.
    ///
    /// # Errors
    /// When another import of the same tree runs, or the directory cannot be made.
    pub(super) fn open(target: &Path) -> Result<Self> {
        let (parent, path) = staging_path(target)?;
        let created = make_parents(parent)?;
        let lock = match lock(&path, true).and_then(|lock| {
            lock.with_context(|| format!("making the directory {}", path.display()))
        }) {
            Ok(lock) => lock,
            Err(error) => {
                remove_empty(&created);
                return Err(error);
            }
        };
        let new = path.join(NEW);
        let locked = LockedDir {
            path,
            dir: lock,
            created,
        };
        locked.clear()?;
        let tree = make_in(&locked.dir, NEW)
            .with_context(|| format!("making the directory {}", new.display()))?;
        let tree = TreeDir::new(tree, new);
        Ok(Self { locked, tree })
    }

    /// Removes what a killed import of this target left, if nobody works on it now.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn clear_dead(target: &Path) -> Result<()> {
        let (_, path) = staging_path(target)?;
        // Busy, or not ours to lock: the published tree is not touched by it.
        if let Ok(Some(_lock)) = lock(&path, false) {
            remove(&path)?;
        }
        Ok(())
    }

    /// Returns the directory and the name in it of the tree that grows.
    pub(super) fn new_tree(&self) -> (&File, &'static str) {
        (&self.locked.dir, NEW)
    }

    /// Says that the tree was published: the directories made for it stay.
    pub(super) fn published(&mut self) {
        self.locked.created.clear();
    }
}

impl LockedDir {
    /// Removes everything in the staging directory.
    fn clear(&self) -> Result<()> {
        let list = fs::read_dir(&self.path)
            .with_context(|| format!("reading the directory {}", self.path.display()))?;
        for entry in list {
            remove(&entry?.path())?;
        }
        Ok(())
    }
}

impl Drop for LockedDir {
    fn drop(&mut self) {
        // What cannot be removed now is cleared by the next import; what is not ours is left alone.
        if is_at(&self.dir, &self.path) {
            let _ = fs::remove_dir_all(&self.path);
        }
        remove_empty(&self.created);
    }
}

/// Opens and locks the staging directory at `path`, making it first if asked to; `None` when it is not
/// there.
fn lock(path: &Path, make: bool) -> Result<Option<File>> {
    loop {
        if make {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error)
                        .with_context(|| format!("making the directory {}", path.display()));
                }
                _ => (),
            }
        }
        let dir = match open_dir(path) {
            Ok(dir) => dir,
            Err(error) if is_not_found(&error) && make => continue,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match dir.try_lock() {
            Ok(()) => (),
            Err(fs::TryLockError::WouldBlock) => bail!(
                "another import of this tree is running (it holds {}): wait for it, then run again",
                path.display()
            ),
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        // Its last holder may have removed it between our open and our lock.
        if is_at(&dir, path) {
            ensure_private(&dir, path)?;
            return Ok(Some(dir));
        }
    }
}

/// Makes a directory in another and opens it.
fn make_in(dir: &File, name: &str) -> Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::sys::stat::mkdirat(dir, name, Mode::from_bits_truncate(0o755))?;
    Ok(nix::fcntl::openat(dir, name, flags, Mode::empty())?.into())
}

/// Refuses a staging directory that somebody else made, or may write to: what grows in it could be changed
/// until it is published, and after.
fn ensure_private(dir: &File, path: &Path) -> Result<()> {
    let meta = dir
        .metadata()
        .with_context(|| format!("looking at {}", path.display()))?;
    ensure!(
        meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0,
        "{} is not ours alone (it belongs to user {}, mode {:o}): remove it and run again",
        path.display(),
        meta.uid(),
        meta.mode() & 0o7777
    );
    Ok(())
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

fn make_parents(parent: &Path) -> Result<Vec<PathBuf>> {
    let mut missing: Vec<_> = parent
        .ancestors()
        .take_while(|dir| *dir != Path::new("") && !dir.exists())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    for (count, dir) in missing.iter().enumerate() {
        match DirBuilder::new().mode(0o755).create(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                remove_empty(&missing[..count]);
                return Err(error)
                    .with_context(|| format!("making the directory {}", dir.display()));
            }
            Err(_) => (),
            // Whatever the umask, as all that is published: a web server has to get through.
            Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("setting the mode of {}", dir.display()))?,
        }
    }
    Ok(missing)
}

fn remove_empty(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        // Someone else may have put something there meanwhile; then it stays.
        let _ = fs::remove_dir(dir);
    }
}

/// Removes what is at `path`, whatever it is, following nothing.
fn remove(path: &Path) -> Result<()> {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let done = if is_dir {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
