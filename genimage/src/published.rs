//! The published assets of one node, as they are on disk, to be compared with what is rendered.
//!
//! A directory comes in; its files go out, each opened once and read only where its length is the wanted one. Nothing is
//! followed: what is no file of ours is an error that names it, so that it is never removed.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::assets::is_ours;
use crate::packing::unpacks_to;

/// The most that is read of a file.
const MAX_BYTES: u64 = 16 << 20;

/// The directory of a node's assets; `None` where nothing is published.
#[derive(Debug)]
pub(crate) struct PublishedDir {
    path: PathBuf,
    directory: Option<Dir>,
}

/// A published file.
#[derive(Debug)]
pub(crate) struct PublishedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Whether everybody may read it.
    pub(crate) is_open: bool,
}

impl PublishedDir {
    /// Opens the directory of a node.
    ///
    /// # Errors
    /// When it cannot be opened, or is something else.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match Dir::open(&path, flags, Mode::empty()) {
            Ok(directory) => Some(directory),
            Err(Errno::ENOENT) => None,
            Err(Errno::ENOTDIR | Errno::ELOOP) => bail!(
                "{} is not a directory: move it away, so that the node's assets can be written there",
                path.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("opening {}", path.display()));
            }
        };
        Ok(Self { path, directory })
    }

    /// Names the files.
    ///
    /// # Errors
    /// When the directory cannot be read, or has what is no asset.
    pub(crate) fn names(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = self.directory.iter_mut().flat_map(Dir::iter);
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {}", self.path.display()))?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        match names.iter().find(|name| !is_ours(name)) {
            Some(other) => Err(self.foreign(other)),
            None => Ok(names),
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file that nodeset writes.
    pub(crate) fn file(&self, name: &str) -> Result<PublishedFile> {
        let path = self.path.join(name);
        let Some(directory) = &self.directory else {
            bail!("there is no {}", path.display());
        };
        // a pipe is not waited for
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // a link, a socket
            Err(Errno::ELOOP | Errno::ENXIO) => return Err(self.foreign(name)),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", path.display()));
            }
        };
        let metadata = file.metadata();
        let metadata = metadata.with_context(|| format!("looking at {}", path.display()))?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(self.foreign(name));
        }
        Ok(PublishedFile {
            path,
            file,
            bytes: metadata.len(),
            is_open: metadata.permissions().mode() & 0o007 != 0,
        })
    }

    fn foreign(&self, name: &str) -> anyhow::Error {
        anyhow!(
            "{} is not an asset that nodeset writes, and so it is not removed: move it away",
            self.path.join(name).display()
        )
    }
}

impl PublishedFile {
    /// Says whether it holds these bytes, as they are or packed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn holds(&mut self, wanted: &[u8], packed: bool) -> Result<bool> {
        if packed {
            return Ok(unpacks_to(&self.bytes()?, wanted));
        }
        Ok(self.bytes == wanted.len() as u64 && self.bytes()? == wanted)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        // one byte more than there was, so that the end is seen without another buffer
        let mut bytes = Vec::with_capacity(usize::try_from(self.bytes)? + 1);
        let read = (&self.file).take(MAX_BYTES).read_to_end(&mut bytes);
        read.with_context(|| format!("reading {}", self.path.display()))?;
        Ok(bytes)
    }
}
