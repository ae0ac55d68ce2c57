//! What is signed for clients, nodes and ssh hosts, and what is revoked.

use std::fs;

use serde_json::json;

use super::lab::programs::{json_of, other, succeed, trust};
use super::scene::{mode, openssl, ready, request, verify};

pub(super) fn greedy_request() {
    let lab = ready();
    request(
        &lab,
        "n1",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectAltName=DNS:n2.cluster,DNS:*.cluster,IP:10.1.0.1",
    );
    let issued = json_of(
        &lab,
        &[
            "issue",
            "n1",
            "--as",
            "node",
            "--request",
            "n1.csr",
            "--for",
            "7d",
        ],
    );
    assert_eq!(
        issued["names"],
        json!(["n1-eth1.cluster", "n1.cluster", "www.cluster"])
    );
    let verified = verify(
        &lab,
        "n1/cert.pem",
        &["-purpose", "sslserver", "-verify_hostname", "n1.cluster"],
    );
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let text = openssl(
        &lab,
        &[
            "x509",
            "-in",
            "n1/cert.pem",
            "-noout",
            "-subject",
            "-ext",
            "subjectAltName,basicConstraints,keyUsage,extendedKeyUsage",
        ],
    );
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], "subject=CN = n1");
    for line in [
        "DNS:n1-eth1.cluster, DNS:n1.cluster, DNS:www.cluster, IP Address:10.1.0.11, IP Address:10.1.2.11",
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Server Authentication, TLS Web Client Authentication",
    ] {
        assert!(lines.contains(&line), "{line}: {text}");
    }
    let serial = openssl(&lab, &["x509", "-in", "n1/cert.pem", "-noout", "-serial"]);
    assert_eq!(
        serial.trim().to_lowercase(),
        format!("serial={}", issued["serial"].as_str().unwrap())
    );
    let public = |program: &[&str]| openssl(&lab, program);
    assert_eq!(
        public(&["x509", "-in", "n1/cert.pem", "-noout", "-pubkey"]),
        public(&["pkey", "-in", "n1.key", "-pubout"])
    );
    assert!(
        !lab.path("n1/key.pem").exists(),
        "a node's key was made here"
    );
    for (name, expected) in [
        (
            "far",
            "naming far: the address 192.0.2.1 is in no network of the site: there are 10.1.0.0/16",
        ),
        (
            "bare",
            "naming bare: it has no address, so nobody can know it by one: chdef bare ip=10.1.0.11",
        ),
    ] {
        let refused = trust(
            &lab,
            &["issue", name, "--as", "node", "--request", "n1.csr"],
        );
        assert_eq!(refused.stderr, format!("slipway-trust: {expected}\n"));
    }
    let refused = trust(
        &lab,
        &[
            "issue",
            "n1",
            "--as",
            "node",
            "--request",
            "n1.csr",
            "--for",
            "91d",
        ],
    );
    assert_eq!(
        refused.stderr,
        "slipway-trust: a node is valid for 90d at most\n"
    );
}

pub(super) fn no_request() {
    let lab = ready();
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    // The key of another, whose owner did not sign.
    let der = openssl(
        &lab,
        &["req", "-in", "n1.csr", "-outform", "DER", "-out", "n1.der"],
    );
    assert_eq!(der, "");
    let mut bytes = fs::read(lab.path("n1.der")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(lab.path("forged.der"), bytes).unwrap();
    openssl(&lab, &["base64", "-in", "forged.der", "-out", "forged.b64"]);
    lab.write(
        "forged.csr",
        &format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}-----END CERTIFICATE REQUEST-----\n",
            lab.read("forged.b64")
        ),
    );
    lab.write("empty.csr", "");
    openssl(
        &lab,
        &[
            "req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout",
            "weak.key", "-out", "weak.csr",
        ],
    );
    for (name, kind) in [("rsa", "rsa:2048"), ("p384", "ec"), ("ed25519", "ed25519")] {
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let curve: &[&str] = if kind == "ec" {
            &["-pkeyopt", "ec_paramgen_curve:P-384"]
        } else {
            &[]
        };
        let fixed = [
            "req", "-new", "-nodes", "-subj", "/CN=x", "-newkey", kind, "-keyout", &key, "-out",
            &csr,
        ];
        openssl(&lab, &[&fixed, curve].concat());
    }
    succeed(
        &lab,
        &[
            "issue",
            "n1",
            "--as",
            "node",
            "--request",
            "ed25519.csr",
            "--out",
            "ed25519",
        ],
    );
    assert_eq!(verify(&lab, "ed25519/cert.pem", &[]).code, Some(0));
    let kind = "reading a signing request: its key is neither P-256 nor Ed25519";
    for (file, expected) in [
        (
            "forged.csr",
            "reading a signing request: it is not signed by its own key",
        ),
        (
            "empty.csr",
            "reading a signing request: there is no PEM block",
        ),
        (
            "n1.key",
            "reading a signing request: the PEM block is a PRIVATE KEY",
        ),
        (
            "weak.csr",
            "reading a signing request: it is not signed by its own key",
        ),
        ("rsa.csr", kind),
        ("p384.csr", kind),
        (
            "none.csr",
            "reading none.csr: No such file or directory (os error 2)",
        ),
    ] {
        let refused = trust(&lab, &["issue", "n1", "--as", "node", "--request", file]);
        assert_eq!(
            (refused.code, refused.stderr),
            (Some(1), format!("slipway-trust: {expected}\n")),
            "{file}"
        );
    }
    let refused = trust(&lab, &["issue", "n1", "--as", "node"]);
    assert_eq!(
        refused.stderr,
        "slipway-trust: the key of a node is made on it and never leaves it: give its request with --request n1.csr\n"
    );
    assert!(!lab.path("n1").exists());
}

