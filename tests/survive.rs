//! What is published is whole, whatever happens meanwhile: the importer is killed, the disk is full,
//! two import at once, somebody reads. All with the binary that ships.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Medium, Need, Sandbox, snapshot, trial};
use libtest_mimic::Trial;

const TREE: &str = "debian12.9.0/x86_64";
/// MiB of further files: an import then takes long enough to be hit in its middle.
const BULK: u32 = 32;

pub(crate) fn trials() -> Vec<Trial> {
    let media = &[Need::MEDIA];
    vec![
        trial(
            "survive::a_killed_import_leaves_no_tree_or_a_whole_one",
            media,
            killed_first_import,
        ),
        trial(
            "survive::a_killed_new_import_leaves_the_old_tree_or_the_new",
            media,
            killed_replacement,
        ),
        trial(
            "survive::an_interrupted_import_leaves_nothing",
            media,
            interrupted,
        ),
        trial(
            "survive::two_imports_at_once_publish_one_whole_tree",
            media,
            two_at_once,
        ),
        trial(
            "survive::a_reader_never_sees_half_a_tree",
            media,
            reader_meanwhile,
        ),
        trial(
            "survive::full_disk_leaves_nothing",
            &[Need::MEDIA, Need::LoopMounts],
            full_disk,
        ),
        trial(
            "survive::a_target_that_cannot_be_written_is_refused",
            media,
            unwritable_target,
        ),
    ]
}

fn spawn(sandbox: &Sandbox, medium: &Medium) -> Result<Child> {
    let mut command = sandbox.command("copycds", &[&medium.iso])?;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("starting copycds")
}

/// How long an undisturbed import takes.
fn duration(sandbox: &Sandbox, medium: &Medium) -> Result<Duration> {
    let start = Instant::now();
    sandbox.import(medium)?;
    let took = start.elapsed();
    fs::remove_dir_all(sandbox.install().join(TREE))?;
    Ok(took)
}

/// Checks a tree with another tool than ours, and returns which medium it is of.
fn mark_of_whole_tree(tree: &Path) -> Result<String> {
    let sums = Command::new("sha256sum")
        .args(["--strict", "--quiet", "-c", ".slipway/SHA256SUMS"])
        .current_dir(tree)
        .output()?;
    ensure!(sums.status.success(), "not whole: {sums:?}");
    let manifest = fs::read_to_string(tree.join(".slipway/SHA256SUMS"))?;
    let recorded = manifest
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    let present = snapshot(tree)?
        .iter()
        .filter(|(path, node)| node.mode & 0o170_000 == 0o100_000 && !path.starts_with(".slipway"))
        .count();
    ensure!(
        recorded == present,
        "{present} files are there, {recorded} are recorded"
    );
    let kernel = fs::read_to_string(tree.join("install.amd/vmlinuz"))?;
    Ok(kernel
        .trim_start_matches("kernel of medium ")
        .trim_end()
        .to_owned())
}

/// After a run that came to its end, the release's directory holds the tree and nothing else.
fn nothing_else_is_there(sandbox: &Sandbox) -> Result<()> {
    let mut names = Vec::new();
    for dir in [
        sandbox.install().to_owned(),
        sandbox.install().join("debian12.9.0"),
    ] {
        for entry in fs::read_dir(&dir)? {
            names.push(entry?.path().strip_prefix(sandbox.install())?.to_owned());
        }
    }
    names.sort();
    let expected: Vec<PathBuf> = vec!["debian12.9.0".into(), TREE.into()];
    ensure!(names == expected, "beside the tree: {names:?}");
    Ok(())
}

fn killed_first_import() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", BULK)?;
    let tree = sandbox.install().join(TREE);
    let mut took = duration(&sandbox, &medium)?;
    let mut killed = 0;
    for moment in 0..16 {
        let mut child = spawn(&sandbox, &medium)?;
        thread::sleep(took * moment / 15);
        child.kill()?;
        killed += u32::from(!child.wait()?.success());
        if tree.exists() {
            mark_of_whole_tree(&tree).with_context(|| format!("after kill {moment}"))?;
        }
        let began = Instant::now();
        sandbox.import(&medium)?;
        // The machine may have less to do by now.
        took = took.min(began.elapsed());
        mark_of_whole_tree(&tree)?;
        nothing_else_is_there(&sandbox)?;
        fs::remove_dir_all(sandbox.install().join("debian12.9.0"))?;
    }
    ensure!(killed >= 8, "only {killed} of 16 imports were hit");
    Ok(())
}

fn killed_replacement() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let media = [sandbox.medium("one", BULK)?, sandbox.medium("two", BULK)?];
    let tree = sandbox.install().join(TREE);
    let took = duration(&sandbox, &media[0])?;
    sandbox.import(&media[0])?;
    let mut seen = BTreeMap::new();
    for moment in 0..16 {
        let medium = &media[(moment as usize + 1) % 2];
        let mut child = spawn(&sandbox, medium)?;
        thread::sleep(took * moment / 15);
        child.kill()?;
        child.wait()?;
        let mark = mark_of_whole_tree(&tree).with_context(|| format!("after kill {moment}"))?;
        *seen.entry(mark).or_insert(0) += 1;
    }
    let outcome = sandbox.run("copycds", &[&media[1].iso])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(
        mark_of_whole_tree(&tree)? == "two",
        "the last import is not what is there"
    );
    nothing_else_is_there(&sandbox)
}

