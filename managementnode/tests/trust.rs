//! The real `slipway-trust`, held against other implementations: OpenSSL verifies what it signs, OpenSSH reads its
//! host certificates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Ended, Lab, ended};
use serde_json::{Value, json};

const NETWORKS: &str = "[rack]\nnet = \"10.1.0.0\"\nmask = \"/16\"\n";

const NODES: &str = r#"
[node.n1]
ip = "10.1.0.11"
hostnames = ["www"]
nicips = ["eth1!10.1.2.11"]
[node.n2]
ip = "10.1.0.12"
[node.far]
ip = "192.0.2.1"
[node.bare]
"#;

fn main() -> ExitCode {
    lab::main(
        &["openssl", "ssh-keygen"],
        None,
        &[
            (
                "the_authorities_are_made_once_and_are_their_owners_alone",
                made_once,
            ),
            (
                "a_site_that_does_not_say_what_it_is_gets_no_authority",
                incomplete,
            ),
            (
                "the_authority_of_hosts_speaks_for_the_site_alone",
                constrained,
            ),
            (
                "a_request_for_more_gets_what_the_definition_says",
                greedy_request,
            ),
            ("what_is_no_request_is_refused", no_request),
            ("a_client_is_one_and_nothing_else", client),
            ("what_is_revoked_is_on_the_list_that_openssl_reads", revoked),
            ("ssh_hosts_are_known_by_their_authority", ssh_host),
            (
                "keys_that_are_missing_or_open_to_others_are_named",
                broken_keys,
            ),
            ("the_root_key_may_be_taken_away", root_away),
            ("what_has_ended_signs_nothing", ended_authority),
            ("a_dry_run_changes_nothing", dry_run),
            ("an_armed_node_enrols_once", enrolment),
            (
                "a_secret_of_another_node_or_too_late_is_refused_and_alarms",
                wrong_secrets,
            ),
            (
                "a_node_gets_its_next_certificate_by_the_present_one",
                renewal,
            ),
            (
                "a_node_that_renews_without_end_is_refused_and_alarms",
                endless_renewal,
            ),
            ("fifty_nodes_enrol_at_once", fifty),
            (
                "a_signer_takes_the_socket_that_systemd_hands_over",
                handed_over,
            ),
            ("a_signer_that_is_killed_loses_nothing", killed),
        ],
    )
}

fn trust(lab: &Lab, arguments: &[&str]) -> Ended {
    let mut command = program(lab);
    ended(command.args(arguments), lab.root())
}

fn program(lab: &Lab) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-trust"));
    command
        .current_dir(lab.root())
        .env("SLIPWAY_CONFIG", lab.path("config"));
    command
}

/// Runs what must succeed, and returns what it prints.
fn succeed(lab: &Lab, arguments: &[&str]) -> String {
    let ended = trust(lab, arguments);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    ended.stdout
}

fn json_of(lab: &Lab, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(lab, &[arguments, &["--json"]].concat())).unwrap()
}

/// Runs another program in the site's directory.
fn other(lab: &Lab, program: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    ended(
        command
            .current_dir(lab.root())
            .args(arguments)
            .stdin(Stdio::null()),
        lab.root(),
    )
}

fn openssl(lab: &Lab, arguments: &[&str]) -> String {
    let ended = other(lab, "openssl", arguments);
    assert_eq!(
        ended.code,
        Some(0),
        "openssl {arguments:?}: {}",
        ended.stderr
    );
    ended.stdout
}

/// Has OpenSSL verify a certificate against the root alone.
fn verify(lab: &Lab, certificate: &str, more: &[&str]) -> Ended {
    let fixed = [
        "verify",
        "-x509_strict",
        "-CAfile",
        "config/trust/root.crt",
        "-untrusted",
        certificate,
    ];
    other(lab, "openssl", &[&fixed, more, &[certificate]].concat())
}

fn site() -> Lab {
    let lab = Lab::new(NETWORKS, NODES);
    lab.site("master = \"10.1.0.1\"\ndomain = \"cluster\"\n");
    lab
}

/// A site with its authorities.
fn ready() -> Lab {
    let lab = site();
    succeed(&lab, &["init"]);
    lab
}

