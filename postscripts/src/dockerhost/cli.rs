//! The command line of `setupdockerhost`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use definitions::DockerNetwork;

use super::host_names::San;
use super::registries::RegistryAddress;

/// Make dockerd reachable over TLS by trusted clients, and by nobody else.
///
/// Makes the host's own key and certificate, configures dockerd to use them, restarts it only when
/// something changed, and then proves it: a trusted client gets in, and a client without a
/// certificate, one of a foreign authority, one whose certificate has expired, one that shows a
/// server's certificate and one that speaks no TLS do not. If anything fails, the
/// previous state is restored. A second run changes nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "setupdockerhost", version, after_help = EXAMPLES)]
pub struct Args {
    /// Also make the docker network NAME on the bridge NAME: NAME=NET/LEN@GATEWAY[:NIC]; with NIC,
    /// that interface joins the bridge first, as 'bridgeprereq NIC:NAME' does it
    #[arg(value_name = "NAME=NET/LEN@GATEWAY[:NIC]")]
    pub network: Option<DockerNetwork>,

    /// Listen on this address and port [default: every address, port 2376]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// Put one more name or address into the certificate; may be given several times
    #[arg(long, value_name = "NAME")]
    pub san: Vec<San>,

    /// Have the certificates signed by the authority in DIR (ca.pem, ca-key.pem) and not by the
    /// host's own; ca.pem may also hold those above it, whose clients are trusted then too
    #[arg(long, value_name = "DIR", conflicts_with = "status")]
    pub ca: Option<PathBuf>,

    /// Of an authority in --ca that has others above it, trust only the clients that it signed itself
    #[arg(long, requires = "ca")]
    pub issuer_only: bool,

    /// Have dockerd show this host's identity to the site's image registry HOST:PORT, and know it by the site's root; may be given
    /// several times. Those of an earlier run stay, and get a renewed identity, where the option is not given
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "status")]
    pub registry: Vec<RegistryAddress>,

    /// Remove what an earlier run with --registry made
    #[arg(long, conflicts_with_all = ["registry", "status"])]
    pub no_registry: bool,

    /// Make new keys and certificates now
    #[arg(long, conflicts_with = "status")]
    pub renew: bool,

    /// Show names, addresses, expiry, sockets and networks, and change nothing
    #[arg(long)]
    pub status: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,

    /// Work on the host below DIR (for testing)
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  setupdockerhost
      trust for a host that has its bridge: key, certificate, dockerd on port 2376
  setupdockerhost mydocker0=10.1.0.0/16@10.1.0.1
      the same, and a docker network on the bridge mydocker0
  setupdockerhost --registry 10.1.0.1:5000
      the same as the first, and images come from the site's registry
  setupdockerhost --status
      whose certificate it is and how long it lasts

The client's key and certificate are in /etc/slipway/client, for root alone. On another machine:
  scp -r root@host01:/etc/slipway/client host01
  docker --tlsverify --tlscacert host01/ca.pem --tlscert host01/cert.pem --tlskey host01/key.pem \\
      -H tcp://host01:2376 version

Exit status: 0 done or nothing to do, 1 failed, 2 wrong usage.";
