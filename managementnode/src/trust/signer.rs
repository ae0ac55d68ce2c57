//! `signer`: answers on a local socket what slipwayd passes on from nodes that enrol.
//!
//! One JSON line comes in, one goes out, and the connection ends. This process reads the authority's keys and talks to no
//! network; slipwayd talks to the network and reads no key. Bounded: one connection at a time, 32 KiB, 5 seconds.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Catalog;
use definitions::terminal::escaped;

use super::directory::TrustDirectory;
use super::enrol::{Answer, Enrolment, enrol};

/// The longest line that is read.
const MAX_LINE: u64 = 32 << 10;

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Answers until it is ended.
///
/// # Errors
/// When it cannot listen, or there is no authority.
pub(super) fn run(catalog: &Catalog, socket: Option<&Path>) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
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
        if let Err(error) = serve(&directory, &stream) {
            eprintln!("slipway-trust: {}", escaped(&format!("{error:#}"), '\t'));
        }
    }
}

/// Listens on a path, for its owner alone.
fn listen(path: &Path) -> Result<UnixListener> {
    let listening = || format!("listening on {}", path.display());
    crate::replace::remove(path)?;
    let listener = UnixListener::bind(path).with_context(listening)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).with_context(listening)?;
    Ok(listener)
}

fn serve(directory: &TrustDirectory, mut stream: &UnixStream) -> Result<()> {
    stream
        .set_read_timeout(Some(TIMEOUT))
        .context("setting a time limit")?;
    stream
        .set_write_timeout(Some(TIMEOUT))
        .context("setting a time limit")?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE))
        .read_line(&mut line)
        .context("reading a request")?;
    let enrolment: Enrolment = serde_json::from_str(&line).context("reading a request")?;
    let answer = enrol(directory, &enrolment, super::term::now())
        .with_context(|| format!("signing for {}", enrolment.node))?;
    if let Answer::Certificate(_) = answer {
        eprintln!(
            "slipway-trust: {} enrolled from {}",
            escaped(&enrolment.node, '\t'),
            escaped(&enrolment.from, '\t')
        );
    }
    let text = serde_json::to_string(&answer).context("writing an answer")? + "\n";
    stream
        .write_all(text.as_bytes())
        .context("writing an answer")
}
