//! The authority of ssh host keys, by ssh-keygen.
//!
//! Public keys come in as text, certificates go out; what ssh-keygen reads is written here alone. Reference:
//! ssh-keygen(1) "CERTIFICATES", sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT".

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::directory::TrustDirectory;
use super::identity::Identity;
use super::secret::random;
use super::term::Validity;

/// No public key is as long.
const MAX_BYTES: usize = 4 << 10;

/// A public key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostKey(String);

impl HostKey {
    /// Reads a line `type base64 [comment]`; the comment is dropped.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let (kind, key) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let known = [
            "ssh-ed25519",
            "ecdsa-sha2-nistp256",
            "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp521",
            "ssh-rsa",
        ];
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        if text.len() > MAX_BYTES
            || !known.contains(&kind)
            || key.is_empty()
            || !key.chars().all(is_base64)
        {
            bail!(
                "this is no public ssh host key: expected a line such as that of /etc/ssh/ssh_host_ed25519_key.pub"
            );
        }
        Ok(Self(format!("{kind} {key}\n")))
    }
}

/// The certificate of a host's key.
pub(crate) struct SignedHostKey {
    pub(crate) serial: String,
    pub(crate) certificate: String,
}

impl HostKey {
    /// Has the site's authority sign the key for a node's names.
    ///
    /// # Errors
    /// When the authority's key is missing, or what ssh-keygen says.
    pub(crate) fn sign(
        &self,
        directory: &TrustDirectory,
        node: &str,
        identity: &Identity,
        term: Validity,
    ) -> Result<SignedHostKey> {
        let signing = directory.generations()?.into_iter().next();
        let signing = signing.context("there is no authority")?;
        let authority = directory.place(signing).join("ssh_host_ca");
        super::directory::secret(&authority)?.with_context(|| {
            format!(
                "the key of the ssh host authority is missing: {}",
                authority.display()
            )
        })?;
        let certificate = HostCertificate {
            id: node,
            names: &identity.principals(),
            serial: u64::from_be_bytes(random()?),
            term,
        };
        Ok(SignedHostKey {
            serial: format!("ssh-{}", certificate.serial),
            certificate: sign(&authority, self, &certificate)?,
        })
    }
}

/// Makes the authority's key.
///
/// # Errors
/// What ssh-keygen says.
pub(crate) fn generate(path: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "slipway ssh host authority",
            "-f",
        ])
        .arg(path);
    run(&mut command, "making the ssh host authority")
}

/// What the authority says of a host's key.
struct HostCertificate<'a> {
    /// The name by which sshd's log knows it.
    id: &'a str,
    names: &'a BTreeSet<String>,
    serial: u64,
    term: Validity,
}

/// Signs a host's key.
///
/// # Errors
/// What ssh-keygen says.
fn sign(authority: &Path, key: &HostKey, certificate: &HostCertificate<'_>) -> Result<String> {
    let HostCertificate {
        id,
        names,
        serial,
        term,
    } = certificate;
    let scratch = tempfile::tempdir().context("making a directory to sign in")?;
    let file = scratch.path().join("host.pub");
    fs::write(&file, &key.0).context("writing the host's key")?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut command = Command::new("ssh-keygen");
    command
        .arg("-q")
        .arg("-s")
        .arg(authority)
        .args(["-I", id, "-h", "-n", &names.join(",")])
        .args(["-z", &serial.to_string(), "-V", &format!("-1h:+{term}")])
        .arg(&file);
    run(&mut command, "signing an ssh host key")?;
    fs::read_to_string(scratch.path().join("host-cert.pub"))
        .context("reading the signed ssh host key")
}

/// Writes the line of `known_hosts` that trusts the authority for these hosts.
pub(crate) fn known_hosts(public: &str, patterns: &[String]) -> String {
    let key: Vec<_> = public.split_whitespace().take(2).collect();
    format!("@cert-authority {} {}\n", patterns.join(","), key.join(" "))
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what}: running ssh-keygen: is openssh-client installed?"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{what}: {}",
            definitions::terminal::escaped(said.trim(), '\t')
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_a_public_key_is_one() {
        assert_eq!(
            HostKey::parse("ssh-ed25519 AAAAC3Nz+/= root@n1\n").unwrap(),
            HostKey("ssh-ed25519 AAAAC3Nz+/=\n".to_owned())
        );
        for text in [
            "",
            "ssh-ed25519",
            "cert-authority ssh-ed25519 AAAA",
            "-oProxy AAAA",
            "ssh-ed25519 A;B",
        ] {
            assert!(HostKey::parse(text).is_err(), "{text}");
        }
    }
}
