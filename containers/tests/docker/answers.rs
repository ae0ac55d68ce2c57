//! Engines that answer anything but what they should: each a clear line, in time.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::Case;
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    ("what_is_no_engine_is_told_from_one", no_engine),
    ("an_engine_that_goes_wrong_later_is_told_too", wrong_later),
    ("a_pull_that_fails_within_its_stream_fails", pull_fails),
    ("no_image_means_latest_in_silence", latest),
    ("the_version_that_is_spoken_is_the_engines", versions),
    ("what_an_engine_says_does_nothing_to_a_terminal", escaped),
];

/// Serves a socket: answers each request by what the function makes of its text; one with nothing, or with "close" in it, ends
/// the connection.
pub(crate) fn serve(
    directory: &std::path::Path,
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> PathBuf {
    let socket = directory.join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        let answer = &answer;
        thread::scope(|scope| {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                scope.spawn(move || {
                    let mut request = Vec::new();
                    let mut buffer = [0; 65_536];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        request.extend_from_slice(&buffer[..length]);
                        let text = String::from_utf8_lossy(&request).into_owned();
                        let Some((head, body)) = text.split_once("\r\n\r\n") else {
                            continue;
                        };
                        let length = head
                            .lines()
                            .find_map(|line| line.strip_prefix("content-length: "));
                        if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
                            continue;
                        }
                        let chunked = head.contains("transfer-encoding: chunked");
                        if chunked && !body.ends_with("0\r\n\r\n") {
                            continue;
                        }
                        let bytes = answer(&text);
                        let ends = |bytes: &[u8]| bytes.windows(5).any(|five| five == b"close");
                        if bytes.is_empty() || stream.write_all(&bytes).is_err() || ends(&bytes) {
                            return;
                        }
                        request.clear();
                    }
                });
            }
        });
    });
    socket
}

/// An answer with a body.
pub(crate) fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn ping(version: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 2\r\n\r\n").into_bytes()
}

/// Runs a command against an engine that answers first lines so; returns its exit code and what it says.
fn told(line: &str, engine: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let first = |request: &str| request.lines().next().unwrap_or_default().to_owned();
    let socket = serve(directory.path(), move |request| engine(&first(request)));
    let site = Site::bare(&format!(
        "[node.f1]\nmgt = \"docker\"\ndockerhost = \"unix:{}\"\nimage = \"app:1\"\ndockernics = [\"bridge\"]\n",
        socket.display()
    ));
    let outcome = site.run(line);
    let said = format!("{}{}", outcome.out, outcome.err);
    (
        outcome.code,
        said.replace(&socket.display().to_string(), "SOCKET"),
    )
}

