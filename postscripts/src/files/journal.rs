//! Puts changed files in place, all or none, and puts the previous ones back exactly.
//!
//! In: the changes. Out: the files. `pending/journal.json` in the state directory is there before the
//! first of them is touched and lists them; then every new file is written beside its place,
//! every old one gets a second name beside it, and only then do the new ones take their places. To
//! undo it is to rename the old files, which have kept their bytes, mode, owner, labels and
//! times: that needs no room on the disk, leaves no copy of a key, works in any later process and as
//! often as it is tried. What other programs are notified of meanwhile is noted, so that they can be notified again.
//! A commit makes `pending/` to `previous/`. Nothing remains, whenever a run is interrupted.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::write::{create, kept, remove, replace, staged, sync_parent};
use super::{Access, FileChange, under_root};
use crate::fault::Fault;
use crate::owner::check_state;

const RECORD_NAME: &str = "journal.json";
const NOTE_NAME: &str = "note.json";

/// The files of one change, before and after.
#[derive(Debug, Clone)]
pub(crate) struct FileJournal {
    root: PathBuf,
    dir: PathBuf,
    copies: bool,
    fault: Fault,
}

/// The content of `journal.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct JournalRecord {
    files: Vec<PreviousFile>,
    /// Directories that are made, outermost first.
    directories: Vec<PathBuf>,
}

/// One file as it was.
#[derive(Debug, Serialize, Deserialize)]
struct PreviousFile {
    path: PathBuf,
    #[serde(alias = "stood")]
    existed: bool,
}

impl JournalRecord {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty()
    }
}

impl FileJournal {
    /// One whose state lies in `dir`, for files below `root`.
    pub(crate) fn new(root: &Path, dir: PathBuf) -> Self {
        Self {
            root: root.to_owned(),
            dir,
            copies: false,
            fault: Fault::default(),
        }
    }

    /// One that also copies the previous files to `previous/`, for people.
    pub(crate) fn with_copies(self) -> Self {
        Self {
            copies: true,
            ..self
        }
    }

    /// One with the faults that a test plans.
    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    fn pending(&self) -> PathBuf {
        self.dir.join("pending")
    }

    fn previous(&self) -> PathBuf {
        self.dir.join("previous")
    }