pub(super) fn client() {
    let lab = ready();
    let printed = succeed(&lab, &["issue", "alice", "--for", "12h"]);
    assert!(
        printed.starts_with("alice: client valid until ") && printed.ends_with(", in alice\n"),
        "{printed}"
    );
    assert_eq!(
        (mode(&lab, "alice"), mode(&lab, "alice/key.pem")),
        (0o700, 0o600)
    );
    let verified = verify(&lab, "alice/cert.pem", &["-purpose", "sslclient"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let verified = verify(&lab, "alice/cert.pem", &["-purpose", "sslserver"]);
    assert!(verified.code != Some(0), "a client is a server");
    // Valid for half a day, and not for a whole one.
    let ends = |seconds: &str| {
        other(
            &lab,
            "openssl",
            &[
                "x509",
                "-in",
                "alice/cert.pem",
                "-noout",
                "-checkend",
                seconds,
            ],
        )
        .code
    };
    assert_eq!((ends("43000"), ends("43300")), (Some(0), Some(1)));
    assert_eq!(lab.read("alice/ca.pem"), succeed(&lab, &["export", "root"]));
    for name in ["", "a.b", "../x", "a b", "-a", "n\u{e9}"] {
        let refused = trust(&lab, &["issue", "--for", "1h", "--", name]);
        let expected = format!(
            "slipway-trust: '{name}' is no name of a client: expected at most 64 letters, digits, '-' and '_'\n"
        );
        if name != "-a" {
            assert_eq!((refused.code, refused.stderr), (Some(1), expected));
        }
    }
    let refused = trust(&lab, &["issue", "bob", "--for", "31d"]);
    assert_eq!(
        refused.stderr,
        "slipway-trust: a client is valid for 30d at most\n"
    );
}

pub(super) fn revoked() {
    let lab = ready();
    succeed(&lab, &["issue", "alice"]);
    succeed(&lab, &["issue", "bob"]);
    assert_eq!(
        succeed(&lab, &["revoke", "alice"]),
        "alice: 1 certificate revoked: hosts of the site refuse it within a minute, at once after updatenode -P dockerauthz\n"
    );
    lab.write("crl.pem", &succeed(&lab, &["export", "crl"]));
    let check = |name: &str| {
        let certificate = format!("{name}/cert.pem");
        other(
            &lab,
            "openssl",
            &[
                "verify",
                "-CAfile",
                "config/trust/root.crt",
                "-untrusted",
                "config/trust/clients.crt",
                "-crl_check",
                "-CRLfile",
                "crl.pem",
                &certificate,
            ],
        )
    };
    let alice = check("alice");
    assert!(
        alice.code != Some(0) && alice.stderr.contains("certificate revoked"),
        "{}",
        alice.stderr
    );
    let bob = check("bob");
    assert_eq!(bob.code, Some(0), "{}", bob.stderr);
    let again = trust(&lab, &["revoke", "alice"]);
    assert_eq!(
        again.stderr,
        "slipway-trust: nothing that is valid was signed for 'alice'\n"
    );
    assert_eq!(
        json_of(&lab, &["status"])["issued"]["client"],
        json!({ "valid": 1, "revoked": 1 })
    );
}

pub(super) fn ssh_host() {
    let lab = ready();
    let made = other(
        &lab,
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", "hostkey"],
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    succeed(
        &lab,
        &[
            "issue",
            "n1",
            "--as",
            "ssh-host",
            "--request",
            "hostkey.pub",
        ],
    );
    let listed = other(
        &lab,
        "ssh-keygen",
        &["-L", "-f", "n1/ssh_host_key-cert.pub"],
    )
    .stdout;
    let authority = other(
        &lab,
        "ssh-keygen",
        &["-l", "-f", "config/trust/ssh_host_ca.pub"],
    )
    .stdout;
    let fingerprint = authority.split(' ').nth(1).unwrap();
    assert!(
        listed.contains("host certificate") && listed.contains(fingerprint),
        "{listed}"
    );
    let principals: Vec<_> = listed
        .lines()
        .skip_while(|line| !line.contains("Principals:"))
        .skip(1)
        .take_while(|line| !line.contains("Critical Options"))
        .map(str::trim)
        .collect();
    assert_eq!(
        principals,
        [
            "10.1.0.11",
            "10.1.2.11",
            "n1",
            "n1-eth1",
            "n1-eth1.cluster",
            "n1.cluster",
            "www",
            "www.cluster"
        ]
    );
    let line = succeed(&lab, &["export", "ssh"]);
    assert!(
        line.starts_with("@cert-authority *.cluster,10.1.* ssh-ed25519 "),
        "{line}"
    );
    // The private half is no public key.
    let refused = trust(
        &lab,
        &["issue", "n1", "--as", "ssh-host", "--request", "hostkey"],
    );
    assert_eq!(
        refused.stderr,
        "slipway-trust: this is no public ssh host key: expected a line such as that of \
         /etc/ssh/ssh_host_ed25519_key.pub\n"
    );
}
