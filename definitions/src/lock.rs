//! A lock that one process at a time holds, and that nobody but its owner can take.
//!
//! In: a path. Out: a [`Lock`], flock(2) on a file of mode 0600 that is opened here alone; it is held until
//! it is dropped or its process ends, however it may. Who may open a file may lock it, so that a lock on
//! what others may read is one that any user can hold for ever. The error names who holds it: by `/proc/locks`
//! (proc(5)), which has the processes of this namespace alone, or by what the holder wrote into the file.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest text in a lock's file, in bytes: a process, its name, and the name of its host.
const MAX_NOTE: usize = 256;

/// A lock that this process holds.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Acquires the lock at `path`, in a directory that exists, within `timeout`; `waiting` is called once with who
    /// holds it.
    ///
    /// # Errors
    /// When it is held all the while, or the file is no file of ours.
    pub fn acquire(path: &Path, timeout: Duration, waiting: &mut dyn FnMut(&str)) -> Result<Self> {
        let locking = || format!("locking {}", path.display());
        let file = open(path).with_context(locking)?;
        let end = Instant::now() + timeout;
        let mut reported = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self::held(file)),
                Err(TryLockError::Error(error)) => return Err(error).with_context(locking),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => bail!(
                    "{} is held by {}: wait for it to end, then run again",
                    path.display(),
                    holder(&file)
                ),
                Err(TryLockError::WouldBlock) if !reported => {
                    waiting(&format!("waiting for {}", holder(&file)));
                    reported = true;
                }
                Err(TryLockError::WouldBlock) => {}
            }
            sleep(PAUSE);
        }
    }

    /// Waits for the lock as long as it takes; `waiting` is called once with who holds it.
    ///
    /// # Errors
    /// When the file is no file of ours.
    pub fn wait(path: &Path, waiting: &mut dyn FnMut(&str)) -> Result<Self> {
        let locking = || format!("locking {}", path.display());
        let file = open(path).with_context(locking)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(locking),
            Err(TryLockError::WouldBlock) => {
                waiting(&format!("waiting for {}", holder(&file)));
                file.lock().with_context(locking)?;
            }
        }
        Ok(Self::held(file))
    }

    /// Writes into the file who has the lock, for those who see it in a container or a machine of their own.
    fn held(file: File) -> Self {
        let comm = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let id = std::process::id();
        let text = format!("process {id} ({}) of {}\n", comm.trim(), host.trim());
        // The lock is held without it, and the disk may be full.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all_at(text.as_bytes(), 0));
        Self(file)
    }

    /// Makes the lock's directory first, for its owner alone, with what leads to it.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire), and when the directory cannot be made.
    pub fn acquire_private(
        path: &Path,
        timeout: Duration,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        if let Some(directory) = path.parent() {
            let making = || format!("making {}", directory.display());
            if let Some(above) = directory.parent() {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o755);
                builder.create(above).with_context(making)?;
            }
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(making);
                }
                _ => narrow(directory, 0o700).with_context(making)?,
            }
        }
        Self::acquire(path, timeout, waiting)
    }

    /// The locked file: a process that inherits it holds the lock too.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Opens the file, which is the owner's alone from the beginning or from now on.
fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => return Ok(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    // Opening a named pipe would wait, and a link may lead anywhere.
    if !fs::symlink_metadata(path)?.is_file() {
        bail!("it is not a regular file: remove it");
    }
    narrow(path, 0o600)?;
    Ok(options.open(path)?)
}

/// Takes from a file what others may do with it.
fn narrow(path: &Path, mode: u32) -> std::io::Result<()> {
    let now = fs::symlink_metadata(path)?.mode() & 0o7777;
    match now & !mode {
        0 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(now & mode)),
    }
}

/// Who holds a lock, in words.
fn holder(file: &File) -> String {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = file.metadata().map(|meta| meta.ino()).unwrap_or_default();
    match holders(&locks, inode).as_slice() {
        [] => elsewhere(file).unwrap_or_else(|| "another process".to_owned()),
        [pid, ..] => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", name.trim().escape_default()),
            Err(_) => format!("process {pid}, or one that it started"),
        },
    }
}

/// Who wrote into a lock's file that it has the lock.
fn elsewhere(file: &File) -> Option<String> {
    let mut text = [0; MAX_NOTE];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = str::from_utf8(text.get(..length)?).ok()?.trim();
    (!text.is_empty()).then(|| text.escape_default().to_string())
}

/// The processes that hold a lock of flock(2) on a file, from the lines of `/proc/locks`:
/// `1: FLOCK  ADVISORY  WRITE 1234 08:01:131090 0 EOF`. Those that wait have an arrow.
fn holders(locks: &str, inode: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words.as_slice() else {
            return None;
        };
        let of = file.rsplit(':').next()?.parse::<u64>().ok()?;
        // One of another process namespace is 0.
        pid.parse().ok().filter(|pid| of == inode && *pid > 0)
    };
    locks.lines().filter_map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_lock_is_its_owners_alone_and_names_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/lock");
        let held = Lock::acquire_private(&path, NONE, &mut |_| {}).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let mut reported = Vec::new();
        let timeout = Duration::from_millis(100);
        let refused = Lock::acquire(&path, timeout, &mut |text| reported.push(text.to_owned()));
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let us = format!("process {} ({})", std::process::id(), name.trim());
        assert_eq!(
            refused.unwrap_err().to_string(),
            format!(
                "{} is held by {us}: wait for it to end, then run again",
                path.display()
            )
        );
        assert_eq!(reported, [format!("waiting for {us}")]);
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let note = elsewhere(&File::open(&path).unwrap());
        assert_eq!(note, Some(format!("{us} of {}", host.trim())));
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut reported = Vec::new();
                Lock::wait(&path, &mut |text| reported.push(text.to_owned())).unwrap();
                reported
            }
        });
        sleep(timeout);
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.join().unwrap(), [format!("waiting for {us}")]);
        Lock::acquire(&path, NONE, &mut |_| {}).unwrap();
    }

    #[test]
    fn what_others_could_open_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/lock");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        for (at, mode) in [(path.parent().unwrap(), 0o755), (&path, 0o666)] {
            fs::set_permissions(at, Permissions::from_mode(mode)).unwrap();
        }
        Lock::acquire_private(&path, NONE, &mut |_| {}).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_is_no_file_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for path in [&link, &dir.path().to_owned()] {
            let refused = Lock::acquire(path, NONE, &mut |_| {}).unwrap_err();
            assert_eq!(
                format!("{refused:#}"),
                format!(
                    "locking {}: it is not a regular file: remove it",
                    path.display()
                )
            );
        }
        assert!(!target.exists());
    }

    #[test]
    fn a_holder_is_found_by_the_file_and_not_among_those_who_wait() {
        let locks = "1: FLOCK  ADVISORY  WRITE 12 00:2a:77 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 13 00:2a:77 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 14 00:2a:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 00:2a:78 0 EOF\nodd\n";
        assert_eq!(holders(locks, 77), [12]);
        assert!(holders(locks, 78).is_empty());
    }
}
