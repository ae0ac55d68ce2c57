//! What the boot archive brought for this node, put into its root.
//!
//! A directory with files goes in, each with its permissions; they go to the same paths below the root, and take the place
//! of what is there. Links of the root are not followed: neither the one that a file replaces, nor one above it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{FetchList, FetchedFile};

use super::console::Console;
use super::download::{Download, Waits};

/// Copies what is below a directory into a root.
pub(super) fn copy(from: &Path, root: &Path) -> Result<()> {
    let reading = || format!("reading {}", from.display());
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(reading)?,
    };
    for entry in entries {
        let entry = entry.with_context(reading)?;
        let (source, target) = (entry.path(), root.join(entry.file_name()));
        let metadata = entry.metadata().with_context(reading)?;
        let copying = || format!("copying {}", source.display());
        if metadata.is_dir() {
            make_directory(&target, metadata.permissions().mode())?;
            copy(&source, &target)?;
        } else if metadata.is_symlink() {
            let to = fs::read_link(&source).with_context(copying)?;
            let staged = staged(&target);
            symlink(to, &staged)
                .and_then(|()| fs::rename(&staged, &target))
                .with_context(copying)?;
        } else {
            let bytes = fs::read(&source).with_context(copying)?;
            place(&target, metadata.permissions().mode(), &mut |file| {
                file.write_all(&bytes).map_err(Into::into)
            })
            .with_context(copying)?;
        }
    }
    Ok(())
}

/// Fetches what a list names into a root.
pub(super) fn fetch(list: &FetchList, root: &Path, console: &Console, waits: Waits) -> Result<()> {
    for file in &list.fetch {
        let FetchedFile {
            url, bytes, sha256, ..
        } = file;
        let (mut directory, path) = (
            root.to_owned(),
            Path::new(file.path.trim_start_matches('/')),
        );
        for part in path.parent().into_iter().flat_map(Path::iter) {
            directory.push(part);
            make_directory(&directory, 0o755)?;
        }
        let download = Download::of(url, *bytes, sha256, console, waits)?;
        place(&root.join(path), file.mode, &mut |sink| download.run(sink))
            .with_context(|| format!("fetching {}", file.path))?;
    }
    Ok(())
}

/// Makes a directory, or takes the one that is there as it is.
fn make_directory(path: &Path, mode: u32) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => bail!(
            "{} is no directory in the root image, and files of the node go below it: name the place that it leads to",
            path.display()
        ),
        Err(_) => {}
    }
    let made = DirBuilder::new().mode(mode & 0o7777).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode & 0o7777)))
        .with_context(|| format!("making {}", path.display()))
}

/// Puts a file in place once all of it is written.
fn place(
    target: &Path,
    mode: u32,
    write: &mut dyn FnMut(&mut fs::File) -> Result<()>,
) -> Result<()> {
    if fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
        bail!("{} is a directory in the root image", target.display());
    }
    let staged = staged(target);
    let writing = || format!("writing {}", target.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&staged).with_context(writing)?;
    write(&mut file)?;
    file.set_permissions(Permissions::from_mode(mode & 0o7777))
        .and_then(|()| fs::rename(&staged, target))
        .with_context(writing)
}

/// Names the file beside another that becomes it.
fn staged(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".slipway-new");
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_take_the_place_of_the_root_s_with_their_permissions_and_follow_no_link() {
        let (archive, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (archive.path(), root.path());
        fs::create_dir_all(from.join("etc/secret")).unwrap();
        for (path, text, bits) in [
            ("etc/hostname", "host01\n", 0o644),
            ("etc/secret/token", "t", 0o600),
            ("etc/resolv.conf", "nameserver 10.1.0.1\n", 0o644),
        ] {
            fs::write(from.join(path), text).unwrap();
            fs::set_permissions(from.join(path), Permissions::from_mode(bits)).unwrap();
        }
        fs::set_permissions(from.join("etc/secret"), Permissions::from_mode(0o700)).unwrap();
        symlink("a", from.join("etc/link")).unwrap();
        fs::create_dir(to.join("etc")).unwrap();
        fs::write(to.join("etc/hostname"), "image").unwrap();
        fs::write(to.join("stub"), "stub").unwrap();
        symlink("../stub", to.join("etc/resolv.conf")).unwrap();
        for _ in 0..2 {
            copy(from, to).unwrap();
        }
        assert_eq!(fs::read(to.join("etc/hostname")).unwrap(), b"host01\n");
        assert_eq!(fs::read(to.join("stub")).unwrap(), b"stub");
        assert_eq!(mode(&to.join("etc/secret")), 0o700);
        assert_eq!(mode(&to.join("etc/secret/token")), 0o600);
        assert_eq!(fs::read_link(to.join("etc/link")).unwrap(), Path::new("a"));
        let left = fs::read_dir(to.join("etc")).unwrap().count();
        assert_eq!(left, 4);
    }

    #[test]
    fn a_link_above_a_file_is_refused_and_an_archive_without_files_is_fine() {
        let (archive, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(&archive.path().join("none"), root.path()).unwrap();
        fs::create_dir(archive.path().join("lib")).unwrap();
        symlink("usr/lib", root.path().join("lib")).unwrap();
        let error = copy(archive.path(), root.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is no directory in the root image, and files of the node go below it: name the place that it leads to",
                root.path().join("lib").display()
            )
        );
    }
}
