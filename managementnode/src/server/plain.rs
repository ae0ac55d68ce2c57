//! Files on a plain connection, which the kernel sends (sendfile(2)): no byte of them passes through this process.
//!
//! A connection comes in. As long as it asks for files in the usual way (`GET`, HTTP/1.1, no body) it is answered here, by
//! the same answers as elsewhere; the first request that is anything else goes, with what was read of it, to hyper, which
//! answers that and the rest. Reference: RFC 9112.

use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use hyper::body::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::content::Content;
use super::files::Tree;
use super::limits::{BEGIN, HEAD, MAX_FIELDS, MAX_HEAD};
use super::stopping::Stopping;
use super::stream::Progress;

/// What follows the requests for files.
pub(super) enum Rest {
    /// Nothing: the connection has ended.
    Nothing,
    /// A request that is not for a file, of which this is read.
    Request(Bytes),
}

/// A request for a file.
#[derive(Debug)]
struct FileRequest {
    /// What follows `/install/`.
    path: String,
    fields: HeaderMap,
    /// How long its head is.
    length: usize,
}

/// What was read of a connection.
enum Read {
    File(FileRequest),
    /// Not all of a head.
    Partial,
    Other,
}

/// Answers requests for files until another comes; `node` says who asks.
pub(super) async fn serve<N>(
    stream: &mut TcpStream,
    tree: &Tree,
    node: impl Fn() -> N,
    progress: &Progress,
    stopping: &mut Stopping,
) -> Rest
where
    N: Future<Output = Result<Option<String>, StatusCode>>,
{
    let mut read = Vec::new();
    let mut is_first = true;
    loop {
        let request = tokio::select! {
            request = timeout(HEAD, next(stream, &mut read, progress)) => request,
            () = is_to_end(stopping, is_first) => return Rest::Nothing,
        };
        let request = match request {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) => return Rest::Request(read.into()),
            Ok(Err(_)) | Err(_) => return Rest::Nothing,
        };
        read.drain(..request.length);
        let is_last = stopping.is_told() || closes(&request.fields);
        let response = tree.answer(&request.path, &request.fields, false, node());
        let response = response.await;
        if send(stream, response, is_last, progress).await.is_err() || is_last {
            let _ = stream.shutdown().await;
            return Rest::Nothing;
        }
        is_first = false;
    }
}

/// Returns when the daemon is told to end; the first request of a connection is waited for a while.
async fn is_to_end(stopping: &mut Stopping, is_first: bool) {
    stopping.told().await;
    if is_first {
        tokio::time::sleep(BEGIN).await;
    }
}

/// Reads the next request; `None` when it is not one for a file.
async fn next(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
    progress: &Progress,
) -> Result<Option<FileRequest>, Error> {
    loop {
        if !read.is_empty() {
            match parse(read) {
                Read::File(request) => return Ok(Some(request)),
                Read::Partial if read.len() < MAX_HEAD => {}
                Read::Partial | Read::Other => return Ok(None),
            }
        }
        let before = read.len();
        let mut limited = (&mut *stream).take((MAX_HEAD - before) as u64);
        if limited.read_buf(read).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        progress.add(read.len() - before);
    }
}

/// Reads the head of a request.
fn parse(bytes: &[u8]) -> Read {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Read::Partial,
        Err(_) => return Read::Other,
    };
    let path = request.path.and_then(|path| path.strip_prefix("/install/"));
    let is_usual = request.method == Some("GET") && request.version == Some(1);
    let Some(path) = path.filter(|path| is_usual && !path.contains(['?', '#'])) else {
        return Read::Other;
    };
    let mut map = HeaderMap::new();
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else {
            return Read::Other;
        };
        map.append(name, value);
    }
    let has_more = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE];
    if has_more.iter().any(|name| map.contains_key(name)) {
        return Read::Other;
    }
    Read::File(FileRequest {
        path: path.to_owned(),
        fields: map,
        length,
    })
}

fn closes(fields: &HeaderMap) -> bool {
    let options = fields.get_all(CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Sends an answer.
async fn send(
    stream: &mut TcpStream,
    response: Response<Content>,
    is_last: bool,
    progress: &Progress,
) -> Result<(), Error> {
    let (parts, content) = response.into_parts();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        parts.status.as_str(),
        parts.status.canonical_reason().unwrap_or_default()
    )
    .into_bytes();
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let has_length =
        parts.headers.contains_key(CONTENT_LENGTH) || parts.status == StatusCode::NOT_MODIFIED;
    let body = match &content {
        Content::Bytes(bytes) => bytes.clone().unwrap_or_default(),
        Content::File(_) => Bytes::new(),
    };
    if !has_length {
        head.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    head.extend_from_slice(format!("date: {date}\r\n").as_bytes());
    if is_last {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(&body);
    stream.write_all(&head).await?;
    progress.add(head.len());
    match content {
        Content::Bytes(_) => Ok(()),
        Content::File(part) => part.send(stream, progress).await,
    }
}

/// A connection of which something was read already.
#[derive(Debug)]
pub(super) struct Begun {
    read: Bytes,
    stream: TcpStream,
}

impl Begun {
    pub(super) fn new(read: Bytes, stream: TcpStream) -> Self {
        Self { read, stream }
    }
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plainly_a_request_for_a_file_is_left_to_others() {
        let path = |bytes: &str| match parse(bytes.as_bytes()) {
            Read::File(request) => format!("{} {}", request.path, request.length),
            Read::Partial => "partial".to_owned(),
            Read::Other => "other".to_owned(),
        };
        for (bytes, expected) in [
            (
                "GET /install/a%20b HTTP/1.1\r\nHost: x\r\n\r\nGET",
                "a%20b 40",
            ),
            ("GET /install/a HTTP/1.1\r\nHost: x\r\n", "partial"),
            ("GE", "partial"),
            ("GET /install/a HTTP/1.0\r\n\r\n", "other"),
            ("HEAD /install/a HTTP/1.1\r\nHost: x\r\n\r\n", "other"),
            ("GET /install/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "other"),
            ("GET /v1/root HTTP/1.1\r\nHost: x\r\n\r\n", "other"),
            (
                "GET http://x/install/a HTTP/1.1\r\nHost: x\r\n\r\n",
                "other",
            ),
            (
                "GET /install/a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "other",
            ),
            (
                "GET /install/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "other",
            ),
            (
                "GET /install/a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
                "other",
            ),
            ("GET /install/a HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "other"),
            ("GET /install/a HTTP/1.1\r\nbad name: x\r\n\r\n", "other"),
            ("\u{16}\u{3}\u{1}", "other"),
        ] {
            assert_eq!(path(bytes), expected, "{bytes}");
        }
        let many = format!(
            "GET /install/a HTTP/1.1\r\n{}\r\n",
            "X: y\r\n".repeat(MAX_FIELDS + 1)
        );
        assert_eq!(path(&many), "other");
    }

    #[test]
    fn a_connection_ends_when_its_client_says_so() {
        for (value, expected) in [
            ("close", true),
            ("keep-alive, Close", true),
            ("keep-alive", false),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(CONNECTION, HeaderValue::from_static(value));
            assert_eq!(closes(&fields), expected, "{value}");
        }
    }
}
