//! The real `slipwayd` with the real signer on loopback addresses, asked by curl, by OpenSSL and by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::daemon::{Daemon, LONG, arm, curl, openssl, ready, request, site, trusted};
use lab::{Ended, Lab, ended};
use serde_json::{Value, json};

fn main() -> ExitCode {
    lab::main(
        &["curl", "openssl"],
        None,
        &[
            ("files_are_served_whole_and_in_part", files),
            ("no_path_and_no_link_leaves_the_directory", paths),
            (
                "what_not_everybody_may_read_is_served_to_its_own_node_alone",
                restricted,
            ),
            ("a_head_that_does_not_end_is_ended", slow_loris),
            ("one_address_does_not_take_all_connections", idle),
            ("what_is_too_large_is_refused", large),
            ("readers_that_do_not_read_cost_little", slow_readers),
            ("old_versions_of_tls_are_refused", versions),
            (
                "a_node_enrols_by_tls_and_is_known_by_its_certificate",
                enrolment,
            ),
            ("a_secret_that_is_not_right_is_refused", secrets),
            ("fifty_nodes_enrol_at_once", fifty),
            (
                "without_a_signer_nothing_is_signed_and_nothing_is_lost",
                no_signer,
            ),
            ("nodes_report_in_xcats_form_too", installstatus),
            ("a_daemon_that_is_killed_keeps_what_it_noted", killed),
            ("what_is_asked_while_a_daemon_ends_is_answered_last", ending),
            ("nodestat_says_what_changes", watch),
            ("a_health_check_finds_what_nodes_would_find", probe),
            ("the_umask_says_who_may_ask_the_signer", umask),
        ],
    )
}

fn enrol(lab: &Lab, daemon: &Daemon, node: &str, token: &str, request: &str) -> (String, String) {
    let body = json!({ "node": node, "token": token, "request": lab.read(request) }).to_string();
    curl(lab, &["--data-binary", &body, &daemon.tls_url("/v1/enrol")])
}

fn nodestat(lab: &Lab, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodestat"));
    command
        .args(arguments)
        .arg("--state")
        .arg(lab.path("state"))
        .env("SLIPWAY_CONFIG", lab.path("config"));
    ended(&mut command, lab.root())
}

fn state_of(lab: &Lab, node: &str) -> String {
    let document: Value = serde_json::from_str(&nodestat(lab, &[node, "--json"]).stdout).unwrap();
    let node = &document["nodes"][0];
    format!(
        "{} {}",
        node["state"].as_str().unwrap_or("none"),
        node["by"].as_str().unwrap_or("none")
    )
}

