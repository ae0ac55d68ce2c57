//! The command line of `enrol`.

use std::path::PathBuf;

use clap::Parser;

use super::report::STATES;

/// Get this host an identity that the site's authority signs, or the next one when it is time.
///
/// Makes a key on this host, which never leaves it, and asks slipwayd of the management node to sign it: by the one-time
/// secret that the installer left, over TLS with the authority whose digest is in that secret, and from then on over the
/// certificate that it got. The ssh host key is signed too. A timer of systemd runs this every hour; a certificate is followed
/// by another at a point between 50 and 80 % of its life. A second run changes nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "enrol", version, after_help = AFTER)]
pub struct Args {
    /// Get the next certificate now
    #[arg(long)]
    pub renew: bool,

    /// Report STATE to slipwayd by the certificate, with the lines of standard input: what firstboot does
    #[arg(long, value_name = "STATE", conflicts_with = "renew", value_parser = STATES)]
    pub report: Option<String>,

    /// Work on the host below DIR (for testing)
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

const AFTER: &str = "\
Files:
  /var/lib/slipway/enrolment.json   what this host enrols by, until it has
  /etc/slipway/identity/            its key, its certificate, and the authorities, for root alone
  /etc/ssh/ssh_host_*-cert.pub      the certificate of its ssh host key

Exit status: 0 done or nothing to do, 1 failed or refused, 2 wrong usage, 75 another try may help.";
