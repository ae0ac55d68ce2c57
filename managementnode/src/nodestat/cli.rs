//! The command line of `nodestat`.

use std::path::PathBuf;

use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;
use definitions::states::DIRECTORY;

/// Say how nodes are, by what they reported last
#[derive(Debug, Clone, Parser)]
#[command(name = "nodestat", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// The nodes
    #[arg(value_name = "NODERANGE")]
    pub(crate) nodes: Noderange,

    /// Go on, and say what changes
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// The directory in which slipwayd keeps states
    #[arg(long, value_name = "DIR", env = "SLIPWAY_STATE", default_value = DIRECTORY)]
    pub(crate) state: PathBuf,

    /// Print results as JSON; with --watch, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  nodestat rack1      host01: booted since 2026-11-28T09:00:00Z
  nodestat -w rack1   the same, then whatever changes
  nodestat status==failed
  nodestat all --json

A state that is known by the node's address alone says so: others on its network can forge it.

Exit status: 0; 1: a node has failed, or nothing can be read; 2: wrong usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
        assert!(
            Args::try_parse_from(["nodestat", "n1", "-w"])
                .unwrap()
                .watch
        );
        assert_eq!(
            Args::try_parse_from(["nodestat"]).unwrap_err().exit_code(),
            2
        );
    }
}