fn files() {
    let lab = site("");
    let content: String = (0..100_000).map(|n| format!("{n:07}\n")).collect();
    lab.write("install/file", &content);
    lab.write("install/a b+c", "plain");
    lab.write("install/empty", "");
    let daemon = Daemon::start(&lab);
    let url = daemon.url("/install/file");
    let get = |arguments: &[&str]| curl(&lab, &[arguments, &[&url]].concat());
    assert_eq!(get(&[]), ("200".to_owned(), content.clone()));
    for (range, status, expected) in [
        ("0-7", "206", &content[..8]),
        ("799992-", "206", &content[799_992..]),
        ("-8", "206", &content[799_992..]),
        ("300000-500000", "206", &content[300_000..=500_000]),
        ("0-1,4-5", "200", &content),
        ("800000-", "416", ""),
    ] {
        assert_eq!(
            get(&["--range", range]),
            (status.to_owned(), expected.to_owned()),
            "{range}"
        );
    }
    let head = get(&["--head"]).1;
    let head = head.replace("ETag", "etag");
    for field in [
        "content-length: 800000",
        "accept-ranges: bytes",
        "content-type: application/octet-stream",
    ] {
        assert!(head.contains(field), "{head}");
    }
    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .trim()
        .to_owned();
    assert_eq!(
        get(&["--header", &format!("If-None-Match: {tag}")]),
        ("304".to_owned(), String::new())
    );
    assert_eq!(
        get(&["--range", "0-7", "--header", &format!("If-Range: {tag}")]).0,
        "206"
    );
    let date = head
        .lines()
        .find_map(|line| line.strip_prefix("last-modified: "));
    let date = date.unwrap().trim();
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    for (field, status) in [
        (format!("If-None-Match: \"other\", W/{tag}"), "304"),
        ("If-None-Match: *".to_owned(), "304"),
        ("If-None-Match: \"other\"".to_owned(), "200"),
        (format!("If-Modified-Since: {date}"), "304"),
        (format!("If-Modified-Since: {past}"), "200"),
        ("If-Modified-Since: yesterday".to_owned(), "200"),
    ] {
        assert_eq!(get(&["--header", &field]).0, status, "{field}");
    }
    // A tag goes before a date.
    let (other, since) = (
        "If-None-Match: \"other\"",
        format!("If-Modified-Since: {date}"),
    );
    assert_eq!(get(&["--header", other, "--header", &since]).0, "200");
    for (begun, status) in [(date, "206"), (past, "200")] {
        let begun = format!("If-Range: {begun}");
        assert_eq!(
            get(&["--range", "0-7", "--header", &begun]).0,
            status,
            "{begun}"
        );
    }
    // Another version: the whole of it, and not a part that does not go with what is there already.
    assert_eq!(
        get(&["--range", "0-7", "--header", "If-Range: \"other\""]).0,
        "200"
    );
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/a%20b%2Bc")]),
        ("200".to_owned(), "plain".to_owned())
    );
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/empty")]),
        ("200".to_owned(), String::new())
    );
    for (arguments, status) in [
        (&["--data", "x"][..], "405"),
        (&["--request", "DELETE"], "405"),
    ] {
        assert_eq!(get(arguments).0, status);
    }
    for path in ["/", "/install", "/install/none", "/etc/passwd", "/v1"] {
        assert_eq!(curl(&lab, &[&daemon.url(path)]).0, "404", "{path}");
    }
}

