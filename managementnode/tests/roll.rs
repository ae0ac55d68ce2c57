//! The site's authority is changed under the real `slipwayd`, its signer and many hosts: each stage, the way back, and a run
//! that is killed at each of its writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::process::{Command, ExitCode};

use lab::daemon::{Daemon, arm, curl, openssl, request, site, trusted};
use lab::programs::{program, trust};
use lab::{Lab, ended};
use serde_json::{Value, json};

fn main() -> ExitCode {
    lab::main(
        &["curl", "openssl", "ssh-keygen", "strace"],
        None,
        &[
            (
                "a_fleet_half_of_which_is_away_gets_another_authority",
                fleet,
            ),
            ("a_change_goes_back_while_the_old_authority_counts", back),
            ("a_change_that_is_killed_at_any_write_is_taken_up", killed),
            ("nothing_begins_without_the_root_s_key", refused),
        ],
    )
}

/// A host as the site knows it: `enrol`'s files, asked for by curl.
struct Host<'a> {
    lab: &'a Lab,
    name: String,
}

impl<'a> Host<'a> {
    /// Enrols it.
    fn new(lab: &'a Lab, daemon: &Daemon, name: &str, token: &str) -> Self {
        let host = Self {
            lab,
            name: name.to_owned(),
        };
        let body = json!({ "node": name, "token": token, "request": lab.read("host.csr") });
        let (status, answer) = curl(
            lab,
            &[
                "--data-binary",
                &body.to_string(),
                &daemon.tls_url("/v1/enrol"),
            ],
        );
        assert_eq!(status, "200", "{name}: {answer}");
        host.keep(&answer);
        assert_eq!(host.confirm(daemon).0, "200");
        host
    }

    fn file(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    fn keep(&self, answer: &str) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let roots = self.lab.read("config/trust/root.crt");
        assert!(answer["roots"].as_str().unwrap().starts_with(&roots));
        assert_eq!(answer["clients"], self.lab.read("config/trust/clients.crt"));
        self.lab
            .write(&self.file("pem"), answer["certificate"].as_str().unwrap());
        self.lab.write(&self.file("roots"), &roots);
    }

    /// Asks by its certificate, and believes its own roots alone.
    fn asks(&self, url: &str, body: &str) -> (String, String) {
        let (roots, pem) = (self.file("roots"), self.file("pem"));
        let own = ["--cacert", &roots, "--cert", &pem, "--key", "host.key"];
        curl(
            self.lab,
            &[&own[..], &["--data-binary", body, url]].concat(),
        )
    }

    /// Says that it has its certificate in use; the site's roots are answered.
    fn confirm(&self, daemon: &Daemon) -> (String, String) {
        self.asks(&daemon.tls_url("/v1/confirm"), "")
    }

    /// What `enrol` does each hour: the next certificate where the roots are others, or at a renewal.
    fn comes(&self, daemon: &Daemon) {
        let body = json!({ "request": self.lab.read("host.csr") }).to_string();
        let (status, answer) = self.asks(&daemon.tls_url("/v1/renew"), &body);
        assert_eq!(status, "200", "{}: {answer}", self.name);
        self.keep(&answer);
        let (status, roots) = self.confirm(daemon);
        assert_eq!(
            (status.as_str(), roots),
            ("200", self.lab.read("config/trust/root.crt"))
        );
    }

    /// Has OpenSSL verify its certificate by a file of roots.
    fn is_known_by(&self, roots: &str) -> bool {
        let pem = self.file("pem");
        let words = [
            "verify",
            "-x509_strict",
            "-CAfile",
            roots,
            "-untrusted",
            &pem,
            &pem,
        ];
        openssl(self.lab, &words).code == Some(0)
    }
}

/// A site with so many hosts that have enrolled, and its daemon.
fn enrolled(lab: &Lab, count: usize) -> (Daemon, Vec<Host<'_>>) {
    trusted(lab, &["init"]);
    fs::copy(lab.path("config/trust/root.crt"), lab.path("first")).unwrap();
    request(lab, "host");
    let daemon = Daemon::with_signer(lab);
    let tokens = arm(lab, &format!("h[1-{count}]"));
    let hosts = tokens
        .iter()
        .map(|(name, token)| Host::new(lab, &daemon, name, token));
    let hosts = hosts.collect();
    (daemon, hosts)
}

fn lab_of(count: usize) -> Lab {
    let nodes = (1..=count).map(|n| format!("[node.h{n}]\nip = \"127.0.5.{n}\"\n"));
    site(&nodes.collect::<String>())
}

/// Starts the daemon anew with what it answers with now; the signer stays.
fn restarted(lab: &Lab, mut daemon: Daemon) -> Daemon {
    let signer = daemon.signer.take();
    drop(daemon);
    let mut daemon = Daemon::start(lab);
    daemon.signer = signer;
    daemon
}

