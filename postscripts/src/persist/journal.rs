//! Puts changed files in place, all or none, and puts the previous ones back exactly.
//!
//! In: the changes of one backend. Out: the files, written beside their places, flushed and renamed;
//! and in the state directory a copy of every file as it was, with its mode, owner and time, from
//! which an undo works in any later process. What is not yet committed is in `pending/`; a commit
//! makes it `previous/`. It never follows a symbolic link and never leaves its own temporary files.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::files::{Access, Change, beneath};
use super::handover::HandOver;

/// The files of one bridge before the last change.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    root: PathBuf,
    dir: PathBuf,
}

/// What `journal.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    files: Vec<Previous>,
    /// Directories that were made, outermost first.
    directories: Vec<PathBuf>,
}

/// One file as it was.
#[derive(Debug, Serialize, Deserialize)]
struct Previous {
    path: PathBuf,
    /// Absent when there was no file.
    kept: Option<Kept>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The name of the copy in the journal.
    copy: String,
    mode: u32,
    uid: u32,
    gid: u32,
    seconds: i64,
    nanoseconds: u32,
}

/// A new file, whole and flushed, that waits for its rename.
struct Staged {
    temporary: PathBuf,
    place: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After the rename there is nothing here; before it, what is left over must go.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Journal {
    pub(super) fn of(root: &Path, bridge: &str) -> Self {
        let dir = beneath(root, Path::new("/var/lib/slipway/bridgeprereq")).join(bridge);
        Self {
            root: root.to_owned(),
            dir,
        }
    }

    fn pending(&self) -> PathBuf {
        self.dir.join("pending")
    }

    /// Whether a change was begun and neither committed nor undone.
    pub(super) fn is_pending(&self) -> bool {
        self.pending().join("journal.json").exists()
    }

    /// Makes all changes; after an error none is made.
    pub(super) fn apply(&self, changes: &[Change]) -> Result<()> {
        if self.is_pending() {
            bail!("an earlier change of the files was not finished: undo it first");
        }
        let directories = self.missing_directories(changes)?;
        let made = self.make_directories(&directories);
        let staged = made.and_then(|()| self.stage(changes));
        let staged = staged.and_then(|staged| self.keep(changes, &directories).map(|()| staged));
        let staged = match staged {
            Ok(staged) => staged,
            Err(err) => {
                self.remove_directories(&directories);
                return Err(err);
            }
        };
        if let Err(err) = self.publish(changes, &staged) {
            self.undo().context("putting the previous files back")?;
            return Err(err);
        }
        Ok(())
    }

    /// The directories that the changes need and that do not exist, outermost first.
    fn missing_directories(&self, changes: &[Change]) -> Result<Vec<PathBuf>> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for change in changes.iter().filter(|change| change.text.is_some()) {
            for dir in change.path.ancestors().skip(1) {
                let known = missing.iter().any(|known| known == dir);
                if !known
                    && !beneath(&self.root, dir)
                        .try_exists()
                        .with_context(|| looking_at(dir))?
                {
                    missing.push(dir.to_owned());
                }
            }
        }
        missing.sort();
        Ok(missing)
    }

