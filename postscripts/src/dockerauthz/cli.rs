//! The command line of `dockerauthz`.

use std::path::PathBuf;

use clap::Parser;

/// Have dockerd refuse clients that the site revoked, from their next request on.
///
/// Without an option, gets the list of what is revoked from slipwayd of the management node, now: over TLS with this host's
/// identity, and as the site's authority signed it. A list that is older than the present one is refused. dockerd's plugin,
/// which setupdockerhost sets up on a host of the site, does the same each minute; 'systemctl edit
/// slipway-dockerauthz.service' is where another time goes.
#[derive(Debug, Clone, Parser)]
#[command(name = "dockerauthz", version, after_help = AFTER)]
pub struct Args {
    /// Answer dockerd, on the listening socket that is standard input, as systemd hands it over
    #[arg(long, conflicts_with = "status")]
    pub serve: bool,

    /// With --serve: get the list again after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "serve",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,

    /// Say which list holds, until when, and whether dockerd gets answers; change nothing
    #[arg(long)]
    pub status: bool,

    /// Print the status as JSON
    #[arg(long, requires = "status")]
    pub json: bool,

    /// Work on the host below DIR (for testing)
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

const AFTER: &str = "\
Examples:
  dockerauthz                                  get the list now
  dockerauthz --status
  updatenode rack1 -P dockerauthz              on the management node: have hosts get it now

Files:
  /var/lib/slipway/dockerauthz/revocations.pem   the list that holds
  /run/docker/plugins/slipway.sock               where dockerd asks

Exit status: 0 done, 1 failed, or the status found something wrong, 2 wrong usage.";
