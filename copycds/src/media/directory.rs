//! A directory as a medium: an unpacked or mounted disc.
//!
//! Every step goes from an open directory to a name in it and follows no link (`openat` with
//! `O_NOFOLLOW`), so that nothing outside is read even while someone moves things about. The `walkdir`
//! crate, which walks published trees, goes by paths: a directory that somebody replaces by a link
//! between two of its steps is followed. A medium may be where others can write, so that this walk is our
//! own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use super::entry::{DataLocation, EntryKind, MediumEntry, MediumPath, Timestamp};
use super::entry_list::{EntryList, directory_name, join};

/// An opened directory.
#[derive(Debug)]
pub(super) struct MediumDir(File);

impl MediumDir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Reads the whole tree.
    pub(super) fn entries(&self) -> Result<Vec<MediumEntry>> {
        let mut tree = EntryList::new(0);
        let mut todo = vec![None];
        while let Some(path) = todo.pop() {
            let directory = self.open_directory(path.as_ref())?;
            for name in names(&directory, path.as_ref())? {
                let path = join(path.as_ref(), name.as_bytes())
                    .with_context(|| format!("reading {}", directory_name(path.as_ref())))?;
                let entry = entry(&directory, path, &name)?;
                if entry.kind == EntryKind::Directory {
                    todo.push(Some(entry.path.clone()));
                }
                tree.push(entry)?;
            }
        }
        tree.finish()
    }

    /// Opens a file of the tree for reading.
    pub(super) fn open_file(&self, path: &MediumPath) -> Result<File> {
        let (parent, name) = split(path);
        let parent = self.open_directory(parent.as_ref())?;
        // A pipe put there since would block for ever without `O_NONBLOCK`.
        let file =
            step(&parent, &name, OFlag::O_NONBLOCK).with_context(|| format!("opening {path}"))?;
        let found = file.metadata().with_context(|| format!("opening {path}"))?;
        if !found.is_file() {
            bail!("opening {path}: it is no longer a file");
        }
        Ok(file)
    }

    fn open_directory(&self, path: Option<&MediumPath>) -> Result<File> {
        let mut directory = self.0.try_clone().context("opening the root directory")?;
        let Some(path) = path else {
            return Ok(directory);
        };
        for name in path.as_bytes().split(|&byte| byte == b'/') {
            directory = step(&directory, OsStr::from_bytes(name), OFlag::O_DIRECTORY)
                .with_context(|| format!("opening the directory {path}"))?;
        }
        Ok(directory)
    }
}

/// Opens one name in a directory.
fn step(directory: &File, name: &OsStr, how: OFlag) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | how;
    Ok(openat(directory, name, flags, Mode::empty())?.into())
}

fn split(path: &MediumPath) -> (Option<MediumPath>, OsString) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (
            MediumPath::new(&bytes[..at]).ok(),
            OsString::from_vec(bytes[at + 1..].to_vec()),
        ),
        None => (None, OsString::from_vec(bytes.to_vec())),
    }
}

/// Lists a directory.
fn names(directory: &File, path: Option<&MediumPath>) -> Result<Vec<OsString>> {
    let reading = || format!("reading {}", directory_name(path));
    // Its own descriptor: a duplicate would share the position of the listing.
    let listing = step(directory, OsStr::new("."), OFlag::O_DIRECTORY).with_context(reading)?;
    let mut dir = Dir::from_fd(listing.into()).with_context(reading)?;
    let mut names = Vec::new();
    for found in dir.iter() {
        let found = found.with_context(reading)?;
        let name = found.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(names)
}

/// Looks at one name in a directory.
fn entry(directory: &File, path: MediumPath, name: &OsStr) -> Result<MediumEntry> {
    let stat = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .with_context(|| format!("reading {path}"))?;
    Ok(MediumEntry {
        kind: kind(directory, &path, name, &stat)?,
        path,
        mode: stat.st_mode & 0o7777,
        mtime: Some(Timestamp(stat.st_mtime)),
    })
}

fn kind(directory: &File, path: &MediumPath, name: &OsStr, stat: &FileStat) -> Result<EntryKind> {
    let special = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => return Ok(EntryKind::Directory),
        SFlag::S_IFREG => {
            return Ok(EntryKind::File {
                size: u64::try_from(stat.st_size)?,
                content: DataLocation::InPlace,
            });
        }
        SFlag::S_IFLNK => {
            let target = readlinkat(directory, name)
                .with_context(|| format!("reading the link {path}"))?
                .into_vec();
            return Ok(EntryKind::Symlink { target });
        }
        SFlag::S_IFIFO => "a named pipe",
        SFlag::S_IFCHR => "a character device",
        SFlag::S_IFBLK => "a block device",
        _ => "a socket",
    };
    bail!("{path} is {special}, which no install medium has")
}
