//! `sign-tree`: the site's signatures of trees that `copycds` published.
//!
//! A tree with its record and manifest comes in (`.slipway/tree.toml`, `.slipway/SHA256SUMS`). What goes out is
//! `.slipway/signed`: the tree by links, where each suite has the site's `InRelease` and `Release.gpg`, and each `repodata`
//! the site's `repomd.xml.asc`, in the place of the medium's own, which stay as they are in the tree. It is there whole or
//! not at all, and is left alone while tree and key are the same. Signed is what has the digest that the manifest gives, and what
//! somebody vouched for when it was imported, unless it is accepted explicitly.

mod imported;
mod view;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::{Catalog, InstallDir, Lock};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::directory::{TrustDirectory, secret};
use super::openpgp::{self, TreeSigner};
use super::output;
use super::roll::Generation;
use super::secret::digest;
use crate::replace;
use imported::ImportedTree;
use view::SignedView;

/// The secret key, and the public one, in the directory of the authorities.
pub(super) const SECRET: &str = "trees.key";
pub(super) const PUBLIC: &str = "trees.asc";

/// How long another run may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What was signed by which key: the same again is no work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SignatureRecord {
    /// SHA-256 of the public key, of the tree's record and of its manifest.
    key: String,
    tree: String,
    manifest: String,
    /// Whether somebody accepted that nobody vouches for the tree.
    unsigned_accepted: bool,
    /// What was signed, from the root of the tree.
    files: Vec<String>,
}

impl SignatureRecord {
    /// Says whether a tree that nobody vouched for is accepted explicitly: now, or for the present signatures, whichever
    /// key made them, as long as the tree is the same.
    ///
    /// # Errors
    /// When nobody vouched for it, and it is not.
    fn is_accepted(
        &self,
        tree: &ImportedTree,
        accept_unsigned: bool,
        present: Option<&Self>,
    ) -> Result<bool> {
        let Some(label) = &tree.unvouched else {
            return Ok(false);
        };
        let is_same = |present: &Self| {
            present.unsigned_accepted
                && (&present.tree, &present.manifest) == (&self.tree, &self.manifest)
        };
        if accept_unsigned || present.is_some_and(is_same) {
            return Ok(true);
        }
        bail!(
            "nobody vouched for '{label}' when it was imported: import it again with its publisher's signed list (copycds \
             --sums) or its digest (--sha256), or sign it all the same: slipway-trust sign-tree --accept-unsigned {}",
            tree.given.display()
        );
    }
}

/// What became of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TreeOutcome {
    Signed,
    WouldSign,
    Unchanged,
    /// It has no index that a package manager verifies.
    NothingToSign,
}

impl TreeOutcome {
    fn words(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::WouldSign => "would be signed",
            Self::Unchanged => "is signed",
            Self::NothingToSign => "has no index to sign",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::WouldSign => "would-sign",
            Self::Unchanged => "unchanged",
            Self::NothingToSign => "nothing-to-sign",
        }
    }
}

/// Makes the key where the authorities are being made.
///
/// # Errors
/// What gpg says, or when it cannot be written.
pub(super) fn make_key(directory: &TrustDirectory, name: &str) -> Result<()> {
    let key = openpgp::generate(name)?;
    // A run that is killed leaves no public key, and the next makes both again: the two never are of two keys.
    replace::remove(&directory.path(PUBLIC))?;
    replace::write(&directory.path(SECRET), key.secret.as_bytes(), 0o600)?;
    replace::write(&directory.path(PUBLIC), key.public.as_bytes(), 0o644)
}

/// Makes the key where there is none, or where another is wanted; says whether it was made.
///
/// # Errors
/// What gpg says, or when it cannot be written.
pub(super) fn renew_key(
    directory: &TrustDirectory,
    name: &str,
    new_key: bool,
    dry_run: bool,
) -> Result<bool> {
    let is_there = [SECRET, PUBLIC]
        .iter()
        .all(|name| directory.path(name).exists());
    let is_wanted = new_key || !is_there;
    if is_wanted && !dry_run {
        make_key(directory, name)?;
    }
    Ok(is_wanted)
}

/// Returns the public keys that nodes are to trust, armoured: one, and two while the authority changes, the one that signs
/// first.
///
/// # Errors
/// When the site has none.
pub(super) fn public_keys(directory: &TrustDirectory) -> Result<String> {
    let path = directory.path(PUBLIC);
    replace::read(&path)?.with_context(|| missing(&path))
}

/// Returns the public key of what signs, armoured.
///
/// # Errors
/// When the site has none.
pub(super) fn public_key(directory: &TrustDirectory) -> Result<String> {
    let path = match directory.rolled(PUBLIC)? {
        Some(roll) => directory.copy(PUBLIC, roll.stage.signing()),
        None => directory.path(PUBLIC),
    };
    replace::read(&path)?.with_context(|| missing(&path))
}

