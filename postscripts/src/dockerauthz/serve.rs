//! Answers dockerd on a socket that systemd opens, and gets the list each minute.
//!
//! dockerd fails every request while nobody answers, so little can go wrong here: a fixed number of threads, one request a
//! connection, everything bounded. A thread asks this process as dockerd would, and tells systemd's watchdog when it answers.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Paths;
use super::answer::{Decision, activation, decide};
use super::fetch;
use super::lists::CurrentLists;

/// How many requests are answered at a time; others wait in the socket.
const WORKERS: usize = 16;
/// How long dockerd may take for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;
/// dockerd hands on at most 1 MiB of a body, in base64, and the head of a request.
const MAX_BODY: usize = 8 << 20;

/// How long it is until this process asks itself; systemd waits three times as long.
const WATCHDOG: Duration = Duration::from_secs(10);

/// Answers until it is ended.
pub(super) fn serve(paths: &Paths, every: Duration) -> Result<ExitCode> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    let listener = UnixListener::from(socket.context("taking the socket on standard input")?);
    listener
        .local_addr()
        .context("taking the socket on standard input: is it a listening socket?")?;
    let current = CurrentLists::new(paths);
    let (listener, current) = (&listener, &current);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(move || work(listener, current));
        }
        scope.spawn(move || keep_current(paths, every));
        match watch(listener) {
            Ok(never) => match never {},
            Err(error) => {
                error_line!("dockerauthz: {error:#}");
                // the other threads go on for ever, and systemd starts this program again
                std::process::exit(1)
            }
        }
    })
}

fn work(listener: &UnixListener, current: &CurrentLists) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Err(error) = answer(stream, current) {
                    error_line!("dockerauthz: answering dockerd: {error:#}");
                }
            }
            Err(error) => {
                error_line!("dockerauthz: accepting a connection: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Gets the list again and again; ends with the program that was replaced.
fn keep_current(paths: &Paths, every: Duration) {
    let program = env::current_exe().ok();
    let own = program.as_deref().and_then(inode);
    loop {
        if let Err(error) = fetch::fetch(paths) {
            error_line!("dockerauthz: {error:#}");
        }
        thread::sleep(every);
        let there = program.as_deref().and_then(inode);
        if there.is_some() && there != own {
            error_line!(
                "dockerauthz: this program was replaced: ending, so that the other one is started"
            );
            std::process::exit(0);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Asks this process as dockerd does, and tells systemd that it answers.
fn watch(listener: &UnixListener) -> Result<Infallible> {
    let own = listener.local_addr().context("finding the socket")?;
    let own = own.as_pathname().map(PathBuf::from);
    notify("READY=1")?;
    loop {
        if let Some(own) = &own {
            ask(own, "/Plugin.Activate", "{}")?;
        }
        notify("WATCHDOG=1")?;
        thread::sleep(WATCHDOG);
    }
}

/// Asks a plugin by its socket; returns what it answers.
pub(super) fn ask(socket: &Path, path: &str, body: &str) -> Result<String> {
    let asking = || format!("asking on {}", socket.display());
    let mut stream = UnixStream::connect(socket).with_context(asking)?;
    bound(&stream)?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: plugin\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .with_context(asking)?;
    let mut answer = String::new();
    let mut bounded = stream.take(MAX_HEAD as u64);
    bounded.read_to_string(&mut answer).with_context(asking)?;
    match answer.strip_prefix("HTTP/1.1 200 OK\r\n") {
        Some(answer) => Ok(answer.to_owned()),
        None => bail!("{}: it does not answer 200", asking()),
    }
}

/// Says something to systemd, where it wants to know (sd_notify(3)).
fn notify(text: &str) -> Result<()> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&socket),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address));
    sent.context("notifying systemd").map(drop)
}

fn bound(stream: &UnixStream) -> Result<()> {
    stream
        .set_read_timeout(Some(TIMEOUT))
        .and_then(|()| stream.set_write_timeout(Some(TIMEOUT)))
        .context("setting a time limit")
}

/// Answers one request.
fn answer(mut stream: UnixStream, current: &CurrentLists) -> Result<()> {
    bound(&stream)?;
    let (status, document) = match read(&mut stream)? {
        Some((path, body)) => answer_to(&path, &body, current),
        None => ("400 Bad Request", Value::Null),
    };
    let body = document.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/vnd.docker.plugins.v1.1+json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .context("sending an answer")
}

fn answer_to(path: &str, body: &[u8], current: &CurrentLists) -> (&'static str, Value) {
    // how often dockerd asked, for whoever has to know that it does
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let document = match path {
        "/Plugin.Activate" => activation(),
        "/Slipway.Asked" => json!({ "Asked": ASKED.load(Ordering::Relaxed) }),
        "/AuthZPlugin.AuthZReq" => {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let decision = decide(body, &current.held(), OffsetDateTime::now_utc());
            if let Decision::Refused(why) = &decision {
                error_line!("dockerauthz: refused: {why}");
            }
            decision.document()
        }
        // who may ask may have the answer
        "/AuthZPlugin.AuthZRes" => Decision::Allowed.document(),
        _ => {
            return (
                "404 Not Found",
                json!({ "Err": "there is no such question" }),
            );
        }
    };
    ("200 OK", document)
}

/// Reads a request: its path and its body; `None` where it is none, or too long.
fn read(stream: &mut UnixStream) -> Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    let (path, head, length) = loop {
        match parse(&bytes) {
            RequestHead::Whole(path, head, length) => break (path, head, length),
            RequestHead::Part if bytes.len() < MAX_HEAD => {}
            RequestHead::Part | RequestHead::Other => return Ok(None),
        }
        match stream.read(&mut part).context("reading a request")? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&part[..count]),
        }
    };
    if length > MAX_BODY {
        return Ok(None);
    }
    let mut body = bytes.split_off(head);
    let rest = length.saturating_sub(body.len());
    let read = stream.take(rest as u64).read_to_end(&mut body);
    read.context("reading a request")?;
    Ok((body.len() == length).then_some((path, body)))
}

