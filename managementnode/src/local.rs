//! Questions that slipwayd asks processes with rights that it has not, on a local socket.
//!
//! One JSON line comes in, one goes out, and the connection ends. Bounded: one connection at a time, 5 seconds each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Answers as `program` until it is ended; without a path, on the listening socket that is standard input.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve<Q: DeserializeOwned, A: Serialize>(
    program: &str,
    socket: Option<&Path>,
    max_line: u64,
    mut answer: impl FnMut(Q) -> Result<A>,
) -> Result<()> {
    let listener = match socket {
        Some(path) => listen(path)?,
        None => {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            UnixListener::from(stdin.context("taking the socket on standard input")?)
        }
    };
    loop {
        let (stream, _) = listener
            .accept()
            .context("accepting a connection: is standard input a listening socket?")?;
        let answered = read(&stream, max_line)
            .and_then(&mut answer)
            .and_then(|answer| write(&stream, &answer));
        if let Err(error) = answered {
            eprintln!("{program}: {}", escaped(&format!("{error:#}"), '\t'));
        }
    }
}

/// Listens on a path, for those whom the umask leaves to write: its owner alone, unless it leaves more.
fn listen(path: &Path) -> Result<UnixListener> {
    crate::replace::remove(path)?;
    UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))
}

fn read<Q: DeserializeOwned>(stream: &UnixStream, max_line: u64) -> Result<Q> {
    stream
        .set_read_timeout(Some(TIMEOUT))
        .and_then(|()| stream.set_write_timeout(Some(TIMEOUT)))
        .context("setting a time limit")?;
    let mut line = String::new();
    BufReader::new(stream.take(max_line))
        .read_line(&mut line)
        .context("reading a request")?;
    serde_json::from_str(&line).context("reading a request")
}

fn write(mut stream: &UnixStream, answer: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(answer).context("writing an answer")? + "\n";
    stream
        .write_all(text.as_bytes())
        .context("writing an answer")
}
