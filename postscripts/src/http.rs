//! One file over HTTP, bounded in every way.
//!
//! An `http://` address comes in, bytes go out to a writer, never more than were requested. The server is an
//! IP address: nothing is looked up. Requests are HTTP/1.0 (RFC 1945) with a Host field, so that a body
//! ends where the connection does or with its Content-Length: a server has no reason to send it in
//! chunks, packed, or from elsewhere, and one that does is refused. There is no TLS: what is fetched is compared
//! with a SHA-256 that came another way.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::timed_stream::{TimeLimits, TimedStream};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may send nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole fetch may take, and how many more bytes a second of it brings at least: a file of
/// 3 MiB has nine minutes.
const BASE_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_BYTES_PER_SECOND: u64 = 6 << 10;
/// The most bytes that the head of an answer may have.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// So many characters are shown of the place that an answer leads to.
const MAX_SHOWN: usize = 100;
/// What is said of an answer of another length than the file's.
const PAGE: &str =
    ", and is a page of HTML: does a proxy or a login page answer in the server's place?";

/// Where files come from: `http://10.1.0.1:8080/install/postscripts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) server: SocketAddr,
    pub(crate) host: String,
    path: String,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Another try may help.
    #[error("{0}")]
    Network(String),
    /// The server has no such file.
    #[error("the server answered {0}: it has no such file")]
    Absent(u16),
    /// Another try will not help.
    #[error("{0}")]
    Refused(String),
}

