//! One directory, and everything in it reached from its descriptor.
//!
//! Names on a medium come in, as paths below the directory; directories, files and links are made there.
//! No name leads out: each path is relative, and links are made last.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags};
use nix::sys::time::TimeSpec;

use crate::media::{MediumPath, Timestamp};

/// A directory that everything in a tree is reached from.
#[derive(Debug)]
pub(super) struct TreeDir {
    fd: File,
    path: PathBuf,
}

impl TreeDir {
    /// Takes a directory that is open, and its path.
    pub(super) fn new(fd: File, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Opens a directory to reach others from.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fd = open_dir(path)?;
        Ok(Self {
            fd,
            path: path.to_path_buf(),
        })
    }

    /// Returns its descriptor.
    pub(super) fn fd(&self) -> &File {
        &self.fd
    }

    /// Returns its path, for messages and for renaming.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory that anyone may read and only its owner may change.
    pub(super) fn make_dir(&self, path: &MediumPath) -> Result<()> {
        nix::sys::stat::mkdirat(&self.fd, path.as_path(), Mode::from_bits_truncate(0o755))
            .map_err(io::Error::from)
            .with_context(|| format!("making the directory '{path}' in {}", self.path.display()))
    }

    /// Gives a directory in it, or itself, the mode of a published directory, whatever the umask.
    pub(super) fn set_mode(&self, path: Option<&MediumPath>) -> Result<()> {
        let mode = Mode::from_bits_truncate(0o755);
        let done = match path {
            None => nix::sys::stat::fchmod(&self.fd, mode),
            Some(path) => {
                let follow = FchmodatFlags::FollowSymlink;
                nix::sys::stat::fchmodat(&self.fd, path.as_path(), mode, follow)
            }
        };
        done.map_err(io::Error::from)
            .with_context(|| format!("setting modes in {}", self.path.display()))
    }

    /// Creates a file that must not be there yet, open for reading and writing.
    pub(super) fn create(&self, path: &MediumPath) -> io::Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let fd = nix::fcntl::openat(&self.fd, path.as_path(), flags, mode)?;
        Ok(File::from(fd))
    }

    /// Makes a symbolic link that says `target`.
    pub(super) fn make_link(&self, path: &MediumPath, target: &[u8]) -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let target = std::ffi::OsStr::from_bytes(target);
        nix::unistd::symlinkat(target, &self.fd, path.as_path())
            .map_err(io::Error::from)
            .with_context(|| format!("making the link '{path}' in {}", self.path.display()))
    }

    /// Gives `path` of another tree a second name here, the same path.
    pub(super) fn hard_link(&self, from: &Self, path: &MediumPath) -> io::Result<()> {
        let path = path.as_path();
        Ok(nix::unistd::linkat(
            &from.fd,
            path,
            &self.fd,
            path,
            AtFlags::empty(),
        )?)
    }

    /// Sets the time of a directory, file or link, following nothing.
    pub(super) fn set_time(&self, path: &MediumPath, time: Timestamp) -> Result<()> {
        let time = TimeSpec::new(time.0, 0);
        let follow = UtimensatFlags::NoFollowSymlink;
        nix::sys::stat::utimensat(&self.fd, path.as_path(), &time, &time, follow)
            .map_err(io::Error::from)
            .with_context(|| format!("setting the time of '{path}' in {}", self.path.display()))
    }
}

/// Opens a directory that is no link.
pub(super) fn open_dir(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(path)
        .with_context(|| format!("opening the directory {}", path.display()))
}

/// Whether a directory that is open is the one at `path`.
pub(super) fn is_at(dir: &File, path: &Path) -> bool {
    let is = |meta: io::Result<fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
    is(fs::symlink_metadata(path)) == is(dir.metadata())
}
