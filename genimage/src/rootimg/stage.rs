//! How a stage in the namespace is run: its plan goes in, its archive is spooled, what it says is kept in a log.
//!
//! A stage that says nothing for too long is ended, with everything that it started. What went wrong is told in the
//! package manager's own words.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::terminal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::base::Base;
use super::inside::NOTE;
use super::namespace;
use super::plan::BuildPlan;
use super::spec::RootSpec;

/// How often it is looked whether a stage is still busy.
const PAUSE: Duration = Duration::from_millis(50);
/// How many of the last lines are kept for an error.
const MAX_LINES: usize = 400;
/// How many lines an error has.
const MAX_SHOWN: usize = 8;
/// The longest line that is kept.
const MAX_LINE: usize = 2000;

/// What a stage said.
#[derive(Debug, Default)]
pub(super) struct StageOutput {
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
    /// The last lines.
    lines: VecDeque<String>,
}

/// What a stage is given.
#[derive(Debug)]
pub(super) struct StageInput<'a> {
    plan: BuildPlan,
    /// Whether it fetches packages.
    network: bool,
    /// The archive of the root that packages are installed into.
    base: Option<&'a Path>,
}

impl<'a> StageInput<'a> {
    /// Has a spec built in so many bytes of memory, or its packages looked up.
    pub(super) fn new(spec: &RootSpec, base: Option<&'a Base>, space: u64, simulate: bool) -> Self {
        Self {
            plan: spec.plan(space, simulate),
            network: spec.is_remote(),
            base: base.map(|base| base.archive.as_path()),
        }
    }
}

/// Writes a plan with its length before it, and the archive after it.
fn feed(mut plan: BuildPlan, base: Option<File>, mut input: ChildStdin) -> Result<()> {
    plan.base = base
        .as_ref()
        .map(|file| Ok::<_, io::Error>(file.metadata()?.len()))
        .transpose()?;
    let text = serde_json::to_vec(&plan)?;
    input.write_all(&(text.len() as u64).to_be_bytes())?;
    input.write_all(&text)?;
    if let Some(mut base) = base {
        io::copy(&mut base, &mut input)?;
    }
    Ok(())
}

/// Runs a plan: its archive is written to `out`, what it says to `log`.
///
/// # Errors
/// When it fails, cannot be written, or says nothing for `idle`.
pub(super) fn run(
    stage: &StageInput<'_>,
    out: &mut dyn Write,
    log: &mut File,
    idle: Duration,
) -> Result<StageOutput> {
    let opening =
        |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    let base = stage.base.map(opening).transpose()?;
    let mut child = namespace::start(stage.network)?;
    let pid = Pid::from_raw(i32::try_from(child.id()).context("reading a process id")?);
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(mut output), Some(errors)) = (input, output, errors) else {
        bail!("reaching the namespace");
    };
    let began = Instant::now();
    let busy = AtomicU64::new(0);
    let touch = || {
        let now = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        busy.store(now, Ordering::Relaxed);
    };
    let (ended, hung) = (AtomicBool::new(false), AtomicBool::new(false));
    let (spooled, said, status) = thread::scope(|scope| {
        // A stage that ends early does not read it; why is in what it says.
        scope.spawn(|| feed(stage.plan.clone(), base, input));
        let reading = scope.spawn(|| read_lines(errors, log, &touch));
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                let last = Duration::from_millis(busy.load(Ordering::Relaxed));
                if began.elapsed().saturating_sub(last) > idle {
                    hung.store(true, Ordering::Relaxed);
                    let _ = kill(pid, Signal::SIGKILL);
                    return;
                }
            }
        });
        let spooled = spool(&mut output, out, stage.plan.space, &touch);
        if spooled.is_err() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        drop(output);
        let said = reading.join();
        let status = child.wait();
        ended.store(true, Ordering::Relaxed);
        (spooled, said, status)
    });
    let said = match said {
        Ok(said) => said.context("writing the log")?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    if hung.load(Ordering::Relaxed) {
        bail!(
            "it printed nothing for {} s and was ended; last: {}",
            idle.as_secs(),
            said.lines.back().map_or("nothing", String::as_str)
        );
    }
    spooled?;
    if !status.context("waiting for the namespace")?.success() {
        bail!("{}", said.reasons().join("; "));
    }
    Ok(said)
}

/// Copies an archive, which is not larger than the memory that the root is in: what a hole of a file says is not there.
fn spool(from: &mut impl Read, to: &mut dyn Write, limit: u64, touch: &impl Fn()) -> Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let mut left = limit;
    loop {
        let read = from
            .read(&mut buffer)
            .context("reading the archive of the root")?;
        if read == 0 {
            return to.flush().context("writing the archive of the root");
        }
        touch();
        left = left.checked_sub(read as u64).with_context(|| {
            format!(
                "the archive of the root has more than the {limit} bytes of memory that the root is built in: a package or \
                 a script left a file with holes"
            )
        })?;
        to.write_all(&buffer[..read])
            .context("writing the archive of the root")?;
    }
}