    fn make_directories(&self, directories: &[PathBuf]) -> Result<()> {
        for dir in directories {
            let place = beneath(&self.root, dir);
            fs::create_dir(&place).with_context(|| format!("making {}", place.display()))?;
            // networkd reads as a user of its own.
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("making {}", place.display()))?;
        }
        Ok(())
    }

    fn remove_directories(&self, directories: &[PathBuf]) {
        for dir in directories.iter().rev() {
            // One that meanwhile holds something of somebody else's stays.
            let _ = fs::remove_dir(beneath(&self.root, dir));
        }
    }

    /// Writes every new file beside its place.
    fn stage(&self, changes: &[Change]) -> Result<Vec<Staged>> {
        let mut staged = Vec::new();
        for change in changes {
            let place = beneath(&self.root, &change.path);
            let old = match fs::symlink_metadata(&place) {
                Ok(meta) if meta.is_file() => Some(meta),
                Ok(_) => bail!(
                    "{} is not a regular file: replace it by one first",
                    place.display()
                ),
                Err(err) if err.kind() == ErrorKind::NotFound => None,
                Err(err) => return Err(err).with_context(|| looking_at(&place)),
            };
            let Some(text) = &change.text else { continue };
            let model = match (&old, &change.access) {
                (Some(meta), _) => Some((meta.mode(), meta.uid(), meta.gid())),
                (None, Access::Like(like)) => fs::metadata(beneath(&self.root, like))
                    .ok()
                    .map(|meta| (meta.mode(), meta.uid(), meta.gid())),
                (None, Access::Mode(_)) => None,
            };
            let mode = match (&model, &change.access) {
                (Some((mode, ..)), _) => mode & 0o7777,
                (None, Access::Mode(mode)) => *mode,
                (None, Access::Like(_)) => 0o600,
            };
            let file = Staged {
                temporary: temporary(&place),
                place,
            };
            let owner = model.map(|(_, uid, gid)| (uid, gid));
            write(&file.temporary, text.as_bytes(), mode, owner, None)
                .with_context(|| format!("writing {}", file.place.display()))?;
            staged.push(file);
        }
        Ok(staged)
    }

    /// Copies the previous files, and says where they came from once all copies are safe.
    fn keep(&self, changes: &[Change], directories: &[PathBuf]) -> Result<()> {
        let pending = self.pending();
        let saving = || format!("saving the previous files in {}", pending.display());
        let _ = fs::remove_dir_all(&pending);
        fs::create_dir_all(&pending).with_context(saving)?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)).with_context(saving)?;
        let mut record = Record {
            files: Vec::new(),
            directories: directories.to_vec(),
        };
        for (number, change) in changes.iter().enumerate() {
            let place = beneath(&self.root, &change.path);
            let kept = match File::open(&place) {
                Ok(file) => Some(keep_file(file, &pending, number).with_context(saving)?),
                Err(err) if err.kind() == ErrorKind::NotFound => None,
                Err(err) => {
                    return Err(err).with_context(|| format!("reading {}", place.display()));
                }
            };
            record.files.push(Previous {
                path: change.path.clone(),
                kept,
            });
        }
        let text = serde_json::to_vec_pretty(&record).with_context(saving)?;
        let (temporary, place) = (pending.join("journal.tmp"), pending.join("journal.json"));
        write(&temporary, &text, 0o600, None, None).with_context(saving)?;
        fs::rename(&temporary, &place).with_context(saving)?;
        sync_dir(&pending)
            .and_then(|()| sync_dir(&self.dir))
            .with_context(saving)
    }

    fn publish(&self, changes: &[Change], staged: &[Staged]) -> Result<()> {
        for file in staged {
            fs::rename(&file.temporary, &file.place)
                .with_context(|| format!("writing {}", file.place.display()))?;
        }
        for change in changes.iter().filter(|change| change.text.is_none()) {
            let place = beneath(&self.root, &change.path);
            fs::remove_file(&place).with_context(|| format!("removing {}", place.display()))?;
        }
        self.sync(changes.iter().map(|change| change.path.as_path()))
    }

    fn sync<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<()> {
        let mut dirs: Vec<&Path> = paths.filter_map(Path::parent).collect();
        dirs.sort_unstable();
        dirs.dedup();
        for dir in dirs {
            let dir = beneath(&self.root, dir);
            match sync_dir(&dir) {
                Err(err) if err.kind() != ErrorKind::NotFound => {
                    return Err(err).with_context(|| format!("flushing {}", dir.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps the previous files for the user; an undo is no longer possible.
    pub(super) fn commit(&self) -> Result<()> {
        if !self.is_pending() {
            return Ok(());
        }
        let previous = self.dir.join("previous");
        let keeping = || format!("keeping the previous files in {}", previous.display());
        match fs::remove_dir_all(&previous) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err).with_context(keeping),
            _ => {}
        }
        fs::rename(self.pending(), &previous).with_context(keeping)?;
        sync_dir(&self.dir).with_context(keeping)
    }

    /// Notes what runs and is about to be told, so that an undo can tell it otherwise.
    pub(super) fn note(&self, hand_over: &HandOver) -> Result<()> {
        if !self.is_pending() {
            self.keep(&[], &[])?;
        }
        let place = self.pending().join("handover.json");
        let noting = || format!("writing {}", place.display());
        let text = serde_json::to_vec_pretty(hand_over).with_context(noting)?;
        write(&place, &text, 0o600, None, None).with_context(noting)?;
        sync_dir(&self.pending()).with_context(noting)
    }

    /// What was noted, if anything was.
    fn noted(&self) -> Result<Option<HandOver>> {
        let place = self.pending().join("handover.json");
        let reading = || format!("reading {}", place.display());
        match fs::read(&place) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(reading),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err).with_context(reading),
        }
    }

    /// Puts everything back as it was; says whether there was anything to put back.
    pub(super) fn undo(&self) -> Result<bool> {
        if !self.is_pending() {
            return Ok(false);
        }
        let pending = self.pending();
        let path = pending.join("journal.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let record: Record =
            serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
        for file in &record.files {
            let place = beneath(&self.root, &file.path);
            self.restore(&place, file.kept.as_ref())
                .with_context(|| format!("putting {} back", place.display()))?;
        }
        self.sync(record.files.iter().map(|file| file.path.as_path()))?;
        self.remove_directories(&record.directories);
        if let Some(hand_over) = self.noted()? {
            hand_over.take_back(&self.root)?;
        }
        fs::remove_dir_all(&pending).with_context(|| format!("removing {}", pending.display()))?;
        Ok(true)
    }

    fn restore(&self, place: &Path, kept: Option<&Kept>) -> Result<()> {
        let Some(kept) = kept else {
            return match fs::remove_file(place) {
                Err(err) if err.kind() != ErrorKind::NotFound => Err(err.into()),
                _ => Ok(()),
            };
        };
        let bytes = fs::read(self.pending().join(&kept.copy))?;
        let staged = Staged {
            temporary: temporary(place),
            place: place.to_owned(),
        };
        let time = SystemTime::UNIX_EPOCH
            + Duration::new(
                kept.seconds.try_into().unwrap_or_default(),
                kept.nanoseconds,
            );
        write(
            &staged.temporary,
            &bytes,
            kept.mode,
            Some((kept.uid, kept.gid)),
            Some(time),
        )?;
        fs::rename(&staged.temporary, &staged.place)?;
        Ok(())
    }
}

fn looking_at(path: &Path) -> String {
    format!("looking at {}", path.display())
}

fn keep_file(mut file: File, pending: &Path, number: usize) -> Result<Kept> {
    let meta = file.metadata()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes)?;
    let copy = number.to_string();
    write(&pending.join(&copy), &bytes, 0o600, None, None)?;
    Ok(Kept {
        copy,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        seconds: meta.mtime(),
        nanoseconds: meta.mtime_nsec().try_into().unwrap_or_default(),
    })
}

/// A name that no backend reads: hidden, and with another ending.
fn temporary(place: &Path) -> PathBuf {
    let name = place
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    place.with_file_name(format!(".{name}.slipway-new"))
}

/// Writes a file that did not exist, whole, with everything set before its name counts.
fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
    time: Option<SystemTime>,
) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = (|| {
        file.write_all(bytes)?;
        if let Some((uid, gid)) = owner {
            let meta = file.metadata()?;
            if (meta.uid(), meta.gid()) != (uid, gid) {
                fchown(&file, Some(uid), Some(gid))?;
            }
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some(time) = time {
            file.set_times(FileTimes::new().set_modified(time))?;
        }
        file.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