/// What is known of a request so far.
#[derive(Debug, PartialEq, Eq)]
enum RequestHead {
    /// Its path, and how long its head and its body are.
    Whole(String, usize, usize),
    Part,
    /// It is none that dockerd makes: its requests say how long they are.
    Other,
}

fn parse(bytes: &[u8]) -> RequestHead {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return RequestHead::Part,
        Err(_) => return RequestHead::Other,
    };
    let length = request
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
    match (request.method, request.path, length) {
        (Some("POST"), Some(path), Some(length)) => {
            RequestHead::Whole(path.to_owned(), head, length)
        }
        _ => RequestHead::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerauthz::answer::tests::SiteHost;

    #[test]
    fn a_request_is_one_of_dockerd() {
        for (bytes, head) in [
            ("", RequestHead::Part),
            ("POST /Plugin.Activate HTTP/1.1\r\nHost", RequestHead::Part),
            (
                "POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
                RequestHead::Whole("/a".to_owned(), 39, 3),
            ),
            ("POST /a HTTP/1.1\r\n\r\n", RequestHead::Other),
            (
                "POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                RequestHead::Other,
            ),
            (
                "GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
                RequestHead::Other,
            ),
            ("\u{16}\u{3}", RequestHead::Other),
        ] {
            assert_eq!(parse(bytes.as_bytes()), head, "{bytes:?}");
        }
    }

    #[test]
    fn each_connection_gets_one_answer_and_no_more_is_read_than_it_says() {
        let site = SiteHost::new();
        let current = CurrentLists::new(&site.paths());
        let asked = |request: String| {
            let (mut client, server) = UnixStream::pair().unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            answer(server, &current).unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            let (head, body) = said.split_once("\r\n\r\n").unwrap();
            format!("{} {body}", head.lines().next().unwrap())
        };
        let post = |path: &str, body: &str| {
            let length = body.len();
            asked(format!(
                "POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
        };
        let certificate = site.clients.client("alice", 7);
        let certificate = {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.encode(certificate)
        };
        let request = format!(
            "{{\"User\":\"alice\",\"UserAuthNMethod\":\"TLS\",\"RequestPeerCertificates\":[\"{certificate}\"]}}"
        );
        for (path, body, answered) in [
            (
                "/Plugin.Activate",
                "",
                "HTTP/1.1 200 OK {\"Implements\":[\"authz\"]}",
            ),
            (
                "/AuthZPlugin.AuthZReq",
                "{}",
                "HTTP/1.1 200 OK {\"Allow\":true}",
            ),
            (
                "/AuthZPlugin.AuthZRes",
                "x",
                "HTTP/1.1 200 OK {\"Allow\":true}",
            ),
            (
                "/AuthZPlugin.AuthZReq",
                &request,
                "HTTP/1.1 200 OK {\"Allow\":false,\"Msg\":\"this host has no list of what is revoked yet: run dockerauthz \
                 on this host\"}",
            ),
            (
                "/x",
                "{}",
                "HTTP/1.1 404 Not Found {\"Err\":\"there is no such question\"}",
            ),
        ] {
            assert_eq!(post(path, body), answered, "{path}");
        }
        for request in [
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            format!(
                "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                MAX_BODY + 1
            ),
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_owned(),
            format!("POST / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD - 24)),
        ] {
            assert_eq!(asked(request), "HTTP/1.1 400 Bad Request null");
        }
    }
}
