//! `signer`: answers on a local socket what slipwayd passes on from nodes that enrol.
//!
//! One JSON line comes in, one goes out, and the connection ends. This process reads the authority's keys and talks to no
//! network; slipwayd talks to the network and reads no key. Bounded: one connection at a time, 128 KiB, 5 seconds.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Catalog;
use definitions::terminal::escaped;

use super::directory::TrustDirectory;
use super::enrol::{Answer, Enrolment, Question, enrol};
use super::store::Store;

/// The longest line that is read: longer than what slipwayd takes.
const MAX_LINE: u64 = 128 << 10;

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
    let mut records = SignedRecords::default();
    loop {
        let (stream, _) = listener
            .accept()
            .context("accepting a connection: is standard input a listening socket?")?;
        if let Err(error) = serve(&directory, &mut records, &stream) {
            eprintln!("slipway-trust: {}", escaped(&format!("{error:#}"), '\t'));
        }
    }
}

/// Listens on a path, for those whom the umask leaves to write: its owner alone, unless it leaves more.
fn listen(path: &Path) -> Result<UnixListener> {
    crate::replace::remove(path)?;
    UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))
}

fn serve(
    directory: &TrustDirectory,
    records: &mut SignedRecords,
    mut stream: &UnixStream,
) -> Result<()> {
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
    let question: Question = serde_json::from_str(&line).context("reading a request")?;
    let answer = match question {
        Question::Enrol(enrolment) => enrolled(directory, &enrolment)?,
        Question::Standing(serial) => Answer::Standing(records.is_valid(directory, &serial)?),
    };
    let text = serde_json::to_string(&answer).context("writing an answer")? + "\n";
    stream
        .write_all(text.as_bytes())
        .context("writing an answer")
}

fn enrolled(directory: &TrustDirectory, enrolment: &Enrolment) -> Result<Answer> {
    let answer = enrol(directory, enrolment, super::term::now())
        .with_context(|| format!("signing for {}", enrolment.node))?;
    if let Answer::Certificate(_) = answer {
        eprintln!(
            "slipway-trust: {} enrolled from {}",
            escaped(&enrolment.node, '\t'),
            escaped(&enrolment.from, '\t')
        );
    }
    Ok(answer)
}

/// What was signed, read again when the store is another file.
#[derive(Debug, Default)]
struct SignedRecords {
    /// Number, size and time of the file.
    file: (u64, u64, i64),
    store: Store,
}

impl SignedRecords {
    /// Says whether a certificate is on record and not revoked.
    fn is_valid(&mut self, directory: &TrustDirectory, serial: &str) -> Result<bool> {
        let path = directory.path("store.json");
        let meta = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        let file = (meta.ino(), meta.len(), meta.mtime_nsec());
        if self.file != file {
            self.store = Store::load(directory.existing()?)?;
            self.file = file;
        }
        let issued = self.store.issued.get(serial);
        Ok(issued.is_some_and(|issued| issued.revoked.is_none()))
    }
}
