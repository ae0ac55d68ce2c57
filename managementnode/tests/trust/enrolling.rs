//! The signer: armed nodes enrol once, and renew what they have.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lab::programs::{json_of, other, program, succeed};
use super::lab::{Lab, ended};
use super::scene::{NETWORKS, mode, openssl, ready, request, verify};

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

pub(super) fn enrolment() {
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

pub(super) fn renewal() {
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

pub(super) fn endless_renewal() {
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

pub(super) fn wrong_secrets() {
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

pub(super) fn handed_over() {
    let lab = ready();
    let socket = lab.path("handed.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let child = program(&lab)
        .arg("signer")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn();
    let signer = Signer(child.unwrap());
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    let (_, token) = arm(&lab, "n1").remove(0);
    assert!(ask(&socket, "n1", &token, &lab.read("n1.csr"))["certificate"].is_string());
    // Another waits until this one has ended.
    drop(signer);
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

pub(super) fn fifty() {
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

pub(super) fn killed() {
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
