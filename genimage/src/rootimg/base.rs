//! A container image as what packages are installed into, and whether what came of it can boot.
//!
//! The image that the spec names comes in; one archive for the namespace goes out, then what it could not hold is put
//! back into the root. Nothing of the image is unpacked or run outside of the namespace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::build::{BuildOutcome, memory};
use super::container::boot_check::{BootNeed, boot_needs};
use super::container::host::take_back;
use super::container::network::ensure_network;
use super::container::release::check_release;
use super::namespace;
use super::root::{RootRecord, open};
use super::spec::RootSpec;
use super::tree::{Entry, Kind, RootTree};

/// The one extended attribute that a user namespace may set.
const CAPABILITY: &str = "security.capability";

/// Where is written from outside of the root: by package managers of the management node, and by us.
const WRITTEN: [&str; 19] = [
    "dev",
    "etc/apt",
    "etc/dnf",
    "etc/pki/rpm-gpg",
    "etc/yum.repos.d",
    "etc/zypp/repos.d",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr/lib/sysimage/rpm",
    "usr/sbin",
    "var/cache/apt/archives/partial",
    "var/cache/dnf",
    "var/cache/zypp",
    "var/lib/dnf",
    "var/lib/dpkg",
    "var/lib/rpm",
    "var/log",
];

/// What packages are installed into.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) archive: PathBuf,
    /// Devices, which a user namespace may not make.
    devices: Vec<(Vec<u8>, Entry)>,
    notes: Vec<String>,
}

impl Base {
    /// Merges the layers of the image that a root is made from, and takes back what is a container's; `None` when it is
    /// made from packages alone.
    ///
    /// # Errors
    /// When the image is damaged, of another release, or larger than `limit`.
    pub(super) fn prepare(spec: &RootSpec, staging: &Path, limit: u64) -> Result<Option<Self>> {
        let Some(image) = &spec.base else {
            return Ok(None);
        };
        eprintln!("genimage: reading the container image");
        let mut tree = image
            .tree(staging, limit)
            .context("reading the container image")?;
        if let Some(distro) = &spec.definition.osvers {
            check_release(&tree, distro)?;
        }
        tree.check_owners(namespace::COUNT)
            .context("reading the container image")?;
        for path in WRITTEN {
            tree.check_inside(path)
                .context("reading the container image")?;
        }
        let mut notes = Vec::new();
        notes.extend(bootc_note(image.is_bootc, &tree));
        notes.extend(take_back(&mut tree));
        let lost = tree.keep_xattrs(|name| name == CAPABILITY);
        if let Some(first) = lost.first() {
            notes.push(format!(
                "{} files lose extended attributes that are no capabilities, such as {first}",
                lost.len()
            ));
        }
        let is_device = |entry: &Entry| matches!(entry.kind, Kind::Character(..) | Kind::Block(..));
        let devices: Vec<(Vec<u8>, Entry)> = tree
            .entries()
            .filter(|(_, entry)| is_device(entry))
            .map(|(path, entry)| (path.to_vec(), entry.clone()))
            .collect();
        for (path, _) in &devices {
            tree.remove(path);
        }
        let archive = staging.join("base.tar");
        let writing = || format!("writing {}", archive.display());
        let file = File::create(&archive).with_context(writing)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        tree.write(&mut out).with_context(writing)?;
        out.flush().with_context(writing)?;
        Ok(Some(Self {
            archive,
            devices,
            notes,
        }))
    }

    /// Makes a root complete that packages were installed into, and returns what a person should know.
    ///
    /// # Errors
    /// When no machine could boot it, with what it lacks.
    pub(super) fn complete(self, tree: &mut RootTree, spec: &RootSpec) -> Result<Vec<String>> {
        let mut notes = self.notes;
        for (path, entry) in self.devices {
            tree.insert(path, entry);
        }
        notes.extend(ensure_network(tree, spec.epoch()));
        let needs = boot_needs(tree, spec.form());
        let missing: Vec<_> = needs
            .iter()
            .filter(|need| need.prevents_boot())
            .map(BootNeed::sentence)
            .collect();
        ensure!(missing.is_empty(), "the image {}", missing.join("; it "));
        Ok(notes)
    }
}

fn bootc_note(labelled: bool, tree: &RootTree) -> Option<String> {
    let is_bootc = labelled || tree.open(b"usr/lib/ostree/prepare-root.conf").is_some();
    is_bootc.then(|| {
        "it is a bootc image: it boots here as any other root, and is updated by another build, not by bootc upgrade"
            .to_owned()
    })
}

/// Says whether the container image, or else the root that was built, can boot, and what it lacks.
///
/// # Errors
/// When there is neither, or it cannot be read.
pub(super) fn check(spec: &RootSpec) -> Result<BuildOutcome> {
    let name = &spec.definition.name;
    let mut notes = Vec::new();
    let tree = match &spec.base {
        Some(image) => {
            let tree = image
                .tree(spec.installdir.path(), memory()?)
                .context("reading the container image")?;
            if let Some(distro) = &spec.definition.osvers {
                check_release(&tree, distro)?;
            }
            notes.extend(bootc_note(image.is_bootc, &tree));
            tree
        }
        None => {
            let record = RootRecord::load(&spec.directory)?.with_context(|| {
                format!("the osimage {name} has no root image yet: genimage {name} builds it")
            })?;
            let mut tree = RootTree::default();
            tree.read(&open(&spec.directory.file(&record.tar))?)?;
            tree
        }
    };
    let mut needs = boot_needs(&tree, spec.form());
    if spec.base.is_none() {
        // It is a file of its own by now.
        needs.retain(|need| !need.is_kernel());
    }
    let lines: Vec<_> = needs
        .iter()
        .map(|need| format!("{name}: {}", need.sentence()))
        .collect();
    let what = if spec.base.is_some() {
        "the container image cannot boot as it is: the osimage's packages have to bring what it lacks"
    } else {
        "the root image cannot boot"
    };
    let prevents = needs.iter().any(BootNeed::prevents_boot);
    Ok(BuildOutcome {
        message: lines.join("\n"),
        notes,
        problems: prevents.then(|| what.to_owned()).into_iter().collect(),
    })
}
