//! A directory that root alone can have filled, held by a descriptor.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::fgetxattr_query;

use super::{ACL, has_acl, untrusted_reason};

/// No file of a DHCP client's is larger.
const MAX_BYTES: u64 = 16 << 20;

/// A directory reached from the root one name at a time, no link among them, every one of them root's.
#[derive(Debug)]
pub(crate) struct RootOnlyDirectory {
    fd: OwnedFd,
    path: PathBuf,
}

impl RootOnlyDirectory {
    /// Opens the host's directory at the absolute `path`; `None` where there is none.
    ///
    /// # Errors
    /// When something on the way is a link, no directory, or not root's alone.
    pub(crate) fn open(root: &Path, path: &Path) -> Result<Option<Self>> {
        let opening = |at: &Path| format!("opening {}", at.display());
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut fd = open(root, flags, Mode::empty()).with_context(|| opening(root))?;
        let mut at = PathBuf::from("/");
        for part in path.components() {
            match part {
                Component::RootDir => {}
                Component::Normal(name) => {
                    at.push(name);
                    fd = match openat(&fd, name, flags | OFlag::O_NOFOLLOW, Mode::empty()) {
                        Ok(next) => next,
                        Err(Errno::ENOENT) => return Ok(None),
                        Err(Errno::ELOOP | Errno::ENOTDIR) => {
                            bail!("{} is not a directory", at.display())
                        }
                        Err(error) => return Err(error).with_context(|| opening(&at)),
                    };
                }
                _ => bail!("{} is not a plain path", path.display()),
            }
            let stat = fstat(&fd).with_context(|| opening(&at))?;
            if let Some(reason) = untrusted_reason(&stat, || has_acl(fgetxattr_query(&fd, ACL))) {
                bail!("{} is not root's alone: {reason}", at.display());
            }
        }
        Ok(Some(Self { fd, path: at }))
    }

    /// Reads a file in it; `None` where there is none.
    ///
    /// # Errors
    /// When it is a link, no regular file, not root's alone, or too large.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name, OFlag::O_RDONLY)? else {
            return Ok(None);
        };
        let reading = || format!("reading {}", self.path.join(name).display());
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(reading)?;
        if bytes.len() as u64 > MAX_BYTES {
            bail!(
                "{} is larger than {MAX_BYTES} bytes",
                self.path.join(name).display()
            );
        }
        Ok(Some(bytes))
    }

    /// Adds to a file in it, in one piece; one that is not there gains nothing.
    ///
    /// # Errors
    /// As for reading.
    pub(crate) fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let writing = || format!("writing {}", self.path.join(name).display());
        match self.file(name, OFlag::O_WRONLY | OFlag::O_APPEND)? {
            Some(mut file) => file.write_all(bytes).with_context(writing),
            None => Ok(()),
        }
    }

    /// Puts a file in it in place in one moment, for root alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let staged = format!(".{name}.slipway-new");
        let write = || -> Result<()> {
            match unlinkat(&self.fd, staged.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let fd = openat(
                &self.fd,
                staged.as_str(),
                flags,
                Mode::S_IRUSR | Mode::S_IWUSR,
            )?;
            let mut file = File::from(fd);
            file.write_all(bytes)?;
            file.sync_all()?;
            renameat(&self.fd, staged.as_str(), &self.fd, name)?;
            nix::unistd::fsync(&self.fd)?;
            Ok(())
        };
        write().with_context(|| format!("writing {}", self.path.join(name).display()))
    }

    fn file(&self, name: &str, access: OFlag) -> Result<Option<File>> {
        let path = self.path.join(name);
        // Opening a named pipe would wait for its other end.
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => bail!("{} is a symbolic link", path.display()),
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        let stat = fstat(&fd).with_context(|| format!("looking at {}", path.display()))?;
        if stat.st_mode & 0o170_000 != 0o100_000 {
            bail!("{} is not a regular file", path.display());
        }
        if let Some(reason) = untrusted_reason(&stat, || has_acl(fgetxattr_query(&fd, ACL))) {
            bail!("{} is not root's alone: {reason}", path.display());
        }
        Ok(Some(File::from(fd)))
    }
}
