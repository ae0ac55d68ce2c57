//! A plain installation whose files move into the volumes of containers, and back.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, binary, outcome, same};

use super::compose::ComposeSite;
use super::engine::{Engine, eventually, succeeded};
use super::tag;

/// Where a plain installation has its files, and the volume of each.
const PLACES: [(&str, &str); 4] = [
    ("etc/slipway", "config"),
    ("install", "install"),
    ("var/lib/slipwayd", "state"),
    ("var/lib/slipway-trust", "record"),
];
/// The user of `slipwayd` on the plain machine, and in containers.
const PLAIN_USER: u32 = 997;
const USER: u32 = 980;
/// What a node reported last.
const REPORT: &str = "{\"node\":\"host01\",\"state\":\"booted\",\"time\":\"2026-01-01T00:00:00Z\",\"by\":\"address\"}\n";

/// A machine like this one on which the commands run; what they write is kept apart, in memory.
struct PlainMachine {
    dir: PathBuf,
    programs: PathBuf,
}

impl PlainMachine {
    fn new(engine: &Engine) -> Result<Self> {
        let programs = binary("managementnode", "slipway-trust")?;
        let programs = programs.parent().context("programs are in a directory")?;
        for (package, name) in [("definitions", "mkdef"), ("managementnode", "nodestat")] {
            binary(package, name)?;
        }
        let dir = engine.path("machine");
        fs::create_dir(&dir)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "tmpfs"]).arg(&dir);
        succeeded(outcome(&mut mount)?)?;
        for name in ["upper", "work", "root"] {
            fs::create_dir(dir.join(name))?;
        }
        Ok(Self {
            dir,
            programs: programs.to_owned(),
        })
    }

    /// Returns where a file of the machine is on this one.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join("upper").join(name)
    }

    /// Runs lines of a shell there.
    fn run(&self, lines: &str) -> Result<Outcome> {
        let script = "set -e; cd \"$1\"; bin=$2; lines=$3; \
                      mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root; \
                      mount --rbind /proc root/proc; mount --rbind /dev root/dev; mkdir -p root/opt/plain; \
                      mount --bind \"$bin\" root/opt/plain; export PATH=/opt/plain:$PATH; \
                      exec chroot root bash -ec \"$lines\"";
        let mut machine = Command::new("unshare");
        machine.args(["--mount", "sh", "-c", script, "sh"]);
        machine.arg(&self.dir).arg(&self.programs).arg(lines);
        outcome(&mut machine)
    }

    fn succeed(&self, lines: &str) -> Result<String> {
        succeeded(self.run(lines)?).with_context(|| lines.to_owned())
    }
}

/// Makes a plain installation, moves it into containers, changes it and works there, and moves it back. Returns the site in
/// containers.
pub(super) fn moves_in_and_out(
    engine: &Engine,
    work: impl FnOnce(&ComposeSite<'_>) -> Result<()>,
) -> Result<ComposeSite<'_>> {
    let machine = PlainMachine::new(engine)?;
    machine.succeed(
        "mkdef -t network nodes net=10.1.0.0 mask=/16 gateway=10.1.0.1
         mkdef -t site clustersite master=10.1.0.2 domain=cluster
         mkdef host01 groups=all ip=10.1.0.11 mac=52:54:00:10:00:01 && slipway-trust init && mkdir -p /install /var/lib/slipwayd",
    )?;
    fs::write(machine.file("var/lib/slipwayd/states.jsonl"), REPORT)?;
    owned(&machine, PLAIN_USER)?;
    let defined = machine.succeed("lsdef -z host01; slipway-trust export root")?;

    let site = ComposeSite::new(engine, "slipway", &[("SLIPWAY_INIT", "")])?;
    for (place, volume) in PLACES {
        copied(
            engine,
            &machine.file(place),
            &format!("slipway_{volume}"),
            true,
        )?;
    }
    site.compose(&["up", "--detach"])?;
    let refused =
        "slipwayd: keeping reports in /var/lib/slipwayd, which is user 997's, as user 980: ";
    eventually("slipwayd says whose the reports are", || {
        Ok(site.compose(&["logs", "slipwayd"])?.contains(refused))
    })?;
    let volume = "--volume=slipway_state:/state";
    let image = tag("slipway");
    engine.succeed(&[
        "run", "--rm", volume, &image, "chown", "-R", "980:980", "/state",
    ])?;
    site.is_healthy()?;
    let taken = [
        "run",
        "--rm",
        "--network=slipway_mgtnet",
        "--ip=10.1.0.2",
        &image,
    ];
    let taken = engine.docker(&taken)?;
    ensure!(taken.stderr.contains("Address already in use"), "{taken:?}");
    let shown = ["bash", "-c", "lsdef -z host01; slipway-trust export root"];
    same(&site.managed(&shown)?, &defined)?;
    let changed = "nodestat host01; mkdef host02 groups=all ip=10.1.0.12; slipway-trust arm host02; slipway-trust status";
    let changed = site.managed(&["bash", "-ec", changed])?;
    ensure!(changed.starts_with("host01: booted"), "{changed}");
    work(&site)?;

    site.compose(&["down"])?;
    for (place, volume) in PLACES {
        copied(
            engine,
            &machine.file(place),
            &format!("slipway_{volume}"),
            false,
        )?;
    }
    same(
        &machine.succeed("lsdef -z host01; slipway-trust export root")?,
        &defined,
    )?;
    let back = machine.succeed("lsdef -i ip host02; slipway-trust status; nodestat host01")?;
    for part in ["ip=10.1.0.12", "host02", "host01: booted"] {
        ensure!(back.contains(part), "no '{part}': {back}");
    }
    // systemd gives its state directory to the user of slipwayd.
    same(&owner(&machine)?, &USER)?;
    Ok(site)
}

/// Gives what slipwayd keeps to a user.
fn owned(machine: &PlainMachine, user: u32) -> Result<()> {
    for path in ["var/lib/slipwayd", "var/lib/slipwayd/states.jsonl"] {
        chown(machine.file(path), Some(user), Some(user))?;
    }
    Ok(())
}

fn owner(machine: &PlainMachine) -> Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(machine.file("var/lib/slipwayd/states.jsonl"))?.uid())
}

/// Copies a directory into a volume, or out of it, as the page says.
fn copied(engine: &Engine, directory: &Path, volume: &str, is_in: bool) -> Result<()> {
    let directory = format!("{}:/directory", directory.display());
    let volume = format!("{volume}:/volume");
    let (from, to) = if is_in {
        ("/directory/.", "/volume/")
    } else {
        ("/volume/.", "/directory/")
    };
    let run = ["run", "--rm", "--volume", &directory, "--volume", &volume];
    let image = tag("slipway");
    let copy = [image.as_str(), "cp", "-a", from, to];
    engine.succeed(&[&run[..], &copy].concat()).map(drop)
}