fn no_engine() {
    let unnamed = |status| {
        format!(
            "f1: [mn]: Error: asking the engine at SOCKET for its version: what answers there is no docker engine: its \
             answer, with status {status}, names no version of the API\n"
        )
    };
    let page = |_: &str| {
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n".to_vec()
    };
    assert_eq!(told("rpower f1 state", page), (1, unnamed(200)));
    let broken = |_: &str| b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec();
    assert_eq!(told("rpower f1 state", broken), (1, unnamed(500)));
    let (code, said) = told("rpower f1 state", |_| Vec::new());
    assert!(
        code == 1
            && said.starts_with(
                "f1: [mn]: Error: asking the engine at SOCKET for its version: connection closed"
            ),
        "{said}"
    );
    let (code, said) = told("rpower f1 state", |_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
    assert!(
        code == 1 && said.contains("for its version: invalid HTTP"),
        "{said}"
    );
    let silent = |_: &str| {
        thread::sleep(Duration::from_secs(60));
        Vec::new()
    };
    assert_eq!(
        told("rpower f1 state", silent),
        (
            1,
            "f1: [mn]: Error: asking the engine at SOCKET for its version: nothing came for 20 s: it does not answer\n"
                .to_owned()
        )
    );
    assert_eq!(
        told("rpower f1 state", |_| ping("1.23")),
        (
            1,
            "f1: [mn]: Error: asking the engine at SOCKET for its version: the engine's API is 1.23, and 1.24 is the \
             oldest that can be spoken\n"
                .to_owned()
        )
    );
}

/// An engine that answers a ping as it should, and everything else so.
fn after_ping(answer: impl Fn(&str) -> Vec<u8>) -> impl Fn(&str) -> Vec<u8> {
    move |line| {
        if line.contains("/_ping") {
            ping("1.41")
        } else {
            answer(line)
        }
    }
}

fn wrong_later() {
    let cases: [(&str, &str, String, &str); 6] = [
        (
            "502 Bad Gateway",
            "text/html",
            "<html>down</html>".to_owned(),
            "what answers there is no docker engine: it sent a web page with status 502",
        ),
        (
            "500 Oops",
            "application/json",
            String::new(),
            "the engine answered 500 without a reason",
        ),
        (
            "500 Oops",
            "application/json",
            "{\"message\":\"disk full\"}".to_owned(),
            "disk full",
        ),
        (
            "200 OK",
            "application/json",
            format!(
                "{{\"Id\":\"c1\",\"Name\":\"/f1\",\"a\":\"{}\"}}",
                "x".repeat(10_000_000)
            ),
            "the engine named no state of it",
        ),
        (
            "200 OK",
            "application/json",
            "{}".to_owned(),
            "the engine names no ID",
        ),
        (
            "200 OK",
            "application/json",
            format!("{{\"a\":\"{}\"}}", "x".repeat(40_000_000)),
            "the engine's answer is longer than 32 MiB",
        ),
    ];
    for (status, kind, body, message) in cases {
        let bytes = answer(status, kind, &body);
        let engine = after_ping(move |_| bytes.clone());
        assert_eq!(
            told("rpower f1 state", engine),
            (1, format!("f1: [mn]: Error: {message}\n"))
        );
    }
    let (code, said) = told("rpower f1 start", after_ping(|_| Vec::new()));
    assert!(
        code == 1 && said.starts_with("f1: [mn]: Error: connection closed"),
        "{said}"
    );
}

fn pull_fails() {
    let engine = |events: &'static str| {
        after_ping(move |line| {
            if line.contains("/images/create") {
                return answer("200 OK", "application/json", events);
            }
            if line.contains("/containers/json") {
                return answer("200 OK", "application/json", "[]");
            }
            if line.contains("/distribution/") {
                let digest = format!("sha256:{}", "a".repeat(64));
                let body = format!("{{\"Descriptor\":{{\"digest\":\"{digest}\"}}}}");
                return answer("200 OK", "application/json", &body);
            }
            if line.contains("/tag?") {
                return answer("201 Created", "application/json", "");
            }
            if line.contains("/networks") {
                return answer("200 OK", "application/json", "[{\"Name\":\"bridge\"}]");
            }
            answer(
                "404 Not Found",
                "application/json",
                "{\"message\":\"No such image\"}",
            )
        })
    };
    for (events, message) in [
        (
            "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\r\n",
            "pulling the image app:1: manifest unknown",
        ),
        (
            "{\"status\":\"Pulling\"}{\"error\":\"no space left on device\"}",
            "pulling the image app:1: no space left on device",
        ),
        (
            "{\"status\":\"Pulling\"}\n{\"stat",
            "pulling the image app:1: the engine's stream ended within a message",
        ),
        (
            "{\"status\":\"Pulling\"}\n",
            "looking for the image app:1 after it was pulled",
        ),
    ] {
        let (code, said) = told("mkdocker f1", engine(events));
        assert_eq!(code, 1, "{said}");
        assert_eq!(
            said.lines().last().unwrap(),
            format!("f1: [mn]: Error: {message}")
        );
    }
    let (code, said) = told("mkdocker f1 --pull never", engine(""));
    assert_eq!(
        (code, said.as_str()),
        (
            1,
            "f1: [mn]: Error: the host does not have the image app:1, and --pull never keeps it from the registry\n"
        )
    );
}

