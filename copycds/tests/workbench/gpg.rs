//! Signatures by a key that is made for one test.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whose key it is.
pub(crate) const NAME: &str = "A test <test@slipway.invalid>";

/// Signs in clear; the public key goes into the directory `keys`, in armour.
pub(crate) fn clear_sign(text: &[u8], keys: &Path) -> Vec<u8> {
    sign("--clear-sign", text, keys)
}

/// Signs apart; the public key goes into the directory `keys`, in armour.
pub(crate) fn detach_sign(text: &[u8], keys: &Path) -> Vec<u8> {
    sign("--detach-sign", text, keys)
}

fn sign(how: &str, text: &[u8], keys: &Path) -> Vec<u8> {
    // Not below the bench: the path of gpg-agent's socket must fit in 108 bytes.
    let home = tempfile::tempdir().unwrap();
    let gpg = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(home.path())
            .args(["--batch", "--quiet", "--passphrase", ""])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "gpg: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    gpg(
        &["--quick-generate-key", NAME, "ed25519", "sign", "1y"],
        b"",
    );
    let signature = gpg(&["--armor", how], text);
    fs::write(keys.join("test.asc"), gpg(&["--armor", "--export"], b"")).unwrap();
    let _ = Command::new("gpgconf")
        .arg("--homedir")
        .arg(home.path())
        .args(["--kill", "all"])
        .status();
    signature
}
