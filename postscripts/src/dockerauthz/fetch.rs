//! Gets the list from slipwayd, and says what came of it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Paths;
use super::lists::{Lists, host_identity, keep};
use crate::files;
use crate::http;
use crate::owner::{load_state_text, lock_state};
use crate::slipwayd::ServerAddress;
use crate::timed_stream::TimeLimits;

const LIMITS: TimeLimits = TimeLimits {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(30),
    total: Duration::from_secs(60),
};

/// How long another run may take: all that its connection may, and a while to check and write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);

/// No list is longer: it has room for 20,000 certificates.
const MAX_ANSWER: u64 = 1 << 20;

const PATH: &str = "/v1/revocations";

/// What came of the last time that the list was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastFetch {
    /// In seconds since 1970.
    pub(super) time: i64,
    /// Why there was none.
    pub(super) error: Option<String>,
}

/// Gets the list, and says so.
pub(super) fn run(paths: &Paths) -> Result<ExitCode> {
    let lists = fetch(paths)?;
    let until = lists.until().context("the list has no nextUpdate")?;
    output_line!(
        "{} certificate(s) revoked, valid until {until}",
        lists.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Gets the list and keeps it; what came of it is noted either way. One run asks at a time: of two at once the one that was
/// answered first may be the last to keep its list, which is older then.
pub(super) fn fetch(paths: &Paths) -> Result<Lists> {
    let _lock = lock_state(&paths.lock(), LOCK_TIMEOUT, &mut |_| {})?;
    let now = OffsetDateTime::now_utc();
    let fetched = ask(paths)
        .and_then(|text| keep(paths, &text, now))
        .context("getting the list of what is revoked");
    let last = LastFetch {
        time: now.unix_timestamp(),
        error: fetched.as_ref().err().map(|error| format!("{error:#}")),
    };
    note(paths, &last)?;
    fetched
}

fn note(paths: &Paths, last: &LastFetch) -> Result<()> {
    let path = paths.last();
    let text = serde_json::to_string(last).context("noting what came of it")?;
    if let Some(directory) = path.parent() {
        files::ensure_dir(directory, 0o700)?;
    }
    files::replace(&path, text.as_bytes(), 0o600)
        .with_context(|| format!("writing {}", path.display()))
}

impl LastFetch {
    /// Reads what came of it; `None` where it was not asked for since the start of this host.
    pub(super) fn load(paths: &Paths) -> Option<Self> {
        let text = load_state_text(&paths.last()).ok().flatten()?;
        serde_json::from_str(&text).ok()
    }
}

fn ask(paths: &Paths) -> Result<String> {
    let identity = host_identity(paths)?;
    let address = ServerAddress::load(&paths.root)?;
    let own = (identity.certificate.as_str(), &identity.key);
    let mut stream = address.connect(&identity.root, Some(own), LIMITS)?;
    let host = address.server.to_string();
    let asking = || format!("asking slipwayd on {host}");
    let (status, answer) = http::get(&mut stream, &host, PATH, MAX_ANSWER).with_context(asking)?;
    if status != 200 {
        bail!("slipwayd on {host} answered {status}");
    }
    String::from_utf8(answer).with_context(asking)
}
