//! The command line of `makedns`.

use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;

use crate::dnsmasq::Options;

/// Tell dnsmasq the names of nodes and containers
///
/// Each node has its name with and without its domain, its further names, and one for each address of its NICs. The
/// list is replaced whole and read again on SIGHUP. Everything is held against `dnsmasq --test` before a byte is in
/// its place.
#[derive(Debug, Clone, Parser)]
#[command(name = "makedns", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// The nodes; all unless given
    #[arg(value_name = "NODERANGE")]
    pub(crate) nodes: Option<Noderange>,

    /// Forget what is listed, then list the nodes
    #[arg(short, long, conflicts_with = "delete")]
    pub(crate) new: bool,

    /// Remove the nodes from DNS
    #[arg(short, long, requires = "nodes")]
    pub(crate) delete: bool,

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
  makedns             all nodes
  makedns rack1       those nodes, as they are defined now
  makedns -n          all nodes, and none that is no longer defined
  makedns -d host01   take the node out

Exit status: 0: all nodes are as asked; 1: a node is not, or dnsmasq refuses; 2: wrong usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_takes_what_xcat_users_type_and_refuses_what_makes_no_sense() {
        Args::command().debug_assert();
        let parsed = |line: &[&str]| Args::try_parse_from([&["makedns"], line].concat());
        for line in [&[][..], &["-n"], &["n1"], &["-n", "n1"], &["-d", "n1"]] {
            assert!(parsed(line).is_ok(), "{line:?}");
        }
        for line in [&["-d"][..], &["-n", "-d", "n1"], &["n1", "n2"], &["n["]] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
