//! The distributions' keys on this machine, and what they say of a signature.
//!
//! A text and its OpenPGP signature come in; who signed it goes out, or why nobody here can tell.
//! `gpgv` does the work, as it does for apt: it is on every Debian and Ubuntu, comes with gnupg
//! elsewhere, and its answer is read from its status lines (gnupg `doc/DETAILS`). Nothing is fetched,
//! and no key that came on the medium is ever believed.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine;

/// Where distributions install the keys they sign with.
const PLACES: [&str; 4] = [
    "/usr/share/keyrings",
    "/etc/apt/trusted.gpg.d",
    "/etc/pki/rpm-gpg",
    "/usr/lib/rpm/gnupg/keys",
];

/// A file of keys is small; the largest, Debian's maintainers', has some ten megabytes.
const LARGEST: u64 = 32 << 20;

/// The files that hold keys to believe.
#[derive(Debug, Clone, Default)]
pub struct Keyrings(Vec<PathBuf>);

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is whose it says it is; the text is what that key signed.
    Good { by: String, text: Vec<u8> },
    /// It does not belong to this text, or its key was revoked.
    Bad { by: String },
    /// Nobody here can tell, and why.
    Unchecked { why: String },
}

impl Keyrings {
    /// Lists the keyrings that distributions have installed here, and those in `own`, which need not
    /// exist.
    pub fn load(own: &Path) -> Self {
        let places = PLACES.iter().map(Path::new).chain([own]);
        let mut files: Vec<_> = places
            .filter_map(|place| fs::read_dir(place).ok())
            .flat_map(|directory| directory.filter_map(|entry| Some(entry.ok()?.path())))
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        Self(files)
    }

    /// Checks a signature: a clear-signed text alone, or a text with its detached signature.
    pub(super) fn check(&self, text: &[u8], detached: Option<&[u8]>) -> Result<Signature> {
        let work = tempfile::tempdir().context("making a directory for gpgv")?;
        let at = |name: &str| work.path().join(name);
        let mut gpgv = Command::new("gpgv");
        gpgv.env("LC_ALL", "C")
            .args(["--status-fd", "1", "--homedir"])
            .arg(work.path());
        for keyring in self.keyrings(&at("keyring.gpg"))? {
            gpgv.arg("--keyring").arg(keyring);
        }
        fs::write(at("text"), text).context("writing the text for gpgv")?;
        match detached {
            Some(signature) => {
                fs::write(at("signature"), signature).context("writing the signature for gpgv")?;
                gpgv.args([at("signature"), at("text")]);
            }
            None => {
                gpgv.arg("--output").args([at("signed"), at("text")]);
            }
        }
        let output = match gpgv.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let why = "gpgv is not installed".to_owned();
                return Ok(Signature::Unchecked { why });
            }
            output => output.context("running gpgv")?,
        };
        if output.status.code().is_none() {
            bail!("gpgv was stopped ({})", output.status);
        }
        let signed = match detached {
            Some(_) => Some(text.to_vec()),
            None => fs::read(at("signed")).ok(),
        };
        Ok(verdict(&String::from_utf8_lossy(&output.stdout), signed))
    }

    /// Writes every key into one keyring that gpgv can read, and returns it with those that it reads
    /// as they are.
    fn keyrings(&self, into: &Path) -> Result<Vec<OsString>> {
        let (mut keys, mut names) = (Vec::new(), vec![into.into()]);
        for path in &self.0 {
            let small = fs::metadata(path).is_ok_and(|found| found.len() <= LARGEST);
            let Some(bytes) = small.then(|| fs::read(path).ok()).flatten() else {
                continue;
            };
            if bytes.get(8..12) == Some(b"KBXf") {
                names.push(path.into());
            } else {
                keys.extend(binary(bytes));
            }
        }
        fs::write(into, keys).context("writing the keyring for gpgv")?;
        Ok(names)
    }
}

/// Takes the armour off keys that have one (RFC 4880 §6.2); what is no key at all becomes nothing.
fn binary(bytes: Vec<u8>) -> Vec<u8> {
    // The first byte of a packet has its top bit set (RFC 4880 §4.2).
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return bytes;
    }
    let text = String::from_utf8_lossy(&bytes);
    let blocks = text.split("-----BEGIN PGP PUBLIC KEY BLOCK-----").skip(1);
    let decoded = blocks.filter_map(|block| {
        let lines = block
            .lines()
            .skip(1)
            .skip_while(|line| !line.trim().is_empty());
        let body = lines.take_while(|line| !line.starts_with(['=', '-']));
        let base64: String = body.map(str::trim).collect();
        base64::engine::general_purpose::STANDARD
            .decode(base64)
            .ok()
    });
    decoded.flatten().collect()
}

/// Reads gpgv's status lines. One bad signature spoils the text; else one good one is enough, though
/// its key may have expired since: old media do not become false.
fn verdict(status: &str, signed: Option<Vec<u8>>) -> Signature {
    let find = |keyword: &str| {
        let mut lines = status
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] "));
        lines.find_map(|line| line.strip_prefix(keyword)?.strip_prefix(' '))
    };
    let name = |value: &str| value.split_once(' ').unwrap_or(("", value)).1.to_owned();
    if let Some(by) = find("BADSIG").or_else(|| find("REVKEYSIG")) {
        return Signature::Bad { by: name(by) };
    }
    let good = find("GOODSIG").or_else(|| find("EXPKEYSIG"));
    match (good, signed, find("NO_PUBKEY"), find("ERRSIG")) {
        (Some(by), Some(text), _, _) => Signature::Good { by: name(by), text },
        (_, _, Some(key), _) => {
            let why = format!("no keyring on this machine holds its key {key}");
            Signature::Unchecked { why }
        }
        (_, _, _, Some(_)) => {
            let why = "gpgv does not accept its algorithm".to_owned();
            Signature::Unchecked { why }
        }
        _ => Signature::Bad {
            by: "nobody: it is no signature".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_signature_spoils_what_another_has_signed() {
        let good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 12AB Ann Archive <a@example.org>\n";
        let text = Some(b"text".to_vec());
        let by = "Ann Archive <a@example.org>".to_owned();
        assert_eq!(
            verdict(good, text.clone()),
            Signature::Good {
                by: by.clone(),
                text: b"text".to_vec()
            }
        );
        let bad = format!("{good}[GNUPG:] BADSIG 12AB Ann Archive <a@example.org>\n");
        assert_eq!(
            verdict(&bad, text.clone()),
            Signature::Bad { by: by.clone() }
        );
        let old = good.replace("GOODSIG", "EXPKEYSIG");
        assert!(matches!(
            verdict(&old, text.clone()),
            Signature::Good { .. }
        ));
        let unknown = "[GNUPG:] ERRSIG 34CD 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 34CD\n";
        let why = "no keyring on this machine holds its key 34CD".to_owned();
        assert_eq!(verdict(unknown, text.clone()), Signature::Unchecked { why });
        assert!(matches!(verdict("", text), Signature::Bad { .. }));
    }
}
