//! A TCP connection that has an end: no wait is longer than its limit, nor are all of them together.
//!
//! An address and limits come in. Whoever sends one byte and then another keeps nobody here for longer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// Until it is accepted.
    pub(crate) connect: Duration,
    /// In which nothing comes, or nothing is taken.
    pub(crate) idle: Duration,
    /// From the first packet to the last byte.
    pub(crate) total: Duration,
}

/// A connection with limits.
#[derive(Debug)]
pub(crate) struct TimedStream {
    stream: TcpStream,
    limits: TimeLimits,
    deadline: Instant,
}

impl TimedStream {
    /// Connects.
    ///
    /// # Errors
    /// When nobody accepts the connection in time.
    pub(crate) fn connect(server: &SocketAddr, limits: TimeLimits) -> io::Result<Self> {
        let deadline = Instant::now() + limits.total;
        Ok(Self {
            stream: TcpStream::connect_timeout(server, limits.connect.min(limits.total))?,
            limits,
            deadline,
        })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.late());
        }
        Ok(left)
    }

    fn late(&self) -> io::Error {
        let seconds = self.limits.total.as_secs();
        io::Error::other(format!("it took more than {seconds} s"))
    }

    /// Says which limit a wait of at most `left` met.
    fn ended(&self, error: io::Error, left: Duration, what: &str) -> io::Error {
        let idle = self.limits.idle;
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if left < idle => self.late(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let seconds = idle.as_secs();
                io::Error::new(
                    ErrorKind::TimedOut,
                    format!("the server {what} nothing for {seconds} s"),
                )
            }
            _ => error,
        }
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        let timeout = self.limits.idle.min(left);
        self.stream.set_read_timeout(Some(timeout))?;
        let read = self.stream.read(buffer);
        read.map_err(|error| self.ended(error, left, "sent"))
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        let timeout = self.limits.idle.min(left);
        self.stream.set_write_timeout(Some(timeout))?;
        let written = self.stream.write(bytes);
        written.map_err(|error| self.ended(error, left, "took"))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
