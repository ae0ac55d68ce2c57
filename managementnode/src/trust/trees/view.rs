//! `<tree>/.slipway/signed`: the tree by links, with the site's signatures in the place of the medium's.
//!
//! Directories that lead to a signature are real, and all else is a link that is relative: web servers, apt's `copy:` and
//! NFS resolve it wherever the tree is. It grows beside and is exchanged in one rename.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::InstallDir;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::SignatureRecord;
use super::imported::ImportedTree;
use crate::replace;
use crate::trust::openpgp::{SignatureForm, TreeSigner};

/// What says which key signed what.
const RECORD: &str = "signature.json";

/// How the directories begin in which a view is being made.
const STAGING: &str = ".signed-";

/// The view of a tree.
pub(super) struct SignedView {
    path: PathBuf,
}

impl SignedView {
    /// Names it.
    pub(super) fn of(tree: &ImportedTree) -> Self {
        Self {
            path: tree.path.join(InstallDir::SIGNED),
        }
    }

    /// Reads what was signed; `None` where there is nothing, or nothing that can be read.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub(super) fn record(&self) -> Result<Option<SignatureRecord>> {
        let text = replace::read(&self.path.join(RECORD))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Whether every signature is there, and every index that is not as it is in the tree.
    pub(super) fn is_complete(&self, tree: &ImportedTree) -> bool {
        let is_there = |name: &str| {
            fs::symlink_metadata(self.path.join(name)).is_ok_and(|meta| meta.is_file())
        };
        tree.indices.iter().all(|(index, bytes)| {
            let changed = matches!(without_end(bytes), Cow::Owned(_));
            let mut signatures = signatures(index).into_iter();
            (!changed || is_there(index)) && signatures.all(|(name, _)| is_there(&name))
        })
    }

    /// Makes it, in the place of what was there.
    ///
    /// # Errors
    /// When something cannot be signed or written; what was there stays.
    pub(super) fn publish(
        &self,
        tree: &ImportedTree,
        signer: &TreeSigner,
        public: &str,
        record: &SignatureRecord,
    ) -> Result<()> {
        let own = self.path.parent().unwrap_or(&tree.path);
        clear_dead(own)?;
        let files = signed_files(tree, signer, public)?;
        let staging = tempfile::Builder::new()
            .prefix(STAGING)
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(own)
            .with_context(|| format!("making a directory in {}", own.display()))?;
        let links = LinkFarm {
            tree: &tree.path,
            target: staging.path(),
            real: files
                .keys()
                .flat_map(|file| file.ancestors().skip(1))
                .map(Path::to_owned)
                .collect(),
            files: &files,
        };
        links.fill(Path::new(""))?;
        for (name, text) in &files {
            replace::write(&staging.path().join(name), text, 0o644)?;
        }
        let record = serde_json::to_string_pretty(record).context("writing what was signed")?;
        replace::write(
            &staging.path().join(RECORD),
            (record + "\n").as_bytes(),
            0o644,
        )?;
        let publishing = || format!("publishing {}", self.path.display());
        if self.path.exists() {
            let flags = RenameFlags::RENAME_EXCHANGE;
            renameat2(AT_FDCWD, staging.path(), AT_FDCWD, &self.path, flags)
                .with_context(publishing)?;
        } else {
            fs::rename(staging.path(), &self.path).with_context(publishing)?;
            // It has another name now.
            let _ = staging.keep();
        }
        File::open(own)
            .and_then(|directory| directory.sync_all())
            .with_context(publishing)
    }
}

/// Makes what takes the place of the tree's own files: signatures, and indices that are not as they are there.
fn signed_files(
    tree: &ImportedTree,
    signer: &TreeSigner,
    public: &str,
) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for (index, bytes) in &tree.indices {
        let bytes = without_end(bytes);
        for (name, form) in signatures(index) {
            let text = match form {
                Some(form) => signer.sign(&bytes, form)?,
                None => public.to_owned(),
            };
            files.insert(PathBuf::from(name), text.into_bytes());
        }
        if let Cow::Owned(bytes) = bytes {
            files.insert(PathBuf::from(index), bytes);
        }
    }
    Ok(files)
}

/// Returns the files that vouch for an index, each with how it is signed; the public key is not.
fn signatures(index: &str) -> Vec<(String, Option<SignatureForm>)> {
    use SignatureForm::{Clear, Detached};
    match index.strip_suffix("Release") {
        Some(suite) => vec![
            (format!("{suite}InRelease"), Some(Clear)),
            (format!("{suite}Release.gpg"), Some(Detached)),
        ],
        None => vec![
            (format!("{index}.asc"), Some(Detached)),
            (format!("{index}.key"), None),
        ],
    }
}

/// Leaves out until when an index of apt's counts (`Valid-Until`): it is for mirrors that are brought up to date, and what
/// the site signs is a medium, which stays as it is.
fn without_end(index: &[u8]) -> Cow<'_, [u8]> {
    let is_end = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"Valid-Until"))
    };
    let lines = || index.split_inclusive(|byte| *byte == b'\n');
    if !lines().any(is_end) {
        return Cow::Borrowed(index);
    }
    let kept: Vec<_> = lines().filter(|line| !is_end(line)).collect();
    Cow::Owned(kept.concat())
}

/// Removes what killed runs have left.
fn clear_dead(own: &Path) -> Result<()> {
    let reading = || format!("reading {}", own.display());
    for entry in fs::read_dir(own).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// A tree by links.
struct LinkFarm<'a> {
    tree: &'a Path,
    target: &'a Path,
    /// Directories that are no links.
    real: BTreeSet<PathBuf>,
    /// What takes the place of the tree's.
    files: &'a BTreeMap<PathBuf, Vec<u8>>,
}

impl LinkFarm<'_> {
    /// Fills a directory, which is there.
    fn fill(&self, directory: &Path) -> Result<()> {
        let from = self.tree.join(directory);
        let reading = || format!("reading {}", from.display());
        // The view is two directories below the tree.
        let up = "../".repeat(2 + directory.components().count());
        for entry in fs::read_dir(&from).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let name = directory.join(entry.file_name());
            let kind = entry.file_type().with_context(reading)?;
            let to = self.target.join(&name);
            let making = || format!("making {}", to.display());
            if self.real.contains(&name) {
                if !kind.is_dir() {
                    bail!("{} is no directory", entry.path().display());
                }
                fs::create_dir(&to)
                    .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(0o755)))
                    .with_context(making)?;
                self.fill(&name)?;
                continue;
            }
            let is_record = |name: &Path| name == Path::new(".slipway");
            if self.files.contains_key(&name) || is_record(&name) || is_record(directory) {
                continue;
            }
            let mut leads = Path::new(&up).join(&name);
            if kind.is_symlink() {
                let own = fs::read_link(entry.path()).with_context(reading)?;
                // A suite's other name is that of the signed one.
                if own.components().count() == 1 && own.file_name().is_some() {
                    leads = own;
                }
            }
            symlink(&leads, &to).with_context(making)?;
        }
        Ok(())
    }
}