/// Runs `roll`: its exit status, the stage, who is missing.
fn roll(lab: &Lab, more: &[&str]) -> (i32, String, Vec<String>) {
    let ran = trust(lab, &[&["roll", "--json"], more].concat());
    assert_eq!(ran.stderr, "", "{more:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let missing = document["missing"].as_array().cloned().unwrap_or_default();
    let missing = missing.iter().map(|name| name.as_str().unwrap().to_owned());
    let stage = document["stage"].as_str().unwrap_or("none").to_owned();
    (ran.code.unwrap(), stage, missing.collect())
}

fn certificates(text: &str) -> usize {
    text.matches("BEGIN CERTIFICATE").count()
}

fn fleet() {
    let lab = lab_of(8);
    let (daemon, hosts) = enrolled(&lab, 8);
    trusted(&lab, &["issue", "alice"]);
    let names = |range: std::ops::Range<usize>| -> Vec<String> {
        hosts[range].iter().map(|host| host.name.clone()).collect()
    };
    let is = |found: (i32, String, Vec<String>), code, stage: &str, missing: Vec<String>| {
        assert_eq!(found, (code, stage.to_owned(), missing));
    };
    is(roll(&lab, &["--dry-run"]), 0, "none", Vec::new());
    assert_eq!(certificates(&lab.read("config/trust/root.crt")), 1);
    is(roll(&lab, &[]), 75, "distributing", names(0..8));

    // Half of them are here, four are away, and one of these for longer.
    let daemon = restarted(&lab, daemon);
    for host in &hosts[..4] {
        let (status, roots) = host.confirm(&daemon);
        assert_eq!((status.as_str(), certificates(&roots)), ("200", 2));
        host.comes(&daemon);
    }
    is(roll(&lab, &[]), 75, "distributing", names(4..8));
    for host in &hosts[4..7] {
        host.comes(&daemon);
    }
    is(roll(&lab, &["--status"]), 75, "distributing", names(7..8));
    let unknown = trust(&lab, &["roll", "--leave", "h9"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: 'h9' is no host and no client that has a certificate\n"
        )
    );
    // Without it the new authority begins to sign.
    let all_and_alice = [vec!["alice".to_owned()], names(0..7)].concat();
    is(
        roll(&lab, &["--leave", "h8"]),
        75,
        "switched",
        all_and_alice,
    );

    let daemon = restarted(&lab, daemon);
    for host in &hosts[..4] {
        host.comes(&daemon);
    }
    assert_eq!(certificates(&lab.read("h1.pem")), 3);
    // Whoever knows the first root alone knows these hosts too, and whoever knows the second alone.
    let both = lab.read("config/trust/root.crt");
    let halves = both
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect::<Vec<_>>();
    assert_eq!((halves.len(), halves[1]), (2, lab.read("first").as_str()));
    lab.write("second", halves[0]);
    for roots in ["first", "second", "alice/ca.pem"] {
        assert!(hosts[0].is_known_by(roots), "{roots}");
    }
    assert!(hosts[5].is_known_by("first") && !hosts[5].is_known_by("second"));
    // Lists of what is revoked come from both, and hosts of either ssh authority are known.
    let count = |what: &[&str], word: &str| trust(&lab, what).stdout.matches(word).count();
    assert_eq!(count(&["export", "crl"], "BEGIN X509 CRL"), 4);
    assert_eq!(count(&["export", "ssh"], "@cert-authority"), 2);
    // The one that was left behind knows the first root alone, and is moved over at its renewal.
    assert_eq!(lab.read("h8.roots"), lab.read("first"));
    hosts[7].comes(&daemon);
    is(
        roll(&lab, &[]),
        75,
        "switched",
        [vec!["alice".to_owned()], names(4..7)].concat(),
    );
    for host in &hosts[4..7] {
        host.comes(&daemon);
    }
    fs::copy(lab.path("h1.pem"), lab.path("h1.new")).unwrap();
    is(roll(&lab, &[]), 75, "switched", vec!["alice".to_owned()]);
    is(roll(&lab, &["--leave", "alice"]), 0, "none", Vec::new());

    // The old one counts no more: hosts go on, and whoever has the old root is another site's.
    let daemon = restarted(&lab, daemon);
    assert_eq!(lab.read("config/trust/root.crt"), lab.read("second"));
    for host in &hosts {
        host.comes(&daemon);
    }
    assert_eq!(certificates(&lab.read("h1.pem")), 2);
    assert!(!hosts[0].is_known_by("first"));
    let status = trusted(&lab, &["status"]);
    assert_eq!(
        (&status["problems"], &status["roll"]),
        (&json!([]), &Value::Null)
    );
    assert!(!lab.path("config/trust/roll").exists());
    assert_eq!(count(&["export", "ssh"], "@cert-authority"), 1);
    // Another change goes on from there.
    is(roll(&lab, &[]), 75, "distributing", names(0..8));
}

fn back() {
    let lab = lab_of(2);
    let (daemon, hosts) = enrolled(&lab, 2);
    // Before anything is signed by the new one, the way back is short.
    assert_eq!(roll(&lab, &[]).1, "distributing");
    assert_eq!(roll(&lab, &["--abort"]).0, 0);
    assert_eq!(lab.read("config/trust/root.crt"), lab.read("first"));
    // Afterwards, those that have a certificate of the new one have to come.
    roll(&lab, &[]);
    let mut daemon = restarted(&lab, daemon);
    for host in &hosts {
        host.comes(&daemon);
    }
    assert_eq!(roll(&lab, &[]).1, "switched");
    daemon = restarted(&lab, daemon);
    hosts[0].comes(&daemon);
    let one = vec!["h1".to_owned()];
    assert_eq!(
        roll(&lab, &["--abort"]),
        (75, "returning".to_owned(), one.clone())
    );
    daemon = restarted(&lab, daemon);
    assert_eq!(roll(&lab, &[]), (75, "returning".to_owned(), one));
    hosts[0].comes(&daemon);
    assert_eq!(roll(&lab, &[]), (0, "none".to_owned(), Vec::new()));
    let daemon = restarted(&lab, daemon);
    assert_eq!(lab.read("config/trust/root.crt"), lab.read("first"));
    for host in &hosts {
        host.comes(&daemon);
        assert!(host.is_known_by("first"));
    }
    let nothing = trust(&lab, &["roll", "--abort"]);
    assert_eq!(
        (nothing.code, nothing.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: no change of the authority is under way\n"
        )
    );
}

/// Runs `slipway-trust`, and kills it where it would replace a file for the so-manieth time; says whether it was.
fn is_killed(lab: &Lab, arguments: &[&str], at: usize) -> bool {
    let calls = "rename,renameat,renameat2";
    let mut command = Command::new("strace");
    command
        .args([
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
        ])
        .arg(format!("inject={calls}:signal=KILL:when={at}"))
        .arg(program(lab).get_program())
        .args(arguments)
        .env("SLIPWAY_CONFIG", lab.path("config"));
    ended(&mut command, lab.root())
        .code
        .is_none_or(|code| code == 137)
}

/// What holds at any time: the site signs, and who trusts what it shows knows what it signs.
fn assert_signs(lab: &Lab, at: usize) {
    trusted(lab, &["issue", "probe", "--out", "probe"]);
    let chain = ["-CAfile", "config/trust/root.crt", "-untrusted"];
    for certificate in ["probe/cert.pem", "config/trust/server.crt"] {
        let words = [&["verify"], &chain[..], &[certificate, certificate]].concat();
        let verified = openssl(lab, &words);
        assert_eq!(
            verified.code,
            Some(0),
            "{at} {certificate}: {}",
            verified.stderr
        );
    }
}

fn killed() {
    let lab = lab_of(1);
    let (daemon, _) = enrolled(&lab, 1);
    drop(daemon);
    // All stages in one run, which leaves the host and the client behind; then the way back.
    for arguments in [&["roll", "--leave", "h1,probe"][..], &["roll", "--abort"]] {
        assert_signs(&lab, 0);
        let is_back = arguments.contains(&"--abort");
        let mut at = 1;
        loop {
            if is_back {
                assert_eq!(roll(&lab, &[]).1, "distributing");
            }
            if !is_killed(&lab, arguments, at) {
                break;
            }
            assert_signs(&lab, at);
            assert_eq!(trust(&lab, arguments).code, Some(0), "killed at {at}");
            assert_eq!(
                certificates(&lab.read("config/trust/root.crt")),
                1,
                "killed at {at}"
            );
            let left = fs::read_dir(lab.path("config/trust")).unwrap();
            let left = left.filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with(".roll-")
                    || name.to_string_lossy().starts_with(".rolled-")
            });
            assert_eq!(left.count(), 0, "killed at {at}");
            at += 1;
        }
        assert!(
            at > if is_back { 5 } else { 25 },
            "killed at {at} places alone"
        );
    }
}

