//! A file over HTTP that has to be whole: resumed where it broke off, hashed while it comes, and never used before all
//! of it is the expected one.

use std::io::{self, Seek, SeekFrom, Write};
use std::iter;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{ImageSource, hex};
use sha2::{Digest, Sha256};

use super::console::Console;
use crate::http::{Failure, Url};

/// How often the progress is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How often a file that is not the expected one is fetched again.
const MAX_MISMATCHES: u32 = 3;

/// How long a download waits for a server that does not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// The first pause; each further one is twice as long, up to half a minute.
    pub(super) first: Duration,
    /// How many tries in a row may bring nothing.
    pub(super) patience: usize,
    /// What a pause is made by.
    pub(super) sleep: fn(Duration),
}

impl Default for Waits {
    /// About a quarter of an hour.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            patience: 32,
            sleep,
        }
    }
}

impl Waits {
    /// Returns the pauses between tries that bring nothing.
    fn pauses(self) -> impl Iterator<Item = Duration> {
        let next = |pause: &Duration| Some((*pause * 2).min(MAX_PAUSE));
        iter::successors(Some(self.first), next).take(self.patience - 1)
    }
}

/// A file to be fetched.
#[derive(Debug)]
pub(super) struct Download<'a> {
    url: Url,
    name: String,
    bytes: u64,
    sha256: &'a str,
    /// Where in the sink it begins.
    begin: u64,
    console: &'a Console,
    waits: Waits,
}

/// What receives a file.
pub(super) trait Sink: Write + Seek {}
impl<T: Write + Seek> Sink for T {}

impl<'a> Download<'a> {
    /// Prepares to fetch a root image.
    pub(super) fn new(image: &'a ImageSource, console: &'a Console, waits: Waits) -> Result<Self> {
        Self::of(&image.url, image.bytes, &image.sha256, console, waits)
    }

    /// Prepares to fetch a file of which size and SHA-256 are known.
    pub(super) fn of(
        url: &str,
        bytes: u64,
        sha256: &'a str,
        console: &'a Console,
        waits: Waits,
    ) -> Result<Self> {
        let (directory, name) = url
            .rsplit_once('/')
            .filter(|(_, name)| !name.is_empty())
            .with_context(|| format!("'{url}' names no file"))?;
        Ok(Self {
            url: directory.parse()?,
            name: name.to_owned(),
            bytes,
            sha256,
            begin: 0,
            console,
            waits,
        })
    }

    /// Has the file begin at a byte of what receives it.
    pub(super) fn after(self, begin: u64) -> Self {
        Self { begin, ..self }
    }

    /// Fetches the file into `sink`; returns when all of it is there and is the expected one.
    pub(super) fn run(&self, sink: &mut dyn Sink) -> Result<()> {
        for mismatch in 1.. {
            sink.seek(SeekFrom::Start(self.begin))
                .context("going back to the beginning")?;
            let found = self.fetch_all(sink)?;
            if found == self.sha256 {
                return Ok(());
            }
            let wrong = format!(
                "what {} sends as {} has the SHA-256 {found}, and {} is expected: nothing of it is used",
                self.url.host, self.name, self.sha256
            );
            if mismatch == MAX_MISMATCHES {
                bail!(
                    "{wrong}; it was fetched {mismatch} times: have it packed again (packimage), then nodeset"
                );
            }
            self.console.say(format!("{wrong}; it is fetched again"));
        }
        Ok(())
    }

    /// Fetches the file, in as many parts as it takes; returns the digest of what came.
    fn fetch_all(&self, sink: &mut dyn Sink) -> Result<String> {
        let mut part = Received::new(self, sink);
        let mut pauses = self.waits.pauses();
        while part.bytes < self.bytes {
            let before = part.bytes;
            let failure = match self
                .url
                .load_rest(&self.name, before, self.bytes, &mut part)
            {
                Ok(()) => break,
                Err(Failure::Network(failure)) => failure,
                Err(failure) => bail!("fetching {} from {}: {failure}", self.name, self.url.host),
            };
            if part.bytes > before {
                pauses = self.waits.pauses();
            }
            let Some(pause) = pauses.next() else {
                bail!(
                    "fetching {} from {}: {failure}; it was tried {} times",
                    self.name,
                    self.url.host,
                    self.waits.patience
                );
            };
            self.console.say(format!(
                "fetching {} from {}: {failure}; another try in {} s",
                self.name,
                self.url.host,
                pause.as_secs_f32()
            ));
            (self.waits.sleep)(pause);
        }
        part.sink.flush().context("writing it")?;
        Ok(hex(&part.hasher.finalize()))
    }
}

