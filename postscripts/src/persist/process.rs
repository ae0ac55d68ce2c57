//! The processes of this network namespace: daemons that configure it, DHCP clients. Reference: proc(5).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::files::{beneath, names};

/// How long a client may take to have its lease confirmed, or to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Dhclient,
    Dhcpcd,
    Udhcpc,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "dhclient" => Some(Self::Dhclient),
            "dhcpcd" => Some(Self::Dhcpcd),
            "udhcpc" => Some(Self::Udhcpc),
            _ => None,
        }
    }
}

/// A process of our network namespace.
pub(super) struct Process {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) called: String,
    pub(super) arguments: Vec<String>,
    pub(super) group: Option<PathBuf>,
}

/// All of them, each with its number.
pub(super) fn processes(root: &Path) -> Result<Vec<(i32, Process)>> {
    let proc = beneath(root, Path::new("/proc"));
    let ours = fs::read_link(proc.join("self/ns/net")).ok();
    let mut found = Vec::new();
    for name in names(&proc)? {
        let dir = proc.join(&name);
        let Ok(pid) = name.parse() else { continue };
        let Ok(comm) = fs::read_to_string(dir.join("comm")) else {
            continue;
        };
        if fs::read_link(dir.join("ns/net")).ok() != ours {
            continue;
        }
        let line = fs::read(dir.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line
            .split('\0')
            .filter(|word| !word.is_empty())
            .map(str::to_owned);
        let called = words.next().unwrap_or_default();
        let program = fs::read_link(dir.join("exe")).unwrap_or_default();
        // The kernel says so of a program that was upgraded since.
        let program = program
            .to_string_lossy()
            .trim_end_matches(" (deleted)")
            .into();
        let group = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
        let group = group
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .map(PathBuf::from);
        // dhcpcd writes what it does over its arguments: `dhcpcd: eth0 [ip4]`.
        let (called, arguments) = match called.strip_prefix("dhcpcd: ") {
            Some(title) => ("dhcpcd".to_owned(), vec![title.to_owned()]),
            None => (called, words.collect()),
        };
        found.push((
            pid,
            Process {
                name: comm.trim().to_owned(),
                program,
                called,
                arguments,
                group,
            },
        ));
    }
    Ok(found)
}

impl Process {
    /// Which client it is: by the kernel's name for it, or by what it was called, because a busybox
    /// that starts itself anew is `exe` to the kernel.
    pub(super) fn kind(&self) -> Option<Kind> {
        let called = Path::new(&self.called).file_name();
        let called = called.and_then(|name| name.to_str()).unwrap_or_default();
        Kind::of(&self.name).or_else(|| Kind::of(called))
    }

    /// Whether it names the device among its arguments.
    pub(super) fn works_for(&self, device: &str) -> bool {
        let words = self
            .arguments
            .iter()
            .flat_map(|argument| argument.split(' '));
        words.into_iter().any(|word| word == device)
    }
}

/// Waits until a killed process holds nothing any more; what is left of it then has no arguments.
pub(super) fn await_end(root: &Path, pid: i32) -> Result<()> {
    let path = beneath(root, Path::new("/proc"))
        .join(pid.to_string())
        .join("cmdline");
    let began = Instant::now();
    while fs::read(&path).is_ok_and(|line| !line.is_empty()) {
        if began.elapsed() > PATIENCE {
            bail!("process {pid} does not end");
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}
