//! Writing a tree to the disk while the rest of it is still copied.
//!
//! The kernel leaves what is written in memory for seconds, so that the sync before the rename would do all of the
//! work of the disk, while the copy before it does all of that of the processors. Here each goes on beside the other.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::byte_progress::ByteProgress;
use super::tree_dir::TreeDir;

/// After so many bytes the disk gets what was written.
const STEP: u64 = 64 << 20;
/// How often the count is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes what is copied into `tree` to the disk, step by step, until whoever copies drops the other end of
/// `copying`. What is copied after the last step is not written: publishing a tree writes all of it.
///
/// # Errors
/// When the disk does not take something: the kernel says so once.
pub(super) fn write_back(
    tree: &TreeDir,
    progress: &ByteProgress,
    copying: &Receiver<()>,
) -> Result<()> {
    let mut written = progress.done();
    while copying.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        let done = progress.done();
        if done - written >= STEP {
            written = done;
            sync(tree)?;
        }
    }
    Ok(())
}

/// Writes the file system of a tree to the disk, and reports what could not be written: syncfs(2) once beats
/// thousands of fsync(2).
///
/// # Errors
/// When the disk does not take something.
pub(super) fn sync(tree: &TreeDir) -> Result<()> {
    nix::unistd::syncfs(tree.fd())
        .map_err(io::Error::from)
        .with_context(|| format!("writing {} to the disk", tree.path().display()))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::mpsc;
    use std::thread;

    use nix::fcntl::OFlag;

    use super::*;

    /// A tree that can be written to the disk, or one that cannot: its directory is not open for that.
    fn tree(place: &tempfile::TempDir, writable: bool) -> TreeDir {
        let flags = if writable { 0 } else { OFlag::O_PATH.bits() };
        let dir = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(place.path());
        TreeDir::new(dir.unwrap(), place.path().to_owned())
    }

    #[test]
    fn what_the_disk_does_not_take_is_said_while_the_copy_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let (tree, progress) = (tree(&place, false), ByteProgress::new());
        let (copying, copied) = mpsc::channel::<()>();
        let error = thread::scope(|scope| {
            let (tree, progress) = (&tree, &progress);
            let writing = scope.spawn(move || write_back(tree, progress, &copied));
            for _ in 0..10_000 {
                if writing.is_finished() {
                    break;
                }
                progress.add(STEP);
                thread::sleep(PAUSE);
            }
            drop(copying);
            writing.join().unwrap().unwrap_err()
        });
        let place = place.path().display();
        assert_eq!(
            format!("{error:#}"),
            format!("writing {place} to the disk: Bad file descriptor (os error 9)")
        );
    }

    #[test]
    fn it_ends_with_the_copy_and_leaves_less_than_a_step() {
        let place = tempfile::tempdir().unwrap();
        for (writable, bytes) in [(true, STEP), (false, STEP - 1)] {
            let (tree, progress) = (tree(&place, writable), ByteProgress::new());
            let (copying, copied) = mpsc::channel::<()>();
            let written = thread::scope(|scope| {
                let (tree, progress) = (&tree, &progress);
                let writing = scope.spawn(move || write_back(tree, progress, &copied));
                progress.add(bytes);
                thread::sleep(4 * PAUSE);
                drop(copying);
                writing.join().unwrap()
            });
            written.unwrap();
        }
    }
}
