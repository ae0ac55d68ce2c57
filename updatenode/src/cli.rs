//! The command line of `updatenode`.

use std::path::PathBuf;

use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;

/// Run the postscripts of nodes again
///
/// Each node is reached by one ssh session, which brings it its list and the program that runs it where
/// those on the node are not the ones here; that program fetches what else has changed and runs what is
/// asked for. Without -P and -S: the software first, then all postscripts, then all postbootscripts.
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

    /// Run these postscripts, or all; a name alone means the lines of the node's list that begin with it
    #[arg(short = 'P', long, value_name = "SCRIPT[,SCRIPT…]", num_args = 0..=1, default_missing_value = "")]
    pub(crate) scripts: Vec<String>,

    /// Install and remove software as the osimage says: run ospkgs and otherpkgs
    #[arg(short = 'S', long)]
    pub(crate) software: bool,

    /// Log in as this user, who is root or may become root by sudo without a password
    #[arg(short = 'l', long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// How many nodes are worked on at a time
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) fanout: u16,

    /// How many seconds a node may take, from first to last
    #[arg(short, long, value_name = "S", default_value = "3600", value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub(crate) timeout: u32,

    /// Keep connections open for so many seconds, so that the next run in that time begins at once
    #[arg(long, value_name = "S", default_value = "0", value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) persist: u32,

    /// Read FILE in place of the user's and the system's ssh configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Say what would be done on each node; connect to none
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print results as JSON, in the end; what nodes print goes to standard error meanwhile
    #[arg(long)]
    pub(crate) json: bool,

    /// Show how nodes are reached and what they print before anything is run
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
  updatenode all -S --fanout 128 --timeout 600     software alone, at most ten minutes a node
  updatenode all --dry-run                         what would be done

An argument that holds a comma stands in quotes of its own: -P \"bridgeprereq 'eth0:b0,eth1:b1'\".

Exit status: that of the node that ended worst. 0: all is done; 1 to 255: what the last script that failed
on a node ended with; 1: a node has no assets; 2: wrong usage; 124: a node took too long; 130: interrupted;
255: a node could not be reached.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["updatenode"], line].concat())
    }

    #[test]
    fn the_parser_is_sound_and_takes_what_xcat_users_type() {
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
    fn what_makes_no_sense_is_wrong_usage() {
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
