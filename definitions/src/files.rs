//! Files that are replaced whole or read with a bound, and the identity of this boot. The only I/O here beside the
//! catalog and the lock.
//!
//! A path and bytes come in; readers see the old file or the new one, and so does the next boot: a temporary
//! file in the same directory, whose mode is never wider than the final one, fsync, rename, fsync of the
//! directory. What is at the path is replaced itself, be it a link.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use tempfile::NamedTempFile;

/// Where the kernel names this boot: random(4).
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";

/// What the name of a file ends with that is being written: nothing that configuration is read from.
const STAGED_SUFFIX: &str = ".new";

/// A file that is being written beside its path, and is not there until it is committed. Dropped before, it
/// leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    staged: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins a file of the given mode, which the umask takes nothing from. Its directory must exist.
    ///
    /// # Errors
    /// When the directory takes no file.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let staged = tempfile::Builder::new()
            .prefix(&staged_prefix(path)?)
            .suffix(STAGED_SUFFIX)
            .permissions(Permissions::from_mode(mode & 0o700))
            .tempfile_in(directory(path))?;
        staged
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        Ok(Self {
            staged,
            path: path.to_owned(),
        })
    }

    /// Returns the open file, whose owner or times can be set.
    pub fn file(&self) -> &File {
        self.staged.as_file()
    }

    /// Puts the file in place of what is there.
    ///
    /// # Errors
    /// When it cannot be flushed or renamed; then what is there stays.
    pub fn commit(self) -> io::Result<()> {
        self.staged.as_file().sync_all()?;
        self.staged.persist(&self.path).map_err(|err| err.error)?;
        sync_directory(directory(&self.path))
    }

    /// Puts the file in place where nothing is yet.
    ///
    /// # Errors
    /// `AlreadyExists` when something is there, which stays; otherwise as for [`commit`](Self::commit).
    pub fn commit_new(self) -> io::Result<()> {
        self.staged.as_file().sync_all()?;
        let placed = self.staged.persist_noclobber(&self.path);
        placed.map_err(|err| err.error)?;
        sync_directory(directory(&self.path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.staged.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.as_file_mut().flush()
    }
}

/// Replaces a file whole.
///
/// # Errors
/// As for [`AtomicFile`]: what is there stays.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = AtomicFile::create(path, mode)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Removes what writers of a file left beside it that were killed; for who alone writes it.
///
/// # Errors
/// When the directory cannot be read, or a file in it cannot be removed.
pub fn remove_staged(path: &Path) -> io::Result<()> {
    let prefix = staged_prefix(path)?;
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_bytes();
        if name.starts_with(prefix.as_bytes()) && name.ends_with(STAGED_SUFFIX.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What the name of a file begins with that is being written for a path: hidden, so that nobody reads it.
fn staged_prefix(path: &Path) -> io::Result<OsString> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".slipway-");
    Ok(prefix)
}

/// Reads a regular file of at most so many bytes. A pipe is not waited for, and a device is not read.
///
/// # Errors
/// When it cannot be read, is anything else than a regular file, or is longer.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let odd = || io::Error::other("it is not a regular file");
    // Looked at first, as opening a device can do something; and again by what was opened.
    if !fs::metadata(path)?.is_file() {
        return Err(odd());
    }
    let file = File::options()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(odd());
    }
    let expected = metadata.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads a text in the same way.
///
/// # Errors
/// As for [`read_bounded`], and what is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_bounded(path, limit)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Makes the names in a directory survive a loss of power.
///
/// # Errors
/// When it cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Returns the kernel's name of this boot, of the system below `root`.
///
/// # Errors
/// When the kernel's file cannot be read.
pub fn boot_id(root: &Path) -> io::Result<String> {
    let text = fs::read_to_string(root.join(BOOT_ID))?;
    Ok(text.trim().to_owned())
}

/// The directory that a path is in.
fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_with_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for (text, mode) in [("one", 0o600), ("two", 0o644), ("three", 0o755)] {
            write_atomic(&path, text.as_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            let permissions = fs::metadata(&path).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o7777, mode);
            assert_eq!(names(dir.path()), ["a"]);
        }
    }

    #[test]
    fn what_is_not_committed_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut file = AtomicFile::create(&path, 0o644).unwrap();
        file.write_all(b"half").unwrap();
        let staged = names(dir.path());
        assert!(staged[0].starts_with(".a.slipway-") && staged[0].ends_with(".new"));
        drop(file);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_new_file_takes_nobodys_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        AtomicFile::create(&path, 0o644)
            .unwrap()
            .commit_new()
            .unwrap();
        let mut second = AtomicFile::create(&path, 0o644).unwrap();
        second.write_all(b"more").unwrap();
        let error = second.commit_new().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        write_atomic(&link, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"kept");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_what_has_no_end_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        fs::write(at("four"), "1234").unwrap();
        fs::write(at("five"), "12345").unwrap();
        fs::write(at("bytes"), [0xff]).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, expected) in [
            ("four", "1234"),
            ("five", "it has more than 4 bytes"),
            ("bytes", "it is not UTF-8 text"),
            ("pipe", "it is not a regular file"),
            ("device", "it is not a regular file"),
            ("socket", "it is not a regular file"),
            (".", "it is not a regular file"),
            ("none", "No such file or directory (os error 2)"),
        ] {
            let said = read_text(&at(name), 4).unwrap_or_else(|error| error.to_string());
            assert_eq!(said, expected, "{name}");
        }
    }

    #[test]
    fn this_boot_has_a_name() {
        let id = boot_id(Path::new("/")).unwrap();
        assert_eq!((id.len(), id.matches('-').count()), (36, 4));
        let dir = tempfile::tempdir().unwrap();
        let error = boot_id(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
