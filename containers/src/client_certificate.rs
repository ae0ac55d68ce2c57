//! Who the client is where the site has an authority: a certificate of hours, which is asked for when it is needed.
//!
//! `slipway-trust issue` signs it, as the user who runs the command, and has it on record. It is kept in `/run`, for root
//! alone, and used again for half of its term. The authority's directory is read by nobody but root: others are clients by
//! files that somebody gave them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use definitions::{Lock, program_path};

use crate::engine::Credentials;

/// How long the certificate is valid, as the signer takes it, and how long it is used again.
const TERM: &str = "12h";
const REUSED_FOR: Duration = Duration::from_secs(6 * 3600);
/// How long another command may take to get the certificate.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// Where certificates are kept until the next boot.
const KEPT_IN: &str = "/run/slipway/client";
/// The program that signs.
const SIGNER: &str = "slipway-trust";

/// Says whether the site has an authority that this user can have sign.
pub(crate) fn has_authority(config: &Path) -> bool {
    nix::unistd::geteuid().is_root() && config.join("trust/clients.crt").is_file()
}

/// Says how somebody who has no certificate gets one for a host; that there is an authority is no secret.
pub(crate) fn advice(config: &Path, host: &str) -> String {
    if config.join("trust").is_dir() {
        "have root sign one ('slipway-trust issue NAME --out DIR'), and name its directory with --cert-path".to_owned()
    } else {
        format!("copy {host}:/etc/slipway/client there, or name another directory with --cert-path")
    }
}

/// Returns the client's certificate, a new one where that of before is old or of another authority.
///
/// # Errors
/// When the authority does not sign, with its reason.
pub(crate) fn load(config: &Path) -> Result<Credentials> {
    let user = std::env::var("SUDO_USER").unwrap_or_default();
    let name = client_name(&user);
    let kept_in = Path::new(KEPT_IN);
    let lock = kept_in.join(format!("{name}.lock"));
    // The three files belong together: nobody reads them while they change.
    let _lock = Lock::acquire_private(&lock, LOCK_TIMEOUT, &mut |_| {})?;
    let directory = kept_in.join(name);
    if !is_current(&directory, &config.join("trust")) {
        issue(config, name, &directory)
            .context("getting a client certificate of the site's authority")?;
    }
    Credentials::load(&directory)
}

/// Says whether a certificate is of the authority as it is now, and has half of its term before it.
fn is_current(directory: &Path, trust: &Path) -> bool {
    let changed = |path: PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
    let signed = changed(directory.join("cert.pem"));
    let age = signed.and_then(|signed| SystemTime::now().duration_since(signed).ok());
    let same_root = match (
        fs::read(directory.join("ca.pem")),
        fs::read(trust.join("root.crt")),
    ) {
        (Ok(ours), Ok(root)) => ours == root,
        _ => false,
    };
    Credentials::are_in(directory)
        && same_root
        && age.is_some_and(|age| age < REUSED_FOR)
        && changed(trust.join("clients.crt")) <= signed
}

fn issue(config: &Path, name: &str, directory: &Path) -> Result<()> {
    // A signer that is killed leaves some of the new files: never beside some of the old ones.
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", directory.display()));
        }
        _ => {}
    }
    let program = program_path(SIGNER);
    let mut command = Command::new(&program);
    command.arg("--config").arg(config);
    command.args(["issue", name, "--as", "client", "--for", TERM, "--out"]);
    let output = command.arg(directory).stdin(Stdio::null()).output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "{SIGNER} is neither beside this program nor in the PATH: install it, or give --cert-path"
            )
        }
        output => output.with_context(|| format!("running {}", program.display()))?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    Ok(())
}

/// Names the client: the user who became root, where that is a name that certificates have.
fn client_name(user: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let usable = !user.starts_with('-') && user.len() <= 64 && user.chars().all(is_plain);
    if usable && !user.is_empty() {
        user
    } else {
        "root"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_as_the_user_is_or_root() {
        for (user, name) in [
            ("alice", "alice"),
            ("", "root"),
            ("a/../b", "root"),
            ("-o", "root"),
            ("a b", "root"),
        ] {
            assert_eq!(client_name(user), name, "{user}");
        }
    }

    #[test]
    fn a_certificate_is_used_again_until_it_is_old_or_the_authority_another() {
        let directory = tempfile::tempdir().unwrap();
        let (own, trust) = (directory.path().join("own"), directory.path().join("trust"));
        let write = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let dated = |path: PathBuf, hours: u64| {
            let file = fs::File::options().write(true).open(path).unwrap();
            let at = SystemTime::now() - Duration::from_secs(hours * 3600);
            file.set_modified(at).unwrap();
        };
        assert!(!is_current(&own, &trust));
        for file in ["root.crt", "clients.crt"] {
            write(trust.join(file), "root");
            dated(trust.join(file), 20);
        }
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            write(own.join(file), "root");
        }
        assert!(is_current(&own, &trust));
        for (hours, current) in [(5, true), (7, false), (0, true)] {
            dated(own.join("cert.pem"), hours);
            assert_eq!(is_current(&own, &trust), current, "{hours}");
        }
        // The authority of clients has another key.
        dated(own.join("cert.pem"), 2);
        dated(trust.join("clients.crt"), 1);
        assert!(!is_current(&own, &trust));
        dated(trust.join("clients.crt"), 3);
        write(trust.join("root.crt"), "another");
        assert!(!is_current(&own, &trust));
    }
}
