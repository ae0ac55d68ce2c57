//! How nodes enrol by slipwayd, which asks the signer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lab::daemon::{Daemon, LONG, arm, curl, openssl, ready, request, site, trusted};
use super::scene::{enrol, nodestat, state_of};

pub(super) fn enrolment() {
    let lab = ready();
    let daemon = Daemon::with_signer(&lab);
    let (_, token) = arm(&lab, "n1").remove(0);
    // What is fetched in the clear is believed since the token holds its digest.
    let (status, root) = curl(&lab, &[&daemon.url("/v1/root")]);
    lab.write("root.pem", &root);
    let der = openssl(
        &lab,
        &[
            "x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der",
        ],
    );
    let digest = openssl(&lab, &["dgst", "-sha256", "-r", "root.der"]).stdout;
    assert_eq!((status.as_str(), der.code), ("200", Some(0)));
    assert!(
        token.contains(digest.split(' ').next().unwrap()),
        "{token} {digest}"
    );
    let body = json!({ "node": "n1", "token": token, "request": lab.read("n1.csr") }).to_string();
    assert_eq!(
        curl(&lab, &["--data-binary", &body, &daemon.url("/v1/enrol")]),
        (
            "403".to_owned(),
            "secrets are taken by TLS alone\n".to_owned()
        )
    );
    let (status, answer) = enrol(&lab, &daemon, "n1", &token, "n1.csr");
    assert_eq!(status, "200", "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    lab.write("n1.crt", answer["certificate"].as_str().unwrap());
    let report = |daemon: &Daemon, certificate: &[&str], body: &str| {
        curl(
            &lab,
            &[
                certificate,
                &["--data-binary", body, &daemon.tls_url("/v1/report")],
            ]
            .concat(),
        )
    };
    let own = ["--cert", "n1.crt", "--key", "n1.key"];
    assert_eq!(
        report(&daemon, &own, "{\"state\":\"booted\"}"),
        ("200".to_owned(), "noted\n".to_owned())
    );
    assert_eq!(state_of(&lab, "n1"), "booted certificate");
    // The same without a certificate is known by the address alone, and from no node's address not at all.
    let failed = "{\"state\":\"failed\",\"lines\":[\"one\",\"\\u001b[2Jtwo\"]}";
    assert_eq!(
        report(&daemon, &["--interface", "127.0.0.2"], failed).0,
        "200"
    );
    assert_eq!(state_of(&lab, "n2"), "failed address");
    assert_eq!(
        report(&daemon, &["--interface", "127.0.0.3"], failed),
        (
            "403".to_owned(),
            "no node has this address or certificate\n".to_owned()
        )
    );
    // A client that has a node's name is no node.
    trusted(&lab, &["issue", "n2"]);
    let refused = report(
        &daemon,
        &["--cert", "n2/cert.pem", "--key", "n2/key.pem"],
        "{\"state\":\"booted\"}",
    );
    assert_eq!(
        refused,
        (
            "403".to_owned(),
            "no node has this address or certificate\n".to_owned()
        )
    );
    assert_eq!(state_of(&lab, "n2"), "failed address");
    let shown = nodestat(&lab, &["n1,n2"]);
    assert_eq!(shown.code, Some(1));
    let lines: Vec<_> = shown.stdout.lines().collect();
    assert!(
        lines[0].starts_with("n1: booted since 2") && !lines[0].contains("by its address"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("n2: failed since 2") && lines[1].ends_with(" (by its address)"),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2..], ["n2:     one", "n2:     \\u001b[2Jtwo"]);
    // What is the node's alone is served to its certificate, wherever it is.
    fs::create_dir_all(lab.path("install/autoinst/n1")).unwrap();
    lab.write("install/autoinst/n1/boot.cpio.gz", "secret");
    let archive = lab.path("install/autoinst/n1/boot.cpio.gz");
    fs::set_permissions(archive, fs::Permissions::from_mode(0o640)).unwrap();
    let fetched = |daemon: &Daemon| {
        let url = daemon.tls_url("/install/autoinst/n1/boot.cpio.gz");
        let from = ["--interface", "127.0.0.9"];
        curl(&lab, &[&from[..], &own, &[&url]].concat()).0
    };
    assert_eq!(fetched(&daemon), "200");
    // What is revoked is told to nodes.
    let revocations = |daemon: &Daemon, certificate: &[&str]| {
        curl(
            &lab,
            &[certificate, &[&daemon.tls_url("/v1/revocations")]].concat(),
        )
    };
    let (status, lists) = revocations(&daemon, &own);
    let counted = lists.matches("-----BEGIN X509 CRL-----").count();
    assert_eq!((status.as_str(), counted), ("200", 2), "{lists}");
    for other in [&[][..], &["--cert", "n2/cert.pem", "--key", "n2/key.pem"]] {
        assert_eq!(
            revocations(&daemon, other),
            (
                "403".to_owned(),
                "no node has this certificate\n".to_owned()
            )
        );
    }
    // One that is revoked reports and gets no more, nor one that is defined no more.
    let other = arm(&lab, "n1").remove(0).1;
    let (status, answer) = enrol(&lab, &daemon, "n1", &other, "n1.csr");
    assert_eq!(status, "200", "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let booted = "{\"state\":\"booted\"}";
    trusted(&lab, &["revoke", "n1"]);
    let end = Instant::now() + LONG;
    while report(&daemon, &own, booted)
        != ("403".to_owned(), "this certificate is revoked\n".to_owned())
    {
        assert!(Instant::now() < end, "a revoked certificate counts");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(fetched(&daemon), "403");
    assert_eq!(
        revocations(&daemon, &own),
        ("403".to_owned(), "this certificate is revoked\n".to_owned())
    );
    lab.write("n1.crt", answer["certificate"].as_str().unwrap());
    assert_eq!(
        report(&daemon, &own, booted).0,
        "403",
        "all of a node are revoked"
    );
    let (_, again) = arm(&lab, "n1").remove(0);
    let (_, answer) = enrol(&lab, &daemon, "n1", &again, "n1.csr");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    lab.write("n1.crt", answer["certificate"].as_str().unwrap());
    assert_eq!(report(&daemon, &own, booted).0, "200");
    lab.write("config/nodes/nodes.toml", "[node.n2]\nip = \"127.0.0.2\"\n");
    let mut daemon = daemon;
    let signer = daemon.signer.take();
    drop(daemon);
    let mut daemon = Daemon::start(&lab);
    daemon.signer = signer;
    assert_eq!(
        report(&daemon, &own, booted),
        (
            "403".to_owned(),
            "no node has this address or certificate\n".to_owned()
        )
    );
    assert_eq!(fetched(&daemon), "403");
    // Who cannot be asked about it vouches for nothing.
    drop(daemon);
    let daemon = Daemon::start(&lab);
    assert_eq!(report(&daemon, &own, booted).0, "503");
    assert_eq!(fetched(&daemon), "503");
}

pub(super) fn secrets() {
    let lab = ready();
    let daemon = Daemon::with_signer(&lab);
    let tokens = arm(&lab, "n1,n2");
    request(&lab, "thief");
    for (what, node, token) in [
        ("another node's", "n1", tokens[1].1.as_str()),
        ("none", "n1", ""),
        ("a node that is not defined", "n9", &tokens[0].1),
        ("a name that is none", "../../etc", &tokens[0].1),
    ] {
        let (status, answer) = enrol(&lab, &daemon, node, token, "n1.csr");
        assert_eq!(status, "403", "{what}: {answer}");
    }
    assert_eq!(enrol(&lab, &daemon, "n1", &tokens[0].1, "n1.csr").0, "200");
    assert_eq!(
        enrol(&lab, &daemon, "n1", &tokens[0].1, "n1.csr").0,
        "200",
        "an answer that was lost"
    );
    assert_eq!(
        enrol(&lab, &daemon, "n1", &tokens[0].1, "thief.csr").0,
        "403",
        "a second use"
    );
    let mut store: Value = serde_json::from_str(&lab.read("config/trust/store.json")).unwrap();
    store["armed"]["n2"]["until"] = json!(
        store["issued"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()["issued"]
    );
    lab.write("config/trust/store.json", &store.to_string());
    thread::sleep(Duration::from_secs(1));
    assert_eq!(
        enrol(&lab, &daemon, "n2", &tokens[1].1, "n1.csr").0,
        "403",
        "a late one"
    );
    let status = trusted(&lab, &["status"]);
    let alarms = status["alarms"].as_array().unwrap().iter();
    let alarms: Vec<_> = alarms
        .map(|alarm| {
            format!(
                "{} {} {}",
                alarm["node"].as_str().unwrap(),
                alarm["from"].as_str().unwrap(),
                alarm["what"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        alarms,
        [
            "n1 127.0.0.1 its secret is not the one that it was armed with",
            "n1 127.0.0.1 its token is for another authority, or none",
            "../../etc 127.0.0.1 it is not armed",
            "n1 127.0.0.1 its secret was used a second time, with another key",
            "n2 127.0.0.1 its secret came after its time",
        ]
    );
}

pub(super) fn fifty() {
    let nodes: String = (1..=50)
        .map(|n| format!("[node.m{n:02}]\nip = \"127.0.1.{n}\"\n"))
        .collect();
    let lab = site(&nodes);
    trusted(&lab, &["init"]);
    request(&lab, "m");
    let daemon = Daemon::with_signer(&lab);
    let tokens = arm(&lab, "m[01-50]");
    let answers: Vec<_> = thread::scope(|scope| {
        let asked = tokens.iter().map(|(node, token)| {
            let (lab, daemon) = (&lab, &daemon);
            scope.spawn(move || enrol(lab, daemon, node, token, "m.csr"))
        });
        asked
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (status, answer) in &answers {
        assert_eq!(status, "200", "{answer}");
    }
    let status = trusted(&lab, &["status"]);
    assert_eq!(
        (&status["issued"]["node"]["valid"], &status["alarms"]),
        (&json!(50), &json!([]))
    );
}

pub(super) fn no_signer() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let (_, token) = arm(&lab, "n1").remove(0);
    assert_eq!(enrol(&lab, &daemon, "n1", &token, "n1.csr").0, "503");
    drop(daemon);
    let mut daemon = Daemon::with_signer(&lab);
    // The daemon dies while nodes enrol: their secrets serve again, for the same key.
    let url = daemon.tls_url("/v1/enrol");
    let body = json!({ "node": "n1", "token": token, "request": lab.read("n1.csr") }).to_string();
    let first = thread::scope(|scope| {
        let asked = scope.spawn(|| curl(&lab, &["--data-binary", &body, &url]));
        thread::sleep(Duration::from_millis(15));
        daemon.kill();
        asked.join().unwrap()
    });
    let signer = daemon.signer.take();
    drop(daemon);
    let mut daemon = Daemon::start(&lab);
    daemon.signer = signer;
    let (status, answer) = enrol(&lab, &daemon, "n1", &token, "n1.csr");
    assert_eq!(status, "200", "{answer}");
    if first.0 == "200" {
        assert_eq!(first.1, answer);
    }
    assert_eq!(trusted(&lab, &["status"])["issued"]["node"]["valid"], 1);
}

pub(super) fn umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = ready();
    for (mask, others) in [("022", 0), ("007", 0o020)] {
        fs::remove_file(lab.path("signer.sock")).ok();
        let mut signer = Command::new("sh")
            .args([
                "-c",
                &format!("umask {mask}; exec \"$0\" signer --socket \"$1\""),
            ])
            .arg(env!("CARGO_BIN_EXE_slipway-trust"))
            .arg(lab.path("signer.sock"))
            .env("SLIPWAY_CONFIG", lab.path("config"))
            .spawn()
            .unwrap();
        let end = Instant::now() + LONG;
        while UnixStream::connect(lab.path("signer.sock")).is_err() {
            assert!(Instant::now() < end, "the signer does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        let mode = fs::metadata(lab.path("signer.sock"))
            .unwrap()
            .permissions()
            .mode();
        signer.kill().unwrap();
        signer.wait().unwrap();
        assert_eq!(mode & 0o022, others, "{mask}");
    }
}
