//! Who asks from a place that is not the node's: containers on a host's bridge, and whoever is between a node and the daemon.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::lab::Lab;
use super::lab::daemon::{Daemon, LONG, arm, curl, ready, request, site, trusted};
use super::scene::{enrol, state_of};

/// A docker host and a container on its bridge, which has an address of the LAN.
pub(super) fn containers() {
    let lab = site(
        "[node.h1]\nip = \"127.0.0.2\"\n[node.h2]\nip = \"127.0.0.3\"\n\
         [node.c1]\nip = \"127.0.0.4\"\nmgt = \"docker\"\ndockerhost = \"h1:2376\"\n",
    );
    trusted(&lab, &["init"]);
    for (file, mode) in [("boot.cpio.gz", 0o640), ("preseed.cfg", 0o640)] {
        let file = format!("install/autoinst/h2/{file}");
        fs::create_dir_all(lab.path("install/autoinst/h2")).unwrap();
        lab.write(&file, "SLIPWAY-1-");
        fs::set_permissions(lab.path(&file), fs::Permissions::from_mode(mode)).unwrap();
    }
    for name in ["h2", "c1"] {
        request(&lab, name);
    }
    let daemon = Daemon::with_signer(&lab);
    let (_, token) = arm(&lab, "h2").remove(0);
    let from =
        |address: &str, more: &[&str]| curl(&lab, &[&["--interface", address], more].concat());
    // It asks for what another node boots and installs by, plainly and by TLS.
    for file in ["boot.cpio.gz", "preseed.cfg"] {
        let path = format!("/install/autoinst/h2/{file}");
        for url in [daemon.url(&path), daemon.tls_url(&path)] {
            assert_eq!(from("127.0.0.4", &[&url]).0, "403", "{url}");
            assert_eq!(from("127.0.0.3", &[&url]).0, "200", "{url}");
        }
    }
    // It makes a secret up, comes for another node by what it is told, and by what it has read in whatever way.
    let body = |token: &str, csr: &str| {
        json!({ "node": "h2", "token": token, "request": lab.read(csr) }).to_string()
    };
    let url = daemon.tls_url("/v1/enrol");
    let made_up = format!("{}{}", &token[..token.len() - 32], "0".repeat(32));
    for token in [&made_up, &token] {
        let asked = from(
            "127.0.0.4",
            &["--data-binary", &body(token, "c1.csr"), &url],
        );
        assert_eq!(asked.0, "403", "{}", asked.1);
        assert!(asked.1.contains("this node is not armed"), "{}", asked.1);
    }
    let status = trusted(&lab, &["status"]);
    let alarms = status["alarms"].as_array().unwrap().iter();
    let alarms: Vec<_> = alarms
        .map(|alarm| {
            [&alarm["node"], &alarm["from"], &alarm["what"]].map(|part| part.as_str().unwrap())
        })
        .collect();
    assert_eq!(
        alarms,
        [
            [
                "h2",
                "127.0.0.4",
                "its secret is not the one that it was armed with"
            ],
            [
                "h2",
                "127.0.0.4",
                "its secret came from the address of a container"
            ],
        ]
    );
    // What it reports is its own state, and the secret still serves the node that it is for.
    let reported = from(
        "127.0.0.4",
        &[
            "--data-binary",
            "{\"state\":\"booted\"}",
            &daemon.url("/v1/report"),
        ],
    );
    assert_eq!(reported.0, "200");
    assert_eq!(
        (state_of(&lab, "c1"), state_of(&lab, "h2")),
        ("booted address".to_owned(), "none none".to_owned())
    );
    let asked = from(
        "127.0.0.3",
        &["--data-binary", &body(&token, "h2.csr"), &url],
    );
    assert_eq!(asked.0, "200", "{}", asked.1);
    // By its certificate the node itself is let in wherever it is, and the container has none.
    let asked = from(
        "127.0.0.4",
        &["--data-binary", &body(&token, "c1.csr"), &url],
    );
    assert_eq!(asked.0, "403");
    assert_eq!(trusted(&lab, &["status"])["issued"]["node"]["valid"], 1);
}

/// What is done to what one side sends.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// One bit of it is another.
    Flip(usize),
    /// It ends there.
    Cut(usize),
    /// It comes late, and in small parts.
    Delay,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToDaemon,
    ToNode,
}