/// Makes a key and a request with OpenSSL; what it asks for is `more`.
fn request(lab: &Lab, name: &str, more: &str) {
    lab.write(
        &format!("{name}.conf"),
        &format!("[req]\ndistinguished_name=dn\nprompt=no\nreq_extensions=ext\n[dn]\nCN=whatever\n[ext]\n{more}\n"),
    );
    let (conf, key, out) = (
        format!("{name}.conf"),
        format!("{name}.key"),
        format!("{name}.csr"),
    );
    openssl(
        lab,
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-config",
            &conf,
            "-keyout",
            &key,
            "-out",
            &out,
        ],
    );
}

fn mode(lab: &Lab, name: &str) -> u32 {
    lab.path(name).metadata().unwrap().permissions().mode() & 0o7777
}

fn set_mode(lab: &Lab, name: &str, mode: u32) {
    fs::set_permissions(lab.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn made_once() {
    let lab = site();
    assert_eq!(
        succeed(&lab, &["init"]),
        "<lab>/config/trust: made\nhosts: names in cluster, addresses in 10.1.0.0/16\n\
         Put root.key where this machine cannot reach it; renew alone needs it. Keep a copy of all that is there.\n"
    );
    assert_eq!(mode(&lab, "config/trust"), 0o700);
    for (name, expected) in [
        ("root.key", 0o600),
        ("nodes.key", 0o600),
        ("clients.key", 0o600),
        ("server.key", 0o600),
        ("trees.key", 0o600),
        ("ssh_host_ca", 0o600),
        ("store.json", 0o600),
        ("root.crt", 0o644),
        ("trees.asc", 0o644),
    ] {
        assert_eq!(
            mode(&lab, &format!("config/trust/{name}")),
            expected,
            "{name}"
        );
    }
    let again = trust(&lab, &["init"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: there is an authority already: <lab>/config/trust\n"
        )
    );
    assert!(!fs::read_dir(lab.path("config")).unwrap().any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".trust-")
    }));
    for holder in ["nodes", "clients", "server"] {
        let verified = verify(&lab, &format!("config/trust/{holder}.crt"), &[]);
        assert_eq!(verified.code, Some(0), "{holder}: {}", verified.stderr);
    }
    let status = json_of(&lab, &["status"]);
    assert_eq!(status["problems"], json!([]));
    assert_eq!(
        status["issued"],
        json!({ "authority": { "valid": 2, "revoked": 0 }, "server": { "valid": 1, "revoked": 0 } })
    );
}

fn incomplete() {
    for (site, networks, expected) in [
        (
            "master = \"10.1.0.1\"\n",
            NETWORKS,
            "the site has no domain, which names of hosts are in: chdef -t site clustersite domain=cluster",
        ),
        (
            "domain = \"cluster\"\n",
            NETWORKS,
            "the site does not say how nodes reach this machine: chdef -t site clustersite master=10.1.0.1",
        ),
        (
            "domain = \"cluster\"\nmaster = \"mn\"\n",
            NETWORKS,
            "the site's master 'mn' is a name: nodes reach it by an address while they install, so give that",
        ),
        (
            "domain = \"cluster\"\nmaster = \"192.0.2.1\"\n",
            NETWORKS,
            "the address 192.0.2.1 lies in no network of the site: there are 10.1.0.0/16",
        ),
        (
            "domain = \"cluster\"\nmaster = \"10.1.0.1\"\n",
            "",
            "no network is defined, which addresses of hosts are in: mkdef -t network rack net=10.1.0.0 mask=255.255.0.0",
        ),
    ] {
        let lab = Lab::new(networks, "");
        lab.site(site);
        let refused = trust(&lab, &["init"]);
        assert_eq!(
            (refused.code, refused.stderr),
            (Some(1), format!("slipway-trust: {expected}\n"))
        );
        assert!(!lab.path("config/trust").exists());
    }
}