fn restricted() {
    let lab = site("[node.n1]\nip = \"127.0.0.2\"\n[node.n2]\nip = \"127.0.0.3\"\n");
    for node in ["n1", "n2"] {
        fs::create_dir_all(lab.path(&format!("install/autoinst/{node}"))).unwrap();
        for (file, mode) in [("boot.cpio.gz", 0o640), ("boot.ipxe", 0o644)] {
            let file = format!("install/autoinst/{node}/{file}");
            lab.write(&file, node);
            fs::set_permissions(lab.path(&file), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    lab.write("install/alone", "alone");
    fs::set_permissions(lab.path("install/alone"), fs::Permissions::from_mode(0o600)).unwrap();
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, lab.path(at)).unwrap();
    link("autoinst", "install/nodes");
    let daemon = Daemon::start(&lab);
    let get = |from: &str, path: &str| {
        let url = daemon.url(&format!("/install/{path}"));
        curl(&lab, &["--interface", from, "--path-as-is", &url]).0
    };
    for (from, path, status) in [
        ("127.0.0.2", "autoinst/n1/boot.cpio.gz", "200"),
        ("127.0.0.2", "autoinst/n2/boot.cpio.gz", "403"),
        ("127.0.0.3", "autoinst/n2/boot.cpio.gz", "200"),
        ("127.0.0.9", "autoinst/n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "nodes/n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "autoinst//n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "autoinst/%6e1/boot.cpio.gz", "403"),
        ("127.0.0.2", "alone", "403"),
        ("127.0.0.9", "autoinst/n1/boot.ipxe", "200"),
    ] {
        assert_eq!(get(from, path), status, "{path} from {from}");
    }
}

fn paths() {
    let lab = site("");
    lab.write("secret", "secret");
    fs::create_dir_all(lab.path("install/tree/dists/trixie")).unwrap();
    lab.write("install/tree/dists/trixie/Release", "Suite: trixie");
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, lab.path(at)).unwrap();
    link("trixie", "install/tree/dists/stable");
    link("../secret", "install/out");
    link("..", "install/up");
    link("/etc/passwd", "install/absolute");
    link(
        &lab.path("install/tree").display().to_string(),
        "install/inside-by-an-absolute-path",
    );
    link("loop", "install/loop");
    link("/proc/self/root/etc/passwd", "install/magic");
    nix::unistd::mkfifo(
        &lab.path("install/pipe"),
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    let daemon = Daemon::start(&lab);
    // A link that stays within is part of a tree.
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/tree/dists/stable/Release")]),
        ("200".to_owned(), "Suite: trixie".to_owned())
    );
    for path in [
        "/install/../secret",
        "/install/%2e%2e/secret",
        "/install/..%2fsecret",
        "/install/tree/../../secret",
        "/install/./tree/dists/trixie/Release",
        "/install//etc/passwd",
        "/install/%2fetc/passwd",
        "/install/%00",
        "/install/out",
        "/install/up/secret",
        "/install/absolute",
        "/install/inside-by-an-absolute-path/dists/trixie/Release",
        "/install/loop",
        "/install/magic",
        "/install/pipe",
        "/install/tree",
        "/install/tree/",
        "/install/tree/dists/trixie/Release/",
    ] {
        let (status, body) = curl(&lab, &["--path-as-is", &daemon.url(path)]);
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("404", "404 Not Found\n"),
            "{path}"
        );
    }
}

fn slow_loris() {
    let lab = site("");
    lab.write("install/file", "x");
    let daemon = Daemon::start(&lab);
    let start = Instant::now();
    let mut streams: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    for stream in &mut streams {
        stream
            .write_all(b"GET /install/file HTTP/1.1\r\nHost: x\r\n")
            .unwrap();
    }
    assert_eq!(curl(&lab, &[&daemon.url("/install/file")]).0, "200");
    for (at, stream) in streams.iter_mut().enumerate() {
        // One field more each second does not make it live longer.
        let mut ended = [0; 1];
        while at == 0 && start.elapsed() < Duration::from_secs(8) {
            let _ = stream.write_all(b"X-More: y\r\n");
            thread::sleep(Duration::from_secs(1));
        }
        let left = loop {
            match stream.read(&mut ended) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        assert!(left, "a connection without a request is kept");
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(9) && took < LONG, "{took:?}");
    // A body that does not come is ended likewise.
    let start = Instant::now();
    let answer = daemon.raw(b"POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{");
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(start.elapsed() < LONG);
}

fn idle() {
    let lab = site("");
    lab.write("install/file", "x");
    let daemon = Daemon::start(&lab);
    let held: Vec<_> = (0..64).map(|_| daemon.connect()).collect();
    // Once they are all counted, one more from here is one too many.
    let end = Instant::now() + Duration::from_secs(8);
    let refused = loop {
        let answer = daemon.raw(b"GET /install/file HTTP/1.0\r\n\r\n");
        if answer.is_empty() || Instant::now() > end {
            break answer;
        }
    };
    assert_eq!(refused, "");
    let (status, _) = curl(
        &lab,
        &["--interface", "127.0.0.9", &daemon.url("/install/file")],
    );
    assert_eq!(status, "200");
    drop(held);
    let end = Instant::now() + LONG;
    while curl(&lab, &[&daemon.url("/install/file")]).0 != "200" {
        assert!(Instant::now() < end, "connections that have ended count on");
    }
}

fn large() {
    let lab = site("");
    let daemon = Daemon::start(&lab);
    for (what, head) in [
        ("one field", format!("X-Large: {}\r\n", "x".repeat(100_000))),
        (
            "many fields",
            (0..100).map(|n| format!("X-{n}: y\r\n")).collect(),
        ),
    ] {
        let answer = daemon.raw(format!("GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n").as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(),
            "{what}: {answer}"
        );
    }
    let many = daemon.raw(
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X-A: y\r\n".repeat(65)
        )
        .as_bytes(),
    );
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    let long = daemon.raw(
        format!(
            "GET /install/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "x".repeat(10_000)
        )
        .as_bytes(),
    );
    assert!(long.starts_with("HTTP/1.1 404 "), "{long}");
    lab.write("body", &"x".repeat(65 << 10));
    let report = daemon.url("/v1/report");
    assert_eq!(curl(&lab, &["--data-binary", "@body", &report]).0, "413");
    assert_eq!(
        curl(
            &lab,
            &[
                "--header",
                "Transfer-Encoding: chunked",
                "--data-binary",
                "@body",
                &report
            ]
        )
        .0,
        "413"
    );
    for body in [
        "",
        "x",
        "{}",
        "{\"state\":\"gone\"}",
        "{\"state\":\"booted\",\"more\":1}",
    ] {
        assert_eq!(
            curl(&lab, &["--data-binary", body, &report]).0,
            "400",
            "{body}"
        );
    }
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = daemon.raw(bytes);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(curl(&lab, &[&daemon.url("/")]).0, "404");
}

fn slow_readers() {
    let lab = site("");
    let file = fs::File::create(lab.path("install/large")).unwrap();
    file.set_len(200 << 20).unwrap();
    let daemon = Daemon::start(&lab);
    let mut held: Vec<_> = (0..60).map(|_| daemon.connect()).collect();
    for stream in &mut held {
        stream
            .write_all(b"GET /install/large HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut begin = [0; 15];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
    }
    thread::sleep(Duration::from_secs(2));
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.daemon.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(
        kib < 100 << 10,
        "60 readers that do not read take {kib} KiB"
    );
}

fn versions() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let address = daemon.tls.to_string();
    for (version, is_fine) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let ended = openssl(
            &lab,
            &[
                "s_client",
                "-connect",
                &address,
                version,
                "-cipher",
                "DEFAULT@SECLEVEL=0",
                "-CAfile",
                "config/trust/root.crt",
                "-verify_return_error",
            ],
        );
        assert_eq!(
            ended.code == Some(0),
            is_fine,
            "{version}: {}{}",
            ended.stdout,
            ended.stderr
        );
        if !is_fine {
            assert!(
                ended.stderr.contains("alert"),
                "{version} was not the daemon's to refuse: {}",
                ended.stderr
            );
        }
    }
    // A client that says nothing is not waited for.
    let mut stream = TcpStream::connect(daemon.tls).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
}

