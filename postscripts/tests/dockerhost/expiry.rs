//! Certificates that end, for real: nobody gets in any more, the next run mends it, containers run on.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use postscripts::tls::{Authority, KeyPem, LocalAuthority, SubjectAltNames, Usage};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Test;
use crate::host::{Host, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "certificates_that_have_ended_are_renewed_and_containers_run_on",
        ended,
    ),
    (
        "an_authority_near_its_end_is_followed_by_another_and_both_are_trusted",
        authority_ends,
    ),
];

/// The host's own authority.
fn authority(host: &Host) -> LocalAuthority {
    let key = KeyPem::new(host.read("etc/slipway/authority/ca-key.pem"));
    LocalAuthority::load(&host.read("etc/slipway/authority/ca.pem"), &key).unwrap()
}

/// Has the authority sign a certificate over a key of the host's that lasts a few seconds.
fn shorten(host: &Host, key: &str, certificate: &str, usage: Usage) {
    let names = SubjectAltNames {
        addresses: ["127.0.0.1".parse().unwrap()].into(),
        ..SubjectAltNames::default()
    };
    let request = KeyPem::new(host.read(key))
        .request("short", &names)
        .unwrap();
    let end = OffsetDateTime::now_utc() + Duration::from_secs(4);
    let signed = authority(host).sign(&request, usage, end).unwrap();
    host.write(certificate, &signed);
}

fn gets_in(host: &Host, dir: &std::path::Path) -> Result<(), String> {
    let output = host.docker_tls(dir, &["version"]);
    if output.status.success() {
        Ok(())
    } else {
        Err(text(&output.stderr))
    }
}

fn ended() {
    let host = Host::new();
    host.setup(&["--san", "127.0.0.1"]);
    host.load_busybox();
    let container = host.start_container("stays", &["--network", "none"]);
    let client = host.path("etc/slipway/client");
    shorten(
        &host,
        "etc/docker/tls/key.pem",
        "etc/docker/tls/cert.pem",
        Usage::Server,
    );
    shorten(
        &host,
        "etc/slipway/client/key.pem",
        "etc/slipway/client/cert.pem",
        Usage::Client,
    );
    let restarted = Command::new(host.path("etc/init.d/docker"))
        .arg("restart")
        .status();
    assert!(restarted.unwrap().success());
    gets_in(&host, &client).unwrap();
    thread::sleep(Duration::from_secs(5));
    let refused = gets_in(&host, &client).unwrap_err();
    assert!(refused.contains("certificate has expired"), "{refused}");

    let report: Value =
        serde_json::from_str(&host.setup(&["--json", "--san", "127.0.0.1"])).unwrap();
    let today = OffsetDateTime::now_utc().date();
    let steps: Vec<_> = report["steps"].as_array().unwrap().iter().take(2).collect();
    assert_eq!(
        steps,
        [
            &format!("dockerd's certificate: it ends on {today}"),
            &format!("the client's certificate: it ends on {today}"),
        ]
    );
    gets_in(&host, &client).unwrap();
    let running = text(&host.docker(&["ps", "-q", "--no-trunc"]).stdout);
    assert_eq!(running.trim(), container);
    assert_eq!(host.setup(&["--san", "127.0.0.1"]), "nothing to do\n");
}

fn authority_ends() {
    let host = Host::new();
    host.setup(&["--san", "127.0.0.1"]);
    let old = tempfile::tempdir().unwrap();
    let keep = |dir: &std::path::Path| {
        for name in ["cert.pem", "key.pem"] {
            fs::copy(host.path("etc/slipway/client").join(name), dir.join(name)).unwrap();
        }
    };
    keep(old.path());
    // The same key, but a certificate that ends before the next leaf would.
    let key = host.path("etc/slipway/authority/ca-key.pem");
    let certificate = host.path("etc/slipway/authority/ca.pem");
    let subject = Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
        .arg(&certificate)
        .output()
        .unwrap();
    let subject = text(&subject.stdout);
    let name = subject.trim().split_once('=').unwrap().1;
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-days",
        "1000",
        "-subj",
        &format!("/{name}"),
        "-key",
    ]);
    let made = openssl
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));

    let report: Value =
        serde_json::from_str(&host.setup(&["--json", "--san", "127.0.0.1"])).unwrap();
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps[0], "the host's authority ends soon: a new one");
    assert_eq!(
        steps[1],
        "the authority changed: the previous one stays trusted too"
    );
    let trusted = host.read("etc/docker/tls/ca.pem");
    assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 2);
    gets_in(&host, &host.path("etc/slipway/client")).unwrap();
    // The old client has to know the new server; its own certificate is still good.
    fs::copy(
        host.path("etc/slipway/client/ca.pem"),
        old.path().join("ca.pem"),
    )
    .unwrap();
    gets_in(&host, old.path()).unwrap();
    assert_eq!(host.setup(&["--san", "127.0.0.1"]), "nothing to do\n");

    host.setup(&["--san", "127.0.0.1", "--renew"]);
    gets_in(&host, &host.path("etc/slipway/client")).unwrap();
    let refused = gets_in(&host, old.path()).unwrap_err();
    assert!(
        refused.contains("bad certificate") || refused.contains("unknown"),
        "{refused}"
    );
}
