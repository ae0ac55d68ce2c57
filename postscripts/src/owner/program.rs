//! Programs that root alone can have put where they are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::stat::stat;
use rustix::fs::getxattr_query;

use super::{ACL, has_acl, untrusted_reason};
use crate::files::under_root;

/// Where hosts keep programs, the daemons of systemd and NetworkManager's helpers among them.
const PLACES: [&str; 9] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/systemd",
    "/lib/systemd",
    "/usr/lib/wicked/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// A program of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostProgram {
    /// The name that it was looked for by.
    pub(crate) name: String,
    /// Where it lies, without a link, as the host sees it.
    pub(crate) path: PathBuf,
    /// The file's device and inode.
    pub(super) file: (u64, u64),
}

impl HostProgram {
    /// Finds a program by its name; one that others may write to is none.
    pub(crate) fn find(root: &Path, name: &str) -> Option<Self> {
        Self::all(root, name).into_iter().next()
    }

    /// Every program of a name, as there may be one in `/usr/sbin` and one in `/usr/local/sbin`.
    pub(crate) fn all(root: &Path, name: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for place in PLACES {
            let Ok(path) = check(root, &Path::new(place).join(name)) else {
                continue;
            };
            let Ok(meta) = fs::metadata(under_root(root, &path)) else {
                continue;
            };
            let file = (meta.dev(), meta.ino());
            if !found.iter().any(|known| known.file == file) {
                found.push(Self {
                    name: name.to_owned(),
                    path,
                    file,
                });
            }
        }
        found
    }
}

/// Says where the regular file at `path` lies once every link is followed, all of which root alone can
/// have made, as it can the file.
///
/// # Errors
/// When there is none, or somebody else may change it or what leads to it.
pub(crate) fn check(root: &Path, path: &Path) -> Result<PathBuf> {
    let place = under_root(root, path);
    let base = fs::canonicalize(root).with_context(|| format!("looking at {}", root.display()))?;
    let real =
        fs::canonicalize(&place).with_context(|| format!("looking at {}", path.display()))?;
    let Ok(inside) = real.strip_prefix(&base) else {
        bail!("{} leads out of {}", path.display(), root.display());
    };
    if !fs::metadata(&real)?.is_file() {
        bail!("{} is not a regular file", path.display());
    }
    check_ways(root, &base, path, inside)?;
    Ok(Path::new("/").join(inside))
}

/// Looks at every directory that leads to `path` by name, and to `inside` once links are followed.
pub(super) fn check_ways(root: &Path, base: &Path, path: &Path, inside: &Path) -> Result<()> {
    let named = path.ancestors().skip(1).map(|dir| under_root(root, dir));
    let followed = inside.ancestors().map(|dir| base.join(dir));
    for part in named.chain(followed) {
        let stat = stat(&part).with_context(|| format!("looking at {}", part.display()))?;
        if let Some(reason) = untrusted_reason(&stat, || has_acl(getxattr_query(&part, ACL))) {
            bail!(
                "{} is not root's alone: {reason} ({})",
                path.display(),
                part.display()
            );
        }
    }
    Ok(())
}
