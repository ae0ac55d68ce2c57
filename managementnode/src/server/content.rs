//! What an answer holds: bytes, or a part of a file that is read as it is sent.
//!
//! What is in memory is read at once, what is not by a thread that may wait; on a plain connection the kernel sends the
//! file itself. Reference: preadv2(2) with `RWF_NOWAIT`, sendfile(2).

use std::fs::File;
use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use nix::sys::sendfile::sendfile64;
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::limits::{CHUNK, SENT};
use super::stream::Progress;

/// What an answer holds.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Option<Bytes>),
    File(FilePart),
}

/// A part of a file on its way.
#[derive(Debug)]
pub(super) struct FilePart {
    file: Arc<File>,
    /// What comes next.
    at: u64,
    left: u64,
    /// The next chunk, where the kernel has to fetch it.
    reading: Option<JoinHandle<std::io::Result<Vec<u8>>>>,
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
    /// A part of a file, from a place on.
    pub(super) fn new(file: File, at: u64, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            at,
            left: length,
            reading: None,
        }
    }

    fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let chunk = match self.reading.as_mut() {
            None => match cached(&self.file, self.at, size) {
                Some(chunk) => chunk,
                None => {
                    let (file, at) = (Arc::clone(&self.file), self.at);
                    let reading = tokio::task::spawn_blocking(move || read(&file, at, size));
                    self.reading = Some(reading);
                    return self.poll_chunk(context);
                }
            },
            Some(reading) => {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                read.unwrap_or_else(|error| Err(Error::other(error)))
            }
        };
        let chunk = match chunk {
            Ok(chunk) if chunk.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            chunk => chunk,
        };
        Poll::Ready(Some(match chunk {
            Ok(chunk) => {
                self.at += chunk.len() as u64;
                self.left -= chunk.len() as u64;
                Ok(Frame::data(chunk.into()))
            }
            Err(error) => {
                // It was cut meanwhile: what was promised cannot be kept, so the connection ends.
                self.left = 0;
                Err(error)
            }
        }))
    }

    /// Has the kernel send the part on a plain connection.
    ///
    /// # Errors
    /// When the connection ends, or the file was cut meanwhile: what was promised cannot be kept.
    pub(super) async fn send(
        mut self,
        stream: &TcpStream,
        progress: &Progress,
    ) -> Result<(), Error> {
        while self.left > 0 {
            stream.writable().await?;
            let count = usize::try_from(self.left).unwrap_or(SENT).min(SENT);
            let mut at = self.at.cast_signed();
            let mut send = || {
                stream.try_io(Interest::WRITABLE, || {
                    Ok(sendfile64(stream, &*self.file, Some(&mut at), count)?)
                })
            };
            let last = self.at + count as u64 - 1;
            let is_cached = |at| cached(&self.file, at, 1).is_some();
            // A file that has to be fetched first keeps no other connection waiting.
            let sent = if is_cached(self.at) && is_cached(last) {
                send()
            } else {
                tokio::task::block_in_place(send)
            };
            let sent = match sent {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(sent) => sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            progress.add(sent);
            self.at += sent as u64;
            self.left -= sent as u64;
        }
        Ok(())
    }
}

/// Reads from a file what is in memory; nothing where that would wait.
fn cached(file: &File, at: u64, size: usize) -> Option<std::io::Result<Vec<u8>>> {
    let mut chunk = vec![0; size];
    let read = preadv2(
        file,
        &mut [IoSliceMut::new(&mut chunk)],
        at,
        ReadWriteFlags::NOWAIT,
    );
    let read = read.ok()?;
    chunk.truncate(read);
    Some(Ok(chunk))
}

/// Reads from a file, however long that takes.
fn read(file: &File, at: u64, size: usize) -> std::io::Result<Vec<u8>> {
    let mut chunk = vec![0; size];
    let read = file.read_at(&mut chunk, at)?;
    chunk.truncate(read);
    Ok(chunk)
}