/// What has come of a file.
struct Received<'a> {
    sink: &'a mut dyn Sink,
    hasher: Sha256,
    bytes: u64,
    download: &'a Download<'a>,
    began: Instant,
    printed: Instant,
}

impl<'a> Received<'a> {
    fn new(download: &'a Download<'a>, sink: &'a mut dyn Sink) -> Self {
        let now = Instant::now();
        Self {
            sink,
            hasher: Sha256::new(),
            bytes: 0,
            download,
            began: now,
            printed: now,
        }
    }

    fn print_progress(&mut self) {
        if self.printed.elapsed() < PROGRESS_INTERVAL && self.bytes < self.download.bytes {
            return;
        }
        self.printed = Instant::now();
        let line = progress(self.bytes, self.download.bytes, self.began.elapsed());
        let name = &self.download.name;
        self.download.console.say(format!("{name}: {line}"));
    }
}

impl Write for Received<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.print_progress();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Says how far a download is: `83 of 166 MB, 50 %, 12 MB/s`.
fn progress(bytes: u64, of: u64, elapsed: Duration) -> String {
    let rate = bytes as f64 / 1e6 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{} of {} MB, {} %, {rate:.0} MB/s",
        bytes / 1_000_000,
        of / 1_000_000,
        u128::from(bytes) * 100 / u128::from(of.max(1))
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Cursor;
    use std::net::{SocketAddr, TcpListener};
    use std::os::fd::{AsRawFd, OwnedFd};

    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
    };

    use super::*;

    const QUICK: Waits = Waits {
        first: Duration::from_millis(20),
        patience: 3,
        sleep,
    };

    /// Makes an answer to a request.
    type Answer = Box<dyn FnOnce(&str) -> Vec<u8> + Send>;

    /// Serves one answer a connection; the request is passed to it.
    fn serve(answers: Vec<Answer>) -> SocketAddr {
        serve_at(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    fn serve_at(listener: TcpListener, mut answers: Vec<Answer>) -> SocketAddr {
        let address = listener.local_addr().unwrap();
        answers.reverse();
        std::thread::spawn(move || {
            while let Some(answer) = answers.pop() {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    let n = io::Read::read(&mut stream, &mut buffer).unwrap();
                    assert!(n > 0);
                    request.extend(&buffer[..n]);
                }
                let _ = stream.write_all(&answer(&String::from_utf8(request).unwrap()));
            }
        });
        address
    }

    fn content() -> Vec<u8> {
        (0..50_000u32).flat_map(u32::to_le_bytes).collect()
    }

    /// Answers with what is asked for, up to a byte of the file at which the connection ends.
    fn up_to(end: usize) -> Answer {
        Box::new(move |request| {
            let whole = content();
            let range = request
                .lines()
                .find_map(|line| line.strip_prefix("Range: bytes="));
            let Some(from) = range else {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", whole.len());
                return [head.as_bytes(), &whole[..end]].concat();
            };
            let from: usize = from.trim_end_matches('-').parse().unwrap();
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n\r\n",
                whole.len() - 1,
                whole.len()
            );
            [head.as_bytes(), &whole[from..end]].concat()
        })
    }

    fn answer(bytes: &[u8]) -> Answer {
        let bytes = bytes.to_vec();
        Box::new(move |_| bytes)
    }

    fn fetch(server: SocketAddr) -> Result<Vec<u8>, String> {
        fetch_with(server, QUICK)
    }

    fn fetch_with(server: SocketAddr, waits: Waits) -> Result<Vec<u8>, String> {
        let console = Console::standard_error();
        let sha256 = hex(&Sha256::digest(content()));
        let url = format!("http://{server}/install/a.squashfs");
        let bytes = content().len() as u64;
        let download = Download::of(&url, bytes, &sha256, &console, waits).unwrap();
        let mut sink = Cursor::new(Vec::new());
        let result = download.run(&mut sink);
        result
            .map(|()| sink.into_inner())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_connection_that_is_cut_at_every_tenth_is_resumed() {
        let length = content().len();
        let cuts = (1..=10).map(|tenth| up_to(length * tenth / 10));
        assert_eq!(fetch(serve(cuts.collect())), Ok(content()));
    }

    #[test]
    fn what_is_not_the_expected_file_is_fetched_again_and_refused_in_the_end() {
        let mut wrong = content();
        wrong[100_000] ^= 1;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wrong.len());
        let flipped = [head.as_bytes(), &wrong].concat();
        let length = content().len();
        let server = serve(vec![answer(&flipped), up_to(length)]);
        assert_eq!(fetch(server), Ok(content()));
        let server = serve((0..3).map(|_| answer(&flipped)).collect());
        let (found, expected) = (Sha256::digest(&wrong), Sha256::digest(content()));
        assert_eq!(
            fetch(server).unwrap_err(),
            format!(
                "what {server} sends as a.squashfs has the SHA-256 {}, and {} is expected: nothing of it is used; it was \
                 fetched 3 times: have it packed again (packimage), then nodeset",
                hex(&found),
                hex(&expected)
            )
        );
    }

    thread_local! {
        /// How long this thread has slept, and what listens once it has slept for ten minutes.
        static CLOCK: Cell<(Duration, Option<OwnedFd>)> = const { Cell::new((Duration::ZERO, None)) };
    }

    /// Passes time, and has the server come back after ten minutes.
    fn pass(pause: Duration) {
        CLOCK.with(|clock| {
            let (slept, socket) = clock.take();
            let slept = slept + pause;
            let is_back = |_: &OwnedFd| slept >= Duration::from_secs(600);
            let (back, away) = match socket {
                Some(socket) if is_back(&socket) => (Some(socket), None),
                socket => (None, socket),
            };
            if let Some(socket) = back {
                listen(&socket, Backlog::MAXCONN).unwrap();
                serve_at(TcpListener::from(socket), vec![up_to(content().len())]);
            }
            clock.set((slept, away));
        });
    }

    #[test]
    fn a_server_that_is_away_for_ten_minutes_is_waited_for_and_not_for_ever() {
        let waits = Waits {
            sleep: pass,
            ..Waits::default()
        };
        // Nobody connects to it before it listens, and nobody else gets its port.
        let away = || {
            let socket = socket(
                AddressFamily::Inet,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC,
                None,
            );
            let socket = socket.unwrap();
            bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
            let bound: SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
            (socket, SocketAddr::from((bound.ip(), bound.port())))
        };
        let (socket, address) = away();
        CLOCK.set((Duration::ZERO, Some(socket)));
        assert_eq!(fetch_with(address, waits), Ok(content()));
        let slept = CLOCK.take().0;
        assert!((600..630).contains(&slept.as_secs()), "{slept:?}");

        let (_socket, address) = away();
        assert_eq!(
            fetch_with(address, waits).unwrap_err(),
            format!(
                "fetching a.squashfs from {address}: connecting to {address}: Connection refused (os error 111); it was \
                 tried 32 times"
            )
        );
        let slept = CLOCK.take().0;
        assert!((800..900).contains(&slept.as_secs()), "{slept:?}");
    }

    #[test]
    fn a_server_that_is_away_or_has_another_file_is_an_error_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let away = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(
            fetch(away).unwrap_err(),
            format!(
                "fetching a.squashfs from {away}: connecting to {away}: Connection refused (os error 111); it was tried \
                 3 times"
            )
        );
        for (head, message) in [
            (
                "HTTP/1.1 404 Not Found\r\n\r\n",
                "the server answered 404: it has no such file",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
                "it has 5 bytes and not 200000",
            ),
        ] {
            let server = serve(vec![answer(head.as_bytes())]);
            let expected = format!("fetching a.squashfs from {server}: {message}");
            assert_eq!(fetch(server).unwrap_err(), expected);
        }
    }

    #[test]
    fn progress_is_bytes_share_and_rate() {
        assert_eq!(
            progress(83_500_000, 166_000_000, Duration::from_secs(7)),
            "83 of 166 MB, 50 %, 12 MB/s"
        );
    }
}
