//! The pipeline of `genimage` for a root image: looked up, installed, finished, published.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use definitions::Lock;

use super::finish::finish;
use super::record::FileRecord;
use super::root::{DigestNamedFile, RootRecord, open, publish_bytes, remove_leftovers};
use super::spec::RootSpec;
use super::stage;
use super::tree::RootTree;

/// What the names of staging directories begin with.
pub(super) const STAGING: &str = ".building-";
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
    /// How long nothing may be printed.
    pub(crate) idle: Duration,
}

/// What became of a root.
#[derive(Debug)]
pub(crate) struct BuildOutcome {
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
}

/// Builds the root of an osimage, unless there is one of the same parts.
///
/// # Errors
/// When it cannot be built; then what was there stays.
pub(crate) fn build(spec: &RootSpec, options: BuildOptions) -> Result<BuildOutcome> {
    let name = &spec.definition.name;
    let directory = spec.directory.path();
    if options.dry_run {
        look_up(spec, options.idle, None)?;
        return Ok(BuildOutcome {
            message: format!("{name}: the repositories have every package, and all that they need"),
            notes: Vec::new(),
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
        });
    }
    remove_leftovers(directory, STAGING)?;
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(directory)
        .with_context(|| format!("making a directory in {}", directory.display()))?;
    let log = directory.join(LOG);
    let built = install(spec, staging.path(), &log, options.idle);
    let (raw, notes) = built.with_context(|| {
        format!(
            "building the root image of {name} (the log is {})",
            log.display()
        )
    })?;
    let record = publish(spec, staging.path(), &raw)
        .with_context(|| format!("publishing the root image of {name}"))?;
    Ok(BuildOutcome {
        message: format!("{name}: built, {}", described(&record)),
        notes,
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
    })
}

/// Waits until no other run works in a directory.
///
/// # Errors
/// When one does for too long.
pub(super) fn lock(directory: &Path) -> Result<Lock> {
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
fn look_up(spec: &RootSpec, idle: Duration, log: Option<&Path>) -> Result<()> {
    let mut log = match log {
        Some(path) => File::create(path).with_context(|| format!("writing {}", path.display()))?,
        None => tempfile::tempfile().context("making a file for what is printed")?,
    };
    eprintln!("genimage: looking up packages");
    let plan = spec.plan(memory()?, true);
    let mut out = std::io::sink();
    stage::run(&plan, spec.is_remote(), &mut out, &mut log, idle)
        .context("looking up the packages, with all that they need")?;
    Ok(())
}

/// Installs into memory, and spools the archive of it.
fn install(
    spec: &RootSpec,
    staging: &Path,
    log: &Path,
    idle: Duration,
) -> Result<(std::path::PathBuf, Vec<String>)> {
    look_up(spec, idle, Some(log))?;
    eprintln!("genimage: installing packages");
    let raw = staging.join("raw.tar");
    let file = File::create(&raw).with_context(|| format!("writing {}", raw.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut log = fs::OpenOptions::new().append(true).open(log)?;
    let plan = spec.plan(memory()?, false);
    let said = stage::run(&plan, spec.is_remote(), &mut out, &mut log, idle)
        .context("installing the packages")?;
    out.flush()
        .with_context(|| format!("writing {}", raw.display()))?;
    Ok((raw, said.notes))
}

/// Returns how much memory a root may take: four fifths of what is available, up to a limit.
fn memory() -> Result<u64> {
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
fn publish(spec: &RootSpec, staging: &Path, raw: &Path) -> Result<RootRecord> {
    eprintln!("genimage: writing the image's tree");
    let mut tree = RootTree::default();
    tree.read(&open(raw)?)?;
    let kernel = Kernel::find(&tree, spec.definition.kernelver.as_deref())?;
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

/// The kernel of a root.
#[derive(Debug, PartialEq, Eq)]
struct Kernel {
    version: String,
    path: Vec<u8>,
}

impl Kernel {
    /// Finds the one kernel that has modules, or the one that is named.
    fn find(tree: &RootTree, wanted: Option<&str>) -> Result<Self> {
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for modules in ["usr/lib/modules", "lib/modules"] {
            for name in tree.names(modules.as_bytes()) {
                let Ok(version) = std::str::from_utf8(name) else {
                    continue;
                };
                let places = [
                    format!("boot/vmlinuz-{version}"),
                    format!("boot/vmlinux-{version}"),
                    format!("boot/Image-{version}"),
                    format!("{modules}/{version}/vmlinuz"),
                ];
                let path = places
                    .iter()
                    .find(|path| tree.open(path.as_bytes()).is_some());
                if let Some(path) = path {
                    found.insert(version.to_owned(), path.clone().into_bytes());
                }
            }
        }
        let all = || found.keys().cloned().collect::<Vec<_>>().join(", ");
        let version = match (wanted, found.len()) {
            (Some(wanted), _) if found.contains_key(wanted) => wanted.to_owned(),
            (Some(wanted), 0) => bail!("the image has no kernel, and kernelver asks for {wanted}"),
            (Some(wanted), _) => bail!(
                "the image has no kernel {wanted}, which kernelver asks for: it has {}",
                all()
            ),
            (None, 0) => bail!(
                "the image has no kernel with its modules: name its package in pkglist, such as linux-image-amd64 or \
                 kernel"
            ),
            (None, 1) => all(),
            (None, _) => bail!(
                "the image has several kernels ({}): name one as kernelver",
                all()
            ),
        };
        let path = found.remove(&version).context("finding the kernel")?;
        Ok(Self { version, path })
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
