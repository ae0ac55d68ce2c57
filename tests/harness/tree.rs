//! A directory as a value: its files, so that two moments or two tools can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What is at one path: its kind, bytes or target, and how it is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Contents of a file, target of a link, nothing for a directory.
    pub bytes: Vec<u8>,
    /// File type and permission bits.
    pub mode: u32,
    /// The inode: a file that was written anew has another.
    pub inode: u64,
    /// Modification time, seconds and nanoseconds.
    pub mtime: (i64, i64),
}

/// Everything below a directory, by relative path.
pub type Snapshot = BTreeMap<PathBuf, Node>;

/// Reads everything below a directory; an absent one is empty.
pub fn snapshot(root: &Path) -> Result<Snapshot> {
    let mut found = Snapshot::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let entries = match fs::read_dir(root.join(&dir)) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("reading {}", root.join(&dir).display()))?,
        };
        for entry in entries {
            let path = dir.join(entry?.file_name());
            let node =
                node(&root.join(&path)).with_context(|| format!("reading {}", path.display()))?;
            if node.mode & 0o170_000 == 0o040_000 {
                pending.push(path.clone());
            }
            found.insert(path, node);
        }
    }
    Ok(found)
}

fn node(path: &Path) -> Result<Node> {
    use std::os::unix::ffi::OsStringExt;
    let metadata = fs::symlink_metadata(path)?;
    let bytes = if metadata.is_symlink() {
        fs::read_link(path)?.into_os_string().into_vec()
    } else if metadata.is_file() {
        fs::read(path)?
    } else {
        Vec::new()
    };
    Ok(Node {
        bytes,
        mode: metadata.permissions().mode(),
        inode: metadata.ino(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
    })
}
