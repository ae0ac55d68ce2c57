//! The units, held against systemd's own opinion.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use lab::ended;

const UNITS: [&str; 8] = [
    "slipwayd.service",
    "slipwayd-http.socket",
    "slipwayd-tls.socket",
    "slipwayd-reports.socket",
    "slipwayd-editor.service",
    "slipwayd-editor.socket",
    "slipway-signer.service",
    "slipway-signer.socket",
];

fn main() -> ExitCode {
    lab::main(
        &["systemd-analyze"],
        None,
        &[
            ("systemd_finds_nothing_wrong_with_the_units", sound),
            ("the_units_give_their_processes_little", hardened),
        ],
    )
}

/// Copies the units, with our binaries in the place of the installed ones.
fn units() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("units");
    for unit in UNITS {
        let text = fs::read_to_string(source.join(unit)).unwrap();
        let text = text
            .replace("/usr/bin/slipwayd", env!("CARGO_BIN_EXE_slipwayd"))
            .replace(
                "/usr/bin/slipway-trust",
                env!("CARGO_BIN_EXE_slipway-trust"),
            );
        assert!(!text.contains("/usr/bin"), "{unit} runs another program");
        fs::write(dir.path().join(unit), text).unwrap();
    }
    dir
}

fn sound() {
    let dir = units();
    let mut command = Command::new("systemd-analyze");
    command
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(UNITS.map(|unit| dir.path().join(unit)));
    let said = ended(&mut command, dir.path());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
}

fn hardened() {
    let dir = units();
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        let mut command = Command::new("systemd-analyze");
        // Ten times systemd's exposure: 0 is nothing, 100 everything.
        command
            .args(["security", "--offline=yes", "--threshold=15", "--no-pager"])
            .arg(dir.path().join(unit));
        let said = ended(&mut command, dir.path());
        assert_eq!(said.code, Some(0), "{unit}: {}{}", said.stdout, said.stderr);
    }
}
