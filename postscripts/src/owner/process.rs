//! Processes that run a program of the host's. Reference: proc(5).

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal as Code, pidfd_open, pidfd_send_signal};

use super::{HostProgram, own_user, untrusted_reason};
use crate::files::under_root;

/// No more is read of a file in `/proc`.
const MAX_BYTES: u64 = 256 << 10;
/// A process that was killed and is there still hangs in the kernel.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// A process of the host's that runs a [`HostProgram`].
#[derive(Debug)]
pub(crate) struct HostProcess {
    /// Its number, which may be another's once it has ended.
    pub(crate) pid: i32,
    /// What it runs.
    pub(crate) program: HostProgram,
    /// Its words, the first being what it was called.
    pub(crate) words: Vec<String>,
    /// Whether it sees the files that we see.
    pub(crate) view: View,
    /// The control group that it is in, below the unified hierarchy.
    pub(crate) group: Option<PathBuf>,
    session: i32,
    /// Its directory in `/proc`: that of no other process, ever.
    directory: OwnedFd,
}

/// Which files a process sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Those that we see.
    Ours,
    /// Others: it has a mount namespace or a root directory of its own.
    Other,
}

/// What must be so when a process is looked at, and still afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessIdentity {
    file: (u64, u64),
    users: Vec<u32>,
    session: i32,
}

/// Whether a user's word counts: root's does. Who is not root can change nothing by us, so that his own
/// counts for himself.
pub(crate) fn is_trusted(user: u32) -> bool {
    user == 0 || user == own_user()
}

/// The processes of the host that run one of the programs, by number. All user IDs of each are one that
/// `user` accepts.
pub(crate) fn running(
    root: &Path,
    programs: &[HostProgram],
    user: impl Fn(u32) -> bool,
) -> Result<Vec<HostProcess>> {
    scan_processes(root, user, |directory, view| {
        runs(directory, programs, view)
    })
}

/// Root's processes in our namespaces that run a program of one of these names, and none of the host's: one
/// that lies elsewhere, that others may change, or that is of other files than ours. Nobody but root can have
/// started them, but what they run is not to be started again.
pub(crate) fn running_untrusted(
    root: &Path,
    names: &[&str],
    programs: &[HostProgram],
) -> Result<Vec<HostProcess>> {
    scan_processes(root, is_trusted, |directory, view| {
        if runs(directory, programs, view).is_some() {
            return None;
        }
        let place = readlinkat(directory, "exe").ok()?.into_string().ok()?;
        let place = PathBuf::from(place.trim_end_matches(" (deleted)"));
        let name = place.file_name()?.to_str()?.to_owned();
        names.contains(&name.as_str()).then_some(HostProgram {
            name,
            path: place,
            file: inode(directory, "exe")?,
        })
    })
}

/// The host's processes that run what `program` says of their directory and view.
fn scan_processes(
    root: &Path,
    user: impl Fn(u32) -> bool,
    program: impl Fn(&OwnedFd, View) -> Option<HostProgram>,
) -> Result<Vec<HostProcess>> {
    let proc = under_root(root, Path::new("/proc"));
    let directory = |name: &str| {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(&proc.join(name), flags, Mode::empty()).ok()
    };
    let Some(ourselves) = directory("self") else {
        return Ok(Vec::new());
    };
    let listing = fs::read_dir(&proc).with_context(|| format!("listing {}", proc.display()))?;
    let mut found = Vec::new();
    for entry in listing {
        let name = entry.with_context(|| format!("listing {}", proc.display()))?;
        let name = name.file_name().into_string().unwrap_or_default();
        let Ok(pid) = name.parse::<i32>() else {
            continue;
        };
        let process = directory(&name)
            .and_then(|directory| HostProcess::inspect(pid, directory, &ourselves, &program));
        found.extend(process.filter(|(_, users)| users.iter().all(|&id| user(id))));
    }
    let mut found: Vec<_> = found.into_iter().map(|(process, _)| process).collect();
    found.sort_by_key(|process: &HostProcess| process.pid);
    Ok(found)
}