fn missing(path: &Path) -> String {
    format!(
        "the key of trees is missing: {}: put it back from your copy, or run slipway-trust renew trees",
        path.display()
    )
}

/// Signs trees.
///
/// # Errors
/// The first tree that is not to be signed, or cannot be.
pub(super) fn sign(
    catalog: &Catalog,
    trees: &[PathBuf],
    accept_unsigned: bool,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
    let (mut text, mut documents) = (String::new(), Vec::new());
    for tree in trees {
        let signing = || format!("signing {}", tree.display());
        let (outcome, record) =
            sign_one(&directory, tree, accept_unsigned, dry_run).with_context(signing)?;
        text += &format!("{}: {}", tree.display(), outcome.words());
        if record.unsigned_accepted {
            text += ", though nobody vouched for it";
        }
        text += "\n";
        documents.push(json!({
            "tree": tree,
            "outcome": outcome.name(),
            "unsigned_accepted": record.unsigned_accepted,
            "files": record.files,
        }));
    }
    output(
        as_json,
        &text,
        json!({ "dry_run": dry_run, "trees": documents }),
    )
}

fn sign_one(
    directory: &TrustDirectory,
    path: &Path,
    accept_unsigned: bool,
    dry_run: bool,
) -> Result<(TreeOutcome, SignatureRecord)> {
    let public = public_key(directory)?;
    // Before the tree is read: a run that waits here while copycds publishes another tree signs that one.
    let _lock = Lock::acquire(&directory.path(".trees.lock"), TIMEOUT, &mut |text| {
        eprintln!("{text}");
    })?;
    let tree = ImportedTree::load(path)?;
    let view = SignedView::of(&tree);
    let present = view.record()?;
    let mut wanted = SignatureRecord {
        key: digest(public.as_bytes()),
        tree: digest(tree.record.as_bytes()),
        manifest: digest(&tree.manifest),
        unsigned_accepted: false,
        files: tree.indices.keys().cloned().collect(),
    };
    wanted.unsigned_accepted = wanted.is_accepted(&tree, accept_unsigned, present.as_ref())?;
    if tree.indices.is_empty() {
        return Ok((TreeOutcome::NothingToSign, wanted));
    }
    if present.as_ref() == Some(&wanted) && view.is_complete(&tree) {
        return Ok((TreeOutcome::Unchanged, wanted));
    }
    if dry_run {
        return Ok((TreeOutcome::WouldSign, wanted));
    }
    view.publish(&tree, &signer(directory)?, &public, &wanted)?;
    Ok((TreeOutcome::Signed, wanted))
}

/// Takes the key, to sign with it.
///
/// # Errors
/// When it is missing, or others can read it.
pub(super) fn signer(directory: &TrustDirectory) -> Result<TreeSigner> {
    let path = secret_path(directory)?;
    TreeSigner::open(&secret(&path)?.with_context(|| missing(&path))?)
}

/// Returns where the key is that signs.
///
/// # Errors
/// When that cannot be told.
pub(super) fn secret_path(directory: &TrustDirectory) -> Result<PathBuf> {
    let roll = directory.rolled(PUBLIC)?;
    let generation = roll.map_or(Generation::Old, |roll| roll.stage.signing());
    Ok(directory.place(generation).join(SECRET))
}

/// Signs the trees that copycds published again, which another key signed; returns why one is not.
///
/// # Errors
/// When they cannot be listed.
pub(super) fn sign_again(
    directory: &TrustDirectory,
    installdir: &InstallDir,
    dry_run: bool,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for tree in below(installdir.path(), 2)? {
        if !tree.join(InstallDir::SIGNED).exists() {
            continue;
        }
        if let Err(error) = sign_one(directory, &tree, false, dry_run) {
            problems.push(format!("signing {} again: {error:#}", tree.display()));
        }
    }
    Ok(problems)
}

/// Lists the directories that are so many levels below one, which need not be there.
///
/// # Errors
/// When one cannot be read.
pub(super) fn below(directory: &Path, levels: usize) -> Result<Vec<PathBuf>> {
    let mut found = vec![directory.to_owned()];
    for _ in 0..levels {
        let mut next = Vec::new();
        for directory in found {
            let reading = || format!("reading {}", directory.display());
            let entries = match fs::read_dir(&directory) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.with_context(reading)?,
            };
            for entry in entries {
                let entry = entry.with_context(reading)?;
                if entry.file_type().with_context(reading)?.is_dir() {
                    next.push(entry.path());
                }
            }
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

/// Reads a file that has a bound.
pub(super) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>> {
    let reading = || format!("reading {}", path.display());
    let meta = fs::symlink_metadata(path).with_context(reading)?;
    if !meta.is_file() {
        bail!("{} is no regular file", path.display());
    }
    if meta.len() > max {
        bail!("{} has more than {max} bytes", path.display());
    }
    fs::read(path).with_context(reading)
}