fn latest() {
    let directory = tempfile::tempdir().unwrap();
    let socket = serve(
        directory.path(),
        after_ping(|line| {
            if line.contains("/networks") {
                return answer("200 OK", "application/json", "[{\"Name\":\"bridge\"}]");
            }
            let body = "{\"message\":\"No such image\"}";
            answer("404 Not Found", "application/json", body)
        }),
    );
    let site = Site::bare("");
    let said = |image: &str, line: &str| {
        site.define(&format!(
            "[node.f1]\nmgt = \"docker\"\ndockerhost = \"unix:{}\"\ndockernics = [\"bridge\"]\n{image}\n",
            socket.display()
        ));
        let outcome = site.run(line);
        format!("{}{}", outcome.out, outcome.err)
    };
    // Wherever an image comes from, and whatever is done with it.
    for (image, line) in [
        ("image = \"app\"", "mkdocker f1 --pull never"),
        ("image = \"app\"", "mkdocker f1 --dry-run"),
        ("image = \"app\"", "mkdocker f1 --dry-run --json"),
        ("provmethod = \"app!sh\"", "mkdocker f1 --dry-run"),
        ("image = \"other:1\"", "mkdocker f1 image=app --dry-run"),
        (
            "image = \"other:1\"",
            "mkdocker f1 'dockerflag={\"Image\":\"app\"}' --dry-run",
        ),
    ] {
        let said = said(image, line);
        assert_eq!(
            said.lines()
                .filter(|line| *line == "f1: the image app names no tag: app:latest is meant")
                .count(),
            1,
            "{image} {line}\n{said}"
        );
    }
    let pinned = format!("image = \"app@sha256:{}\"", "a".repeat(64));
    for image in [
        "image = \"app:1\"",
        "image = \"mn:5000/app:latest\"",
        &pinned,
    ] {
        let said = said(image, "mkdocker f1 --dry-run");
        assert!(!said.contains("names no tag"), "{said}");
    }
    for line in [
        "dockerimage pull h app",
        "dockerimage push h app",
        "dockerimage rm h app",
        "dockerimage commit f1 app",
        "dockerimage load h app --from h",
    ] {
        assert_eq!(
            said("image = \"app:1\"\n[node.h]", line),
            "dockerimage: the image app names no tag: name one, such as app:latest\n",
            "{line}"
        );
    }
}

fn versions() {
    for (engine, spoken) in [
        ("1.24", "/v1.24/"),
        ("1.41", "/v1.41/"),
        ("1.55", "/v1.55/"),
        ("1.57", "/v1.55/"),
    ] {
        let state = "{\"Id\":\"c1\",\"Name\":\"/f1\",\"State\":{\"Status\":\"running\"}}";
        let (code, said) = told("rpower f1 state", move |line| {
            match line.contains("/_ping") {
                true => ping(engine),
                false if line.contains(spoken) => answer("200 OK", "application/json", state),
                false => answer("400 Bad", "text/plain", line),
            }
        });
        assert_eq!((code, said.as_str()), (0, "f1: running\n"), "{engine}");
    }
    // A state that nobody knew is a state.
    let state = "{\"Id\":\"c1\",\"Name\":\"/f1\",\"State\":{\"Status\":\"initialized\"}}";
    let engine = after_ping(move |_| answer("200 OK", "application/json", state));
    assert_eq!(
        told("rpower f1 stat", engine),
        (0, "f1: initialized\n".to_owned())
    );
}

fn escaped() {
    let engine = after_ping(|_| {
        answer(
            "409 Conflict",
            "application/json",
            "{\"message\":\"\\u001b[2J\\u202egone\"}",
        )
    });
    assert_eq!(
        told("rpower f1 start", engine),
        (1, "f1: [mn]: Error: \\u001b[2J\\u202egone\n".to_owned())
    );
}