fn refused() {
    let lab = lab_of(1);
    trusted(&lab, &["init"]);
    let list = || {
        let entries = fs::read_dir(lab.path("config/trust")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != ".roll.lock");
        names.sort();
        names
    };
    let key = lab.path("config/trust/root.key");
    fs::rename(&key, lab.path("away")).unwrap();
    let before = list();
    let away = trust(&lab, &["roll"]);
    assert_eq!(
        (away.code, away.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: the key of 'root' is missing: <lab>/config/trust/root.key: it was taken away: put it back for as \
             long as this takes\n"
        )
    );
    assert_eq!(list(), before);
    fs::rename(lab.path("away"), &key).unwrap();
    // It is needed once: the next runs go on without it, and nothing else is renewed meanwhile.
    trusted(&lab, &["issue", "alice"]);
    assert_eq!(
        roll(&lab, &[]),
        (75, "switched".to_owned(), vec!["alice".to_owned()])
    );
    fs::remove_file(&key).unwrap();
    let renewed = trust(&lab, &["renew", "nodes"]);
    assert_eq!(
        (renewed.code, renewed.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: the site's authority is being changed: end that first, by slipway-trust roll\n"
        )
    );
    assert_eq!(roll(&lab, &["--leave", "alice"]).0, 0);
    trusted(&lab, &["renew", "nodes"]);
    let status = trusted(&lab, &["status"]);
    assert_eq!(status["problems"], json!([]));
}
