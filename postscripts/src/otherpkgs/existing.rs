//! Repositories that the node already has: from its installer, whose file ours replaces, or from an administrator, whose
//! file stays.
//!
//! apt refuses to work at all when two files name one repository with different keys.

use std::fs;
use std::path::{Path, PathBuf};

use definitions::PackageOrigin;

use super::package_manager::PackageManager;
use super::request::file_stem;
use super::sources::FoundSources;
use crate::files;

/// Removes from `found` what other files of the node name, with a note; returns the installer's files, which ours replace.
pub(super) fn resolve_duplicates(
    manager: &dyn PackageManager,
    origin: PackageOrigin,
    found: &mut FoundSources,
) -> Vec<PathBuf> {
    let (files, odd) = named_files(manager, origin)
        .into_iter()
        .partition::<Vec<_>, _>(|path| files::is_small_file(path));
    let read = |path: &PathBuf| Some((path.clone(), fs::read_to_string(path).ok()?));
    let files: Vec<_> = files.iter().filter_map(read).collect();
    found.notes.extend(odd.iter().map(|path| {
        let path = path.display();
        format!("{path} is not a regular file, or larger than any configuration: it is not read")
    }));
    let mut superseded = Vec::new();
    let mut kept = Vec::new();
    for source in std::mem::take(&mut found.sources) {
        let named: Vec<_> = files
            .iter()
            .filter(|(_, text)| manager.names_source(text, &source))
            .collect();
        let other = named
            .iter()
            .find(|(path, _)| !is_from_installer(path, &source.installer_name));
        if let Some((path, _)) = other.filter(|_| !manager.allows_duplicate_sources()) {
            let uri = &source.uri;
            found.notes.push(format!(
                "{uri} is already in {}: that file is left as it is",
                path.display()
            ));
            continue;
        }
        for (path, _) in named
            .into_iter()
            .filter(|(path, _)| is_from_installer(path, &source.installer_name))
        {
            if !superseded.contains(path) {
                superseded.push(path.clone());
            }
        }
        kept.push(source);
    }
    let is_used = |path: &str| {
        kept.iter()
            .any(|source| source.key.as_deref() == Some(path))
    };
    found.keys.retain(|(path, _)| is_used(path));
    found.sources = kept;
    superseded
}

/// Returns the node's files that name repositories, except ours.
fn named_files(manager: &dyn PackageManager, origin: PackageOrigin) -> Vec<PathBuf> {
    let layout = manager.layout();
    let extensions = [Some(layout.extension), layout.other_extension];
    let mut paths: Vec<_> = layout.other_file.map(PathBuf::from).into_iter().collect();
    let ours = format!("{}.{}", file_stem(origin), layout.extension);
    for entry in fs::read_dir(layout.directory)
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_read = extension.is_some() && extensions.contains(&extension);
        if is_read && path.file_name().is_some_and(|name| name != ours.as_str()) {
            paths.push(path);
        }
    }
    // a link to nothing has nothing to read, and a directory is passed over
    paths.retain(|path| path.exists() && !path.is_dir());
    paths.sort();
    paths
}

/// Says whether a file is the one that an installer wrote for an entry.
fn is_from_installer(path: &Path, name: &str) -> bool {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let rest = stem.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installers_file_has_the_entrys_name() {
        for (path, name, expected) in [
            ("/etc/apt/sources.list.d/extra1.sources", "extra1", true),
            ("/etc/apt/sources.list.d/extra1-sub.sources", "extra1", true),
            ("/etc/apt/sources.list.d/extra10.sources", "extra1", false),
            ("/etc/yum.repos.d/docker-ce.repo", "docker-ce", true),
        ] {
            assert_eq!(is_from_installer(Path::new(path), name), expected, "{path}");
        }
    }
}
