//! The API of the real `slipwayd`, asked by tools that know nothing of it but its own description.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use lab::daemon::{Daemon, curl, with_writer as ready};
use lab::ended;

fn main() -> ExitCode {
    let missing = ["openapi-spec-validator", "schemathesis"]
        .into_iter()
        .find(|program| validator(program).is_none());
    lab::main(
        &["curl"],
        missing.map(|program| format!("tests/validators to have run, for {program}")),
        &[
            ("the_description_is_valid", description),
            ("every_answer_is_as_described", conformance),
        ],
    )
}

/// Returns a program of the validators' own Python, where tests/validators has run.
fn validator(program: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join("target/validators/bin").join(program);
    path.exists().then_some(path)
}

fn description() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let (status, text) = curl(&lab, &[&daemon.tls_url("/v1/openapi.json")]);
    assert_eq!(status, "200");
    lab.write("openapi.json", &text);
    let mut command = Command::new(validator("openapi-spec-validator").unwrap());
    let said = ended(command.arg(lab.path("openapi.json")), lab.root());
    assert_eq!(
        (said.code, said.stdout.trim()),
        (Some(0), "<lab>/openapi.json: OK"),
        "{}",
        said.stderr
    );
    assert!(text.starts_with("{\"openapi\":\"3.1.0\""), "{text}");
}

fn conformance() {
    let lab = ready();
    let daemon = Daemon::with_editor(&lab);
    let mut command = Command::new(validator("schemathesis").unwrap());
    command
        .args(["run", &daemon.tls_url("/v1/openapi.json"), "--no-color"])
        .arg("--tls-verify")
        .arg(lab.path("config/trust/root.crt"))
        .arg("--request-cert")
        .arg(lab.path("alice/cert.pem"))
        .arg("--request-cert-key")
        .arg(lab.path("alice/key.pem"))
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--workers",
            "1",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--generation-deterministic",
        ])
        // What a description cannot say: which values an attribute takes, and in which conditions two fields are given.
        .args([
            "--exclude-checks",
            "positive_data_acceptance,negative_data_rejection,missing_required_header,ignored_auth",
        ])
        .current_dir(lab.root());
    let said = ended(&mut command, lab.root());
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("Tested: 20"), "{}", said.stdout);
}