fn read_lines(from: ChildStderr, log: &mut File, touch: &impl Fn()) -> Result<StageOutput> {
    let mut reader = BufReader::new(from);
    let mut said = StageOutput::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_LINE as u64;
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(said);
        }
        touch();
        log.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        let text = terminal::escaped(text.trim_end(), '\t').into_owned();
        if let Some(note) = text.strip_prefix(NOTE) {
            said.notes.push(note.to_owned());
        }
        said.lines.push_back(text);
        if said.lines.len() > MAX_LINES {
            said.lines.pop_front();
        }
    }
}

impl StageOutput {
    /// Names the packages that apt was not allowed to remove, which its error does not.
    fn kept_packages(&self) -> Option<String> {
        let mut lines = self.lines.iter();
        let refused = |line: &String| line.contains("remove is disabled");
        let begin = |line: &String| line.starts_with("The following packages will be REMOVED");
        lines.clone().any(refused).then_some(())?;
        lines.find(|line| begin(line))?;
        let names: Vec<_> = lines
            .take_while(|line| line.starts_with(' '))
            .flat_map(|line| line.split_whitespace())
            .collect();
        Some(format!(
            "packages of the container image conflict with those of the osimage: {}",
            names.join(", ")
        ))
    }

    /// Returns what the package manager and our own stage say is wrong; the last lines, if they say nothing that is
    /// known.
    fn reasons(&self) -> Vec<String> {
        let all = self.lines.iter().map(|line| line.trim());
        let is_reason = |line: &str| {
            let own = line.starts_with("genimage: ");
            let apt = line.starts_with("E: ") && !line.starts_with("E: setup failed");
            let apt = apt && line != "E: mmdebstrap failed to run";
            let unmet = [
                " : Depends: ",
                " : PreDepends: ",
                " : Conflicts: ",
                " : Breaks: ",
            ];
            let dpkg =
                line.starts_with("dpkg: error") || line.contains("returned error exit status");
            let rpm = [
                "Error:",
                "Problem",
                "- package ",
                "- nothing provides",
                "No provider of",
                "nothing provides",
            ];
            let full = line.contains("No space left on device");
            own || apt
                || dpkg
                || full
                || unmet.iter().any(|word| line.contains(word))
                || rpm.iter().any(|word| line.starts_with(word))
        };
        let mut reasons: Vec<String> = self.kept_packages().into_iter().collect();
        for line in all.clone().filter(|line| is_reason(line)) {
            let line = line.trim_start_matches("genimage: ").to_owned();
            if !reasons.contains(&line) {
                reasons.push(line);
            }
        }
        if reasons.is_empty() {
            reasons = all.map(str::to_owned).collect();
        }
        let more = reasons.len().saturating_sub(MAX_SHOWN);
        reasons.drain(..more);
        reasons
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_archive_that_is_larger_than_the_memory_of_its_root_is_not_spooled() {
        let mut spooled = Vec::new();
        let mut spool_all = |bytes: u64, limit| {
            spooled.clear();
            let copied = spool(&mut io::repeat(0).take(bytes), &mut spooled, limit, &|| ());
            (copied.map_err(|error| error.to_string()), spooled.len())
        };
        assert_eq!(spool_all(600_000, 600_000), (Ok(()), 600_000));
        let (refused, written) = spool_all(u64::MAX, 600_000);
        assert_eq!(
            refused.unwrap_err(),
            "the archive of the root has more than the 600000 bytes of memory that the root is built in: a package or a \
             script left a file with holes"
        );
        assert!(written <= 600_000, "{written}");
    }

    #[test]
    fn the_reason_is_what_the_package_manager_says() {
        let said = |text: &str| StageOutput {
            lines: text.lines().map(str::to_owned).collect(),
            ..StageOutput::default()
        };
        let apt = "I: running\n docker.io : Depends: runc but it is not installable\nE: Unable to correct problems\n\
                   E: setup failed: E: apt-get failed\nE: mmdebstrap failed to run\n\
                   genimage: mmdebstrap failed (exit status: 25)";
        assert_eq!(
            said(apt).reasons(),
            [
                "docker.io : Depends: runc but it is not installable",
                "E: Unable to correct problems",
                "mmdebstrap failed (exit status: 25)"
            ]
        );
        assert_eq!(said("a\nb").reasons(), ["a", "b"]);
        let kept = "The following packages will be REMOVED:\n  one two\n  three\nThe following NEW packages:\n  x\n\
                    E: Packages need to be removed but remove is disabled.";
        assert_eq!(
            said(kept).reasons(),
            [
                "packages of the container image conflict with those of the osimage: one, two, three",
                "E: Packages need to be removed but remove is disabled."
            ]
        );
    }
}
