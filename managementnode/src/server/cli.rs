//! The command line of `slipwayd`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use definitions::command::Config;

/// Serve nodes their files, hear how they are, and pass on what enrols
///
/// Runs as a user of its own, which needs to read the definitions and the install directory, and no key but that of its
/// certificate. Everything is bounded: connections, their number from one address, sizes and times.
#[derive(Debug, Clone, Parser)]
#[command(name = "slipwayd", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// Serve the install directory by HTTP here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:80")]
    pub(crate) http: SocketAddr,

    /// Serve, enrol and hear reports by TLS here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8443")]
    pub(crate) tls: SocketAddr,

    /// Hear reports in xCAT's form here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:3002")]
    pub(crate) reports: SocketAddr,

    /// The directory that states are kept in
    #[arg(long, value_name = "DIR", default_value = "/var/lib/slipwayd")]
    pub(crate) state: PathBuf,

    /// The directory of root.crt, nodes.crt, server.crt and server.key; without one there is no TLS
    #[arg(long, value_name = "DIR", env = "CREDENTIALS_DIRECTORY")]
    pub(crate) credentials: Option<PathBuf>,

    /// The socket of slipway-trust signer
    #[arg(long, value_name = "PATH", default_value = "/run/slipway/signer.sock")]
    pub(crate) signer: PathBuf,

    /// Ask the daemon that runs here with these options whether it answers, and end: for health checks
    #[arg(long)]
    pub(crate) probe: bool,
}

const EXAMPLES: &str = "\
Examples:
  systemctl enable --now slipwayd.service
  slipwayd --http 10.1.0.1:80 --tls 10.1.0.1:8443 --credentials /etc/slipway/trust

GET /install/…    files of the install directory, with ranges; no link is followed out of it
POST /v1/report   {\"state\":\"booted\"}: by the node's certificate, or by plain HTTP from its address
POST /v1/enrol    {\"node\":…,\"token\":…,\"request\":…}: by TLS alone
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
