//! The pipeline of `genimage` for a root image: looked up, installed, finished, published.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use definitions::Lock;

use super::base::{Base, check};
use super::finish::finish;
use super::kernel::Kernel;
use super::record::FileRecord;
pub(crate) use super::root::remove_leftovers;
use super::root::{DigestNamedFile, RootRecord, open, publish_bytes};
use super::spec::RootSpec;
use super::stage::{self, StageInput};
use super::tree::RootTree;

/// What the names of staging directories begin with.
pub(crate) const STAGING: &str = ".building-";
/// What one run at a time holds, of genimage and of packimage.
const LOCK: &str = ".lock";
/// What the package manager and the scripts have said.
const LOG: &str = "genimage.log";
/// How long another run is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3600);
/// The least memory that a root can be built in.
const MIN_MEMORY: u64 = 256 << 20;
/// The most memory, and so the most bytes that a root has: packed, nodes keep it in theirs.
const MAX_MEMORY: u64 = 32 << 30;
/// The largest record of installed packages.
const MAX_STATUS: u64 = 64 << 20;

/// How a root is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuildOptions {
    /// Build although nothing has changed.
    pub(crate) rebuild: bool,
    /// Only look up the packages.
    pub(crate) dry_run: bool,
    /// Only say what has changed.
    pub(crate) diff: bool,
    /// Only say whether it can boot.
    pub(crate) check: bool,
    /// How long nothing may be printed.
    pub(crate) idle: Duration,
}

/// What became of a root.
#[derive(Debug)]
pub(crate) struct BuildOutcome {
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
    /// What is wrong with what was found.
    pub(crate) problems: Vec<String>,
}

/// Builds the root of an osimage, unless there is one of the same parts.
///
/// # Errors
/// When it cannot be built; then what was there stays.
pub(crate) fn build(spec: &RootSpec, options: BuildOptions) -> Result<BuildOutcome> {
    let name = &spec.definition.name;
    let directory = spec.directory.path();
    if options.check {
        return check(spec);
    }
    if options.dry_run {
        let staging = tempfile::tempdir_in(spec.installdir.path()).with_context(|| {
            format!("making a directory in {}", spec.installdir.path().display())
        })?;
        let base = Base::prepare(spec, staging.path(), memory()?)?;
        look_up(spec, base.as_ref(), options.idle, None)?;
        return Ok(BuildOutcome {
            message: format!("{name}: the repositories have every package, and all that they need"),
            notes: Vec::new(),
            problems: Vec::new(),
        });
    }
    if options.diff {
        return difference(spec);
    }
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let _lock = lock(directory)?;
    if !options.rebuild
        && let Some(record) = RootRecord::load(&spec.directory)?
        && record.built_from == spec.key()
    {
        return Ok(BuildOutcome {
            message: format!("{name}: is up to date: {}", described(&record)),
            notes: Vec::new(),
            problems: Vec::new(),
        });
    }
    remove_leftovers(directory, STAGING)?;
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(directory)
        .with_context(|| format!("making a directory in {}", directory.display()))?;
    let log = directory.join(LOG);
    let base = Base::prepare(spec, staging.path(), memory()?)?;
    let built = install(spec, base.as_ref(), staging.path(), &log, options.idle);
    let (raw, mut notes) = built.with_context(|| {
        format!(
            "building the root image of {name} (the log is {})",
            log.display()
        )
    })?;
    let record = publish(spec, base, staging.path(), &raw, &mut notes)
        .with_context(|| format!("publishing the root image of {name}"))?;
    Ok(BuildOutcome {
        message: format!("{name}: built, {}", described(&record)),
        notes,
        problems: Vec::new(),
    })
}

/// Says what has changed since a root was built.
fn difference(spec: &RootSpec) -> Result<BuildOutcome> {
    let name = &spec.definition.name;
    let message = match RootRecord::load(&spec.directory)? {
        None => format!("{name}: would be built: there is no image yet"),
        Some(record) if record.built_from == spec.key() => format!("{name}: is up to date"),
        Some(record) => {
            let (old, new) = (&record.parts, &spec.parts);
            let removed = old.keys().filter(|part| !new.contains_key(*part));
            let removed = removed.map(|part| format!("{name}: {part} is no part of it any more"));
            let others = new.iter().filter_map(|(part, digest)| match old.get(part) {
                None => Some(format!("{name}: {part} is new")),
                Some(known) if known != digest => Some(format!("{name}: {part} has changed")),
                Some(_) => None,
            });
            removed.chain(others).collect::<Vec<_>>().join("\n")
        }
    };
    Ok(BuildOutcome {
        message,
        notes: Vec::new(),
        problems: Vec::new(),
    })
}

/// Waits until no other run works in a directory.
///
/// # Errors
/// When one does for too long.
pub(crate) fn lock(directory: &Path) -> Result<Lock> {
    let waiting = &mut |what: &str| eprintln!("{what}, which works in {}", directory.display());
    Lock::acquire(&directory.join(LOCK), LOCK_TIMEOUT, waiting)
}

