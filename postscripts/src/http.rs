//! One file over HTTP, bounded in every way.
//!
//! An `http://` address comes in, bytes go out to a writer, never more than were requested. The server is an
//! IP address: nothing is looked up. Requests are HTTP/1.0 (RFC 1945) with a Host field, so that a body
//! ends where the connection does or with its Content-Length: a server has no reason to send it in
//! chunks, packed, or from elsewhere, and one that does is refused. There is no TLS: what is fetched is compared
//! with a SHA-256 that came another way.

mod response;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};

use self::response::{body, check, file, head, rest};
use crate::timed_stream::{TimeLimits, TimedStream};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may send nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole fetch may take, and how many more bytes a second of it brings at least: a file of
/// 3 MiB has nine minutes.
const BASE_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_BYTES_PER_SECOND: u64 = 6 << 10;
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

#[cfg(test)]
mod tests;