impl FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix("http://") else {
            bail!("'{text}' does not begin with http://");
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 80));
        let Ok(server) = host.parse().or(address) else {
            bail!(
                "the server of '{text}' is not an IP address: names are not looked up, so give its address"
            );
        };
        if !path.bytes().all(|b| b.is_ascii_graphic()) {
            bail!(
                "'{text}' contains a space or a character that is not ASCII: percent-encode it, a space as %20"
            );
        }
        Ok(Self {
            server,
            host: host.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl Url {
    /// Writes the file of a name under this address to `out`, `limit` bytes at most.
    ///
    /// # Errors
    /// When it could not be fetched whole.
    pub(crate) fn load(&self, name: &str, limit: u64, out: &mut dyn Write) -> Result<u64, Failure> {
        let mut response = self.request("GET", name, "", timeout(limit))?;
        file(&mut response, limit, out)
    }

    /// Writes the bytes of a file from `from` on to `out`, where the file has `total` bytes. A server that knows no
    /// ranges sends all of them, and the first ones are passed over.
    ///
    /// # Errors
    /// When the rest did not come, or is that of another file; what was written until then is right as far as the server
    /// is.
    pub(crate) fn load_rest(
        &self,
        name: &str,
        from: u64,
        total: u64,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let range = match from {
            0 => String::new(),
            from => format!("Range: bytes={from}-\r\n"),
        };
        let mut response = self.request("GET", name, &range, timeout(total))?;
        let (head, first) = head(&mut response)?;
        rest(&mut response, &first, &head, from..total, out)
    }

    /// Says whether the server has the file of a name.
    ///
    /// # Errors
    /// When it does not answer, or neither yes nor no.
    pub(crate) fn has(&self, name: &str) -> Result<bool, Failure> {
        let mut response = self.request("HEAD", name, "", timeout(0))?;
        match check(&head(&mut response)?.0) {
            Ok(()) => Ok(true),
            Err(Failure::Absent(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn request(
        &self,
        method: &str,
        name: &str,
        fields: &str,
        timeout: Duration,
    ) -> Result<TimedStream, Failure> {
        let limits = TimeLimits {
            connect: CONNECT_TIMEOUT,
            idle: IDLE_TIMEOUT,
            total: timeout,
        };
        let mut stream = TimedStream::connect(&self.server, limits)
            .map_err(|e| Failure::Network(format!("connecting to {}: {e}", self.server)))?;
        let requesting = |e: std::io::Error| {
            Failure::Network(format!("sending a request to {}: {e}", self.server))
        };
        let request = format!(
            "{method} {}/{name} HTTP/1.0\r\nHost: {}\r\nAccept-Encoding: identity\r\nUser-Agent: slipway\r\n{fields}\r\n",
            self.path, self.host
        );
        stream.write_all(request.as_bytes()).map_err(requesting)?;
        Ok(stream)
    }
}

/// Passes a whole file of `limit` bytes at most on.
fn file(response: &mut dyn Read, limit: u64, out: &mut dyn Write) -> Result<u64, Failure> {
    let (head, first) = head(response)?;
    check(&head)?;
    let passed = body(response, &first, head.length, limit, out);
    let page = |why: String| Failure::Refused(format!("{why}{PAGE}"));
    match passed {
        Ok(size) if head.is_page && size < limit => {
            Err(page(format!("it has {size} bytes and not {limit}")))
        }
        Err(Failure::Refused(why)) if head.is_page => Err(page(why)),
        passed => passed,
    }
}

/// Reads what is at a path over a connection that is open, and returns the status and what is answered.
///
/// # Errors
/// When there is no whole answer of at most `limit` bytes.
pub(crate) fn get(
    stream: &mut (impl Read + Write),
    host: &str,
    path: &str,
    limit: u64,
) -> Result<(u16, Vec<u8>), Failure> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: slipway\r\n\r\n");
    exchange(stream, &request, limit)
}

/// Sends a body to a path over a connection that is open, and returns the status and what is answered.
///
/// # Errors
/// When there is no whole answer of at most `limit` bytes.
pub(crate) fn post(
    stream: &mut (impl Read + Write),
    host: &str,
    path: &str,
    text: &str,
    limit: u64,
) -> Result<(u16, Vec<u8>), Failure> {
    let length = text.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         User-Agent: slipway\r\n\r\n{text}"
    );
    exchange(stream, &request, limit)
}

fn exchange(
    stream: &mut (impl Read + Write),
    request: &str,
    limit: u64,
) -> Result<(u16, Vec<u8>), Failure> {
    let sending = |e: std::io::Error| Failure::Network(format!("sending a request: {e}"));
    stream.write_all(request.as_bytes()).map_err(sending)?;
    stream.flush().map_err(sending)?;
    let (head, first) = head(stream)?;
    let mut answer = Vec::new();
    body(stream, &first, head.length, limit, &mut answer)?;
    Ok((head.status, answer))
}

/// How long a fetch of so many bytes may take, from the first word to the last.
fn timeout(bytes: u64) -> Duration {
    BASE_TIMEOUT + Duration::from_secs(bytes / MIN_BYTES_PER_SECOND)
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    /// The first byte that the body holds, and how many the whole file has.
    range: Option<(u64, u64)>,
    /// The place that it leads to, in printable characters.
    location: Option<String>,
    /// Whether it says of the body that it is HTML.
    is_page: bool,
}

/// Reads the head of an answer, and what came of its body with it.
fn head(from: &mut dyn Read) -> Result<(Head, Vec<u8>), Failure> {
    let mut buffer = vec![0; 64 << 10];
    let mut kept = Vec::new();
    loop {
        if let Some(end) = kept.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = kept.split_off(end + 4);
            return Ok((parse(&kept[..end])?, body));
        }
        if kept.len() > MAX_HEAD_BYTES {
            return Err(Failure::Refused(
                "its answer has an endless head".to_owned(),
            ));
        }
        match some(from, &mut buffer)? {
            0 => {
                let ended = "the server closed the connection before it answered";
                return Err(Failure::Network(ended.to_owned()));
            }
            n => kept.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Says what a status means that is not a file.
fn check(head: &Head) -> Result<(), Failure> {
    match head.status {
        200 => Ok(()),
        206 => Err(Failure::Refused(
            "it sends a part of the file, which was not asked for".to_owned(),
        )),
        status @ 300..=399 if head.location.is_some() => {
            let location = head.location.as_deref().unwrap_or_default();
            Err(Failure::Refused(format!(
                "the server answered {status} and leads to '{location}', which is not followed: have the server send \
                 the file itself"
            )))
        }
        404 | 410 => Err(Failure::Absent(head.status)),
        status @ (408 | 429 | 500..=599) => {
            Err(Failure::Network(format!("the server answered {status}")))
        }
        other => Err(Failure::Refused(format!("the server answered {other}"))),
    }
}

/// Passes a body on: the bytes that came with the head, then the rest.
fn body(
    from: &mut dyn Read,
    first: &[u8],
    length: Option<u64>,
    limit: u64,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    if let Some(length) = length.filter(|&length| length > limit) {
        return Err(Failure::Refused(format!(
            "it has {length} bytes and not {limit}"
        )));
    }
    let mut buffer = vec![0; 64 << 10];
    let mut chunk = first.to_vec();
    let mut seen = 0u64;
    loop {
        // What comes after the length is no part of the file.
        let left = length.map_or(u64::MAX, |length| length - seen);
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        seen += chunk.len() as u64;
        if seen > limit {
            return Err(Failure::Refused(format!("it has more than {limit} bytes")));
        }
        out.write_all(&chunk)
            .map_err(|e| Failure::Refused(format!("writing it: {e}")))?;
        if length.is_some_and(|length| seen >= length) {
            return Ok(seen);
        }
        match some(from, &mut buffer)? {
            0 => break,
            n => chunk = buffer[..n].to_vec(),
        }
    }
    match length {
        Some(length) if seen < length => Err(Failure::Network(format!(
            "the connection ended after {seen} of {length} bytes"
        ))),
        _ => Ok(seen),
    }
}

/// Passes on the last bytes of a file, whichever part of the file the answer holds.
fn rest(
    response: &mut dyn Read,
    first: &[u8],
    head: &Head,
    wanted: Range<u64>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (from, total) = (wanted.start, wanted.end);
    let begin = match (head.status, head.range) {
        (206, Some((begin, of))) if begin == from && of == total => from,
        (206, Some((begin, of))) => {
            return Err(Failure::Refused(format!(
                "it was asked for the bytes from {from} of {total} and sends those from {begin} of {of}"
            )));
        }
        (206, None) => {
            let why = "it sends a part of the file and not which";
            return Err(Failure::Refused(why.to_owned()));
        }
        _ => {
            check(head)?;
            0
        }
    };
    let expected = total - begin;
    if let Some(length) = head.length.filter(|&length| length != expected) {
        return Err(Failure::Refused(format!(
            "it has {} bytes and not {total}",
            begin.saturating_add(length)
        )));
    }
    let mut out = Tail {
        out,
        pass_over: from - begin,
    };
    let seen = body(response, first, head.length, expected, &mut out)?;
    if seen < expected {
        return Err(Failure::Network(format!(
            "the connection ended after {} of {total} bytes",
            begin + seen
        )));
    }
    Ok(())
}

/// Passes over the first bytes.
struct Tail<'a> {
    out: &'a mut dyn Write,
    pass_over: u64,
}

impl Write for Tail<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let skipped = usize::try_from(self.pass_over).map_or(bytes.len(), |n| n.min(bytes.len()));
        self.pass_over -= skipped as u64;
        self.out.write_all(&bytes[skipped..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Parses `bytes 100-199/200`.
fn content_range(value: &str) -> Option<(u64, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (begin, end) = range.split_once('-')?;
    let (begin, end, total) = (begin.parse().ok()?, end.parse().ok()?, total.parse().ok()?);
    (begin <= end && u64::checked_add(end, 1) == Some(total)).then_some((begin, total))
}

/// Reads some bytes; none at the end.
fn some(from: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Failure> {
    loop {
        match from.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                return Err(Failure::Network(e.to_string()));
            }
            Err(e) => return Err(Failure::Network(format!("reading its answer: {e}"))),
            Ok(n) => return Ok(n),
        }
    }
}

/// Parses the head of an answer; what would make its body something else than the file is refused.
fn parse(head: &[u8]) -> Result<Head, Failure> {
    let refused = |why: String| Failure::Refused(why);
    let text =
        std::str::from_utf8(head).map_err(|_| refused("its answer is not HTTP".to_owned()))?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| refused("its answer is not HTTP".to_owned()))?;
    let (mut length, mut range, mut location, mut is_page) = (None, None, None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let parsed = value.parse().ok();
                if parsed.is_none() || length.is_some_and(|length| Some(length) != parsed) {
                    return Err(refused(format!("its Content-Length is '{value}'")));
                }
                length = parsed;
            }
            "content-range" => range = content_range(value),
            "content-type" => is_page = value.to_ascii_lowercase().starts_with("text/html"),
            "location" => {
                let shown = value.chars().take(MAX_SHOWN);
                location = Some(shown.flat_map(char::escape_debug).collect());
            }
            "transfer-encoding" | "content-encoding" if value != "identity" => {
                return Err(refused(format!(
                    "its {name} is '{value}', which was not requested"
                )));
            }
            _ => {}
        }
    }
    Ok(Head {
        status,
        length,
        range,
        location,
        is_page,
    })
}

#[cfg(test)]
mod tests;
