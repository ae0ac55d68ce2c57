//! What a node fetches, on disk: `<installdir>/autoinst/<node>/`, whole or not at all.
//!
//! Rendered files come in; a directory for each node goes out, written only where it differs from what
//! is there. All nodes are staged first, one syncfs(2) puts them on the disk, and one rename each publishes
//! them, so that a node that installs meanwhile sees the old assets or the new and never both. Killed at
//! any moment, each node has the one or the other; the next run clears what was staged. A file that is no
//! asset of ours is never taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::Gid;
use serde::Serialize;

use crate::node_archive::NodeArchive;
use crate::packing::pack;
use crate::published::PublishedDir;

/// Where all nodes are staged, beside them; no node has a name that begins with a dot.
const STAGING: &str = ".staging";

/// What the names of detached signatures end with.
const SIGNATURE: &str = ".sig";

/// What the one who writes holds.
const LOCK: &str = ".lock";

/// How long another writer may take, for thousands of nodes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

/// The rendered files of one node, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assets {
    files: BTreeMap<String, Vec<u8>>,
    /// Those that are packed when they are written, which takes longer than to compare them with what is published.
    packed: BTreeSet<String>,
    /// Those that this group alone may read beside their owner.
    restricted: BTreeMap<String, Gid>,
}

impl Assets {
    /// Adds a file.
    pub(crate) fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), bytes.into());
    }

    /// Adds a file that is packed when it is written.
    pub(crate) fn add_packed(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let name = name.into();
        self.packed.insert(name.clone());
        self.add(name, bytes);
    }

    /// Writes one text in the place of another, which must be as long, in every file.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        for bytes in self.files.values_mut() {
            let found: Vec<_> = memchr::memmem::find_iter(bytes, from).collect();
            for at in found {
                bytes.splice(at..at + from.len(), to.bytes());
            }
        }
    }

    /// Names the files that hold a text.
    pub(crate) fn holding(&self, text: &[u8]) -> Vec<String> {
        let holding = self
            .files()
            .filter(|(_, bytes)| memchr::memmem::find(bytes, text).is_some());
        holding.map(|(name, _)| name.to_owned()).collect()
    }

    /// Returns the group that a file is kept for.
    pub(crate) fn group(&self, name: &str) -> Option<Gid> {
        self.restricted.get(name).copied()
    }

    /// Returns a file, as it is before it is packed.
    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// Keeps a file from everybody but its owner and a group.
    pub(crate) fn restrict(&mut self, name: impl Into<String>, group: Gid) {
        self.restricted.insert(name.into(), group);
    }

    /// Returns the files, as they are before they are packed.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

/// Whether a name is one that a node's assets have, have had, or may have.
pub(crate) fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "agama.json",
        "autoinst.xml",
        NodeArchive::FILE,
        NodeArchive::OF_ROOT_IMAGE,
        "boot.ipxe",
        "ks.cfg",
        "meta-data",
        "postscripts.json",
        "preseed.cfg",
        "user-data",
        "vendor-data",
    ];
    NAMES.contains(&name) || name.ends_with(".asc") || name.ends_with(SIGNATURE)
}

/// How a file differs from the published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileDifference {
    /// The file's name.
    pub(crate) file: String,
    /// What is to happen to it.
    pub(crate) change: AssetChange,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AssetChange {
    /// It is added.
    New,
    /// Its content changes.
    Changed,
    /// It is taken away.
    Removed,
}

/// The directory of all nodes' assets.
#[derive(Debug, Clone)]
pub(crate) struct AssetsDir(PathBuf);

impl AssetsDir {
    /// Names the directory: `<installdir>/autoinst`.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Compares a node's assets with the published ones.
    ///
    /// # Errors
    /// When a published file cannot be read, or is not a directory of assets.
    pub(crate) fn compare(&self, node: &str, assets: &Assets) -> Result<Vec<FileDifference>> {
        let mut published = PublishedDir::open(self.0.join(node))?;
        let mut is_same = BTreeMap::new();
        for name in published.names()? {
            let mut file = published.file(&name)?;
            let same = match assets.files.get(&name) {
                Some(wanted) if !file.is_open || !assets.restricted.contains_key(&name) => {
                    file.holds(wanted, assets.packed.contains(&name))?
                }
                _ => false,
            };
            is_same.insert(name, same);
        }
        let wanted = assets.files.keys();
        let wanted = wanted.filter_map(|file| match is_same.get(file) {
            Some(true) => None,
            Some(false) => Some((file, AssetChange::Changed)),
            None => Some((file, AssetChange::New)),
        });
        // The signature of a file is made when that is published, and differs with it alone.
        let is_wanted = |file: &str| {
            let signed = file.strip_suffix(SIGNATURE).unwrap_or(file);
            assets.files.contains_key(file) || assets.files.contains_key(signed)
        };
        let removed = is_same.keys().filter(|file| !is_wanted(file));
        let removed = removed.map(|file| (file, AssetChange::Removed));
        let differences = wanted.chain(removed).map(|(file, change)| FileDifference {
            file: file.clone(),
            change,
        });
        Ok(differences.collect())
    }

