//! The files that are to stand, and a look at the node as if they did.
//!
//! Every name is resolved before anything is changed: so where the repositories differ from those that stand,
//! the package manager first reads a directory that holds the node's other ones and the new ones of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::PackageOrigin;
use tempfile::TempDir;

use super::package_manager::PackageManager;
use super::request::file_stem;
use super::sources::FoundSources;
use crate::files;

/// Where previews are made: not where the environment says.
const PREVIEWS: &str = "/tmp";

/// The files of ours: what each is to hold; `None` where there is to be none.
#[derive(Debug, Default)]
pub(super) struct RepoFiles {
    /// The file that names the repositories.
    pub(super) repositories: PathBuf,
    files: Vec<(PathBuf, Option<String>)>,
}

/// What files were.
#[derive(Debug, Default)]
pub(super) struct SavedFiles(Vec<(PathBuf, SavedFile)>);

/// Bytes and mode, if there was a file.
type SavedFile = Option<(Vec<u8>, u32)>;

impl SavedFiles {
    /// Puts everything back.
    pub(super) fn restore(&self) -> Result<()> {
        for (path, was) in &self.0 {
            put(path, was.as_ref().map(|(bytes, mode)| (&bytes[..], *mode)))?;
        }
        Ok(())
    }
}

fn put(path: &Path, content: Option<(&[u8], u32)>) -> Result<()> {
    let Some((bytes, mode)) = content else {
        return files::remove(path).with_context(|| format!("removing {}", path.display()));
    };
    files::ensure_dir(path.parent().unwrap_or(Path::new("/")), 0o755)?;
    files::replace(path, bytes, mode).with_context(|| format!("writing {}", path.display()))
}

impl RepoFiles {
    /// Plans the files for the repositories that were found; others make room for them.
    pub(super) fn plan(
        manager: &dyn PackageManager,
        origin: PackageOrigin,
        found: &FoundSources,
        superseded: Vec<PathBuf>,
    ) -> Result<Self> {
        let layout = manager.layout();
        let repositories =
            Path::new(layout.directory).join(format!("{}.{}", file_stem(origin), layout.extension));
        let mut files: Vec<_> = found
            .keys
            .iter()
            .map(|(path, text)| (PathBuf::from(path), Some(text.clone())))
            .collect();
        for stale in ours(Path::new(layout.keys), file_stem(origin)) {
            if files.iter().all(|(path, _)| *path != stale) {
                files.push((stale, None));
            }
        }
        files.extend(superseded.into_iter().map(|path| (path, None)));
        let text = (!found.sources.is_empty()).then(|| manager.render(&found.sources));
        files.push((repositories.clone(), text));
        Ok(Self {
            repositories,
            files,
        })
    }

    /// Says whether there are repositories.
    pub(super) fn has_repositories(&self) -> bool {
        self.files
            .iter()
            .any(|(path, text)| *path == self.repositories && text.is_some())
    }

    /// Returns the files that are not what they are to be.
    pub(super) fn due(&self) -> Result<Vec<(&Path, Option<&str>)>> {
        let mut due = Vec::new();
        for (path, text) in &self.files {
            let current = files::load(path)?.map(|(bytes, _)| bytes);
            if current.as_deref() != text.as_ref().map(|text| text.as_bytes()) {
                due.push((path.as_path(), text.as_deref()));
            }
        }
        Ok(due)
    }

    /// Makes the files what they are to be; returns what they were.
    pub(super) fn write(&self) -> Result<SavedFiles> {
        let mut before = SavedFiles::default();
        for (path, text) in self.due()? {
            before.0.push((path.to_owned(), files::load(path)?));
            put(path, text.map(|text| (text.as_bytes(), 0o644)))?;
        }
        Ok(before)
    }

    /// Makes a directory that holds the node's repositories as they will be.
    pub(super) fn preview(&self, manager: &dyn PackageManager) -> Result<TempDir> {
        let making = "making a directory for a look at the repositories";
        let directory = tempfile::Builder::new()
            .prefix("slipway-")
            .tempdir_in(PREVIEWS)
            .context(making)?;
        // apt reads it as a user of its own.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).context(making)?;
        let home = Path::new(manager.layout().directory);
        for entry in fs::read_dir(home).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_ours = self.files.iter().any(|(ours, _)| *ours == path);
            if !is_ours && files::is_small_file(&path) {
                fs::copy(&path, directory.path().join(entry.file_name())).context(making)?;
            }
        }
        let mut text = None;
        for (path, content) in &self.files {
            let Some(content) = content else { continue };
            if *path == self.repositories {
                text = Some(content.clone());
            } else {
                put(
                    &self.preview_path(directory.path(), path),
                    Some((content.as_bytes(), 0o644)),
                )?;
            }
        }
        if let Some(mut text) = text {
            for (path, _) in self
                .files
                .iter()
                .filter(|(path, content)| *path != self.repositories && content.is_some())
            {
                let preview_path = self.preview_path(directory.path(), path);
                text = text.replace(
                    &path.display().to_string(),
                    &preview_path.display().to_string(),
                );
            }
            put(
                &self.preview_path(directory.path(), &self.repositories),
                Some((text.as_bytes(), 0o644)),
            )?;
        }
        Ok(directory)
    }

    /// Returns the path of a file of ours in the preview.
    pub(super) fn preview_path(&self, directory: &Path, path: &Path) -> PathBuf {
        directory.join(path.file_name().unwrap_or_default())
    }
}

/// Returns the files of ours in a directory.
fn ours(directory: &Path, stem: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with(stem) && name.ends_with(".asc")
    };
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}