fn described(record: &RootRecord) -> String {
    format!(
        "{} packages, kernel {}, {:.1} MB",
        record.packages.len(),
        record.kernel_version,
        record.unpacked_bytes as f64 / 1e6
    )
}

/// Looks up the packages with everything that they need, by the package manager that installs them.
fn look_up(spec: &RootSpec, base: Option<&Base>, idle: Duration, log: Option<&Path>) -> Result<()> {
    let mut log = match log {
        Some(path) => File::create(path).with_context(|| format!("writing {}", path.display()))?,
        None => tempfile::tempfile().context("making a file for what is printed")?,
    };
    eprintln!("genimage: looking up packages");
    let input = StageInput::new(spec, base, memory()?, true);
    let mut out = std::io::sink();
    stage::run(&input, &mut out, &mut log, idle)
        .context("looking up the packages, with all that they need")?;
    Ok(())
}

/// Installs into memory, and spools the archive of it.
fn install(
    spec: &RootSpec,
    base: Option<&Base>,
    staging: &Path,
    log: &Path,
    idle: Duration,
) -> Result<(std::path::PathBuf, Vec<String>)> {
    look_up(spec, base, idle, Some(log))?;
    eprintln!("genimage: installing packages");
    let raw = staging.join("raw.tar");
    let file = File::create(&raw).with_context(|| format!("writing {}", raw.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut log = fs::OpenOptions::new().append(true).open(log)?;
    let input = StageInput::new(spec, base, memory()?, false);
    let said = stage::run(&input, &mut out, &mut log, idle).context("installing the packages")?;
    out.flush()
        .with_context(|| format!("writing {}", raw.display()))?;
    Ok((raw, said.notes))
}

/// Returns how much memory a root may take: four fifths of what is available, up to a limit.
///
/// # Errors
/// When it cannot be read, or is too little.
pub(super) fn memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let bytes = kilobytes.context("reading MemAvailable of /proc/meminfo")? * 1024 / 5 * 4;
    ensure!(
        bytes >= MIN_MEMORY,
        "only {bytes} bytes of memory are available: a root image is built in memory"
    );
    Ok(bytes.min(MAX_MEMORY))
}

/// Finishes the root, and publishes it with its kernel, its manifest and its record.
fn publish(
    spec: &RootSpec,
    base: Option<Base>,
    staging: &Path,
    raw: &Path,
    notes: &mut Vec<String>,
) -> Result<RootRecord> {
    eprintln!("genimage: writing the image's tree");
    let mut tree = RootTree::default();
    tree.read(&open(raw)?)?;
    if let Some(base) = base {
        notes.splice(0..0, base.complete(&mut tree, spec)?);
    }
    let kernel = Kernel::find(&tree, spec.definition.kernelver.as_deref())?;
    let kernel_options = kernel.options(&tree);
    let packages = packages(&tree);
    let directory = spec.directory.path();
    let (_, mut reader) = tree.open(&kernel.path).context("reading the kernel")?;
    let kernel_file = publish_bytes(staging, directory, ("kernel", None), &mut reader)?;
    drop(reader);
    finish(&mut tree, spec)?;
    let mut out = BufWriter::with_capacity(1 << 20, DigestNamedFile::create(staging)?);
    let written = tree.write(&mut out)?;
    let out = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    let tar = out.publish(directory, "root", Some("tar"))?;
    let mut manifest = written.manifest.as_bytes();
    let manifest = publish_bytes(
        staging,
        directory,
        ("root", Some("sha256sums")),
        &mut manifest,
    )?;
    let old = RootRecord::load(&spec.directory).ok().flatten();
    let record = RootRecord {
        osimage: spec.definition.name.clone(),
        built_from: spec.key(),
        parts: spec.parts.clone(),
        packages,
        tar,
        manifest,
        kernel: kernel_file,
        kernel_version: kernel.version,
        kernel_options,
        unpacked_bytes: written.unpacked,
        epoch: spec.epoch(),
    };
    record.save(&spec.directory)?;
    // Nodes are not given the tar; kernels and packed images are packimage's to remove.
    for file in old.iter().flat_map(|old| [&old.tar]) {
        remove_unless(directory, file, &record.tar);
    }
    Ok(record)
}

fn remove_unless(directory: &Path, file: &FileRecord, current: &FileRecord) {
    if file.file != current.file {
        // It is read by nobody, and the next run says so again if it stays.
        let _ = fs::remove_file(directory.join(&file.file));
    }
}

/// Lists the packages of a root that dpkg has installed, with their versions; rpm's are in a database of its own.
fn packages(tree: &RootTree) -> BTreeMap<String, String> {
    let status = tree
        .text("var/lib/dpkg/status", MAX_STATUS)
        .unwrap_or_default();
    let mut found = BTreeMap::new();
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if let (Some(name), Some(version), Some("install ok installed")) =
            (field("Package"), field("Version"), field("Status"))
        {
            found.insert(name.to_owned(), version.to_owned());
        }
    }
    found
}
