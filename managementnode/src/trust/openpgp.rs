//! The key that signs trees, by gpg: what apt, debootstrap, dnf and zypper verify is OpenPGP.
//!
//! A secret key comes in as text and signatures go out. gpg works in a directory of its own that is removed afterwards, its
//! agent with it: no keyring of a user is read or changed. The key is RSA with 3072 bits and SHA-512, version 4: the gpgv of
//! every release since Debian 8, sqv, and the rpm and gpgme of EL 7 and later accept it, where those of EL 7 and the rpm of
//! EL 8 refuse Ed25519; 3072 bits are as strong as the site's P-256 (NIST SP 800-57), and are made within a second.
//! Reference: gpg(1), RFC 9580 §5.5.2 (version 4), §7 (cleartext signatures).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use definitions::terminal::escaped;
use tempfile::TempDir;

/// What the key is.
const ALGORITHM: &str = "rsa3072";

/// A key: the secret half, and what others verify by, both armoured.
pub(super) struct TreeKey {
    pub(super) secret: String,
    pub(super) public: String,
}

/// How a file is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureForm {
    /// The text with its signature after it: `InRelease`.
    Clear,
    /// The signature alone: `Release.gpg`, `repomd.xml.asc`.
    Detached,
}

/// Makes a key, in the name of what signs with it.
///
/// # Errors
/// What gpg says.
pub(super) fn generate(name: &str) -> Result<TreeKey> {
    let home = GpgHome::make()?;
    let making = "making the key of trees";
    home.run(
        &["--quick-gen-key", name, ALGORITHM, "sign", "never"],
        making,
    )?;
    Ok(TreeKey {
        secret: home.run(&["--armor", "--export-secret-keys"], making)?,
        public: home.run(&["--armor", "--export"], making)?,
    })
}

/// A key that is ready to sign.
pub(super) struct TreeSigner(GpgHome);

impl TreeSigner {
    /// Takes the secret key.
    ///
    /// # Errors
    /// When it is no key, or what gpg says.
    pub(super) fn open(secret: &str) -> Result<Self> {
        let home = GpgHome::make()?;
        let file = home.write("key", secret.as_bytes())?;
        home.run(&["--import", &file], "reading the key of trees")?;
        fs::remove_file(file).context("removing a copy of the key of trees")?;
        Ok(Self(home))
    }

    /// Signs bytes.
    ///
    /// # Errors
    /// What gpg says.
    pub(super) fn sign(&self, bytes: &[u8], form: SignatureForm) -> Result<String> {
        let file = self.0.write("signed", bytes)?;
        let verb = match form {
            SignatureForm::Clear => "--clear-sign",
            SignatureForm::Detached => "--detach-sign",
        };
        let words = ["--armor", "--output", "-", verb, &file];
        self.0.run(&words, "signing")
    }
}

/// Says whether one of some public keys signed bytes, and nobody else did.
///
/// # Errors
/// When the keys cannot be read.
pub(super) fn is_signed_by(keys: &str, bytes: &[u8], signature: &[u8]) -> Result<bool> {
    let home = GpgHome::make()?;
    let file = home.write("keys", keys.as_bytes())?;
    home.run(&["--import", &file], "reading the keys of trees")?;
    let (signed, signature) = (home.write("signed", bytes)?, home.write("asc", signature)?);
    let verified = home.run(&["--verify", &signature, &signed], "verifying");
    Ok(verified.is_ok())
}

/// A home of gpg's that is removed with its agent.
struct GpgHome(TempDir);

impl GpgHome {
    fn make() -> Result<Self> {
        // Short: the agent's socket is in it, whose path has at most 107 bytes (unix(7)).
        let home = tempfile::Builder::new()
            .prefix("slipway-gpg-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        Ok(Self(home.context("making a directory for gpg")?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that gpg reads; returns its path.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = self.path(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn run(&self, words: &[&str], what: &str) -> Result<String> {
        let mut command = self.command("gpg");
        let output = command
            .args(["--batch", "--no-tty", "--quiet", "--yes", "--no-options"])
            .args(["--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--cert-digest-algo", "SHA512", "--digest-algo", "SHA512"])
            .args(["--trust-model", "always"])
            .args(words)
            .output()
            .with_context(|| format!("{what}: running gpg: is it installed?"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{what}: {}", escaped(said.trim(), '\t'));
        }
        String::from_utf8(output.stdout).with_context(|| format!("{what}: reading what gpg prints"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("--homedir")
            .arg(self.0.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for GpgHome {
    fn drop(&mut self) {
        let mut kill = self.command("gpgconf");
        // The agent ends by itself when its directory is gone.
        let _ = kill.args(["--kill", "all"]).output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_does_not_sign() {
        let error = TreeSigner::open("no key\n").err().unwrap();
        assert!(
            format!("{error:#}")
                .starts_with("reading the key of trees: gpg: no valid OpenPGP data"),
            "{error:#}"
        );
    }
}