/// Somebody between a node and the daemon.
struct Proxy {
    address: SocketAddr,
    /// What the node sent on its last connection.
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// Passes on what comes, all of it with a fault one way, for as long as the test runs.
    fn start(daemon: SocketAddr, way: Way, fault: Option<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        thread::spawn(move || {
            for node in listener.incoming() {
                let (Ok(node), Ok(daemon)) = (node, TcpStream::connect(daemon)) else {
                    return;
                };
                kept.lock().unwrap().clear();
                let of = |this: Way| fault.filter(|_| this == way);
                let (from, to) = (node.try_clone().unwrap(), daemon.try_clone().unwrap());
                let (kept, fault) = (Arc::clone(&kept), of(Way::ToDaemon));
                thread::spawn(move || pass(from, to, fault, Some(&kept)));
                let fault = of(Way::ToNode);
                thread::spawn(move || pass(daemon, node, fault, None));
            }
        });
        Self { address, sent }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    fault: Option<Fault>,
    kept: Option<&Mutex<Vec<u8>>>,
) {
    let (mut buffer, mut passed) = ([0; 4096], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let part = &mut buffer[..count];
        if let Some(kept) = kept {
            kept.lock().unwrap().extend_from_slice(part);
        }
        let mut ends = count;
        match fault {
            Some(Fault::Flip(at)) if (passed..passed + count).contains(&at) => {
                part[at - passed] ^= 1
            }
            Some(Fault::Cut(at)) => ends = at.saturating_sub(passed).min(count),
            Some(Fault::Delay) => thread::sleep(Duration::from_millis(50)),
            _ => {}
        }
        for piece in part[..ends].chunks(if matches!(fault, Some(Fault::Delay)) {
            100
        } else {
            4096
        }) {
            if to.write_all(piece).is_err() {
                return;
            }
        }
        if ends < count {
            break;
        }
        passed += count;
    }
    for stream in [&from, &to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Where in what is sent a fault is: within the handshake, and within what is said after it.
const FAULTS: [(Way, Fault); 9] = [
    (Way::ToDaemon, Fault::Flip(60)),
    (Way::ToDaemon, Fault::Flip(700)),
    (Way::ToNode, Fault::Flip(60)),
    (Way::ToNode, Fault::Flip(2500)),
    (Way::ToDaemon, Fault::Cut(300)),
    (Way::ToDaemon, Fault::Cut(1000)),
    (Way::ToNode, Fault::Cut(2500)),
    (Way::ToDaemon, Fault::Delay),
    (Way::ToNode, Fault::Delay),
];

/// What a node asks by, with what it sends.
fn requests(lab: &Lab, token: &str) -> [(&'static str, String); 5] {
    let csr = lab.read("n1.csr");
    [
        (
            "/v1/enrol",
            json!({ "node": "n1", "token": token, "request": csr }).to_string(),
        ),
        ("/v1/renew", json!({ "request": csr }).to_string()),
        ("/v1/confirm", String::new()),
        ("/v1/report", "{\"state\":\"booted\"}".to_owned()),
        ("/v1/revocations", String::new()),
    ]
}

fn ask(lab: &Lab, url: &str, body: &str) -> (String, String) {
    let own: &[&str] = if lab.path("n1.pem").exists() && !url.ends_with("/v1/enrol") {
        &["--cert", "n1.pem", "--key", "n1.key"]
    } else {
        &[]
    };
    let get = url.ends_with("/v1/revocations");
    let body = ["--data-binary", body];
    let body = if get { &[][..] } else { &body[..] };
    curl(lab, &[own, body, &[url]].concat())
}

/// Whatever is done to a request, it is answered as it is without, or not at all; and it is made once.
pub(super) fn proxies() {
    let lab = ready();
    let daemon = Daemon::with_signer(&lab);
    let (_, token) = arm(&lab, "n1").remove(0);
    let mut recorded = Vec::new();
    for (path, body) in requests(&lab, &token) {
        let mut failed = 0;
        for (way, fault) in FAULTS {
            let proxy = Proxy::start(daemon.tls, way, Some(fault));
            let (status, answer) = ask(&lab, &proxy.url(path), &body);
            let is_late = matches!(fault, Fault::Delay);
            match status.as_str() {
                "200" => {}
                "failed" if !is_late => failed += 1,
                other => panic!("{path} {way:?} {fault:?}: {other} {answer}"),
            }
        }
        assert!(failed >= 5, "{path}: {failed} of {} failed", FAULTS.len());
        let proxy = Proxy::start(daemon.tls, Way::ToDaemon, None);
        let (status, answer) = ask(&lab, &proxy.url(path), &body);
        assert_eq!(status, "200", "{path}: {answer}");
        recorded.push((path, proxy.sent.lock().unwrap().clone()));
        if path == "/v1/enrol" {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            lab.write("n1.pem", answer["certificate"].as_str().unwrap());
            // However often it was asked, it was signed for once.
            let status = trusted(&lab, &["status"]);
            assert_eq!(status["issued"]["node"]["valid"], 1);
        }
    }
    assert_eq!(state_of(&lab, "n1"), "booted certificate");
    // What was recorded says nothing to anybody a second time.
    let kept = |lab: &Lab| {
        [
            lab.read("config/trust/store.json"),
            lab.read("state/states.jsonl"),
        ]
    };
    let before = kept(&lab);
    for (path, bytes) in recorded {
        let mut stream = TcpStream::connect(daemon.tls).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(kept(&lab), before, "{path}");
    }
    assert_eq!(trusted(&lab, &["status"])["alarms"], json!([]));
    let (status, answer) = enrol(&lab, &daemon, "n1", &token, "n1.csr");
    assert_eq!(status, "200", "{answer}");
}
