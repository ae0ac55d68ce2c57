//! Files of the install directory, whole or in part.
//!
//! A path of a request comes in; a file that lies beneath the directory goes out, or the status that says why not. The
//! kernel itself resolves the path beneath the directory (openat2(2), `RESOLVE_BENEATH`): neither `..` nor a link leads
//! out of it, however it changes meanwhile. Reference: RFC 9110 §14.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anyhow::{Context as _, Result};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use hyper::http::response::Builder;
use hyper::{Response, StatusCode};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use tokio::io::{AsyncRead as _, AsyncSeekExt as _, ReadBuf};

use super::limits::CHUNK;

/// The directory that is served.
#[derive(Debug, Clone)]
pub(super) struct Tree(Arc<OwnedFd>);

/// What an answer holds.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Option<Bytes>),
    File(FilePart),
}

/// A part of a file on its way.
#[derive(Debug)]
pub(super) struct FilePart {
    file: tokio::fs::File,
    left: u64,
}

impl Tree {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self(Arc::new(file.into())))
    }

    /// Answers a request for a file; `path` is what follows `/install/`.
    pub(super) async fn answer(
        &self,
        path: &str,
        fields: &HeaderMap,
        is_head: bool,
    ) -> Response<Content> {
        match self.part(path, fields, is_head).await {
            Ok(response) => response,
            Err(status) => plain(status, ""),
        }
    }

    async fn part(
        &self,
        path: &str,
        fields: &HeaderMap,
        is_head: bool,
    ) -> Result<Response<Content>, StatusCode> {
        let path = decoded(path).ok_or(StatusCode::NOT_FOUND)?;
        let tree = self.clone();
        let opened = tokio::task::spawn_blocking(move || tree.file(&path)).await;
        let (file, size, tag) = opened.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)??;
        let is_same = |name| {
            fields
                .get(name)
                .is_some_and(|value| value.as_bytes() == tag.as_bytes())
        };
        let builder = Response::builder()
            .header(ETAG, &tag)
            .header(ACCEPT_RANGES, "bytes");
        if is_same(IF_NONE_MATCH) {
            return finish(
                builder.status(StatusCode::NOT_MODIFIED),
                Content::Bytes(None),
            );
        }
        // A part of another version than the one that was begun with is of no use.
        let is_current = !fields.contains_key(IF_RANGE) || is_same(IF_RANGE);
        let range = fields
            .get(RANGE)
            .filter(|_| is_current)
            .and_then(|value| value.to_str().ok());
        let (status, first, length) =
            match range.map_or(Range::Whole, |range| Range::parse(range, size)) {
                Range::Whole => (StatusCode::OK, 0, size),
                Range::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
                Range::Outside => {
                    let builder = builder.status(StatusCode::RANGE_NOT_SATISFIABLE);
                    return finish(
                        builder.header(CONTENT_RANGE, format!("bytes */{size}")),
                        Content::Bytes(None),
                    );
                }
            };
        let mut builder = builder
            .status(status)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length);
        if status == StatusCode::PARTIAL_CONTENT {
            builder = builder.header(
                CONTENT_RANGE,
                format!("bytes {first}-{}/{size}", first + length - 1),
            );
        }
        if is_head {
            return finish(builder, Content::Bytes(None));
        }
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK);
        let seek = file.seek(std::io::SeekFrom::Start(first)).await;
        seek.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        finish(builder, Content::File(FilePart { file, left: length }))
    }

    /// Opens a regular file beneath the directory; says how large it is, and names its version.
    fn file(&self, path: &str) -> Result<(File, u64, String), StatusCode> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let opened = openat2(&*self.0, path, how).map_err(|error| match error {
            Errno::EACCES => StatusCode::FORBIDDEN,
            Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NOT_FOUND,
        })?;
        let file = File::from(opened);
        let meta = file
            .metadata()
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        if !meta.is_file() {
            return Err(StatusCode::NOT_FOUND);
        }
        let tag = format!(
            "\"{:x}-{:x}-{:x}\"",
            meta.ino(),
            meta.len(),
            meta.mtime_nsec() + meta.mtime() * 1_000_000_000
        );
        Ok((file, meta.len(), tag))
    }
}

