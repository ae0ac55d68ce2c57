//! One run of `gpgv` and its answer, which is read from its status lines (gnupg `doc/DETAILS`).
//!
//! A directory with a text, its signature and a keyring comes in; what that keyring says of the signature goes
//! out. The strength of its algorithms is judged here, because gpgv accepts more than this does.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::openpgp;

/// Keys of RSA and DSA that are shorter can be made up.
const MIN_KEY_BITS: u16 = 2048;

/// Runs gpgv on the files of a directory and returns its status lines.
pub(super) fn run(work: &Path, detached: bool) -> Result<String> {
    let at = |name: &str| work.join(name);
    let mut gpgv = Command::new("gpgv");
    gpgv.env("LC_ALL", "C")
        .args(["--status-fd", "1", "--homedir"])
        .arg(work)
        .arg("--keyring")
        .arg(at("keyring.gpg"));
    if detached {
        gpgv.args([at("signature"), at("text")]);
    } else {
        let _ = fs::remove_file(at("signed"));
        gpgv.arg("--output").args([at("signed"), at("text")]);
    }
    let output = match gpgv.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "gpgv, which checks signatures, is not installed: install the package gpgv and run again"
            )
        }
        output => output.context("running gpgv")?,
    };
    let status = output.status;
    status
        .code()
        .ok_or_else(|| anyhow!("gpgv was stopped ({status})"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What one keyring says of a signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GpgvResult {
    Good(String),
    Bad(String),
    /// Its key is there, and it does not count: `its key is too short`.
    Weak(String),
    /// Its key is not there.
    Unknown(String),
}

/// Reads gpgv's status lines. One bad signature spoils the text; else one good one is enough.
pub(super) fn parse_status(status: &str, keyring: &[u8]) -> Result<GpgvResult> {
    let mut result = GpgvResult::Bad("nobody: it is no signature".to_owned());
    let (mut signer, mut good) = (String::new(), None);
    for line in status
        .lines()
        .filter_map(|line| line.strip_prefix("[GNUPG:] "))
    {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let name = || {
            rest.split_once(' ')
                .map_or(rest, |(_, name)| name)
                .to_owned()
        };
        let weak = |what: &str| GpgvResult::Weak(format!("its {what} (signed by {})", name()));
        match keyword {
            "BADSIG" | "REVKEYSIG" => return Ok(GpgvResult::Bad(name())),
            "NEWSIG" => signer.clear(),
            "GOODSIG" => signer = name(),
            "EXPKEYSIG" => result = weak("key has expired"),
            "EXPSIG" => result = weak("time has run out"),
            "VALIDSIG" if !signer.is_empty() => match weakness(rest, keyring)? {
                None => good = Some(std::mem::take(&mut signer)),
                Some(reason) => {
                    result = GpgvResult::Weak(format!("its {reason} (signed by {signer})"))
                }
            },
            "NO_PUBKEY" => result = GpgvResult::Unknown(rest.to_owned()),
            "ERRSIG" => result = GpgvResult::Weak("gpgv does not accept its algorithm".to_owned()),
            _ => {}
        }
    }
    Ok(good.map_or(result, GpgvResult::Good))
}

/// Says what is wrong with a good signature's algorithms, from the fields of `VALIDSIG`.
fn weakness(fields: &str, keyring: &[u8]) -> Result<Option<String>> {
    let fields: Vec<_> = fields.split(' ').collect();
    let (Some(fingerprint), Some(key), Some(hash)) = (fields.first(), fields.get(6), fields.get(7))
    else {
        bail!("reading what gpgv says: VALIDSIG is cut off");
    };
    // RFC 4880 §9.1 and §9.4.
    match *hash {
        "1" => return Ok(Some("hash is MD5".to_owned())),
        "2" => return Ok(Some("hash is SHA-1".to_owned())),
        "3" => return Ok(Some("hash is RIPEMD-160".to_owned())),
        _ => {}
    }
    let kind = match *key {
        "1" | "3" => "RSA",
        "17" => "DSA",
        _ => return Ok(None),
    };
    let keys = openpgp::keys(keyring)?;
    let found = keys.iter().find(|key| key.fingerprint == *fingerprint);
    Ok(match found.map(|key| key.bits) {
        Some(bits) if bits >= MIN_KEY_BITS => None,
        Some(bits) => Some(format!(
            "key is {kind} of {bits} bits, fewer than {MIN_KEY_BITS}"
        )),
        None => Some(format!("key is {kind} of unknown length")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 12AB Ann Archive <a@example.invalid>\n\
                        [GNUPG:] VALIDSIG AB12 2020-01-01 1 0 4 0 22 8 00 AB12\n";

    fn read(status: &str) -> GpgvResult {
        parse_status(status, &[]).unwrap()
    }

    #[test]
    fn one_bad_signature_spoils_what_another_has_signed() {
        let by = "Ann Archive <a@example.invalid>".to_owned();
        assert_eq!(read(GOOD), GpgvResult::Good(by.clone()));
        let bad = format!("{GOOD}[GNUPG:] BADSIG 12AB Ann Archive <a@example.invalid>\n");
        assert_eq!(read(&bad), GpgvResult::Bad(by.clone()));
        let revoked = GOOD.replace("GOODSIG", "REVKEYSIG");
        assert_eq!(read(&revoked), GpgvResult::Bad(by));
        let unknown = "[GNUPG:] ERRSIG 34CD 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 34CD\n";
        assert_eq!(read(unknown), GpgvResult::Unknown("34CD".to_owned()));
        assert!(matches!(read(""), GpgvResult::Bad(_)));
        let both = format!("{unknown}{GOOD}");
        assert!(
            matches!(read(&both), GpgvResult::Good(_)),
            "one good one is enough"
        );
    }

    #[test]
    fn what_is_weak_or_too_old_does_not_count() {
        let by = "(signed by Ann Archive <a@example.invalid>)";
        for (from, to, reason) in [
            ("GOODSIG", "EXPKEYSIG", "its key has expired"),
            ("GOODSIG", "EXPSIG", "its time has run out"),
            ("22 8", "22 2", "its hash is SHA-1"),
            ("22 8", "22 1", "its hash is MD5"),
            ("22 8", "1 8", "its key is RSA of unknown length"),
        ] {
            let expected = GpgvResult::Weak(format!("{reason} {by}"));
            assert_eq!(read(&GOOD.replace(from, to)), expected);
        }
        let rejected = "[GNUPG:] ERRSIG 34CD 1 1 00 1 5 -\n";
        assert_eq!(
            read(rejected),
            GpgvResult::Weak("gpgv does not accept its algorithm".to_owned())
        );
    }
}
