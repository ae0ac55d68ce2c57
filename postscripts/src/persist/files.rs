//! The configuration files a backend reads, as values.
//!
//! In: a root directory and the directories a backend keeps its files in. Out: [`Sources`], a map
//! from the path as the host sees it to the text, and [`Change`], what a rewrite makes of it. No
//! backend touches the disk itself; `journal.rs` does, once, for all of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// No network configuration file is larger; one that is was not written for us.
const FILE_LIMIT: u64 = 1 << 20;
/// No configuration directory holds more files.
const DIR_LIMIT: usize = 4096;

/// Configuration files by the absolute path the host knows them by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sources(BTreeMap<PathBuf, String>);

/// One file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path on the host, without the root directory.
    pub path: PathBuf,
    /// The whole new text; `None` removes the file.
    pub text: Option<String>,
    /// Where mode and owner of a new file come from.
    pub access: Access,
}

/// Mode and owner of a file that does not exist yet; one that exists keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Like the file at this path, which it takes text from.
    Like(PathBuf),
    /// Owned by the caller, with this mode.
    Mode(u32),
}

impl Sources {
    /// Reads every regular file below `dirs` (one level deep) that `wanted` accepts by name.
    pub(super) fn load(root: &Path, dirs: &[&str], wanted: fn(&str) -> bool) -> Result<Self> {
        let mut sources = Self::default();
        for dir in dirs {
            sources.load_dir(root, Path::new(dir), wanted)?;
        }
        Ok(sources)
    }

    fn load_dir(&mut self, root: &Path, dir: &Path, wanted: fn(&str) -> bool) -> Result<()> {
        for name in names(&beneath(root, dir))? {
            if wanted(&name) {
                self.load_file(root, &dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Reads the file at `path` below `root`; an absent one or a directory adds nothing.
    pub(super) fn load_file(&mut self, root: &Path, path: &Path) -> Result<()> {
        if let Some(text) = read(&beneath(root, path))? {
            self.0.insert(path.to_owned(), text);
        }
        Ok(())
    }

    /// The text at `path`.
    pub(super) fn text(&self, path: &Path) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether a file stands at `path`.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// All files, sorted by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// Adds or replaces a file.
    pub(super) fn insert(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.0.insert(path.into(), text.into());
    }

    /// Takes a file out.
    pub(super) fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// What stands on disk once `changes` are made.
    pub(super) fn with(&self, changes: &[Change]) -> Self {
        let mut after = self.clone();
        for change in changes {
            match &change.text {
                Some(text) => after.insert(&change.path, text),
                None => after.remove(&change.path),
            }
        }
        after
    }

    /// The changes that lead from here to `after`; an unchanged file is no change.
    pub(super) fn changes_to(&self, after: &Self, access: impl Fn(&Path) -> Access) -> Vec<Change> {
        let written = after
            .0
            .iter()
            .filter(|(path, text)| self.0.get(*path) != Some(text))
            .map(|(path, text)| Change {
                path: path.clone(),
                text: Some(text.clone()),
                access: access(path),
            });
        let removed = self
            .0
            .keys()
            .filter(|path| !after.0.contains_key(*path))
            .map(|path| Change {
                path: path.clone(),
                text: None,
                access: access(path),
            });
        written.chain(removed).collect()
    }
}

/// The place of the host's absolute `path` below `root`.
pub(super) fn beneath(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The names in a directory, sorted; an absent directory has none.
pub(super) fn names(dir: &Path) -> Result<Vec<String>> {
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
        if names.len() > DIR_LIMIT {
            bail!("listing {}: more than {DIR_LIMIT} files", dir.display());
        }
    }
    names.sort();
    Ok(names)
}

/// The text of a small regular file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    // A link to /dev/null is systemd's way to mask a file: it reads as an empty one.
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    };
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(None);
    }
    let mut text = String::new();
    file.take(FILE_LIMIT + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("reading {}", path.display()))?;
    if text.len() as u64 > FILE_LIMIT {
        bail!("reading {}: larger than {FILE_LIMIT} bytes", path.display());
    }
    Ok(Some(text))
}
