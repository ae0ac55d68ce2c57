//! The programs that ship with Slipway, where nodes can fetch them.
//!
//! What was installed beside this program comes in, `<prefix>/share/slipway/postscripts`; copies below
//! `<installdir>/postscripts` go out, since the web server serves nothing else. A program of ours that is
//! of another version there is replaced; programs of other names are the administrator's and stay.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::write_atomic;

/// Where the programs lie beside this one: `/usr/bin/nodeset` has `/usr/share/slipway/postscripts`.
pub(crate) fn home() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let prefix = program.parent()?.parent()?;
    let home = prefix.join("share/slipway/postscripts");
    home.is_dir().then_some(home)
}

/// Copies what differs, and returns the names of what was copied, or would be.
///
/// # Errors
/// When a program cannot be read or written.
pub(crate) fn ensure(home: &Path, served: &Path, dry_run: bool) -> Result<Vec<String>> {
    let reading = || format!("reading {}", home.display());
    let mut copied = Vec::new();
    for entry in fs::read_dir(home).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // A link such as xHRM is served as the program that it names.
        let path = entry.path();
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let target = served.join(&name);
        if stands(&target, &bytes)? {
            continue;
        }
        if !dry_run {
            write(&target, &bytes).with_context(|| format!("writing {}", target.display()))?;
        }
        copied.push(name);
    }
    copied.sort();
    Ok(copied)
}

/// Says whether a program stands there byte for byte.
fn stands(target: &Path, bytes: &[u8]) -> Result<bool> {
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Ok(metadata) if !metadata.is_file() || metadata.len() != bytes.len() as u64 => Ok(false),
        Ok(_) => fs::read(target)
            .map(|standing| standing == bytes)
            .with_context(|| format!("reading {}", target.display())),
        Err(error) => Err(error).with_context(|| format!("looking at {}", target.display())),
    }
}

/// Writes a program whole or not at all.
fn write(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
    write_atomic(target, bytes, 0o755)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn programs_are_copied_once_and_replaced_when_they_differ() {
        let dir = tempfile::tempdir().unwrap();
        let (home, served) = (
            dir.path().join("share"),
            dir.path().join("install/postscripts"),
        );
        fs::create_dir(&home).unwrap();
        fs::write(home.join("bridgeprereq"), "one").unwrap();
        std::os::unix::fs::symlink("bridgeprereq", home.join("xHRM")).unwrap();

        assert_eq!(
            ensure(&home, &served, true).unwrap(),
            ["bridgeprereq", "xHRM"]
        );
        assert!(!served.exists());
        assert_eq!(
            ensure(&home, &served, false).unwrap(),
            ["bridgeprereq", "xHRM"]
        );
        assert_eq!(fs::read(served.join("xHRM")).unwrap(), b"one");
        assert_eq!(
            fs::symlink_metadata(served.join("xHRM"))
                .unwrap()
                .permissions()
                .mode(),
            0o100_755
        );
        assert!(ensure(&home, &served, false).unwrap().is_empty());

        fs::write(served.join("mine"), "an administrator's").unwrap();
        fs::write(home.join("bridgeprereq"), "two").unwrap();
        assert_eq!(
            ensure(&home, &served, false).unwrap(),
            ["bridgeprereq", "xHRM"]
        );
        assert_eq!(fs::read(served.join("bridgeprereq")).unwrap(), b"two");
        assert!(served.join("mine").exists());
    }
}
