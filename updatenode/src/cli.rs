//! The command line of `updatenode`.

use std::path::PathBuf;

use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;

/// Run the postscripts of nodes again
///
/// One ssh session a node sends its list, and the program that runs the scripts if the node has another one;
/// that program fetches whatever else has changed and runs the scripts. Without -P and -S it runs the software
/// scripts first, then all postscripts, then all postbootscripts.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "updatenode",
    version,
    disable_version_flag = true, // -V is xCAT's for verbose
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// The nodes
    #[arg(value_name = "NODERANGE")]
    pub(crate) nodes: Noderange,

    /// Run these postscripts, or all; a name alone selects the lines of the node's list that begin with it
    #[arg(short = 'P', long, value_name = "SCRIPT[,SCRIPT…]", num_args = 0..=1, default_missing_value = "")]
    pub(crate) scripts: Vec<String>,

    /// Install and remove software as the osimage defines it: run ospkgs and otherpkgs
    #[arg(short = 'S', long)]
    pub(crate) software: bool,

    /// Log in as this user: root, or one who may run sudo without a password
    #[arg(short = 'l', long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// How many nodes run at a time
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) fanout: u16,

    /// How many seconds a node may take
    #[arg(short, long, value_name = "S", default_value = "3600", value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub(crate) timeout: u32,

    /// Keep connections open for this many seconds, so that the next run starts faster
    #[arg(long, value_name = "S", default_value = "0", value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) persist: u32,

    /// Read FILE instead of the user's and the system's ssh configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Print what would run on each node; connect to none
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print results as JSON at the end; the output of nodes goes to standard error
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the ssh command lines, and what nodes print before scripts run
    #[arg(short = 'V', long)]
    pub(crate) verbose: bool,

    /// Print version
    #[arg(long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  updatenode host01                                everything, as after the installation
  updatenode compute -P                            all postscripts, then all postbootscripts
  updatenode rack1 -P setupdockerhost              that one, with the arguments that each node's list gives it
  updatenode host01 -P 'site/mine.sh a,otherpkgs'  two, the first with an argument of its own
  updatenode all -S --fanout 128 --timeout 600     software only, at most ten minutes a node
  updatenode all --dry-run                         print what would run

Quote an argument that contains a comma a second time: -P \"bridgeprereq 'eth0:b0,eth1:b1'\".

Exit status: the highest of all nodes. 0: everything ran; 1 to 255: the exit code of the last script that
failed on a node; 1: a node has no assets; 2: wrong usage; 124: a node timed out; 130: interrupted; 255: a
node could not be reached.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["updatenode"], line].concat())
    }

    #[test]
    fn the_parser_is_valid_and_accepts_what_xcat_users_type() {
        Args::command().debug_assert();
        let args = parsed(&[
            "n1,n2", "-P", "a b,c", "-S", "-V", "-l", "root", "-t", "60", "--fanout", "8",
        ]);
        let args = args.unwrap();
        assert_eq!(args.scripts, ["a b,c"]);
        assert!(args.software && args.verbose);
        assert_eq!(
            (args.user.as_deref(), args.timeout, args.fanout),
            (Some("root"), 60, 8)
        );
        assert_eq!(parsed(&["n1", "-P"]).unwrap().scripts, [""]);
        assert_eq!(parsed(&["n1"]).unwrap().scripts, [""; 0]);
        assert_eq!(parsed(&["n1", "-P", "-S"]).unwrap().scripts, [""]);
    }

    #[test]
    fn invalid_combinations_are_wrong_usage() {
        for line in [
            &[][..],
            &["-P", "n1"],
            &["n1", "n2"],
            &["n1", "--fanout", "0"],
            &["n1", "-t", "0"],
            &["n["],
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
