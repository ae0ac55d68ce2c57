//! Who vouches for a root image, and for a bundle: a signature with the site's key of trees (OpenPGP) of what has the digests
//! of all the rest.
//!
//! A text and a signature come in; whose it is goes out, as gpgv(1) says by its status lines (gnupg `doc/DETAILS`). The
//! site's own signatures are made by `slipway-trust`, which alone reads the key.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use definitions::Catalog;

use crate::arming::{self, TrustProgram};
use crate::repository::{key, signature};

/// The most bytes of a signature.
pub(crate) const MAX_SIGNATURE: u64 = 64 << 10;

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureVerdict {
    /// A key that is known made it, of this text.
    Good(String),
    /// A key that is known made it, of another text, or it is none.
    Bad(String),
    /// A key that is not known made it.
    Unknown(String),
}

/// Compares a text and its signature with keys.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn check(
    text: &[u8],
    signed: &[u8],
    keys: Option<&VerifyingKey>,
) -> Result<SignatureVerdict> {
    let issuers = match signature::issuers(signed) {
        Ok(issuers) => issuers.join(", "),
        Err(why) => return Ok(SignatureVerdict::Bad(format!("nobody: it {why}"))),
    };
    let Some(VerifyingKey { packets, .. }) = keys else {
        return Ok(SignatureVerdict::Unknown(issuers));
    };
    let work = tempfile::tempdir().context("making a directory for gpgv")?;
    let at = |name: &str| work.path().join(name);
    for (name, bytes) in [("text", text), ("signature", signed), ("keys.gpg", packets)] {
        fs::write(at(name), bytes).context("writing what gpgv reads")?;
    }
    let output = Command::new("gpgv")
        .env("LC_ALL", "C")
        .args(["--status-fd", "1", "--homedir"])
        .arg(work.path())
        .args(["--weak-digest", "SHA1", "--weak-digest", "RIPEMD160"])
        .arg("--keyring")
        .arg(at("keys.gpg"))
        .args([at("signature"), at("text")])
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("gpgv, which checks signatures, is missing: install the package gpgv")
        }
        output => output.context("running gpgv")?,
    };
    Ok(verdict(&String::from_utf8_lossy(&output.stdout), &issuers))
}

/// Reads gpgv's status lines. One signature that is not good spoils the text, as there is one of it only.
fn verdict(status: &str, issuers: &str) -> SignatureVerdict {
    let mut good = None;
    let mut signer = "";
    for line in status.lines() {
        let line = line.strip_prefix("[GNUPG:] ").unwrap_or_default();
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let name = rest.split_once(' ').map_or(rest, |(_, name)| name);
        match keyword {
            "GOODSIG" => signer = name,
            "VALIDSIG" if !signer.is_empty() => good = Some(signer),
            "NO_PUBKEY" => return SignatureVerdict::Unknown(issuers.to_owned()),
            "BADSIG" | "REVKEYSIG" | "EXPKEYSIG" | "EXPSIG" => {
                return SignatureVerdict::Bad(name.to_owned());
            }
            "ERRSIG" if good.is_some() => return SignatureVerdict::Bad(issuers.to_owned()),
            _ => {}
        }
    }
    match good {
        Some(name) => SignatureVerdict::Good(name.to_owned()),
        None => SignatureVerdict::Bad(issuers.to_owned()),
    }
}

/// A key by which signatures are verified.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    /// Its packets, as gpgv reads a keyring.
    packets: Vec<u8>,
}

impl VerifyingKey {
    /// Reads the public keys of a file, armoured or not.
    ///
    /// # Errors
    /// When it holds anything else.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let reading = || format!("reading the key {}", path.display());
        let bytes = key::load(path).with_context(reading)?;
        let armoured = key::armoured(&bytes);
        let armoured = armoured.map_err(|why| anyhow::anyhow!("{}: it {why}", reading()))?;
        Self::parse(&armoured).with_context(reading)
    }

    fn parse(armoured: &str) -> Result<Self> {
        let packets = key::binary(armoured).map_err(|why| anyhow::anyhow!("it {why}"))?;
        Ok(Self { packets })
    }
}