    /// Returns a published file, to be shown; one that does not exist is empty.
    pub(crate) fn read(&self, node: &str, file: &str) -> Vec<u8> {
        let published = PublishedDir::open(self.0.join(node));
        let bytes = published.and_then(|published| published.file(file)?.bytes());
        bytes.unwrap_or_default()
    }

    /// Begins to write: waits for other writers, and clears what a killed one left.
    ///
    /// # Errors
    /// When the directory cannot be made, locked or cleared.
    pub(crate) fn writer(&self) -> Result<AssetsWriter<'_>> {
        let directory = &self.0;
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        // Who may read a directory may lock it, and all may read this one.
        let lock = Lock::acquire(&directory.join(LOCK), LOCK_TIMEOUT, &mut |_| {})?;
        let opened =
            File::open(directory).with_context(|| format!("opening {}", directory.display()))?;
        let writer = AssetsWriter {
            assets_dir: self,
            directory: opened,
            _lock: lock,
        };
        writer.clear()?;
        make_directory(&writer.staging())?;
        Ok(writer)
    }
}

/// The one who writes.
#[derive(Debug)]
pub(crate) struct AssetsWriter<'a> {
    assets_dir: &'a AssetsDir,
    directory: File,
    /// Held until all is published.
    _lock: Lock,
}

impl AssetsWriter<'_> {
    fn staging(&self) -> PathBuf {
        self.assets_dir.0.join(STAGING)
    }

    fn clear(&self) -> Result<()> {
        let staging = self.staging();
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("clearing {}", staging.display()))
            }
            _ => Ok(()),
        }
    }

    /// Writes a node's assets where nobody looks yet; several nodes at once are fine.
    ///
    /// # Errors
    /// When something cannot be written; nothing is published.
    pub(crate) fn stage(&self, node: &str, assets: &Assets) -> Result<()> {
        let directory = self.staging().join(node);
        make_directory(&directory)?;
        for (name, bytes) in assets.files() {
            let path = directory.join(name);
            let packed = assets.packed.contains(name).then(|| pack(bytes));
            let packed = packed.transpose();
            let packed = packed.with_context(|| format!("packing {}", path.display()))?;
            let bytes = packed.as_deref().unwrap_or(bytes);
            let group = assets.restricted.get(name);
            let mut options = OpenOptions::new();
            // nobody else may open it before it is the group's
            let mode = if group.is_some() { 0o600 } else { 0o644 };
            options.write(true).create_new(true).mode(mode);
            let written = options.open(&path).and_then(|mut file| {
                if let Some(group) = group {
                    fchown(&file, None, Some(group.as_raw()))?;
                    file.set_permissions(Permissions::from_mode(0o640))?;
                }
                file.write_all(bytes)
            });
            written.with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// Names a file of a node that is staged.
    pub(crate) fn staged(&self, node: &str, file: &str) -> PathBuf {
        self.staging().join(node).join(file)
    }

    /// Publishes what was staged, node by node, and ends.
    ///
    /// # Errors
    /// When the disk does not take what was staged, or a rename is refused; the nodes before it are
    /// published, the others have what they had.
    pub(crate) fn publish(self, nodes: &[&str]) -> Result<()> {
        let directory = &self.assets_dir.0;
        nix::unistd::syncfs(&self.directory)
            .map_err(io::Error::from)
            .with_context(|| format!("writing {} to the disk", directory.display()))?;
        for node in nodes {
            let target = directory.join(node);
            exchange(&self.staging().join(node), &target)
                .with_context(|| format!("publishing {}", target.display()))?;
        }
        self.directory
            .sync_all()
            .with_context(|| format!("writing {} to the disk", directory.display()))?;
        self.clear()
    }
}

fn make_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o755).create(path);
    made.with_context(|| format!("making {}", path.display()))
}

