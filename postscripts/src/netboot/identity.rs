//! What makes a shared image this host: its machine id, its ssh host keys. They are made here where no state keeps them,
//! and kept where it does.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::console::Console;
use super::state::{STATE, below, private_directory};
use crate::{files, program};

/// The file whose absence makes systemd take the boot for the first one.
const MACHINE_ID: &str = "/etc/machine-id";
/// Where sshd has its keys.
const SSH: &str = "/etc/ssh";
/// The key that every sshd of the last ten years takes.
const HOST_KEY: &str = "ssh_host_ed25519_key";
/// How long making a key may take.
const KEYGEN_TIMEOUT: Duration = Duration::from_secs(120);
/// What systemd updates when `/usr` is newer; it was updated when the image was built.
const STAMPS: [&str; 2] = ["/etc/.updated", "/var/.updated"];

/// Gives a root its machine id, and says that its caches are up to date.
pub(super) fn ensure_machine_id(root: &Path, is_kept: bool) -> Result<()> {
    let kept = below(root, STATE).join("machine-id");
    let known = if is_kept { files::read(&kept)? } else { None };
    let known = known.filter(|text| is_machine_id(text));
    let id = match known {
        Some(id) => id,
        None => {
            let made = fs::read_to_string("/proc/sys/kernel/random/uuid")
                .context("making a machine id")?;
            let id = format!("{}\n", made.trim().replace('-', ""));
            if is_kept {
                files::replace(&kept, id.as_bytes(), 0o444)
                    .with_context(|| format!("writing {}", kept.display()))?;
            }
            id
        }
    };
    let path = below(root, MACHINE_ID);
    files::replace(&path, id.as_bytes(), 0o444)
        .with_context(|| format!("writing {}", path.display()))?;
    for stamp in STAMPS {
        let path = below(root, stamp);
        fs::write(&path, "").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Says whether a text is one, machine-id(5).
fn is_machine_id(text: &str) -> bool {
    let id = text.trim_end();
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Gives the root that this process runs in its ssh host keys: those that state keeps, else a new one. That there is no
/// ssh is no error.
pub(super) fn ensure_host_keys(is_kept: bool, console: &Console) -> Result<()> {
    let (ssh, kept) = (PathBuf::from(SSH), Path::new(STATE).join("ssh"));
    if !ssh.is_dir() {
        return Ok(());
    }
    if is_kept {
        copy_keys(&kept, &ssh)?;
    }
    if !has_private_key(&ssh)? {
        let Some(keygen) = program::find("ssh-keygen") else {
            return Ok(());
        };
        let mut command = Command::new(keygen);
        command
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(ssh.join(HOST_KEY));
        program::run(&mut command, Stdio::null(), KEYGEN_TIMEOUT)
            .context("making an ssh host key")?;
        console.say("made an ssh host key");
        if is_kept {
            private_directory(&kept)?;
            copy_keys(&ssh, &kept)?;
        }
    }
    Ok(())
}

/// Copies host keys, the private parts for root alone.
fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    for name in host_keys(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let copying = || format!("copying {} to {}", source.display(), target.display());
        let bytes = fs::read(&source).with_context(copying)?;
        let mode = if name.ends_with(".pub") { 0o644 } else { 0o600 };
        files::replace(&target, &bytes, mode).with_context(copying)?;
    }
    Ok(())
}

/// Lists the host keys of a directory; none where it is not there.
fn host_keys(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {}", directory.display()))?,
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    Ok(names.filter(|name| is_host_key(name)).collect())
}

/// Says whether sshd has a key in a directory: of a copy that broke off there may be a public part alone.
fn has_private_key(directory: &Path) -> Result<bool> {
    let keys = host_keys(directory)?;
    Ok(keys.iter().any(|name| !name.ends_with(".pub")))
}

fn is_host_key(name: &str) -> bool {
    let bare = name.strip_suffix(".pub").unwrap_or(name);
    bare.starts_with("ssh_host_") && bare.ends_with("_key")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc", STATE.trim_start_matches('/')] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        root
    }

    fn machine_id(root: &Path) -> String {
        fs::read_to_string(below(root, MACHINE_ID)).unwrap()
    }

    #[test]
    fn a_machine_id_is_kept_with_state_and_made_again_without() {
        let root = root();
        for (is_kept, same) in [(true, true), (false, false)] {
            ensure_machine_id(root.path(), is_kept).unwrap();
            let first = machine_id(root.path());
            assert!(is_machine_id(&first), "{first}");
            ensure_machine_id(root.path(), is_kept).unwrap();
            assert_eq!(machine_id(root.path()) == first, same);
        }
        assert!(root.path().join("var/.updated").exists());
    }

    #[test]
    fn a_damaged_machine_id_is_replaced() {
        let root = root();
        fs::write(below(root.path(), STATE).join("machine-id"), "half").unwrap();
        ensure_machine_id(root.path(), true).unwrap();
        assert!(is_machine_id(&machine_id(root.path())));
    }

    #[test]
    fn host_keys_are_copied_and_nothing_else() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in [
            HOST_KEY,
            "ssh_host_ed25519_key.pub",
            "sshd_config",
            "ssh_host_x",
        ] {
            fs::write(from.path().join(name), name).unwrap();
        }
        copy_keys(from.path(), to.path()).unwrap();
        let mut found = host_keys(to.path()).unwrap();
        found.sort();
        assert_eq!(found, [HOST_KEY, "ssh_host_ed25519_key.pub"]);
        let key = fs::metadata(to.path().join(HOST_KEY)).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 2);
        assert!(has_private_key(to.path()).unwrap());
        fs::remove_file(to.path().join(HOST_KEY)).unwrap();
        assert!(!has_private_key(to.path()).unwrap());
        assert!(!has_private_key(&to.path().join("none")).unwrap());
    }
}