/// What signs with our authority's key and does not ask us is held by its constraints.
fn constrained() {
    let lab = ready();
    for (name, names, is_fine) in [
        ("within", "DNS:n9.cluster,IP:10.1.0.9", true),
        ("elsewhere", "DNS:www.example.invalid", false),
        ("outside", "IP:192.0.2.9", false),
    ] {
        request(&lab, name, "basicConstraints=CA:FALSE");
        lab.write(
            &format!("{name}.ext"),
            &format!(
                "basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\nextendedKeyUsage=serverAuth\n\
                 subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature\n"
            ),
        );
        let (csr, ext, out) = (
            format!("{name}.csr"),
            format!("{name}.ext"),
            format!("{name}.crt"),
        );
        openssl(
            &lab,
            &[
                "x509",
                "-req",
                "-in",
                &csr,
                "-CA",
                "config/trust/nodes.crt",
                "-CAkey",
                "config/trust/nodes.key",
                "-extfile",
                &ext,
                "-out",
                &out,
            ],
        );
        let verified = other(
            &lab,
            "openssl",
            &[
                "verify",
                "-CAfile",
                "config/trust/root.crt",
                "-untrusted",
                "config/trust/nodes.crt",
                &out,
            ],
        );
        assert_eq!(
            verified.code == Some(0),
            is_fine,
            "{name}: {}",
            verified.stderr
        );
        assert_eq!(
            verified.stderr.contains("permitted subtree violation"),
            !is_fine,
            "{name}: {}",
            verified.stderr
        );
    }
}

