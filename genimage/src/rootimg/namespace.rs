//! A user namespace of its own, in which packages are installed without root.
//!
//! What is to run comes in as a stage of this program; a process comes out that is root in a user namespace and nowhere
//! else, with mounts, processes and, unless it has to fetch packages, a network of its own: user_namespaces(7),
//! pid_namespaces(7). Its ids are 65536 that nobody else has. It ends with everything that it started as soon as this
//! process ends, however that happens: the kernel kills the first process of the namespace, and with it all others.
//!
//! ```text
//! genimage ── writes the ids, the plan ──> stage "enter" (owns the namespace) ──> stage "build" (process 1 in it)
//! ```

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};

/// How many ids the namespace has: those that packages may own files by.
pub(super) const COUNT: u32 = 65_536;

/// The first of root's, unless /etc/subuid gives root some: the range that is meant for nobody in systemd's
/// "Users, Groups, UIDs and GIDs".
const FIRST: u32 = 1_879_048_192;

/// What says how to allow what the kernel refused.
const ADVICE: &str = "a root image is built in a user namespace: allow them (sysctl user.max_user_namespaces, \
                      kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container, \
                      --security-opt seccomp=seccomp-genimage.json, and apparmor=unconfined where that is on)";

/// The stages of this program, as its hidden option names them.
pub(super) const ENTER: &str = "enter";
/// The one that is process 1 of the namespace.
pub(super) const BUILD: &str = "build";

/// The programs that may be run, and no other setting of whoever started this.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A range of ids outside, as /etc/subuid gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IdRange {
    first: u32,
}

impl IdRange {
    /// Finds the first range of enough ids that a file such as /etc/subuid gives a user.
    fn parse(text: &str, name: &str, uid: u32) -> Option<Self> {
        let uid = uid.to_string();
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let first = fields.next()?.parse().ok()?;
            let count: u32 = fields.next()?.trim().parse().ok()?;
            ((owner == name || owner == uid) && count >= COUNT).then_some(Self { first })
        })
    }

    fn of_caller(file: &str) -> Result<Self> {
        let uid = Uid::current();
        let user = User::from_uid(uid).context("looking up this user")?;
        let name = user.map_or_else(|| uid.to_string(), |user| user.name);
        let text = fs::read_to_string(file).unwrap_or_default();
        match Self::parse(&text, &name, uid.as_raw()) {
            Some(range) => Ok(range),
            None if uid.is_root() => Ok(Self { first: FIRST }),
            None => bail!(
                "{file} gives {name} no {COUNT} ids, which the files of a root image need: as root, run usermod \
                 --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
            ),
        }
    }
}

/// Starts the stage "build" in new namespaces, its standard streams at our end. Whoever gets the child writes the plan.
///
/// # Errors
/// When the kernel or the system refuses a user namespace; then with what is missing.
pub(super) fn start(network: bool) -> Result<Child> {
    let (users, groups) = (
        IdRange::of_caller("/etc/subuid")?,
        IdRange::of_caller("/etc/subgid")?,
    );
    let mut child = Command::new("/proc/self/exe")
        .args(["--inside", ENTER])
        .arg(if network { "network" } else { "isolated" })
        .env_clear()
        .envs([("PATH", PATH), ("LC_ALL", "C.UTF-8"), ("TERM", "dumb")])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting another process of this program")?;
    let mut ready = [0];
    let began = child.stdout.as_mut().map(|out| out.read_exact(&mut ready));
    let mapped = match began {
        Some(Ok(())) => write_maps(child.id(), users, groups),
        _ => Err(anyhow::anyhow!(said_by(&mut child))),
    };
    let go = mapped.and_then(|()| {
        let input = child.stdin.as_mut().context("reaching the namespace")?;
        input.write_all(b"m").context("reaching the namespace")
    });
    if let Err(error) = go {
        // It waits for us, or has ended.
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// What a process that did not begin has said.
fn said_by(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(err) = child.stderr.as_mut() {
        let _ = err.take(10_000).read_to_string(&mut text);
    }
    text.trim().trim_start_matches("genimage: ").to_owned()
}

/// Says which ids outside those of a namespace are: as root by ourselves, else by the set-id programs of shadow.
fn write_maps(pid: u32, users: IdRange, groups: IdRange) -> Result<()> {
    for (file, program, range) in [
        ("uid_map", "newuidmap", users),
        ("gid_map", "newgidmap", groups),
    ] {
        let words = ["0".to_owned(), range.first.to_string(), COUNT.to_string()];
        if Uid::effective().is_root() {
            let path = format!("/proc/{pid}/{file}");
            let text = words.join(" ");
            fs::write(&path, text).with_context(|| {
                format!(
                    "writing {path}: in a container, root needs --cap-add=SETUID --cap-add=SETGID to give a user \
                     namespace its ids"
                )
            })?;
            continue;
        }
        let run = Command::new(program)
            .arg(pid.to_string())
            .args(&words)
            .output();
        let output = match run {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{program} is missing, which gives a user namespace its ids: install uidmap (Debian, Ubuntu) or \
                 shadow-utils, or run as root"
            ),
            Err(error) => return Err(error).context(format!("running {program}")),
        };
        ensure!(
            output.status.success(),
            "{program} refuses: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Runs the stage "enter": makes the namespaces, waits for its ids, and starts the stage "build" as process 1.
///
/// # Errors
/// When one of them is refused.
pub(super) fn enter(network: bool) -> Result<ExitCode> {
    unshare(CloneFlags::CLONE_NEWUSER).context(ADVICE)?;
    let mut out = std::io::stdout();
    out.write_all(b"r").and_then(|()| out.flush())?;
    let mut go = [0];
    // Not through a buffer: what follows is for the next stage.
    nix::unistd::read(std::io::stdin(), &mut go).context("waiting for the ids")?;
    ensure!(go == *b"m", "whoever started this has ended");
    setgroups(&[]).context("leaving all groups")?;
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).context("becoming root in the namespace")?;
    setresuid(user, user, user).context("becoming root in the namespace")?;
    // After the ids, a change of which takes it away.
    set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")?;
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if !network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).context(ADVICE)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("making mounts private")?;
    let status = Command::new("/proc/self/exe")
        .args(["--inside", BUILD])
        .status()
        .context("starting the first process of the namespace")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Lets what a process mounts end with it.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("taking mounts apart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_users_own_and_large_enough() {
        let text =
            "other:100000:65536\nadmin:200000:100\nadmin:300000:65536\n1001:400000:70000\nodd\n";
        for (name, uid, expected) in [
            ("admin", 1000, Some(300_000)),
            ("build", 1001, Some(400_000)),
            ("nobody", 65534, None),
        ] {
            let found = IdRange::parse(text, name, uid).map(|range| range.first);
            assert_eq!(found, expected, "{name}");
        }
    }
}
