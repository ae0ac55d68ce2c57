//! The programs of a list: on this node, and byte for byte what the list names.
//!
//! A name comes in; a file that may be run, or the reason why there is none, goes out. Bytes are hashed on
//! their way into a temporary file, which gets its name only when size and SHA-256 (FIPS 180-4) are right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::{AtomicFile, ProgramDigest, Runlist, hex};
use sha2::{Digest, Sha256};

use super::paths::NodePaths;
use super::record::EX_TEMPFAIL;
use super::report::step;
use crate::files;
use crate::http::{Failure, Url};
use crate::owner::check_state;

/// The mode of a program and of the directories above it.
const MODE: u32 = 0o755;
/// The longest pause between two tries.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Why a program may not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchError {
    /// The exit code that represents it.
    pub(super) code: i32,
    pub(super) reason: String,
}

impl FetchError {
    /// Says whether another try may help.
    pub(super) fn is_network_failure(&self) -> bool {
        self.code == EX_TEMPFAIL
    }
}

/// Fetches a program of the list unless it is here already.
pub(super) fn ensure(paths: &NodePaths, list: &Runlist, name: &str) -> Result<(), FetchError> {
    let fetch_error = |code, reason: String| FetchError { code, reason };
    let Some(program) = list.programs.get(name) else {
        return Err(fetch_error(127, "the list has no such program".to_owned()));
    };
    let path = paths.program(name);
    let local = |error: anyhow::Error| fetch_error(126, format!("{error:#}"));
    check_state(Path::new("/"), path.parent().unwrap_or(&path)).map_err(local)?;
    if is_right(&path, program).map_err(local)? {
        return Ok(());
    }
    if let Some(identical_program) = identical_program(paths, list, name, program) {
        let identical_program = File::open(identical_program)
            .context("opening its copy")
            .map_err(local)?;
        let copied = place(&path, program, |out| {
            io::copy(&mut identical_program.take(program.size), out)
                .map_err(|e| Failure::Refused(e.to_string()))
        });
        if copied.is_ok() {
            return Ok(());
        }
    }
    let url: Url = list.source.parse().map_err(local)?;
    let fetched = place(&path, program, |out| url.load(name, program.size, out));
    fetched.map_err(|failure| {
        let code = match failure {
            Failure::Network(_) => EX_TEMPFAIL,
            Failure::Absent(_) => 127,
            Failure::Refused(_) => 126,
        };
        fetch_error(code, format!("fetching it from {}: {failure}", list.source))
    })
}

/// Makes sure of all programs; while the network is missing, again and again until the deadline.
///
/// Returns what is still missing then.
pub(super) fn ensure_all(
    paths: &NodePaths,
    list: &Runlist,
    deadline: Instant,
) -> BTreeMap<String, FetchError> {
    let mut pause = Duration::from_secs(1);
    loop {
        let missing: BTreeMap<_, _> = list
            .programs
            .keys()
            .filter_map(|name| Some((name.clone(), ensure(paths, list, name).err()?)))
            .collect();
        let offline = missing.iter().find(|(_, error)| error.is_network_failure());
        let Some((name, error)) = offline else {
            return missing;
        };
        if Instant::now() + pause > deadline {
            return missing;
        }
        step(format!(
            "{name}: {}: trying again in {} s",
            error.reason,
            pause.as_secs()
        ));
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Says whether a file is the program that the list names; gives it its mode if only that is wrong.
fn is_right(path: &Path, program: &ProgramDigest) -> Result<bool> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(false);
    };
    // whose file it is may write it again after this
    let is_ours = meta.is_file() && check_state(Path::new("/"), path).is_ok();
    if !is_ours || meta.len() != program.size {
        return Ok(false);
    }
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut hash = HashWriter::default();
    io::copy(&mut (&mut file).take(program.size + 1), &mut hash).with_context(reading)?;
    if hash.finish() != program.sha256 {
        return Ok(false);
    }
    if meta.permissions().mode() & 0o7777 != MODE {
        file.set_permissions(fs::Permissions::from_mode(MODE))
            .with_context(|| format!("making {} executable", path.display()))?;
    }
    Ok(true)
}

/// Finds a program that is here under another name: `xHRM` is `bridgeprereq`.
fn identical_program(
    paths: &NodePaths,
    list: &Runlist,
    name: &str,
    program: &ProgramDigest,
) -> Option<std::path::PathBuf> {
    let others = list.programs.iter();
    let mut equal = others.filter(|(other, what)| *other != name && *what == program);
    equal.find_map(|(other, _)| {
        let path = paths.program(other);
        is_right(&path, program).ok()?.then_some(path)
    })
}

/// Has a program written, and puts it in its place if it is the right one.
fn place(
    path: &Path,
    program: &ProgramDigest,
    write: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let local = |error: String| Failure::Refused(error);
    let directory = path.parent().unwrap_or(Path::new("/"));
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) {
        let there = path.display();
        return Err(local(format!(
            "{there} is a directory here: remove it first"
        )));
    }
    files::ensure_dir(directory, MODE).map_err(|e| local(format!("{e:#}")))?;
    let keeping = |e: io::Error| local(format!("keeping it in {}: {e}", directory.display()));
    let mut file = AtomicFile::create(path, MODE).map_err(keeping)?;
    let mut hash = HashWriter::default();
    let size = write(&mut TeeWriter(&mut file, &mut hash))?;
    let digest = hash.finish();
    if size != program.size {
        return Err(local(format!(
            "it has {size} bytes and not {}",
            program.size
        )));
    }
    if digest != program.sha256 {
        return Err(local(format!(
            "its SHA-256 is {digest} and not {}: it is not run",
            program.sha256
        )));
    }
    file.commit().map_err(keeping)
}

/// A SHA-256 that bytes are written to.
#[derive(Default)]
struct HashWriter(Sha256);

impl HashWriter {
    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file and the hash of what is written to it.
struct TeeWriter<'a>(&'a mut AtomicFile, &'a mut HashWriter);

impl Write for TeeWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1.write(&bytes[..n])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
