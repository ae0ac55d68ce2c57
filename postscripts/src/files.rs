//! Changes to files as values: what would be written, whether it differs, and the way back.
//!
//! Wanted contents come in, a set of changed files goes out; a file whose bytes and mode are already
//! right is no change and keeps its times. Every write is atomic: a temporary file in the same
//! directory that has its final mode from creation, `fsync`, `rename`, `fsync` of the directory.
//! Links are replaced, never followed.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// No file of ours is larger; a larger one is not read.
const LIMIT: u64 = 1 << 20;

/// What one file should be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    path: PathBuf,
    /// `None`: the file should not be there.
    bytes: Option<Vec<u8>>,
    mode: u32,
}

/// What a file was before.
struct Before {
    path: PathBuf,
    bytes: Option<(Vec<u8>, u32)>,
}

/// The changes that were made, and so can be taken back.
#[derive(Default)]
pub(crate) struct Changes(Vec<Before>);

impl Wanted {
    /// A file that anyone may read.
    pub(crate) fn public(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: Some(bytes.into()),
            mode: 0o644,
        }
    }

    /// A file that only root may read.
    pub(crate) fn secret(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: Some(bytes.into()),
            mode: 0o600,
        }
    }

    /// The same file with another mode: one that the user chose.
    pub(crate) fn with_mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// A file that should not be there.
    pub(crate) fn absent(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bytes: None,
            mode: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether the file is not what it should be.
    pub(crate) fn differs(&self) -> Result<bool> {
        Ok(match (load(&self.path)?, &self.bytes) {
            (None, None) => false,
            (Some((bytes, mode)), Some(wanted)) => bytes != *wanted || mode != self.mode,
            _ => true,
        })
    }
}

impl Changes {
    /// Makes one file what it should be, remembering what it was; returns whether it changed.
    pub(crate) fn write(&mut self, wanted: &Wanted) -> Result<bool> {
        if !wanted.differs()? {
            return Ok(false);
        }
        let before = load(&wanted.path)?;
        self.0.push(Before {
            path: wanted.path.clone(),
            bytes: before,
        });
        put(
            &wanted.path,
            wanted.bytes.as_deref().map(|bytes| (bytes, wanted.mode)),
        )?;
        Ok(true)
    }

    /// Puts every file back, the last one first.
    pub(crate) fn undo(self) -> Result<()> {
        for before in self.0.into_iter().rev() {
            put(
                &before.path,
                before
                    .bytes
                    .as_ref()
                    .map(|(bytes, mode)| (&bytes[..], *mode)),
            )
            .context("putting back what stood before")?;
        }
        Ok(())
    }
}

/// Reads a regular file and its mode; `None` where there is none. A link is not followed.
pub(crate) fn load(path: &Path) -> Result<Option<(Vec<u8>, u32)>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            bail!(
                "{} is a symbolic link: put the file itself there",
                path.display()
            )
        }
        Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
    };
    let meta = file
        .metadata()
        .with_context(|| format!("looking at {}", path.display()))?;
    if !meta.is_file() {
        bail!("{} is no regular file", path.display());
    }
    if meta.len() > LIMIT {
        bail!(
            "{} has {} bytes: more than a configuration file holds",
            path.display(),
            meta.len()
        );
    }
    let mut bytes = Vec::new();
    file.take(LIMIT)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(Some((bytes, meta.mode() & 0o7777)))
}

/// Makes a directory and those above it, the new ones with the given mode.
pub(crate) fn ensure_dir(path: &Path, mode: u32) -> Result<()> {
    let making = || format!("making the directory {}", path.display());
    if !path.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .with_context(making)?;
    }
    let now = fs::symlink_metadata(path).with_context(making)?;
    if !now.is_dir() {
        bail!("{} is no directory", path.display());
    }
    if now.permissions().mode() & 0o7777 & !mode != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(making)?;
    }
    Ok(())
}

/// Puts a file in place, whole, with its mode.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    put(path, Some((bytes, mode)))
}

fn put(path: &Path, wanted: Option<(&[u8], u32)>) -> Result<()> {
    let directory = path.parent().context("a file stands in a directory")?;
    match wanted {
        Some((bytes, mode)) => replace(directory, path, bytes, mode)
            .with_context(|| format!("writing {}", path.display()))?,
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", path.display()));
            }
            _ => {}
        },
    }
    let directory = File::open(directory).and_then(|directory| directory.sync_all());
    directory.with_context(|| format!("syncing the directory of {}", path.display()))
}

fn replace(directory: &Path, path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    if !directory.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)?;
    }
    let mut temporary = tempfile::Builder::new()
        .prefix(".slipway-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    temporary.write_all(bytes)?;
    // The mode at creation went through the umask.
    temporary
        .as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_is_right_is_no_change_and_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = Wanted::secret(dir.path().join("key.pem"), "k");
        assert!(Changes::default().write(&wanted).unwrap());
        let meta = fs::metadata(wanted.path()).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o600);
        assert!(!Changes::default().write(&wanted).unwrap());
        assert_eq!(fs::metadata(wanted.path()).unwrap().ino(), meta.ino());
    }

    #[test]
    fn undo_puts_bytes_modes_and_absence_back() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("old");
        fs::write(&old, "before").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        let gone = dir.path().join("gone");
        fs::write(&gone, "x").unwrap();
        let new = dir.path().join("new/deep");

        let mut changes = Changes::default();
        for wanted in [
            Wanted::public(&old, "after"),
            Wanted::public(&old, "later"),
            Wanted::absent(&gone),
            Wanted::public(&new, "n"),
        ] {
            assert!(changes.write(&wanted).unwrap());
        }
        assert_eq!(fs::read(&old).unwrap(), b"later");
        changes.undo().unwrap();
        assert_eq!(load(&old).unwrap(), Some((b"before".to_vec(), 0o640)));
        assert_eq!(fs::read(&gone).unwrap(), b"x");
        assert!(!new.exists());
    }

    #[test]
    fn a_link_a_directory_and_a_huge_file_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("/etc/passwd", &link).unwrap();
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(LIMIT + 1).unwrap();
        for (path, ending) in [
            (
                link.as_path(),
                "link is a symbolic link: put the file itself there",
            ),
            (dir.path(), "is no regular file"),
            (
                huge.as_path(),
                "huge has 1048577 bytes: more than a configuration file holds",
            ),
        ] {
            let message = format!("{:#}", load(path).unwrap_err());
            assert!(message.ends_with(ending), "{message}");
        }
    }
}
