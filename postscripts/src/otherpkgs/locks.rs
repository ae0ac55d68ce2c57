//! Who else is at work on this node's packages: the locks of apt, dpkg, rpm, dnf, yum and zypper.
//!
//! A family of package managers comes in, the process that holds one of their locks goes out. Two kinds of locks
//! exist: record locks, of which the kernel knows the holder (fcntl(2), `F_GETLK`), and files that hold a
//! process number. Only root's count: the files are root's, and nobody else can hold them where they are as
//! package managers make them.
//!
//! References: apt's `pkgcachefile.cc` and `acquire.cc`, dpkg's `dbmodify.c`, rpm's `rpmlock.c`, dnf's `lock.py`,
//! libdnf's `dnf-lock.cpp` (PackageKit, microdnf), libdnf5's `transaction.cpp` and `base.cpp`, libzypp's `ZyppLock.cc` and `zypp-rpm`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// What package managers of one family lock.
#[derive(Debug)]
pub(super) struct Locks {
    /// Files with record locks.
    record_locks: &'static [&'static str],
    /// Files that hold a process number, and directories with such files in them.
    pid_places: &'static [&'static str],
}

/// apt's and dpkg's.
pub(super) const DEB: Locks = Locks {
    record_locks: &[
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/lock",
        "/var/lib/apt/lists/lock",
        "/var/cache/apt/archives/lock",
    ],
    pid_places: &[],
};

/// rpm's and those of the programs that use it.
pub(super) const RPM: Locks = Locks {
    record_locks: &[
        "/var/lib/rpm/.rpm.lock",
        "/usr/lib/sysimage/rpm/.rpm.lock",
        "/run/dnf/rpmtransaction.lock",
        "/var/lib/dnf/system-repo.lock",
    ],
    pid_places: &[
        "/run/yum.pid",
        "/run/zypp.pid",
        "/run/zypp-rpm.pid",
        "/run/dnf-config.lock",
        "/run/dnf-metadata.lock",
        "/run/dnf-rpmdb.lock",
        "/run/dnf-src.lock",
        "/var/lib/dnf",
        "/var/cache/dnf",
    ],
};

/// The ending of a file in a directory that holds a process number.
const PID_EXTENSION: &str = "pid";

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockHolder {
    /// Its number; 0 where it has none in this namespace.
    pid: i32,
    program: String,
    path: PathBuf,
    /// Whether the file only has its number, which may be another's by now.
    by_number: bool,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.pid {
            0 => write!(f, "a process of another container holds {path}"),
            pid => write!(f, "{} (process {pid}) holds {path}", self.program),
        }
    }
}

impl Locks {
    /// Returns a process of root's that holds one of them.
    ///
    /// # Errors
    /// When somebody else holds one, or a lock cannot be looked at.
    pub(super) fn lock_holder(&self) -> Result<Option<LockHolder>> {
        for path in self.record_locks.iter().map(Path::new) {
            let Some(pid) =
                record_lock(path).with_context(|| format!("looking at {}", path.display()))?
            else {
                continue;
            };
            return match pid {
                0 => Ok(Some(LockHolder::new(0, path))),
                pid if is_roots(pid) => Ok(Some(LockHolder::new(pid, path))),
                pid => bail!(
                    "{}, and is not root's, whose alone that lock is: end it, and 'chmod 640 {}'",
                    LockHolder::new(pid, path),
                    path.display()
                ),
            };
        }
        let files = self
            .pid_places
            .iter()
            .flat_map(|place| pid_files(Path::new(place)));
        let mut holders = files.filter_map(|path| {
            let pid = number(&path).filter(|pid| is_roots(*pid))?;
            Some(LockHolder {
                by_number: true,
                ..LockHolder::new(pid, &path)
            })
        });
        Ok(holders.next())
    }
}

impl LockHolder {
    fn new(pid: i32, path: &Path) -> Self {
        Self {
            pid,
            program: program(pid),
            path: path.to_owned(),
            by_number: false,
        }
    }

    /// What to do about one that does not end.
    pub(super) fn advice(&self) -> String {
        let again = "run this again once it has ended";
        if !self.by_number {
            return again.to_owned();
        }
        // those whose file it is do not look closer either
        format!(
            "{again}, or remove {} if that is no package manager",
            self.path.display()
        )
    }
}

/// Opens a file that may be anything, and is not waited for.
fn open(path: &Path) -> Option<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .ok()?;
    file.metadata()
        .is_ok_and(|looked| looked.is_file())
        .then_some(file)
}

/// Returns who would keep us from locking a file, if anybody does.
fn record_lock(path: &Path) -> Result<Option<i32>> {
    let Some(file) = open(path) else {
        return Ok(None);
    };
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    // An open file description has no process: -1.
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid.max(0)))
}

/// Returns a file, or those of a directory.
fn pid_files(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else {
        return vec![place.to_owned()];
    };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == PID_EXTENSION)
        })
        .collect();
    files.sort();
    files
}

/// Reads a process number.
fn number(path: &Path) -> Option<i32> {
    let mut text = String::new();
    open(path)?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Says whether a process runs and is root's, both really and in effect: proc_pid_status(5).
fn is_roots(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let ended = field("State:").is_none_or(|state| state.trim_start().starts_with(['Z', 'X']));
    let mut users = field("Uid:").unwrap_or_default().split_whitespace();
    !ended && users.next() == Some("0") && users.next() == Some("0")
}

/// Returns what a process calls itself; of a script its whole name, where an interpreter runs it.
fn program(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim_end();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut names = words.filter_map(|word| word.rsplit('/').next().map(str::to_owned));
    // The kernel keeps 15 bytes of it.
    let whole = names.find(|whole| !name.is_empty() && whole.starts_with(name));
    let name = whole.unwrap_or_else(|| name.to_owned());
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_number_names_a_process_of_roots_that_runs() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("rpmdb_lock.pid", " 17\n"),
            ("empty.pid", ""),
            ("damaged.pid", "-1"),
            ("other", "17"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let found: Vec<_> = pid_files(dir.path())
            .iter()
            .map(|path| number(path))
            .collect();
        assert_eq!(found, [None, None, Some(17)]);
        assert_eq!(
            pid_files(Path::new("/run/zypp.pid")),
            [PathBuf::from("/run/zypp.pid")]
        );
        assert!(pid_files(&dir.path().join("other")) == [dir.path().join("other")]);
        assert_eq!(number(&dir.path().join("none")), None);
        assert!(!is_roots(i32::MAX));
        assert!(is_roots(1));
    }

    #[test]
    fn what_is_no_file_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("lock");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(record_lock(&pipe).unwrap(), None);
        assert_eq!(record_lock(dir.path()).unwrap(), None);
        assert_eq!(record_lock(&dir.path().join("none")).unwrap(), None);
    }

    #[test]
    fn a_holder_is_named_by_its_program() {
        let lock_holder = |pid| LockHolder {
            pid,
            program: "unattended-upgrade".to_owned(),
            path: "/var/lib/dpkg/lock".into(),
            by_number: false,
        };
        assert_eq!(
            lock_holder(12).to_string(),
            "unattended-upgrade (process 12) holds /var/lib/dpkg/lock"
        );
        assert_eq!(
            lock_holder(0).to_string(),
            "a process of another container holds /var/lib/dpkg/lock"
        );
    }
}
