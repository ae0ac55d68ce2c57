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
        &[
            "curl",
            "gcc",
            "gpg",
            "make",
            "openssl",
            "sha256sum",
            "ssh-keygen",
            "strace",
        ],
        None,
        &[
            (
                "a_fleet_half_of_which_is_away_gets_another_authority",
                fleet,
            ),
            ("a_change_goes_back_while_the_old_authority_counts", back),
            ("a_change_that_is_killed_at_any_write_is_taken_up", killed),
            ("nothing_begins_without_the_root_s_key", refused),
            (
                "trees_images_and_what_nodes_boot_follow_the_authority",
                signatures,
            ),
            ("what_cannot_be_signed_again_is_waited_for", unsignable),
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
        let (status, said) = self.confirm(daemon);
        let trusted =
            ["root.crt", "trees.asc"].map(|name| self.lab.read(&format!("config/trust/{name}")));
        assert_eq!((status.as_str(), said), ("200", trusted.concat()));
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
    let program = program(lab);
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
        .arg(program.get_program())
        .args(arguments)
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
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
    // Each run makes a key for trees, whose kind does not matter here.
    let quick_keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quick-keys");
    std::os::unix::fs::symlink(quick_keys, lab.path("bin")).unwrap();
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

const TREE: &str = "install/debian13.1.0/x86_64";
const IMAGE: &str = "install/netboot/debian13.1.0/x86_64/hosts";
const BOOTED: &str = "install/autoinst/h1/boot.ipxe";

fn lay(lab: &Lab, name: &str, text: &str) {
    fs::create_dir_all(lab.path(name).parent().unwrap()).unwrap();
    lab.write(name, text);
}

fn sha256(lab: &Lab, name: &str) -> String {
    let ended = ended(Command::new("sha256sum").arg(lab.path(name)), lab.root());
    ended.stdout[..64].to_owned()
}

/// A site with a tree, a root image and a node that boots its own iPXE, all of it signed. `make` copies what it was given.
fn with_signatures() -> Lab {
    let lab = lab_of(1);
    trusted(&lab, &["init"]);
    let index = "repodata/repomd.xml";
    lay(&lab, &format!("{TREE}/{index}"), "<repomd/>\n");
    let record = "[[disc]]\nlabel = \"DVD 1\"\ntrust = \"signed\"\n";
    lay(&lab, &format!("{TREE}/.slipway/tree.toml"), record);
    let digest = sha256(&lab, &format!("{TREE}/{index}"));
    lay(
        &lab,
        &format!("{TREE}/.slipway/SHA256SUMS"),
        &format!("{digest}  {index}\n"),
    );
    trusted(&lab, &["sign-tree", TREE]);
    let record = format!("{IMAGE}/rootimg.json");
    lay(&lab, &record, "{\"osimage\": \"hosts\"}\n");
    trusted(&lab, &["sign-image", &record]);
    fs::rename(lab.path(&format!("{record}.asc")), signature_of_image(&lab)).unwrap();
    let makefile = "comma := ,\n%:\n\t@mkdir -p $(@D)\n\t@cat $(subst $(comma), ,$(TRUST)) >$@\n";
    lay(&lab, "source/src/Makefile", makefile);
    fs::create_dir(lab.path("source/src/config")).unwrap();
    ipxe(&lab);
    lay(&lab, BOOTED, "#!ipxe\n");
    nodeset(&lab);
    for name in ["trees.asc", "boot.crt"] {
        let first = lab.path(&format!("first.{name}"));
        fs::copy(lab.path(&format!("config/trust/{name}")), first).unwrap();
    }
    lab
}

fn signature_of_image(lab: &Lab) -> std::path::PathBuf {
    let digest = sha256(lab, &format!("{IMAGE}/rootimg.json"));
    lab.path(&format!("{IMAGE}/rootimg.{}.asc", &digest[..16]))
}

fn ipxe(lab: &Lab) {
    trusted(lab, &["ipxe", "--source", "source", "--firmware", "bios"]);
}

/// What `nodeset` does for a node that boots the site's iPXE.
fn nodeset(lab: &Lab) {
    trusted(lab, &["sign", &format!("node:h1={BOOTED}")]);
}

/// Says which of the three are signed below keys and a root that somebody has.
fn known(lab: &Lab, trees: &str, boot: &str) -> [bool; 3] {
    let script = "rm -rf ring && mkdir -m 700 ring && gpg -q --homedir ring --import \"$1\" && exec gpg -q --homedir ring \
                  --verify \"$2\" \"$3\"";
    let by_gpg = |signature: &str, file: &str| {
        let words = ["-c", script, "sh", trees, signature, file];
        let mut command = Command::new("sh");
        command.args(words).current_dir(lab.root());
        ended(&mut command, lab.root()).code == Some(0)
    };
    let view = format!("{TREE}/.slipway/signed/repodata/repomd.xml");
    let image = signature_of_image(lab).display().to_string();
    let words = [
        "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any",
    ];
    let signature = format!("{BOOTED}.sig");
    let files = [
        "-out",
        "/dev/null",
        "-CAfile",
        boot,
        "-content",
        BOOTED,
        "-in",
        &signature,
    ];
    [
        by_gpg(&format!("{view}.asc"), &view),
        by_gpg(&image, &format!("{IMAGE}/rootimg.json")),
        openssl(lab, &[&words[..], &files].concat()).code == Some(0),
    ]
}

const IPXE: &str = "the site's iPXE has other roots than boot.crt: run slipway-trust ipxe, then makedhcp -n, and renew it where \
                    machines have it in their flash or on a disk";

/// Runs `roll`: its exit status, its stage, who is armed, who boots what the other key signed, and what is to be done.
fn rolled(lab: &Lab, more: &[&str]) -> (i32, Value) {
    let ran = trust(lab, &[&["roll", "--json"], more].concat());
    assert_eq!(ran.stderr, "", "{more:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let parts = ["stage", "armed", "booting", "steps"].map(|part| document[part].clone());
    (ran.code.unwrap(), Value::from(parts.to_vec()))
}

fn signatures() {
    let lab = with_signatures();
    let (old, both) = (("first.trees.asc", "first.boot.crt"), "config/trust");
    let all = [format!("{both}/trees.asc"), format!("{both}/boot.crt")];
    let new = [
        "config/trust/roll/new/trees.asc",
        "config/trust/roll/new/boot.crt",
    ];
    let by_old = || known(&lab, old.0, old.1);
    let by_all = || known(&lab, &all[0], &all[1]);
    arm(&lab, "h1");

    // Both are handed out, and the old ones sign.
    let begun = (75, json!(["distributing", ["h1"], [], [IPXE]]));
    assert_eq!(rolled(&lab, &[]), begun);
    assert_eq!(rolled(&lab, &["--status"]), begun);
    let blocks = lab.read(&all[0]).matches("BEGIN PGP PUBLIC KEY").count();
    assert_eq!((blocks, certificates(&lab.read(&all[1]))), (2, 2));
    assert_eq!(trust(&lab, &["export", "trees"]).stdout, lab.read(&all[0]));
    nodeset(&lab);
    assert_eq!((by_old(), by_all()), ([true; 3], [true; 3]));
    // The root of iPXE is in its binary, and what an armed node installs by in its archive.
    ipxe(&lab);
    assert_eq!(certificates(&lab.read("install/ipxe/undionly.kpxe")), 2);
    let waits = (75, json!(["distributing", ["h1"], [], []]));
    assert_eq!(rolled(&lab, &[]), waits);
    arm(&lab, "h1");

    // The new ones sign: trees and images again at once, what nodes boot when nodeset writes it.
    let (first, second) = ([false, false, true], [true, true, false]);
    let switched = (75, json!(["switched", ["h1"], ["h1"], []]));
    assert_eq!(rolled(&lab, &[]), switched);
    assert_eq!((by_old(), known(&lab, new[0], new[1])), (first, second));
    assert_eq!(by_all(), [true; 3]);
    let made = trusted(&lab, &["sign-tree", TREE]);
    assert_eq!(made["trees"][0]["outcome"], "unchanged");

    // The way back signs by the old ones again.
    nodeset(&lab);
    assert_eq!(known(&lab, new[0], new[1]), [true; 3]);
    let returning = (75, json!(["returning", [], ["h1"], []]));
    assert_eq!(rolled(&lab, &["--abort"]), returning);
    assert_eq!(by_old(), second);
    nodeset(&lab);
    assert_eq!(by_old(), [true; 3]);
    let ended = rolled(&lab, &[]);
    assert_eq!(ended, (0, json!([null, ["h1"], [], [IPXE]])));
    assert_eq!(lab.read(&all[0]), lab.read(old.0));
    assert_eq!(lab.read(&all[1]), lab.read(old.1));
    let status = trust(&lab, &["status"]);
    assert_eq!(status.code, Some(1));
    assert!(
        status.stdout.ends_with(&format!("WRONG {IPXE}\n")),
        "{}",
        status.stdout
    );
    ipxe(&lab);
    assert_eq!(trusted(&lab, &["status"])["problems"], json!([]));

    // To the end: the old ones verify nothing any more, and nobody has them.
    trusted(&lab, &["disarm", "h1"]);
    rolled(&lab, &[]);
    ipxe(&lab);
    assert_eq!(rolled(&lab, &[]), (75, json!(["switched", [], ["h1"], []])));
    nodeset(&lab);
    assert_eq!(rolled(&lab, &[]), (0, json!([null, [], [], [IPXE]])));
    let blocks = lab.read(&all[0]).matches("BEGIN PGP PUBLIC KEY").count();
    assert_eq!((blocks, certificates(&lab.read(&all[1]))), (1, 1));
    assert_eq!((by_old(), by_all()), ([false; 3], [true; 3]));
    ipxe(&lab);
    assert_eq!(lab.read("install/ipxe/undionly.kpxe"), lab.read(&all[1]));
    let made = trusted(&lab, &["sign-tree", TREE]);
    assert_eq!(made["trees"][0]["outcome"], "unchanged");
    assert_eq!(trusted(&lab, &["status"])["problems"], json!([]));
}

fn unsignable() {
    let lab = with_signatures();
    fs::remove_file(lab.path("config/trust/ipxe.json")).unwrap();
    fs::remove_file(lab.path(&format!("{BOOTED}.sig"))).unwrap();
    let index = format!("{TREE}/repodata/repomd.xml");
    lab.write(&index, "<another/>\n");
    let image = signature_of_image(&lab);
    let signature = fs::read(&image).unwrap();
    let other = format!("{IMAGE}/rootimg.other.asc");
    fs::copy(
        lab.path(&format!("{TREE}/.slipway/signed/repodata/repomd.xml.asc")),
        lab.path(&other),
    )
    .unwrap();
    fs::rename(lab.path(&other), &image).unwrap();
    // What somebody changed is not signed by either key, and the old one stays until it is put right.
    let steps = [
        format!(
            "signing <lab>/{TREE} again: repodata/repomd.xml is not what was imported: run copycds --verify <lab>/{TREE}, and \
             import its discs again"
        ),
        format!(
            "signing the root image in <lab>/{IMAGE} again: no key of the site signed it: run packimage, or imgimport, again"
        ),
    ];
    for more in [&[][..], &["--status"], &[]] {
        assert_eq!(rolled(&lab, more), (75, json!(["switched", [], [], steps])));
    }
    let said = trust(&lab, &["roll", "--status"]);
    assert!(
        said.stdout.contains(&format!("to do: {}\n", steps[0])),
        "{}",
        said.stdout
    );
    lab.write(&index, "<repomd/>\n");
    fs::write(&image, signature).unwrap();
    assert_eq!(rolled(&lab, &[]), (0, json!([null, [], [], []])));
    let [tree, image, _] = known(&lab, "config/trust/trees.asc", "config/trust/boot.crt");
    assert!(tree && image);
}
