//! A tree as `copycds` published it: what it says of itself, and the indices of packages that are to be signed.
//!
//! Who can change the tree, its record or its manifest decides what is signed. So all of them have to be root's, or ours, and
//! nobody else's to write to; each index has to have the digest that the manifest gives.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::read_bounded;
use crate::trust::directory::check_owner;
use crate::trust::secret::digest;

/// No record, index of an archive or manifest is larger.
const MAX_RECORD: u64 = 4 << 20;
const MAX_INDEX: u64 = 32 << 20;
const MAX_MANIFEST: u64 = 256 << 20;

/// What `copycds` says of a tree, as far as it is read here.
#[derive(Debug, Deserialize)]
struct TreeTrust {
    #[serde(default, rename = "disc")]
    discs: Vec<DiscTrust>,
}

#[derive(Debug, Deserialize)]
struct DiscTrust {
    label: String,
    #[serde(default)]
    trust: String,
}

/// A tree.
pub(super) struct ImportedTree {
    /// Where it is, as it was given and by the directories that lead there.
    pub(super) given: PathBuf,
    pub(super) path: PathBuf,
    /// The text of its record.
    pub(super) record: String,
    /// The text of its manifest.
    pub(super) manifest: Vec<u8>,
    /// A disc that nobody vouched for, where there is one.
    pub(super) unvouched: Option<String>,
    /// What is to be signed, by its path in the tree: `dists/trixie/Release`, `BaseOS/repodata/repomd.xml`.
    pub(super) indices: BTreeMap<String, Vec<u8>>,
}

impl ImportedTree {
    /// Reads a tree.
    ///
    /// # Errors
    /// When `copycds` did not make it, others can change it, or it is not what its manifest says.
    pub(super) fn load(given: &Path) -> Result<Self> {
        let path = fs::canonicalize(given).context("looking for it")?;
        let own = path.join(".slipway");
        if !own.join("tree.toml").is_file() {
            bail!(
                "{} is not there, which copycds leaves in what it imports: nothing else is signed",
                own.join("tree.toml").display()
            );
        }
        if !fs::symlink_metadata(&own).is_ok_and(|meta| meta.is_dir()) {
            bail!("{} is no directory", own.display());
        }
        let (record_path, manifest_path) = (own.join("tree.toml"), own.join("SHA256SUMS"));
        for part in [&path, &own, &record_path, &manifest_path] {
            ours_alone(part)?;
        }
        let reading = || format!("reading {}", record_path.display());
        let record = read_bounded(&record_path, MAX_RECORD)?;
        let record = String::from_utf8(record).with_context(reading)?;
        let trust: TreeTrust = toml::from_str(&record).with_context(reading)?;
        if trust.discs.is_empty() {
            bail!(
                "{} names no disc, so that nobody vouched for one: import the medium again",
                record_path.display()
            );
        }
        let manifest = read_bounded(&manifest_path, MAX_MANIFEST)?;
        let mut indices = BTreeMap::new();
        for (expected, name) in manifest.split(|byte| *byte == b'\n').filter_map(listed) {
            if !is_index(name) {
                continue;
            }
            let bytes = read_bounded(&path.join(name), MAX_INDEX)?;
            if digest(&bytes) != expected {
                bail!(
                    "{name} is not what was imported: run copycds --verify {}, and import its discs again",
                    path.display()
                );
            }
            indices.insert(name.to_owned(), bytes);
        }
        let is_vouched = |disc: &DiscTrust| matches!(disc.trust.as_str(), "signed" | "digest");
        let unvouched = trust.discs.into_iter().find(|disc| !is_vouched(disc));
        Ok(Self {
            given: given.to_owned(),
            path,
            record,
            manifest,
            unvouched: unvouched.map(|disc| disc.label),
            indices,
        })
    }
}

/// Reads a line of the manifest: a digest, two spaces, a path. Names that are escaped are no index's.
fn listed(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (digest, name) = line.split_once("  ")?;
    let is_hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some((digest, name))
}

/// Whether a package manager verifies a file: the index of a suite, or of an rpm-md repository.
fn is_index(name: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let parts: Vec<_> = name.split('/').collect();
    let is = matches!(
        parts[..],
        [.., "dists", _, "Release"] | [.., "repodata", "repomd.xml"]
    );
    is && Path::new(name).components().all(plain)
}

/// Refuses what somebody else can change.
fn ours_alone(path: &Path) -> Result<()> {
    let meta =
        fs::symlink_metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    check_owner(path, &meta, "import the medium as root")?;
    if meta.mode() & 0o022 != 0 {
        bail!(
            "{} can be written to by others (mode {:04o}), and what is signed here nodes install: chmod go-w it",
            path.display(),
            meta.mode() & 0o7777
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_what_package_managers_verify_and_nothing_outside_of_the_tree() {
        for (name, expected) in [
            ("dists/trixie/Release", true),
            (".slipway/discs/2/dists/trixie/Release", true),
            ("repodata/repomd.xml", true),
            ("BaseOS/repodata/repomd.xml", true),
            ("dists/trixie/main/binary-amd64/Release", false),
            ("dists/trixie/InRelease", false),
            ("Release", false),
            ("repomd.xml", false),
            ("../dists/trixie/Release", false),
            ("/dists/trixie/Release", false),
        ] {
            assert_eq!(is_index(name), expected, "{name}");
        }
    }

    #[test]
    fn lines_of_a_manifest_are_digests_and_paths() {
        let digest = "0".repeat(64);
        for (line, expected) in [
            (format!("{digest}  a b"), Some("a b")),
            (format!("\\{digest}  a\\nb"), None),
            ("# disc x  y".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(listed(line.as_bytes()).map(|(_, name)| name), expected);
        }
    }
}
