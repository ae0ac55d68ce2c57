//! Files of the install directory, whole or in part.
//!
//! A path of a request comes in; a file that lies below the directory goes out, or the status that says why not. The
//! kernel itself resolves the path below the directory (openat2(2), `RESOLVE_BENEATH`): neither `..` nor a link leads
//! out of it, however it changes meanwhile. Reference: RFC 9110 §14.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use hyper::http::response::Builder;
use hyper::{Response, StatusCode};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::content::{Content, FilePart};

/// The directory that is served.
#[derive(Debug, Clone)]
pub(super) struct Tree(Arc<OwnedFd>);

impl Tree {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self(Arc::new(file.into())))
    }

    /// Answers a request for a file; `path` is what follows `/install/`. A file that not everybody may read is the node's
    /// among whose assets it is: `node` says who asks.
    pub(super) async fn answer(
        &self,
        path: &str,
        fields: &HeaderMap,
        is_head: bool,
        node: impl Future<Output = Result<Option<String>, StatusCode>>,
    ) -> Response<Content> {
        match self.part(path, fields, is_head, node).await {
            Ok(response) => response,
            Err(status) => plain(status, ""),
        }
    }

    async fn part(
        &self,
        path: &str,
        fields: &HeaderMap,
        is_head: bool,
        node: impl Future<Output = Result<Option<String>, StatusCode>>,
    ) -> Result<Response<Content>, StatusCode> {
        let path = decoded(path).ok_or(StatusCode::NOT_FOUND)?;
        let (file, size, version) = self.opened(path.clone()).await?;
        if !version.is_open {
            let node = node.await?;
            if !node.is_some_and(|node| path.starts_with(&format!("autoinst/{node}/"))) {
                return Err(StatusCode::FORBIDDEN);
            }
        }
        let builder = Response::builder()
            .header(ETAG, &version.tag)
            .header(LAST_MODIFIED, version.date())
            .header(ACCEPT_RANGES, "bytes");
        if version.is_known(fields) {
            return finish(
                builder.status(StatusCode::NOT_MODIFIED),
                Content::Bytes(None),
            );
        }
        // A part of another version than the one that was begun with is of no use.
        let is_current = text(fields, IF_RANGE).is_none_or(|begun| version.is(begun));
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
        finish(builder, Content::File(FilePart::new(file, first, length)))
    }

    /// Opens a file: at once where the kernel knows the path already, else by a thread that may wait.
    async fn opened(&self, path: String) -> Result<(File, u64, FileVersion), StatusCode> {
        let known = openat2(&*self.0, path.as_str(), how(RESOLVE_CACHED));
        // Kernels before 5.12 know no such thing.
        if !matches!(known, Err(Errno::EAGAIN | Errno::EINVAL)) {
            return file(&path, known);
        }
        let tree = self.clone();
        let open = move || {
            let opened = openat2(&*tree.0, path.as_str(), how(ResolveFlag::empty()));
            file(&path, opened)
        };
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
    }
}

/// Resolves a path from memory alone, or fails with `EAGAIN` (openat2(2)); nix does not name it.
const RESOLVE_CACHED: ResolveFlag = ResolveFlag::from_bits_retain(0x20);

/// How a file is opened.
fn how(resolve: ResolveFlag) -> OpenHow {
    let below = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(below | resolve)
}

/// Takes what was opened for a regular file; says how large it is, and names its version.
fn file(path: &str, opened: nix::Result<OwnedFd>) -> Result<(File, u64, FileVersion), StatusCode> {
    let opened = opened.map_err(|error| match error {
        Errno::EACCES => StatusCode::FORBIDDEN,
        Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN => StatusCode::SERVICE_UNAVAILABLE,
        // Not there, or led out of the directory.
        Errno::ENOENT
        | Errno::ENOTDIR
        | Errno::ELOOP
        | Errno::EXDEV
        | Errno::ENXIO
        | Errno::ENAMETOOLONG
        | Errno::EINVAL => StatusCode::NOT_FOUND,
        other => {
            super::http::log(&format!("opening {path} for a node: {other}"));
            StatusCode::INTERNAL_SERVER_ERROR
        }
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
    let modified = u64::try_from(meta.mtime()).unwrap_or_default();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified);
    let version = FileVersion {
        tag,
        modified,
        is_open: meta.mode() & 0o004 != 0,
    };
    Ok((file, meta.len(), version))
}

/// Which version of a file there is.
struct FileVersion {
    tag: String,
    /// To the second, as HTTP tells it.
    modified: SystemTime,
    /// Whether everybody may read it.
    is_open: bool,
}

impl FileVersion {
    fn date(&self) -> String {
        httpdate::fmt_http_date(self.modified)
    }

    /// Whether a tag or a date names this version and no other.
    fn is(&self, text: &str) -> bool {
        text == self.tag || text == self.date()
    }

    /// Whether who asks has this version already (RFC 9110 §13.2.2: tags go before dates).
    fn is_known(&self, fields: &HeaderMap) -> bool {
        if let Some(tags) = text(fields, IF_NONE_MATCH) {
            let mut tags = tags.split(',').map(str::trim);
            return tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag);
        }
        let since = text(fields, IF_MODIFIED_SINCE);
        let since = since.and_then(|since| httpdate::parse_http_date(since).ok());
        since.is_some_and(|since| self.modified <= since)
    }
}

/// Returns the value of a field.
fn text(fields: &HeaderMap, name: HeaderName) -> Option<&str> {
    fields.get(name).and_then(|value| value.to_str().ok())
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