fn interrupted() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", BULK)?;
    // The shortest of several: one that has ended cannot be interrupted.
    let took = (0..3).map(|_| duration(&sandbox, &medium));
    let took = took.collect::<Result<Vec<_>>>()?.into_iter().min();
    let _ = fs::remove_dir_all(sandbox.install().join("debian12.9.0"));
    let mut child = spawn(&sandbox, &medium)?;
    thread::sleep(took.unwrap_or_default() / 3);
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()?;
    let ended = child.wait()?;
    ensure!(
        sent.success() && !ended.success(),
        "an interrupted import ended with {ended}"
    );
    let left: Vec<_> = snapshot(sandbox.install())?.into_keys().collect();
    ensure!(left.is_empty(), "left over: {left:?}");
    Ok(())
}

fn two_at_once() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", BULK)?;
    let start = || -> Result<Child> {
        let mut command = sandbox.command("copycds", &[&medium.iso])?;
        Ok(command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?)
    };
    let children = [start()?, start()?];
    let mut done = 0;
    for child in children {
        let ended = child.wait_with_output()?;
        let said = String::from_utf8(ended.stderr)?;
        let refused = said.contains("another import of this tree is running");
        ensure!(
            ended.status.success() || refused,
            "{}: {said}",
            ended.status
        );
        done += u32::from(ended.status.success());
    }
    ensure!(done > 0, "both gave up");
    mark_of_whole_tree(&sandbox.install().join(TREE))?;
    nothing_else_is_there(&sandbox)
}

fn reader_meanwhile() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let media = [sandbox.medium("one", 8)?, sandbox.medium("two", 8)?];
    let tree = sandbox.install().join(TREE);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| -> Result<u32> {
            let mut sights = 0;
            while !done.load(Ordering::Relaxed) {
                // A directory that is held open stays the same tree, whatever takes its name.
                if let Ok(held) = fs::File::open(&tree) {
                    whole_while_held(&held)?;
                    sights += 1;
                }
            }
            Ok(sights)
        });
        let mut result = Ok(());
        for turn in 0..12 {
            let outcome = sandbox.run("copycds", &[&media[turn % 2].iso]);
            result = result.and(outcome.and_then(|outcome| {
                ensure!(outcome.code == Some(0), "{outcome:?}");
                Ok(())
            }));
        }
        done.store(true, Ordering::Relaxed);
        let sights = reader
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the reader panicked")))?;
        result?;
        ensure!(sights > 12, "the reader looked only {sights} times");
        Ok(())
    })
}

/// Whoever reads a tree finds all of one medium in it, or, once another took its place and the old one
/// is being cleared away, names missing: but never bytes of two media under one root.
fn whole_while_held(held: &fs::File) -> Result<()> {
    use std::os::fd::AsRawFd;
    let root = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let read = |name: &str| fs::read_to_string(root.join(name)).ok();
    let (Some(kernel), Some(initrd)) = (read("install.amd/vmlinuz"), read("install.amd/initrd.gz"))
    else {
        return Ok(());
    };
    let mark = |text: &str| text.rsplit(' ').next().map(str::to_owned);
    ensure!(
        mark(&kernel) == mark(&initrd),
        "half of two trees: {kernel:?} and {initrd:?}"
    );
    Ok(())
}

/// A file system in a file, unmounted when it goes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(sandbox: &Sandbox, mib: u64) -> Result<Self> {
        let (image, point) = (sandbox.path("disk.ext4"), sandbox.path("disk"));
        fs::File::create(&image)?.set_len(mib << 20)?;
        fs::create_dir(&point)?;
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-m", "0"])
            .arg(&image)
            .status()?;
        ensure!(made.success(), "mkfs.ext4: {made}");
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &point])
            .status()?;
        ensure!(mounted.success(), "mount: {mounted}");
        fs::remove_dir(point.join("lost+found"))?;
        Ok(Self(point))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that stays is seen: the temporary directory around it cannot be removed.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn full_disk() -> Result<()> {
    let host = Sandbox::new()?;
    let disk = SmallDisk::mount(&host, 24)?;
    let sandbox = Sandbox::on(&disk.0)?;
    let medium = sandbox.medium("one", BULK)?;
    let refused = sandbox.run("copycds", &[&medium.iso])?;
    ensure!(refused.code == Some(1), "{refused:?}");
    ensure!(snapshot(&disk.0)?.is_empty(), "left over on the full disk");
    ensure!(
        refused.stderr.contains("free"),
        "it does not say how much room there is: {refused:?}"
    );
    Ok(())
}

fn unwritable_target() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", 0)?;
    fs::write(sandbox.path("file"), "in the way\n")?;
    fs::create_dir(sandbox.path("elsewhere"))?;
    std::os::unix::fs::symlink("elsewhere", sandbox.path("link"))?;
    for (target, named) in [
        ("file", "file"),
        ("link", "link"),
        ("/proc/slipway", "/proc"),
    ] {
        let path = sandbox.path(target);
        let args = ["-p".as_ref(), path.as_os_str(), medium.iso.as_os_str()];
        let outcome = sandbox.run("copycds", &args)?;
        ensure!(outcome.code == Some(1), "{target}: {outcome:?}");
        ensure!(
            outcome.stderr.contains(named),
            "{named} is not named: {outcome:?}"
        );
    }
    ensure!(
        fs::read(sandbox.path("file"))? == b"in the way\n",
        "the file in the way was touched"
    );
    ensure!(
        snapshot(&sandbox.path("elsewhere"))?.is_empty(),
        "the link was followed"
    );
    Ok(())
}