    /// Whether a change was begun and neither committed nor undone.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending().join(RECORD_NAME).exists()
    }

    /// Makes all changes; after an error none is made.
    pub(crate) fn apply(&self, changes: &[FileChange]) -> Result<()> {
        if load::<JournalRecord>(&self.pending().join(RECORD_NAME))?
            .is_some_and(|record| !record.is_empty())
        {
            bail!("an earlier change of the files was not finished: undo it first");
        }
        let old = self.look_up(changes)?;
        let record = JournalRecord {
            files: changes
                .iter()
                .zip(&old)
                .map(|(change, old)| PreviousFile {
                    path: change.path.clone(),
                    existed: old.is_some(),
                })
                .collect(),
            directories: self.missing_directories(changes)?,
        };
        self.begin(&record)?;
        let made = self
            .make_directories(&record, changes)
            .and_then(|()| self.stage(changes, &old))
            .and_then(|()| self.keep(&record))
            .and_then(|()| self.publish(changes));
        if made.is_err() {
            self.restore().context("putting the previous files back")?;
            // What others were notified of before is not undone by that.
            if self.pending().join(NOTE_NAME).exists() {
                self.begin(&JournalRecord::default())?
            } else {
                self.end()?
            }
        }
        made
    }

    /// Checks that each place can be changed, and changes none.
    pub(crate) fn check(&self, changes: &[FileChange]) -> Result<()> {
        self.look_up(changes).map(drop)
    }

    /// What is at each place now; only a regular file can be changed.
    fn look_up(&self, changes: &[FileChange]) -> Result<Vec<Option<Metadata>>> {
        let one = |change: &FileChange| {
            let place = under_root(&self.root, &change.path);
            match fs::symlink_metadata(&place) {
                Ok(meta) if meta.is_file() => Ok(Some(meta)),
                Ok(_) => bail!(
                    "{} is not a regular file: replace it by one first",
                    place.display()
                ),
                Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
                Err(err) => Err(err).with_context(|| format!("looking at {}", place.display())),
            }
        };
        changes.iter().map(one).collect()
    }

    /// The directories that the changes need and that do not exist, outermost first.
    fn missing_directories(&self, changes: &[FileChange]) -> Result<Vec<PathBuf>> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for change in changes.iter().filter(|change| change.text.is_some()) {
            for dir in change.path.ancestors().skip(1) {
                let exists = under_root(&self.root, dir).try_exists();
                let exists = exists.with_context(|| format!("looking at {}", dir.display()))?;
                if !exists && !missing.iter().any(|known| known == dir) {
                    missing.push(dir.to_owned());
                }
            }
        }
        missing.sort();
        Ok(missing)
    }

    /// Says what is about to be touched, before anything is.
    fn begin(&self, record: &JournalRecord) -> Result<()> {
        self.tidy();
        let pending = self.pending();
        let beginning = || format!("beginning a journal in {}", pending.display());
        let begin = || -> io::Result<()> {
            self.fault.part()?;
            if !self.is_pending() {
                clear(&pending)?;
            }
            fs::create_dir_all(&pending)?;
            fs::set_permissions(&self.dir, Permissions::from_mode(0o700))?;
            replace(
                &pending.join(RECORD_NAME),
                &serde_json::to_vec_pretty(record)?,
                0o600,
            )?;
            sync_parent(&pending)?;
            sync_parent(&self.dir)
        };
        let noted = self.is_pending();
        begin().with_context(beginning).inspect_err(|_| {
            if !noted {
                let _ = clear(&pending);
            }
        })
    }

    fn make_directories(&self, record: &JournalRecord, changes: &[FileChange]) -> Result<()> {
        for dir in &record.directories {
            let place = under_root(&self.root, dir);
            let first = changes.iter().find(|change| change.path.starts_with(dir));
            // Others than root read what is not private: networkd, for one.
            let mode = match first.map(|change| &change.access) {
                Some(Access::Private) => 0o700,
                _ => 0o755,
            };
            self.fault
                .part()
                .and_then(|()| DirBuilder::new().mode(0o700).create(&place))
                .and_then(|()| fs::set_permissions(&place, Permissions::from_mode(mode)))
                .with_context(|| format!("making {}", place.display()))?;
        }
        Ok(())
    }

    /// Writes every new file beside its place.
    fn stage(&self, changes: &[FileChange], old: &[Option<Metadata>]) -> Result<()> {
        for (change, old) in changes.iter().zip(old) {
            let Some(text) = &change.text else { continue };
            let place = under_root(&self.root, &change.path);
            let like = match &change.access {
                Access::Like(path) => fs::metadata(under_root(&self.root, path)).ok(),
                _ => None,
            };
            let (mode, owner) = match (change.access.demanded(), old.as_ref().or(like.as_ref())) {
                (Some(mode), _) => (mode, None),
                (None, Some(meta)) => (meta.mode() & 0o7777, Some((meta.uid(), meta.gid()))),
                (None, None) => match change.access {
                    Access::Mode(mode) => (mode, None),
                    _ => (0o600, None),
                },
            };
            self.fault
                .part()
                .and_then(|()| create(&staged(&place), text.as_bytes(), mode, owner))
                .with_context(|| format!("writing {}", place.display()))?;
        }
        Ok(())
    }

    /// Gives every old file a second name, which it comes back by.
    fn keep(&self, record: &JournalRecord) -> Result<()> {
        for file in record.files.iter().filter(|file| file.existed) {
            let place = under_root(&self.root, &file.path);
            if self.copies {
                self.copy(&file.path, &place)?;
            }
            self.fault
                .part()
                .and_then(|()| remove(&kept(&place)))
                .and_then(|()| fs::hard_link(&place, kept(&place)))
                .with_context(|| format!("keeping {}", place.display()))?;
        }
        self.sync(record)
    }

    /// Copies a file to where people find it afterwards, below its own path.
    fn copy(&self, path: &Path, place: &Path) -> Result<()> {
        let pending = self.pending();
        let copy = under_root(&pending, path);
        let copying = || format!("copying the previous files to {}", pending.display());
        self.fault
            .part()
            .and_then(|()| copy.parent().map_or(Ok(()), fs::create_dir_all))
            .and_then(|()| fs::copy(place, &copy))
            .with_context(copying)?;
        Ok(())
    }

    fn publish(&self, changes: &[FileChange]) -> Result<()> {
        for change in changes {
            let place = under_root(&self.root, &change.path);
            self.fault
                .part()
                .and_then(|()| match change.text {
                    Some(_) => fs::rename(staged(&place), &place),
                    None => fs::remove_file(&place),
                })
                .with_context(|| match change.text {
                    Some(_) => format!("writing {}", place.display()),
                    None => format!("removing {}", place.display()),
                })?;
        }
        changes
            .iter()
            .try_for_each(|change| self.flush(&change.path))
    }

    fn sync(&self, record: &JournalRecord) -> Result<()> {
        record
            .files
            .iter()
            .try_for_each(|file| self.flush(&file.path))
    }

    fn flush(&self, path: &Path) -> Result<()> {
        let place = under_root(&self.root, path);
        sync_parent(&place)
            .with_context(|| format!("flushing the directory of {}", place.display()))
    }

    /// Notes what others are about to be notified of, so that a later process can notify them again.
    pub(crate) fn note(&self, what: &impl Serialize) -> Result<()> {
        if !self.is_pending() {
            self.begin(&JournalRecord::default())?;
        }
        let place = self.pending().join(NOTE_NAME);
        let noting = || format!("writing {}", place.display());
        let text = serde_json::to_vec_pretty(what).with_context(noting)?;
        self.fault
            .part()
            .and_then(|()| replace(&place, &text, 0o600))
            .with_context(noting)
    }

    /// What was noted, if anything was.
    pub(crate) fn noted<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        load(&self.pending().join(NOTE_NAME))
    }

    /// Puts every file back as it was, and reports whether there is anything to undo at all.
    /// Once others were notified too, [`end`](Self::end) is due.
    pub(crate) fn restore(&self) -> Result<bool> {
        let Some(record) = load::<JournalRecord>(&self.pending().join(RECORD_NAME))? else {
            return Ok(false);
        };
        // the last first: what a later file relies on is there as long as it is
        for file in record.files.iter().rev() {
            let place = under_root(&self.root, &file.path);
            self.fault
                .part()
                .and_then(|()| put_back(&place, file.existed))
                .with_context(|| format!("putting {} back", place.display()))?;
        }
        self.sync(&record)?;
        for dir in record.directories.iter().rev() {
            // One that meanwhile holds something of somebody else's stays.
            let _ = fs::remove_dir(under_root(&self.root, dir));
        }
        Ok(true)
    }

    /// Ends a change that was undone.
    pub(crate) fn end(&self) -> Result<()> {
        let pending = self.pending();
        self.fault
            .part()
            .and_then(|()| remove(&pending.join(RECORD_NAME)))
            .and_then(|()| clear(&pending))
            .with_context(|| format!("removing {}", pending.display()))
    }

    /// Makes the change last: from here on it is not undone any more. Also ends what an earlier
    /// commit left that was cut off.
    pub(crate) fn commit(&self) -> Result<()> {
        if self.is_pending() {
            let previous = self.previous();
            self.fault
                .part()
                .and_then(|()| clear(&previous))
                .and_then(|()| fs::rename(self.pending(), &previous))
                .and_then(|()| sync_parent(&previous))
                .with_context(|| format!("keeping the previous files in {}", previous.display()))?;
        }
        self.tidy();
        Ok(())
    }

    /// Takes the second names away that a commit leaves. That is no reason to fail: what cannot go now
    /// goes in the next run.
    fn tidy(&self) {
        let previous = self.previous();
        let path = previous.join(RECORD_NAME);
        let Ok(Some(record)) = load::<JournalRecord>(&path) else {
            return;
        };
        let gone = |file: &PreviousFile| {
            let name = kept(&under_root(&self.root, &file.path));
            self.fault.part().and_then(|()| remove(&name)).is_ok()
        };
        if record.files.iter().all(gone) && remove(&previous.join(NOTE_NAME)).is_ok() {
            let _ = self.fault.part().and_then(|()| remove(&path));
        }
        // It stays where it holds copies.
        let _ = fs::remove_dir(&previous);
    }
}

/// Puts one file back; done twice it is done once.
fn put_back(place: &Path, existed: bool) -> io::Result<()> {
    remove(&staged(place))?;
    if !existed {
        return remove(place);
    }
    let kept = kept(place);
    match fs::symlink_metadata(&kept).and_then(|_| fs::rename(&kept, place)) {
        // It was not replaced yet, or it is back already.
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        Err(err) => Err(err),
        // Where both names are of the same file still, renaming leaves both.
        Ok(()) => remove(&kept),
    }
}

/// Removes a directory with all that it holds; that there is none is fine.
fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let reading = || format!("reading {}", path.display());
    check_state(Path::new("/"), &absolute(path)?).with_context(reading)?;
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(reading),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(reading),
    }
}
