//! Files of this host: read within bounds, changed all or none, put back by any later process.
//!
//! In: paths and what should be there ([`FileChange`]). Out: what is there, and a [`FileJournal`] that
//! makes all changes or none. What is read is bounded; what is written is whole before its name counts.

pub(crate) mod glob;
mod inspect;
mod journal;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub(crate) use inspect::{Inspected, TextFile, inspect};
pub(crate) use journal::FileJournal;
pub(crate) use write::{remove, replace, sync_parent};

use crate::owner;

/// No configuration file is larger; one that is was not written for us.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// No configuration directory holds more files.
const MAX_DIR_FILES: usize = 4096;

/// One file as it shall be.
#[derive(Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Absolute path on the host, without the root directory.
    pub path: PathBuf,
    /// The whole new text; `None` removes the file.
    pub text: Option<String>,
    /// Who may read it.
    pub access: Access,
}

/// Mode and owner of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Its own where it exists already, else those of the file at this path, which it takes text from.
    Like(PathBuf),
    /// Its own where it exists already, else this mode and the caller for an owner.
    Mode(u32),
    /// This mode, whatever it has now.
    Exactly(u32),
    /// For its owner alone, and so is a directory that has to be made for it.
    Private,
}

impl FileChange {
    /// A file that shall hold a text.
    pub(crate) fn write(path: impl Into<PathBuf>, text: impl Into<String>, access: Access) -> Self {
        Self {
            path: path.into(),
            text: Some(text.into()),
            access,
        }
    }

    /// A file that shall not be there.
    pub(crate) fn remove(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            text: None,
            access: Access::Mode(0o600),
        }
    }

    /// Reports whether the file is not yet what it shall be.
    pub(crate) fn is_due(&self, root: &Path) -> Result<bool> {
        let existing = load(&under_root(root, &self.path))?;
        Ok(match (existing, &self.text) {
            (None, None) => false,
            (Some((bytes, mode)), Some(text)) => {
                bytes != text.as_bytes() || self.access.demanded().is_some_and(|wish| mode != wish)
            }
            _ => true,
        })
    }
}

/// Shows the text of no file that is not for everybody: it may be a key.
impl fmt::Debug for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FileChange");
        shown
            .field("path", &self.path)
            .field("access", &self.access);
        match self.access.demanded() {
            Some(mode) if mode & 0o044 == 0 => shown.finish_non_exhaustive(),
            _ => shown.field("text", &self.text).finish(),
        }
    }
}

impl Access {
    /// The mode that it insists on.
    fn demanded(&self) -> Option<u32> {
        match self {
            Self::Like(_) | Self::Mode(_) => None,
            Self::Exactly(mode) => Some(*mode),
            Self::Private => Some(0o600),
        }
    }
}

/// The place of the host's absolute `path` below `root`.
pub(crate) fn under_root(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The names in a directory, sorted; an absent directory has none.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(err) => return Err(err).with_context(|| format!("listing {}", dir.display())),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.with_context(|| format!("listing {}", dir.display()))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
        if names.len() > MAX_DIR_FILES {
            bail!("listing {}: more than {MAX_DIR_FILES} files", dir.display());
        }
    }
    names.sort();
    Ok(names)
}

/// What is at a path where configuration is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileLookup<T = String> {
    /// A small file with this text; one that is masked by a link to `/dev/null` has none.
    Text(T),
    /// Nothing, or a directory.
    Nothing,
    /// Something that is not read, and why not: `is a named pipe`.
    Odd(String),
}

/// Looks at a small file that others look after. A link is followed to a file that is root's alone.
pub(crate) fn look_up(path: &Path) -> Result<FileLookup> {
    Ok(match look_up_bytes(path, MAX_FILE_BYTES)? {
        FileLookup::Text(bytes) => match String::from_utf8(bytes) {
            Ok(text) => FileLookup::Text(text),
            Err(_) => FileLookup::Odd("is not text".to_owned()),
        },
        FileLookup::Nothing => FileLookup::Nothing,
        FileLookup::Odd(why) => FileLookup::Odd(why),
    })
}

/// The same, whatever the bytes are, up to so many of them.
fn look_up_bytes(path: &Path, limit: u64) -> Result<FileLookup<Vec<u8>>> {
    let reading = || format!("reading {}", path.display());
    // Opening a named pipe would wait for its other end.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(FileLookup::Nothing);
        }
        // A socket, or a device without a driver.
        Err(err) if err.raw_os_error() == Some(nix::libc::ENXIO) => {
            return Ok(FileLookup::Odd("is not a regular file".to_owned()));
        }
        Err(err) => return Err(err).with_context(reading),
    };
    let meta = file.metadata().with_context(reading)?;
    let kind = meta.file_type();
    if kind.is_dir() {
        return Ok(FileLookup::Nothing);
    }
    let null = nix::sys::stat::makedev(1, 3);
    if kind.is_char_device() && meta.rdev() == null {
        return Ok(FileLookup::Text(Vec::new()));
    }
    let odd = |why: &str| Ok(FileLookup::Odd(why.to_owned()));
    if !kind.is_file() {
        return odd(if kind.is_fifo() {
            "is a named pipe"
        } else {
            "is not a regular file"
        });
    }
    let linked = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if linked && owner::check(Path::new("/"), path).is_err() {
        return odd("is a link to a file that others may change");
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    if bytes.len() as u64 > limit {
        return Ok(FileLookup::Odd(format!("has more than {limit} bytes")));
    }
    Ok(FileLookup::Text(bytes))
}

/// Whether a path leads to a regular file of a size that configuration has.
pub(crate) fn is_small_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE_BYTES)
}

/// The text of a small file that others look after; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match look_up(path)? {
        FileLookup::Text(text) => Ok(Some(text)),
        FileLookup::Nothing => Ok(None),
        FileLookup::Odd(why) => bail!("{} {why}", path.display()),
    }
}

/// Reads a regular file that we write too, and its mode; `None` where there is none. A link is not
/// followed.
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
        bail!("{} is not a regular file", path.display());
    }
    if meta.len() > MAX_FILE_BYTES {
        bail!(
            "{} has {} bytes: more than a configuration file holds",
            path.display(),
            meta.len()
        );
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(Some((bytes, meta.mode() & 0o7777)))
}

/// The same, when it must be text.
pub(crate) fn load_text(path: &Path) -> Result<Option<String>> {
    let Some((bytes, _)) = load(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).ok();
    text.with_context(|| format!("{} is not text", path.display()))
        .map(Some)
}

/// Makes a directory and those above it, the new ones with the given mode.
pub(crate) fn ensure_dir(path: &Path, mode: u32) -> Result<()> {
    let making = || format!("making the directory {}", path.display());
    let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
    for dir in missing
        .into_iter()
        .rev()
        .filter(|dir| !dir.as_os_str().is_empty())
    {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(mode).create(dir);
        // whatever the umask took
        made.and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)))
            .with_context(making)?;
    }
    let now = fs::symlink_metadata(path).with_context(making)?;
    if !now.is_dir() {
        bail!("{} is not a directory", path.display());
    }
    if now.permissions().mode() & 0o7777 & !mode != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(making)?;
    }
    Ok(())
}

/// Takes from a directory what others may do in it beyond `mode`; one that is not there may do so.
pub(crate) fn restrict(dir: &Path, mode: u32) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(dir) else {
        return Ok(());
    };
    if meta.is_dir() && meta.mode() & 0o7777 & !mode != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
            .with_context(|| format!("closing {}", dir.display()))?;
    }
    Ok(())
}
