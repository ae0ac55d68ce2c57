//! A directory of the root whose content is kept with the node's state, as the osimage's `statepaths` name it.
//!
//! Where state is, and a path, come in; the directory of the state that takes its place goes out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::state::below;
use crate::program;

/// How long it may take to copy what the image has in a directory that is kept.
const COPY_TIMEOUT: Duration = Duration::from_secs(600);

/// Returns where a directory of the root is kept. The first time it has what the image has there.
pub(super) fn keep_path(root: &Path, state: &Path, path: &str) -> Result<PathBuf> {
    let (directory, paths) = (below(root, path), state.join("paths"));
    let kept = below(&paths, path);
    let making = |place: &Path| format!("making {}", place.display());
    match fs::symlink_metadata(&directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => bail!("it is no directory in the root image: name the place that it leads to"),
        Err(_) => fs::create_dir_all(&directory).with_context(|| making(&directory))?,
    }
    if kept.is_dir() {
        return Ok(kept);
    }
    let above = kept.parent().unwrap_or(&paths);
    fs::create_dir_all(above).with_context(|| making(above))?;
    // complete, or not there: the machine may stop meanwhile
    let staged = state.join("paths.new");
    match fs::remove_dir_all(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", staged.display()));
        }
        _ => {}
    }
    let cp =
        program::find("cp").context("the root image has no cp: add coreutils to its pkglist")?;
    let mut command = Command::new(cp);
    command.args(["-a", "--"]).args([&directory, &staged]);
    program::run(&mut command, Stdio::null(), COPY_TIMEOUT)?;
    nix::unistd::sync();
    fs::rename(&staged, &kept).with_context(|| making(&kept))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::drivers::names_in;
    use super::*;

    #[test]
    fn a_directory_that_is_kept_begins_with_what_the_image_has_there() {
        let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keep = |path: &str| keep_path(root.path(), state.path(), path);
        let log = root.path().join("var/log");
        fs::create_dir_all(log.join("journal")).unwrap();
        fs::set_permissions(&log, PermissionsExt::from_mode(0o750)).unwrap();
        symlink("journal", log.join("link")).unwrap();
        // what a run that was cut short has left
        fs::create_dir(state.path().join("paths.new")).unwrap();
        fs::write(state.path().join("paths.new/half"), "").unwrap();
        let kept = keep("/var/log").unwrap();
        assert_eq!(kept, state.path().join("paths/var/log"));
        assert_eq!(names_in(&kept).unwrap(), ["journal", "link"]);
        let mode = fs::metadata(&kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o750);
        // Later boots have what was written there, whatever the image has.
        fs::write(kept.join("written"), "").unwrap();
        fs::write(log.join("newer"), "").unwrap();
        assert_eq!(
            names_in(&keep("/var/log").unwrap()).unwrap(),
            ["journal", "link", "written"]
        );
        assert_eq!(names_in(&keep("/srv/data").unwrap()).unwrap(), [""; 0]);
        assert!(root.path().join("srv/data").is_dir());
        let refused = keep("/var/log/link").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "it is no directory in the root image: name the place that it leads to"
        );
    }
}