fn finish(builder: Builder, content: Content) -> Result<Response<Content>, StatusCode> {
    builder
        .body(content)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Answers with a status and a text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Content> {
    let text = if text.is_empty() {
        format!("{status}\n")
    } else {
        text.to_owned()
    };
    let mut response = Response::new(Content::Bytes(Some(text.into())));
    *response.status_mut() = status;
    response
}

/// Takes `%` escapes back (RFC 3986 §2.1).
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            plain.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(plain).ok()
}

/// Reads the path of a request: escapes are taken back, `.` and `..` are refused.
pub(super) fn decoded(path: &str) -> Option<String> {
    let path = percent_decoded(path)?;
    let is_odd = |part: &str| matches!(part, "." | "..");
    (!path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(is_odd))
    .then_some(path)
}

/// What part of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Whole,
    /// From the first to the last byte, both meant.
    Part(u64, u64),
    /// Beyond the file.
    Outside,
}

impl Range {
    /// Reads one range of bytes; what is none, or several, means the whole (RFC 9110 §14.2).
    fn parse(text: &str, size: u64) -> Self {
        let Some((first, last)) = text
            .strip_prefix("bytes=")
            .and_then(|range| range.trim().split_once('-'))
        else {
            return Self::Whole;
        };
        let number = |text: &str| -> Option<Option<u64>> {
            if text.is_empty() {
                return Some(None);
            }
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
        };
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Self::Whole;
        };
        match (first, last) {
            (None, None) => Self::Whole,
            (None, Some(0)) => Self::Outside,
            (None, Some(_)) if size == 0 => Self::Outside,
            (None, Some(count)) => Self::Part(size.saturating_sub(count), size - 1),
            (Some(first), Some(last)) if last < first => Self::Whole,
            (Some(first), _) if first >= size => Self::Outside,
            (Some(first), last) => Self::Part(first, last.unwrap_or(u64::MAX).min(size - 1)),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::File(part) => part.poll_chunk(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_none(),
            Self::File(part) => part.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::File(part) => part.left,
        })
    }
}

impl FilePart {
    fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; size];
        let mut buffer = ReadBuf::new(&mut chunk);
        if let Err(error) = ready!(Pin::new(&mut self.file).poll_read(context, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled().len();
        if read == 0 {
            // It was cut meanwhile: what was promised cannot be kept, so the connection ends.
            self.left = 0;
            return Poll::Ready(Some(Err(ErrorKind::UnexpectedEof.into())));
        }
        chunk.truncate(read);
        self.left -= read as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_within_the_file() {
        for (text, size, expected) in [
            ("bytes=0-3", 10, Range::Part(0, 3)),
            ("bytes=4-", 10, Range::Part(4, 9)),
            ("bytes=-3", 10, Range::Part(7, 9)),
            ("bytes=-30", 10, Range::Part(0, 9)),
            ("bytes=8-99999999999999999999999", 10, Range::Part(8, 9)),
            ("bytes=10-", 10, Range::Outside),
            ("bytes=-0", 10, Range::Outside),
            ("bytes=0-", 0, Range::Outside),
            ("bytes=-1", 0, Range::Outside),
            ("bytes=5-4", 10, Range::Whole),
            ("bytes=0-1,4-5", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("lines=1-2", 10, Range::Whole),
            ("", 10, Range::Whole),
        ] {
            assert_eq!(Range::parse(text, size), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_decoded_once_and_odd_ones_are_refused() {
        for (text, expected) in [
            ("a/b", Some("a/b")),
            ("a%20b%2Bc", Some("a b+c")),
            ("a%252e", Some("a%2e")),
            ("%2e%2e/x", None),
            ("a/../b", None),
            ("a/%2E%2e", None),
            ("./a", None),
            ("/etc/passwd", None),
            ("%2fetc", None),
            ("a%00b", None),
            ("a%zz", None),
            ("a%2", None),
            ("a%+1", None),
            ("%ff", None),
            ("", None),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }
}