fn enrolment() {
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

fn secrets() {
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

fn fifty() {
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

fn no_signer() {
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

fn installstatus() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let tell = |text: &str| {
        let mut stream = TcpStream::connect(daemon.reports).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ready\n");
        let _ = stream.write_all(text.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert_eq!(tell("installstatus installing\n"), "done\n");
    assert_eq!(state_of(&lab, "n1"), "installing address");
    assert_eq!(tell("installstatus booted\n"), "done\n");
    for odd in [
        "installstatus gone\n",
        "status booting\n",
        "\n",
        &format!("{}\n", "x".repeat(1000)),
    ] {
        tell(odd);
        assert_eq!(state_of(&lab, "n1"), "booted address", "{odd}");
    }
}

fn killed() {
    let nodes: String = (1..=200)
        .map(|n| format!("[node.k{n:03}]\nip = \"127.0.2.{n}\"\n"))
        .collect();
    let lab = site(&nodes);
    let mut noted = Vec::new();
    for round in 0..4 {
        let mut daemon = Daemon::start(&lab);
        let url = daemon.url("/v1/report");
        for n in (round * 50 + 1)..=(round * 50 + 50) {
            let from = format!("127.0.2.{n}");
            if curl(
                &lab,
                &[
                    "--interface",
                    &from,
                    "--data-binary",
                    "{\"state\":\"booted\"}",
                    &url,
                ],
            )
            .0 == "200"
            {
                noted.push(format!("k{n:03}"));
            }
        }
        daemon.kill();
    }
    assert_eq!(noted.len(), 200);
    let document: Value =
        serde_json::from_str(&nodestat(&lab, &["k[001-200]", "--json"]).stdout).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert!(nodes.len() == 200 && nodes.iter().all(|node| node["state"] == "booted"));
}

fn ending() {
    let lab = site("");
    lab.write("install/file", "x");
    let end = Instant::now() + LONG;
    let answer = loop {
        let mut daemon = Daemon::start(&lab);
        let mut stream = daemon.connect();
        // Once this is answered, the connection that was made before is accepted too.
        daemon.raw(b"GET /install/file HTTP/1.0\r\n\r\n");
        let pid = nix::unistd::Pid::from_raw(daemon.daemon.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        while TcpStream::connect(daemon.http).is_ok() {
            assert!(Instant::now() < end, "the daemon does not end");
        }
        let _ = stream.write_all(b"GET /install/file HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(daemon.daemon.wait().unwrap().success());
        // A machine with other work may send it later than the daemon waits.
        if !answer.is_empty() {
            break answer;
        }
        assert!(Instant::now() < end, "nothing is answered");
    };
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nconnection: close\r\n"),
        "{answer}"
    );
}

fn watch() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let url = daemon.url("/v1/report");
    let mut watching = Command::new(env!("CARGO_BIN_EXE_nodestat"))
        .args(["-w", "n1,n2", "--state"])
        .arg(lab.path("state"))
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap());
    assert_eq!(lines.next().unwrap(), "n1: unknown");
    assert_eq!(lines.next().unwrap(), "n2: unknown");
    for state in ["installing", "booted"] {
        assert_eq!(
            curl(
                &lab,
                &[
                    "--data-binary",
                    &json!({ "state": state }).to_string(),
                    &url
                ]
            )
            .0,
            "200"
        );
        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("n1: {state} since ")), "{line}");
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
    let unknown = nodestat(&lab, &["n9"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (
            Some(1),
            "nodestat: Could not find an object named 'n9' of type 'node'.\n"
        )
    );
}

fn probe() {
    let lab = ready();
    let mut daemon = Daemon::start(&lab);
    let ask = |daemon: &Daemon, credentials: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipwayd"));
        command
            .args(["--probe", "--http", &daemon.http.to_string()])
            .args(["--tls", &daemon.tls.to_string(), "--credentials"])
            .arg(lab.path(credentials))
            .env("SLIPWAY_CONFIG", lab.path("config"));
        ended(&mut command, lab.root())
    };
    let well = ask(&daemon, "config/trust");
    assert_eq!((well.code, well.stderr.as_str()), (Some(0), ""));
    // A certificate of another authority, and the right one of another machine.
    let other = ready();
    fs::create_dir(lab.path("other")).unwrap();
    fs::copy(
        other.path("config/trust/root.crt"),
        lab.path("other/root.crt"),
    )
    .unwrap();
    let ended = ask(&daemon, "other");
    assert_eq!(ended.code, Some(1));
    let asking = format!(
        "slipwayd: asking by TLS on {}: invalid peer certificate: ",
        daemon.tls
    );
    assert!(ended.stderr.starts_with(&asking), "{}", ended.stderr);
    lab.site("master = \"127.0.0.9\"\n");
    let ended = ask(&daemon, "config/trust");
    assert!(
        ended.stderr.contains("not valid for name"),
        "{}",
        ended.stderr
    );
    // What is no slipwayd.
    (daemon.http, daemon.tls) = (daemon.reports, daemon.http);
    let ended = ask(&daemon, "config/trust");
    assert_eq!(
        ended.stderr,
        format!(
            "slipwayd: asking by HTTP on {}: what answers there is not slipwayd\n",
            daemon.http
        )
    );
    daemon.kill();
    let ended = ask(&daemon, "config/trust");
    assert_eq!(
        ended.stderr,
        format!(
            "slipwayd: asking by HTTP on {}: Connection refused (os error 111)\n",
            daemon.http
        )
    );
}

fn umask() {
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