/// Exchanges two directories: the old one ends up in the staging area.
fn exchange(from: &Path, to: &Path) -> io::Result<()> {
    let rename = |flags| renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
    match rename(RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => return Ok(()),
        Err(Errno::ENOENT) => return fs::rename(from, to),
        Err(Errno::EINVAL | Errno::ENOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    // A file system without exchange (NFS): for a moment there is neither.
    let old = from.with_extension("old");
    match fs::rename(to, &old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn assets(files: &[(&str, &str)]) -> Assets {
        let mut assets = Assets::default();
        for (name, text) in files {
            assets.add(*name, *text);
        }
        assets
    }

    fn write(assets_dir: &AssetsDir, node: &str, assets: &Assets) {
        let writer = assets_dir.writer().unwrap();
        writer.stage(node, assets).unwrap();
        writer.publish(&[node]).unwrap();
    }

    fn changes(assets_dir: &AssetsDir, node: &str, assets: &Assets) -> Vec<(String, AssetChange)> {
        let differences = assets_dir.compare(node, assets).unwrap();
        let changes = differences.into_iter();
        changes
            .map(|difference| (difference.file, difference.change))
            .collect()
    }

    #[test]
    fn a_node_has_what_was_written_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let assets_dir = AssetsDir::new(dir.path().join("autoinst"));
        let first = assets(&[("preseed.cfg", "one"), ("boot.ipxe", "same")]);
        assert_eq!(
            changes(&assets_dir, "n1", &first),
            [
                ("boot.ipxe".to_owned(), AssetChange::New),
                ("preseed.cfg".to_owned(), AssetChange::New)
            ]
        );
        write(&assets_dir, "n1", &first);
        assert!(changes(&assets_dir, "n1", &first).is_empty());
        let path = dir.path().join("autoinst/n1/preseed.cfg");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );

        let second = assets(&[("ks.cfg", "two"), ("boot.ipxe", "other")]);
        assert_eq!(
            changes(&assets_dir, "n1", &second),
            [
                ("boot.ipxe".to_owned(), AssetChange::Changed),
                ("ks.cfg".to_owned(), AssetChange::New),
                ("preseed.cfg".to_owned(), AssetChange::Removed)
            ]
        );
        write(&assets_dir, "n1", &second);
        assert!(!path.exists());
        assert!(changes(&assets_dir, "n1", &second).is_empty());
        let left = fs::read_dir(dir.path().join("autoinst")).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", "n1"]);
    }

    #[test]
    fn a_file_with_a_secret_is_its_group_s_alone_and_one_that_was_open_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let assets_dir = AssetsDir::new(dir.path().join("autoinst"));
        let mut wanted = assets(&[("preseed.cfg", "secret"), ("boot.ipxe", "same")]);
        write(&assets_dir, "n1", &wanted);
        // nobody but root may give a file to another group than an own one
        wanted.restrict("preseed.cfg", nix::unistd::getegid());
        let changed = [("preseed.cfg".to_owned(), AssetChange::Changed)];
        assert_eq!(changes(&assets_dir, "n1", &wanted), changed);
        write(&assets_dir, "n1", &wanted);
        assert!(changes(&assets_dir, "n1", &wanted).is_empty());
        for (name, mode) in [("preseed.cfg", 0o640), ("boot.ipxe", 0o644)] {
            let path = dir.path().join("autoinst/n1").join(name);
            let found = fs::metadata(path).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
            assert_eq!(found.gid(), nix::unistd::getegid().as_raw(), "{name}");
        }
    }

    #[test]
    fn what_a_killed_writer_left_is_cleared_and_published_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let assets_dir = AssetsDir::new(dir.path());
        let first = assets(&[("ks.cfg", "one")]);
        write(&assets_dir, "n1", &first);
        let inode = fs::metadata(dir.path().join("n1")).unwrap().ino();
        let writer = assets_dir.writer().unwrap();
        writer.stage("n1", &assets(&[("ks.cfg", "two")])).unwrap();
        drop(writer);
        assert!(dir.path().join(STAGING).join("n1").exists());
        assert_eq!(fs::metadata(dir.path().join("n1")).unwrap().ino(), inode);
        assets_dir.writer().unwrap().publish(&[]).unwrap();
        assert!(!dir.path().join(STAGING).exists());
        assert!(changes(&assets_dir, "n1", &first).is_empty());
    }

    #[test]
    fn what_is_not_ours_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let assets_dir = AssetsDir::new(dir.path());
        let wanted = assets(&[("ks.cfg", "one")]);
        fs::write(dir.path().join("n1"), "a file").unwrap();
        fs::create_dir(dir.path().join("n2")).unwrap();
        fs::write(dir.path().join("n2/notes.txt"), "mine").unwrap();
        std::os::unix::fs::symlink("n2", dir.path().join("n3")).unwrap();
        let message = |node: &str| assets_dir.compare(node, &wanted).unwrap_err().to_string();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for node in ["n1", "n3"] {
            assert_eq!(
                message(node),
                format!(
                    "{} is not a directory: move it away, so that the node's assets can be written there",
                    path(node)
                )
            );
        }
        assert_eq!(
            message("n2"),
            format!(
                "{} is not an asset that nodeset writes, and so it is not removed: move it away",
                path("n2/notes.txt")
            )
        );
    }
}
