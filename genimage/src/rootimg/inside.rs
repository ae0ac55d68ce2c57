//! What runs in the namespace: a package manager into a root on a memory file system, the osimage's scripts in that
//! root, and an archive of it at the end.
//!
//! The plan comes in on standard input; the archive goes out on standard output, what is said on standard error. The
//! root is in memory, so that nothing of it is left however this ends; of the management node only the repositories and
//! the programs are read. No shell of ours.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, chroot, sethostname};

use super::apt;
use super::namespace::{self, PATH};
use super::plan::{BuildPlan, RootFormat};
use super::rpm;

/// What begins a line of ours on standard error that a person is to read.
pub(super) const NOTE: &str = "slipway: note: ";

/// What package scripts must not start: invoke-rc.d(8), which asks this.
pub(super) const POLICY: &str = "usr/sbin/policy-rc.d";

/// Where the memory file system is mounted: a directory that every system has and no package manager needs.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// What packages' scripts write to.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where a script is in the root while it runs.
const SCRIPT: &str = "/tmp/slipway-postinstall";

/// Runs a stage of this program.
///
/// # Errors
/// When it fails; then nothing of it is left.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [namespace::ENTER, network] => namespace::enter(*network == "network"),
        [namespace::BUILD] => build(),
        ["customize", workspace, root] => {
            let workspace = Workspace(PathBuf::from(workspace));
            customize(&workspace, &workspace.plan()?, Path::new(root))
        }
        ["script", root] => script(Path::new(root)),
        _ => bail!("there is no such stage"),
    }
}

/// The memory file system, and what is in it beside the root.
#[derive(Debug)]
pub(super) struct Workspace(PathBuf);

impl Workspace {
    /// Mounts it at a place that hides nothing that the plan needs.
    fn mount(plan: &BuildPlan) -> Result<Self> {
        let needed: Vec<_> = plan
            .sources
            .iter()
            .filter_map(|source| source.directory())
            .collect();
        let free = PLACES.into_iter().map(Path::new).find(|place| {
            let hides = needed.iter().any(|path| path.starts_with(place));
            place.is_dir() && !hides
        });
        let place = free.context("finding a directory to mount memory at: /mnt is missing")?;
        let size = format!("mode=755,size={}", plan.space);
        let kind = Some("tmpfs");
        mount(kind, place, kind, MsFlags::empty(), Some(size.as_str()))
            .with_context(|| format!("mounting memory at {}", place.display()))?;
        let workspace = Self(place.to_owned());
        workspace.write("plan.json", &serde_json::to_vec(plan)?)?;
        // Where this program is, its root here need not come to.
        let program = fs::read("/proc/self/exe").context("reading this program")?;
        workspace.write("step", &program)?;
        fs::set_permissions(workspace.path("step"), PermissionsExt::from_mode(0o755))?;
        Ok(workspace)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file that this run alone reads.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn plan(&self) -> Result<BuildPlan> {
        let bytes = fs::read(self.path("plan.json")).context("reading the plan")?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Begins a command with the environment that every program here has.
    pub(super) fn command(&self, program: &str, plan: &BuildPlan) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs([("PATH", PATH), ("LC_ALL", "C.UTF-8"), ("TERM", "dumb")])
            .envs([
                ("DEBIAN_FRONTEND", "noninteractive"),
                ("UCF_FORCE_CONFOLD", "1"),
            ])
            .env("SOURCE_DATE_EPOCH", plan.epoch.to_string())
            .env("TMPDIR", &self.0)
            .env("HOME", &self.0)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }
}

/// The stage "build": process 1 of the namespace.
fn build() -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")?;
    // Not through a buffer: what follows the plan is for tar.
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let mut input = File::from(input.context("reading the plan")?);
    let plan = read_plan(&mut input).context("reading the plan")?;
    let proc = Some("proc");
    mount(proc, "/proc", proc, MsFlags::empty(), None::<&str>).context(
        "mounting /proc of the namespace: a container that hides parts of its own may not: give it --security-opt \
         systempaths=unconfined, and apparmor=unconfined where that is on, or run outside of it",
    )?;
    // One of its own: the machine's may have mounts in it, and none of its content is for packages.
    if Path::new("/dev/shm").is_dir() {
        let tmpfs = Some("tmpfs");
        mount(tmpfs, "/dev/shm", tmpfs, MsFlags::empty(), None::<&str>)
            .context("mounting /dev/shm of the namespace")?;
    }
    sethostname("localhost").context("naming the namespace's host")?;
    let workspace = Workspace::mount(&plan)?;
    if plan.base.is_some() {
        unpack(&workspace, &plan, input)?;
    }
    match plan.format {
        RootFormat::Apt => apt::install(&workspace, &plan)?,
        RootFormat::Dnf | RootFormat::Zypper => rpm::install(&workspace, &plan)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read_plan(input: &mut impl Read) -> Result<BuildPlan> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let mut text = Vec::new();
    input
        .take(u64::from_be_bytes(length))
        .read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Unpacks what packages are installed into: a sorted archive of ours, whose paths go through no link.
fn unpack(workspace: &Workspace, plan: &BuildPlan, archive: File) -> Result<()> {
    let root = workspace.path("root");
    fs::create_dir(&root).context("making the root")?;
    let mut tar = workspace.command("tar", plan);
    tar.args([
        "--extract",
        "--numeric-owner",
        "--same-owner",
        "--preserve-permissions",
    ])
    .args(["--xattrs", "--xattrs-include=security.capability", "-C"])
    .arg(&root)
    .stdin(archive)
    .stdout(std::io::stderr());
    done(&mut tar).context("unpacking the container image")
}

/// Makes the directories, devices and file systems that packages' scripts need.
///
/// # Errors
/// When the root already has something else in their places.
pub(super) fn prepare(root: &Path) -> Result<()> {
    for name in ["dev", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(name)).context("making the root")?;
    }
    let none = None::<&str>;
    for name in DEVICES {
        let (host, own) = (Path::new("/dev").join(name), root.join("dev").join(name));
        fs::write(&own, "").context("making the root's devices")?;
        mount(Some(&host), &own, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("giving the root {}", host.display()))?;
    }
    let proc = root.join("proc");
    mount(Some("proc"), &proc, Some("proc"), MsFlags::empty(), none)
        .context("giving the root /proc")
}

/// Archives the root, to standard output.
///
/// # Errors
/// When tar fails.
pub(super) fn archive(workspace: &Workspace, plan: &BuildPlan, root: &Path) -> Result<()> {
    let mut tar = workspace.command("tar", plan);
    tar.args([
        "--create",
        "--format=pax",
        "--xattrs",
        // Access control lists among them: as records of their own they have lines, which no reader of ours takes.
        "--xattrs-include=*",
    ])
    .args([
        "--numeric-owner",
        "--one-file-system",
        "--sort=name",
        "--exclude=./dev/*",
    ])
    .args(["--exclude=./proc/*", "--exclude=./sys/*", "-C"])
    .arg(root)
    .arg(".");
    done(&mut tar)
}

/// Runs a program whose output is for the log, and says which failed.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is missing on this management node: install it")
        }
        Err(error) => return Err(error).with_context(|| format!("running {name}")),
    };
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// What follows the first transaction: further ones, and the osimage's scripts.
pub(super) fn customize(workspace: &Workspace, plan: &BuildPlan, root: &Path) -> Result<ExitCode> {
    if plan.format == RootFormat::Apt {
        apt::further_transactions(workspace, plan, root)?;
    }
    for one in &plan.scripts {
        let copy = root.join(&SCRIPT[1..]);
        let bytes = STANDARD.decode(&one.base64).context("reading a script")?;
        fs::write(&copy, bytes).with_context(|| format!("writing {}", copy.display()))?;
        fs::set_permissions(&copy, PermissionsExt::from_mode(0o700))?;
        eprintln!("running {}", one.path);
        let step = workspace.path("step");
        let mut command = workspace.command(&step.to_string_lossy(), plan);
        command
            .args(["--inside", "script"])
            .arg(root)
            .env("SLIPWAY_ARGUMENTS", serde_json::to_string(&plan.arguments)?)
            .envs(plan.environment.iter().map(|(name, value)| (name, value)))
            .env("HOME", "/root")
            .env("TMPDIR", "/tmp");
        let run = done(&mut command);
        let removed = fs::remove_file(&copy);
        run.with_context(|| format!("running the postinstall {} in the root", one.path))?;
        if removed.is_err() {
            eprintln!("{} removed itself", one.path);
        }
    }
    end_others()?;
    Ok(ExitCode::SUCCESS)
}