fn greedy_request() {
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
            "naming far: the address 192.0.2.1 lies in no network of the site: there are 10.1.0.0/16",
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

fn no_request() {
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

fn client() {
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

fn revoked() {
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

fn ssh_host() {
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

fn broken_keys() {
    let lab = ready();
    set_mode(&lab, "config/trust/clients.key", 0o644);
    let open = "<lab>/config/trust/clients.key can be read by others (mode 0644): chmod 600 it if nobody has, else make a \
                new key";
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        format!("slipway-trust: {open}\n")
    );
    let status = trust(&lab, &["status"]);
    assert_eq!(status.code, Some(1));
    assert!(
        status.stdout.contains(&format!("WRONG {open}\n")),
        "{}",
        status.stdout
    );
    fs::remove_file(lab.path("config/trust/clients.key")).unwrap();
    let missing = "slipway-trust: the key of 'clients' is missing: <lab>/config/trust/clients.key: put it back from your copy, \
                   or run slipway-trust renew --new-key\n";
    assert_eq!(trust(&lab, &["issue", "alice"]).stderr, missing);
    std::os::unix::fs::symlink("nodes.key", lab.path("config/trust/clients.key")).unwrap();
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: reading <lab>/config/trust/clients.key: Too many levels of symbolic links (os error 40)\n"
    );
    fs::remove_file(lab.path("config/trust/clients.key")).unwrap();
    fs::copy(
        lab.path("config/trust/nodes.key"),
        lab.path("config/trust/clients.key"),
    )
    .unwrap();
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: the key does not belong to the certificate of 'Slipway clients cluster'\n"
    );
    openssl(
        &lab,
        &[
            "pkcs8",
            "-topk8",
            "-in",
            "config/trust/nodes.key",
            "-passout",
            "pass:x",
            "-out",
            "config/trust/clients.key",
        ],
    );
    set_mode(&lab, "config/trust/clients.key", 0o600);
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: the key is encrypted, and nobody is asked for a pass phrase here: openssl pkey -in FILE -out FILE\n"
    );
    succeed(&lab, &["renew", "clients", "--new-key"]);
    succeed(&lab, &["issue", "alice"]);
    assert_eq!(
        verify(&lab, "alice/cert.pem", &["-purpose", "sslclient"]).code,
        Some(0)
    );
    set_mode(&lab, "config/trust", 0o755);
    assert_eq!(
        trust(&lab, &["status"]).stderr,
        "slipway-trust: <lab>/config/trust can be entered by others (mode 0755): chmod 700 it if nobody has, else make a \
         new key\n"
    );
    let none = site();
    assert_eq!(
        trust(&none, &["status"]).stderr,
        "slipway-trust: the site has no authority yet: <lab>/config/trust is not there: run slipway-trust init\n"
    );
}

fn root_away() {
    let lab = ready();
    fs::rename(lab.path("config/trust/root.key"), lab.path("stick")).unwrap();
    let status = json_of(&lab, &["status"]);
    assert_eq!(status["authorities"][0]["key"], "away");
    succeed(&lab, &["issue", "alice"]);
    succeed(&lab, &["renew", "server"]);
    let refused = trust(&lab, &["renew", "nodes"]);
    assert_eq!(
        refused.stderr,
        "slipway-trust: the key of 'root' is missing: <lab>/config/trust/root.key: it was taken away: put it back for as \
         long as this takes\n"
    );
    fs::rename(lab.path("stick"), lab.path("config/trust/root.key")).unwrap();
    // A network that was not there: the authority is signed anew for it, and what it signed before goes on.
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    succeed(
        &lab,
        &["issue", "n1", "--as", "node", "--request", "n1.csr"],
    );
    lab.write(
        "config/networks.toml",
        &format!("{NETWORKS}[lab]\nnet = \"192.0.2.0\"\nmask = \"/24\"\n"),
    );
    succeed(&lab, &["renew", "nodes"]);
    succeed(
        &lab,
        &["issue", "far", "--as", "node", "--request", "n1.csr"],
    );
    for name in ["n1", "far"] {
        let certificate = format!("{name}/cert.pem");
        let verified = other(
            &lab,
            "openssl",
            &[
                "verify",
                "-CAfile",
                "config/trust/root.crt",
                "-untrusted",
                "config/trust/nodes.crt",
                &certificate,
            ],
        );
        assert_eq!(verified.code, Some(0), "{name}: {}", verified.stderr);
    }
}

fn ended_authority() {
    let lab = ready();
    // OpenSSL signs what our own terms would take years for.
    openssl(
        &lab,
        &[
            "x509",
            "-in",
            "config/trust/clients.crt",
            "-signkey",
            "config/trust/clients.key",
            "-days",
            "-1",
            "-out",
            "old.crt",
        ],
    );
    fs::copy(lab.path("old.crt"), lab.path("config/trust/clients.crt")).unwrap();
    let refused = trust(&lab, &["issue", "alice"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("slipway-trust: the certificate of 'clients' ended at ")
            && refused
                .stderr
                .ends_with("Z: run slipway-trust renew clients\n"),
        "{}",
        refused.stderr
    );
    succeed(&lab, &["renew", "clients"]);
    succeed(&lab, &["issue", "alice"]);
}

fn dry_run() {
    let lab = site();
    assert!(
        succeed(&lab, &["init", "--dry-run"]).starts_with("<lab>/config/trust: would be made\n")
    );
    assert!(!lab.path("config/trust").exists());
    succeed(&lab, &["init"]);
    succeed(&lab, &["issue", "bob"]);
    let before = lab.read("config/trust/store.json");
    for arguments in [
        &["issue", "alice"][..],
        &["revoke", "bob"],
        &["arm", "n1"],
        &["disarm", "n1"],
        &["renew", "nodes", "--new-key"],
    ] {
        succeed(&lab, &[arguments, &["--dry-run"]].concat());
        assert_eq!(lab.read("config/trust/store.json"), before, "{arguments:?}");
    }
    assert!(!lab.path("alice").exists());
}

/// The signer, on a socket.
struct Signer(Child);

impl Signer {
    fn start(lab: &Lab) -> Self {
        let child = program(lab)
            .args(["signer", "--socket", "signer.sock"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(lab.path("signer.sock")).is_err() {
            assert!(Instant::now() < end, "the signer does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the signer, as slipwayd does.
fn ask(socket: &Path, node: &str, token: &str, request: &str) -> Value {
    let request = json!({ "node": node, "token": token, "request": request });
    question(
        socket,
        &json!({ "enrol": { "request": request, "from": "10.1.0.99" } }),
    )
}

fn question(socket: &Path, line: &Value) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    // A signer that is killed meanwhile answers nothing.
    let _ = stream.write_all(format!("{line}\n").as_bytes());
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn arm(lab: &Lab, range: &str) -> Vec<(String, String)> {
    let armed = json_of(lab, &["arm", range]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes = armed["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| (text(&node["node"]), text(&node["token"])))
        .collect()
}

fn alarms(lab: &Lab) -> Vec<String> {
    let status = json_of(lab, &["status"]);
    let alarms = status["alarms"].as_array().unwrap().iter();
    alarms
        .map(|alarm| {
            format!(
                "{} {}: {}",
                alarm["node"].as_str().unwrap(),
                alarm["from"].as_str().unwrap(),
                alarm["what"].as_str().unwrap()
            )
        })
        .collect()
}

const REFUSED: &str = "this node is not armed, or the secret is not its own: on the management node: slipway-trust status, then \
                       slipway-trust arm";

fn enrolment() {
    let lab = ready();
    let _signer = Signer::start(&lab);
    let socket = lab.path("signer.sock");
    // Who may write to a socket may connect: its owner alone, by this test's umask.
    assert_eq!(mode(&lab, "signer.sock") & 0o222, 0o200);
    let (_, token) = arm(&lab, "n1").remove(0);
    let root = openssl(
        &lab,
        &[
            "x509",
            "-in",
            "config/trust/root.crt",
            "-noout",
            "-fingerprint",
            "-sha256",
        ],
    );
    let root = root
        .trim()
        .rsplit('=')
        .next()
        .unwrap()
        .replace(':', "")
        .to_lowercase();
    assert!(token.starts_with(&format!("SLIPWAY-1-{root}-")), "{token}");
    assert!(
        !lab.read("config/trust/store.json")
            .contains(token.rsplit('-').next().unwrap()),
        "the secret is kept"
    );
    request(
        &lab,
        "n1",
        "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:*.cluster",
    );
    let answer = ask(&socket, "n1", &token, &lab.read("n1.csr"));
    lab.write("cert.pem", answer["certificate"].as_str().unwrap());
    let verified = verify(
        &lab,
        "cert.pem",
        &["-purpose", "sslserver", "-verify_ip", "10.1.0.11"],
    );
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let names = openssl(
        &lab,
        &[
            "x509",
            "-in",
            "cert.pem",
            "-noout",
            "-ext",
            "subjectAltName,basicConstraints",
        ],
    );
    assert!(
        names.contains("CA:FALSE") && !names.contains('*'),
        "{names}"
    );
    // An answer that was lost is had again with the same key; another key is somebody else.
    assert_eq!(ask(&socket, "n1", &token, &lab.read("n1.csr")), answer);
    assert_eq!(alarms(&lab), [""; 0]);
    request(&lab, "thief", "basicConstraints=CA:FALSE");
    assert_eq!(
        ask(&socket, "n1", &token, &lab.read("thief.csr")),
        json!({ "refused": REFUSED })
    );
    assert_eq!(
        alarms(&lab),
        ["n1 10.1.0.99: its secret was used a second time, with another key"]
    );
    let status = json_of(&lab, &["status"]);
    assert_eq!(
        (&status["issued"]["node"], &status["armed"]),
        (&json!({ "valid": 1, "revoked": 0 }), &json!([]))
    );
}

fn renewal() {
    let lab = ready();
    let _signer = Signer::start(&lab);
    let socket = lab.path("signer.sock");
    let made = other(
        &lab,
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", "host"],
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let (_, token) = arm(&lab, "n1").remove(0);
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    let (csr, ssh) = (lab.read("n1.csr"), lab.read("host.pub"));
    let enrolment = json!({ "node": "n1", "token": token, "request": csr, "ssh": ssh });
    let enrolled = question(
        &socket,
        &json!({ "enrol": { "request": enrolment, "from": "" } }),
    );
    // dockerd is told whom to let in, and ssh clients know the host.
    assert_eq!(enrolled["clients"], lab.read("config/trust/clients.crt"));
    lab.write("host-cert.pub", enrolled["ssh"].as_str().unwrap());
    let shown = other(&lab, "ssh-keygen", &["-L", "-f", "host-cert.pub"]);
    for part in [
        "host certificate",
        "Key ID: \"n1\"",
        "n1.cluster",
        "10.1.0.11",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    lab.write("cert.pem", enrolled["certificate"].as_str().unwrap());
    let serial = |file: &str| {
        let shown = openssl(&lab, &["x509", "-in", file, "-noout", "-serial"]);
        shown.trim().trim_start_matches("serial=").to_lowercase()
    };
    let first = serial("cert.pem");
    let renew = |node: &str, serial: &str| {
        let renewal =
            json!({ "request": { "request": csr }, "node": node, "serial": serial, "from": "" });
        question(&socket, &json!({ "renew": renewal }))
    };
    lab.write(
        "next.pem",
        renew("n1", &first)["certificate"].as_str().unwrap(),
    );
    let verified = verify(
        &lab,
        "next.pem",
        &["-purpose", "sslserver", "-verify_ip", "10.1.0.11"],
    );
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let second = serial("next.pem");
    assert_ne!(first, second);
    let refused = json!({ "refused": REFUSED });
    // Another's serial, one of nobody, and one that is revoked.
    assert_eq!(renew("n2", &first), refused);
    assert_eq!(renew("n1", &"0".repeat(32)), refused);
    assert_eq!(
        alarms(&lab),
        [
            "n2 : it would renew a certificate that does not count",
            "n1 : it would renew a certificate that does not count"
        ]
    );
    succeed(&lab, &["revoke", "n1"]);
    assert_eq!(renew("n1", &second), refused);
}

fn endless_renewal() {
    let lab = ready();
    let _signer = Signer::start(&lab);
    let socket = lab.path("signer.sock");
    let (_, token) = arm(&lab, "n1").remove(0);
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    let csr = lab.read("n1.csr");
    ask(&socket, "n1", &token, &csr);
    let store: Value = serde_json::from_str(&lab.read("config/trust/store.json")).unwrap();
    let mut issued = store["issued"].as_object().unwrap().iter();
    let (serial, _) = issued
        .find(|(_, issued)| issued["purpose"] == "node")
        .unwrap();
    let renewal =
        json!({ "request": { "request": csr }, "node": "n1", "serial": serial, "from": "" });
    let renew = || question(&socket, &json!({ "renew": renewal }));
    for number in 2..=64 {
        assert!(renew()["certificate"].is_string(), "{number}");
    }
    assert_eq!(renew(), json!({ "refused": REFUSED }));
    assert_eq!(renew(), json!({ "refused": REFUSED }));
    let status = json_of(&lab, &["status"]);
    assert_eq!(
        status["issued"]["node"],
        json!({ "valid": 64, "revoked": 0 })
    );
    assert_eq!(
        alarms(&lab),
        ["n1 : it has 64 certificates that are valid: revoke it and arm it again"]
    );
    // Whoever is armed again goes on.
    succeed(&lab, &["revoke", "n1"]);
    let (_, token) = arm(&lab, "n1").remove(0);
    assert!(ask(&socket, "n1", &token, &csr)["certificate"].is_string());
}

fn wrong_secrets() {
    let lab = ready();
    let _signer = Signer::start(&lab);
    let socket = lab.path("signer.sock");
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    let csr = lab.read("n1.csr");
    let tokens = arm(&lab, "n1,n2");
    let refused = json!({ "refused": REFUSED });
    assert_eq!(ask(&socket, "n1", &tokens[1].1, &csr), refused);
    assert_eq!(ask(&socket, "n1", "SLIPWAY-1-00-11", &csr), refused);
    assert_eq!(ask(&socket, "far", &tokens[0].1, &csr), refused);
    // What is no request raises one alarm, whatever is in it.
    let other = "-----BEGIN A-----\nAAAA\n-----END A-----\n";
    for text in ["no request", other, &other.replace('A', "B")] {
        assert_eq!(ask(&socket, "n1", &tokens[0].1, text), refused, "{text}");
    }
    // The clock of the store goes on: what was armed an hour ago for a minute is late.
    let store = lab.read("config/trust/store.json");
    let mut document: Value = serde_json::from_str(&store).unwrap();
    document["armed"]["n2"]["until"] = json!("2020-01-01T00:00:00Z");
    let recent = document["armed"]["n1"]["until"].clone();
    document["armed"]["n2"]["until"] = json!(minus_a_day(recent.as_str().unwrap()));
    lab.write("config/trust/store.json", &document.to_string());
    assert_eq!(ask(&socket, "n2", &tokens[1].1, &csr), refused);
    assert_eq!(
        alarms(&lab),
        [
            "n1 10.1.0.99: its secret is not the one that it was armed with",
            "n1 10.1.0.99: its token is for another authority, or none",
            "far 10.1.0.99: it is not armed",
            "n1 10.1.0.99: its signing request or ssh host key cannot be read",
            "n2 10.1.0.99: its secret came after its time",
        ]
    );
    assert_eq!(succeed(&lab, &["disarm", "n1"]), "n1: disarmed\n");
    assert_eq!(ask(&socket, "n1", &tokens[0].1, &csr), refused);
    // What makes no sense costs the signer nothing.
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(&vec![b'x'; 100_000]).ok();
    drop(stream);
    let (_, token) = arm(&lab, "n1").remove(0);
    assert!(ask(&socket, "n1", &token, &csr)["certificate"].is_string());
}

/// Returns the day before, of a time in the same month or the next.
fn minus_a_day(stamp: &str) -> String {
    let output = Command::new("date")
        .args([
            "-u",
            "-d",
            &format!("{stamp} -1 day"),
            "+%Y-%m-%dT%H:%M:%SZ",
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn handed_over() {
    let lab = ready();
    let socket = lab.path("handed.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let child = program(&lab)
        .arg("signer")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn();
    let _signer = Signer(child.unwrap());
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    let (_, token) = arm(&lab, "n1").remove(0);
    assert!(ask(&socket, "n1", &token, &lab.read("n1.csr"))["certificate"].is_string());
    // What is no socket is said to be none.
    let mut none = program(&lab);
    let ended = ended(none.arg("signer").stdin(Stdio::null()), lab.root());
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: accepting a connection: is standard input a listening socket?: Socket operation on \
             non-socket (os error 88)\n"
        )
    );
}

fn many() -> Lab {
    let mut nodes = String::new();
    for number in 0..50 {
        nodes += &format!("[node.m{number:02}]\nip = \"10.1.5.{}\"\n", number + 1);
    }
    let lab = Lab::new(NETWORKS, &nodes);
    lab.site("master = \"10.1.0.1\"\ndomain = \"cluster\"\n");
    succeed(&lab, &["init"]);
    request(&lab, "csr", "basicConstraints=CA:FALSE");
    lab
}

fn fifty() {
    let lab = many();
    let _signer = Signer::start(&lab);
    let (socket, csr) = (lab.path("signer.sock"), lab.read("csr.csr"));
    let tokens = arm(&lab, "m[00-49]");
    let answers: Vec<_> = thread::scope(|scope| {
        let asked = tokens
            .iter()
            .map(|(node, token)| scope.spawn(|| ask(&socket, node, token, &csr)));
        asked
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        answers
            .iter()
            .all(|answer| answer["certificate"].is_string())
    );
    let status = json_of(&lab, &["status"]);
    assert_eq!(
        status["issued"]["node"],
        json!({ "valid": 50, "revoked": 0 })
    );
    assert_eq!(status["alarms"], json!([]));
}

fn killed() {
    let lab = many();
    let (socket, csr) = (lab.path("signer.sock"), lab.read("csr.csr"));
    let tokens = arm(&lab, "m[00-49]");
    let mut signer = Signer::start(&lab);
    let mut interrupted = 0;
    for (at, (node, token)) in tokens.iter().enumerate() {
        let mut answer = Value::Null;
        if at % 10 == 0 {
            // Killed while it answers: at another moment each time.
            let first = thread::scope(|scope| {
                let asked = scope.spawn(|| ask(&socket, node, token, &csr));
                thread::sleep(Duration::from_millis(at as u64 / 10));
                signer.0.kill().unwrap();
                signer.0.wait().unwrap();
                signer = Signer::start(&lab);
                asked.join().unwrap()
            });
            interrupted += usize::from(first.is_null());
            answer = first;
        }
        while answer.is_null() {
            answer = ask(&socket, node, token, &csr);
        }
        assert!(answer["certificate"].is_string(), "{node}: {answer}");
    }
    assert!(interrupted <= 5);
    let status = json_of(&lab, &["status"]);
    assert_eq!(
        (&status["issued"]["node"], &status["alarms"]),
        (&json!({ "valid": 50, "revoked": 0 }), &json!([]))
    );
}
