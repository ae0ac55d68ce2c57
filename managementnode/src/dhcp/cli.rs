//! The command line of `makedhcp`.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use definitions::Noderange;
use definitions::command::Config;

use crate::dnsmasq::Options;

/// Tell dnsmasq which networks it serves, and which nodes get which addresses and boot files
///
/// The settings of the networks (-n) are read when dnsmasq starts, the list of nodes while it runs: it is replaced
/// whole and read again on SIGHUP, and no lease is dropped. Everything is held against `dnsmasq --test` before a
/// byte is in its place.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "makedhcp",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    group(ArgGroup::new("what").args(["new", "all", "nodes", "detect"]).required(true))
)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// The nodes
    #[arg(value_name = "NODERANGE")]
    pub(crate) nodes: Option<Noderange>,

    /// Write the settings of the networks and of what machines boot; nodes that are listed stay
    #[arg(short, long, conflicts_with_all = ["delete", "query"])]
    pub(crate) new: bool,

    /// All nodes; those without a hardware address are left out, those no longer defined are removed
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Remove the nodes from DHCP
    #[arg(short, long, conflicts_with = "query")]
    pub(crate) delete: bool,

    /// Say what DHCP has of the nodes
    #[arg(short, long)]
    pub(crate) query: bool,

    /// Ask on each network that is served here which other DHCP servers answer, for six seconds; change nothing
    #[arg(long, conflicts_with_all = ["delete", "query", "dry_run"])]
    pub(crate) detect: bool,

    /// What there is here: dnsmasq of this machine (accepted since xCAT's users type it)
    #[arg(short, long, hide = true)]
    localonly: bool,

    /// Take iPXE's loaders from DIR before the directories of the packages
    #[arg(long, value_name = "DIR", conflicts_with_all = ["all", "nodes"])]
    pub(crate) loaders: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) dnsmasq: Options,

    /// Say what would be done, after the check by dnsmasq; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print results as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  makedhcp -n                    the networks; once, and when one changes
  makedhcp -a                    all nodes
  makedhcp rack1                 those nodes, as they are defined now
  makedhcp -q host01             host01: ip-address = 10.1.0.11, hardware-address = 52:54:00:00:00:01
  makedhcp -d host01             take the node out
  makedhcp --detect              who else answers, as xCAT's detect_dhcpd
  makedhcp -a --dry-run --json   what would be done, for a program

Exit status: 0: all nodes are as asked; 1: a node is not, dnsmasq refuses, or another server answers; 2: wrong usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_takes_what_xcat_users_type_and_refuses_what_makes_no_sense() {
        Args::command().debug_assert();
        let parsed = |line: &str| Args::try_parse_from(line.split(' '));
        for line in [
            "-n",
            "-a",
            "-a -d",
            "n1",
            "n1 -d",
            "-d n1",
            "-q n1",
            "-a -q",
            "-a -l",
            "-n --loaders /x",
            "--detect --json",
        ] {
            assert!(parsed(&format!("makedhcp {line}")).is_ok(), "{line}");
        }
        for line in [
            "--json",
            "-n n1",
            "-n -a",
            "-a n1",
            "-n -d",
            "-q -d n1",
            "n1 n2",
            "n[",
            "-a --loaders /x",
            "--detect -n",
            "--detect -q",
            "--detect --dry-run",
        ] {
            assert_eq!(
                parsed(&format!("makedhcp {line}")).unwrap_err().exit_code(),
                2,
                "{line}"
            );
        }
    }
}