impl HostProcess {
    /// Looks at a process; `None` for one that is not the host's or runs something else.
    fn inspect(
        pid: i32,
        directory: OwnedFd,
        ourselves: &OwnedFd,
        program: impl Fn(&OwnedFd, View) -> Option<HostProgram>,
    ) -> Option<(Self, Vec<u32>)> {
        let same = |name: &str| inode(&directory, name) == inode(ourselves, name);
        let view = if same("ns/mnt") && same("root") {
            View::Ours
        } else {
            View::Other
        };
        let program = program(&directory, view)?;
        let identity = ProcessIdentity::of(&directory)?;
        if !["ns/pid", "ns/net", "ns/user"].into_iter().all(same) {
            return None;
        }
        let line = String::from_utf8_lossy(&read(&directory, "cmdline")?).into_owned();
        let words = line.split('\0').filter(|word| !word.is_empty());
        let words = words.map(str::to_owned).collect();
        let group = String::from_utf8_lossy(&read(&directory, "cgroup").unwrap_or_default())
            .lines()
            .find_map(|line| line.strip_prefix("0::/").map(PathBuf::from));
        // It may have become another program meanwhile, with another's rights and words.
        if ProcessIdentity::of(&directory).as_ref() != Some(&identity) {
            return None;
        }
        let process = Self {
            pid,
            program,
            words,
            view,
            group: group.filter(|path| !path.starts_with("..")),
            session: identity.session,
            directory,
        };
        Some((process, identity.users))
    }

    /// Sends a signal to this very process; one that has ended needs none.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let sending = || format!("sending {signal} to process {}", self.pid);
        let number = rustix::process::Pid::from_raw(self.pid).with_context(sending)?;
        let descriptor = pidfd_open(number, PidfdFlags::empty());
        // While its directory answers the number is its own, and so is the descriptor made before.
        if self.has_ended() {
            return Ok(());
        }
        let sent = match (descriptor, Code::from_named_raw(signal as i32)) {
            (Ok(descriptor), Some(code)) => pidfd_send_signal(descriptor, code)
                .map_err(|error| Errno::from_raw(error.raw_os_error())),
            _ => kill(Pid::from_raw(self.pid), signal),
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(sending),
        }
    }

    /// Ends it, and waits until it holds nothing any more.
    pub(crate) fn end(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.await_end()
    }

    /// Waits until it holds nothing any more.
    pub(crate) fn await_end(&self) -> Result<()> {
        let began = Instant::now();
        while !self.has_ended() {
            if began.elapsed() > END_TIMEOUT {
                bail!("process {} does not end", self.pid);
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether it has; what is left of one that nobody waited for has no arguments.
    fn has_ended(&self) -> bool {
        read(&self.directory, "cmdline").is_none_or(|line| line.is_empty())
    }

    /// The other processes of a program that gives its rights up in parts: they are of its session and run
    /// the same file, whoever they are now.
    pub(crate) fn companions(&self, root: &Path) -> Result<Vec<Self>> {
        let mut all = running(root, std::slice::from_ref(&self.program), |_| true)?;
        all.retain(|other| other.session == self.session && other.pid != self.pid);
        Ok(all)
    }
}

impl ProcessIdentity {
    fn of(directory: &OwnedFd) -> Option<Self> {
        let status = String::from_utf8_lossy(&read(directory, "status")?).into_owned();
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let users: Vec<u32> = users.split_whitespace().flat_map(str::parse).collect();
        let stat = String::from_utf8_lossy(&read(directory, "stat")?).into_owned();
        // The name before it may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        (users.len() == 4).then_some(Self {
            file: inode(directory, "exe")?,
            users,
            session: fields.split(' ').nth(3)?.parse().ok()?,
        })
    }
}

/// Which of the programs a process runs.
fn runs(directory: &OwnedFd, programs: &[HostProgram], view: View) -> Option<HostProgram> {
    let stat = fstatat(directory, "exe", AtFlags::empty()).ok()?;
    let file = (stat.st_dev, stat.st_ino);
    if let Some(program) = programs.iter().find(|program| program.file == file) {
        return Some(program.clone());
    }
    // What it runs was replaced meanwhile, as by an upgrade. A file that has this very name is root's as well.
    if view == View::Other || untrusted_reason(&stat, || true).is_some() {
        return None;
    }
    let place = readlinkat(directory, "exe").ok()?.into_string().ok()?;
    let place = place.strip_suffix(" (deleted)")?;
    let program = programs
        .iter()
        .find(|program| program.path == Path::new(place));
    program.cloned()
}

/// What a name in a process's directory leads to.
fn inode(directory: &OwnedFd, name: &str) -> Option<(u64, u64)> {
    let stat = fstatat(directory, name, AtFlags::empty()).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

fn read(directory: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    File::from(file)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}
