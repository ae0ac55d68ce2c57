//! What a server answers: the head, and as much of the body as was asked for.
//!
//! A connection comes in, the bytes of a file go out to a writer, never more than were requested, and no part of what is
//! not that file: a page of a proxy, a redirection, a part that nobody asked for. Reference: RFC 9112, RFC 9110.

use std::io::{ErrorKind, Read, Write};
use std::ops::Range;

use super::Failure;

/// The most bytes that the head of an answer may have.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// So many characters are shown of the place that an answer leads to.
const MAX_SHOWN: usize = 100;
/// What is said of an answer of another length than the file's.
const PAGE: &str =
    ", and is a page of HTML: does a proxy or a login page answer in the server's place?";

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    /// The first byte that the body holds, and how many the whole file has.
    range: Option<(u64, u64)>,
    /// The place that it leads to, in printable characters.
    location: Option<String>,
    /// Whether it says of the body that it is HTML.
    is_page: bool,
}

/// Passes a whole file of `limit` bytes at most on.
pub(super) fn file(
    response: &mut dyn Read,
    limit: u64,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
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

/// Reads the head of an answer, and what came of its body with it.
pub(super) fn head(from: &mut dyn Read) -> Result<(Head, Vec<u8>), Failure> {
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
pub(super) fn check(head: &Head) -> Result<(), Failure> {
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
pub(super) fn body(
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
pub(super) fn rest(
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
