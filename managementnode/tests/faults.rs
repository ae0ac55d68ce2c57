//! What the real `slipwayd` survives: connections without end, a full disk, a backup of yesterday, credentials that are wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use lab::daemon::{Daemon, LONG, arm, curl, ready, request, site, trusted};
use lab::{Lab, ended};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let is_root = nix::unistd::geteuid().is_root();
    lab::main(
        &["curl", "openssl", "unshare"],
        (!is_root).then(|| "root".to_owned()),
        &[
            ("ten_thousand_connections_without_a_request_pass", idle),
            ("a_full_disk_loses_no_report_that_was_taken", full),
            ("on_a_full_disk_nothing_is_signed_or_burnt", signing_full),
            ("a_backup_of_yesterday_is_a_beginning", backup),
            ("a_store_that_was_put_back_lets_nobody_in_twice", restored),
            ("credentials_that_are_wrong_are_named", credentials),
            (
                "an_enrolment_that_is_killed_at_any_step_is_made_once",
                enrolments,
            ),
        ],
    )
}

/// Connects from an address of this machine.
fn connect_from(address: [u8; 4], daemon: &Daemon) -> nix::Result<TcpStream> {
    let stream = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let [a, b, c, d] = address;
    bind(stream.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0))?;
    connect(
        stream.as_raw_fd(),
        &SockaddrIn::new(127, 0, 0, 1, daemon.http.port()),
    )?;
    Ok(stream.into())
}

