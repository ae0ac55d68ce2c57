//! The command line of `slipwayd`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use definitions::command::Config;
use definitions::states::DIRECTORY;

use super::limits;

/// Serve nodes their files, hear how they are, and pass on what enrols
///
/// Runs as a user of its own, which needs to read the definitions and the install directory, and no key but that of its
/// certificate. Everything is bounded: connections, their number from one address, sizes and times. Sockets that systemd
/// passes, named http, tls and reports, go before the addresses that are given.
#[derive(Debug, Clone, Parser)]
#[command(name = "slipwayd", version, after_help = EXAMPLES, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,

    #[command(flatten)]
    pub(crate) config: Config,

    /// Serve the install directory by HTTP here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:80")]
    pub(crate) http: SocketAddr,

    /// Serve, enrol, hear reports and answer clients by TLS here; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT", default_values = ["0.0.0.0:8443", "0.0.0.0:443"])]
    pub(crate) tls: Vec<SocketAddr>,

    /// Hear reports in xCAT's form here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:3002")]
    pub(crate) reports: SocketAddr,

    /// The directory that states are kept in
    #[arg(long, value_name = "DIR", env = "SLIPWAY_STATE", default_value = DIRECTORY)]
    pub(crate) state: PathBuf,

    /// The directory of root.crt, nodes.crt, server.crt and server.key; without one there is no TLS
    #[arg(long, value_name = "DIR", env = "CREDENTIALS_DIRECTORY")]
    pub(crate) credentials: Option<PathBuf>,

    /// The most connections at a time
    #[arg(long, value_name = "N", default_value_t = limits::MAX_CONNECTIONS)]
    pub(crate) max_connections: usize,

    /// The most connections from one address: more where many nodes share one
    #[arg(long, value_name = "N", default_value_t = limits::MAX_PER_ADDRESS)]
    pub(crate) max_per_address: usize,

    /// The socket of slipway-trust signer
    #[arg(long, value_name = "PATH", default_value = "/run/slipway/signer.sock")]
    pub(crate) signer: PathBuf,

    /// The socket of slipwayd editor
    #[arg(long, value_name = "PATH", default_value = "/run/slipway/editor.sock")]
    pub(crate) editor: PathBuf,

    /// Ask the daemon that runs here with these options whether it answers, and end: for health checks
    #[arg(long)]
    pub(crate) probe: bool,
}

/// What it does in place of serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Change definitions for clients of the API that the site names in apiwriters
    Editor {
        #[command(flatten)]
        config: Config,

        /// Listen here; unless given, on the socket that is standard input
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Examples:
  systemctl enable --now slipwayd-http.socket slipwayd-tls.socket slipwayd-reports.socket
  slipwayd --http 10.1.0.1:80 --tls 10.1.0.1:8443 --credentials /etc/slipway/trust

GET /install/…    files of the install directory, with ranges; no link is followed out of it
POST /v1/report   {\"state\":\"booted\"}: by the node's certificate, or by plain HTTP from its address
POST /v1/enrol    {\"node\":…,\"token\":…,\"request\":…}: by TLS alone
GET /             the status page: by TLS, to clients and to the site's statusnetworks
GET /v1/…         the API, by TLS, to clients; /v1/openapi.json describes it
GET /v1/root      the certificate of the site's root, whose digest a node's token holds";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
        assert!(Args::try_parse_from(["slipwayd", "--http", "x"]).is_err());
    }
}
