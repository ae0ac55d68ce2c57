//! The configuration files a backend reads, as values.
//!
//! In: a root directory and the directories a backend keeps its files in. Out: [`Sources`], a map
//! from the path as the host sees it to the text, and the [`FileChange`]s that lead from one to another. No
//! backend touches the disk itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files::{Access, FileChange, FileLookup, look_up, names, under_root};

/// Configuration files by the absolute path the host knows them by, and what is among them that is
/// not read, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sources(BTreeMap<PathBuf, String>, BTreeSet<String>);

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
        for name in names(&under_root(root, dir))? {
            if wanted(&name) {
                self.load_file(root, &dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Reads the file at `path` below `root`; an absent one or a directory adds nothing.
    pub(super) fn load_file(&mut self, root: &Path, path: &Path) -> Result<()> {
        match look_up(&under_root(root, path))? {
            FileLookup::Text(text) => drop(self.0.insert(path.to_owned(), text)),
            FileLookup::Nothing => {}
            FileLookup::Odd(why) => drop(self.1.insert(format!("{} {why}", path.display()))),
        }
        Ok(())
    }

    /// What is among them and is not read, each with the reason: `/etc/netplan/a.yaml is a named pipe`.
    pub(super) fn skipped(&self) -> impl Iterator<Item = &str> {
        self.1.iter().map(String::as_str)
    }

    /// The text at `path`.
    pub(super) fn text(&self, path: &Path) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether there is a file at `path`.
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

    /// What is on disk once `changes` are made.
    pub(super) fn with(&self, changes: &[FileChange]) -> Self {
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
    pub(super) fn changes_to(
        &self,
        after: &Self,
        access: impl Fn(&Path) -> Access,
    ) -> Vec<FileChange> {
        let written = after
            .0
            .iter()
            .filter(|(path, text)| self.0.get(*path) != Some(text))
            .map(|(path, text)| FileChange {
                path: path.clone(),
                text: Some(text.clone()),
                access: access(path),
            });
        let removed = self
            .0
            .keys()
            .filter(|path| !after.0.contains_key(*path))
            .map(|path| FileChange {
                path: path.clone(),
                text: None,
                access: access(path),
            });
        written.chain(removed).collect()
    }
}
