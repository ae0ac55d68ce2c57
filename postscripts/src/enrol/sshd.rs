//! The ssh host key that the site signs, and the sshd that shows it.
//!
//! Reference: sshd_config(5), `HostCertificate`; ssh-keygen(1), "CERTIFICATES".

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::files::{self, load_text, under_root};
use crate::identity::directory;
use crate::owner::load_state_text;
use crate::program;

/// The certificate as it is kept with the identity.
pub(super) const CERTIFICATE: &str = "ssh_host_key-cert.pub";

/// The keys of a host, the one that is signed first.
const KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

const CONFIG: &str = "/etc/ssh/sshd_config";
const DROP_INS: &str = "/etc/ssh/sshd_config.d";
const DROP_IN: &str = "10-slipway.conf";

/// How long systemd may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the host's public key; `None` where there is no sshd.
pub(super) fn public_key(root: &Path) -> Result<Option<String>> {
    Ok(host_key(root)?.map(|(_, text)| text.trim().to_owned()))
}

fn host_key(root: &Path) -> Result<Option<(String, String)>> {
    for kind in KEYS {
        let path = format!("/etc/ssh/ssh_host_{kind}_key");
        let public = under_root(root, Path::new(&format!("{path}.pub")));
        if let Some(text) = load_text(&public)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

/// Puts the certificate beside its key, and has sshd show it.
pub(super) fn apply(root: &Path) -> Result<()> {
    let kept = load_state_text(&directory(root).join(CERTIFICATE))?;
    let (Some(certificate), Some((key, _))) = (kept, host_key(root)?) else {
        return Ok(());
    };
    let shown = format!("{key}-cert.pub");
    let mut changed = write(root, &shown, &certificate)?;
    let line = format!("HostCertificate {shown}\n");
    let config = load_text(&under_root(root, Path::new(CONFIG)))?.unwrap_or_default();
    changed |= if reads_drop_ins(&config) {
        write(
            root,
            &format!("{DROP_INS}/{DROP_IN}"),
            &format!("# Written by 'enrol'.\n{line}"),
        )?
    } else if holds_for_all(&config, line.trim_end()) {
        false
    } else {
        // first, as what follows a Match holds for some connections alone
        write(root, CONFIG, &format!("{line}{config}"))?
    };
    if changed {
        // a pattern is of those that are loaded: a name that the distribution does not use is an error
        systemctl(
            root,
            &["reload-or-try-restart", "ssh[.]service", "sshd[.]service"],
        )?;
    }
    Ok(())
}

/// Says whether sshd reads the directory of drop-ins.
fn reads_drop_ins(config: &str) -> bool {
    config.lines().any(|line| {
        let mut words = line.split_whitespace();
        words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && words.any(|word| word.starts_with(DROP_INS))
    })
}

/// Says whether a line of a configuration is before all that a Match limits.
fn holds_for_all(config: &str, line: &str) -> bool {
    let is_match = |line: &&str| {
        let first = line.split_whitespace().next();
        first.is_some_and(|word| word.eq_ignore_ascii_case("match"))
    };
    let mut lines = config.lines().map(str::trim);
    lines
        .find(|one| *one == line || is_match(one))
        .is_some_and(|one| one == line)
}

/// Writes a file of ssh, which others may read as they could.
fn write(root: &Path, path: &str, text: &str) -> Result<bool> {
    let path = under_root(root, Path::new(path));
    let mode = match files::load(&path)? {
        Some((bytes, _)) if bytes == text.as_bytes() => return Ok(false),
        Some((_, mode)) => mode,
        None => 0o644,
    };
    files::replace(&path, text.as_bytes(), mode)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

/// Tells systemd something, where it runs and this is its system.
pub(super) fn systemctl(root: &Path, arguments: &[&str]) -> Result<()> {
    if root != Path::new("/") || !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let Some(path) = program::find("systemctl") else {
        return Ok(());
    };
    program::run(Command::new(path).args(arguments), Stdio::null(), TIMEOUT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(config: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc/ssh/sshd_config.d", "etc/slipway/identity"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for (path, text) in [
            ("etc/ssh/sshd_config", config),
            (
                "etc/ssh/ssh_host_ed25519_key.pub",
                "ssh-ed25519 AAAA root@n1\n",
            ),
            (
                "etc/slipway/identity/ssh_host_key-cert.pub",
                "ssh-ed25519-cert-v01@openssh.com AAAA\n",
            ),
        ] {
            fs::write(root.path().join(path), text).unwrap();
        }
        root
    }

    #[test]
    fn sshd_shows_the_certificate_whether_or_not_it_reads_drop_ins() {
        let line = "HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub\n";
        for (config, expected, drop_in) in [
            (
                "Include /etc/ssh/sshd_config.d/*.conf\n",
                "Include /etc/ssh/sshd_config.d/*.conf\n".to_owned(),
                true,
            ),
            (
                "Port 22\nMatch User x\n",
                format!("{line}Port 22\nMatch User x\n"),
                false,
            ),
            (
                &format!("#{line}Match User x\n{line}"),
                format!("{line}#{line}Match User x\n{line}"),
                false,
            ),
        ] {
            let root = host(config);
            let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
            assert_eq!(
                public_key(root.path()).unwrap().as_deref(),
                Some("ssh-ed25519 AAAA root@n1")
            );
            for _ in 0..2 {
                apply(root.path()).unwrap();
                assert_eq!(read("etc/ssh/sshd_config"), Some(expected.clone()));
                let written = read("etc/ssh/sshd_config.d/10-slipway.conf");
                assert_eq!(
                    written,
                    drop_in.then(|| format!("# Written by 'enrol'.\n{line}"))
                );
            }
            assert_eq!(
                read("etc/ssh/ssh_host_ed25519_key-cert.pub"),
                Some("ssh-ed25519-cert-v01@openssh.com AAAA\n".to_owned())
            );
        }
    }

    #[test]
    fn a_host_without_an_ssh_key_has_none_signed() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(public_key(root.path()).unwrap(), None);
        apply(root.path()).unwrap();
    }
}
