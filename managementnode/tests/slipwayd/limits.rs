//! What one caller can take of slipwayd: time, connections and memory are bounded.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::daemon::{Daemon, LONG, curl, openssl, ready, site};
use super::lab::ended;

pub(super) fn slow_loris() {
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

pub(super) fn idle() {
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

/// The body never comes: who sent the next request into the same connection would lose it.
pub(super) fn unread() {
    let lab = site("");
    let daemon = Daemon::start(&lab);
    for (request, status) in [
        ("PUT /v1/root", "405"),
        ("POST /v1/enrol", "403"),
        ("DELETE /", "404"),
    ] {
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
        let answer = daemon.raw(head.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} "))
                && answer.contains("\r\nconnection: close\r\n"),
            "{request}: {answer}"
        );
    }
}

pub(super) fn large() {
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

pub(super) fn slow_readers() {
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

pub(super) fn versions() {
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

pub(super) fn ending() {
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

pub(super) fn probe() {
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