/// The key of a site that has an authority: what its public half verifies, and who signs with the other.
#[derive(Debug)]
pub(crate) struct SiteKey {
    armoured: String,
    pub(crate) verifying: VerifyingKey,
    program: TrustProgram,
}

impl SiteKey {
    /// Finds it; `None` where the site has no authority.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(catalog: &Catalog) -> Result<Option<Self>> {
        let Some(armoured) = arming::tree_key(catalog)? else {
            return Ok(None);
        };
        let verifying =
            VerifyingKey::parse(&armoured).context("reading the site's key of trees")?;
        Ok(Some(Self {
            armoured,
            verifying,
            program: TrustProgram::of(catalog),
        }))
    }

    /// Returns its public half, armoured.
    pub(crate) fn armoured(&self) -> &str {
        &self.armoured
    }

    /// Has a text signed, which must be JSON.
    ///
    /// # Errors
    /// What `slipway-trust` says, or when what it made is not by this key.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<String> {
        let work = tempfile::tempdir().context("making a directory for a signature")?;
        let path = work.path().join("signed.json");
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        self.program.sign_image(&path)?;
        let path = work.path().join("signed.json.asc");
        let signature =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        self.verify(text, signature.as_bytes())
            .context("checking the signature that slipway-trust made")?;
        Ok(signature)
    }

    /// Checks that this key signed a text.
    ///
    /// # Errors
    /// When it did not.
    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> Result<()> {
        match check(text, signature, Some(&self.verifying))? {
            SignatureVerdict::Good(_) => Ok(()),
            SignatureVerdict::Bad(name) => bail!("it is not what {name} signed"),
            SignatureVerdict::Unknown(key) => bail!("{key} signed it, which is not the site's key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_vouched_for_by_one_signature_that_is_good_in_every_way() {
        const GOOD: &str = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 12AB Ann <a@example.invalid>\n\
                            [GNUPG:] VALIDSIG AB12 2020-01-01 1 0 4 0 1 10 00 AB12\n";
        let ann = || "Ann <a@example.invalid>".to_owned();
        let key = || "34CD".to_owned();
        for (status, expected) in [
            (GOOD.to_owned(), SignatureVerdict::Good(ann())),
            (
                GOOD.replace("GOODSIG", "BADSIG"),
                SignatureVerdict::Bad(ann()),
            ),
            (
                GOOD.replace("GOODSIG", "REVKEYSIG"),
                SignatureVerdict::Bad(ann()),
            ),
            (
                GOOD.replace("GOODSIG", "EXPKEYSIG"),
                SignatureVerdict::Bad(ann()),
            ),
            (
                format!("{GOOD}[GNUPG:] BADSIG 12AB Ann <a@example.invalid>\n"),
                SignatureVerdict::Bad(ann()),
            ),
            (
                "[GNUPG:] ERRSIG 34CD 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 34CD\n".to_owned(),
                SignatureVerdict::Unknown(key()),
            ),
            // SHA-1: gpgv was told not to accept it
            (
                "[GNUPG:] ERRSIG 34CD 1 2 00 1 5 -\n".to_owned(),
                SignatureVerdict::Bad(key()),
            ),
            (
                "[GNUPG:] VALIDSIG AB12 2020-01-01 1 0 4 0 1 10 00 AB12\n".to_owned(),
                SignatureVerdict::Bad(key()),
            ),
            (String::new(), SignatureVerdict::Bad(key())),
        ] {
            assert_eq!(verdict(&status, "34CD"), expected, "{status}");
        }
    }

    #[test]
    fn what_is_no_signature_vouches_for_nothing() {
        for text in ["", "a signature\n"] {
            assert_eq!(
                check(b"{}", text.as_bytes(), None).unwrap(),
                SignatureVerdict::Bad("nobody: it holds no signature".to_owned())
            );
        }
    }
}