/// The stage "script": a script in the root, whose mounts end with it.
fn script(root: &Path) -> Result<ExitCode> {
    namespace::own_mounts()?;
    let arguments = std::env::var("SLIPWAY_ARGUMENTS").context("reading the arguments")?;
    let arguments: Vec<String> = serde_json::from_str(&arguments)?;
    chroot(root).context("entering the root")?;
    std::env::set_current_dir("/").context("entering the root")?;
    let mut command = Command::new(SCRIPT);
    command
        .args(arguments)
        .env_remove("SLIPWAY_ARGUMENTS")
        .stdout(std::io::stderr());
    // It returns only when there is nothing to run.
    Err(command.exec()).context("starting it: does the root have its interpreter?")
}

/// Ends every process of the namespace that is not an ancestor of this one: a daemon that a script started writes into
/// the root while it is archived.
fn end_others() -> Result<()> {
    let mut own = vec![1];
    let mut pid = std::process::id();
    while pid > 1 {
        own.push(pid);
        pid = stat(pid).map_or(1, |(_, parent)| parent);
    }
    for entry in fs::read_dir("/proc").context("listing processes")? {
        let entry = entry.context("listing processes")?;
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if own.contains(&pid) {
            continue;
        }
        let Some((name, parent)) = stat(pid) else {
            continue;
        };
        // Pipes of the package manager's own are its business: what was left running has lost its parent.
        if parent != 1 {
            continue;
        }
        let raw = i32::try_from(pid).context("reading a process id")?;
        if kill(Pid::from_raw(raw), Signal::SIGKILL).is_ok() {
            eprintln!(
                "{NOTE}a package or a script left '{name}' running, which was ended: it is not in the image"
            );
        }
    }
    Ok(())
}

/// Reads the name of a process and its parent: proc_pid_stat(5). What has ended and waits for process 1 is none.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some((name, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_name_and_parent() {
        let (name, parent) = stat(std::process::id()).unwrap();
        assert!(!name.is_empty());
        assert_eq!(parent, nix::unistd::getppid().as_raw().unsigned_abs());
        assert_eq!(stat(u32::MAX), None);
    }
}
