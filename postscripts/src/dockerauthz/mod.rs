//! `dockerauthz`: dockerd's authorization plugin, which refuses clients that the site revoked.
//!
//! dockerd reads no list of what is revoked, but asks its plugins about each request, on connections that are kept open too.
//! What comes in is such a question, with the certificate that the client showed, and the list that the site signs; what goes
//! out is yes or no. The order is `fetch → keep (what the authority signed, and never an older one) → answer`.
//!
//! Whoever shows no certificate came by the socket of this host, and is let in: root of this host is locked out by no list.
//! Without a list that holds, nobody else is let in. Reference: Docker, "Access authorization plugin"; RFC 5280 §5.

mod answer;
mod cli;
mod fetch;
mod lists;
mod serve;
mod status;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

pub use cli::Args;

use crate::files::under_root;

/// The files of this program.
#[derive(Debug, Clone)]
struct Paths {
    root: PathBuf,
}

impl Paths {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The list that holds, as it was fetched.
    fn list(&self) -> PathBuf {
        self.at("/var/lib/slipway/dockerauthz/revocations.pem")
    }

    /// Held by whoever asks for the list and replaces it.
    fn lock(&self) -> PathBuf {
        self.at("/var/lib/slipway/dockerauthz/.lock")
    }

    /// What came of the last time that the list was asked for.
    fn last(&self) -> PathBuf {
        self.at("/run/slipway-dockerauthz/last.json")
    }

    /// Where dockerd asks.
    fn socket(&self) -> PathBuf {
        self.at("/run/docker/plugins/slipway.sock")
    }

    fn at(&self, path: &str) -> PathBuf {
        under_root(&self.root, Path::new(path))
    }
}

/// Runs `dockerauthz`.
///
/// # Errors
/// When the list cannot be fetched, or nobody hands over a socket.
pub fn run(args: Args) -> Result<ExitCode> {
    let paths = Paths::new(&args.root);
    if args.serve {
        serve::serve(&paths, Duration::from_secs(args.every))
    } else if args.status {
        status::show(&paths, args.json)
    } else {
        fetch::run(&paths)
    }
}