fn memory(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.daemon.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn idle() {
    let lab = site("");
    lab.write("install/file", "x");
    let daemon = Daemon::start(&lab);
    let start = Instant::now();
    let mut held = Vec::new();
    let mut opened = 0;
    for n in 0..10_000_u32 {
        let [_, _, high, low] = (n / 50).to_be_bytes();
        if let Ok(stream) = connect_from([127, 3, high, low], &daemon) {
            opened += 1;
            held.push(stream);
        }
        // Those that the daemon did not take are closed by it; we have no place for all of them neither.
        if held.len() > 900 {
            held.drain(..100);
        }
    }
    assert!(opened > 9_900, "{opened}");
    let kib = memory(&daemon);
    assert!(kib < 100 << 10, "10,000 connections take {kib} KiB");
    // Those that are left end by themselves, and then others come in again.
    while curl(&lab, &[&daemon.url("/install/file")]).0 != "200" {
        assert!(
            start.elapsed() < LONG,
            "connections without a request are kept"
        );
        thread::sleep(Duration::from_millis(200));
    }
    drop(held);
}

/// Reports, and returns the status.
fn report(lab: &Lab, daemon: &Daemon, from: &str, state: &str, lines: &[&str]) -> String {
    let body = json!({ "state": state, "lines": lines }).to_string();
    lab.write("body", &body);
    curl(
        lab,
        &[
            "--interface",
            from,
            "--data-binary",
            "@body",
            &daemon.url("/v1/report"),
        ],
    )
    .0
}

fn full() {
    let nodes: String = (1..=100)
        .map(|n| format!("[node.f{n:03}]\nip = \"127.4.0.{n}\"\n"))
        .collect();
    let lab = site(&nodes);
    lab.site("master = \"127.0.0.1\"\ndomain = \"cluster\"\nstatusnetworks = [\"127.0.0.0/8\"]\n");
    lab::daemon::trusted(&lab, &["init"]);
    let daemon = Daemon::with_space(&lab, "64k");
    let long = "x".repeat(399);
    let long = [long.as_str(); 20];
    let mut taken = Vec::new();
    let mut refused = 0;
    for n in 1..=100 {
        match report(&lab, &daemon, &format!("127.4.0.{n}"), "failed", &long).as_str() {
            "200" => taken.push(n),
            "503" => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(
        !taken.is_empty() && refused > 50,
        "{} taken, {refused} refused",
        taken.len()
    );
    // A short one fits after the long one that did not.
    let small = report(&lab, &daemon, "127.4.0.100", "booted", &[]);
    // The daemon's file is in a name space of its own.
    let path = format!(
        "/proc/{}/root{}",
        daemon.daemon.id(),
        lab.path("state/states.jsonl").display()
    );
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    for n in &taken {
        let node = format!("f{n:03}");
        assert!(
            lines
                .iter()
                .any(|line| line["node"] == node.as_str() && line["state"] == "failed"),
            "{node} is lost"
        );
    }
    if small == "200" {
        assert_eq!(lines.last().unwrap()["node"], "f100", "{text}");
    }
    let (_, page) = curl(&lab, &[&daemon.tls_url("/")]);
    assert!(
        page.contains(&format!("{} wrong of 100</title>", taken.len())),
        "{page}"
    );
}

/// What is signed is on record first: where that cannot be written, nobody gets anything, and the secret serves later.
fn signing_full() {
    let lab = ready();
    let (_, token) = arm(&lab, "n1").remove(0);
    let daemon = Daemon::with_signer_in_space(&lab, "1");
    let signer = daemon.signer.as_ref().unwrap().id();
    let inside = |name: &str| {
        format!(
            "/proc/{signer}/root{}",
            lab.path(&format!("config/trust/{name}")).display()
        )
    };
    let store = || fs::read_to_string(inside("store.json")).unwrap();
    let before = store();
    let body = json!({ "node": "n1", "token": token, "request": lab.read("n1.csr") }).to_string();
    let url = daemon.tls_url("/v1/enrol");
    let enrol = || curl(&lab, &["--data-binary", &body, &url]);
    for _ in 0..3 {
        assert_eq!(enrol().0, "503");
        assert_eq!(store(), before);
    }
    fs::remove_file(inside(".ballast")).unwrap();
    let (status, answer) = enrol();
    assert_eq!(status, "200", "{answer}");
    let store: Value = serde_json::from_str(&store()).unwrap();
    let signed = store["issued"].as_object().unwrap().values();
    assert_eq!(signed.filter(|one| one["purpose"] == "node").count(), 1);
    assert_eq!(store["alarms"], json!([]));
}

fn backup() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    assert_eq!(report(&lab, &daemon, "127.0.0.1", "installing", &[]), "200");
    let yesterday = lab.read("state/states.jsonl");
    assert_eq!(report(&lab, &daemon, "127.0.0.1", "booted", &[]), "200");
    // While the daemon runs, what it knows counts.
    lab.write("state/new", &yesterday);
    fs::rename(lab.path("state/new"), lab.path("state/states.jsonl")).unwrap();
    assert_eq!(report(&lab, &daemon, "127.0.0.2", "booted", &[]), "200");
    let states = |lab: &Lab| lab.read("state/states.jsonl").matches("\"booted\"").count();
    assert_eq!(states(&lab), 2);
    // One that starts with it goes on from there.
    drop(daemon);
    lab.write("state/states.jsonl", &yesterday);
    let daemon = Daemon::start(&lab);
    assert_eq!(states(&lab), 0);
    assert_eq!(report(&lab, &daemon, "127.0.0.1", "booted", &[]), "200");
    assert_eq!(states(&lab), 1);
}

fn restored() {
    let lab = ready();
    request(&lab, "thief");
    let daemon = Daemon::with_signer(&lab);
    let (_, token) = arm(&lab, "n1").remove(0);
    let yesterday = lab.read("config/trust/store.json");
    let enrol = |csr: &str| {
        let body = json!({ "node": "n1", "token": token, "request": lab.read(csr) });
        let url = daemon.tls_url("/v1/enrol");
        curl(&lab, &["--data-binary", &body.to_string(), &url])
    };
    let (status, answer) = enrol("n1.csr");
    assert_eq!(status, "200", "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    lab.write("n1.pem", answer["certificate"].as_str().unwrap());

    lab.write("new", &yesterday);
    fs::rename(lab.path("new"), lab.path("config/trust/store.json")).unwrap();
    let said = lab::programs::trust(&lab, &["status"]);
    let lost = "the store of what was signed was put back from a copy: 1 changes until ";
    assert!(
        said.code == Some(1) && said.stdout.contains(&format!("WRONG {lost}")),
        "{said:?}"
    );
    // The secret that is unused again in the copy lets nobody in, and the host is told from one that is revoked.
    assert_eq!(enrol("thief.csr").0, "403");
    let own = [
        "--cert",
        "n1.pem",
        "--key",
        "n1.key",
        "--data-binary",
        "{\"state\":\"booted\"}",
    ];
    let url = daemon.tls_url("/v1/report");
    let report = [&own[..], &[&url]].concat();
    assert_eq!(curl(&lab, &report).0, "403");
    let status = trusted(&lab, &["status"]);
    let alarms: Vec<_> = status["alarms"].as_array().unwrap().iter().collect();
    let what = |at: usize| alarms[at]["what"].as_str().unwrap();
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    assert!(what(0).starts_with(lost), "{}", what(0));
    assert_eq!(what(1), "it is not armed");
    assert!(
        what(2).starts_with("its certificate was signed here and is not on record: "),
        "{}",
        what(2)
    );
    assert_eq!(alarms[2]["node"], "n1");
}

fn credentials() {
    let lab = ready();
    let run = |lab: &Lab| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipwayd"));
        command
            .args([
                "--http",
                "127.0.0.1:0",
                "--tls",
                "127.0.0.1:0",
                "--reports",
                "127.0.0.1:0",
                "--state",
            ])
            .arg(lab.path("state"))
            .arg("--credentials")
            .arg(lab.path("config/trust"))
            .env("SLIPWAY_CONFIG", lab.path("config"));
        let said = ended(&mut command, lab.root());
        (said.code, said.stderr)
    };
    let key = lab.path("config/trust/server.key");
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(lab.path("state")).unwrap();
    mode(0o644);
    let readable = "slipwayd: <lab>/config/trust/server.key can be read by others (mode 0644): chmod 600 it if nobody has \
                    read it, else slipway-trust renew server --new-key\n";
    assert_eq!(run(&lab), (Some(1), readable.to_owned()));
    mode(0o600);
    for name in [
        "clients.crt",
        "nodes.crt",
        "server.crt",
        "server.key",
        "root.crt",
    ] {
        let (path, kept) = (lab.path(&format!("config/trust/{name}")), lab.path("kept"));
        fs::rename(&path, &kept).unwrap();
        let missing = format!(
            "slipwayd: reading <lab>/config/trust/{name}: No such file or directory (os error 2)\n"
        );
        assert_eq!(run(&lab), (Some(1), missing));
        fs::rename(&kept, &path).unwrap();
    }
    let other = lab.read("config/trust/clients.key");
    let mut file = fs::File::create(&key).unwrap();
    file.write_all(other.as_bytes()).unwrap();
    let (code, said) = run(&lab);
    assert!(
        code == Some(1)
            && said.starts_with("slipwayd: putting server.crt and server.key together: "),
        "{said}"
    );
}

fn enrolments() {
    let lab = ready();
    let mut enrolled = 0;
    let mut answered = 0;
    for delay in [0, 1, 2, 4, 6, 9, 12, 16, 20, 30, 50] {
        let (_, token) = arm(&lab, "n1").remove(0);
        let body =
            json!({ "node": "n1", "token": token, "request": lab.read("n1.csr") }).to_string();
        let mut daemon = Daemon::with_signer(&lab);
        let url = daemon.tls_url("/v1/enrol");
        let first = thread::scope(|scope| {
            let asked = scope.spawn(|| curl(&lab, &["--data-binary", &body, &url]));
            thread::sleep(Duration::from_millis(delay));
            // One of the two first, in turns.
            let mut signer = daemon.signer.take().unwrap();
            if delay % 2 == 0 {
                daemon.kill();
            }
            signer.kill().unwrap();
            signer.wait().unwrap();
            if delay % 2 == 1 {
                daemon.kill();
            }
            asked.join().unwrap()
        });
        drop(daemon);
        let daemon = Daemon::with_signer(&lab);
        let (status, answer) = curl(
            &lab,
            &["--data-binary", &body, &daemon.tls_url("/v1/enrol")],
        );
        assert_eq!(status, "200", "killed after {delay} ms: {answer}");
        if first.0 == "200" {
            answered += 1;
            assert_eq!(first.1, answer, "killed after {delay} ms");
        }
        enrolled += 1;
        let status = trusted(&lab, &["status"]);
        assert_eq!(
            (&status["issued"]["node"]["valid"], &status["alarms"]),
            (&json!(enrolled), &json!([])),
            "killed after {delay} ms"
        );
    }
    assert!(answered < enrolled, "nothing was killed in time");
}
